//! Comparisons of detectors as rows: `comparisons.csv` and Markdown.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Cursor;

use polars::prelude::{
    Column, CsvReadOptions, CsvWriter, DataFrame, DataType, NamedFrom, SerReader, SerWriter, Series,
};
use serde::{Deserialize, Serialize};

use super::Metric;
use super::compare::{PairedTest, holm};
use crate::table::TableError;

/// How a difference was tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// [`super::compare::delong`]: AUROC on one set.
    DelongPaired,
    /// [`super::compare::bootstrap`].
    BootstrapPaired,
}

impl Method {
    const ALL: [Method; 2] = [Method::DelongPaired, Method::BootstrapPaired];

    /// The name in columns.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Method::DelongPaired => "delong-paired",
            Method::BootstrapPaired => "bootstrap-paired",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The columns of `comparisons.csv`, in order.
pub const COMPARISON_COLUMNS: [&str; 22] = [
    "cell",
    "seed",
    "benchmark",
    "protocol",
    "group",
    "id_set",
    "ood_set",
    "detector_a",
    "score_a",
    "detector_b",
    "score_b",
    "metric",
    "a",
    "b",
    "difference",
    "low",
    "high",
    "method",
    "p",
    "p_holm",
    "sets_in_family",
    "run",
];

/// Two detectors on the same images, compared by one metric. Values are fractions 0..1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The cell's sorted overrides as one string; empty without a sweep.
    pub cell: String,
    /// Seed of the run.
    pub seed: u64,
    /// Benchmark.
    pub benchmark: String,
    /// Protocol.
    pub protocol: String,
    /// Group of the OOD set.
    pub group: String,
    /// In-distribution set.
    pub id_set: String,
    /// OOD set, or `mean of N` for the mean over a group.
    pub ood_set: String,
    /// The first detector.
    pub detector_a: String,
    /// Its score.
    pub score_a: String,
    /// The second detector.
    pub detector_b: String,
    /// Its score.
    pub score_b: String,
    /// The metric.
    pub metric: Metric,
    /// Of the first detector.
    pub a: f64,
    /// Of the second.
    pub b: f64,
    /// `a - b`, -1..1.
    pub difference: f64,
    /// Lower end of the 95 % interval of the difference, not corrected for the number of sets.
    pub low: f64,
    /// Upper end of that interval.
    pub high: f64,
    /// The test.
    pub method: Method,
    /// Two-sided p; absent where the test has no answer.
    pub p: Option<f64>,
    /// `p` after Holm's correction over the family ([`correct`]).
    pub p_holm: Option<f64>,
    /// Tests in that family.
    pub sets_in_family: u64,
    /// Key of the run.
    pub run: String,
}

impl Default for Comparison {
    /// Empty names, values NaN: to be filled by struct update syntax and [`Comparison::with_test`].
    fn default() -> Comparison {
        Comparison {
            cell: String::new(),
            seed: 0,
            benchmark: String::new(),
            protocol: String::new(),
            group: String::new(),
            id_set: String::new(),
            ood_set: String::new(),
            detector_a: String::new(),
            score_a: String::new(),
            detector_b: String::new(),
            score_b: String::new(),
            metric: Metric::Auroc,
            a: f64::NAN,
            b: f64::NAN,
            difference: f64::NAN,
            low: f64::NAN,
            high: f64::NAN,
            method: Method::DelongPaired,
            p: None,
            p_holm: None,
            sets_in_family: 1,
            run: String::new(),
        }
    }
}

impl Comparison {
    /// Takes over what a test found; the names stay, and the correction is still to be made.
    #[must_use]
    pub fn with_test(mut self, metric: Metric, method: Method, test: PairedTest) -> Comparison {
        self.metric = metric;
        self.method = method;
        self.a = test.a;
        self.b = test.b;
        self.difference = test.difference;
        self.low = test.low;
        self.high = test.high;
        self.p = test.p;
        self.p_holm = test.p;
        self.sets_in_family = 1;
        self
    }

    /// What tells families apart. Means over groups repeat what their sets say, and are a family of their own.
    fn family(&self) -> impl Ord + use<'_> {
        let pair = [&self.detector_a, &self.score_a, &self.detector_b, &self.score_b];
        let place = [&self.run, &self.cell, &self.benchmark, &self.protocol, &self.id_set];
        (place, self.seed, pair, self.metric, self.method, self.ood_set.starts_with("mean of "))
    }
}

/// Sets `p_holm` and `sets_in_family` of every row: one family is all sets of one run, protocol, pair of scores, metric and
/// method, and all means over groups of the same another.
pub fn correct(rows: &mut [Comparison]) {
    let mut families: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        families.entry(row.family()).or_default().push(index);
    }
    let families: Vec<Vec<usize>> = families.into_values().collect();
    for family in families {
        let p: Vec<f64> = family.iter().map(|&index| rows[index].p.unwrap_or(f64::NAN)).collect();
        for (&index, corrected) in family.iter().zip(holm(&p)) {
            rows[index].p_holm = Some(corrected).filter(|p| !p.is_nan());
            rows[index].sets_in_family = family.len() as u64;
        }
    }
}

/// The rows as CSV of the columns [`COMPARISON_COLUMNS`], in their order: floats in their shortest form that reads back to the same bits,
/// absent values and empty texts as nothing.
///
/// # Errors
/// When polars refuses the columns, which it has no reason to.
pub fn comparisons_to_csv(rows: &[Comparison]) -> Result<Vec<u8>, TableError> {
    let text = |name: &str, get: &dyn Fn(&Comparison) -> String| -> Column {
        let values: Vec<Option<String>> = rows.iter().map(|row| Some(get(row)).filter(|t| !t.is_empty())).collect();
        Series::new(name.into(), values).into()
    };
    let count = |name: &str, get: fn(&Comparison) -> u64| -> Column {
        Series::new(name.into(), rows.iter().map(get).collect::<Vec<_>>()).into()
    };
    let number = |name: &str, get: fn(&Comparison) -> Option<f64>| -> Column {
        Series::new(name.into(), rows.iter().map(get).collect::<Vec<_>>()).into()
    };
    let columns = vec![
        text("cell", &|r| r.cell.clone()),
        count("seed", |r| r.seed),
        text("benchmark", &|r| r.benchmark.clone()),
        text("protocol", &|r| r.protocol.clone()),
        text("group", &|r| r.group.clone()),
        text("id_set", &|r| r.id_set.clone()),
        text("ood_set", &|r| r.ood_set.clone()),
        text("detector_a", &|r| r.detector_a.clone()),
        text("score_a", &|r| r.score_a.clone()),
        text("detector_b", &|r| r.detector_b.clone()),
        text("score_b", &|r| r.score_b.clone()),
        text("metric", &|r| r.metric.name().to_owned()),
        number("a", |r| Some(r.a)),
        number("b", |r| Some(r.b)),
        number("difference", |r| Some(r.difference)),
        number("low", |r| Some(r.low)),
        number("high", |r| Some(r.high)),
        text("method", &|r| r.method.name().to_owned()),
        number("p", |r| r.p),
        number("p_holm", |r| r.p_holm),
        count("sets_in_family", |r| r.sets_in_family),
        text("run", &|r| r.run.clone()),
    ];
    let mut bytes = Vec::new();
    CsvWriter::new(&mut bytes).finish(&mut DataFrame::new(rows.len(), columns)?)?;
    Ok(bytes)
}

/// Reads what [`comparisons_to_csv`] wrote; columns may stand in any order.
///
/// # Errors
/// When the bytes are not CSV, a column is missing, or a value is not of its column's kind (row and column are named).
pub fn comparisons_from_csv(bytes: &[u8]) -> Result<Vec<Comparison>, TableError> {
    // Everything is read as text: values are parsed here, where row and column can be named.
    let frame = CsvReadOptions::default()
        .with_has_header(true)
        .with_infer_schema_length(Some(0))
        .into_reader_with_file_handle(Cursor::new(bytes))
        .finish()?;
    let mut texts: BTreeMap<&str, Vec<Option<String>>> = BTreeMap::new();
    for name in COMPARISON_COLUMNS {
        let column = frame.column(name).map_err(|_| TableError::MissingColumn {
            name: name.to_owned(),
            found: frame.get_column_names().iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", "),
        })?;
        let column = column.cast(&DataType::String)?;
        texts.insert(name, column.str()?.iter().map(|text| text.map(str::to_owned)).collect());
    }
    (0..frame.height()).map(|row| Cells { texts: &texts, row }.comparison()).collect()
}

/// The texts of one row.
struct Cells<'a> {
    texts: &'a BTreeMap<&'static str, Vec<Option<String>>>,
    row: usize,
}

impl Cells<'_> {
    fn text(&self, column: &str) -> String {
        self.texts.get(column).and_then(|texts| texts.get(self.row)?.clone()).unwrap_or_default()
    }

    fn parsed<T>(
        &self,
        column: &str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, TableError> {
        let found = self.text(column);
        match parse(&found) {
            Some(value) => Ok(value),
            None => Err(TableError::Value { row: self.row + 1, column: column.to_owned(), expected, found }),
        }
    }

    fn number(&self, column: &str) -> Result<f64, TableError> {
        self.parsed(column, "a number", |text| text.parse().ok())
    }

    fn optional(&self, column: &str) -> Result<Option<f64>, TableError> {
        if self.text(column).is_empty() { Ok(None) } else { self.number(column).map(Some) }
    }

    fn count(&self, column: &str) -> Result<u64, TableError> {
        self.parsed(column, "a whole number", |text| text.parse().ok())
    }

    fn comparison(&self) -> Result<Comparison, TableError> {
        Ok(Comparison {
            cell: self.text("cell"),
            seed: self.count("seed")?,
            benchmark: self.text("benchmark"),
            protocol: self.text("protocol"),
            group: self.text("group"),
            id_set: self.text("id_set"),
            ood_set: self.text("ood_set"),
            detector_a: self.text("detector_a"),
            score_a: self.text("score_a"),
            detector_b: self.text("detector_b"),
            score_b: self.text("score_b"),
            metric: self.parsed("metric", "a metric", |text| text.parse().ok())?,
            a: self.number("a")?,
            b: self.number("b")?,
            difference: self.number("difference")?,
            low: self.number("low")?,
            high: self.number("high")?,
            method: self.parsed("method", "delong-paired or bootstrap-paired", |text| {
                Method::ALL.into_iter().find(|method| method.name() == text)
            })?,
            p: self.optional("p")?,
            p_holm: self.optional("p_holm")?,
            sets_in_family: self.count("sets_in_family")?,
            run: self.text("run"),
        })
    }
}
