//! IDX files of images, and of labels where they are at hand.

use super::Part;
use super::arrays::{self, Arrays, Grid, Labels, Order};
use crate::blob::Blob;
use crate::decode::idx;
use crate::error::DatasetError;
use crate::manifest::{Format, Manifest, Role};

pub(super) fn open(manifest: &Manifest, split: &str, parts: &[Part], limit: usize) -> Result<Arrays, DatasetError> {
    let images = |part: &Part| Ok((images(manifest, &part.blob()?).map_err(|what| part.error(what))?, None));
    let labels = |part: &Part| labels(manifest, &part.blob()?).map_err(|what| part.error(what));
    arrays::open(manifest, split, parts, limit, images, labels)
}

/// Checks a whole file: see [`super::inspect`].
pub(super) fn inspect(manifest: &Manifest, role: Role, blob: &Blob) -> Result<(), String> {
    match role {
        Role::Labels => labels(manifest, blob).map(drop),
        _ => images(manifest, blob)?.check(manifest),
    }
}

fn options(manifest: &Manifest) -> Result<(bool, u32), String> {
    match manifest.format {
        Format::Idx { transposed, first_label } => Ok((transposed, first_label)),
        _ => Err("not an idx set".into()),
    }
}

fn images(manifest: &Manifest, blob: &Blob) -> Result<Grid, String> {
    let (transposed, _) = options(manifest)?;
    let idx::Opened { values, shape, header } = idx::open(blob, 3)?;
    // As the file has them; where the columns come first, they are the outer axis.
    let &[count, outer, inner] = shape.as_slice() else { return Err("expected three axes".into()) };
    let (size, order) = match transposed {
        false => ((inner as u32, outer as u32), Order::Grey),
        true => ((outer as u32, inner as u32), Order::GreyByColumn),
    };
    Ok(Grid::dense(values, header, count, size, order))
}

fn labels(manifest: &Manifest, blob: &Blob) -> Result<Labels, String> {
    let (_, first) = options(manifest)?;
    let idx::Opened { values, header, .. } = idx::open(blob, 1)?;
    let raw = values.slice(header, values.len() - header).map_err(|error| error.to_string())?;
    let raw: Vec<u32> = raw.iter().map(|&label| u32::from(label)).collect();
    Labels::new(&raw, first, manifest.class_count())
}
