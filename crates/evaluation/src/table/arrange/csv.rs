//! An arranged table as data.

use std::fmt::Write as _;

use super::{Arranged, ArrangedCell, ArrangedValue};
use crate::table::field::Field;

/// Columns behind those of the fields.
const COLUMNS: [&str; 12] = [
    "metric",
    "value",
    "deviation",
    "low",
    "high",
    "seeds",
    "sets",
    "n_id",
    "n_ood",
    "rule",
    "published",
    "difference",
];

impl Arranged {
    /// The table as data, one line a value: the fields of rows and columns, the metric, its value and deviation over seeds, the ends of its
    /// interval, the numbers of seeds, of sets meaned over and of samples, the rule, and the published value with the difference. Fractions, in the
    /// shortest form that reads back to the same bits; absent values are empty; names as in `table.csv`, not the labels.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let fields: Vec<&Field> = self.fields.0.iter().chain(&self.fields.1).collect();
        let named = || fields.iter().enumerate().filter(|(_, field)| ***field != Field::Metric);
        let header: Vec<String> = named()
            .map(|(_, field)| field.name())
            .chain(COLUMNS.map(str::to_owned))
            .map(|name| quoted(&name))
            .collect();
        let mut out = format!("{}\n", header.join(","));
        for line in &self.lines {
            for (column, cell) in self.column_values.iter().zip(&line.cells) {
                let Some(cell) = cell else { continue };
                let values: Vec<&String> = line.values.iter().chain(column).collect();
                let names: Vec<String> = named().map(|(at, _)| quoted(values[at])).collect();
                for value in cell.values.iter().flatten() {
                    let texts: Vec<String> = names.iter().cloned().chain(data(cell, value)).collect();
                    let _ = writeln!(out, "{}", texts.join(","));
                }
            }
        }
        out
    }
}

fn data(cell: &ArrangedCell, value: &ArrangedValue) -> [String; 12] {
    let number = |number: Option<f64>| number.map_or(String::new(), |number| number.to_string());
    let count = |count: Option<u64>| count.map_or(String::new(), |count| count.to_string());
    let published = value.published.map(|published| published.value);
    let own = (!cell.reported).then_some(value.value);
    [
        value.metric.name().to_owned(),
        number(own),
        number((cell.seeds > 1).then_some(value.deviation)),
        number(value.interval.map(|[low, _]| low)),
        number(value.interval.map(|[_, high]| high)),
        own.map_or(String::new(), |_| cell.seeds.to_string()),
        count(cell.sets.map(|sets| sets as u64)),
        count(cell.n_id),
        count(cell.n_ood),
        quoted(&cell.rule),
        number(published),
        number(own.zip(published).map(|(own, published)| own - published)),
    ]
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
