//! The one form in which images leave this crate: 8-bit RGB.

use std::fmt;

use crate::error::DatasetError;

/// 8-bit RGB image, row-major HWC.
///
/// `pixels.len()` is `3 * width * height`; use [`RgbImage::new`] where the three come from outside.
#[derive(Clone, PartialEq, Eq)]
pub struct RgbImage {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Values `0..=255`, `[height, width, 3]`.
    pub pixels: Vec<u8>,
}

impl RgbImage {
    /// An image of given pixels.
    ///
    /// # Errors
    /// When a side is zero, or the buffer is not `3 * width * height` bytes long.
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Result<RgbImage, DatasetError> {
        let image = RgbImage { width, height, pixels };
        image.check()?;
        Ok(image)
    }

    /// A grey image, its value repeated in the three channels.
    ///
    /// # Errors
    /// When a side is zero, or `grey` is not `width * height` bytes long.
    pub fn from_grey(width: u32, height: u32, grey: &[u8]) -> Result<RgbImage, DatasetError> {
        RgbImage::new(width, height, grey.iter().flat_map(|&value| [value; 3]).collect())
    }

    /// An image of three planes, red, green, blue (`[3, height, width]`, as in CIFAR's files).
    ///
    /// # Errors
    /// When a side is zero, or `planes` is not `3 * width * height` bytes long.
    pub fn from_planes(width: u32, height: u32, planes: &[u8]) -> Result<RgbImage, DatasetError> {
        let plane = planes.len() / 3;
        let (red, rest) = planes.split_at(plane);
        let (green, blue) = rest.split_at(plane);
        let pixels = red.iter().zip(green).zip(blue).flat_map(|((&r, &g), &b)| [r, g, b]).collect();
        RgbImage::new(width, height, pixels)
    }

    /// One colour everywhere.
    ///
    /// # Errors
    /// When a side is zero.
    pub fn filled(width: u32, height: u32, colour: [u8; 3]) -> Result<RgbImage, DatasetError> {
        RgbImage::new(width, height, colour.repeat(width as usize * height as usize))
    }

    /// The image as a PNG file.
    ///
    /// # Errors
    /// When the image is not well formed.
    pub fn to_png(&self) -> Result<Vec<u8>, DatasetError> {
        use image::ImageEncoder;
        self.check()?;
        let mut bytes = Vec::new();
        image::codecs::png::PngEncoder::new(&mut bytes)
            .write_image(&self.pixels, self.width, self.height, image::ExtendedColorType::Rgb8)
            .map_err(|error| DatasetError::Decode { path: "PNG encoder".into(), what: error.to_string() })?;
        Ok(bytes)
    }

    /// Checks that the sides are not zero and that the buffer has the length which they demand.
    ///
    /// # Errors
    /// When they do not agree.
    pub fn check(&self) -> Result<(), DatasetError> {
        let expected = 3 * u64::from(self.width) * u64::from(self.height);
        if expected == 0 || expected != self.pixels.len() as u64 {
            return Err(DatasetError::Shape { width: self.width, height: self.height, found: self.pixels.len() });
        }
        Ok(())
    }
}

impl fmt::Debug for RgbImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RgbImage({} x {})", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::RgbImage;

    #[test]
    fn planes_are_interleaved_and_grey_is_repeated() {
        let planes = [1, 2, 3, 4, 5, 6];
        assert_eq!(RgbImage::from_planes(2, 1, &planes).expect("well formed").pixels, [1, 3, 5, 2, 4, 6]);
        assert_eq!(RgbImage::from_grey(1, 2, &[7, 9]).expect("well formed").pixels, [7, 7, 7, 9, 9, 9]);
    }

    #[test]
    fn a_buffer_of_another_length_is_refused() {
        assert!(RgbImage::new(2, 2, vec![0; 11]).is_err());
        assert!(RgbImage::new(0, 2, vec![]).is_err());
        assert!(RgbImage::from_planes(1, 1, &[1, 2]).is_err());
    }
}
