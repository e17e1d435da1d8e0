//! A baseline and a later result, metric by metric.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use oodlab_evaluation::Metric;
use serde::Serialize;

use super::difference::ImageLists;
use super::{Baseline, Difference, Entry, Exactness, RowName, Tolerance};
use crate::failure::settings;

/// A change that is as large as allowed is allowed, whatever the subtraction rounds to.
const ROUNDING: f64 = 1e-12;

/// What the command line says about comparing.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Tolerances that hold on every machine, before those of the file.
    pub tolerance: BTreeMap<Metric, Tolerance>,
    /// The file's tolerances hold on every machine.
    pub never_exact: bool,
    /// Better fails as worse does.
    pub strict: bool,
    /// Every metric by its bits: what an update tells.
    pub bits: bool,
}

/// How a metric compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Equal bits.
    Same,
    /// Other bits, within tolerance.
    Within,
    /// Better, by more than the tolerance.
    Better,
    /// Worse, by more than the tolerance; or no number now.
    Worse,
}

/// How far a metric of one row may move.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Allowed {
    /// Not a bit.
    Equal,
    /// By this fraction, 0..1.
    By(f64),
    /// The intervals must overlap: before, and now.
    Overlap([f64; 2], [f64; 2]),
}

/// A metric of a row, before and now; fractions 0..1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    /// Number of the row in the baseline.
    pub row: usize,
    /// The metric.
    pub metric: Metric,
    /// In the baseline.
    pub before: f64,
    /// Now; NaN where it is no number.
    pub after: f64,
    /// How far it may move.
    pub allowed: Allowed,
    /// How it compares.
    pub verdict: Verdict,
    /// Whether that fails the check.
    pub fails: bool,
}

impl Value {
    /// The size of the move, for sorting: no number is the largest.
    fn size(&self) -> f64 {
        let change = (self.after - self.before).abs();
        if change.is_nan() { f64::INFINITY } else { change }
    }
}

/// A baseline compared with a later result.
pub struct Comparison<'a> {
    /// The baseline.
    pub before: &'a Baseline,
    /// Whether the numerics are those of the baseline.
    pub same_numerics: bool,
    /// Every metric that both have, row by row.
    pub values: Vec<Value>,
    /// What cannot be compared.
    pub differences: Vec<Difference<'a>>,
}

impl<'a> Comparison<'a> {
    /// The row of a value.
    pub fn row(&self, value: &Value) -> RowName<'a> {
        self.before.rows[value.row].name()
    }

    /// How many metrics compare like this.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.values.iter().filter(|value| value.verdict == verdict).count()
    }

    /// Metrics and differences that fail the check.
    pub fn failures(&self) -> usize {
        self.differences.len() + self.values.iter().filter(|value| value.fails).count()
    }

    /// The metrics that `keep` keeps, those that fail first, then the largest move first; equal ones in the baseline's order.
    pub fn sorted(&self, keep: impl Fn(&Value) -> bool) -> Vec<&Value> {
        let mut values: Vec<&Value> = self.values.iter().filter(|value| keep(value)).collect();
        values.sort_by(|a, b| b.fails.cmp(&a.fails).then(b.size().total_cmp(&a.size())));
        values
    }
}

/// Compares a later result, with all its metrics and intervals, with a baseline. What only the later result has is a difference, but
/// for metrics: those of the baseline are guarded.
///
/// # Errors
/// When intervals are to overlap that one side does not have.
pub fn compare<'a>(before: &'a Baseline, now: &'a Baseline, rules: &Rules) -> Result<Comparison<'a>> {
    let mut differences = Vec::new();
    if before.train_lists != now.train_lists {
        differences.push(Difference::TrainingImages { before: &before.train_lists, after: &now.train_lists });
    }
    let (old, new) = (Rows::of(before), Rows::of(now));
    differences.extend(old.cells_beyond(&new).map(|(cell, rows)| Difference::CellMissing { cell, rows }));
    differences.extend(new.cells_beyond(&old).map(|(cell, rows)| Difference::CellNew { cell, rows }));
    let same_numerics = before.numerics == now.numerics;
    let mut values = Vec::new();
    for (at, entry) in before.rows.iter().enumerate() {
        let Some(later) = new.get(entry.name()) else {
            if new.cells.contains_key(entry.cell.as_str()) {
                differences.push(Difference::RowMissing { row: entry.name() });
            }
            continue;
        };
        if (&entry.id_list, &entry.ood_list) != (&later.id_list, &later.ood_list) {
            differences.push(Difference::Images { row: entry.name(), before: entry.images(), after: later.images() });
            continue;
        }
        for (name, value) in &entry.metrics {
            let metric: Metric = name.parse()?;
            let Some(after) = later.metrics.get(name) else {
                differences.push(Difference::MetricMissing { row: entry.name(), metric });
                continue;
            };
            let tolerance = tolerance(before, metric, same_numerics, rules);
            let allowed = match tolerance {
                Tolerance::Exact => Allowed::Equal,
                Tolerance::Absolute { points, images } => Allowed::By(old.allowed(entry, metric, points, images)),
                Tolerance::Interval => Allowed::Overlap(
                    old.interval(entry, metric, "the baseline")?,
                    new.interval(later, metric, "the results")?,
                ),
            };
            let verdict = verdict(metric, *value, *after, allowed);
            let fails = match verdict {
                Verdict::Same | Verdict::Within => false,
                Verdict::Worse => true,
                Verdict::Better => rules.strict || allowed == Allowed::Equal,
            };
            values.push(Value { row: at, metric, before: *value, after: *after, allowed, verdict, fails });
        }
    }
    let unknown =
        now.rows.iter().filter(|row| old.cells.contains_key(row.cell.as_str()) && old.get(row.name()).is_none());
    differences.extend(unknown.map(|row| Difference::RowNew { row: row.name() }));
    Ok(Comparison { before, same_numerics, values, differences })
}

fn tolerance(before: &Baseline, metric: Metric, same_numerics: bool, rules: &Rules) -> Tolerance {
    if rules.bits {
        return Tolerance::Exact;
    }
    if let Some(given) = rules.tolerance.get(&metric) {
        return *given;
    }
    if same_numerics && before.exact == Exactness::SameNumerics && !rules.never_exact {
        return Tolerance::Exact;
    }
    before.tolerance.get(metric.name()).copied().unwrap_or_else(|| Tolerance::standard(metric))
}

fn verdict(metric: Metric, before: f64, after: f64, allowed: Allowed) -> Verdict {
    if before == after {
        return Verdict::Same;
    }
    let within = match allowed {
        Allowed::Equal => false,
        Allowed::By(most) => (after - before).abs() <= most + ROUNDING,
        Allowed::Overlap(old, new) => new[0] <= old[1] && old[0] <= new[1],
    };
    match (after.is_nan(), within) {
        (true, _) => Verdict::Worse,
        (_, true) => Verdict::Within,
        _ if (after > before) == metric.higher_is_better() => Verdict::Better,
        _ => Verdict::Worse,
    }
}

impl Entry {
    fn images(&self) -> ImageLists<'_> {
        ImageLists { id_list: &self.id_list, ood_list: &self.ood_list, n_id: self.n_id, n_ood: self.n_ood }
    }
}

/// The rows of one side, by name and by group.
struct Rows<'a> {
    by_name: BTreeMap<RowName<'a>, &'a Entry>,
    /// Rows of single sets, by the group that they are averaged in.
    members: BTreeMap<RowName<'a>, Vec<&'a Entry>>,
    /// Numbers of rows.
    cells: BTreeMap<&'a str, usize>,
}

impl<'a> Rows<'a> {
    fn of(baseline: &'a Baseline) -> Rows<'a> {
        let mut rows = Rows { by_name: BTreeMap::new(), members: BTreeMap::new(), cells: BTreeMap::new() };
        for row in &baseline.rows {
            rows.by_name.insert(row.name(), row);
            *rows.cells.entry(&row.cell).or_default() += 1;
            if !row.is_mean() {
                rows.members.entry(row.name().group()).or_default().push(row);
            }
        }
        rows
    }

    fn get(&self, name: RowName<'_>) -> Option<&'a Entry> {
        self.by_name.get(&name).copied()
    }

    /// Cells that the other side does not have at all, and their rows.
    fn cells_beyond(&self, other: &Rows<'_>) -> impl Iterator<Item = (&'a str, usize)> {
        let known: BTreeSet<&str> = other.cells.keys().copied().collect();
        self.cells.iter().map(|(cell, rows)| (*cell, *rows)).filter(move |(cell, _)| !known.contains(cell))
    }

    /// The row itself, or the rows of a mean.
    fn sets(&self, entry: &'a Entry) -> Vec<&'a Entry> {
        if entry.is_mean() { self.members.get(&entry.name().group()).cloned().unwrap_or_default() } else { vec![entry] }
    }

    /// How far a metric may move, as a fraction: so many points, and so many images of the set where that is more; in a mean, the
    /// mean of what its sets may move.
    fn allowed(&self, entry: &'a Entry, metric: Metric, points: f64, images: Option<u64>) -> f64 {
        let of_set = |entry: &Entry| {
            let counted = match metric {
                Metric::Fpr95Id => entry.n_ood,
                Metric::Fpr95Ood => entry.n_id,
                _ => None,
            };
            let of_images = images.zip(counted).map(|(images, n)| images as f64 / n.max(1) as f64);
            of_images.unwrap_or(0.0).max(points / 100.0)
        };
        let sets = self.sets(entry);
        if sets.is_empty() { points / 100.0 } else { mean(sets.into_iter().map(of_set)) }
    }

    /// Ends of the interval of a metric; in a mean without one, the mean ends of those of its sets, which contain it.
    fn interval(&self, entry: &'a Entry, metric: Metric, whose: &str) -> Result<[f64; 2]> {
        let name = metric.name();
        if let Some(ends) = entry.intervals.get(name) {
            return Ok(*ends);
        }
        let sets = self.sets(entry);
        let ends: Vec<[f64; 2]> = sets.iter().filter_map(|set| set.intervals.get(name).copied()).collect();
        if ends.is_empty() || ends.len() < sets.len() {
            return Err(settings(format!(
                "{}: {whose} has no interval of {name}; ask for intervals in the experiment file (`intervals:`; AUROC has them always) \
                 and write the baseline with --update --tolerance {name}=interval",
                entry.name()
            )));
        }
        Ok([0, 1].map(|end| mean(ends.iter().map(|ends| ends[end]))))
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}
