//! The lines as tables in a terminal.

use oodlab_evaluation::metrics::Method;
use oodlab_evaluation::{Metric, Recall};

use super::arguments::MetricsArguments;
use super::line::{Line, column};

/// Metrics that are always shown; others are shown where a convention prints them or they were asked for.
const SHOWN: [Metric; 5] = [Metric::Auroc, Metric::AuprIn, Metric::AuprOut, Metric::Fpr95Id, Metric::Fpr95Ood];
const ASKED_FOR: [Metric; 3] = [Metric::Accuracy, Metric::Oscr, Metric::CalibrationError];

/// Tables of metrics and of comparisons, and what their numbers are.
pub fn describe(arguments: &MetricsArguments, lines: &[Line]) -> String {
    let prints = arguments.convention.prints;
    let further = Metric::OF_SCORES.into_iter().filter(|metric| !SHOWN.contains(metric) && prints.contains(metric));
    let asked = ASKED_FOR.into_iter().filter(|metric| lines.iter().any(|line| line.values.contains_key(metric)));
    let metrics: Vec<Metric> = SHOWN.into_iter().chain(further).chain(asked).collect();
    let mut text = metrics_table(arguments, lines, &metrics);
    text += &legend(arguments);
    if lines.iter().any(|line| !line.against.is_empty()) {
        text += "\n";
        text += &comparison_table(arguments, lines);
    }
    text
}

fn metrics_table(arguments: &MetricsArguments, lines: &[Line], metrics: &[Metric]) -> String {
    let with_sets = arguments.set.is_some();
    let mut header = vec!["detector".to_owned()];
    header.extend(with_sets.then(|| "set".to_owned()));
    header.extend(["n_id", "n_ood", "auroc [95 % interval]"].map(str::to_owned));
    header.extend(metrics[1..].iter().map(|&metric| column(metric, arguments.recall)));
    let mut rows = vec![header];
    for line in lines {
        let mut row = vec![line.detector.clone()];
        row.extend(with_sets.then(|| line.set.clone().unwrap_or_default()));
        row.push(line.n_id.to_string());
        row.push(line.n_ood.map_or_else(|| "-".to_owned(), |n| n.to_string()));
        for (place, metric) in metrics.iter().enumerate() {
            let interval = line.intervals.get(metric);
            row.push(match (line.values.get(metric), interval) {
                (None, _) => "-".to_owned(),
                (Some(value), None) => percent(*value),
                (Some(value), Some([low, high])) if place == 0 => {
                    format!("{} [{}, {}]", percent(*value), percent(*low), percent(*high))
                }
                (Some(value), Some([low, high])) => format!("{} ±{}", percent(*value), percent((high - low) / 2.0)),
            });
        }
        rows.push(row);
    }
    aligned(&rows, if with_sets { 2 } else { 1 })
}

fn percent(fraction: f64) -> String {
    format!("{:.2}", 100.0 * fraction)
}

/// What the numbers are, one fact a line.
fn legend(arguments: &MetricsArguments) -> String {
    let (convention, recall, replicates) = (arguments.convention, arguments.recall, arguments.replicates());
    let (share, rule) = (recall.percent(), convention.rule);
    let mut text = format!(
        "percent; fpr{share}_id: share of OOD accepted at {share} % of ID accepted; fpr{share}_ood: share of ID rejected at \
         {share} % of OOD caught\noperating point: {rule} ({}{})\n",
        rule.description(),
        if recall == Recall::P95 { String::new() } else { format!("; here {share} % in the place of 95 %") },
    );
    if convention.name != rule.name() {
        let prints: Vec<String> = convention.prints.iter().map(|&metric| column(metric, recall)).collect();
        let prints = if prints.is_empty() { String::new() } else { format!("prints {}", prints.join(", ")) };
        let parts: Vec<&str> = [prints.as_str(), convention.note].into_iter().filter(|part| !part.is_empty()).collect();
        text += &format!("convention {}: {}\n", convention.name, parts.join("; "));
    }
    if arguments.lower_is_ood {
        text += "scores were negated: in this file higher means more in-distribution\n";
    }
    if replicates > 0 {
        text += &format!(
            "±: half the width of the 95 % bootstrap interval ({replicates} replicates, seed {}); auroc: DeLong's interval, in \
             a mean the bootstrap's\n",
            arguments.seed
        );
    }
    text
}

fn comparison_table(arguments: &MetricsArguments, lines: &[Line]) -> String {
    let with_sets = arguments.set.is_some();
    let mut header = vec!["detector".to_owned(), "against".to_owned()];
    header.extend(with_sets.then(|| "set".to_owned()));
    header.extend(["metric", "difference [95 % interval]", "p", "p (Holm)", "test"].map(str::to_owned));
    let mut rows = vec![header];
    for comparison in lines.iter().flat_map(|line| &line.against) {
        let points = |difference: f64| {
            let text = format!("{:+.2}", 100.0 * difference);
            if text == "-0.00" { "+0.00".to_owned() } else { text }
        };
        let probability = |p: Option<f64>| match p {
            None => "-".to_owned(),
            Some(p) if p < 0.0001 => "< 0.0001".to_owned(),
            Some(p) => format!("{p:.4}"),
        };
        let mut row = vec![comparison.detector_a.clone(), comparison.detector_b.clone()];
        row.extend(with_sets.then(|| comparison.ood_set.clone()));
        row.push(column(comparison.metric, arguments.recall));
        row.push(format!(
            "{} [{}, {}]",
            points(comparison.difference),
            points(comparison.low),
            points(comparison.high)
        ));
        row.push(probability(comparison.p));
        row.push(probability(comparison.p_holm));
        row.push(match comparison.method {
            Method::DelongPaired => "DeLong".to_owned(),
            Method::BootstrapPaired => "bootstrap".to_owned(),
        });
        rows.push(row);
    }
    let mut text = aligned(&rows, if with_sets { 4 } else { 3 });
    text += "points; the same images for both. p: two-sided, of no difference. p (Holm): corrected over the sets, means among \
             themselves\n";
    text
}

/// Columns two blanks apart, the first `left` of them aligned left.
fn aligned(rows: &[Vec<String>], left: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|at| width(at).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(at, (cell, &width))| if at < left { format!("{cell:<width$}") } else { format!("{cell:>width$}") })
            .collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}
