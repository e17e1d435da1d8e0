//! A committed baseline: what an experiment's metrics were, and on which numerics.

use std::collections::{BTreeMap, BTreeSet};

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
    /// Hashes of the training images.
    pub train_lists: BTreeSet<String>,
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
    pub fn of(
        table: &Table,
        train_lists: &BTreeSet<String>,
        experiment: &str,
        file: &str,
        numerics: String,
    ) -> Baseline {
        let rows = table.rows.iter().map(Entry::of).collect();
        let (experiment, file, train_lists) = (experiment.to_owned(), file.to_owned(), train_lists.clone());
        Baseline { experiment, file, numerics, train_lists, rows }
    }

    /// What moved between this baseline and a later one: one line each, empty when nothing did.
    pub fn moved(&self, now: &Baseline) -> Vec<String> {
        let exact = self.numerics == now.numerics;
        let mut found = Vec::new();
        if self.train_lists != now.train_lists {
            let (before, after) = (&self.train_lists, &now.train_lists);
            found.push(format!("other training images: lists {before:?} -> {after:?}; are the same files at hand?"));
        }
        for old in &self.rows {
            match now.rows.iter().find(|new| new.identity() == old.identity()) {
                None => found.push(format!("{}: missing now", old.name())),
                Some(new) => old.differences(new, exact, |metric| self.allowed(old, metric), &mut found),
            }
        }
        for new in &now.rows {
            if !self.rows.iter().any(|old| old.identity() == new.identity()) {
                found.push(format!("{}: not in the baseline", new.name()));
            }
        }
        found
    }

    /// How far a metric may move on other numerics: 0.1 point, and for FPR95 two images where that is more; in a mean, the
    /// mean of what its sets may move.
    fn allowed(&self, entry: &Entry, metric: &str) -> f64 {
        let images = |entry: &Entry| match metric {
            "fpr95_id" => entry.n_ood,
            "fpr95_ood" => entry.n_id,
            _ => None,
        };
        let of_set = |entry: &Entry| images(entry).map_or(POINT_TENTH, |n| POINT_TENTH.max(IMAGES / n as f64));
        if entry.n_ood.is_some() {
            return of_set(entry);
        }
        let members: Vec<f64> = self
            .rows
            .iter()
            .filter(|row| row.n_ood.is_some() && row.group_identity() == entry.group_identity())
            .map(of_set)
            .collect();
        members.iter().sum::<f64>() / (members.len().max(1) as f64)
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

    /// What the rows of one mean share.
    fn group_identity(&self) -> (&str, u64, &str, &str, &str, &str) {
        (&self.cell, self.seed, &self.detector, &self.score, &self.protocol, &self.group)
    }

    fn name(&self) -> String {
        let cell = if self.cell.is_empty() { String::new() } else { format!("{}, ", self.cell) };
        format!("{cell}seed {}, {} on {} ({}, {})", self.seed, self.score, self.ood_set, self.group, self.protocol)
    }

    fn differences(&self, new: &Entry, exact: bool, allowed: impl Fn(&str) -> f64, found: &mut Vec<String>) {
        if (&self.id_list, &self.ood_list) != (&new.id_list, &new.ood_list) {
            found.push(format!(
                "{}: other images were read ({:?}, {:?} before)",
                self.name(),
                self.id_list,
                self.ood_list
            ));
            return;
        }
        for (metric, after) in &new.metrics {
            let Some(before) = self.metrics.get(metric) else {
                found.push(format!("{}: {metric} is not in the baseline", self.name()));
                continue;
            };
            let allowed = if exact { 0.0 } else { allowed(metric) };
            let change = after - before;
            if change.abs() > allowed || change.is_nan() {
                let (before, after, change, allowed) = (100.0 * before, 100.0 * after, 100.0 * change, 100.0 * allowed);
                let name = self.name();
                found
                    .push(format!("{name}: {metric} {before} -> {after} ({change:+.1e} points, {allowed:.2} allowed)"));
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
        Baseline::of(
            &Table::new(vec![zero]),
            &BTreeSet::from(["list".to_owned()]),
            "x",
            "experiments/x.yaml",
            numerics.into(),
        )
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
    fn a_baseline_is_read_back_to_the_bit() {
        for auroc in [0.975_123_456_789_012_3, 0.1 + 0.2, 1.0 / 3.0, f64::MIN_POSITIVE, 0.979_3] {
            let before = baseline(auroc, "a");
            let text = serde_json::to_string_pretty(&before).expect("writes");
            let read: Baseline = serde_json::from_str(&text).expect("reads");
            assert_eq!(read.moved(&before), Vec::<String>::new());
        }
    }

    #[test]
    fn other_training_images_are_told() {
        let other = Baseline { train_lists: BTreeSet::new(), ..baseline(0.9, "a") };
        assert!(baseline(0.9, "a").moved(&other)[0].contains("training images"));
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
