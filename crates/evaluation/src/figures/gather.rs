//! The scores of a record by run, detector, score, protocol and set.

use std::collections::{BTreeMap, BTreeSet};

use super::spec::Selection;
use crate::record::Record;
use crate::scores::ScoreBlock;

/// The scores of one run.
pub(super) struct RunScores<'a> {
    /// `cell width=8, seed 0`.
    pub name: String,
    /// What is appended to the names of its figures: nothing where the record holds one run.
    pub suffix: String,
    /// In-distribution set.
    pub id_set: &'a str,
    /// One a detector and score, in the order of the record.
    pub series: Vec<SeriesScores<'a>>,
}

/// One score of one run.
pub(super) struct SeriesScores<'a> {
    pub score: &'a str,
    /// The score, with its detector where another one has a score of that name.
    pub label: String,
    /// Whether the detector is a control.
    pub control: bool,
    blocks: Vec<ScoreBlock<'a>>,
}

impl<'a> SeriesScores<'a> {
    /// Scores of the in-distribution images under a protocol, shifted sets included.
    pub fn id(&self, protocol: &str) -> Vec<f64> {
        let own = |block: &&ScoreBlock<'a>| !block.is_ood && (block.protocol.is_empty() || block.protocol == protocol);
        self.blocks.iter().filter(own).flat_map(|block| block.values).copied().collect()
    }

    /// Scores of an out-of-distribution set under a protocol.
    pub fn ood(&self, protocol: &str, set: &str) -> Vec<f64> {
        let own = |block: &&ScoreBlock<'a>| block.is_ood && block.protocol == protocol && block.set == set;
        self.blocks.iter().filter(own).flat_map(|block| block.values).copied().collect()
    }

    /// Everything of this score.
    pub fn blocks(&self) -> &[ScoreBlock<'a>] {
        &self.blocks
    }
}

impl<'a> RunScores<'a> {
    /// Protocols that are left, in byte order.
    pub fn protocols(&self, selection: &Selection) -> BTreeSet<&'a str> {
        let blocks = self.series.iter().flat_map(|series| &series.blocks).filter(|block| block.is_ood);
        blocks.map(|block| block.protocol).filter(|protocol| selection.protocol.has(protocol)).collect()
    }

    /// Out-of-distribution sets under a protocol that are left, in the order of the record.
    pub fn sets(&self, protocol: &str, selection: &Selection, record: &Record) -> Vec<&'a str> {
        let mut sets = Vec::new();
        for block in self.series.iter().flat_map(|series| &series.blocks) {
            let wanted = block.is_ood && block.protocol == protocol && selection.set.has(block.set);
            if wanted && in_group(record, selection, block.set) && !sets.contains(&block.set) {
                sets.push(block.set);
            }
        }
        sets
    }

    /// `, cell width=8, seed 0`, or nothing where the record holds one run.
    pub fn which(&self) -> String {
        if self.suffix.is_empty() { String::new() } else { format!(", {}", self.name) }
    }
}

/// Whether a set is in one of the groups that are left, as the table says.
fn in_group(record: &Record, selection: &Selection, set: &str) -> bool {
    let groups = || record.table.rows.iter().filter(|row| row.ood_set == set);
    selection.group.is_all() || groups().any(|row| selection.group.has(&row.group))
}

/// The runs of a record that are left, in its order; of each the detectors and scores that are left.
pub(super) fn runs<'a>(record: &'a Record, selection: &Selection) -> Vec<RunScores<'a>> {
    let mut runs: Vec<(&str, u64, Vec<ScoreBlock<'_>>)> = Vec::new();
    for block in record.scores.blocks() {
        match runs.iter_mut().find(|(cell, seed, _)| (*cell, *seed) == (block.cell, block.seed)) {
            Some((_, _, blocks)) => blocks.push(block),
            None => runs.push((block.cell, block.seed, vec![block])),
        }
    }
    let alone = runs.len() == 1;
    runs.into_iter()
        .filter(|(cell, seed, _)| selection.has_run(cell, &swept(record, cell), *seed))
        .map(|(cell, seed, blocks)| {
            let key = key(record, cell, seed);
            let prefix = if cell.is_empty() { String::new() } else { format!("cell {cell}, ") };
            let id_set = blocks.iter().find(|block| !block.is_ood).map_or("", |block| block.set);
            RunScores {
                name: format!("{prefix}seed {seed}"),
                suffix: if alone { String::new() } else { format!("-{key}") },
                id_set,
                series: series(record, selection, blocks),
            }
        })
        .collect()
}

fn series<'a>(record: &Record, selection: &Selection, blocks: Vec<ScoreBlock<'a>>) -> Vec<SeriesScores<'a>> {
    let controls = controls(record);
    let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for block in &blocks {
        names.entry(block.score).or_default().insert(block.detector);
    }
    let mut order: Vec<(&str, SeriesScores<'_>)> = Vec::new();
    for block in blocks {
        if !selection.detector.has(block.detector) || !selection.score.has(block.score) {
            continue;
        }
        let (detector, score) = (block.detector, block.score);
        match order.iter_mut().find(|(of, series)| (*of, series.score) == (detector, score)) {
            Some((_, series)) => series.blocks.push(block),
            None => {
                let shared = names.get(score).is_some_and(|detectors| detectors.len() > 1);
                let label = if shared { format!("{detector} {score}") } else { score.to_owned() };
                let control = controls.contains(detector);
                order.push((detector, SeriesScores { score, label, control, blocks: vec![block] }));
            }
        }
    }
    order.into_iter().map(|(_, series)| series).collect()
}

/// Names of the detectors that stand beside the experiment's own.
pub(super) fn controls(record: &Record) -> BTreeSet<&str> {
    let detectors = record.about.runs.iter().flat_map(|run| &run.detectors);
    detectors.filter(|detector| detector.control).map(|detector| detector.name.as_str()).collect()
}

/// The swept keys and values of a cell.
fn swept(record: &Record, cell: &str) -> BTreeMap<String, String> {
    let row = record.table.rows.iter().find(|row| row.cell == cell);
    let about = || record.about.runs.iter().find(|run| run.cell == cell).map(|run| run.sweep.clone());
    row.map(|row| row.sweep.clone()).or_else(about).unwrap_or_default()
}

/// The key of a run; where the record does not say, its seed.
fn key(record: &Record, cell: &str, seed: u64) -> String {
    let about = record.about.runs.iter().find(|run| run.cell == cell && run.seed == seed).map(|run| &run.run);
    let row = || record.table.rows.iter().find(|row| row.cell == cell && row.seed == seed).map(|row| &row.run);
    about.or_else(row).filter(|key| !key.is_empty()).cloned().unwrap_or_else(|| format!("seed{seed}"))
}
