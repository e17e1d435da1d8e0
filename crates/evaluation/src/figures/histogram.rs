//! Score histograms: in-distribution against out-of-distribution.

use super::axis::Axis;
use super::canvas::{Canvas, picture};
use super::panel::{LegendEntry, Panel, Sheet, Swatch, draw_rule};
use super::style::{CURVE, ID, OOD};
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
/// Bins are as many as the root of the smaller class's size, within these.
const BINS: (f64, f64) = (12.0, 48.0);
/// Share of each class that may lie beyond either end of the axis.
const TAIL: f64 = 0.005;
/// Positive scores that span more than this factor get a logarithmic axis.
const LOGARITHMIC_FROM: f64 = 50.0;

/// One panel a set: histograms of both classes over the same bins, as shares of the class a bin, and the threshold at which
/// 95 % of ID is accepted. The axis covers 0.5 % to 99.5 % of each class; what lies beyond is counted below the figure. Positive
/// scores over a wide range get bins of equal ratio on a logarithmic axis.
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
    let mut binned = panels.iter().map(|panel| Binned::new(panel).ok_or_else(empty)).collect::<Result<Vec<_>, _>>()?;
    let most = binned.iter().map(Binned::share_outside).fold(0.0, f64::max);
    let beyond = if most > 0.0 {
        format!("; up to {:.1} % of a panel's scores lie beyond", most * 100.0)
    } else {
        String::new()
    };
    let entry = |swatch, name: &str| LegendEntry { swatch, name: name.to_owned() };
    let sheet = Sheet {
        columns,
        rows: panels.len().div_ceil(columns),
        frame: if panels.len() == 1 { SINGLE_FRAME } else { FRAME },
        room: [60.0, 24.0, 14.0, 46.0],
        legend: vec![
            entry(Swatch::Fill(ID), "in-distribution"),
            entry(Swatch::Fill(OOD), "out-of-distribution"),
            entry(Swatch::Rule, "95 % of ID accepted"),
        ],
        notes: vec![format!("axes cover 0.5 to 99.5 % of each class{beyond}")],
    };
    picture(sheet.width(), sheet.height(), |canvas| {
        sheet.draw_surroundings(canvas, title)?;
        for (index, (data, panel)) in binned.iter_mut().zip(panels).enumerate() {
            let highest = data.id.iter().chain(&data.ood).copied().fold(0.0, f64::max);
            let frame = Panel {
                corner: sheet.corner(index),
                size: sheet.frame,
                x: data.axis.clone(),
                y: Axis::linear(0.0, highest * 1.06, 5),
            };
            let y_label = if index % columns == 0 { "share of class" } else { "" };
            let x_label = if data.logarithmic { format!("{score} (logarithmic)") } else { score.to_owned() };
            frame.draw_frame(canvas, &panel.title, &x_label, y_label)?;
            draw_bins(canvas, &frame, &data.id, true)?;
            draw_bins(canvas, &frame, &data.ood, false)?;
            let threshold = frame.x.fraction(data.threshold);
            if (0.0..=1.0).contains(&threshold) {
                draw_rule(canvas, &frame.places(&[(data.threshold, 0.0), (data.threshold, highest * 1.06)]), true)?;
            }
        }
        Ok(())
    })
}

struct Binned {
    axis: Axis,
    logarithmic: bool,
    id: Vec<f64>,
    ood: Vec<f64>,
    outside: usize,
    total: usize,
    threshold: f64,
}

impl Binned {
    fn new(panel: &HistogramPanel) -> Option<Binned> {
        let sorted = |values: &[f64]| {
            let mut values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
            values.sort_unstable_by(f64::total_cmp);
            values
        };
        let (id, ood) = (sorted(&panel.id), sorted(&panel.ood));
        if id.is_empty() || ood.is_empty() {
            return None;
        }
        let quantile = |values: &[f64], share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        let low = quantile(&id, TAIL).min(quantile(&ood, TAIL));
        let high = quantile(&id, 1.0 - TAIL).max(quantile(&ood, 1.0 - TAIL));
        let logarithmic = low > 0.0 && high / low > LOGARITHMIC_FROM;
        let axis = if logarithmic { Axis::logarithmic(low, high) } else { Axis::linear(low, high, 5) };
        let bins_wanted = (id.len().min(ood.len()) as f64).sqrt().clamp(BINS.0, BINS.1) as usize;
        let mut outside = panel.id.len() - id.len() + panel.ood.len() - ood.len();
        let mut bins = |values: &[f64], all: usize| {
            let mut counts = vec![0u32; bins_wanted];
            for &value in values {
                if value < axis.low() || value > axis.high() {
                    outside += 1;
                } else {
                    counts[((axis.fraction(value) * bins_wanted as f64) as usize).min(bins_wanted - 1)] += 1;
                }
            }
            counts.into_iter().map(|count| f64::from(count) / all as f64).collect::<Vec<f64>>()
        };
        let (id_bins, ood_bins) = (bins(&id, panel.id.len()), bins(&ood, panel.ood.len()));
        // The first score that 95 % of ID do not exceed.
        let threshold = id[(19 * id.len()).div_ceil(20) - 1];
        let total = panel.id.len() + panel.ood.len();
        Some(Binned { axis, logarithmic, id: id_bins, ood: ood_bins, outside, total, threshold })
    }

    fn share_outside(&self) -> f64 {
        self.outside as f64 / self.total as f64
    }
}

fn draw_bins(canvas: &mut Canvas<'_>, panel: &Panel, shares: &[f64], id: bool) -> Result<(), FigureError> {
    let (colour, dash): (_, &[f64]) = if id { (ID, &[]) } else { (OOD, &[5.0, 1.5]) };
    let mut outline = Vec::with_capacity(2 * shares.len() + 2);
    outline.push((panel.x.value(0.0), 0.0));
    for (bin, &share) in shares.iter().enumerate() {
        let edge = |k: usize| panel.x.value(k as f64 / shares.len() as f64);
        outline.push((edge(bin), share));
        outline.push((edge(bin + 1), share));
    }
    outline.push((panel.x.value(1.0), 0.0));
    let places = panel.places(&outline);
    canvas.polygon(&places, colour, 0.3)?;
    canvas.line(&places, colour, 0.7 * CURVE, dash)
}
