//! Contact sheets: what a set looks like, at a glance.

use std::collections::BTreeMap;

use crate::error::DatasetError;
use crate::image::RgbImage;
use crate::library::Library;
use crate::resize;
use crate::set::ImageSet;

/// Pixels between tiles.
const GAP: u32 = 2;
const PAPER: [u8; 3] = [255, 255, 255];
const MOST: usize = 4096;

impl Library {
    /// A contact sheet of `count` images of a split.
    ///
    /// # Errors
    /// When the split cannot be opened, or an image that was chosen cannot be read.
    pub fn show(&self, name: &str, split: &str, count: usize) -> Result<RgbImage, DatasetError> {
        contact_sheet(&self.open_set(name, split, None)?, count)
    }
}

/// A square grid of `count` images (at most 4,096): equally many of every class where there are labels, else spread evenly
/// over the set. Images keep their shape on white; they are made smaller where they must, never larger.
///
/// # Errors
/// When a chosen image cannot be read.
pub fn contact_sheet(set: &ImageSet, count: usize) -> Result<RgbImage, DatasetError> {
    let chosen = choose(set, count);
    let images = chosen.iter().map(|&index| set.read(index)).collect::<Result<Vec<_>, _>>()?;
    let largest = images.iter().map(|image| image.width.max(image.height)).max().unwrap_or(1);
    let tile = largest.clamp(16, 128);
    let columns = (1..).find(|side| side * side >= chosen.len()).unwrap_or(1) as u32;
    let rows = (chosen.len() as u32).div_ceil(columns);
    let side = |tiles: u32| GAP + tiles * (tile + GAP);
    let mut sheet = RgbImage::filled(side(columns), side(rows), PAPER)?;
    for (position, image) in (0..).zip(&images) {
        let image = thumbnail(image, tile)?;
        let left = side(position % columns) + (tile - image.width) / 2;
        let top = side(position / columns) + (tile - image.height) / 2;
        let row = 3 * image.width as usize;
        for (y, pixels) in (top..).zip(image.pixels.chunks_exact(row)) {
            let start = 3 * (y as usize * sheet.width as usize + left as usize);
            sheet.pixels[start..start + row].copy_from_slice(pixels);
        }
    }
    Ok(sheet)
}

/// The image with sides of at most `tile` pixels, made smaller where it must be, never larger; its shape stays.
///
/// # Errors
/// When a side would be no size.
pub fn thumbnail(image: &RgbImage, tile: u32) -> Result<RgbImage, DatasetError> {
    let longest = image.width.max(image.height);
    if longest <= tile {
        return Ok(image.clone());
    }
    let scaled = |side: u32| (u64::from(side) * u64::from(tile)).div_ceil(u64::from(longest)) as u32;
    resize::bilinear(image, scaled(image.width), scaled(image.height))
}

/// The positions that a contact sheet of `count` images shows: in order of class, then of position.
#[must_use]
pub fn choose(set: &ImageSet, count: usize) -> Vec<usize> {
    let mut classes: BTreeMap<Option<u32>, Vec<usize>> = BTreeMap::new();
    for index in 0..set.len() {
        classes.entry(set.label(index)).or_default().push(index);
    }
    let mut shares: Vec<usize> = vec![0; classes.len()];
    let mut left = count.clamp(1, MOST).min(set.len());
    while left > 0 {
        for (share, members) in shares.iter_mut().zip(classes.values()) {
            if left > 0 && *share < members.len() {
                *share += 1;
                left -= 1;
            }
        }
    }
    let spread = |(share, members): (usize, &Vec<usize>)| -> Vec<usize> {
        (0..share).map(|k| members[k * members.len() / share]).collect()
    };
    shares.into_iter().zip(classes.values()).flat_map(spread).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn classes_share_the_sheet_evenly() {
        let library = Library::open(Path::new("absent")).expect("built-in manifests are valid");
        let set = library.open_set("cifar10-mini", "test", None).expect("embedded");
        let mut counts = [0; 10];
        let chosen = choose(&set, 40);
        for &index in &chosen {
            counts[set.label(index).expect("CIFAR has labels") as usize] += 1;
        }
        assert_eq!(counts, [4; 10]);
        let mut distinct = chosen.clone();
        distinct.dedup();
        assert_eq!(distinct.len(), 40);
        assert_eq!(choose(&set, 1000).len(), 300);
    }

    #[test]
    fn a_sheet_holds_its_images() {
        let library = Library::open(Path::new("absent")).expect("built-in manifests are valid");
        let sheet = library.show("cifar10-mini", "test", 10).expect("embedded");
        assert_eq!((sheet.width, sheet.height), (2 + 4 * 34, 2 + 3 * 34));
        let set = library.open_set("cifar10-mini", "test", None).expect("embedded");
        let first = set.read(choose(&set, 10)[0]).expect("readable");
        let start = 3 * (2 * sheet.width as usize + 2);
        assert_eq!(sheet.pixels[start..start + 96], first.pixels[..96]);
    }

    #[test]
    fn large_images_are_made_smaller_and_keep_their_shape() {
        let image = RgbImage::filled(500, 250, [1, 2, 3]).expect("well formed");
        let small = thumbnail(&image, 128).expect("a valid size");
        assert_eq!((small.width, small.height), (128, 64));
    }
}
