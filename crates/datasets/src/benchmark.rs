//! Benchmarks: which set is in-distribution and which are not (`datasets/benchmarks/<name>.yaml`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::DatasetError;
use crate::library::Library;
use crate::yaml;

/// An in-distribution set and groups of out-of-distribution sets. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Benchmark {
    /// Name, equal to the file's stem.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// The in-distribution set.
    pub id: InDistribution,
    /// Groups (`far`, `near`, ..) of out-of-distribution sets; sets in the order of the table's columns.
    pub groups: BTreeMap<String, Vec<Member>>,
    /// Origin and remarks.
    #[serde(default)]
    pub notes: String,
}

/// The in-distribution set of a benchmark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InDistribution {
    /// Data set.
    pub set: String,
    /// The split that detectors learn from.
    pub train_split: String,
    /// The split that is scored.
    pub test_split: String,
    /// Only the first so many images to learn from.
    #[serde(default)]
    pub train_limit: Option<usize>,
    /// Only the first so many images to score.
    #[serde(default)]
    pub test_limit: Option<usize>,
}

/// An out-of-distribution set of a benchmark: a name, or a name with split and limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Data set.
    pub set: String,
    /// Split; `None` until resolved means `test`, or the only one.
    pub split: Option<String>,
    /// Only the first so many images.
    pub limit: Option<usize>,
}

impl Member {
    /// The split, `test` where the file did not say and the benchmark was not resolved.
    #[must_use]
    pub fn split(&self) -> &str {
        self.split.as_deref().unwrap_or("test")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FullMember {
    set: String,
    #[serde(default)]
    split: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Member, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Member;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a data set's name, or {set, split, limit}")
            }
            fn visit_str<E: serde::de::Error>(self, set: &str) -> Result<Member, E> {
                Ok(Member { set: set.to_owned(), split: None, limit: None })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Member, A::Error> {
                let FullMember { set, split, limit } = FullMember::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Member { set, split, limit })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Benchmark {
    /// Parses a benchmark file. `place` names it in errors.
    ///
    /// # Errors
    /// Unknown or duplicate keys, wrong types, no out-of-distribution set, a limit of zero, a split that is trained on and
    /// scored.
    pub fn parse(place: &str, text: &str) -> Result<Benchmark, DatasetError> {
        let benchmark: Benchmark = yaml::parse(place, text)?;
        match benchmark.problem() {
            None => Ok(benchmark),
            Some(problem) => Err(DatasetError::manifest(place, problem)),
        }
    }

    /// Group and member of every out-of-distribution set.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.groups.iter().flat_map(|(group, members)| members.iter().map(move |member| (group.as_str(), member)))
    }

    /// Checks every set and split against the manifests and fills in the splits that the file left open.
    ///
    /// # Errors
    /// When a set or split is unknown, or a set with several splits and no `test` has none named.
    pub fn resolve(mut self, library: &Library) -> Result<Benchmark, DatasetError> {
        let manifest = library.manifest(&self.id.set)?;
        manifest.split(&self.id.train_split)?;
        manifest.split(&self.id.test_split)?;
        for member in self.groups.values_mut().flatten() {
            let manifest = library.manifest(&member.set)?;
            if member.split.is_none() {
                member.split = manifest.evaluation_split().map(str::to_owned);
            }
            let Some(split) = &member.split else {
                let known = manifest.splits.keys().cloned().collect::<Vec<_>>().join(", ");
                let what = format!("{} has the splits {known}: `split` must name one", member.set);
                return Err(DatasetError::manifest(format!("benchmark {}", self.name), what));
            };
            manifest.split(split)?;
        }
        Ok(self)
    }

    fn problem(&self) -> Option<String> {
        let InDistribution { set, train_split, test_split, train_limit, test_limit } = &self.id;
        if train_split == test_split {
            return Some(format!("id: split {train_split:?} of {set} would be trained on and scored"));
        }
        let limits = self.members().map(|(_, member)| member.limit).chain([*train_limit, *test_limit]);
        if limits.flatten().any(|limit| limit == 0) {
            return Some("a limit of 0 leaves no image".into());
        }
        if let Some((group, _)) = self.groups.iter().find(|(_, members)| members.is_empty()) {
            return Some(format!("group {group:?} is empty"));
        }
        if self.groups.is_empty() {
            return Some("groups: expected at least one".into());
        }
        let mut seen = BTreeSet::new();
        for (_, member) in self.members() {
            if !seen.insert((&member.set, &member.split)) {
                return Some(format!("set {:?} appears twice", member.set));
            }
        }
        None
    }
}
