//! `oodlab metrics`: the numbers of this program for the scores of any other.

use std::path::Path;

use anyhow::{Context, Result};
use oodlab_evaluation::scores::{ScoreColumns, read_score_file};
use oodlab_evaluation::{FprRule, Metrics, evaluate};
use serde::Serialize;

use super::{print, print_json};

#[derive(Serialize)]
struct Line<'a> {
    detector: &'a str,
    #[serde(flatten)]
    metrics: &'a Metrics,
}

/// Prints one line a score column, or with `--json` an array with one object a column.
pub fn run(file: &Path, scores: &[String], is_ood: &str, json: bool) -> Result<()> {
    let columns = ScoreColumns { scores: scores.to_vec(), is_ood: is_ood.to_owned() };
    let detectors = read_score_file(file, &columns)?;
    let mut found = Vec::new();
    for detector in &detectors {
        let metrics = evaluate(&detector.id, &detector.ood, FprRule::FirstAtLeast)
            .with_context(|| format!("{}: column {:?}", file.display(), detector.name))?;
        for warning in &metrics.warnings {
            tracing::warn!("{}: {warning}", detector.name);
        }
        found.push((detector.name.as_str(), metrics));
    }
    if json {
        return print_json(&found.iter().map(|(detector, metrics)| Line { detector, metrics }).collect::<Vec<_>>());
    }
    print(&describe(&found))
}

fn describe(found: &[(&str, Metrics)]) -> String {
    let width = found.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max("detector".len());
    let mut text = format!(
        "{:width$}  {:>7} {:>7}  {:>22}  {:>8} {:>8}  {:>8} {:>9}\n",
        "detector", "n_id", "n_ood", "auroc [95 % interval]", "aupr_in", "aupr_out", "fpr95_id", "fpr95_ood"
    );
    for (name, m) in found {
        let auroc = format!("{:.2} [{:.2}, {:.2}]", 100.0 * m.auroc, 100.0 * m.auroc_low, 100.0 * m.auroc_high);
        text.push_str(&format!(
            "{name:width$}  {:>7} {:>7}  {auroc:>22}  {:>8.2} {:>8.2}  {:>8.2} {:>9.2}\n",
            m.n_id,
            m.n_ood,
            100.0 * m.aupr_in,
            100.0 * m.aupr_out,
            100.0 * m.fpr95_id,
            100.0 * m.fpr95_ood
        ));
    }
    text.push_str(
        "percent; fpr95_id: share of OOD accepted at >= 95 % of ID accepted; fpr95_ood: share of ID rejected at >= 95 % of OOD caught\n",
    );
    text
}
