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
    let Format::Numpy { images, labels: names, .. } = &manifest.format else { return Err("not a numpy set".into()) };
    if role == Role::Labels {
        numpy::prove(blob, names.as_deref())?;
        return labels_file(manifest, blob).map(drop);
    }
    numpy::prove(blob, images.as_deref())?;
    if names.is_some() {
        numpy::prove(blob, names.as_deref())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Elements that are not packed are read in place, whatever the checksum: it is compared when the file is taken in.
    #[test]
    fn a_flipped_byte_is_found_when_the_file_is_taken_in() {
        let manifest = Manifest::parse(
            "x.yaml",
            "{name: x, title: x, licence: x, citation: x, format: {kind: numpy, images: data, labels: targets}, \
             files: [{path: x.npz, split: test}], splits: {test: {}}}",
        );
        let manifest = manifest.expect("a manifest");
        let whole = include_bytes!("../../tests/fixtures/arrays/both.npz").to_vec();
        inspect(&manifest, Role::Images, &Blob::memory(whole.clone())).expect("valid");
        let (grid, _) = read(&manifest, &Blob::memory(whole.clone())).expect("valid");
        let mut damaged = whole;
        damaged[grid.offset as usize + 7] ^= 4;
        let message = inspect(&manifest, Role::Images, &Blob::memory(damaged)).expect_err("another checksum");
        assert!(message.contains("array \"data\": damaged data"), "{message}");
    }
}
