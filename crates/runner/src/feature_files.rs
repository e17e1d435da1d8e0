//! Feature files of every format: the binary ones are read by the crate `features`, Parquet by the one that has polars.

use std::path::Path;

use anyhow::Result;
use oodlab_base::file::write_atomic;
use oodlab_evaluation::columns::{self, ColumnValues, ParquetFile};
use oodlab_features::format::{self, Column, ColumnTable, Format, Options, ReadTable, Values, assemble, to_columns};
use oodlab_features::{FeatureError, FeatureTable};

/// Reads a feature file; the ending of its name says its format.
pub fn read(path: &Path, options: &Options) -> Result<ReadTable> {
    if Format::of(path)? != Format::Parquet {
        return Ok(format::read(path, options)?);
    }
    let file = ParquetFile::open(path)?;
    let load = |names: &[String]| {
        let read = file.read(names).map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))?;
        Ok(read.into_iter().map(ours).collect())
    };
    let read = ColumnTable::new(file.rows(), file.columns(), load).and_then(|mut table| assemble(&mut table, options));
    read.map_err(|error| match error {
        // It names the file.
        FeatureError::Io(_) => error.into(),
        other => anyhow::Error::new(FeatureError::File { path: path.to_owned(), source: Box::new(other) }),
    })
}

/// Writes a feature file, whole or not at all.
pub fn write(path: &Path, table: &FeatureTable) -> Result<()> {
    if Format::of(path)? != Format::Parquet {
        return Ok(format::write(path, table)?);
    }
    let bytes = columns::write_columns(to_columns(table).into_iter().map(theirs).collect())?;
    Ok(write_atomic(path, &bytes)?)
}

fn ours(column: columns::Column) -> Column {
    let values = match column.values {
        ColumnValues::Floats(values) => Values::Floats(values),
        ColumnValues::Integers(values) => Values::Integers(values),
        ColumnValues::Texts(values) => Values::Texts(values),
    };
    Column { name: column.name, width: column.width, values }
}

fn theirs(column: Column) -> columns::Column {
    let values = match column.values {
        Values::Floats(values) => ColumnValues::Floats(values),
        Values::Integers(values) => ColumnValues::Integers(values),
        Values::Texts(values) => ColumnValues::Texts(values),
    };
    columns::Column { name: column.name, width: column.width, values }
}
