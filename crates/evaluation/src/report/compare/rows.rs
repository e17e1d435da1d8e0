//! Rows of two tables that answer the same question.

use std::collections::{BTreeMap, BTreeSet};

use crate::metrics::Metric;
use crate::record::Record;
use crate::report::standing::with_means;
use crate::table::{Row, Table};

use super::{Across, Images, METRICS, MetricPair, RowName, RowPair};

#[derive(Default)]
pub(super) struct Matched {
    pub across: Vec<Across>,
    pub rows: Vec<RowPair>,
    pub only_a: Vec<RowName>,
    pub only_b: Vec<RowName>,
}

/// A column by which rows match, unless each side has one value and the two differ.
type Column = (&'static str, fn(&Row) -> String);

const COLUMNS: [Column; 4] = [
    ("cell", |row| row.cell.clone()),
    ("seed", |row| row.seed.to_string()),
    ("benchmark", |row| row.benchmark.clone()),
    ("ID set", |row| row.id_set.clone()),
];

pub(super) fn matched(a: &Record, b: &Record) -> Matched {
    let (a, b) = (with_means(&a.table), with_means(&b.table));
    let mut out = Matched::default();
    let mut by = Vec::new();
    for (column, get) in COLUMNS {
        match (only(&a, get), only(&b, get)) {
            (Some(a), Some(b)) if a != b => out.across.push(Across { column, a, b }),
            _ => by.push(get),
        }
    }
    // A mean is of the same images when its group's sets are; the table does not say so itself.
    let (lists_a, lists_b) = (lists(&a), lists(&b));
    let places: BTreeMap<Vec<String>, usize> =
        b.rows.iter().enumerate().rev().map(|(at, row)| (key(row, &by), at)).collect();
    let mut taken = BTreeSet::new();
    for row in &a.rows {
        match places.get(&key(row, &by)).filter(|at| taken.insert(**at)) {
            None => out.only_a.push(name(row)),
            Some(&at) => {
                let other = &b.rows[at];
                let images = if row.mean_of().is_some() {
                    images(lists_a.get(&group(row)), lists_b.get(&group(other)))
                } else {
                    images(Some(&sets(row)), Some(&sets(other)))
                };
                out.rows.push(pair(row, other, images));
            }
        }
    }
    let left = b.rows.iter().enumerate().filter(|(at, _)| !taken.contains(at));
    out.only_b = left.map(|(_, row)| name(row)).collect();
    out
}

/// The value that all rows share.
fn only(table: &Table, get: fn(&Row) -> String) -> Option<String> {
    let first = get(table.rows.first()?);
    table.rows.iter().all(|row| get(row) == first).then_some(first)
}

fn key(row: &Row, by: &[fn(&Row) -> String]) -> Vec<String> {
    let set = if row.mean_of().is_some() { format!("mean of {}", row.group) } else { format!("set {}", row.ood_set) };
    let mut key = vec![row.detector.clone(), row.score.clone(), row.protocol.clone(), set];
    key.extend(by.iter().map(|get| get(row)));
    key
}

/// OOD set to the lists of its images and of the ID images.
type Lists<'a> = BTreeMap<&'a str, [&'a str; 2]>;

fn sets(row: &Row) -> Lists<'_> {
    BTreeMap::from([("", [row.id_list.as_str(), row.ood_list.as_str()])])
}

type Group<'a> = ([&'a str; 7], u64);

/// The rows over which a mean goes.
fn group(row: &Row) -> Group<'_> {
    let Row { cell, detector, score, benchmark, protocol, id_set, group, .. } = row;
    ([cell, detector, score, benchmark, protocol, id_set, group], row.seed)
}

fn lists(table: &Table) -> BTreeMap<Group<'_>, Lists<'_>> {
    let mut lists: BTreeMap<Group<'_>, Lists<'_>> = BTreeMap::new();
    for row in table.rows.iter().filter(|row| row.mean_of().is_none()) {
        lists.entry(group(row)).or_default().insert(&row.ood_set, [&row.id_list, &row.ood_list]);
    }
    lists
}

fn images(a: Option<&Lists<'_>>, b: Option<&Lists<'_>>) -> Images {
    let (Some(a), Some(b)) = (a, b) else { return Images::Unknown };
    if !a.keys().eq(b.keys()) {
        return Images::Other;
    }
    let pairs = || a.values().flatten().zip(b.values().flatten());
    match () {
        () if pairs().any(|(a, b)| !a.is_empty() && !b.is_empty() && a != b) => Images::Other,
        () if pairs().any(|(a, b)| a.is_empty() || b.is_empty()) => Images::Unknown,
        () => Images::Same,
    }
}

fn pair(a: &Row, b: &Row, images: Images) -> RowPair {
    let same_rule = a.rule == b.rule;
    let metrics = METRICS.into_iter().filter_map(|metric| {
        let (of_a, of_b) = (a.value(metric)?, b.value(metric)?);
        let comparable = images != Images::Other && (same_rule || metric == Metric::Auroc);
        let (interval_a, interval_b) = (a.interval(metric), b.interval(metric));
        let overlap = match (interval_a, interval_b) {
            (Some(a), Some(b)) if comparable => Some(a[0] <= b[1] && b[0] <= a[1]),
            _ => None,
        };
        let difference = comparable.then_some(of_b - of_a);
        Some(MetricPair { metric, a: of_a, b: of_b, difference, interval_a, interval_b, overlap })
    });
    RowPair { name: name(a), mean_of: a.mean_of(), images, same_rule, metrics: metrics.collect() }
}

fn name(row: &Row) -> RowName {
    RowName {
        cell: row.cell.clone(),
        seed: row.seed,
        detector: row.detector.clone(),
        score: row.score.clone(),
        benchmark: row.benchmark.clone(),
        protocol: row.protocol.clone(),
        id_set: row.id_set.clone(),
        group: row.group.clone(),
        ood_set: row.ood_set.clone(),
    }
}
