//! Turning a picture as EXIF says.

use crate::image::RgbImage;

/// The picture as it is to be seen when its EXIF orientation is `tag`; as it is for 1 and for what is none of 1 to 8.
///
/// The same as Pillow's `ImageOps.exif_transpose`.
pub(super) fn apply(image: RgbImage, tag: u8) -> RgbImage {
    let (width, height) = (image.width as usize, image.height as usize);
    // Where the pixel at a place of the result comes from: row and column.
    let source: fn(usize, usize, usize, usize) -> (usize, usize) = match tag {
        2 => |y, x, width, _| (y, width - 1 - x),
        3 => |y, x, width, height| (height - 1 - y, width - 1 - x),
        4 => |y, x, _, height| (height - 1 - y, x),
        5 => |y, x, _, _| (x, y),
        6 => |y, x, _, height| (height - 1 - x, y),
        7 => |y, x, width, height| (height - 1 - x, width - 1 - y),
        8 => |y, x, width, _| (x, width - 1 - y),
        _ => return image,
    };
    let (columns, rows) = if tag >= 5 { (height, width) } else { (width, height) };
    let old = image.pixels.as_chunks::<3>().0;
    let mut pixels = Vec::with_capacity(image.pixels.len());
    for y in 0..rows {
        for x in 0..columns {
            let (row, column) = source(y, x, width, height);
            pixels.extend_from_slice(&old[row * width + column]);
        }
    }
    RgbImage { width: columns as u32, height: rows as u32, pixels }
}
