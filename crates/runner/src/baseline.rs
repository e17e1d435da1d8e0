//! A committed baseline: what an experiment's metrics were, and on which numerics.

use std::collections::BTreeMap;

use oodlab_evaluation::{Row, Table};
use serde::{Deserialize, Serialize};

/// Metrics may differ by this much on a machine with other numerics: 0.1 point.
pub const POINT_TENTH: f64 = 0.001;

/// FPR95 counts images, so a small set cannot move by less than one: two are allowed on a machine with other numerics.
const IMAGES: f64 = 2.0;

/// The file `results/baselines/<experiment>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// The experiment's name.
    pub experiment: String,
    /// Its file, from the project's root.
    pub file: String,
    /// What equal bits depend on; see `oodlab check --help`.
    pub numerics: String,
    /// One entry a table row.
    pub rows: Vec<Entry>,
}

/// The metrics of one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    cell: String,
    seed: u64,
    detector: String,
    score: String,
    protocol: String,
    group: String,
    ood_set: String,
    n_id: Option<u64>,
    n_ood: Option<u64>,
    id_list: String,
    ood_list: String,
    metrics: BTreeMap<String, f64>,
}

impl Baseline {
    /// The baseline that this table would be.
    pub fn of(table: &Table, experiment: &str, file: &str, numerics: String) -> Baseline {
        let rows = table.rows.iter().map(Entry::of).collect();
        Baseline { experiment: experiment.to_owned(), file: file.to_owned(), numerics, rows }
    }

    /// What moved between this baseline and a later one: one line each, empty when nothing did.
    pub fn moved(&self, now: &Baseline) -> Vec<String> {
        let exact = self.numerics == now.numerics;
        let mut found = Vec::new();
        for old in &self.rows {
            match now.rows.iter().find(|new| new.identity() == old.identity()) {
                None => found.push(format!("{}: missing now", old.name())),
                Some(new) => old.differences(new, exact, &mut found),
            }
        }
        for new in &now.rows {
            if !self.rows.iter().any(|old| old.identity() == new.identity()) {
                found.push(format!("{}: not in the baseline", new.name()));
            }
        }
        found
    }
}

impl Entry {
    fn of(row: &Row) -> Entry {
        let metrics = [
            ("auroc", row.auroc),
            ("aupr_in", row.aupr_in),
            ("aupr_out", row.aupr_out),
            ("fpr95_id", row.fpr95_id),
            ("fpr95_ood", row.fpr95_ood),
        ];
        Entry {
            cell: row.cell.clone(),
            seed: row.seed,
            detector: row.detector.clone(),
            score: row.score.clone(),
            protocol: row.protocol.clone(),
            group: row.group.clone(),
            ood_set: row.ood_set.clone(),
            n_id: row.n_id,
            n_ood: row.n_ood,
            id_list: row.id_list.clone(),
            ood_list: row.ood_list.clone(),
            metrics: metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        }
    }

    fn identity(&self) -> (&str, u64, &str, &str, &str, &str, &str) {
        (&self.cell, self.seed, &self.detector, &self.score, &self.protocol, &self.group, &self.ood_set)
    }

    fn name(&self) -> String {
        let cell = if self.cell.is_empty() { String::new() } else { format!("{}, ", self.cell) };
        format!("{cell}seed {}, {} on {} ({}, {})", self.seed, self.score, self.ood_set, self.group, self.protocol)
    }

    fn differences(&self, new: &Entry, exact: bool, found: &mut Vec<String>) {
        if (&self.id_list, &self.ood_list) != (&new.id_list, &new.ood_list) {
            found.push(format!(
                "{}: other images were read ({:?}, {:?} before)",
                self.name(),
                self.id_list,
                self.ood_list
            ));
            return;
        }
        for (metric, before) in &self.metrics {
            let Some(after) = new.metrics.get(metric) else { continue };
            let images = match metric.as_str() {
                "fpr95_id" => self.n_ood,
                "fpr95_ood" => self.n_id,
                _ => None,
            };
            // A mean has no counts of its own: one of its sets may have moved by its images.
            let steps = images
                .map_or(if metric.starts_with("fpr95") { 2.0 * IMAGES * POINT_TENTH } else { 0.0 }, |n| {
                    IMAGES / n as f64
                });
            let allowed = if exact { 0.0 } else { POINT_TENTH.max(steps) };
            let change = after - before;
            if change.abs() > allowed || change.is_nan() {
                let (before, after, change, allowed) = (100.0 * before, 100.0 * after, 100.0 * change, 100.0 * allowed);
                let name = self.name();
                found.push(format!(
                    "{name}: {metric} {before:.4} -> {after:.4} ({change:+.4} points, {allowed:.2} allowed)"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(auroc: f64, numerics: &str) -> Baseline {
        let row = Row {
            score: "mse".into(),
            ood_set: "svhn".into(),
            n_id: Some(100),
            n_ood: Some(100),
            auroc,
            ..Row::default()
        };
        let zero = Row { aupr_in: 0.0, aupr_out: 0.0, fpr95_id: 0.0, fpr95_ood: 0.0, ..row };
        Baseline::of(&Table::new(vec![zero]), "x", "experiments/x.yaml", numerics.into())
    }

    #[test]
    fn equal_numerics_are_compared_to_the_bit() {
        assert!(baseline(0.9, "a").moved(&baseline(0.9, "a")).is_empty());
        assert_eq!(baseline(0.9, "a").moved(&baseline(0.900_000_1, "a")).len(), 1);
    }

    #[test]
    fn other_numerics_may_move_by_a_tenth_of_a_point() {
        assert!(baseline(0.9, "a").moved(&baseline(0.9009, "b")).is_empty());
        assert_eq!(baseline(0.9, "a").moved(&baseline(0.8985, "b")).len(), 1);
    }

    #[test]
    fn rows_that_come_and_go_are_told() {
        let empty = Baseline { rows: vec![], ..baseline(0.9, "a") };
        assert!(baseline(0.9, "a").moved(&empty)[0].contains("missing"));
        assert!(empty.moved(&baseline(0.9, "a"))[0].contains("not in the baseline"));
    }

    #[test]
    fn other_images_are_told_whatever_the_metrics() {
        let mut other = baseline(0.9, "a");
        other.rows[0].ood_list = "elsewhere".into();
        assert!(baseline(0.9, "a").moved(&other)[0].contains("other images"));
    }
}
