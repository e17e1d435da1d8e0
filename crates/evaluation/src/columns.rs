//! Parquet as plain columns of numbers, texts and lists, whatever they mean.
//!
//! polars is most of what this workspace compiles, and is kept in one crate: others come here for tables.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use polars::error::{PolarsError, PolarsResult};
use polars::prelude::{
    ArrowDataType, Column as PolarsColumn, DataFrame, DataType, FileMetadata, IntoSeries, NamedFrom, NewChunkedArray,
    ParquetCompression, ParquetReader, ParquetWriter, SerReader, Series, StatisticsOptions, StringChunked,
};

use crate::scores::{ScoreError, guarded, parquet_frame};

/// Rows a row group: fixed, so that the bytes depend on nothing else.
const ROW_GROUP: usize = 1 << 16;
/// Values that a file may announce for each of its bytes. Run-length coding makes equal values cheap, but not cheaper.
const VALUES_PER_BYTE: u64 = 1 << 12;

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Values a row: 1, or the length of the lists of a list column.
    pub width: usize,
    /// `width` values a row, row after row.
    pub values: ColumnValues,
}

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnValues {
    /// Floating-point numbers; f64 is narrowed.
    Floats(Vec<f32>),
    /// Whole numbers of any width.
    Integers(Vec<i64>),
    /// Texts.
    Texts(Vec<String>),
}

/// An open Parquet file. Columns are read when they are asked for.
///
/// A file cut short is refused, and one that announces more values than it can hold. One whose pages were altered in place may be misread, or exhaust memory: polars trusts the
/// lengths inside pages, and Parquet's own checksums are optional and seldom written.
pub struct ParquetFile {
    path: PathBuf,
    bytes: Vec<u8>,
    rows: usize,
    columns: Vec<(String, bool)>,
    /// Columns of a type that this build of polars would panic at, and the type.
    unsupported: BTreeMap<String, String>,
}

impl ParquetFile {
    /// Reads the names of the columns.
    ///
    /// # Errors
    /// When the file cannot be read or is not Parquet.
    pub fn open(path: &Path) -> Result<ParquetFile, ScoreError> {
        ParquetFile::from_bytes(path, fs_err::read(path)?)
    }

    /// [`ParquetFile::open`] of bytes at hand; `path` names them in errors.
    ///
    /// # Errors
    /// When they are not Parquet.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<ParquetFile, ScoreError> {
        let (rows, types) = guarded(path, "Parquet", || {
            let mut reader = ParquetReader::new(Cursor::new(bytes.as_slice()));
            let schema = reader.schema()?;
            let types = schema.iter_values().map(|field| (field.name.to_string(), field.dtype().clone()));
            let types: Vec<(String, ArrowDataType)> = types.collect();
            let rows = reader.num_rows()?;
            check_announced(reader.get_metadata()?, types.len() as u64, bytes.len() as u64)?;
            Ok((rows, types))
        })?;
        let unsupported = types.iter().filter(|(_, kind)| !is_supported(kind));
        let unsupported = unsupported.map(|(name, kind)| (name.clone(), type_name(kind))).collect();
        let columns = types.into_iter().map(|(name, kind)| (name, element(&kind).is_some())).collect();
        Ok(ParquetFile { path: path.to_owned(), bytes, rows, columns, unsupported })
    }

    /// Number of rows, as the file says.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Name of every column, and whether it holds lists.
    #[must_use]
    pub fn columns(&self) -> &[(String, bool)] {
        &self.columns
    }

    /// Reads columns, in the order of the names.
    ///
    /// # Errors
    /// When a column is missing, empty in some row, of a type that is not supported, or its lists have different lengths.
    pub fn read(&self, names: &[String]) -> Result<Vec<Column>, ScoreError> {
        if let Some((name, kind)) = names.iter().find_map(|name| self.unsupported.get_key_value(name)) {
            let found = format!("type {kind}; write it as float32, float64, int32, int64, string, or list of floats");
            return Err(self.bad(name, 0, "numbers, texts or lists of numbers", found));
        }
        let length = self.bytes.len() as u64;
        let frame = parquet_frame(&self.path, Cursor::new(self.bytes.as_slice()), length, Some(names))?;
        names
            .iter()
            .map(|name| {
                let column = frame.column(name).map_err(|_| ScoreError::MissingColumn {
                    path: self.path.clone(),
                    name: name.clone(),
                    found: self.columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "),
                })?;
                self.column(column.as_materialized_series())
            })
            .collect()
    }

    fn column(&self, series: &Series) -> Result<Column, ScoreError> {
        let name = series.name().to_string();
        if series.null_count() > 0 {
            let row = (0..series.len()).find(|&row| series.get(row).is_ok_and(|value| value.is_null()));
            return Err(self.bad(&name, row.unwrap_or(0), "a value", "nothing".into()));
        }
        let (width, flat) = match series.dtype() {
            DataType::List(_) => self.flattened(&name, series)?,
            _ => (1, series.clone()),
        };
        let values = guarded(&self.path, "Parquet", || values(&flat))?;
        let values =
            values.ok_or_else(|| self.bad(&name, 0, "numbers or texts", format!("type {}", series.dtype())))?;
        if flat.null_count() > 0 {
            let at = (0..flat.len()).find(|&at| flat.get(at).is_ok_and(|value| value.is_null())).unwrap_or(0);
            return Err(self.bad(&name, at / width.max(1), "a value", "nothing".into()));
        }
        Ok(Column { name, width, values })
    }

    /// The values of lists of one length, one after the other.
    fn flattened(&self, name: &str, series: &Series) -> Result<(usize, Series), ScoreError> {
        let format = |error: PolarsError| self.bad(name, 0, "lists of numbers", error.to_string());
        let lists = series.list().map_err(format)?;
        let mut width = None;
        let mut row = 0;
        let mut parts: Vec<Series> = Vec::new();
        for array in lists.downcast_iter() {
            let offsets = array.offsets().as_slice();
            for pair in offsets.windows(2) {
                let length = (pair[1] - pair[0]) as usize;
                if *width.get_or_insert(length) != length {
                    let expected = width.unwrap_or_default();
                    return Err(self.bad(
                        name,
                        row,
                        "lists of one length",
                        format!("{length} values after {expected}"),
                    ));
                }
                row += 1;
            }
            let (start, end) = (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
            let values = array.values().sliced(start as usize, (end - start) as usize);
            parts.push(Series::try_from((series.name().clone(), values)).map_err(format)?);
        }
        let mut parts = parts.into_iter();
        let mut flat = parts.next().ok_or_else(|| self.bad(name, 0, "lists of numbers", "nothing".into()))?;
        for part in parts {
            flat.append(&part).map_err(format)?;
        }
        Ok((width.unwrap_or(0), flat))
    }

    fn bad(&self, column: &str, row: usize, expected: &'static str, found: String) -> ScoreError {
        ScoreError::Value { path: self.path.clone(), row: row + 1, column: column.to_owned(), expected, found }
    }
}

/// Refuses more rows, columns or values than a file of so many bytes can hold, before room is made for them.
fn check_announced(metadata: &FileMetadata, columns: u64, bytes: u64) -> PolarsResult<()> {
    let cells = |rows: usize| (rows as u64).saturating_mul(columns);
    let groups = metadata.row_groups.iter().map(|group| {
        // A number below 0 is more than any file can hold.
        let values = group.parquet_columns().iter().map(|chunk| chunk.num_values() as u64);
        values.fold(0, u64::saturating_add).max(cells(group.num_rows()))
    });
    let announced = groups.fold(0, u64::saturating_add).max(cells(metadata.num_rows));
    let allowed = bytes.saturating_mul(VALUES_PER_BYTE);
    if announced <= allowed {
        return Ok(());
    }
    Err(PolarsError::ComputeError(format!("{announced} values in {bytes} bytes").into()))
}

/// The type of a list's elements.
fn element(kind: &ArrowDataType) -> Option<&ArrowDataType> {
    match kind {
        ArrowDataType::List(field) | ArrowDataType::LargeList(field) | ArrowDataType::FixedSizeList(field, _) => {
            Some(field.dtype())
        }
        _ => None,
    }
}

/// Types that the features of polars in this workspace include: each further one lengthens its build.
pub(crate) fn is_supported(kind: &ArrowDataType) -> bool {
    use ArrowDataType as Kind;
    match kind {
        Kind::Float32 | Kind::Float64 | Kind::Int32 | Kind::Int64 | Kind::UInt32 | Kind::UInt64 => true,
        Kind::Utf8 | Kind::LargeUtf8 | Kind::Utf8View => true,
        Kind::List(field) | Kind::LargeList(field) => matches!(field.dtype(), Kind::Float32 | Kind::Float64),
        _ => false,
    }
}

/// `FixedSizeList of Float32`
pub(crate) fn type_name(kind: &ArrowDataType) -> String {
    let plain = |kind: &ArrowDataType| {
        let text = format!("{kind:?}");
        text.split(['(', ' ']).next().unwrap_or_default().to_owned()
    };
    element(kind).map_or_else(|| plain(kind), |element| format!("{} of {}", plain(kind), plain(element)))
}

/// None for a type that is not supported.
fn values(series: &Series) -> PolarsResult<Option<ColumnValues>> {
    Ok(match series.dtype() {
        DataType::Float32 | DataType::Float64 => {
            let floats = series.cast(&DataType::Float32)?;
            Some(ColumnValues::Floats(floats.f32()?.iter().map(|value| value.unwrap_or(f32::NAN)).collect()))
        }
        kind if kind.is_integer() => {
            let numbers = series.strict_cast(&DataType::Int64)?;
            Some(ColumnValues::Integers(numbers.i64()?.iter().map(Option::unwrap_or_default).collect()))
        }
        DataType::String => {
            let texts = series.str()?.iter().map(|text| text.unwrap_or_default().to_owned());
            Some(ColumnValues::Texts(texts.collect()))
        }
        _ => None,
    })
}

/// Plain columns (width 1) as a Parquet file, zstd-compressed, in the order given. The same columns give the same bytes for
/// any number of threads.
///
/// # Errors
/// When the columns have different lengths or names come twice.
pub fn write_columns(columns: Vec<Column>) -> Result<Vec<u8>, ScoreError> {
    let rows = columns.first().map_or(0, |column| match &column.values {
        ColumnValues::Floats(values) => values.len(),
        ColumnValues::Integers(values) => values.len(),
        ColumnValues::Texts(values) => values.len(),
    });
    let column = |column: Column| -> PolarsColumn {
        let name = column.name.as_str().into();
        match column.values {
            ColumnValues::Floats(values) => Series::new(name, values).into(),
            ColumnValues::Integers(values) => Series::new(name, values).into(),
            ColumnValues::Texts(values) => {
                StringChunked::from_iter_values(name, values.iter().map(String::as_str)).into_series().into()
            }
        }
    };
    let mut frame = DataFrame::new(rows, columns.into_iter().map(column).collect())?;
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Zstd(None))
        .with_statistics(StatisticsOptions::empty())
        .with_row_group_size(Some(ROW_GROUP))
        .finish(&mut frame)?;
    Ok(bytes)
}
