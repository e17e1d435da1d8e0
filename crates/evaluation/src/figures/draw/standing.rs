//! What is drawn when the experiment file does not say.

use std::collections::BTreeSet;

use super::super::spec::{FigureKind, FigureSpec, HeatmapSpec, HistogramSpec, LossSpec, RocSpec, SweepSpec};
use crate::metrics::Metric;
use crate::record::Record;

/// Up to so many runs each get figures of their own; a larger sweep gets those of the sweep alone.
const RUNS_DRAWN: usize = 6;

pub(super) fn standing(record: &Record) -> Vec<FigureSpec> {
    let mut kinds = Vec::new();
    let blocks = record.scores.blocks();
    let runs: BTreeSet<(&str, u64)> = blocks.iter().map(|block| (block.cell, block.seed)).collect();
    if runs.len() <= RUNS_DRAWN {
        if blocks.iter().any(|block| block.is_ood) {
            kinds.push(FigureKind::Roc(RocSpec::default()));
            kinds.push(FigureKind::Histogram(HistogramSpec::default()));
        }
        if record.about.runs.iter().any(|run| !run.curves.is_empty()) {
            kinds.push(FigureKind::Loss(LossSpec::default()));
        }
    }
    let has_means = record.table.rows.iter().any(|row| row.mean_of().is_some());
    match record.table.sweep_keys.len() {
        1 if has_means => kinds.push(FigureKind::Sweep(SweepSpec::default())),
        2 if has_means => kinds.push(FigureKind::Heatmap(HeatmapSpec {
            metrics: vec![Metric::Auroc, Metric::Fpr95Id],
            ..HeatmapSpec::default()
        })),
        _ => {}
    }
    kinds.into_iter().map(FigureSpec::from).collect()
}
