//! What a reader must know to use an arranged table's numbers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::metrics::{FprRule, Metric};

use super::select::{Selection, distinct};
use super::{Arranged, ArrangedCell, ArrangedValue, Marks, Rank};
use crate::table::Row;
use crate::table::field::Field;
use crate::table::spec::{Best, Uncertainty};

/// What the numbers are, sentence by sentence. `published` says whether published ones stand beside them.
pub(super) fn notes(
    selection: &Selection<'_>,
    arranged: &Arranged,
    metrics: &[Metric],
    published: bool,
) -> Vec<String> {
    let mut notes = vec![shown(arranged, metrics, published)];
    notes.extend(metrics.iter().map(|metric| {
        let better = if metric.higher_is_better() { "higher" } else { "lower" };
        format!("{}: {} ({better} is better).", metric.label(), metric.description())
    }));
    notes.extend(rules(&selection.rows));
    notes.extend(uncertainty(arranged));
    notes
}

/// What the numbers rest on, sentence by sentence; `published` are the sentences on published numbers.
pub(super) fn details(selection: &Selection<'_>, published: Vec<String>) -> Vec<String> {
    let mut details: Vec<String> = fixed(selection).into_iter().collect();
    details.extend(sizes(selection));
    details.extend(unmet(selection));
    details.extend(published);
    details
}

fn shown(arranged: &Arranged, metrics: &[Metric], published: bool) -> String {
    let apart = arranged.fields.0.iter().chain(&arranged.fields.1).any(|field| *field == Field::Metric);
    let labels: Vec<&str> = metrics.iter().map(|metric| metric.label()).collect();
    let mut text = format!("{} in percent", labels.join(if apart { ", " } else { " / " }));
    let own = values(arranged.cells());
    let all = values(arranged.lines.iter().flat_map(|line| line.cells.iter().flatten()));
    if published && own.iter().any(|value| value.published.is_some()) {
        text.push_str("; in brackets the published value, and ours minus it in points");
    }
    if arranged.lines.iter().any(|line| line.cells.iter().flatten().any(|cell| cell.reported)) {
        text.push_str("; the last lines are published values alone");
    }
    if all.iter().any(|value| value.published.is_some_and(|published| published.recalled)) {
        text.push_str("; † known from memory, not from the source");
    }
    text.push('.');
    text
}

fn values<'a>(cells: impl Iterator<Item = &'a ArrangedCell>) -> Vec<&'a ArrangedValue> {
    cells.flat_map(|cell| cell.values.iter().flatten()).collect()
}

/// How the best values are marked.
pub(super) fn marks(selection: &Selection<'_>, arranged: &Arranged) -> Option<Marks> {
    let has =
        |rank: Rank| arranged.cells().flat_map(|cell| cell.values.iter().flatten()).any(|value| value.rank == rank);
    if !has(Rank::Best) {
        return None;
    }
    // Down a column only what was measured on the same task competes; along a row likewise.
    let (along, across) = match selection.spec.best() {
        Best::Row => ("each row", &selection.spec.columns),
        _ => ("each column", &selection.spec.rows),
    };
    let tasks: Vec<String> = across.iter().filter(|field| field.changes_the_task()).map(Field::heading).collect();
    let among = if tasks.is_empty() { along.to_owned() } else { format!("{along} and {}", tasks.join(" and ")) };
    Some(Marks { among, second: has(Rank::Second) })
}

fn rules(rows: &[&Row]) -> Vec<String> {
    let sentence = |rule: &str| {
        let words = rule.parse::<FprRule>().map_or("as named", FprRule::description);
        format!("Operating point: {rule} ({words}).")
    };
    distinct(rows.iter().map(|row| row.rule.as_str())).into_iter().map(sentence).collect()
}

fn uncertainty(arranged: &Arranged) -> Vec<String> {
    let mut notes = Vec::new();
    let fewer = arranged.cells().any(|cell| cell.seeds != arranged.usual_seeds());
    let seeds = match arranged.usual_seeds() {
        1 => "One seed".to_owned(),
        n if arranged.uncertainty == Uncertainty::Seeds => {
            format!("Mean ± standard deviation (divided by n) over n = {n} seeds")
        }
        n => format!("Mean over n = {n} seeds"),
    };
    notes.push(format!("{seeds}{}.", if fewer { "; where a cell has fewer, it says so" } else { "" }));
    if arranged.uncertainty == Uncertainty::Interval {
        let of = match arranged.usual_seeds() {
            1 => String::new(),
            n => format!(" of a single run, its ends averaged over n = {n} seeds (no interval of the mean)"),
        };
        notes.push(format!(
            "In square brackets the 95 % interval over images{of}: DeLong's for the AUROC of a set, of a stratified bootstrap otherwise."
        ));
        let values = values(arranged.cells());
        if values.iter().any(|value| value.interval.is_none()) {
            notes.push("Values without brackets have no interval.".to_owned());
        }
        if values.iter().any(|value| value.interval.is_some_and(|[low, high]| low == high)) {
            notes.push(
                "Where all pairs are ordered alike (a perfectly separated set) an interval has no width and understates the uncertainty."
                    .to_owned(),
            );
        }
    }
    notes
}

/// What is the same in all cells and is no label of any.
fn fixed(selection: &Selection<'_>) -> Option<String> {
    let sweeps = selection.table.sweep_keys.iter().map(|key| Field::Sweep(key.clone()));
    let fields = [
        Field::Experiment,
        Field::Benchmark,
        Field::IdSet,
        Field::Protocol,
        Field::Group,
        Field::Set,
        Field::Detector,
        Field::Score,
    ];
    let mut parts: Vec<String> = Vec::new();
    for field in fields.into_iter().chain(sweeps) {
        if selection.spec.fields().any(|shown| *shown == field) {
            continue;
        }
        let values = distinct(selection.rows.iter().map(|row| selection.value(&field, row)));
        match values.as_slice() {
            [value] if !value.is_empty() && !repeated(&field, value, selection) => {
                parts.push(format!("{} {value}", field.heading()));
            }
            [] | [_] => {}
            values => {
                let values: Vec<&str> =
                    values.iter().map(|v| if v.is_empty() { "(none)" } else { v.as_str() }).collect();
                parts.push(format!("{} {}", field.heading(), values.join(" or ")));
            }
        }
    }
    (!parts.is_empty()).then(|| format!("All cells: {}.", parts.join(", ")))
}

/// A score that is named as its detector says nothing new.
fn repeated(field: &Field, value: &str, selection: &Selection<'_>) -> bool {
    *field == Field::Score && selection.rows.iter().all(|row| row.detector == value)
}

/// How many images each number rests on, and which sets a mean is over.
fn sizes(selection: &Selection<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let key = |row: &'_ Row| {
        let parts = [&row.experiment, &row.benchmark, &row.id_set, &row.group, &row.protocol];
        parts.map(String::clone)
    };
    let means = selection.rows.iter().filter(|row| row.mean_of().is_some());
    // One a group, not one a score and seed.
    let means: BTreeMap<_, &Row> = means.rev().map(|row| (key(row), *row)).collect();
    let mut members: BTreeMap<_, Vec<&Row>> = means.keys().map(|key| (key.clone(), Vec::new())).collect();
    for row in selection.table.rows.iter().filter(|row| row.mean_of().is_none()) {
        if let Some(of) = members.get_mut(&key(row)) {
            of.push(row);
        }
    }
    let several = distinct(selection.rows.iter().map(|row| &row.id_set)).len() > 1;
    // Of the sets that are shown, and of those that are only meaned over.
    let mut rows: Vec<&Row> = selection.rows.iter().copied().filter(|row| row.mean_of().is_none()).collect();
    let mut groups: Vec<String> = Vec::new();
    for key in distinct(selection.rows.iter().filter(|row| row.mean_of().is_some()).map(|row| key(row))) {
        let (Some(mean), Some(of)) = (means.get(&key), members.get(&key)) else { continue };
        let sets = distinct(of.iter().map(|row| row.ood_set.as_str()));
        let of_id = if several { format!("{}, ", mean.id_set) } else { String::new() };
        let text = format!("{of_id}{} of {}: {}", mean.group, sets.len(), sets.join(", "));
        if !sets.is_empty() && !groups.contains(&text) {
            groups.push(text);
        }
        rows.extend(of.iter().copied());
    }
    if !means.is_empty() {
        let over = if groups.is_empty() { String::new() } else { format!(" ({})", groups.join("; ")) };
        notes.push(format!("Means over sets are unweighted{over}."));
    }
    let counted = |name: fn(&Row) -> &str, count: fn(&Row) -> Option<u64>, list: fn(&Row) -> &str| -> Vec<String> {
        let names = distinct(rows.iter().map(|row| name(row)));
        let sized = |set: &str| {
            let of_set: Vec<&&Row> = rows.iter().filter(|row| name(row) == set).collect();
            let counts = distinct(of_set.iter().filter_map(|row| count(row)));
            let lists = distinct(of_set.iter().map(|row| list(row)).filter(|list| !list.is_empty()));
            let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
            let lists: Vec<String> = lists.iter().map(|list| list.chars().take(8).collect()).collect();
            let mut text = set.to_owned();
            if !counts.is_empty() {
                let _ = write!(text, " {}", counts.join(" or "));
            }
            if !lists.is_empty() {
                let _ = write!(text, " (list {})", lists.join(" or "));
            }
            text
        };
        names.into_iter().map(sized).collect()
    };
    if !rows.is_empty() {
        notes.push(format!("ID: {}.", counted(|r| &r.id_set, |r| r.n_id, |r| &r.id_list).join(", ")));
        notes.push(format!("OOD: {}.", counted(|r| &r.ood_set, |r| r.n_ood, |r| &r.ood_list).join(", ")));
    }
    notes
}

/// Values that were asked for and are not in the results.
fn unmet(selection: &Selection<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    for (field, choice) in &selection.spec.conditions {
        let met = |asked: &&String| selection.rows.iter().any(|row| super::select::matches(row, field, asked));
        let missing: Vec<&str> = choice.0.iter().filter(|asked| !met(asked)).map(String::as_str).collect();
        if !missing.is_empty() {
            notes.push(format!("Not in the results: {} {}.", field.heading(), missing.join(", ")));
        }
    }
    notes
}
