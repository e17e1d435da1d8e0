//! Images of one size at known places of a file: what CIFAR's batches, IDX, MATLAB's and numpy's arrays and bare planes have in
//! common once their headers are read.
//!
//! An image is read when it is asked for. In memory lies what the [`Blob`] holds (nothing of a large file) and the labels.

use std::sync::Arc;

use oodlab_base::{Key, KeyBuilder};

use super::{Part, Source};
use crate::blob::Blob;
use crate::error::DatasetError;
use crate::hash::Digest;
use crate::image::RgbImage;
use crate::manifest::{KnownFile, Manifest, Role};
use crate::reading::Reading;

/// How the bytes of an image lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// `[height, width, 3]`.
    Interleaved,
    /// `[3, height, width]`.
    Planes,
    /// `[3, width, height]`: three planes, each column by column.
    PlanesByColumn,
    /// `[height, width]`.
    Grey,
    /// `[width, height]`: column by column.
    GreyByColumn,
}

impl Order {
    fn channels(self) -> u64 {
        match self {
            Order::Interleaved | Order::Planes | Order::PlanesByColumn => 3,
            Order::Grey | Order::GreyByColumn => 1,
        }
    }

    /// The image that bytes of this order show.
    fn image(self, (width, height): (u32, u32), bytes: &[u8]) -> Result<RgbImage, DatasetError> {
        match self {
            Order::Interleaved => RgbImage::new(width, height, bytes.to_vec()),
            Order::Planes => RgbImage::from_planes(width, height, bytes),
            Order::Grey => RgbImage::from_grey(width, height, bytes),
            Order::PlanesByColumn => RgbImage::new(width, height, by_column(bytes, (width, height), [0, 1, 2])),
            Order::GreyByColumn => RgbImage::new(width, height, by_column(bytes, (width, height), [0; 3])),
        }
    }
}

/// The pixels of planes that lie column by column; `channels` says which plane is red, green and blue. Nothing where a plane is
/// missing.
fn by_column(bytes: &[u8], (width, height): (u32, u32), channels: [usize; 3]) -> Vec<u8> {
    let (width, height) = (width as usize, height as usize);
    let plane = |channel: usize| bytes.get(channel * width * height..(channel + 1) * width * height);
    let [Some(red), Some(green), Some(blue)] = channels.map(plane) else { return Vec::new() };
    let mut pixels = vec![0; 3 * width * height];
    for (y, row) in pixels.chunks_exact_mut((3 * width).max(1)).enumerate() {
        for (x, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let at = x * height + y;
            *pixel = [red[at], green[at], blue[at]];
        }
    }
    pixels
}

/// The labels of a file, a byte each where that is enough.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Labels {
    Bytes(Vec<u8>),
    Words(Vec<u32>),
}

impl Labels {
    /// Labels as a file has them, each less the file's `first`, and below `classes`; the message says which is not.
    pub fn new(raw: &[u32], first: u32, classes: Option<u32>) -> Result<Labels, String> {
        let label = |(index, &raw): (usize, &u32)| match raw.checked_sub(first) {
            Some(label) if classes.is_none_or(|classes| label < classes) => Ok(label),
            _ => {
                let end = match classes {
                    Some(classes) => {
                        format!("{first} to {}", (u64::from(first) + u64::from(classes)).saturating_sub(1))
                    }
                    None => format!("{first} or more"),
                };
                Err(format!("label {index} is {raw}, expected {end}"))
            }
        };
        let labels: Vec<u32> = raw.iter().enumerate().map(label).collect::<Result<_, _>>()?;
        let bytes: Result<Vec<u8>, _> = labels.iter().map(|&label| u8::try_from(label)).collect();
        Ok(bytes.map_or(Labels::Words(labels), Labels::Bytes))
    }

    pub fn len(&self) -> usize {
        match self {
            Labels::Bytes(labels) => labels.len(),
            Labels::Words(labels) => labels.len(),
        }
    }

    fn get(&self, index: usize) -> Option<u32> {
        match self {
            Labels::Bytes(labels) => labels.get(index).map(|&label| u32::from(label)),
            Labels::Words(labels) => labels.get(index).copied(),
        }
    }
}

/// Where the images of one file lie.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    pub bytes: Blob,
    /// First byte of the first image.
    pub offset: u64,
    /// From one image to the next.
    pub step: u64,
    pub count: usize,
    /// Width and height.
    pub size: (u32, u32),
    pub order: Order,
}

impl Grid {
    /// Images without anything between them.
    pub fn dense(bytes: Blob, offset: u64, count: usize, size: (u32, u32), order: Order) -> Grid {
        let mut grid = Grid { bytes, offset, step: 0, count, size, order };
        grid.step = grid.image();
        grid
    }

    /// Whether there are images, of the size that the manifest states, and all of their bytes.
    pub fn check(&self, manifest: &Manifest) -> Result<(), String> {
        let (width, height) = self.size;
        if self.count == 0 || self.image() == 0 || manifest.image_size.is_some_and(|expected| expected != self.size) {
            let expected = manifest.image_size.map(|(w, h)| format!(" of {w} x {h}")).unwrap_or_default();
            return Err(format!("expected images{expected}, found {} of {width} x {height}", self.count));
        }
        let last = (self.count as u64 - 1).checked_mul(self.step);
        let end = last.and_then(|last| last.checked_add(self.offset)?.checked_add(self.image()));
        if end.is_none_or(|end| end > self.bytes.len()) {
            let found = self.bytes.len();
            return Err(format!("{} images of {width} x {height} do not fit into {found} bytes", self.count));
        }
        Ok(())
    }

    /// Bytes of an image; more than any file has where a header lies.
    fn image(&self) -> u64 {
        self.order.channels().saturating_mul(u64::from(self.size.0) * u64::from(self.size.1))
    }
}

/// One file of a split.
struct File {
    part: Part,
    grid: Grid,
    labels: Option<Arc<Labels>>,
    /// Position of its first image in the split.
    first: usize,
    /// What stands for the file where it is not in memory.
    digest: Option<Digest>,
}

/// The images of all files of a split, one file after the other.
#[derive(Default)]
pub(super) struct Arrays {
    files: Vec<File>,
    len: usize,
}

impl Arrays {
    /// Puts the images of a file behind those that are there. `labels` may be those of several files; each has as many images.
    pub fn push(
        &mut self,
        manifest: &Manifest,
        part: &Part,
        grid: Grid,
        labels: Option<Arc<Labels>>,
    ) -> Result<(), DatasetError> {
        grid.check(manifest).map_err(|what| part.error(what))?;
        if let Some(labels) = &labels
            && labels.len() != grid.count
        {
            return Err(part.error(format!("{} labels for {} images", labels.len(), grid.count)));
        }
        let digest = match grid.bytes {
            Blob::Memory(_) => None,
            Blob::File { .. } => Some(part.digest()?),
        };
        let (first, count) = (self.len, grid.count);
        self.files.push(File { part: part.clone(), grid, labels, first, digest });
        self.len += count;
        Ok(())
    }

    /// The file of an image, and its position there.
    fn at(&self, index: usize) -> Result<(&File, usize), DatasetError> {
        let after = self.files.partition_point(|file| file.first <= index);
        let file = self.files[..after].last().filter(|file| index - file.first < file.grid.count);
        file.map(|file| (file, index - file.first))
            .ok_or_else(|| DatasetError::decode("", format!("no image {index} among {}", self.len)))
    }
}

impl File {
    fn bytes(&self, at: usize) -> Result<std::borrow::Cow<'_, [u8]>, DatasetError> {
        // In range: `Grid::check` proved the last image to be inside.
        let offset = self.grid.offset + at as u64 * self.grid.step;
        self.grid.bytes.slice(offset, self.grid.image()).map_err(|error| self.part.error(error.to_string()))
    }
}

impl Source for Arrays {
    fn len(&self) -> usize {
        self.len
    }

    fn id(&self, index: usize) -> String {
        self.at(index).map(|(file, at)| format!("{}#{at}", file.part.path)).unwrap_or_default()
    }

    fn fetch(&self, index: usize) -> Result<Option<Vec<u8>>, DatasetError> {
        let (file, at) = self.at(index)?;
        match file.grid.bytes {
            Blob::Memory(_) => Ok(None),
            Blob::File { .. } => file.bytes(at).map(|bytes| Some(bytes.into_owned())),
        }
    }

    fn decode(&self, index: usize, fetched: Option<Vec<u8>>, _reading: Reading) -> Result<RgbImage, DatasetError> {
        let (file, at) = self.at(index)?;
        let Grid { size, order, .. } = file.grid;
        match fetched {
            Some(bytes) => order.image(size, &bytes),
            None => order.image(size, &file.bytes(at)?),
        }
    }

    fn label(&self, index: usize) -> Option<u32> {
        let (file, at) = self.at(index).ok()?;
        file.labels.as_ref()?.get(at)
    }

    fn layout(&self) -> Option<String> {
        let Grid { size: (width, height), order, .. } = self.files.first()?.grid;
        // What the most usual files hold is left out, so that their lists keep the hashes that results were published with.
        let usual = order == Order::Grey || order == Order::Planes && width == height;
        (!usual).then(|| format!("{order:?} {width} x {height}"))
    }

    fn content(&self, index: usize) -> Key {
        let of = |file: &File, at: usize| match &file.digest {
            None => file.bytes(at).map(|bytes| Key::of_bytes(&bytes)).ok(),
            Some(digest) => Some(
                KeyBuilder::new("image in a file", 1)
                    .text("file", &digest.to_string())
                    .number("index", at as u64)
                    .finish(),
            ),
        };
        // A position past the end has no content; bytes in memory can always be read.
        self.at(index).ok().and_then(|(file, at)| of(file, at)).unwrap_or_else(|| Key::of_bytes(&[]))
    }
}

/// The images files among the parts of a split, each with its labels file where that is at hand.
///
/// As many labels files as images files belong to each other in the manifest's order, whichever of them are at hand; a single
/// labels file is that of every images file, each of which must have as many images (CIFAR-10-C).
pub(super) fn with_labels<'a>(
    manifest: &Manifest,
    split: &str,
    parts: &'a [Part],
) -> Result<Vec<(&'a Part, Option<&'a Part>)>, DatasetError> {
    let known = |role: Role| -> Vec<&KnownFile> {
        manifest.files.iter().filter(|file| file.role == role && file.is_of(split)).collect()
    };
    let (images, labels) = (known(Role::Images), known(Role::Labels));
    if labels.len() > 1 && labels.len() != images.len() {
        let what = format!(
            "split {split:?} has {} labels files for {} images files: expected none, one, or one each",
            labels.len(),
            images.len()
        );
        return Err(DatasetError::manifest(&manifest.name, what));
    }
    let labels_of = |part: &Part| {
        let file = match labels.as_slice() {
            [shared] => shared,
            _ => labels.get(images.iter().position(|file| file.path == part.path)?)?,
        };
        parts.iter().find(|part| part.role == Role::Labels && part.path == file.path)
    };
    Ok(parts.iter().filter(|part| part.role == Role::Images).map(|part| (part, labels_of(part))).collect())
}

/// Opens a format of images files and labels files: `images` finds the images of a file, `labels` reads a labels file.
pub(super) fn open(
    manifest: &Manifest,
    split: &str,
    parts: &[Part],
    limit: usize,
    images: impl Fn(&Part) -> Result<(Grid, Option<Labels>), DatasetError>,
    labels: impl Fn(&Part) -> Result<Labels, DatasetError>,
) -> Result<Arrays, DatasetError> {
    let mut arrays = Arrays::default();
    // A file that is the labels of several is read once.
    let mut last: Option<(&Part, Arc<Labels>)> = None;
    for (part, apart) in with_labels(manifest, split, parts)? {
        if arrays.len >= limit {
            break;
        }
        let (grid, own) = images(part)?;
        let chosen = match (apart, &last) {
            (None, _) => own.map(Arc::new),
            (Some(file), Some((read, labels))) if std::ptr::eq(*read, file) => Some(Arc::clone(labels)),
            (Some(file), _) => {
                let read = Arc::new(labels(file)?);
                last = Some((file, Arc::clone(&read)));
                Some(read)
            }
        };
        arrays.push(manifest, part, grid, chosen)?;
    }
    Ok(arrays)
}

#[cfg(test)]
mod tests;
