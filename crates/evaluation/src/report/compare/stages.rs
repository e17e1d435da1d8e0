//! What each stage took in either experiment.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::About;
use crate::report::runs::stage_seconds;

use super::StagePair;

/// The stages of one label: keys, and seconds by key.
#[derive(Default)]
struct Kind<'a> {
    keys: BTreeSet<&'a str>,
    seconds: BTreeMap<&'a str, f64>,
}

impl Kind<'_> {
    fn total(&self) -> Option<f64> {
        (!self.seconds.is_empty()).then(|| self.seconds.values().sum())
    }
}

pub(super) fn pairs(a: &About, b: &About) -> Vec<StagePair> {
    let (of_a, of_b) = (kinds(a), kinds(b));
    let mut seen = BTreeSet::new();
    let labels =
        [a, b].into_iter().flat_map(|about| &about.runs).flat_map(|run| &run.stages).map(|stage| &*stage.label);
    let nothing = Kind::default();
    labels
        .filter(|label| seen.insert(*label))
        .map(|label| {
            let of = |kinds: &'_ BTreeMap<&str, Kind<'_>>| kinds.get(label).and_then(Kind::total);
            let keys = |kinds: &'_ BTreeMap<&str, Kind<'_>>| kinds.get(label).unwrap_or(&nothing).keys.len();
            let same = keys(&of_a) > 0
                && keys(&of_b) > 0
                && of_a.get(label).map(|kind| &kind.keys) == of_b.get(label).map(|kind| &kind.keys);
            StagePair { label: label.to_owned(), a: of(&of_a), b: of(&of_b), same_result: same }
        })
        .collect()
}

fn kinds(about: &About) -> BTreeMap<&str, Kind<'_>> {
    let mut kinds: BTreeMap<&str, Kind<'_>> = BTreeMap::new();
    for stage in about.runs.iter().flat_map(|run| &run.stages) {
        let kind = kinds.entry(&stage.label).or_default();
        kind.keys.insert(&stage.key);
        kind.seconds.extend(stage_seconds(stage).map(|seconds| (stage.key.as_str(), seconds)));
    }
    kinds
}
