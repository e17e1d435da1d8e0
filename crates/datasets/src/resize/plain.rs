//! Interpolation between the nearest pixels, without antialiasing: torch's `upsample_bilinear2d` and `upsample_bicubic2d`.

use super::Filter;
use crate::image::RgbImage;

/// Source positions of an output position and their weights; bilinear leaves the last two at weight 0.
type Taps = ([usize; 4], [f32; 4]);

/// `filter` is bilinear or bicubic.
pub(super) fn resize(image: &RgbImage, width: u32, height: u32, filter: Filter) -> RgbImage {
    let columns = taps(image.width, width, filter);
    let rows = taps(image.height, height, filter);
    let source = image.pixels.as_chunks::<3>().0;
    let mut wide = Vec::with_capacity(width as usize * image.height as usize);
    for row in source.chunks_exact(image.width as usize) {
        for (places, weights) in &columns {
            wide.push(blend(places.map(|place| row[place].map(f32::from)), weights));
        }
    }
    let at = |row: usize, column: usize| wide[row * width as usize + column];
    let mut pixels = Vec::with_capacity(3 * width as usize * height as usize);
    for (places, weights) in &rows {
        for column in 0..width as usize {
            let pixel = blend(places.map(|row| at(row, column)), weights);
            pixels.extend(pixel.map(|level| level.clamp(0.0, 255.0).round_ties_even() as u8));
        }
    }
    RgbImage { width, height, pixels }
}

#[inline(always)]
fn blend(pixels: [[f32; 3]; 4], weights: &[f32; 4]) -> [f32; 3] {
    let mut sum = [0.0; 3];
    for (pixel, weight) in pixels.iter().zip(weights) {
        for (sum, value) in sum.iter_mut().zip(pixel) {
            *sum += value * weight;
        }
    }
    sum
}

fn taps(from: u32, to: u32, filter: Filter) -> Vec<Taps> {
    let scale = from as f32 / to as f32;
    let last = from as usize - 1;
    let each = (0..to).map(|position| {
        if from == to {
            // torch copies what keeps its size.
            return ([position as usize; 4], [1.0, 0.0, 0.0, 0.0]);
        }
        let centre = scale * (position as f32 + 0.5) - 0.5;
        if let Filter::Bicubic = filter {
            let first = centre.floor();
            let t = centre - first;
            let place = |tap: i64| (first as i64 + tap).clamp(0, last as i64) as usize;
            ([place(-1), place(0), place(1), place(2)], [outer(t + 1.0), inner(t), inner(1.0 - t), outer(2.0 - t)])
        } else {
            let centre = centre.max(0.0);
            let near = (centre as usize).min(last);
            let far = (near + 1).min(last);
            let t = (centre - near as f32).min(1.0);
            ([near, far, near, near], [1.0 - t, t, 0.0, 0.0])
        }
    });
    each.collect()
}

/// torch's cubic.
const A: f32 = -0.75;

/// Of the two nearer pixels.
fn inner(x: f32) -> f32 {
    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
}

/// Of the two farther pixels.
fn outer(x: f32) -> f32 {
    ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
}
