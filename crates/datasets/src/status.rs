//! What is at hand of a data set.

use std::collections::BTreeMap;

use serde::Serialize;

/// How much of a set is at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Every image of every split.
    Present,
    /// Some images.
    Partial,
    /// None.
    Absent,
}

/// Images of a split: those at hand and those of the complete split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Usable images at hand.
    pub found: usize,
    /// Images of the complete split, where known.
    pub expected: Option<usize>,
}

/// One line of `data list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Name.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Licence as stated by the publisher.
    pub licence: String,
    /// Where its images come from: `imported`, `embedded` or `generated`.
    pub origin: &'static str,
    /// How much is there.
    pub state: State,
    /// Every split of the manifest.
    pub splits: BTreeMap<String, Count>,
    /// Files left out at import because nothing reads them.
    pub unreadable: usize,
}

impl State {
    pub(crate) fn of(splits: &BTreeMap<String, Count>) -> State {
        if splits.values().all(|count| count.found == 0) {
            State::Absent
        } else if splits.values().all(|count| count.found > 0 && count.expected.is_none_or(|n| count.found >= n)) {
            State::Present
        } else {
            State::Partial
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            State::Present => "present",
            State::Partial => "partial",
            State::Absent => "absent",
        })
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.expected {
            Some(expected) => f.pad(&format!("{}/{expected}", self.found)),
            None => f.pad(&self.found.to_string()),
        }
    }
}
