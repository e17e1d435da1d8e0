//! The table as a polars frame, as CSV and as Parquet.

use std::collections::BTreeMap;
use std::io::Cursor;

use polars::prelude::{
    Column, CsvReadOptions, CsvWriter, DataFrame, DataType, NamedFrom, ParquetCompression, ParquetWriter, SerReader,
    SerWriter, Series, StatisticsOptions,
};

use super::{COLUMNS, MORE, Row, SWEEP_PREFIX, Table, TableError};
use crate::metrics::{FprRule, Metric};

const FRACTION: &str = "a number from 0 to 1";

/// Rows a row group of Parquet: fixed, so that the bytes depend on nothing else.
pub(super) const ROW_GROUP: usize = 1 << 16;

impl Table {
    /// The table as a frame of the columns [`COLUMNS`], then [`MORE`] and the ends of bootstrap intervals (`fpr95_id_low`), then `sweep.<key>` in byte order of key: texts as String
    /// (empty ones null), `seed`, `n_id` and `n_ood` as UInt64, metrics as Float64 in 0..1.
    ///
    /// # Errors
    /// When polars refuses the columns, which it has no reason to.
    pub fn to_frame(&self) -> Result<DataFrame, TableError> {
        let rows = &self.rows;
        let texts = |name: &str, get: &dyn Fn(&Row) -> Option<&str>| -> Column {
            let values: Vec<Option<&str>> = rows.iter().map(|row| get(row).filter(|text| !text.is_empty())).collect();
            Series::new(name.into(), values).into()
        };
        let text = |name: &str, get: fn(&Row) -> &String| texts(name, &|row| Some(get(row)));
        let count = |name: &str, get: fn(&Row) -> Option<u64>| -> Column {
            Series::new(name.into(), rows.iter().map(get).collect::<Vec<_>>()).into()
        };
        let number = |name: &str, get: fn(&Row) -> Option<f64>| -> Column {
            Series::new(name.into(), rows.iter().map(get).collect::<Vec<_>>()).into()
        };
        let mut columns = vec![
            text("experiment", |r| &r.experiment),
            text("cell", |r| &r.cell),
            count("seed", |r| Some(r.seed)),
            text("detector", |r| &r.detector),
            text("score", |r| &r.score),
            text("benchmark", |r| &r.benchmark),
            text("protocol", |r| &r.protocol),
            text("id_set", |r| &r.id_set),
            text("ood_set", |r| &r.ood_set),
            text("group", |r| &r.group),
            count("n_id", |r| r.n_id),
            count("n_ood", |r| r.n_ood),
            number("auroc", |r| Some(r.auroc)),
            number("auroc_low", |r| r.auroc_low),
            number("auroc_high", |r| r.auroc_high),
            number("aupr_in", |r| Some(r.aupr_in)),
            number("aupr_out", |r| Some(r.aupr_out)),
            number("fpr95_id", |r| Some(r.fpr95_id)),
            number("fpr95_ood", |r| Some(r.fpr95_ood)),
            text("rule", |r| &r.rule),
            text("id_list", |r| &r.id_list),
            text("ood_list", |r| &r.ood_list),
            text("run", |r| &r.run),
        ];
        for metric in MORE {
            let values: Vec<Option<f64>> = rows.iter().map(|row| row.value(metric)).collect();
            columns.push(Series::new(metric.name().into(), values).into());
        }
        for metric in bootstrapped() {
            for (end, name) in end_names(metric).into_iter().enumerate() {
                let values: Vec<Option<f64>> =
                    rows.iter().map(|row| row.intervals.get(&metric).map(|ends| ends[end])).collect();
                columns.push(Series::new(name.into(), values).into());
            }
        }
        for key in &self.sweep_keys {
            columns.push(texts(&format!("{SWEEP_PREFIX}{key}"), &|row| row.sweep.get(key).map(String::as_str)));
        }
        Ok(DataFrame::new(rows.len(), columns)?)
    }

    /// The table as CSV: floats in their shortest form that reads back to the same bits, absent values and empty texts
    /// as nothing, lines ended by a line feed. The same table gives the same bytes for any number of threads.
    ///
    /// # Errors
    /// When polars refuses the columns, which it has no reason to.
    pub fn to_csv(&self) -> Result<Vec<u8>, TableError> {
        let mut bytes = Vec::new();
        CsvWriter::new(&mut bytes).finish(&mut self.to_frame()?)?;
        Ok(bytes)
    }

    /// The table as Parquet: the columns of [`Table::to_frame`], zstd, without statistics. The same table gives the same bytes for any
    /// number of threads.
    ///
    /// # Errors
    /// When polars refuses the columns, which it has no reason to.
    pub fn to_parquet(&self) -> Result<Vec<u8>, TableError> {
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes)
            .with_compression(ParquetCompression::Zstd(None))
            .with_statistics(StatisticsOptions::empty())
            .with_row_group_size(Some(ROW_GROUP))
            .finish(&mut self.to_frame()?)?;
        Ok(bytes)
    }

    /// Reads what [`Table::to_csv`] wrote; columns may stand in any order.
    ///
    /// # Errors
    /// When the bytes are not CSV, a column is missing or unknown, or a value is not of its column's kind (row and column
    /// are named).
    pub fn from_csv(bytes: &[u8]) -> Result<Table, TableError> {
        // Everything is read as text: values are parsed here, where row and column can be named.
        let frame = CsvReadOptions::default()
            .with_has_header(true)
            .with_infer_schema_length(Some(0))
            .into_reader_with_file_handle(Cursor::new(bytes))
            .finish()?;
        Table::from_text_frame(&frame)
    }

    fn from_text_frame(frame: &DataFrame) -> Result<Table, TableError> {
        let names: Vec<&str> = frame.get_column_names().into_iter().map(|name| name.as_str()).collect();
        let mut texts: BTreeMap<&str, Vec<Option<String>>> = BTreeMap::new();
        for name in &names {
            let known = COLUMNS.contains(name) || appended().any(|other| other == *name);
            if !known && !name.starts_with(SWEEP_PREFIX) {
                return Err(TableError::UnknownColumn { name: (*name).to_owned() });
            }
            let column = frame.column(name)?.cast(&DataType::String)?;
            texts.insert(name, column.str()?.iter().map(|text| text.map(str::to_owned)).collect());
        }
        for name in COLUMNS {
            if !texts.contains_key(name) {
                return Err(TableError::MissingColumn { name: name.to_owned(), found: names.join(", ") });
            }
        }
        let keys: Vec<&str> = texts.keys().filter_map(|name| name.strip_prefix(SWEEP_PREFIX)).collect();
        let mut rows = Vec::with_capacity(frame.height());
        for index in 0..frame.height() {
            let cells = Cells { texts: &texts, index };
            let mut sweep = BTreeMap::new();
            for key in &keys {
                if let Some(value) = cells.get(&format!("{SWEEP_PREFIX}{key}")) {
                    sweep.insert((*key).to_owned(), value.to_owned());
                }
            }
            let mut more = BTreeMap::new();
            for metric in MORE {
                more.extend(cells.fraction(metric.name())?.map(|value| (metric, value)));
            }
            let mut intervals = BTreeMap::new();
            for metric in bootstrapped() {
                let [low, high] = end_names(metric);
                if let (Some(low), Some(high)) = (cells.fraction(&low)?, cells.fraction(&high)?) {
                    intervals.insert(metric, [low, high]);
                }
            }
            rows.push(Row {
                more,
                intervals,
                experiment: cells.text("experiment"),
                cell: cells.text("cell"),
                seed: cells.parsed("seed", "a whole number")?.ok_or_else(|| cells.absent("seed", "a whole number"))?,
                detector: cells.text("detector"),
                score: cells.text("score"),
                benchmark: cells.text("benchmark"),
                protocol: cells.text("protocol"),
                id_set: cells.text("id_set"),
                ood_set: cells.text("ood_set"),
                group: cells.text("group"),
                n_id: cells.parsed("n_id", "a whole number")?,
                n_ood: cells.parsed("n_ood", "a whole number")?,
                auroc: cells.number("auroc")?,
                auroc_low: cells.fraction("auroc_low")?,
                auroc_high: cells.fraction("auroc_high")?,
                aupr_in: cells.number("aupr_in")?,
                aupr_out: cells.number("aupr_out")?,
                fpr95_id: cells.number("fpr95_id")?,
                fpr95_ood: cells.number("fpr95_ood")?,
                rule: cells.rule()?,
                id_list: cells.text("id_list"),
                ood_list: cells.text("ood_list"),
                run: cells.text("run"),
                sweep,
            });
        }
        Ok(Table { rows, sweep_keys: keys.into_iter().map(str::to_owned).collect() })
    }
}

/// Metrics whose bootstrap intervals are columns; a mean's AUROC has one too, in `auroc_low` and `auroc_high`.
pub(super) fn bootstrapped() -> impl Iterator<Item = Metric> {
    Metric::ALL.into_iter().filter(|metric| *metric != Metric::Auroc)
}

pub(super) fn end_names(metric: Metric) -> [String; 2] {
    [format!("{metric}_low"), format!("{metric}_high")]
}

/// Columns between `run` and those of the sweep; a table may lack them.
fn appended() -> impl Iterator<Item = String> {
    MORE.into_iter().map(|metric| metric.name().to_owned()).chain(bootstrapped().flat_map(end_names))
}

/// The texts of one row.
struct Cells<'a> {
    texts: &'a BTreeMap<&'a str, Vec<Option<String>>>,
    index: usize,
}

impl Cells<'_> {
    fn get(&self, column: &str) -> Option<&str> {
        self.texts.get(column)?.get(self.index)?.as_deref()
    }

    fn text(&self, column: &str) -> String {
        self.get(column).unwrap_or_default().to_owned()
    }

    fn parsed<T: std::str::FromStr>(&self, column: &str, expected: &'static str) -> Result<Option<T>, TableError> {
        let Some(text) = self.get(column) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| TableError::Value {
            row: self.index + 1,
            column: column.to_owned(),
            expected,
            found: text.to_owned(),
        })
    }

    /// A metric or the end of its interval: a fraction.
    fn fraction(&self, column: &str) -> Result<Option<f64>, TableError> {
        let value = self.parsed(column, FRACTION)?;
        match value {
            Some(value) if !(0.0..=1.0).contains(&value) => Err(TableError::Value {
                row: self.index + 1,
                column: column.to_owned(),
                expected: FRACTION,
                found: self.text(column),
            }),
            value => Ok(value),
        }
    }

    fn number(&self, column: &str) -> Result<f64, TableError> {
        self.fraction(column)?.ok_or_else(|| self.absent(column, FRACTION))
    }

    /// The rule of the operating point; empty in a mean over several.
    fn rule(&self) -> Result<String, TableError> {
        let rule = self.text("rule");
        if rule.is_empty() || rule.parse::<FprRule>().is_ok() {
            return Ok(rule);
        }
        let (row, column) = (self.index + 1, "rule".to_owned());
        Err(TableError::Value { row, column, expected: "a rule of the operating point", found: rule })
    }

    fn absent(&self, column: &str, expected: &'static str) -> TableError {
        TableError::Value { row: self.index + 1, column: column.to_owned(), expected, found: String::new() }
    }
}
