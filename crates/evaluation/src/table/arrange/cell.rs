//! The rows that fall into one cell, and what is printed there.

use std::collections::BTreeMap;

use crate::metrics::Metric;
use crate::published::Compared;

use super::select::{Selection, distinct};
use super::{ArrangeError, ArrangedCell, ArrangedValue, Rank};
use crate::table::Row;
use crate::table::field::Field;
use crate::table::layout::OverSeeds;

/// Where a cell stands, and the metrics of the table.
pub(super) struct CellPlace<'a> {
    pub line: &'a [String],
    pub column: &'a [String],
    pub metrics: &'a [Metric],
}

/// The cell at that place, from the rows that fall into it; `None` where nothing was measured.
pub(super) fn cell(
    selection: &Selection<'_>,
    place: &CellPlace<'_>,
    rows: &[&Row],
    published: Option<&Compared<'_>>,
) -> Result<Option<ArrangedCell>, ArrangeError> {
    let spec = selection.spec;
    let mut metrics = place.metrics.to_vec();
    for (field, value) in spec.fields().zip(place.line.iter().chain(place.column)) {
        metrics.retain(|metric| *field != Field::Metric || metric.name() == value);
    }
    if rows.is_empty() {
        return Ok(None);
    }
    unambiguous(selection, place, rows)?;
    let rows = whole(rows.to_vec());
    let sets = rows[0].mean_of();
    let value = |metric: Metric| -> Option<ArrangedValue> {
        let values: Vec<f64> = rows.iter().map(|row| row.value(metric)).collect::<Option<_>>()?;
        let over = OverSeeds::of(&values);
        let published = published.and_then(|published| published.value(rows[0], metric));
        Some(ArrangedValue {
            metric,
            value: over.mean,
            deviation: over.deviation,
            interval: interval(&rows, metric),
            rank: Rank::Other,
            published,
        })
    };
    let count = |get: fn(&Row) -> Option<u64>| match distinct(rows.iter().map(|row| get(row))).as_slice() {
        [count] => *count,
        _ => None,
    };
    Ok(Some(ArrangedCell {
        values: metrics.into_iter().map(value).collect(),
        seeds: rows.len(),
        sets,
        partial: sets.is_some_and(|sets| sets < selection.most_sets(rows[0])),
        n_id: count(|row| row.n_id),
        n_ood: count(|row| row.n_ood),
        rule: rows[0].rule.clone(),
        reported: false,
        run: match rows.as_slice() {
            [row] if !row.run.is_empty() => Some(row.run.clone()),
            _ => None,
        },
    }))
}

/// The cell of a line of published numbers alone: what the source printed for what the column measured.
pub(super) fn reported(
    selection: &Selection<'_>,
    place: &CellPlace<'_>,
    published: &Compared<'_>,
    method: &str,
) -> Option<ArrangedCell> {
    let columns = &selection.spec.columns;
    let fixed = || columns.iter().zip(place.column);
    let here =
        |row: &&&Row| fixed().all(|(field, value)| *field == Field::Metric || selection.value(field, row) == **value);
    let row = selection.rows.iter().find(here)?;
    let shown = |metric: &&Metric| fixed().all(|(field, value)| *field != Field::Metric || metric.name() == value);
    let value = |metric: &Metric| {
        let published = published.reported(method, row, *metric)?;
        Some(ArrangedValue {
            metric: *metric,
            value: published.value,
            deviation: published.deviation.unwrap_or(0.0),
            interval: None,
            rank: Rank::Other,
            published: Some(published),
        })
    };
    let values: Vec<Option<ArrangedValue>> = place.metrics.iter().filter(shown).map(value).collect();
    values.iter().any(Option::is_some).then(|| ArrangedCell {
        values,
        seeds: 0,
        sets: None,
        partial: false,
        n_id: None,
        n_ood: None,
        rule: String::new(),
        reported: true,
        run: None,
    })
}

/// Fields in which rows of one cell may not differ. The sweep's cell is not among them: its keys are.
const APART: [Field; 8] = [
    Field::Protocol,
    Field::Group,
    Field::Set,
    Field::Score,
    Field::Detector,
    Field::Benchmark,
    Field::IdSet,
    Field::Experiment,
];

fn unambiguous(selection: &Selection<'_>, place: &CellPlace<'_>, rows: &[&Row]) -> Result<(), ArrangeError> {
    let table = selection.spec.name.clone();
    let labels: Vec<&str> = place.line.iter().chain(place.column).map(String::as_str).collect();
    let cell = format!("{:?}", labels.join(" / "));
    let sweeps = selection.table.sweep_keys.iter().map(|key| Field::Sweep(key.clone()));
    let mut differ: Vec<(String, Vec<String>)> = Vec::new();
    for field in APART.into_iter().chain(sweeps) {
        let values = distinct(rows.iter().map(|row| field.value(row)));
        if values.len() > 1 {
            differ.push((field.name(), values));
        }
    }
    if let Some((field, _)) = differ.first() {
        let told = |(field, values): &(String, Vec<String>)| format!("{field} ({})", values.join(", "));
        let field = field.clone();
        let differ = differ.iter().map(told).collect::<Vec<_>>().join(" and ");
        return Err(ArrangeError::Ambiguous { table, cell, differ, field });
    }
    let rules = distinct(rows.iter().map(|row| row.rule.as_str()));
    if rules.len() > 1 {
        let differ = format!("the rule of the operating point ({})", rules.join(", "));
        return Err(ArrangeError::Ambiguous { table, cell, differ, field: Field::Experiment.name() });
    }
    let mut seeds: BTreeMap<u64, usize> = BTreeMap::new();
    for row in rows {
        *seeds.entry(row.seed).or_default() += 1;
    }
    match seeds.into_iter().find(|(_, rows)| *rows > 1) {
        Some((seed, _)) => Err(ArrangeError::Twice { table, cell, seed }),
        None => Ok(()),
    }
}

/// Of means over several seeds those with the most sets: the others are means of something else.
fn whole(mut rows: Vec<&Row>) -> Vec<&Row> {
    let most = rows.iter().filter_map(|row| row.mean_of()).max();
    rows.retain(|row| row.mean_of() == most);
    rows
}

fn interval(rows: &[&Row], metric: Metric) -> Option<[f64; 2]> {
    let ends: Vec<[f64; 2]> = rows.iter().map(|row| row.interval(metric)).collect::<Option<_>>()?;
    let mean = |end: usize| ends.iter().map(|ends| ends[end]).sum::<f64>() / ends.len() as f64;
    Some([mean(0), mean(1)])
}
