//! The nearest pixel: Pillow's `ImagingScaleAffine`.

use crate::image::RgbImage;

/// Every new pixel is the one under its centre.
pub(super) fn resize(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    let (columns, rows) = (positions(image.width, width), positions(image.height, height));
    let row_length = 3 * image.width as usize;
    let mut pixels = Vec::with_capacity(3 * width as usize * height as usize);
    for &row in &rows {
        let source = image.pixels[row * row_length..][..row_length].as_chunks::<3>().0;
        for &column in &columns {
            pixels.extend_from_slice(&source[column]);
        }
    }
    RgbImage { width, height, pixels }
}

/// Source positions, by adding the step again and again as Pillow does: a product would round otherwise.
fn positions(from: u32, to: u32) -> Vec<usize> {
    let step = f64::from(from) / f64::from(to);
    let all = std::iter::successors(Some(step * 0.5), |at| Some(at + step));
    all.take(to as usize).map(|at| (at as usize).min(from as usize - 1)).collect()
}
