//! What a trace says of a change, in a line.

use crate::model::{InPlace, Ranges, Revision, Uid};

use super::{objects::Object, store::Change, world::World};

impl World {
    pub(super) fn note_change(&mut self, change: &Change) {
        if self.trace.is_none() {
            return;
        }
        let line = match change {
            Change::Gone(kind, uid) => format!("  {kind:?} {} is gone", short(*uid)),
            Change::Put(Object::Pod(pod)) => format!(
                "  Pod {}-{} {} {} {:?}{}{}{}{}{}",
                pod.instance,
                pod.run,
                short(pod.meta.uid),
                pod.revision,
                pod.phase,
                pod.reason.unwrap_or_default(),
                if pod.ready_since.is_some() { " ready" } else { "" },
                pod.intent.map(|(intent, _)| format!(" {intent:?}")).unwrap_or_default(),
                if pod.deleting.is_some() { " deleting" } else { "" },
                pod.in_place.map(|gate| gate_words(&gate)).unwrap_or_default(),
            ),
            Change::Put(Object::Service(object)) => format!(
                "  Service {} generation {} x{} of {}: {}",
                short(object.meta.uid),
                object.service.generation,
                object.service.instances,
                object.service.revision,
                object.status.as_ref().map_or("no status".to_owned(), |status| format!(
                    "observed {:?} good {:?} runs to {} desired {} update {:?} {}",
                    status.observed_revision.map(|of| of.to_string()),
                    status.last_good.map(|good| good.to_string()),
                    status.highest_run,
                    status.counts.desired,
                    status.update.map(|update| (update.number, update.state)),
                    status.conditions.first().map_or("", |condition| condition.reason),
                )),
            ),
            Change::Put(Object::Update(update)) => format!(
                "  Update {} from {} to {} base {} x{} was x{}{}{}{}: {}",
                update.number,
                parts(&update.instructions.from),
                parts(update.instructions.to.as_slice()),
                parts(&update.instructions.base),
                update.instructions.instances,
                update.instructions.previous_instances,
                if update.controls.paused { " paused" } else { "" },
                if update.controls.abort.is_some() { " abort" } else { "" },
                if update.controls.retry.is_some() { " retry" } else { "" },
                update.progress.as_ref().map_or("no progress".to_owned(), |progress| format!(
                    "{:?} touched {} working {} updated {} failed {} back {} / {} floor {}: {}",
                    progress.state,
                    progress.touched,
                    progress.working,
                    progress.updated,
                    progress.failed,
                    progress.rolled_back,
                    progress.failed_back,
                    progress.floor,
                    progress.message
                )),
            ),
            Change::Put(Object::Revision(record)) => format!(
                "  Revision {} number {}{}{}",
                record.revision,
                record.number,
                if record.last_good { " good" } else { "" },
                if record.failed { " failed" } else { "" }
            ),
            Change::Put(Object::Node(node)) => format!("  Node {} lost {:?}", node.id.0, node.lost),
        };
        self.note(|| line);
    }
}

fn gate_words(gate: &InPlace) -> String {
    let open = if gate.open { "open" } else { "shut" };
    let change = gate.change.map(|change| format!(" by {} {:?}", change.update, change.stage));
    format!(" {open}{}", change.unwrap_or_default())
}

fn parts(parts: &[(Revision, Ranges)]) -> String {
    parts.iter().map(|(revision, ranges)| format!("[{revision}: {ranges}]")).collect()
}

/// The end of a uid is enough to tell objects of one world apart.
pub(super) fn short(uid: Uid) -> String {
    let text = uid.to_string();
    text.trim_start_matches(['0', '-']).to_owned()
}
