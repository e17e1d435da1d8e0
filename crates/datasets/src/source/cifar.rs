//! CIFAR's binary batches.

use std::sync::Arc;

use super::Part;
use super::arrays::{Arrays, Grid, Labels, Order};
use crate::blob::Blob;
use crate::decode::cifar::Layout;
use crate::decode::gzip;
use crate::error::DatasetError;
use crate::manifest::{Format, Manifest};

/// Records that are looked at together.
const RECORDS: usize = 1000;

/// The layout that a manifest of `cifar-binary` describes.
pub(crate) fn layout(manifest: &Manifest) -> Option<Layout> {
    let Format::CifarBinary { labels, label } = &manifest.format else { return None };
    let (width, height) = manifest.image_size?;
    let label = labels.iter().position(|name| name == label)?;
    Some(Layout { labels: labels.len(), label, width, height, classes: manifest.class_count() })
}

pub(super) fn open(manifest: &Manifest, parts: &[Part], limit: usize) -> Result<Arrays, DatasetError> {
    use super::Source;
    let mut arrays = Arrays::default();
    for part in parts {
        if arrays.len() >= limit {
            break;
        }
        // The name of the file as it lies there: a packed file may have been imported unpacked.
        let batch = batch(manifest, &part.shown(), &part.blob()?);
        let (grid, labels) = batch.map_err(|what| part.error(what))?;
        arrays.push(manifest, part, grid, Some(Arc::new(labels)))?;
    }
    Ok(arrays)
}

/// Checks a whole file: see [`super::inspect`].
pub(super) fn inspect(manifest: &Manifest, path: &str, blob: &Blob) -> Result<(), String> {
    batch(manifest, path, blob).map(drop)
}

fn batch(manifest: &Manifest, path: &str, blob: &Blob) -> Result<(Grid, Labels), String> {
    let layout = layout(manifest).ok_or("not a cifar-binary set")?;
    let bytes = if path.ends_with(".gz") { gzip::spool(blob, u64::MAX)? } else { blob.clone() };
    let (count, record) = (layout.records(bytes.len())?, layout.record() as u64);
    let mut raw = Vec::new();
    for first in (0..count).step_by(RECORDS) {
        let length = RECORDS.min(count - first) as u64 * record;
        let piece = bytes.slice(first as u64 * record, length).map_err(|error| error.to_string())?;
        raw.extend(piece.chunks_exact(layout.record()).map(|record| u32::from(record[layout.label])));
    }
    if let Some(classes) = layout.classes
        && let Some(index) = raw.iter().position(|&label| label >= classes)
    {
        return Err(format!("record {index} has label {}, expected one below {classes}", raw[index]));
    }
    let labels = Labels::new(&raw, 0, layout.classes)?;
    let size = (layout.width, layout.height);
    let offset = layout.labels as u64;
    Ok((Grid { bytes, offset, step: record, count, size, order: Order::Planes }, labels))
}
