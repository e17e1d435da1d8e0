//! From a picture to the square that an encoder takes: every choice that changes pixels, named.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::DatasetError;
use crate::image::RgbImage;
use crate::reading::{Alpha, Orientation, Reading};
use crate::resize::{self, Filter};

/// What happens to a picture on its way into an encoder of some resolution.
///
/// The default is: alpha dropped, orientation ignored, both sides squashed to the resolution by Pillow's bilinear filter with
/// antialiasing. Grey is always repeated in the three channels.
///
/// ```
/// use oodlab_datasets::preprocess::{Crop, Preprocess, Resize};
/// use oodlab_datasets::RgbImage;
/// // torchvision's Resize(256) and CenterCrop(224).
/// let usual = Preprocess { resize: Resize::ShortSide, short_side: Some(256), crop: Crop::Centre, ..Preprocess::default() };
/// let picture = RgbImage::filled(500, 300, [1, 2, 3])?;
/// let seen = usual.apply(&picture, 224)?;
/// assert_eq!((seen.width, seen.height), (224, 224));
/// # Ok::<(), oodlab_datasets::DatasetError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Preprocess {
    /// How the size is changed; `squash` when absent.
    pub resize: Resize,
    /// With `resize: short-side`: the shorter side afterwards, in pixels; the encoder's resolution when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short_side: Option<u32>,
    /// What is cut out afterwards; `none` when absent.
    pub crop: Crop,
    /// The filter of every resizing, also of protocol `matched`; `bilinear` when absent.
    pub filter: Filter,
    /// Whether the filter widens when the image shrinks, as Pillow's always do; `true` when absent. `false`, for bilinear and
    /// bicubic, is torch's `interpolate` on tensors.
    pub antialias: bool,
    /// What becomes of transparency; `drop` when absent.
    pub alpha: Alpha,
    /// Whether EXIF's orientation is applied; `ignore` when absent.
    pub orientation: Orientation,
}

/// How the size is changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// Both sides to the resolution; the aspect ratio is not kept.
    #[default]
    Squash,
    /// The shorter side to a length, the longer one in proportion, cut to whole pixels: `torchvision.transforms.Resize(N)`.
    ShortSide,
    /// Not at all: pictures must have the size already, or get it by the crop.
    None,
}

/// What is cut out after resizing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Crop {
    /// Nothing.
    #[default]
    None,
    /// The square of the resolution in the middle: `torchvision.transforms.CenterCrop(N)`. What a smaller picture lacks is
    /// black, an odd line of it below and on the right.
    #[serde(alias = "center")]
    Centre,
}

impl Default for Preprocess {
    fn default() -> Preprocess {
        Preprocess {
            resize: Resize::default(),
            short_side: None,
            crop: Crop::default(),
            filter: Filter::default(),
            antialias: true,
            alpha: Alpha::default(),
            orientation: Orientation::default(),
        }
    }
}

impl Preprocess {
    /// Looks for choices that do not go together.
    ///
    /// # Errors
    /// The key and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let Preprocess { resize, short_side, crop, filter, antialias, .. } = *self;
        match short_side {
            Some(_) if resize != Resize::ShortSide => {
                return Err(("short_side", "goes with `resize: short-side` only".into()));
            }
            Some(side) if !(1..=resize::LARGEST_SIDE).contains(&side) => {
                return Err(("short_side", format!("{side} is out of range: expected 1..={}", resize::LARGEST_SIDE)));
            }
            _ => {}
        }
        if resize == Resize::ShortSide && crop == Crop::None {
            let why = "`resize: short-side` leaves pictures of different shapes; add `crop: centre`";
            return Err(("crop", why.into()));
        }
        if !antialias && !filter.has_plain_form() {
            return Err(("antialias", format!("false goes with bilinear or bicubic, not with {}", filter.name())));
        }
        Ok(())
    }

    /// How picture files are to be read.
    #[must_use]
    pub fn reading(&self) -> Reading {
        Reading { alpha: self.alpha, orientation: self.orientation }
    }

    /// The picture as a square of `resolution`.
    ///
    /// # Errors
    /// When a side of the picture on the way is 0 or too large, or when it has another size and nothing changes it.
    pub fn apply(&self, image: &RgbImage, resolution: u32) -> Result<RgbImage, DatasetError> {
        let resized = match self.resize {
            Resize::Squash => self.squash(image, resolution, resolution)?,
            Resize::None => image.clone(),
            Resize::ShortSide => {
                let side = self.short_side.unwrap_or(resolution);
                let (width, height) = short_side(image, side);
                self.squash(image, width, height)?
            }
        };
        let seen = match self.crop {
            Crop::Centre => centre(resized, resolution),
            Crop::None => resized,
        };
        if (seen.width, seen.height) == (resolution, resolution) {
            return Ok(seen);
        }
        Err(DatasetError::NotSquare { width: seen.width, height: seen.height, resolution })
    }

    /// The picture brought to a size by the chosen filter: what protocol `matched` does first.
    ///
    /// # Errors
    /// When a side of the result is 0 or above 16,384.
    pub fn squash(&self, image: &RgbImage, width: u32, height: u32) -> Result<RgbImage, DatasetError> {
        let resize = if self.antialias { resize::filtered } else { resize::plainly };
        resize(image, width, height, self.filter)
    }
}

/// On one line: `squash, bilinear` and what differs from the default. Different choices have different lines: they are part of
/// keys.
impl fmt::Display for Preprocess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.resize, self.short_side) {
            (Resize::Squash, _) => write!(f, "squash")?,
            (Resize::ShortSide, Some(side)) => write!(f, "short side {side}")?,
            (Resize::ShortSide, None) => write!(f, "short side")?,
            (Resize::None, _) => write!(f, "own size")?,
        }
        write!(f, ", {}", self.filter.name())?;
        let choices = [
            (!self.antialias, ", not antialiased"),
            (self.crop == Crop::Centre, ", centre crop"),
            (self.alpha == Alpha::White, ", alpha over white"),
            (self.alpha == Alpha::Black, ", alpha over black"),
            (self.orientation == Orientation::Apply, ", orientation applied"),
        ];
        choices.iter().filter(|(chosen, _)| *chosen).try_for_each(|(_, text)| f.write_str(text))
    }
}

/// The size with its shorter side brought to `side`.
fn short_side(image: &RgbImage, side: u32) -> (u32, u32) {
    let (short, long) = (image.width.min(image.height), image.width.max(image.height));
    let scaled = u64::from(side) * u64::from(long) / u64::from(short.max(1));
    // Too large a side is refused when it is made.
    let scaled = u32::try_from(scaled).unwrap_or(u32::MAX);
    if image.width <= image.height { (side, scaled) } else { (scaled, side) }
}

/// The square in the middle, with black where the image ends.
fn centre(image: RgbImage, side: u32) -> RgbImage {
    if (image.width, image.height) == (side, side) {
        return image;
    }
    let (left, right) = (offset(image.width, side), image.width.min(side) as usize);
    let (top, bottom) = (offset(image.height, side), image.height.min(side) as usize);
    let mut pixels = vec![0; 3 * (side as usize).pow(2)];
    for row in 0..bottom {
        let from = 3 * ((row + top.in_image) * image.width as usize + left.in_image);
        let to = 3 * ((row + top.in_result) * side as usize + left.in_result);
        pixels[to..to + 3 * right].copy_from_slice(&image.pixels[from..from + 3 * right]);
    }
    RgbImage { width: side, height: side, pixels }
}

struct Offset {
    in_image: usize,
    in_result: usize,
}

/// Where the common part begins. torchvision rounds half of what is left over to even, and pads half of what is missing, less
/// the odd line, above and on the left.
fn offset(length: u32, side: u32) -> Offset {
    let over = length.saturating_sub(side) as usize;
    let half_to_even = over / 2 + usize::from(over % 4 == 3);
    Offset { in_image: half_to_even, in_result: side.saturating_sub(length) as usize / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: u32, height: u32) -> RgbImage {
        let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, 7])).collect();
        RgbImage::new(width, height, pixels).expect("well formed")
    }

    #[test]
    fn the_default_is_the_bilinear_squash() {
        let image = ramp(37, 21);
        let usual = Preprocess::default();
        assert_eq!(usual.check(), Ok(()));
        assert_eq!(usual.apply(&image, 16).expect("valid"), resize::bilinear(&image, 16, 16).expect("valid"));
        assert_eq!(usual.to_string(), "squash, bilinear");
        assert_eq!(usual.reading(), Reading::default());
    }

    /// Every rounding of torchvision 0.14's `Resize(N)`: `int(N * long / short)`.
    #[test]
    fn the_long_side_is_cut_to_whole_pixels() {
        for ((width, height), expected) in
            [((500, 300), (426, 256)), ((300, 500), (256, 426)), ((7, 7), (256, 256)), ((640, 427), (383, 256))]
        {
            assert_eq!(short_side(&RgbImage { width, height, pixels: vec![] }, 256), expected);
        }
    }

    /// `CenterCrop(4)` of torchvision 0.14: left edges of widths 5 to 12, and the padding of widths 1 to 3.
    #[test]
    fn the_centre_is_torchvisions() {
        for (width, left) in [(5, 0), (6, 1), (7, 2), (8, 2), (9, 2), (10, 3), (11, 4), (12, 4)] {
            let cut = centre(ramp(width, 4), 4);
            assert_eq!(cut.pixels[..3], [left, 0, 7], "{width}");
        }
        for (width, expected) in [(1, [0, 7, 0, 0]), (2, [0, 7, 7, 0]), (3, [7, 7, 7, 0])] {
            let cut = centre(ramp(width, 4), 4);
            assert_eq!(cut.pixels.iter().skip(2).step_by(3).take(4).copied().collect::<Vec<_>>(), expected, "{width}");
        }
        let mixed = centre(ramp(9, 2), 4);
        assert_eq!((mixed.width, mixed.height), (4, 4));
        assert_eq!(mixed.pixels[..12], [0; 12]);
        assert_eq!(mixed.pixels[12..15], [2, 0, 7]);
        assert_eq!(mixed.pixels[36..], [0; 12]);
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let parse = |text: &str| serde_yaml::from_str::<Preprocess>(text).expect("known keys");
        for (text, key) in [
            ("short_side: 256", "short_side"),
            ("{resize: short-side, short_side: 0, crop: centre}", "short_side"),
            ("resize: short-side", "crop"),
            ("{filter: lanczos, antialias: false}", "antialias"),
        ] {
            assert_eq!(parse(text).check().expect_err(text).0, key);
        }
        assert!(serde_yaml::from_str::<Preprocess>("fliter: box").is_err());
        let same = parse("{resize: none, crop: none}");
        assert_eq!(same.check(), Ok(()));
        assert!(same.apply(&ramp(4, 4), 4).is_ok());
        assert!(matches!(same.apply(&ramp(5, 4), 4), Err(DatasetError::NotSquare { .. })));
        let torch = parse("{filter: bicubic, antialias: false, crop: center}");
        let expected = resize::plainly(&ramp(9, 7), 4, 4, Filter::Bicubic).expect("valid");
        assert_eq!(torch.apply(&ramp(9, 7), 4).expect("valid"), expected);
        assert_eq!(torch.to_string(), "squash, bicubic, not antialiased, centre crop");
    }
}
