//! The notes of preemption: on the Pod that room is kept for, and on the Pods that end for it.
//!
//! Translates between annotations and the model. What can't be read is as if it were not there: the room is then not
//! kept any more, and looked for anew. Read by the index, written by `apply`.

use std::sync::Arc;

use borealis_core::model::{FailedSlot, Held, Slot, SlotFailure, Uid};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// [`super::labels::SLOT`] as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Note {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    victims: Vec<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    asserted: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    tries: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_failed: Option<Failed>,
}

/// The last slot that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Failed {
    node: Arc<str>,
    until: Timestamp,
    why: String,
}

/// [`super::labels::PREEMPTED`] as JSON: what a victim's people are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preempted {
    /// By which rule, in words.
    pub rule: String,
    /// The uid of the Pod that room is made for.
    pub preemptor: String,
    /// Its name, where it is of the same role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The node.
    pub node: Arc<str>,
}

/// Reads the note of a Pod.
#[must_use]
pub fn read(annotation: &str) -> Option<Slot> {
    let note: Note = serde_json::from_str(annotation).ok()?;
    let held = match (note.node, note.since) {
        (Some(node), Some(since)) => {
            let victims: Result<Vec<Uid>, _> = note.victims.iter().map(|uid| uid.parse()).collect();
            Some(Held { node, since, victims: victims.ok()?, asserted: note.asserted })
        }
        _ => None,
    };
    let failed = note.last_failed.and_then(|failed| {
        let why = SlotFailure::ALL.into_iter().find(|why| why.name() == failed.why)?;
        Some(FailedSlot { node: failed.node, until: failed.until, why })
    });
    Some(Slot { held, tries: note.tries, failed })
}

/// Writes the note of a Pod.
///
/// # Errors
/// Never, for all that is known of the JSON of such plain data.
pub fn write(slot: &Slot) -> Result<String, serde_json::Error> {
    let held = slot.held.as_ref();
    serde_json::to_string(&Note {
        node: held.map(|held| Arc::clone(&held.node)),
        since: held.map(|held| held.since),
        victims: held.iter().flat_map(|held| &held.victims).map(Uid::to_string).collect(),
        asserted: held.map_or(0, |held| held.asserted),
        tries: slot.tries,
        last_failed: slot.failed.as_ref().map(|failed| Failed {
            node: Arc::clone(&failed.node),
            until: failed.until,
            why: failed.why.name().to_owned(),
        }),
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let since: Timestamp = "2026-01-01T00:00:00.25Z".parse().unwrap();
        let held =
            Held { node: "n1".into(), since, victims: vec![Uid::new(7), Uid::new(u128::MAX)], asserted: 3 };
        let failed = FailedSlot { node: "n0".into(), until: since, why: SlotFailure::Taken };
        for slot in [
            Slot::default(),
            Slot { held: Some(held.clone()), tries: 0, failed: None },
            Slot { held: None, tries: 4, failed: Some(failed.clone()) },
            Slot {
                held: Some(Held { victims: vec![], asserted: 0, ..held }),
                tries: 1,
                failed: Some(failed),
            },
        ] {
            let text = write(&slot).unwrap();
            assert_eq!(read(&text), Some(slot), "{text}");
        }
        for why in SlotFailure::ALL {
            let failed = Some(FailedSlot { node: "n".into(), until: since, why });
            let slot = Slot { held: None, tries: 1, failed };
            assert_eq!(read(&write(&slot).unwrap()), Some(slot));
        }
    }

    #[test]
    fn the_form_of_a_note_stays() {
        let text = r#"{"node":"n1","since":"2026-01-01T00:00:00Z","victims":["00000000-0000-0000-0000-000000000007"],"tries":1,"lastFailed":{"node":"n0","until":"2026-01-01T00:00:10Z","why":"Taken"}}"#;
        assert_eq!(write(&read(text).unwrap()).unwrap(), text);
    }

    #[test]
    fn what_is_no_note_is_none() {
        for text in ["", "{", "7", r#"{"node":"n","since":"2026-01-01T00:00:00Z","victims":["x"]}"#] {
            assert_eq!(read(text), None, "{text}");
        }
        // Half a slot is none, and a reason nobody knows is left out.
        assert_eq!(read(r#"{"node":"n"}"#), Some(Slot::default()));
        let odd = r#"{"tries":2,"lastFailed":{"node":"n","until":"2026-01-01T00:00:00Z","why":"Whim"}}"#;
        assert_eq!(read(odd), Some(Slot { held: None, tries: 2, failed: None }));
    }
}
