//! Two experiments side by side, for a terminal.

use std::fmt::Write as _;

use crate::metrics::Metric;
use crate::record::Record;

use super::super::text::{duration, label};
use super::{RowPair, Side, SideBySide, compare};

/// Rows that are printed; of more only the means over groups are.
const ROWS: usize = 40;
/// Characters of a setting's value.
const VALUE: usize = 40;

/// The comparison as aligned columns: settings that differ, then the metrics of both with the difference (B minus A) in points.
#[must_use]
pub fn compare_text(a: &Record, b: &Record) -> String {
    let compared = compare(a, b);
    let mut out = String::new();
    for (letter, side) in [("A", &compared.a), ("B", &compared.b)] {
        let Side { experiment, command, program, .. } = side;
        let parts = [experiment, command, program].map(String::as_str);
        let said: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let _ = writeln!(out, "{letter}  {}", said.join("  ·  "));
    }
    settings(&compared, &mut out);
    results(&compared, &mut out);
    times(&compared, &mut out);
    out
}

fn settings(compared: &SideBySide, out: &mut String) {
    let same = compared.same_settings;
    if compared.settings.is_empty() {
        let _ = writeln!(out, "\nSettings: none of {same} differs");
        return;
    }
    let _ = writeln!(out, "\nSettings: {} differ, {same} are the same", compared.settings.len());
    let mut lines = vec![["setting".to_owned(), "A".to_owned(), "B".to_owned()]];
    lines.extend(
        compared.settings.iter().map(|pair| [pair.key.clone(), value(pair.a.as_ref()), value(pair.b.as_ref())]),
    );
    columns(&lines, &[], out);
}

fn value(value: Option<&String>) -> String {
    let Some(value) = value else { return "-".to_owned() };
    let line = value.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= VALUE { line } else { line.chars().take(VALUE - 1).chain(['…']).collect() }
}

fn results(compared: &SideBySide, out: &mut String) {
    out.push('\n');
    if compared.rows.is_empty() {
        out.push_str("Results: no row is in both: they match by detector, score, protocol, OOD set, cell and seed\n");
    } else {
        let all = compared.rows.len() <= ROWS;
        let rows = if all { compared.rows.iter().collect() } else { compared.first_rows() };
        out.push_str("Results in percent, B - A in points");
        if rows.len() < compared.rows.len() {
            let _ = write!(out, "; {} of {} rows: means over groups", rows.len(), compared.rows.len());
        }
        out.push('\n');
        table(&rows, out);
        if rows.iter().any(|row| row.metrics.iter().any(|metric| metric.overlap == Some(false))) {
            out.push_str("*: the 95 % intervals have no point in common\n");
        }
    }
    for across in &compared.across {
        let _ = writeln!(out, "{} {} of A stands beside {} of B", across.column, quoted(&across.a), quoted(&across.b));
    }
    if compared.incomparable() > 0 {
        let _ = writeln!(
            out,
            "{} of {} rows are of other images and have no difference",
            compared.incomparable(),
            compared.rows.len()
        );
    }
    for (letter, rows) in [("A", &compared.only_a), ("B", &compared.only_b)] {
        if !rows.is_empty() {
            let _ = writeln!(out, "Only in {letter}: {} rows", rows.len());
        }
    }
}

fn quoted(text: &str) -> String {
    if text.is_empty() { "(none)".to_owned() } else { text.to_owned() }
}

fn table(rows: &[&RowPair], out: &mut String) {
    let several = |get: &dyn Fn(&RowPair) -> String| rows.iter().any(|row| get(row) != get(rows[0]));
    let (cells, seeds) = (several(&|row| row.name.cell.clone()), several(&|row| row.name.seed.to_string()));
    let metrics = super::METRICS.into_iter().filter(|wanted| rows.iter().any(|row| of(row, *wanted).is_some()));
    let metrics: Vec<Metric> = metrics.collect();
    let mut head = vec!["score".to_owned()];
    head.extend(cells.then(|| "cell".to_owned()));
    head.extend(seeds.then(|| "seed".to_owned()));
    head.extend(["protocol".to_owned(), "OOD set".to_owned()]);
    let texts = head.len();
    for metric in &metrics {
        head.extend([format!("{} A", metric.label()), "B".to_owned(), "B - A".to_owned()]);
    }
    let numbers: Vec<usize> = (texts..head.len()).collect();
    head.push(String::new());
    let mut lines = vec![head];
    for row in rows {
        let mut line = vec![label(&row.name.detector, &row.name.score)];
        line.extend(cells.then(|| row.name.cell.clone()));
        line.extend(seeds.then(|| row.name.seed.to_string()));
        line.extend([row.name.protocol.clone(), row.set()]);
        for metric in &metrics {
            match of(row, *metric) {
                None => line.extend(["-", "-", "-"].map(str::to_owned)),
                Some(found) => {
                    let mark = if found.overlap == Some(false) { "*" } else { " " };
                    let difference = found.difference.map_or_else(|| "-".to_owned(), super::super::text::points);
                    line.extend([percent(found.a), percent(found.b), format!("{difference}{mark}")]);
                }
            }
        }
        line.push(row.remark().to_owned());
        lines.push(line);
    }
    columns(&lines, &numbers, out);
}

fn of(row: &RowPair, metric: Metric) -> Option<&super::MetricPair> {
    row.metrics.iter().find(|pair| pair.metric == metric)
}

fn percent(value: f64) -> String {
    if value.is_nan() { "-".to_owned() } else { format!("{:.2}", 100.0 * value) }
}

fn times(compared: &SideBySide, out: &mut String) {
    if compared.stages.is_empty() {
        return;
    }
    out.push_str("\nTimes, each stage counted once with what it took when it was computed\n");
    let mut lines = vec![["stage", "A", "B", ""].map(str::to_owned)];
    for stage in &compared.stages {
        let time = |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), duration);
        let same = if stage.same_result { "the same result" } else { "" };
        lines.push([stage.label.clone(), time(stage.a), time(stage.b), same.to_owned()]);
    }
    columns(&lines, &[1, 2], out);
}

/// Lines as columns two spaces apart; those of `right` end below one another.
fn columns<L: AsRef<[String]>>(lines: &[L], right: &[usize], out: &mut String) {
    let mut widths: Vec<usize> = Vec::new();
    for line in lines {
        for (at, entry) in line.as_ref().iter().enumerate() {
            let width = entry.chars().count();
            match widths.get_mut(at) {
                Some(widest) => *widest = (*widest).max(width),
                None => widths.push(width),
            }
        }
    }
    for line in lines {
        let mut text = String::from("  ");
        for (at, (entry, width)) in line.as_ref().iter().zip(&widths).enumerate() {
            let gap = if at == 0 { "" } else { "  " };
            let _ = match right.contains(&at) {
                true => write!(text, "{gap}{entry:>width$}"),
                false => write!(text, "{gap}{entry:width$}"),
            };
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
}
