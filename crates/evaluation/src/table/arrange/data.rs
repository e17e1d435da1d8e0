//! An arranged table as data: CSV, JSON and Parquet of the same columns.

use std::fmt::Write as _;

use polars::prelude::{Column, DataFrame, NamedFrom, ParquetCompression, ParquetWriter, Series, StatisticsOptions};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Arranged, ArrangedCell, ArrangedValue};
use crate::table::TableError;
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

/// What stands in one column of one line.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
enum Datum {
    Text(Option<String>),
    Number(Option<f64>),
    Count(Option<u64>),
}

impl Datum {
    fn text(text: &str) -> Datum {
        Datum::Text(Some(text.to_owned()).filter(|text| !text.is_empty()))
    }

    fn csv(&self) -> String {
        match self {
            Datum::Text(text) => quoted(text.as_deref().unwrap_or_default()),
            Datum::Number(number) => number.map_or(String::new(), |number| number.to_string()),
            Datum::Count(count) => count.map_or(String::new(), |count| count.to_string()),
        }
    }
}

/// A line as an object.
struct Object<'a> {
    names: &'a [String],
    line: &'a [Datum],
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.line.len()))?;
        for (name, datum) in self.names.iter().zip(self.line) {
            map.serialize_entry(name, datum)?;
        }
        map.end()
    }
}

impl Arranged {
    /// The table as data, one line a value: the fields of rows and columns, the metric, its value and deviation over seeds, the ends of its
    /// interval, the numbers of seeds, of sets meaned over and of samples, the rule, and the published value with the difference. Fractions, in the
    /// shortest form that reads back to the same bits; absent values are empty; names as in `table.csv`, not the labels.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let header: Vec<String> = self.names().iter().map(|name| quoted(name)).collect();
        let mut out = format!("{}\n", header.join(","));
        for line in self.data() {
            let texts: Vec<String> = line.iter().map(Datum::csv).collect();
            let _ = writeln!(out, "{}", texts.join(","));
        }
        out
    }

    /// The lines of [`Arranged::to_csv`] as a JSON array of objects with its columns in their order; what is absent is null.
    ///
    /// # Errors
    /// None is known: every value has a form in JSON.
    pub fn to_json(&self) -> Result<String, TableError> {
        let (names, data) = (self.names(), self.data());
        let objects: Vec<Object<'_>> = data.iter().map(|line| Object { names: &names, line }).collect();
        let mut text = serde_json::to_string_pretty(&objects)?;
        text.push('\n');
        Ok(text)
    }

    /// The lines of [`Arranged::to_csv`] as Parquet with its columns in their order: names as String, numbers of seeds, sets and samples as
    /// UInt64, the others as Float64, what is absent null; zstd, without statistics. The same table gives the same bytes for any number of
    /// threads.
    ///
    /// # Errors
    /// When polars refuses the columns, which it has no reason to.
    pub fn to_parquet(&self) -> Result<Vec<u8>, TableError> {
        let data = self.data();
        let columns = self.names().into_iter().enumerate().map(|(at, name)| column(&name, &data, at)).collect();
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes)
            .with_compression(ParquetCompression::Zstd(None))
            .with_statistics(StatisticsOptions::empty())
            .with_row_group_size(Some(crate::table::frame::ROW_GROUP))
            .finish(&mut DataFrame::new(data.len(), columns)?)?;
        Ok(bytes)
    }

    /// The fields whose values label lines and columns; the metric has a column anyway.
    fn named(&self) -> impl Iterator<Item = (usize, &Field)> {
        let fields = self.fields.0.iter().chain(&self.fields.1);
        fields.enumerate().filter(|(_, field)| **field != Field::Metric)
    }

    fn names(&self) -> Vec<String> {
        self.named().map(|(_, field)| field.name()).chain(COLUMNS.map(str::to_owned)).collect()
    }

    /// One line a value, one datum a name.
    fn data(&self) -> Vec<Vec<Datum>> {
        let mut data = Vec::new();
        for line in &self.lines {
            for (column, cell) in self.column_values.iter().zip(&line.cells) {
                let Some(cell) = cell else { continue };
                let values: Vec<&String> = line.values.iter().chain(column).collect();
                for value in cell.values.iter().flatten() {
                    let names = self.named().map(|(at, _)| Datum::text(values[at]));
                    data.push(names.chain(measured(cell, value)).collect());
                }
            }
        }
        data
    }
}

fn measured(cell: &ArrangedCell, value: &ArrangedValue) -> [Datum; 12] {
    let published = value.published.map(|published| published.value);
    let own = (!cell.reported).then_some(value.value);
    [
        Datum::text(value.metric.name()),
        Datum::Number(own),
        Datum::Number((cell.seeds > 1).then_some(value.deviation)),
        Datum::Number(value.interval.map(|[low, _]| low)),
        Datum::Number(value.interval.map(|[_, high]| high)),
        Datum::Count(own.map(|_| cell.seeds as u64)),
        Datum::Count(cell.sets.map(|sets| sets as u64)),
        Datum::Count(cell.n_id),
        Datum::Count(cell.n_ood),
        Datum::text(&cell.rule),
        Datum::Number(published),
        Datum::Number(own.zip(published).map(|(own, published)| own - published)),
    ]
}

/// A column of a frame: of one kind, for every line has that kind there. A table without lines has texts alone.
fn column(name: &str, data: &[Vec<Datum>], at: usize) -> Column {
    let all = || data.iter().filter_map(|line| line.get(at));
    let number = |datum: &Datum| if let Datum::Number(number) = datum { *number } else { None };
    let count = |datum: &Datum| if let Datum::Count(count) = datum { *count } else { None };
    let text = |datum: &Datum| if let Datum::Text(text) = datum { text.clone() } else { None };
    let series = match all().next() {
        Some(Datum::Number(_)) => Series::new(name.into(), all().map(number).collect::<Vec<_>>()),
        Some(Datum::Count(_)) => Series::new(name.into(), all().map(count).collect::<Vec<_>>()),
        Some(Datum::Text(_)) | None => Series::new(name.into(), all().map(text).collect::<Vec<_>>()),
    };
    series.into()
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
