//! Score histograms: in-distribution against out-of-distribution.

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, picture};
use super::histogram_range::{Extent, axes};
use super::panel::{Panel, draw_rule};
use super::sheet::{LegendEntry, Sheet, Swatch};
use super::style::{CURVE, ID, INK, OOD, PAPER, TICK};
use super::text::text_width;
use super::{Figure, FigureError};

/// One panel: the scores of both classes.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramPanel {
    /// Title, usually the OOD set's name.
    pub title: String,
    /// In-distribution scores, higher = more out-of-distribution.
    pub id: Vec<f64>,
    /// Out-of-distribution scores.
    pub ood: Vec<f64>,
}

/// Size of a panel's frame, and of the frame of a panel that is alone.
const FRAME: (f64, f64) = (250.0, 160.0);
const SINGLE_FRAME: (f64, f64) = (400.0, 230.0);
/// Bins over the axis.
const BINS: usize = 48;
/// Width of the place beyond an end of the axis, in bins: a gap of half a bin, and one bin for all that lies there.
const BEYOND: f64 = 1.5;
/// Share of each class that may lie beyond either end of the axis before it is cut for the sake of ID.
pub(super) const TAIL: f64 = 0.005;

/// One panel a set: histograms of both classes over the same 48 bins, as shares of the class a bin, and the threshold at which
/// 95 % of ID is accepted.
///
/// The axis covers 0.5 % to 99.5 % of each class, but no more than four times that range of ID, so that a far set cannot squeeze
/// ID into a few bins; it is the same in every panel where each panel's ID then still fills a quarter of it, as it does for one
/// ID set. What lies beyond stands in one bin apart at that edge, infinite scores included; where its share is higher than the
/// panel the bar is cut and the share written beside it. The note gives the largest shares. Positive scores over a wide range
/// get bins of equal ratio on a logarithmic axis.
///
/// # Errors
/// When a panel has no finite score of a class, or there is no panel.
pub fn histogram_figure(title: &str, score: &str, panels: &[HistogramPanel]) -> Result<Figure, FigureError> {
    let empty = || FigureError::Empty { figure: title.to_owned(), what: "set of scores" };
    let columns = match panels.len() {
        0 => return Err(empty()),
        1..=3 => panels.len(),
        4 => 2,
        _ => 3,
    };
    let extent = |values: &[f64]| Extent::of(values).ok_or_else(empty);
    let extents = panels
        .iter()
        .map(|panel| Ok((extent(&panel.id)?, extent(&panel.ood)?)))
        .collect::<Result<Vec<_>, FigureError>>()?;
    let axes = axes(&extents);
    let binned: Vec<[Binned; 2]> = panels
        .iter()
        .zip(&axes.of_panels)
        .map(|(panel, axis)| [Binned::new(&panel.id, axis), Binned::new(&panel.ood, axis)])
        .collect();
    let beyond = [0, 1].map(|class| binned.iter().map(|panel| panel[class].beyond()).fold(0.0, f64::max) * 100.0);
    let mut notes = vec![format!(
        "{BINS} bins, {}; 0.5 to 99.5 % of ID fill a quarter or more",
        if panels.len() == 1 {
            "one axis"
        } else if axes.common {
            "the same axis in every panel"
        } else {
            "an axis for each panel"
        }
    )];
    if beyond.iter().any(|share| *share > 0.0) {
        let [id, ood] = beyond;
        notes.push(format!("beyond the axis, drawn apart at its edge: up to {id:.1} % of ID, {ood:.1} % of OOD"));
    }
    let entry = |swatch, name: &str| LegendEntry { swatch, name: name.to_owned() };
    let sheet = Sheet {
        title: title.to_owned(),
        columns,
        rows: panels.len().div_ceil(columns),
        frame: if panels.len() == 1 { SINGLE_FRAME } else { FRAME },
        room: [60.0, 24.0, 14.0, 46.0],
        legend: vec![
            entry(Swatch::Fill(ID, 0.35), "in-distribution"),
            entry(Swatch::Fill(OOD, 0.35), "out-of-distribution"),
            entry(Swatch::Rule, "95 % of ID accepted"),
        ],
        notes,
    };
    // Panels of one axis keep one place, so each leaves room where any needs it.
    let sides = [0, 1].map(|side| binned.iter().flatten().any(|class| class.outside[side] > 0.0));
    picture(sheet.width(), sheet.height(), |canvas| {
        sheet.draw_surroundings(canvas)?;
        for (index, ((classes, axis), panel)) in binned.iter().zip(&axes.of_panels).zip(panels).enumerate() {
            let highest = classes.iter().flat_map(|class| &class.bins).copied().fold(0.0, f64::max);
            // All of both classes beyond: nothing but those bars gives the height.
            let highest = if highest > 0.0 { highest * 1.06 } else { 1.0 };
            let frame = Panel {
                corner: sheet.corner(index),
                size: sheet.frame,
                x: with_room(axis, sides),
                y: Axis::linear(0.0, highest, 5),
            };
            let y_label = if index % columns == 0 { "share of class" } else { "" };
            let x_label = if axis.is_logarithmic() { format!("{score} (logarithmic)") } else { score.to_owned() };
            frame.draw_frame(canvas, &panel.title, &x_label, y_label)?;
            for (side, end) in [axis.low(), axis.high()].into_iter().enumerate().filter(|(side, _)| sides[*side]) {
                draw_rule(canvas, &frame.places(&[(end, 0.0), (end, highest)]), false)?;
                draw_beyond(canvas, &frame, axis, classes, side)?;
            }
            draw_bins(canvas, &frame, axis, &classes[0].bins, true)?;
            draw_bins(canvas, &frame, axis, &classes[1].bins, false)?;
            let threshold = threshold(&panel.id);
            if (0.0..=1.0).contains(&axis.fraction(threshold)) {
                draw_rule(canvas, &frame.places(&[(threshold, 0.0), (threshold, highest)]), true)?;
            }
        }
        Ok(())
    })
}

/// One class of a panel: shares of all its scores.
struct Binned {
    bins: Vec<f64>,
    /// Below and above the axis.
    outside: [f64; 2],
}

impl Binned {
    fn new(values: &[f64], axis: &Axis) -> Binned {
        let (mut bins, mut outside) = ([0u32; BINS], [0u32; 2]);
        for &value in values {
            if value < axis.low() {
                outside[0] += 1;
            } else if value > axis.high() {
                outside[1] += 1;
            } else if !value.is_nan() {
                bins[((axis.fraction(value) * BINS as f64) as usize).min(BINS - 1)] += 1;
            }
        }
        let share = |count: u32| f64::from(count) / values.len() as f64;
        Binned { bins: bins.map(share).to_vec(), outside: outside.map(share) }
    }

    fn beyond(&self) -> f64 {
        self.outside[0] + self.outside[1]
    }
}

/// The first score that 95 % of ID do not exceed; NaN without a score.
pub(super) fn threshold(id: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = id.iter().copied().filter(|value| !value.is_nan()).collect();
    let rank = (19 * sorted.len()).div_ceil(20).saturating_sub(1);
    if sorted.is_empty() { f64::NAN } else { *sorted.select_nth_unstable_by(rank, f64::total_cmp).1 }
}

/// The axis with places beyond its ends for the bins of what lies there; ticks stay within.
fn with_room(axis: &Axis, sides: [bool; 2]) -> Axis {
    let [low, high] = [-BEYOND / BINS as f64, 1.0 + BEYOND / BINS as f64];
    let end = |wanted: bool, fraction: f64, own: f64| {
        let value = axis.value(fraction);
        if wanted && value.is_finite() { value } else { own }
    };
    axis.stretched(end(sides[0], low, axis.low()), end(sides[1], high, axis.high()))
}

fn look(id: bool) -> (plotters::style::RGBColor, &'static [f64]) {
    if id { (ID, &[]) } else { (OOD, &[5.0, 1.5]) }
}

fn draw_bins(canvas: &mut Canvas<'_>, panel: &Panel, axis: &Axis, shares: &[f64], id: bool) -> Result<(), FigureError> {
    let (colour, dash) = look(id);
    let edge = |k: usize| axis.value(k as f64 / shares.len() as f64);
    let mut outline = Vec::with_capacity(2 * shares.len() + 2);
    outline.push((edge(0), 0.0));
    for (bin, &share) in shares.iter().enumerate() {
        outline.push((edge(bin), share));
        outline.push((edge(bin + 1), share));
    }
    outline.push((edge(shares.len()), 0.0));
    let places = panel.places(&outline);
    canvas.polygon(&places, colour, 0.3)?;
    canvas.line(&places, colour, 0.7 * CURVE, dash)
}

/// The bars of what lies beyond one end of the axis, cut at the frame.
fn draw_beyond(
    canvas: &mut Canvas<'_>,
    panel: &Panel,
    axis: &Axis,
    classes: &[Binned; 2],
    side: usize,
) -> Result<(), FigureError> {
    let bin = panel.size.0 / BINS as f64;
    let (inner, outer) = if side == 0 {
        let edge = panel.place((axis.low(), 0.0)).0;
        (panel.corner.0 + (edge - panel.corner.0) / BEYOND, panel.corner.0)
    } else {
        let (edge, end) = (panel.place((axis.high(), 0.0)).0, panel.corner.0 + panel.size.0);
        (end - (end - edge) / BEYOND, end)
    };
    let bottom = panel.corner.1 + panel.size.1;
    let mut line = panel.corner.1 + 10.0;
    for (class, id) in classes.iter().zip([true, false]) {
        let share = class.outside[side];
        if share == 0.0 {
            continue;
        }
        let (colour, dash) = look(id);
        let cut = share > panel.y.high();
        let top = panel.place((axis.low(), share.min(panel.y.high()))).1;
        let places = [(inner, bottom), (inner, top), (outer, top), (outer, bottom)];
        canvas.polygon(&places, colour, 0.3)?;
        canvas.line(&places, colour, 0.7 * CURVE, dash)?;
        if cut {
            let text = format!("{:.0} %", share * 100.0);
            let width = text_width(&text, TICK);
            let start = if side == 0 { inner + bin } else { inner - bin - width };
            canvas.rectangle((start - 2.0, line - 7.0), (start + width + 2.0, line + 7.0), PAPER, 0.85)?;
            canvas.text(&text, (start, line), TICK, Anchor::Start, INK)?;
            line += 14.0;
        }
    }
    Ok(())
}
