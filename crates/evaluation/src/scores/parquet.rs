//! `scores.parquet`: every score of every sample of an experiment.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use polars::prelude::{
    BooleanChunked, Column, DataFrame, IntoSeries, NamedFrom, NewChunkedArray, ParquetCompression, ParquetWriter,
    Series, StatisticsOptions, StringChunked,
};

use super::ScoreError;
use super::read::parquet_frame;

/// Rows a row group: fixed, so that the bytes depend on nothing else.
const ROW_GROUP: usize = 1 << 16;

/// Scores of an experiment, one record a sample and score.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScoreRecords {
    cell: Texts,
    seed: Vec<u64>,
    detector: Texts,
    score: Texts,
    protocol: Texts,
    set: Texts,
    is_ood: Vec<bool>,
    index: Vec<u32>,
    id: Texts,
    value: Vec<f64>,
}

impl ScoreRecords {
    /// Adds one record: the `value` (higher = more out-of-distribution) that `score` of `detector` gave to the sample `id`,
    /// which is number `index` of `set`. `protocol` is empty where it makes no difference.
    #[expect(clippy::too_many_arguments, reason = "one argument a column")]
    pub fn push(
        &mut self,
        cell: &str,
        seed: u64,
        detector: &str,
        score: &str,
        protocol: &str,
        set: &str,
        is_ood: bool,
        index: u32,
        id: &str,
        value: f64,
    ) {
        self.cell.push(cell);
        self.seed.push(seed);
        self.detector.push(detector);
        self.score.push(score);
        self.protocol.push(protocol);
        self.set.push(set);
        self.is_ood.push(is_ood);
        self.index.push(index);
        self.id.push(id);
        self.value.push(value);
    }

    /// The records in runs of one (cell, seed, detector, score, protocol, set), in their order.
    #[must_use]
    pub fn blocks(&self) -> Vec<ScoreBlock<'_>> {
        let key = |at: usize| {
            let texts =
                [&self.cell, &self.detector, &self.score, &self.protocol, &self.set].map(|texts| texts.codes[at]);
            (texts, self.seed[at], self.is_ood[at])
        };
        let mut blocks = Vec::new();
        let mut start = 0;
        for end in 1..=self.len() {
            if end < self.len() && key(end) == key(start) {
                continue;
            }
            blocks.push(ScoreBlock {
                cell: self.cell.at(start),
                seed: self.seed[start],
                detector: self.detector.at(start),
                score: self.score.at(start),
                protocol: self.protocol.at(start),
                set: self.set.at(start),
                is_ood: self.is_ood[start],
                indices: &self.index[start..end],
                values: &self.value[start..end],
            });
            start = end;
        }
        blocks
    }

    /// Records held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.value.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }
}

/// The values that one score gave to the samples of one set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreBlock<'a> {
    /// Cell of the sweep.
    pub cell: &'a str,
    /// Seed.
    pub seed: u64,
    /// Detector.
    pub detector: &'a str,
    /// Score.
    pub score: &'a str,
    /// Protocol; empty where it makes no difference (the in-distribution test images).
    pub protocol: &'a str,
    /// Set.
    pub set: &'a str,
    /// Whether its samples are out of distribution.
    pub is_ood: bool,
    /// Number of each sample within its set.
    pub indices: &'a [u32],
    /// Its value, higher = more out-of-distribution.
    pub values: &'a [f64],
}

/// A column of texts that repeat: each is kept once.
#[derive(Debug, Clone, Default, PartialEq)]
struct Texts {
    distinct: Vec<String>,
    places: BTreeMap<String, u32>,
    codes: Vec<u32>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        // Neighbours are mostly equal.
        if let Some(&last) = self.codes.last()
            && self.distinct[last as usize] == text
        {
            self.codes.push(last);
            return;
        }
        let code = self.places.get(text).copied().unwrap_or_else(|| {
            let code = self.distinct.len() as u32;
            self.distinct.push(text.to_owned());
            self.places.insert(text.to_owned(), code);
            code
        });
        self.codes.push(code);
    }

    fn at(&self, row: usize) -> &str {
        &self.distinct[self.codes[row] as usize]
    }

    fn column(&self, name: &str) -> Column {
        let texts = self.codes.iter().map(|&code| self.distinct[code as usize].as_str());
        StringChunked::from_iter_values(name.into(), texts).into_series().into()
    }
}

/// The records as a Parquet file of the columns `cell` (String), `seed` (UInt64), `detector`, `score`, `protocol`, `set`
/// (String), `is_ood` (Boolean), `index` (UInt32), `id` (String), `value` (Float64), zstd-compressed, in the order given. The
/// same records give the same bytes for any number of threads.
///
/// # Errors
/// When polars cannot write, which has no known cause.
pub fn write_scores_parquet(records: &ScoreRecords) -> Result<Vec<u8>, ScoreError> {
    let mut frame = DataFrame::new(
        records.len(),
        vec![
            records.cell.column("cell"),
            Series::new("seed".into(), records.seed.as_slice()).into(),
            records.detector.column("detector"),
            records.score.column("score"),
            records.protocol.column("protocol"),
            records.set.column("set"),
            BooleanChunked::from_slice("is_ood".into(), &records.is_ood).into_series().into(),
            Series::new("index".into(), records.index.as_slice()).into(),
            records.id.column("id"),
            Series::new("value".into(), records.value.as_slice()).into(),
        ],
    )?;
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Zstd(None))
        .with_statistics(StatisticsOptions::default())
        .with_row_group_size(Some(ROW_GROUP))
        .finish(&mut frame)?;
    Ok(bytes)
}

/// Reads what [`write_scores_parquet`] wrote.
///
/// # Errors
/// When the bytes are not Parquet, or lack one of its columns, or hold it with another type.
pub fn read_scores_parquet(bytes: &[u8]) -> Result<ScoreRecords, ScoreError> {
    let path = Path::new("scores.parquet");
    let frame = parquet_frame(path, Cursor::new(bytes), bytes.len() as u64, None)?;
    let format = |error: polars::error::PolarsError| ScoreError::Format {
        path: path.to_owned(),
        format: "Parquet",
        message: error.to_string(),
    };
    let column = |name: &str| {
        frame.column(name).map(Column::as_materialized_series).map_err(|_| ScoreError::MissingColumn {
            path: path.to_owned(),
            name: name.to_owned(),
            found: frame.get_column_names().iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", "),
        })
    };
    let texts = |name: &str| -> Result<Texts, ScoreError> {
        let mut texts = Texts::default();
        for text in column(name)?.str().map_err(format)?.iter() {
            texts.push(text.unwrap_or_default());
        }
        Ok(texts)
    };
    // Nulls are none of ours; the columns' own accessors refuse other types.
    Ok(ScoreRecords {
        cell: texts("cell")?,
        seed: column("seed")?.u64().map_err(format)?.into_no_null_iter().collect(),
        detector: texts("detector")?,
        score: texts("score")?,
        protocol: texts("protocol")?,
        set: texts("set")?,
        is_ood: column("is_ood")?.bool().map_err(format)?.iter().map(|flag| flag == Some(true)).collect(),
        index: column("index")?.u32().map_err(format)?.into_no_null_iter().collect(),
        id: texts("id")?,
        value: column("value")?.f64().map_err(format)?.into_no_null_iter().collect(),
    })
}
