//! Comparisons of detectors as Markdown.

use super::comparison::{Comparison, Method};
use crate::table::escaped;

/// One block a pair of scores on one ID set under one protocol in one run, in the rows' order: a heading, a table of one line a set and
/// metric, and behind all blocks a caption. Values in percent, differences in points. Empty without rows.
#[must_use]
pub fn comparisons_to_markdown(rows: &[Comparison]) -> String {
    let mut out = String::new();
    let mut block = None;
    for row in rows {
        let heading = heading(row);
        if block.as_ref() != Some(&heading) {
            let (a, b) = (name(&row.detector_a, &row.score_a), name(&row.detector_b, &row.score_b));
            out += &format!("{}### {}\n\n", if block.is_some() { "\n" } else { "" }, escaped(&heading));
            out += &format!(
                "| OOD set | metric | {} | {} | difference [95 %] | p | p (Holm) | test |\n",
                escaped(&a),
                escaped(&b)
            );
            out += "|:---|:---|---:|---:|---:|---:|---:|:---|\n";
            block = Some(heading);
        }
        out += &format!(
            "| {} | {} | {:.2} | {:.2} | {} [{}, {}] | {} | {} | {} |\n",
            escaped(&set(row)),
            row.metric.label(),
            100.0 * row.a,
            100.0 * row.b,
            points(row.difference),
            points(row.low),
            points(row.high),
            probability(row.p),
            probability(row.p_holm),
            match row.method {
                Method::DelongPaired => "DeLong",
                Method::BootstrapPaired => "bootstrap",
            },
        );
    }
    if !rows.is_empty() {
        out += &caption(rows);
    }
    out
}

/// `dlsr / mse against knn: quickstart, ID cifar10, protocol native, seed 0`
fn heading(row: &Comparison) -> String {
    let pair = format!("{} against {}", name(&row.detector_a, &row.score_a), name(&row.detector_b, &row.score_b));
    let seed = row.seed.to_string();
    let parts =
        [("", &row.benchmark), ("ID ", &row.id_set), ("protocol ", &row.protocol), ("", &row.cell), ("seed ", &seed)];
    let parts: Vec<String> =
        parts.iter().filter(|(_, text)| !text.is_empty()).map(|(what, text)| format!("{what}{text}")).collect();
    format!("{pair}: {}", parts.join(", "))
}

fn name(detector: &str, score: &str) -> String {
    if score.is_empty() || score == detector { detector.to_owned() } else { format!("{detector} / {score}") }
}

/// `far: mean of 2`, as in the table.
fn set(row: &Comparison) -> String {
    let is_mean = row.ood_set.starts_with("mean of ");
    if is_mean && !row.group.is_empty() { format!("{}: {}", row.group, row.ood_set) } else { row.ood_set.clone() }
}

/// Hundredths of a percent with a sign; 0 has none.
fn points(difference: f64) -> String {
    let text = format!("{:+.2}", 100.0 * difference);
    if text == "+0.00" || text == "-0.00" { "0.00".to_owned() } else { text }
}

/// Three decimals; `-` for a test without an answer.
fn probability(p: Option<f64>) -> String {
    match p {
        None => "-".to_owned(),
        Some(p) if p < 0.001 => "< 0.001".to_owned(),
        Some(p) => format!("{p:.3}"),
    }
}

fn caption(rows: &[Comparison]) -> String {
    let mut text = "\nMetrics in percent, differences (first minus second, on the same images) in points; intervals are not \
        corrected. p: two-sided. p (Holm): corrected over all sets of one pair, metric and protocol; means over groups are \
        corrected among themselves."
        .to_owned();
    let has = |method| rows.iter().any(|row| row.method == method);
    if has(Method::DelongPaired) {
        text += " DeLong: paired test of the AUROC.";
    }
    if has(Method::BootstrapPaired) {
        text += " bootstrap: both classes drawn anew with replacement, the same images for both; percentile interval.";
    }
    let mut metrics: Vec<_> = rows.iter().map(|row| row.metric).filter(|metric| !metric.higher_is_better()).collect();
    metrics.sort_unstable();
    metrics.dedup();
    if !metrics.is_empty() {
        let labels: Vec<&str> = metrics.into_iter().map(super::Metric::label).collect();
        text += &format!(" Lower is better: {}.", labels.join(", "));
    }
    if rows.iter().any(|row| row.p.is_none()) {
        text += " -: no variance, no test.";
    }
    text + "\n"
}
