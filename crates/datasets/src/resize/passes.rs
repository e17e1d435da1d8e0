//! The two passes: columns first, then rows, each a sum of source values with the weights of [`Taps`].

use super::taps::{HALF, PRECISION_BITS, Taps};
use crate::image::RgbImage;

/// Runs the passes that are given; a pass that is left out keeps its size.
pub(super) fn run(image: &RgbImage, width: usize, columns: Option<&Taps>, rows: Option<&Taps>) -> Vec<u8> {
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
pub(super) fn both(image: &RgbImage, width: usize, columns: Option<&Taps>, rows: Option<&Taps>) -> Vec<u8> {
    match (columns, rows) {
        (None, None) => image.pixels.clone(),
        (Some(columns), None) => horizontal(&image.pixels, image.width as usize, columns),
        (None, Some(rows)) => vertical(&image.pixels, 3 * width, rows),
        (Some(columns), Some(rows)) => {
            vertical(&horizontal(&image.pixels, image.width as usize, columns), 3 * width, rows)
        }
    }
}

/// Resizes every row: `[h, from, 3]` to `[h, to, 3]`.
#[inline(always)]
fn horizontal(source: &[u8], from: usize, taps: &Taps) -> Vec<u8> {
    let to = taps.len();
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
    let mut out = vec![0; row_length * taps.len()];
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
