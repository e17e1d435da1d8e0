//! `points.parquet`: one row a point, clouds one after the other.

use std::io::Cursor;
use std::path::Path;

use polars::error::PolarsError;
use polars::prelude::{
    BooleanChunked, Column, DataFrame, IntoSeries, NamedFrom, NewChunkedArray, ParquetCompression, ParquetWriter,
    Series, StatisticsOptions, StringChunked,
};

use super::files::content;
use super::{PointCloud, RecordError};
use crate::scores::{ScoreError, parquet_frame};

/// Rows a row group: fixed, so that the bytes depend on nothing else.
const ROW_GROUP: usize = 1 << 16;

/// The clouds as a Parquet file; none when there is no point.
pub(super) fn write(clouds: &[PointCloud], path: &Path) -> Result<Option<Vec<u8>>, RecordError> {
    for cloud in clouds {
        check(cloud)?;
    }
    let rows: Vec<(u32, &PointCloud, usize)> = (0u32..)
        .zip(clouds.iter().filter(|cloud| !cloud.points.is_empty()))
        .flat_map(|(number, cloud)| (0..cloud.points.len()).map(move |at| (number, cloud, at)))
        .collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let bytes = parquet(&rows);
    bytes.map(Some).map_err(|error| RecordError::Write { path: path.to_owned(), message: error.to_string() })
}

fn parquet(rows: &[(u32, &PointCloud, usize)]) -> Result<Vec<u8>, PolarsError> {
    let text = |name: &str, get: fn(&PointCloud, usize) -> &str| -> Column {
        let texts = rows.iter().map(|&(_, cloud, at)| get(cloud, at));
        StringChunked::from_iter_values(name.into(), texts).into_series().into()
    };
    let coordinate = |name: &str, axis: usize| -> Column {
        Series::new(name.into(), rows.iter().map(|&(_, cloud, at)| cloud.points[at][axis]).collect::<Vec<f64>>()).into()
    };
    let numbers: Vec<u32> = rows.iter().map(|&(number, ..)| number).collect();
    let flags: Vec<bool> = rows.iter().map(|&(_, cloud, at)| cloud.is_ood[at]).collect();
    let mut frame = DataFrame::new(
        rows.len(),
        vec![
            Series::new("cloud".into(), numbers).into(),
            text("view", |cloud, _| &cloud.view),
            text("run", |cloud, _| &cloud.run),
            text("protocol", |cloud, _| &cloud.protocol),
            text("x_axis", |cloud, _| &cloud.axes[0]),
            text("y_axis", |cloud, _| &cloud.axes[1]),
            text("set", |cloud, at| &cloud.sets[at]),
            BooleanChunked::from_slice("is_ood".into(), &flags).into_series().into(),
            coordinate("x", 0),
            coordinate("y", 1),
        ],
    )?;
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Zstd(None))
        .with_statistics(StatisticsOptions::empty())
        .with_row_group_size(Some(ROW_GROUP))
        .finish(&mut frame)?;
    Ok(bytes)
}

/// Reads what [`write`] wrote; `path` names the file in errors.
pub(super) fn read(path: &Path, bytes: Vec<u8>) -> Result<Vec<PointCloud>, RecordError> {
    let clouds = clouds(path, &bytes).map_err(|error| RecordError::of_scores(path, error))?;
    for cloud in &clouds {
        check(cloud)?;
    }
    Ok(clouds)
}

fn clouds(path: &Path, bytes: &[u8]) -> Result<Vec<PointCloud>, ScoreError> {
    let frame = parquet_frame(path, Cursor::new(bytes), bytes.len() as u64, None)?;
    let format = |error: PolarsError| ScoreError::Format {
        path: path.to_owned(),
        format: "Parquet",
        message: error.to_string(),
    };
    let column = |name: &str| {
        let series = frame.column(name).map(Column::as_materialized_series).map_err(|_| ScoreError::MissingColumn {
            path: path.to_owned(),
            name: name.to_owned(),
            found: frame.get_column_names().iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", "),
        })?;
        match series.null_count() {
            0 => Ok(series),
            _ => Err(ScoreError::Format {
                path: path.to_owned(),
                format: "Parquet",
                message: format!("column {name:?} has rows without a value"),
            }),
        }
    };
    let texts = |name| column(name)?.str().map_err(format);
    let number = column("cloud")?.u32().map_err(format)?;
    let (view, run, protocol) = (texts("view")?, texts("run")?, texts("protocol")?);
    let (x_axis, y_axis, set) = (texts("x_axis")?, texts("y_axis")?, texts("set")?);
    let is_ood = column("is_ood")?.bool().map_err(format)?;
    let (x, y) = (column("x")?.f64().map_err(format)?, column("y")?.f64().map_err(format)?);

    let mut clouds: Vec<PointCloud> = Vec::new();
    let mut current = None;
    for row in 0..frame.height() {
        let text = |texts: &StringChunked| texts.get(row).unwrap_or_default().to_owned();
        if current != number.get(row) {
            current = number.get(row);
            clouds.push(PointCloud {
                view: text(view),
                run: text(run),
                protocol: text(protocol),
                axes: [text(x_axis), text(y_axis)],
                ..PointCloud::default()
            });
        }
        if let Some(cloud) = clouds.last_mut() {
            cloud.sets.push(text(set));
            cloud.is_ood.push(is_ood.get(row) == Some(true));
            cloud.points.push([x.get(row).unwrap_or(f64::NAN), y.get(row).unwrap_or(f64::NAN)]);
        }
    }
    Ok(clouds)
}

fn check(cloud: &PointCloud) -> Result<(), RecordError> {
    let what = || format!("points, view {} of run {} under {}", cloud.view, cloud.run, cloud.protocol);
    let (points, sets, flags) = (cloud.points.len(), cloud.sets.len(), cloud.is_ood.len());
    if points != sets || points != flags {
        let found = format!("{points} points, {sets} sets and {flags} classes");
        return Err(content(&what(), "one set and one class a point", found));
    }
    match cloud.points.iter().position(|[x, y]| !x.is_finite() || !y.is_finite()) {
        None => Ok(()),
        Some(at) => {
            let found = format!("{:?} at point {}", cloud.points[at], at + 1);
            Err(content(&what(), "finite coordinates", found))
        }
    }
}
