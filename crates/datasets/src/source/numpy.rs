//! numpy arrays of images: CIFAR-10.1, CIFAR-10-C, and whatever people save.

use super::Part;
use super::arrays::{self, Arrays, Grid, Labels, Order};
use crate::blob::Blob;
use crate::decode::numpy::{self, Array};
use crate::error::DatasetError;
use crate::manifest::{Axes, Format, Manifest, Role};

pub(super) fn open(manifest: &Manifest, split: &str, parts: &[Part], limit: usize) -> Result<Arrays, DatasetError> {
    let images = |part: &Part| read(manifest, &part.blob()?).map_err(|what| part.error(what));
    let labels = |part: &Part| labels_file(manifest, &part.blob()?).map_err(|what| part.error(what));
    arrays::open(manifest, split, parts, limit, images, labels)
}

/// Checks a whole file: see [`super::inspect`].
pub(super) fn inspect(manifest: &Manifest, role: Role, blob: &Blob) -> Result<(), String> {
    if role == Role::Labels {
        return labels_file(manifest, blob).map(drop);
    }
    let (grid, labels) = read(manifest, blob)?;
    if let Some(labels) = labels
        && labels.len() != grid.count
    {
        return Err(format!("{} labels for {} images", labels.len(), grid.count));
    }
    grid.check(manifest)
}

/// The images of a file, and the labels that lie beside them in an `.npz`.
fn read(manifest: &Manifest, blob: &Blob) -> Result<(Grid, Option<Labels>), String> {
    let Format::Numpy { axes, images, labels } = &manifest.format else { return Err("not a numpy set".into()) };
    let grid = grid_of(numpy::open(blob, images.as_deref())?, *axes)?;
    let labels = labels.as_deref().filter(|_| numpy::is_npz(blob));
    let labels = labels.map(|name| labels_of(manifest, &numpy::open(blob, Some(name))?)).transpose()?;
    Ok((grid, labels))
}

fn labels_file(manifest: &Manifest, blob: &Blob) -> Result<Labels, String> {
    let Format::Numpy { labels, .. } = &manifest.format else { return Err("not a numpy set".into()) };
    labels_of(manifest, &numpy::open(blob, labels.as_deref())?)
}

fn labels_of(manifest: &Manifest, array: &Array) -> Result<Labels, String> {
    Labels::new(&array.labels()?, 0, manifest.class_count())
}

fn grid_of(array: Array, axes: Axes) -> Result<Grid, String> {
    let shape = array.shape().to_vec();
    let (count, height, width, order) = match (axes, shape.as_slice()) {
        (Axes::Nhwc, &[count, height, width, 3]) => (count, height, width, Order::Interleaved),
        (Axes::Nchw, &[count, 3, height, width]) => (count, height, width, Order::Planes),
        (Axes::Nhw, &[count, height, width]) => (count, height, width, Order::Grey),
        _ => {
            let expected = match axes {
                Axes::Nhwc => "[n, height, width, 3]",
                Axes::Nchw => "[n, 3, height, width]",
                Axes::Nhw => "[n, height, width]",
            };
            return Err(format!("expected a shape of {expected}, found {shape:?}: is `axes` right?"));
        }
    };
    let side = |length: usize| u32::try_from(length).map_err(|_| format!("images of {width} x {height}"));
    let size = (side(width)?, side(height)?);
    let (values, offset) = array.into_u8()?;
    Ok(Grid::dense(values, offset, count, size, order))
}
