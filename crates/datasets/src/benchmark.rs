//! Benchmarks: which set is in-distribution and which are not (`datasets/benchmarks/<name>.yaml`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::DatasetError;
use crate::library::Library;
use crate::roles::{Choice, ScoredSplit, TrainingSplit, TuningSplit};
use crate::subset::Subset;
use crate::yaml;

/// How an out-of-distribution image reaches the encoder's input size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// From its own size, as the papers do.
    Native,
    /// First squashed to the in-distribution set's size, so that the original size is no longer a cue.
    Matched,
}

impl Protocol {
    /// The name in files and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Native => "native",
            Protocol::Matched => "matched",
        }
    }
}

/// An in-distribution set and groups of out-of-distribution sets. Unknown keys are refused.
///
/// Its fields say what the file says. Images are asked for by their role: [`Benchmark::training`], [`Benchmark::scored_id`],
/// [`Benchmark::shifted`], [`Benchmark::scored`], [`Benchmark::tuning`].
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
    /// Images that settings of detectors are chosen with: held-out ID images and other OOD sets. Never scored for a table.
    #[serde(default)]
    pub validation: Option<Validation>,
    /// The protocol of the publication that it is taken from.
    #[serde(default)]
    pub protocol: Option<Protocol>,
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
    /// How many images the publication scored; a table of another number says so.
    #[serde(default)]
    pub test_images: Option<usize>,
    /// Covariate-shifted images of the same classes, which count as in-distribution ("full-spectrum", OpenOOD 1.5): scored
    /// together with the test split.
    #[serde(default)]
    pub shifted: Vec<Member>,
}

/// An out-of-distribution set as it is scored.
#[derive(Debug, Clone)]
pub struct Scored<'a> {
    /// Its group.
    pub group: &'a str,
    /// What the file says of it.
    pub member: &'a Member,
    /// Its images.
    pub split: ScoredSplit,
    /// Its name in tables, different for each.
    pub name: String,
}

/// What settings of detectors may be chosen with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Held-out in-distribution images.
    pub id: Member,
    /// Out-of-distribution images that no table scores.
    #[serde(default)]
    pub ood: Vec<Member>,
}

/// A set of a benchmark: a name, or a name with split, rule and limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Data set.
    pub set: String,
    /// Split; `None` until resolved means `test`, or the only one.
    pub split: Option<String>,
    /// The rule that chooses its images.
    pub subset: Option<Subset>,
    /// Only the first so many images.
    pub limit: Option<usize>,
    /// How many images the publication scored; a table of another number says so.
    pub images: Option<usize>,
}

impl Member {
    fn choice(&self) -> Choice {
        Choice { set: self.set.clone(), split: self.split().to_owned(), subset: self.subset, limit: self.limit }
    }

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
    subset: Option<Subset>,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    images: Option<usize>,
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Member, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Member;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a data set's name, or {set, split, subset, limit, images}")
            }
            fn visit_str<E: serde::de::Error>(self, set: &str) -> Result<Member, E> {
                Ok(Member { set: set.to_owned(), split: None, subset: None, limit: None, images: None })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Member, A::Error> {
                let full = FullMember::deserialize(MapAccessDeserializer::new(map))?;
                let FullMember { set, split, subset, limit, images } = full;
                Ok(Member { set, split, subset, limit, images })
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

    /// The images that detectors learn from.
    #[must_use]
    pub fn training(&self) -> TrainingSplit {
        TrainingSplit(self.id_choice(&self.id.train_split, self.id.train_limit))
    }

    /// The in-distribution images that are scored.
    #[must_use]
    pub fn scored_id(&self) -> ScoredSplit {
        ScoredSplit(self.id_choice(&self.id.test_split, self.id.test_limit))
    }

    /// Covariate-shifted images that are scored as in-distribution.
    pub fn shifted(&self) -> impl Iterator<Item = ScoredSplit> {
        self.id.shifted.iter().map(|member| ScoredSplit(member.choice()))
    }

    /// Every out-of-distribution set, in the order of the table's columns.
    pub fn scored(&self) -> impl Iterator<Item = Scored<'_>> {
        self.members().map(|(group, member)| {
            let split = ScoredSplit(member.choice());
            Scored { group, member, split, name: self.name_of(member) }
        })
    }

    /// A member's name in tables: its set's, with split and rule where the benchmark has the set more than once.
    fn name_of(&self, member: &Member) -> String {
        let same = |other: &&Member| other.set == member.set;
        let all: Vec<&Member> = self.members().map(|(_, other)| other).filter(same).collect();
        match (all.len(), all.iter().filter(|other| other.split() == member.split()).count()) {
            (..=1, _) => member.set.clone(),
            (_, ..=1) => format!("{}/{}", member.set, member.split()),
            _ => match &member.subset {
                Some(rule) => format!("{}/{} ({rule})", member.set, member.split()),
                None => format!("{}/{}", member.set, member.split()),
            },
        }
    }

    /// The images that settings may be chosen with: in-distribution ones, and out-of-distribution sets.
    #[must_use]
    pub fn tuning(&self) -> Option<(TuningSplit, Vec<TuningSplit>)> {
        let Validation { id, ood } = self.validation.as_ref()?;
        Some((TuningSplit(id.choice()), ood.iter().map(|member| TuningSplit(member.choice())).collect()))
    }

    fn id_choice(&self, split: &str, limit: Option<usize>) -> Choice {
        Choice { set: self.id.set.clone(), split: split.to_owned(), subset: None, limit }
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
        let tuned = self.validation.iter_mut().flat_map(|validation| {
            let Validation { id, ood } = validation;
            std::iter::once(id).chain(ood)
        });
        for member in self.groups.values_mut().flatten().chain(&mut self.id.shifted).chain(tuned) {
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
        // Asked again now that every split has its name: what was left open may be what another line names.
        match self.roles_problem() {
            None => Ok(self),
            Some(problem) => Err(DatasetError::manifest(format!("benchmark {}", self.name), problem)),
        }
    }

    /// No image has two roles.
    fn roles_problem(&self) -> Option<String> {
        let describe = |choice: &Choice| format!("split {:?} of {}", choice.split, choice.set);
        let training = self.training().0;
        let mut scored = vec![self.scored_id().0];
        scored.extend(self.shifted().map(|split| split.0));
        scored.extend(self.scored().map(|scored| scored.split.0));
        if let Some(twice) = scored.iter().find(|choice| choice.may_share(&training)) {
            return Some(format!("{} would be trained on and scored", describe(twice)));
        }
        for (at, choice) in scored.iter().enumerate() {
            if scored[..at].iter().any(|earlier| earlier.may_share(choice)) {
                return Some(format!("{} appears twice", describe(choice)));
            }
        }
        let (id, ood) = self.tuning()?;
        let tuned: Vec<Choice> = std::iter::once(id).chain(ood).map(|split| split.0).collect();
        if let Some(held_in) = tuned.iter().find(|choice| choice.may_share(&training)) {
            return Some(format!("validation: {} would be learned from and tuned with", describe(held_in)));
        }
        tuned
            .iter()
            .find(|choice| scored.iter().any(|other| other.may_share(choice)))
            .map(|choice| format!("validation: {} would be tuned with and scored", describe(choice)))
    }

    fn problem(&self) -> Option<String> {
        let InDistribution { train_limit, test_limit, shifted, .. } = &self.id;
        let tuned =
            self.validation.iter().flat_map(|validation| std::iter::once(&validation.id).chain(&validation.ood));
        let all: Vec<&Member> = self.members().map(|(_, member)| member).chain(shifted).chain(tuned).collect();
        let limits = all.iter().flat_map(|member| [member.limit, member.subset.map(|subset| subset.images())]);
        if limits.chain([*train_limit, *test_limit]).flatten().any(|limit| limit == 0) {
            return Some("a limit or subset of 0 leaves no image".into());
        }
        if let Some((group, _)) = self.groups.iter().find(|(_, members)| members.is_empty()) {
            return Some(format!("group {group:?} is empty"));
        }
        if self.groups.is_empty() {
            return Some("groups: expected at least one".into());
        }
        // Splits that are left open have no name yet: `resolve` compares those.
        let mut seen = BTreeSet::new();
        for (_, member) in self.members() {
            if !seen.insert((&member.set, &member.split, &member.subset)) {
                return Some(format!("set {:?} appears twice", member.set));
            }
        }
        self.roles_problem()
    }
}
