//! Rows of the table, by what a figure sets side by side.

use std::collections::{BTreeMap, BTreeSet};

use super::super::axis::short;
use super::super::spec::{FigureSpec, Over};
use crate::metrics::Metric;
use crate::record::Record;
use crate::table::Row;

/// What a figure of means or of a set is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Subject<'a> {
    pub benchmark: &'a str,
    pub protocol: &'a str,
    pub group: &'a str,
    /// The set, or `mean of N`.
    pub set: &'a str,
    /// Over how many sets a mean is.
    pub sets: Option<usize>,
}

impl Subject<'_> {
    /// `mini-far-of-4-native`.
    pub fn stem(&self) -> String {
        let what = self.sets.map_or_else(|| self.set.to_owned(), |sets| format!("{}-of-{sets}", self.group));
        format!("{}-{what}-{}", self.benchmark, self.protocol)
    }

    /// `mini, far sets (mean of 4), protocol native`.
    pub fn title(&self) -> String {
        let what = match self.sets {
            Some(sets) => format!("{} sets (mean of {sets})", self.group),
            None => self.set.to_owned(),
        };
        format!("{}, {what}, protocol {}", self.benchmark, self.protocol)
    }
}

/// The rows that are left, by subject.
pub(super) fn by_subject<'a>(
    record: &'a Record,
    spec: &'a FigureSpec,
    of: Over,
) -> BTreeMap<Subject<'a>, Vec<&'a Row>> {
    let mut subjects: BTreeMap<Subject<'_>, Vec<&Row>> = BTreeMap::new();
    for row in rows_over(record, spec, of) {
        let subject = Subject {
            benchmark: &row.benchmark,
            protocol: &row.protocol,
            group: &row.group,
            set: &row.ood_set,
            sets: row.mean_of(),
        };
        subjects.entry(subject).or_default().push(row);
    }
    subjects
}

/// The rows that are left: means over groups, or sets, in the order of the table.
pub(super) fn rows_over<'a>(record: &'a Record, spec: &'a FigureSpec, of: Over) -> impl Iterator<Item = &'a Row> {
    // A figure of chosen sets is one of sets.
    let means = of == Over::Groups && spec.selection.set.is_all();
    record.table.rows.iter().filter(move |row| row.mean_of().is_some() == means && spec.selection.has_row(row))
}

/// The scores of rows in order: (detector, score), and its label: with the detector where two share a score's name.
pub(super) fn scores<'a>(rows: &[&'a Row]) -> Vec<(&'a str, &'a str, String)> {
    let mut scores: Vec<(&str, &str)> = Vec::new();
    for row in rows {
        if !scores.contains(&(&row.detector, &row.score)) {
            scores.push((&row.detector, &row.score));
        }
    }
    let label = |&(detector, score): &(&str, &str)| {
        let shared = scores.iter().filter(|(_, other)| *other == score).count() > 1;
        if shared { format!("{detector} {score}") } else { score.to_owned() }
    };
    scores.iter().map(|pair| (pair.0, pair.1, label(pair))).collect()
}

/// The distinct values of a property, in order of first appearance; numbers in order of their size where all are numbers.
pub(super) fn distinct<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for value in values {
        if !names.iter().any(|name| name == value.as_ref()) {
            names.push(value.as_ref().to_owned());
        }
    }
    if let Some(numbers) = numbers(&names) {
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_by(|&a, &b| numbers[a].total_cmp(&numbers[b]));
        return order.into_iter().map(|at| names[at].clone()).collect();
    }
    names
}

/// The names as numbers, where all are.
pub(super) fn numbers(names: &[String]) -> Option<Vec<f64>> {
    names.iter().map(|name| name.parse::<f64>().ok().filter(|value| value.is_finite())).collect()
}

/// A metric over rows that differ by their seed: mean in percent, and an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    pub value: f64,
    pub interval: Option<(f64, f64)>,
    pub source: Source,
}

/// What an interval is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// No interval.
    None,
    /// The 95 % interval of the one row.
    Row,
    /// Plus and minus the deviation over so many seeds.
    Seeds(usize),
}

/// `None` where no row has the metric.
pub(super) fn measured<'a>(rows: impl IntoIterator<Item = &'a Row>, metric: Metric) -> Option<Measured> {
    let rows: Vec<(&Row, f64)> =
        rows.into_iter().filter_map(|row| Some((row, 100.0 * row.value(metric).filter(|v| v.is_finite())?))).collect();
    let n = rows.len() as f64;
    match rows.as_slice() {
        [] => None,
        [(row, value)] => {
            let interval = row.interval(metric).map(|[low, high]| (100.0 * low, 100.0 * high));
            let source = if interval.is_some() { Source::Row } else { Source::None };
            Some(Measured { value: *value, interval, source })
        }
        many => {
            let mean = many.iter().map(|(_, value)| value).sum::<f64>() / n;
            // Divided by n, as in the tables.
            let deviation = (many.iter().map(|(_, value)| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
            let interval = Some((mean - deviation, mean + deviation));
            Some(Measured { value: mean, interval, source: Source::Seeds(many.len()) })
        }
    }
}

/// Small print on what the intervals are.
pub(super) fn interval_note(measured: impl IntoIterator<Item = Measured>, metric: Metric) -> String {
    match measured.into_iter().map(|measured| measured.source).max() {
        Some(Source::Seeds(seeds)) => format!("bars: standard deviation over {seeds} seeds"),
        Some(Source::Row) if metric == Metric::Auroc => {
            "one seed; bars: 95 % interval (DeLong; of means: bootstrap)".to_owned()
        }
        Some(Source::Row) => "one seed; bars: 95 % bootstrap interval".to_owned(),
        Some(Source::None) | None => "one seed".to_owned(),
    }
}

/// A swept key where there is little room: its last two parts, `network.width` for `detector.network.width`.
pub(super) fn key_label(key: &str) -> &str {
    match key.rmatch_indices('.').nth(1) {
        Some((at, _)) => &key[at + 1..],
        None => key,
    }
}

/// The labels of two swept keys: in full where their last parts are the same.
pub(super) fn key_labels([x, y]: [&str; 2]) -> [&str; 2] {
    if key_label(x) == key_label(y) { [x, y] } else { [key_label(x), key_label(y)] }
}

/// A metric's name on an axis, in percent.
pub(super) fn axis_label(metric: Metric) -> String {
    format!("{}, %", metric.label())
}

/// Small print on what a metric is, where its name does not say, and at which operating point; more may follow it on a line of its own.
pub(super) fn convention(metric: Metric, rows: &[&Row]) -> String {
    match metric {
        Metric::Auroc => String::new(),
        other => format!("{}: {}{}\n", other.label(), other.description(), operating_point(metric, rows)),
    }
}

/// The rule that sets the threshold of FPR95: shares under two rules differ where scores are few or tied.
fn operating_point(metric: Metric, rows: &[&Row]) -> String {
    if !matches!(metric, Metric::Fpr95Id | Metric::Fpr95Ood) {
        return String::new();
    }
    let rules: BTreeSet<&str> = rows.iter().map(|row| row.rule.as_str()).filter(|rule| !rule.is_empty()).collect();
    // A mean over rows of several rules has none itself.
    let mixed = rows.iter().any(|row| row.rule.is_empty() && row.mean_of().is_some());
    match rules.into_iter().collect::<Vec<_>>().as_slice() {
        [] if mixed => "; rows of several rules".to_owned(),
        [] => String::new(),
        [rule] if !mixed => format!("; rule {rule}"),
        rules => format!("; rows of several rules: {}", rules.join(", ")),
    }
}

/// `93.1`, or `93.1 ± 0.4` over seeds.
pub(super) fn said(measured: &Measured) -> String {
    match (measured.source, measured.interval) {
        (Source::Seeds(_), Some((low, high))) => format!("{:.2} ± {}", measured.value, short((high - low) / 2.0)),
        _ => format!("{:.2}", measured.value),
    }
}
