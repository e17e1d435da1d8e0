//! MATLAB files of images and labels: SVHN's "cropped digits".
//!
//! MATLAB keeps arrays with the first axis fastest: the bytes of `X [height, width, 3, n]` are `[n, 3, width, height]` in the order
//! of numpy, so an image is three planes, each column by column.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Part;
use super::arrays::{Arrays, Grid, Labels, Order};
use crate::blob::Blob;
use crate::decode::mat::{self, Array, Kind};
use crate::error::DatasetError;
use crate::manifest::{Format, Manifest, Role};

pub(super) fn open(manifest: &Manifest, parts: &[Part], limit: usize) -> Result<Arrays, DatasetError> {
    use super::Source;
    let mut arrays = Arrays::default();
    for part in parts.iter().filter(|part| part.role == Role::Images) {
        if arrays.len() >= limit {
            break;
        }
        let (grid, labels) = read(manifest, &part.blob()?).map_err(|what| part.error(what))?;
        arrays.push(manifest, part, grid, labels.map(Arc::new))?;
    }
    Ok(arrays)
}

/// Checks a whole file: see [`super::inspect`].
pub(super) fn inspect(manifest: &Manifest, role: Role, blob: &Blob) -> Result<(), String> {
    if role == Role::Labels {
        return Err("labels lie in the same MAT-file as the images".into());
    }
    let (grid, labels) = read(manifest, blob)?;
    if let Some(labels) = labels
        && labels.len() != grid.count
    {
        return Err(format!("{} labels for {} images", labels.len(), grid.count));
    }
    grid.check(manifest)
}

fn read(manifest: &Manifest, blob: &Blob) -> Result<(Grid, Option<Labels>), String> {
    let Format::Mat { images, labels, relabel } = &manifest.format else { return Err("not a mat set".into()) };
    let wanted: Vec<&str> = [images].into_iter().chain(labels).map(String::as_str).collect();
    let mut arrays = mat::read(blob, &wanted)?.into_iter();
    let lacks = |name: &str| format!("no array {name:?} in the file");
    let grid = arrays.next().flatten().ok_or_else(|| lacks(images))?;
    let grid = grid_of(grid).map_err(|what| format!("array {images:?}: {what}"))?;
    let Some(name) = labels else { return Ok((grid, None)) };
    let labels = arrays.next().flatten().ok_or_else(|| lacks(name))?;
    let labels =
        labels_of(&labels, relabel, manifest.class_count()).map_err(|what| format!("array {name:?}: {what}"))?;
    Ok((grid, Some(labels)))
}

fn grid_of(array: Array) -> Result<Grid, String> {
    let (height, width, count) = match *array.shape.as_slice() {
        [height, width, 3, count] => (height, width, count),
        // MATLAB drops a last axis of length 1: a single image.
        [height, width, 3] => (height, width, 1),
        _ => return Err(format!("expected a shape of [height, width, 3, n], found {:?}", array.shape)),
    };
    if array.class != "uint8" || array.kind != Kind::U8 {
        return Err(format!("expected images of class uint8, found {}", array.class));
    }
    // The reader proved that all of these values are there: none of the lengths is beyond 31 bits.
    Ok(Grid::dense(array.bytes, array.offset, count as usize, (width as u32, height as u32), Order::PlanesByColumn))
}

/// Labels `[n, 1]` or `[1, n]`, of whatever class.
fn labels_of(array: &Array, relabel: &BTreeMap<u32, u32>, classes: Option<u32>) -> Result<Labels, String> {
    if array.shape.iter().filter(|&&length| length != 1).count() > 1 {
        return Err(format!("expected a shape of [n, 1], found {:?}", array.shape));
    }
    let mut labels = array.integers()?;
    for label in &mut labels {
        *label = relabel.get(label).copied().unwrap_or(*label);
    }
    Labels::new(&labels, 0, classes)
}
