//! A contact sheet: small images of one size in rows and columns.

use image::ImageEncoder;
use image::codecs::png::PngEncoder;

use crate::OutlierError;
use crate::error::expect_length;

/// Pixels between images.
const GAP: usize = 2;
/// The colour between images, and where a cell is empty: none of black and white, so that it is told from both.
const GROUND: u8 = 128;
/// Most pixels along a side of the sheet.
const LONGEST_SIDE: usize = 1 << 14;

/// A sheet under way: RGB bytes, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactSheet {
    side: usize,
    rows: usize,
    columns: usize,
    scale: usize,
    bytes: Vec<u8>,
}

impl ContactSheet {
    /// An empty sheet of `rows` x `columns` images with sides of `side` pixels, each shown as `scale` x `scale` pixels.
    ///
    /// # Errors
    /// When a number is zero, or the sheet would be more than 16,384 pixels high or wide.
    pub fn new([rows, columns]: [usize; 2], side: usize, scale: usize) -> Result<ContactSheet, OutlierError> {
        let cell = side.saturating_mul(scale).saturating_add(GAP);
        let longest = rows.max(columns).saturating_mul(cell).saturating_add(GAP);
        if rows == 0 || columns == 0 || side == 0 || scale == 0 || longest > LONGEST_SIDE {
            let found = format!("{rows} rows of {columns} images of {side} pixels, enlarged {scale} times");
            let expected = format!("at least one of each, at most {LONGEST_SIDE} pixels a side");
            return Err(OutlierError::setting("contact sheet", found, expected));
        }
        let bytes = vec![GROUND; 3 * (rows * cell + GAP) * (columns * cell + GAP)];
        Ok(ContactSheet { side, rows, columns, scale, bytes })
    }

    /// Width and height of the sheet, in pixels.
    #[must_use]
    pub fn size(&self) -> [usize; 2] {
        [self.columns, self.rows].map(|cells| cells * (self.side * self.scale + GAP) + GAP)
    }

    /// The sheet's RGB bytes, row by row.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Puts an image into a cell, counted from 0 from the upper left.
    ///
    /// # Shapes
    /// `pixels` `[3, side, side]`, 0 to 1; what lies outside is cut to that range, NaN becomes black.
    ///
    /// # Errors
    /// When there is no such cell, or the image has another size.
    pub fn put(&mut self, [row, column]: [usize; 2], pixels: &[f32]) -> Result<(), OutlierError> {
        let plane = self.side * self.side;
        expect_length("an image of the contact sheet", 3 * plane, pixels.len())?;
        if row >= self.rows || column >= self.columns {
            let expected = format!("within {} rows and {} columns, counted from 0", self.rows, self.columns);
            return Err(OutlierError::setting("cell of the contact sheet", format!("({row}, {column})"), expected));
        }
        let [width, _] = self.size();
        let shown = self.side * self.scale;
        let (top, left) = (GAP + row * (shown + GAP), GAP + column * (shown + GAP));
        for y in 0..shown {
            for x in 0..shown {
                let from = y / self.scale * self.side + x / self.scale;
                let to = 3 * ((top + y) * width + left + x);
                for colour in 0..3 {
                    // A cast from float cuts to 0..=255, NaN to 0.
                    self.bytes[to + colour] = (pixels[colour * plane + from] * 255.0).round() as u8;
                }
            }
        }
        Ok(())
    }

    /// The sheet as a PNG file.
    ///
    /// # Errors
    /// When it cannot be encoded (never for a sheet made by [`ContactSheet::new`]).
    pub fn to_png(&self) -> Result<Vec<u8>, OutlierError> {
        let mut file = Vec::new();
        let [width, height] = self.size().map(|length| length as u32);
        PngEncoder::new(&mut file).write_image(&self.bytes, width, height, image::ExtendedColorType::Rgb8).map_err(
            |error| OutlierError::File { file: "contact sheet (PNG)".to_owned(), problem: error.to_string() },
        )?;
        Ok(file)
    }
}
