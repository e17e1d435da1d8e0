//! Resizing as Pillow does it, equal to the bit (`Image.resize` with `BILINEAR` on an RGB image).
//!
//! Two passes, columns first; a pass whose size does not change is left out. Each output value is a sum of source values
//! with coefficients in 22-bit fixed point, rounded to u8 between the passes. When the image shrinks, the triangle filter
//! widens with the factor (antialiasing). Pinned by the golden file `resize_pillow_bilinear`.

use crate::error::DatasetError;
use crate::image::RgbImage;

/// Fractional bits of a coefficient: 32, less 8 for the value and 2 for sign and overshoot.
const PRECISION_BITS: u32 = 22;
const HALF: i32 = 1 << (PRECISION_BITS - 1);
/// Largest side of a result.
const LARGEST_SIDE: u32 = 16_384;

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
    image.check()?;
    let sides = 1..=LARGEST_SIDE;
    if !sides.contains(&width) || !sides.contains(&height) {
        return Err(DatasetError::Target { width, height, limit: LARGEST_SIDE });
    }
    let columns = (width != image.width).then(|| Taps::new(image.width, width));
    let rows = (height != image.height).then(|| Taps::new(image.height, height));
    let pixels = run(image, width as usize, columns.as_ref(), rows.as_ref());
    Ok(RgbImage { width, height, pixels })
}

fn run(image: &RgbImage, width: usize, columns: Option<&Taps>, rows: Option<&Taps>) -> Vec<u8> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, asked in the line above; the function has no other requirement.
        return unsafe { both_avx2(image, width, columns, rows) };
    }
    both(image, width, columns, rows)
}

/// [`both`], compiled for wider registers: integers only, so the result is the same.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn both_avx2(image: &RgbImage, width: usize, columns: Option<&Taps>, rows: Option<&Taps>) -> Vec<u8> {
    both(image, width, columns, rows)
}

#[inline(always)]
fn both(image: &RgbImage, width: usize, columns: Option<&Taps>, rows: Option<&Taps>) -> Vec<u8> {
    match (columns, rows) {
        (None, None) => image.pixels.clone(),
        (Some(columns), None) => horizontal(&image.pixels, image.width as usize, columns),
        (None, Some(rows)) => vertical(&image.pixels, 3 * width, rows),
        (Some(columns), Some(rows)) => {
            vertical(&horizontal(&image.pixels, image.width as usize, columns), 3 * width, rows)
        }
    }
}

/// Which source positions make up each output position, and with what weight.
struct Taps {
    /// First source position and number of taps of each output position.
    spans: Vec<(usize, usize)>,
    /// `stride` coefficients an output position, of which the span's length count.
    weights: Vec<i32>,
    stride: usize,
}

impl Taps {
    /// Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc` for the triangle filter of support 1.
    fn new(from: u32, to: u32) -> Taps {
        let scale = f64::from(from) / f64::from(to);
        let filter_scale = scale.max(1.0);
        let support = filter_scale;
        let stride = support.ceil() as usize * 2 + 1;
        let mut spans = Vec::with_capacity(to as usize);
        let mut weights = vec![0; stride * to as usize];
        let mut row = vec![0.0; stride];
        for (position, fixed) in weights.chunks_exact_mut(stride).enumerate() {
            let centre = (position as f64 + 0.5) * scale;
            // Float to integer casts truncate, as in C, and saturate at zero.
            let first = (centre - support + 0.5) as u32;
            let last = ((centre + support + 0.5) as u32).min(from);
            let count = (last - first) as usize;
            let mut sum = 0.0;
            for (tap, weight) in row[..count].iter_mut().enumerate() {
                let distance = ((tap as f64 + f64::from(first) - centre + 0.5) * (1.0 / filter_scale)).abs();
                *weight = if distance < 1.0 { 1.0 - distance } else { 0.0 };
                sum += *weight;
            }
            for (fixed, weight) in fixed.iter_mut().zip(&row[..count]) {
                let normal = if sum == 0.0 { *weight } else { *weight / sum };
                *fixed = (0.5 + normal * f64::from(1 << PRECISION_BITS)) as i32;
            }
            spans.push((first as usize, count));
        }
        Taps { spans, weights, stride }
    }

    #[inline(always)]
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        self.spans
            .iter()
            .zip(self.weights.chunks_exact(self.stride))
            .map(|(&(first, count), all)| (first, &all[..count]))
    }
}

/// Resizes every row: `[h, from, 3]` to `[h, to, 3]`.
#[inline(always)]
fn horizontal(source: &[u8], from: usize, taps: &Taps) -> Vec<u8> {
    let to = taps.spans.len();
    let height = source.len() / (3 * from);
    // A pixel more, so that four values can be moved at once; the fourth is overwritten by the next pixel.
    let mut out = vec![0; 3 * to * height + 1];
    let mut line = vec![[0i32; 4]; from];
    for (y, row) in source.chunks_exact(3 * from).enumerate() {
        for (pixel, bytes) in line.iter_mut().zip(row.as_chunks::<3>().0) {
            *pixel = [i32::from(bytes[0]), i32::from(bytes[1]), i32::from(bytes[2]), 0];
        }
        let target = &mut out[3 * to * y..3 * to * (y + 1) + 1];
        for (x, (first, weights)) in taps.iter().enumerate() {
            let mut sum = [HALF; 4];
            for (pixel, &weight) in line[first..first + weights.len()].iter().zip(weights) {
                for channel in 0..4 {
                    sum[channel] += pixel[channel] * weight;
                }
            }
            target[3 * x..3 * x + 4].copy_from_slice(&sum.map(to_byte));
        }
    }
    out.truncate(3 * to * height);
    out
}

/// Resizes every column: `[from, width]` to `[to, width]` values.
#[inline(always)]
fn vertical(source: &[u8], row_length: usize, taps: &Taps) -> Vec<u8> {
    let mut out = vec![0; row_length * taps.spans.len()];
    let mut sums = vec![HALF; row_length];
    for (target, (first, weights)) in out.chunks_exact_mut(row_length).zip(taps.iter()) {
        let rows = source[first * row_length..].chunks_exact(row_length);
        sums.fill(HALF);
        for (row, &weight) in rows.zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        for (byte, &sum) in target.iter_mut().zip(&sums) {
            *byte = to_byte(sum);
        }
    }
    out
}

#[inline(always)]
fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            let grey = bilinear(&RgbImage::filled(w, h, [7, 128, 255]).expect("well formed"), to_w, to_h).expect("a valid size");
            prop_assert!(grey.pixels.chunks_exact(3).all(|pixel| pixel == [7, 128, 255]));
            let stream = oodlab_base::Seed(seed).stream("resize test");
            let pixels = (0..u64::from(3 * w * h)).map(|i| stream.word(i) as u8).collect();
            let image = RgbImage::new(w, h, pixels).expect("well formed");
            let columns = (to_w != w).then(|| Taps::new(w, to_w));
            let rows = (to_h != h).then(|| Taps::new(h, to_h));
            let plain = both(&image, to_w as usize, columns.as_ref(), rows.as_ref());
            prop_assert_eq!(bilinear(&image, to_w, to_h).expect("a valid size").pixels, plain);
        }
    }
}
