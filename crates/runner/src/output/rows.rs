//! A finished run as table rows and score records.

use std::collections::{BTreeMap, BTreeSet};

use oodlab_base::{Key, KeyBuilder};
use oodlab_evaluation::scores::ScoreRecords;
use oodlab_evaluation::{Metric, Row, Table};

use crate::plan::Run;
use crate::stages::evaluate::{Evaluated, Group, RULE, ScoredContender};
use crate::stages::source::FeatureSource;

/// One table row an out-of-distribution set, protocol and score. Names come from the plan, numbers from the store.
pub fn rows<'a>(experiment: &'a str, run: &'a Run, evaluated: &'a Evaluated) -> impl Iterator<Item = Row> + 'a {
    let sets = &run.sets;
    evaluated.sets.iter().filter_map(move |metrics| {
        let (contender, outlier) = (run.contenders.get(metrics.contender)?, sets.outliers.get(metrics.outlier)?);
        let shifted: Vec<&FeatureSource> = sets.shifted_under(outlier.protocol).map(|(_, source)| source).collect();
        let value = |metric: Metric| metrics.values.get(&metric).copied().unwrap_or(f64::NAN);
        let end = |at: usize| metrics.intervals.get(&Metric::Auroc).map(|ends| ends[at]);
        let more = |metric: &Metric| oodlab_evaluation::table::MORE.contains(metric);
        Some(Row {
            experiment: experiment.to_owned(),
            cell: run.cell.name.clone(),
            seed: run.seed,
            detector: contender.name.clone(),
            score: metrics.score.clone(),
            benchmark: sets.benchmark.name.clone(),
            protocol: outlier.protocol.name().to_owned(),
            id_set: id_set(&sets.id_test, &shifted),
            ood_set: outlier.name.clone(),
            group: outlier.group.clone(),
            n_id: Some(metrics.n_id as u64),
            n_ood: Some(metrics.n_ood as u64),
            auroc: value(Metric::Auroc),
            auroc_low: end(0),
            auroc_high: end(1),
            aupr_in: value(Metric::AuprIn),
            aupr_out: value(Metric::AuprOut),
            fpr95_id: value(Metric::Fpr95Id),
            fpr95_ood: value(Metric::Fpr95Ood),
            rule: RULE.name().to_owned(),
            id_list: id_list(&sets.id_test, &shifted).short(),
            ood_list: outlier.encode.list_key().short(),
            run: run.key.short(),
            more: metrics.values.iter().filter(|(metric, _)| more(metric)).map(|(m, v)| (*m, *v)).collect(),
            intervals: metrics
                .intervals
                .iter()
                .filter(|(metric, _)| **metric != Metric::Auroc)
                .map(|(metric, ends)| (*metric, *ends))
                .collect(),
            sweep: run.cell.values.clone(),
        })
    })
}

/// Gives the mean rows of all runs their intervals.
pub fn add_mean_intervals(table: &mut Table, finished: &[(&Run, Evaluated)]) {
    let mut known: BTreeMap<(&str, u64, &Group), &BTreeMap<Metric, [f64; 2]>> = BTreeMap::new();
    for (run, evaluated) in finished {
        for mean in &evaluated.means {
            known.insert((&run.cell.name, run.seed, &mean.group), &mean.intervals);
        }
    }
    for row in table.rows.iter_mut().filter(|row| row.mean_of().is_some()) {
        let group = Group {
            detector: row.detector.clone(),
            score: row.score.clone(),
            protocol: row.protocol.clone(),
            group: row.group.clone(),
        };
        let Some(intervals) = known.get(&(row.cell.as_str(), row.seed, &group)) else { continue };
        row.intervals = (*intervals).clone();
        if let Some([low, high]) = row.intervals.remove(&Metric::Auroc) {
            (row.auroc_low, row.auroc_high) = (Some(low), Some(high));
        }
    }
}

/// Adds every score of every sample.
pub fn add_records(run: &Run, contender: &ScoredContender, records: &mut ScoreRecords) {
    let sets = &run.sets;
    // ID images are the same under every protocol: they are written once, without one.
    let id = std::iter::once(("", sets.id_test.set(), &contender.test, false));
    let shifted = sets.shifted.iter().zip(&contender.shifted);
    let shifted = shifted.map(|(set, scores)| (set.protocol.name(), set.encode.set(), scores, false));
    let outliers = sets.outliers.iter().zip(&contender.outliers);
    let outliers = outliers.map(|(set, scores)| (set.protocol.name(), set.name.as_str(), scores, true));
    for (protocol, set, scores, is_ood) in id.chain(shifted).chain(outliers) {
        for (name, column) in scores.names.iter().zip(&scores.columns) {
            for (index, (id, value)) in scores.ids.iter().zip(column).enumerate() {
                records.push(
                    &run.cell.name,
                    run.seed,
                    &contender.detector,
                    name,
                    protocol,
                    set,
                    is_ood,
                    index as u32,
                    id,
                    *value,
                );
            }
        }
    }
}

/// What the metrics of a run warn of, each with its place.
pub fn warnings<'a>(run: &'a Run, evaluated: &'a Evaluated) -> impl Iterator<Item = String> + 'a {
    evaluated.warnings.iter().map(|[place, warning]| match place.strip_suffix(')') {
        Some(open) => format!("{open}, {}): {warning}", run.name()),
        None => format!("{place}: {warning}"),
    })
}

/// `cifar10 train, 10000 images (list 1a2b3c4d)`: what a run was trained on.
pub fn trained_on(run: &Run) -> String {
    let train = run.sets.train.source();
    let (set, split, count, unit) = (train.set(), train.split(), train.len(), train.unit());
    format!("{set} {split}, {count} {unit} (list {})", &train.list_key().hex()[..8])
}

/// Sets of which only a part is at hand: `textures all: 300 of 5640 images at hand`.
pub fn partial(run: &Run) -> BTreeSet<String> {
    let partial = |source: &FeatureSource| {
        let (found, expected) = (source.found(), source.expected()?);
        let (set, split, unit) = (source.set(), source.split(), source.unit());
        (found < expected).then(|| format!("{set} {split}: {found} of {expected} {unit} at hand"))
    };
    run.sets.encodes().filter_map(partial).collect()
}

/// `imagenet`, or `imagenet+imagenet-v2` where shifted sets count as in-distribution.
fn id_set(test: &FeatureSource, shifted: &[&FeatureSource]) -> String {
    std::iter::once(test.set()).chain(shifted.iter().map(|source| source.set())).collect::<Vec<_>>().join("+")
}

/// The hash of the in-distribution images: of their list, or of the lists of all sets that count as such.
fn id_list(test: &FeatureSource, shifted: &[&FeatureSource]) -> Key {
    if shifted.is_empty() {
        return test.list_key();
    }
    let start = KeyBuilder::new("image lists", 1).key("list", &test.list_key());
    shifted.iter().fold(start, |key, source| key.key("list", &source.list_key())).finish()
}
