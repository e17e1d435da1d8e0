//! Bare planes of u8: STL-10's `train_X.bin` (`[n, 3, width, height]`: three planes an image, each column by column) and
//! `train_y.bin` (a byte a label).
//!
//! The layout is that of the publisher's own reader, which reshapes to `(n, 3, 96, 96)` and transposes by `(0, 3, 2, 1)`.

use super::Part;
use super::arrays::{self, Arrays, Grid, Labels, Order};
use crate::blob::Blob;
use crate::error::DatasetError;
use crate::manifest::{Format, Manifest, Role};

pub(super) fn open(manifest: &Manifest, split: &str, parts: &[Part], limit: usize) -> Result<Arrays, DatasetError> {
    let images = |part: &Part| Ok((images(manifest, part.blob()?).map_err(|what| part.error(what))?, None));
    let labels = |part: &Part| labels(manifest, &part.blob()?).map_err(|what| part.error(what));
    arrays::open(manifest, split, parts, limit, images, labels)
}

/// Checks a whole file: see [`super::inspect`].
pub(super) fn inspect(manifest: &Manifest, role: Role, blob: &Blob) -> Result<(), String> {
    match role {
        Role::Labels => labels(manifest, blob).map(drop),
        _ => images(manifest, blob.clone())?.check(manifest),
    }
}

fn images(manifest: &Manifest, blob: Blob) -> Result<Grid, String> {
    let (width, height) = manifest.image_size.ok_or("planes need image_size")?;
    let image = 3 * u64::from(width) * u64::from(height);
    let length = blob.len();
    if length == 0 || !length.is_multiple_of(image.max(1)) {
        return Err(format!("{length} bytes are not a whole number of images of {image} bytes"));
    }
    let count = usize::try_from(length / image).map_err(|_| format!("{length} bytes are too many"))?;
    Ok(Grid::dense(blob, 0, count, (width, height), Order::PlanesByColumn))
}

fn labels(manifest: &Manifest, blob: &Blob) -> Result<Labels, String> {
    let Format::Planes { first_label } = manifest.format else { return Err("not a set of planes".into()) };
    let raw: Vec<u32> =
        blob.whole().map_err(|error| error.to_string())?.iter().map(|&label| u32::from(label)).collect();
    Labels::new(&raw, first_label, manifest.class_count())
}
