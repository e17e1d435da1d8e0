//! The sinusoidal embedding of a time step.

/// The embedding of width `width` of each step: `[cos, sin]` of `t exp(-ln(10^4) k / half)`, k = 0 .. half - 1, half = width / 2; an odd
/// width gets one zero at the end.
///
/// Computed in f64 and narrowed once. `out`: `[steps, width]`, row-major. Source: Vaswani et al. 2017, in the order of the released program.
///
/// ```
/// let table = oodlab_diffusion::time_embedding::table(&[0, 3], 5);
/// assert_eq!(table[..5], [1.0, 1.0, 0.0, 0.0, 0.0]);
/// assert_eq!(table[5], 3f64.cos() as f32);
/// ```
#[must_use]
pub fn table(steps: &[u32], width: usize) -> Vec<f32> {
    let half = width / 2;
    let mut out = Vec::with_capacity(steps.len() * width);
    for &step in steps {
        let angle = |k: usize| f64::from(step) * (-(10_000f64.ln()) * k as f64 / half as f64).exp();
        out.extend((0..half).map(|k| angle(k).cos() as f32));
        out.extend((0..half).map(|k| angle(k).sin() as f32));
        out.resize(out.len() + width % 2, 0.0);
    }
    out
}
