//! The weights of Pillow's filters: `Resample.c` (`precompute_coeffs`, `normalize_coeffs_8bpc`).

use std::f64::consts::PI;

use super::Filter;

/// Fractional bits of a coefficient: 32, less 8 for the value and 2 for sign and overshoot.
pub(super) const PRECISION_BITS: u32 = 22;
pub(super) const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// Which source positions make up each output position, and with what weight.
pub(super) struct Taps {
    /// First source position and number of taps of each output position.
    spans: Vec<(usize, usize)>,
    /// `stride` coefficients an output position, of which the span's length count.
    weights: Vec<i32>,
    stride: usize,
}

impl Taps {
    /// The weights that bring `from` positions to `to`. `filter` has a support: it is not nearest.
    pub(super) fn new(from: u32, to: u32, filter: Filter) -> Taps {
        let (radius, curve) = curve(filter);
        let scale = f64::from(from) / f64::from(to);
        // When the image shrinks the filter widens with the factor.
        let filter_scale = scale.max(1.0);
        let support = radius * filter_scale;
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
                *weight = curve((tap as f64 + f64::from(first) - centre + 0.5) * (1.0 / filter_scale));
                sum += *weight;
            }
            for (fixed, weight) in fixed.iter_mut().zip(&row[..count]) {
                let normal = if sum == 0.0 { *weight } else { *weight / sum };
                let half = if normal < 0.0 { -0.5 } else { 0.5 };
                *fixed = (half + normal * f64::from(1 << PRECISION_BITS)) as i32;
            }
            spans.push((first as usize, count));
        }
        Taps { spans, weights, stride }
    }

    /// Number of output positions.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// First source position and weights of each output position.
    #[inline(always)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        self.spans
            .iter()
            .zip(self.weights.chunks_exact(self.stride))
            .map(|(&(first, count), all)| (first, &all[..count]))
    }
}

/// Radius and curve of a filter over the distance to the centre.
fn curve(filter: Filter) -> (f64, fn(f64) -> f64) {
    match filter {
        Filter::Nearest | Filter::Box => (0.5, |x| if x > -0.5 && x <= 0.5 { 1.0 } else { 0.0 }),
        Filter::Bilinear => (1.0, |x| (1.0 - x.abs()).max(0.0)),
        Filter::Bicubic => (2.0, bicubic),
        Filter::Lanczos => (3.0, |x| if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }),
    }
}

/// Keys' cubic with a = -0.5.
fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * PI;
    libm::sin(x) / x
}
