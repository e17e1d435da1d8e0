//! How scores stand in the mean over a group of sets.

use std::collections::{BTreeMap, BTreeSet};

use crate::metrics::Metric;
use crate::record::Record;
use crate::table::{Row, Table};

use super::text::label;

/// What the summary names of a score.
pub(super) const METRICS: [Metric; 3] = [Metric::Auroc, Metric::Fpr95Id, Metric::Fpr95Ood];

/// A group of sets under one protocol.
pub(super) struct Group<'a> {
    pub benchmark: &'a str,
    pub protocol: &'a str,
    pub id_set: &'a str,
    /// `near`, `far`.
    pub group: &'a str,
    /// Over how many sets the means are.
    pub sets: usize,
    /// Every score and cell, best AUROC first; those whose AUROC is no number are left out.
    pub standings: Vec<Standing<'a>>,
}

/// A score of one cell in the mean over a group.
pub(super) struct Standing<'a> {
    pub detector: &'a str,
    pub score: &'a str,
    pub cell: &'a str,
    pub control: bool,
    /// Its rows: one a seed.
    pub rows: Vec<&'a Row>,
}

impl Standing<'_> {
    /// `dlsr / mse`
    pub fn name(&self) -> String {
        label(self.detector, self.score)
    }

    /// Mean over the seeds, and the deviation (divided by their number) where there are several.
    pub fn value(&self, metric: Metric) -> Option<(f64, Option<f64>)> {
        let values: Vec<f64> = self.rows.iter().map(|row| row.value(metric)).collect::<Option<_>>()?;
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
        Some((mean, (values.len() > 1).then_some(deviation)))
    }

    pub fn auroc(&self) -> f64 {
        self.value(Metric::Auroc).map_or(f64::NAN, |(mean, _)| mean)
    }
}

impl<'a> Group<'a> {
    /// The best score that is no control.
    pub fn own(&self) -> Option<&Standing<'a>> {
        self.standings.iter().find(|standing| !standing.control)
    }

    /// The best simple control.
    pub fn control(&self) -> Option<&Standing<'a>> {
        self.standings.iter().find(|standing| standing.control)
    }
}

/// Names of detectors that stand beside the experiment's own for comparison.
pub(super) fn controls(record: &Record) -> BTreeSet<&str> {
    let detectors = record.about.runs.iter().flat_map(|run| &run.detectors);
    detectors.filter(|detector| detector.control).map(|detector| detector.name.as_str()).collect()
}

/// The table with the means over groups, also when it was kept without.
pub(super) fn with_means(table: &Table) -> Table {
    let mut table = table.clone();
    if table.rows.iter().all(|row| row.mean_of().is_none()) {
        table.group_means();
    }
    table
}

/// Every group in the order in which the table first names it.
pub(super) fn groups<'a>(table: &'a Table, controls: &BTreeSet<&str>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut group_places = BTreeMap::new();
    let mut places = BTreeMap::new();
    for row in &table.rows {
        let Some(sets) = row.mean_of() else { continue };
        let key = (&row.benchmark, &row.id_set, &row.protocol, &row.group, sets);
        let at = *group_places.entry(key).or_insert_with(|| {
            groups.push(Group {
                benchmark: &row.benchmark,
                protocol: &row.protocol,
                id_set: &row.id_set,
                group: &row.group,
                sets,
                standings: Vec::new(),
            });
            groups.len() - 1
        });
        let standings = &mut groups[at].standings;
        let place = *places.entry((key, &row.detector, &row.score, &row.cell)).or_insert_with(|| {
            standings.push(Standing {
                detector: &row.detector,
                score: &row.score,
                cell: &row.cell,
                control: controls.contains(row.detector.as_str()),
                rows: Vec::new(),
            });
            standings.len() - 1
        });
        standings[place].rows.push(row);
    }
    for group in &mut groups {
        group.standings.retain(|standing| !standing.auroc().is_nan());
        // Stable: equal scores keep the table's order.
        group.standings.sort_by(|a, b| b.auroc().total_cmp(&a.auroc()));
    }
    groups.retain(|group| !group.standings.is_empty());
    groups
}
