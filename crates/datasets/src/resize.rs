//! Resizing as Pillow does it, equal to the bit (`Image.resize` of an RGB image), and as torch does it without antialiasing.
//!
//! Two passes, columns first; a pass whose size does not change is left out. That is Pillow up to version 12, with which what
//! is published was made. Pillow 13 resizes rows first where the height shrinks much more than the width: the same filters,
//! another rounding in between, a few levels in some pixels. Each output value is a sum of source values
//! with coefficients in 22-bit fixed point, rounded to u8 between the passes. When the image shrinks, the filter widens with
//! the factor (antialiasing). Pinned by the golden files `resize_pillow_bilinear` and `resize_filters`.

mod nearest;
mod passes;
mod plain;
mod taps;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::DatasetError;
use crate::image::RgbImage;
use taps::Taps;

/// Largest side of a result.
pub(crate) const LARGEST_SIDE: u32 = 16_384;

/// How source pixels are weighted: Pillow's filters by their names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// The pixel under the new pixel's centre; never antialiased.
    Nearest,
    /// The mean of the pixels that the new pixel covers.
    Box,
    /// A triangle of one pixel to each side.
    #[default]
    Bilinear,
    /// Keys' cubic with a = -0.5 (Pillow's), two pixels to each side.
    Bicubic,
    /// Windowed sinc, three pixels to each side.
    Lanczos,
}

impl Filter {
    /// The name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Filter::Nearest => "nearest",
            Filter::Box => "box",
            Filter::Bilinear => "bilinear",
            Filter::Bicubic => "bicubic",
            Filter::Lanczos => "lanczos",
        }
    }

    /// Whether the filter can be had without antialiasing ([`plainly`]).
    #[must_use]
    pub fn has_plain_form(self) -> bool {
        matches!(self, Filter::Bilinear | Filter::Bicubic)
    }
}

/// The image squashed or stretched to `width` x `height` with Pillow's bilinear filter.
///
/// # Shapes
/// `[height_in, width_in, 3]` u8 to `[height, width, 3]` u8; the aspect ratio is not kept.
///
/// ```
/// use oodlab_datasets::{RgbImage, resize};
/// let pair = RgbImage::new(2, 1, vec![0, 0, 0, 100, 100, 100])?;
/// let four = resize::bilinear(&pair, 4, 1)?;
/// assert_eq!(four.pixels, [0, 0, 0, 25, 25, 25, 75, 75, 75, 100, 100, 100]);
/// # Ok::<(), oodlab_datasets::DatasetError>(())
/// ```
///
/// # Errors
/// When the image is not well formed, or a side of the result is 0 or above 16,384.
pub fn bilinear(image: &RgbImage, width: u32, height: u32) -> Result<RgbImage, DatasetError> {
    filtered(image, width, height, Filter::Bilinear)
}

/// [`bilinear`] with any of Pillow's filters.
///
/// # Errors
/// As [`bilinear`].
pub fn filtered(image: &RgbImage, width: u32, height: u32, filter: Filter) -> Result<RgbImage, DatasetError> {
    check(image, width, height)?;
    if let Filter::Nearest = filter {
        return Ok(nearest::resize(image, width, height));
    }
    let columns = (width != image.width).then(|| Taps::new(image.width, width, filter));
    let rows = (height != image.height).then(|| Taps::new(image.height, height, filter));
    let pixels = passes::run(image, width as usize, columns.as_ref(), rows.as_ref());
    Ok(RgbImage { width, height, pixels })
}

/// Without antialiasing: `torch.nn.functional.interpolate(align_corners=False, antialias=False)` on the values 0..255, clamped
/// to them and rounded half to even, which is what torchvision does to a `uint8` tensor.
///
/// Two (bilinear) or four (bicubic, a = -0.75) source pixels are read a side, however much the image shrinks. In f32, columns
/// first, rounded once at the end; at a tie the last bit of a sum may fall on the other side than in torch, whose order of
/// summation depends on its version. Filters without such a form are resized by [`filtered`].
///
/// # Errors
/// As [`bilinear`].
pub fn plainly(image: &RgbImage, width: u32, height: u32, filter: Filter) -> Result<RgbImage, DatasetError> {
    if !filter.has_plain_form() {
        return filtered(image, width, height, filter);
    }
    check(image, width, height)?;
    Ok(plain::resize(image, width, height, filter))
}

fn check(image: &RgbImage, width: u32, height: u32) -> Result<(), DatasetError> {
    image.check()?;
    let sides = 1..=LARGEST_SIDE;
    if !sides.contains(&width) || !sides.contains(&height) {
        return Err(DatasetError::Target { width, height, limit: LARGEST_SIDE });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILTERS: [Filter; 5] = [Filter::Nearest, Filter::Box, Filter::Bilinear, Filter::Bicubic, Filter::Lanczos];

    #[test]
    fn a_pixel_spreads_and_a_pair_is_blended() {
        let pair = RgbImage::new(2, 1, vec![0, 10, 20, 100, 110, 120]).expect("well formed");
        let four = bilinear(&pair, 4, 1).expect("a valid size");
        assert_eq!(four.pixels, [0, 10, 20, 25, 35, 45, 75, 85, 95, 100, 110, 120]);
        assert_eq!(bilinear(&pair, 1, 1).expect("a valid size").pixels, [50, 60, 70]);
        assert_eq!(bilinear(&pair, 2, 1).expect("a valid size"), pair);
    }

    #[test]
    fn sizes_out_of_range_are_refused() {
        let image = RgbImage::filled(3, 3, [1, 2, 3]).expect("well formed");
        for (width, height) in [(0, 3), (3, 0), (LARGEST_SIDE + 1, 1)] {
            assert!(matches!(bilinear(&image, width, height), Err(DatasetError::Target { .. })));
        }
        assert!(bilinear(&RgbImage { width: 2, height: 2, pixels: vec![0; 3] }, 4, 4).is_err());
    }

    proptest! {
        /// A constant image stays constant, and both compilations agree on any image.
        #[test]
        fn constants_stay_and_paths_agree(w in 1u32..40, h in 1u32..40, to_w in 1u32..60, to_h in 1u32..60, seed in any::<u64>()) {
            let flat = RgbImage::filled(w, h, [7, 128, 255]).expect("well formed");
            for filter in FILTERS {
                for resize in [filtered, plainly] {
                    let same = resize(&flat, to_w, to_h, filter).expect("a valid size");
                    prop_assert!(same.pixels.chunks_exact(3).all(|pixel| pixel == [7, 128, 255]), "{filter:?}");
                }
            }
            let stream = oodlab_base::Seed(seed).stream("resize test");
            let pixels = (0..u64::from(3 * w * h)).map(|i| stream.word(i) as u8).collect();
            let image = RgbImage::new(w, h, pixels).expect("well formed");
            let filter = FILTERS[1 + seed as usize % 4];
            let columns = (to_w != w).then(|| Taps::new(w, to_w, filter));
            let rows = (to_h != h).then(|| Taps::new(h, to_h, filter));
            let plain = passes::both(&image, to_w as usize, columns.as_ref(), rows.as_ref());
            prop_assert_eq!(filtered(&image, to_w, to_h, filter).expect("a valid size").pixels, plain);
        }
    }
}
