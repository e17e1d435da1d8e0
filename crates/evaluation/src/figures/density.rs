//! Densities of one score: ID filled, a line a set.

use super::axis::Axis;
use super::canvas::picture;
use super::histogram_range::{Extent, axes};
use super::panel::{Panel, draw_rule};
use super::sheet::{LegendEntry, Sheet, Swatch};
use super::style::{self, CURVE, FAINT_ID, SeriesStyle};
use super::{Figure, FigureError};

/// The scores of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct DensitySeries {
    /// Name in the legend.
    pub name: String,
    /// Scores, higher = more out-of-distribution.
    pub scores: Vec<f64>,
}

const FRAME: (f64, f64) = (460.0, 250.0);
/// Places along the axis at which a density is taken.
const PLACES: usize = 257;
/// Bins that scores are counted in before they are smoothed, over the axis and the room on both sides of it.
const BINS: usize = 8192;
/// No kernel is narrower than this share of the axis, which is about a pixel.
const NARROWEST: f64 = 1.0 / 400.0;
/// Peaks higher than so many times ID's are cut.
const CUT: f64 = 3.0;

/// Gaussian kernel densities of ID and of each set on one axis, the bandwidth by Silverman's rule (Density Estimation, 1986, equation 3.31):
/// `0.9 min(deviation, interquartile range / 1.34) n^(-1/5)`. The axis is that of [`super::histogram_figure`]; where it is logarithmic, densities are
/// those of the logarithm. What lies beyond the axis is counted in each set's total, and the small print gives the largest share.
///
/// # Errors
/// When ID has no finite score, or no set has one.
pub fn density_figure(
    title: &str,
    score: &str,
    id: &DensitySeries,
    sets: &[DensitySeries],
) -> Result<Figure, FigureError> {
    let empty = || FigureError::Empty { figure: title.to_owned(), what: "set of scores" };
    let id_extent = Extent::of(&id.scores).ok_or_else(empty)?;
    let ood_extent = sets.iter().filter_map(|set| Extent::of(&set.scores)).reduce(Extent::and).ok_or_else(empty)?;
    let Some(x) = axes(&[(id_extent, ood_extent)]).of_panels.pop() else { return Err(empty()) };
    let curves: Vec<Smoothed> =
        std::iter::once(id).chain(sets).map(|series| Smoothed::new(&series.scores, &x)).collect();
    let id_peak = curves[0].peak();
    let highest = curves.iter().map(Smoothed::peak).fold(0.0, f64::max);
    let top = if id_peak > 0.0 { highest.min(CUT * id_peak) } else { highest };
    let y = Axis::linear(0.0, if top > 0.0 { 1.06 * top } else { 1.0 }, 5);
    let mut notes = vec!["Gaussian kernels, bandwidth by Silverman's rule".to_owned()];
    if highest > top {
        notes.push("peaks above three times that of ID are cut".to_owned());
    }
    let beyond = curves.iter().map(|curve| curve.beyond).fold(0.0, f64::max) * 100.0;
    if beyond > 0.0 {
        notes.push(format!("beyond the axis: up to {beyond:.1} % of a set"));
    }
    let lines = sets
        .iter()
        .enumerate()
        .map(|(at, set)| LegendEntry { swatch: Swatch::Line(look(at), false), name: set.name.clone() });
    let name = format!("{} (in-distribution)", id.name);
    let legend = std::iter::once(LegendEntry { swatch: Swatch::Fill(FAINT_ID, 0.35), name })
        .chain(lines)
        .chain([LegendEntry { swatch: Swatch::Rule, name: "95 % of ID accepted".to_owned() }])
        .collect();
    let sheet = Sheet {
        title: title.to_owned(),
        columns: 1,
        rows: 1,
        frame: FRAME,
        room: [70.0, 6.0, 18.0, 48.0],
        legend,
        notes,
    };
    picture(sheet.width(), sheet.height(), |canvas| {
        sheet.draw_surroundings(canvas)?;
        let panel = Panel { corner: sheet.corner(0), size: FRAME, x: x.clone(), y };
        let logarithmic = x.is_logarithmic();
        let x_label = if logarithmic { format!("{score} (logarithmic)") } else { score.to_owned() };
        let y_label = if logarithmic { "density a decade" } else { "density" };
        panel.draw_frame(canvas, "", &x_label, y_label)?;
        let places = |curve: &Smoothed| {
            let point =
                |(k, height): (usize, &f64)| (x.value(k as f64 / (PLACES - 1) as f64), height.min(panel.y.high()));
            panel.places(&curve.heights.iter().enumerate().map(point).collect::<Vec<_>>())
        };
        let outline = places(&curves[0]);
        let bottom = panel.corner.1 + FRAME.1;
        let mut area = outline.clone();
        area.extend([(panel.corner.0 + FRAME.0, bottom), (panel.corner.0, bottom)]);
        canvas.polygon(&area, FAINT_ID, 0.35)?;
        canvas.line(&outline, FAINT_ID, CURVE, &[])?;
        for (at, curve) in curves[1..].iter().enumerate().rev() {
            canvas.line(&places(curve), look(at).colour, CURVE, look(at).dash)?;
        }
        let threshold = super::histogram::threshold(&id.scores);
        if (0.0..=1.0).contains(&x.fraction(threshold)) {
            draw_rule(canvas, &panel.places(&[(threshold, 0.0), (threshold, panel.y.high())]), true)?;
        }
        Ok(())
    })
}

/// Sets are told apart by colour and dash; ID's grey is none of theirs.
fn look(number: usize) -> SeriesStyle {
    style::series(number)
}

/// A density along an axis.
struct Smoothed {
    heights: Vec<f64>,
    /// Share of all scores beyond the axis, 0..1.
    beyond: f64,
}

impl Smoothed {
    fn new(scores: &[f64], axis: &Axis) -> Smoothed {
        // In fractions of the axis.
        let all: Vec<f64> = scores.iter().map(|&score| axis.fraction(score)).collect();
        let mut finite: Vec<f64> = all.iter().copied().filter(|place| place.is_finite()).collect();
        finite.sort_unstable_by(f64::total_cmp);
        let beyond = all.iter().filter(|place| !(-1e-9..=1.0 + 1e-9).contains(*place)).count();
        let bandwidth = silverman(&finite).max(NARROWEST);
        let room = 4.0 * bandwidth;
        let (low, length) = (-room, 1.0 + 2.0 * room);
        let mut counts = vec![0.0f64; BINS];
        for place in finite.iter().map(|place| (place - low) / length * BINS as f64) {
            if (0.0..BINS as f64).contains(&place) {
                counts[place as usize] += 1.0;
            }
        }
        let filled: Vec<(f64, f64)> = counts
            .into_iter()
            .enumerate()
            .filter(|(_, count)| *count > 0.0)
            .map(|(bin, count)| (low + (bin as f64 + 0.5) / BINS as f64 * length, count))
            .collect();
        // One over the axis' length in its own unit makes a density of a share.
        let unit =
            if axis.is_logarithmic() { axis.high().log10() - axis.low().log10() } else { axis.high() - axis.low() };
        let factor = 1.0 / ((2.0 * std::f64::consts::PI).sqrt() * bandwidth * all.len().max(1) as f64 * unit);
        let height = |k: usize| {
            let x = k as f64 / (PLACES - 1) as f64;
            let kernel = |(place, count): &(f64, f64)| count * (-0.5 * ((x - place) / bandwidth).powi(2)).exp();
            filled.iter().map(kernel).sum::<f64>() * factor
        };
        let share = beyond as f64 / all.len().max(1) as f64;
        Smoothed { heights: (0..PLACES).map(height).collect(), beyond: share }
    }

    fn peak(&self) -> f64 {
        self.heights.iter().copied().filter(|height| height.is_finite()).fold(0.0, f64::max)
    }
}

/// Silverman's bandwidth of sorted numbers; 0 where they are all equal.
fn silverman(sorted: &[f64]) -> f64 {
    let n = sorted.len() as f64;
    if sorted.is_empty() {
        return 0.0;
    }
    let mean = sorted.iter().sum::<f64>() / n;
    let deviation = (sorted.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0).max(1.0)).sqrt();
    // Between neighbours in proportion.
    let quantile = |share: f64| {
        let at = (n - 1.0) * share;
        let (below, part) = (at.floor() as usize, at.fract());
        sorted[below] * (1.0 - part) + sorted[(below + 1).min(sorted.len() - 1)] * part
    };
    let spread = (quantile(0.75) - quantile(0.25)) / 1.34;
    let width = if spread > 0.0 { deviation.min(spread) } else { deviation };
    0.9 * width * n.powf(-0.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles of the standard normal at regular ranks, by Box and Muller on a grid.
    fn normal(n: usize) -> Vec<f64> {
        let stream = oodlab_base::Seed(5).stream("density");
        (0..n as u64).map(|at| f64::from(stream.normal(at))).collect()
    }

    #[test]
    fn the_density_of_a_normal_is_its_bell() {
        let axis = Axis::linear(-5.0, 5.0, 5);
        let smoothed = Smoothed::new(&normal(50_000), &axis);
        let worst = smoothed.heights.iter().enumerate().map(|(k, height)| {
            let x = -5.0 + 10.0 * k as f64 / (PLACES - 1) as f64;
            (height - (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()).abs()
        });
        let worst = worst.fold(0.0, f64::max);
        assert!(worst < 0.012, "{worst}");
        let area: f64 = smoothed.heights.iter().sum::<f64>() * 10.0 / (PLACES - 1) as f64;
        assert!((area - 1.0).abs() < 1e-3, "{area}");
    }

    #[test]
    fn the_bandwidth_is_silvermans() {
        // Quartiles 0.75 and 2.25; the deviation, 1.29, is larger than 1.5 / 1.34.
        let bandwidth = silverman(&[0.0, 1.0, 2.0, 3.0]);
        assert!((bandwidth - 0.9 * 1.5 / 1.34 * 4f64.powf(-0.2)).abs() < 1e-12, "{bandwidth}");
        assert_eq!(silverman(&[2.0, 2.0]), 0.0);
    }

    #[test]
    fn what_is_beyond_the_axis_is_counted() {
        let smoothed = Smoothed::new(&[0.5, 0.6, 2.0, f64::INFINITY], &Axis::linear(0.0, 1.0, 5));
        assert_eq!(smoothed.beyond, 0.5);
    }
}
