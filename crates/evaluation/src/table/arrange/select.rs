//! Which rows are meant, and where each stands.

use std::collections::{BTreeMap, BTreeSet};

use oodlab_base::text;

use crate::metrics::Metric;
use crate::published::Library;
use crate::record::About;

use super::cell::{CellPlace, cell, reported};
use super::{ArrangeError, Arranged, ArrangedLine, caption, rank};
use crate::table::field::{Field, MEAN, same_value};
use crate::table::{Row, Table, TableSpec};

/// The rows that meet all conditions, and how their fields are read.
pub(super) struct Selection<'a> {
    pub spec: &'a TableSpec,
    pub table: &'a Table,
    pub rows: Vec<&'a Row>,
    /// Whether means of several groups are among them, which must be told apart then.
    groups_of_means: bool,
    /// The most sets that a mean over a group has, by experiment, benchmark, ID set and group.
    most_sets: BTreeMap<[&'a str; 4], usize>,
}

/// What means over the same group have in common.
fn group_of(row: &Row) -> [&str; 4] {
    [&row.experiment, &row.benchmark, &row.id_set, &row.group]
}

pub(super) fn arrange(
    spec: &TableSpec,
    table: &Table,
    about: &About,
    library: &Library,
) -> Result<Arranged, ArrangeError> {
    let selection = Selection::new(spec, table)?;
    let published = spec
        .published
        .as_ref()
        .map(|choice| library.compared(choice, &spec.metrics, about))
        .transpose()
        .map_err(|source| ArrangeError::Published { table: spec.name.clone(), source: Box::new(source) })?;
    let metrics = published.as_ref().map_or_else(|| spec.metrics.clone(), |published| published.metrics.clone());
    selection.has_metrics(&metrics)?;
    let lines = selection.places(&spec.rows, &metrics);
    let columns = selection.places(&spec.columns, &metrics);
    let mut arranged = Arranged {
        name: spec.name.clone(),
        caption: spec.caption.clone(),
        marks: None,
        notes: Vec::new(),
        details: Vec::new(),
        stubs: spec.rows.iter().map(|field| stub(spec, field)).collect(),
        columns: columns.iter().map(|place| selection.labels(&spec.columns, place)).collect(),
        lines: Vec::new(),
        decimals: spec.decimals,
        uncertainty: spec.uncertainty,
        fields: (spec.rows.clone(), spec.columns.clone()),
        column_values: columns.clone(),
    };
    let mut rows: BTreeMap<(Vec<String>, Vec<String>), Vec<&Row>> = BTreeMap::new();
    for row in &selection.rows {
        let place = (selection.values(&spec.rows, row), selection.values(&spec.columns, row));
        rows.entry(place).or_default().push(row);
    }
    for line in &lines {
        let mut cells = Vec::new();
        for column in &columns {
            let place = CellPlace { line, column, metrics: &metrics };
            let here = (without_metric(&spec.rows, line), without_metric(&spec.columns, column));
            let rows = rows.get(&here).map(Vec::as_slice).unwrap_or_default();
            cells.push(cell(&selection, &place, rows, published.as_ref())?);
        }
        let labels = selection.labels(&spec.rows, line);
        arranged.lines.push(ArrangedLine { labels, cells, values: line.clone() });
    }
    for (published, method) in published.iter().flat_map(|p| p.choice.lines.iter().map(move |method| (p, method))) {
        let cells = columns.iter().map(|column| {
            let place = CellPlace { line: &[], column, metrics: &metrics };
            reported(&selection, &place, published, method)
        });
        let line = |first: String| {
            let rest = spec.rows.iter().skip(1).map(|_| String::new());
            std::iter::once(first).chain(rest).collect::<Vec<String>>()
        };
        let labels = line(format!("{} (published)", spec.label(method)));
        arranged.lines.push(ArrangedLine { labels, cells: cells.collect(), values: line(method.clone()) });
    }
    rank::mark(&mut arranged, spec.best());
    let published = published
        .map(|published| published.notes(&selection.rows, table))
        .transpose()
        .map_err(|source| ArrangeError::Published { table: spec.name.clone(), source: Box::new(source) })?;
    arranged.marks = caption::marks(&selection, &arranged);
    arranged.notes = caption::notes(&selection, &arranged, &metrics, published.is_some());
    arranged.details = caption::details(&selection, published.unwrap_or_default());
    Ok(arranged)
}

/// A place as rows know it.
fn without_metric(fields: &[Field], place: &[String]) -> Vec<String> {
    let value = |(field, value): (&Field, &String)| if *field == Field::Metric { String::new() } else { value.clone() };
    fields.iter().zip(place).map(value).collect()
}

/// What a column of labels is headed.
fn stub(spec: &TableSpec, field: &Field) -> String {
    let name = field.name();
    spec.labels.get(&name).cloned().unwrap_or_else(|| field.heading())
}

impl<'a> Selection<'a> {
    fn new(spec: &'a TableSpec, table: &'a Table) -> Result<Selection<'a>, ArrangeError> {
        let name = || spec.name.clone();
        if table.rows.is_empty() {
            return Err(ArrangeError::NoRows { table: name() });
        }
        for field in spec.fields().chain(spec.conditions.keys()) {
            if let Field::Sweep(key) = field
                && !table.sweep_keys.contains(key)
            {
                let known = table.sweep_keys.iter().map(String::as_str);
                let hint = text::hint(key, known.clone());
                let known = if table.sweep_keys.is_empty() { "nothing".to_owned() } else { listed(known) };
                return Err(ArrangeError::Sweep { table: name(), key: key.clone(), known, hint });
            }
        }
        for (field, choice) in &spec.conditions {
            let known = distinct(table.rows.iter().map(|row| field.value(row)));
            if !table.rows.iter().any(|row| meets(row, field, &choice.0)) {
                let hints = choice.0.iter().map(|value| text::hint(value, known.iter().map(String::as_str)));
                let hint = hints.into_iter().find(|hint| !hint.is_empty()).unwrap_or_default();
                return Err(ArrangeError::NoSuchValue {
                    table: name(),
                    field: field.name(),
                    found: format!("{}{hint}", listed(choice.0.iter().map(String::as_str))),
                    known: one_of(&known),
                });
            }
        }
        let rows: Vec<&Row> = table.rows.iter().filter(|row| spec.meets_all(row, None)).collect();
        if rows.is_empty() {
            // One condition too many, if there is such a one; else whichever comes last.
            let fields: Vec<&Field> = spec.conditions.keys().collect();
            let values = |field: &Field| {
                distinct(table.rows.iter().filter(|row| spec.meets_all(row, Some(field))).map(|row| field.value(row)))
            };
            let field = fields.iter().find(|field| !values(field).is_empty()).or(fields.last());
            let (field, known) = field.map(|field| (field.name(), one_of(&values(field)))).unwrap_or_default();
            return Err(ArrangeError::NothingTogether { table: name(), field, known });
        }
        let groups = distinct(rows.iter().filter(|row| row.mean_of().is_some()).map(|row| row.group.clone()));
        let told = spec.fields().any(|field| *field == Field::Group);
        let mut most_sets: BTreeMap<[&str; 4], usize> = BTreeMap::new();
        for row in &table.rows {
            if let Some(sets) = row.mean_of() {
                let most = most_sets.entry(group_of(row)).or_default();
                *most = sets.max(*most);
            }
        }
        Ok(Selection { spec, table, rows, groups_of_means: groups.len() > 1 && !told, most_sets })
    }

    /// The most sets that a mean over the same group has.
    pub fn most_sets(&self, row: &Row) -> usize {
        self.most_sets.get(&group_of(row)).copied().unwrap_or(0)
    }

    fn has_metrics(&self, metrics: &[Metric]) -> Result<(), ArrangeError> {
        let has = |metric: Metric| self.rows.iter().any(|row| row.value(metric).is_some());
        let Some(missing) = metrics.iter().find(|metric| !has(**metric)) else { return Ok(()) };
        let known: Vec<&str> = Metric::ALL.into_iter().filter(|metric| has(*metric)).map(Metric::name).collect();
        Err(ArrangeError::NoMetric {
            table: self.spec.name.clone(),
            metric: missing.name().to_owned(),
            known: known.join(", "),
        })
    }

    /// A row's value of a field; means of several groups are told apart.
    pub fn value(&self, field: &Field, row: &Row) -> String {
        if *field == Field::Set && self.groups_of_means && row.mean_of().is_some() {
            return format!("{MEAN} ({})", row.group);
        }
        field.value(row)
    }

    /// A row's values of several fields; nothing for the metric, of which a row has all.
    fn values(&self, fields: &[Field], row: &Row) -> Vec<String> {
        fields.iter().map(|field| self.value(field, row)).collect()
    }

    /// The combinations of the fields' values that there are, in the order of the conditions and then of the result table.
    fn places(&self, fields: &[Field], metrics: &[Metric]) -> Vec<Vec<String>> {
        let ranks: Vec<BTreeMap<String, usize>> = fields.iter().map(|field| self.order(field)).collect();
        let mut places = distinct(self.rows.iter().map(|row| self.values(fields, row)));
        if let Some(at) = fields.iter().position(|field| *field == Field::Metric) {
            let with = |place: &Vec<String>, metric: &Metric| {
                let mut place = place.clone();
                place[at] = metric.name().to_owned();
                place
            };
            places = places.iter().flat_map(|place| metrics.iter().map(move |metric| with(place, metric))).collect();
        }
        let rank = |place: &Vec<String>| -> Vec<usize> {
            let of = |(at, value): (usize, &String)| match fields[at] {
                Field::Metric => metrics.iter().position(|metric| metric.name() == value).unwrap_or(usize::MAX),
                _ => ranks[at].get(value).copied().unwrap_or(usize::MAX),
            };
            place.iter().enumerate().map(of).collect()
        };
        places.sort_by_key(rank);
        places
    }

    /// The place of each value of a field.
    fn order(&self, field: &Field) -> BTreeMap<String, usize> {
        let groups = distinct(self.rows.iter().map(|row| &row.group));
        let asked = self.spec.conditions.get(field).map(|choice| choice.0.as_slice()).unwrap_or_default();
        let mut firsts: Vec<(usize, usize, bool, String)> = Vec::new();
        let mut seen = BTreeSet::new();
        for row in &self.rows {
            let value = self.value(field, row);
            if seen.insert(value.clone()) {
                let place = asked.iter().position(|asked| matches(row, field, asked)).unwrap_or(asked.len());
                let set = *field == Field::Set;
                // A group's mean stands behind its sets; where the group is a label of its own, one place behind all sets does for each.
                let by_group = set && !self.spec.fields().any(|field| *field == Field::Group);
                let group = groups.iter().position(|group| **group == row.group).filter(|_| by_group).unwrap_or(0);
                firsts.push((place, group, set && row.mean_of().is_some(), value));
            }
        }
        firsts.sort_by_key(|(place, group, mean, _)| (*place, *group, *mean));
        firsts.into_iter().enumerate().map(|(at, (.., value))| (value, at)).collect()
    }

    fn labels(&self, fields: &[Field], place: &[String]) -> Vec<String> {
        let detector = fields.iter().position(|field| *field == Field::Detector).map(|at| &place[at]);
        let label = |(field, value): (&Field, &String)| {
            let shown = self.spec.label(value);
            match field {
                _ if shown != value => shown.to_owned(),
                // A score that is named as its detector says nothing new.
                Field::Score if detector == Some(value) => String::new(),
                Field::Metric => value.parse().map_or(value.clone(), |metric: Metric| metric.label().to_owned()),
                _ => value.clone(),
            }
        };
        fields.iter().zip(place).map(label).collect()
    }
}

impl TableSpec {
    /// Whether a row meets all conditions but one.
    fn meets_all(&self, row: &Row, but: Option<&Field>) -> bool {
        self.conditions
            .iter()
            .filter(|(field, _)| Some(*field) != but)
            .all(|(field, choice)| meets(row, field, &choice.0))
    }
}

fn meets(row: &Row, field: &Field, choice: &[String]) -> bool {
    choice.iter().any(|asked| matches(row, field, asked))
}

/// Whether a row has that value; `mean (far)` is the mean over a group.
pub(super) fn matches(row: &Row, field: &Field, asked: &str) -> bool {
    same_value(&field.value(row), asked)
        || (*field == Field::Set && row.mean_of().is_some() && asked == format!("{MEAN} ({})", row.group))
}

/// Each once, in order of first appearance.
pub(super) fn distinct<T: Ord + Clone>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut seen = BTreeSet::new();
    values.into_iter().filter(|value| seen.insert(value.clone())).collect()
}

fn one_of(known: &[String]) -> String {
    if let [only] = known {
        format!("{only:?}")
    } else {
        format!("one of {}", listed(known.iter().map(String::as_str)))
    }
}

/// Values as they stand in messages: the first ones of many.
fn listed<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 20;
    let values: Vec<String> =
        values.into_iter().map(|value| if value.is_empty() { "(none)".to_owned() } else { value.to_owned() }).collect();
    let more = values.len().saturating_sub(MOST);
    let shown = values.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}
