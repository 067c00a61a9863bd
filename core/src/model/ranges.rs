//! A set of instances as inclusive ranges, written "0-17,20": bounded however many instances there are.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Instance, MAX_INSTANCES, ParseError};

/// A set of instance numbers, kept sorted and merged (Aurora: `Set<Range>`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges {
    /// Disjoint, ascending, never touching each other.
    spans: Vec<(Instance, Instance)>,
}

impl Ranges {
    /// The instances `0..count`.
    pub fn up_to(count: u32) -> Self {
        Self { spans: if count == 0 { Vec::new() } else { vec![(0, count - 1)] } }
    }

    /// Whether no instance is in the set.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// How many instances are in the set.
    pub fn len(&self) -> u32 {
        self.spans.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Whether the instance is in the set.
    pub fn contains(&self, instance: Instance) -> bool {
        self.span_at(instance).is_ok()
    }

    /// Adds one instance.
    pub fn insert(&mut self, instance: Instance) {
        let Err(at) = self.span_at(instance) else { return };
        let joins_left = at > 0 && self.spans[at - 1].1 + 1 == instance;
        let joins_right = self.spans.get(at).is_some_and(|span| instance + 1 == span.0);
        match (joins_left, joins_right) {
            (true, true) => {
                self.spans[at - 1].1 = self.spans[at].1;
                self.spans.remove(at);
            }
            (true, false) => self.spans[at - 1].1 = instance,
            (false, true) => self.spans[at].0 = instance,
            (false, false) => self.spans.insert(at, (instance, instance)),
        }
    }

    /// Takes one instance out.
    pub fn remove(&mut self, instance: Instance) {
        let Ok(at) = self.span_at(instance) else { return };
        let (first, last) = self.spans[at];
        let left = (first < instance).then(|| (first, instance - 1));
        let right = (instance < last).then(|| (instance + 1, last));
        self.spans.splice(at..=at, left.into_iter().chain(right));
    }

    /// Every instance, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Instance> + '_ {
        self.spans.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// The position of the span that holds the instance, or where a new one would go.
    fn span_at(&self, instance: Instance) -> Result<usize, usize> {
        self.spans.binary_search_by(|(first, last)| {
            if *last < instance {
                std::cmp::Ordering::Less
            } else if instance < *first {
                std::cmp::Ordering::Greater
            } else {
                std::cmp::Ordering::Equal
            }
        })
    }
}

impl FromIterator<Instance> for Ranges {
    fn from_iter<I: IntoIterator<Item = Instance>>(instances: I) -> Self {
        let mut spans: Vec<(Instance, Instance)> = Vec::new();
        let mut all: Vec<Instance> = instances.into_iter().collect();
        // They mostly come in one or two ascending runs, which the stable sort merges.
        all.sort();
        for instance in all {
            match spans.last_mut() {
                Some((_, last)) if *last == instance => {}
                Some((_, last)) if *last + 1 == instance => *last = instance,
                _ => spans.push((instance, instance)),
            }
        }
        Self { spans }
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.spans.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            if first == last { write!(f, "{comma}{first}")? } else { write!(f, "{comma}{first}-{last}")? }
        }
        Ok(())
    }
}

impl FromStr for Ranges {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::new(text, "a list of instances below 10000 (\"0-17,20\")");
        let mut spans = Vec::new();
        for part in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |t: &str| t.trim().parse::<Instance>().map_err(|_| wrong());
            let (first, last) = (number(first)?, number(last)?);
            // Whoever goes through a set from outside goes through no more than a job can have.
            if first > last || last >= MAX_INSTANCES {
                return Err(wrong());
            }
            spans.push((first, last));
        }
        spans.sort_unstable();
        let mut merged: Vec<(Instance, Instance)> = Vec::with_capacity(spans.len());
        for (first, last) in spans {
            match merged.last_mut() {
                Some(span) if first <= span.1 + 1 => span.1 = span.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Ok(Self { spans: merged })
    }
}

impl Serialize for Ranges {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ranges {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_and_writes_the_written_form() {
        for text in ["", "0", "0-17,20", "3,5-6"] {
            assert_eq!(text.parse::<Ranges>().unwrap().to_string(), text);
        }
        assert_eq!("5-6,0-4".parse::<Ranges>().unwrap().to_string(), "0-6");
        for text in ["a", "3-1", "-", "1,,2", "0-4294967294", "0-10000"] {
            assert!(text.parse::<Ranges>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn behaves_as_a_set(steps in prop::collection::vec((any::<bool>(), 0u32..40), 0..200)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (add, instance) in steps {
                if add { ranges.insert(instance); set.insert(instance); }
                else { ranges.remove(instance); set.remove(&instance); }
                prop_assert_eq!(ranges.contains(instance), set.contains(&instance));
            }
            prop_assert_eq!(ranges.iter().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(ranges.len() as usize, set.len());
            prop_assert_eq!(&ranges, &set.into_iter().collect::<Ranges>());
            prop_assert_eq!(ranges.to_string().parse::<Ranges>().unwrap(), ranges);
        }
    }
}
