//! Receiver operating characteristics.

use super::axis::{Axis, short};
use super::curves::{Curve, CurveFigure, CurvePanel, RATIO_BAND};
use super::{Figure, FigureError};
use crate::metrics::Counts;

/// One curve.
#[derive(Debug, Clone, PartialEq)]
pub struct RocSeries {
    /// Name in the legend; series of one name look alike in every panel.
    pub name: String,
    /// (share of ID rejected, share of OOD caught), from (0, 0) to (1, 1): [`Counts::roc`].
    pub points: Vec<(f64, f64)>,
    /// Area under it, 0..1, printed in the panel.
    pub auroc: f64,
    /// Whether it is a control, which is drawn apart from the scores: [`RocSeries::control`].
    pub control: bool,
    /// Its 95 % band, (share of ID rejected, lower and upper end of the share of OOD caught), shares rising; empty without one.
    pub band: Vec<(f64, f64, f64)>,
}

impl RocSeries {
    /// The curve of these counts.
    #[must_use]
    pub fn new(name: impl Into<String>, counts: &Counts) -> RocSeries {
        RocSeries { name: name.into(), points: counts.roc(), auroc: counts.auroc(), control: false, band: Vec::new() }
    }

    /// The same curve as a control: a thin dark grey line on top of the others, `name (control)` in the legend.
    #[must_use]
    pub fn control(self) -> RocSeries {
        RocSeries { control: true, ..self }
    }
}

/// One panel: the curves of one OOD set.
#[derive(Debug, Clone, PartialEq)]
pub struct RocPanel {
    /// Title, usually the OOD set's name.
    pub title: String,
    /// Its curves.
    pub series: Vec<RocSeries>,
}

/// Above this best AUROC a panel calls for a logarithmic axis.
const LOGARITHMIC_FROM: f64 = 0.98;
/// Where a logarithmic axis may start.
const LEAST_START: f64 = 1e-4;
const GREATEST_START: f64 = 0.05;

/// One panel a set, sharing a legend. OOD is positive: the horizontal axis is the share of ID rejected, the vertical axis the
/// share of OOD caught. The AUROC of each series stands in the panel, in percent, where no curve passes. Controls are drawn
/// last, the first series last among the others.
///
/// Where the best AUROC of most panels exceeds 0.98, curves would hug the upper left corner: the horizontal axis of every
/// panel is then logarithmic. It starts at half of the least share that any curve can resolve (a single ID image), or at
/// 0.0001; that left edge stands for all smaller shares. Label and note say which axis it is.
///
/// # Errors
/// When there is no panel with a curve.
pub fn roc_figure(title: &str, panels: &[RocPanel]) -> Result<Figure, FigureError> {
    let start = crowded(panels).then(|| logarithmic_start(panels));
    let line = |points: &[(f64, f64)]| start.map_or_else(|| points.to_vec(), |low| bent(points, low));
    let mut notes = vec!["OOD positive; numbers: AUROC in percent".to_owned(), axis_note(start)];
    if panels.iter().flat_map(|panel| &panel.series).any(|series| !series.band.is_empty()) {
        notes.push(RATIO_BAND.to_owned());
    }
    let curve = |series: &RocSeries| Curve {
        name: series.name.clone(),
        control: series.control,
        points: line(&series.points),
        band: series.band.iter().copied().filter(|&(x, _, _)| start.is_none_or(|low| x >= low)).collect(),
        area: series.auroc,
    };
    CurveFigure {
        title,
        panels: panels
            .iter()
            .map(|panel| CurvePanel {
                title: &panel.title,
                rule: line(&[(0.0, 0.0), (1.0, 1.0)]),
                curves: panel.series.iter().map(curve).collect(),
            })
            .collect(),
        x: start.map_or_else(|| Axis::linear(0.0, 1.0, 5), |low| Axis::logarithmic(low, 1.0)),
        x_label: if start.is_some() { "ID rejected (log)" } else { "ID rejected" },
        y_label: "OOD caught",
        notes,
    }
    .draw()
}

/// Whether the best curve of most panels hugs the corner.
fn crowded(panels: &[RocPanel]) -> bool {
    let best = |panel: &RocPanel| panel.series.iter().map(|series| series.auroc).max_by(f64::total_cmp);
    let bests: Vec<f64> = panels.iter().filter_map(best).collect();
    2 * bests.iter().filter(|best| **best > LOGARITHMIC_FROM).count() > bests.len()
}

/// Half of the least share of ID rejected that any curve shows, so that even that has a place right of the edge.
fn logarithmic_start(panels: &[RocPanel]) -> f64 {
    let shares = panels.iter().flat_map(|panel| &panel.series).flat_map(|series| &series.points).map(|point| point.0);
    (shares.filter(|share| *share > 0.0).fold(1.0, f64::min) / 2.0).clamp(LEAST_START, GREATEST_START)
}

fn axis_note(start: Option<f64>) -> String {
    match start {
        None => "horizontal axis linear".to_owned(),
        Some(low) => format!("logarithmic axis; left edge: {} or less", short(low)),
    }
}

/// Points of a curve as they go on a logarithmic axis from `low`: smaller shares at its edge, and slanted straights, which
/// are bent there, cut into short ones.
fn bent(points: &[(f64, f64)], low: f64) -> Vec<(f64, f64)> {
    const PIECES: u32 = 64;
    let mut out = Vec::with_capacity(points.len());
    out.extend(points.first().map(|&(x, y)| (x.max(low), y)));
    for ends in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (ends[0], ends[1]);
        let (from, to) = (x0.max(low), x1.max(low));
        if y1 - y0 > 0.005 && to / from > 1.01 {
            for piece in 0..PIECES {
                let x = from * (to / from).powf(f64::from(piece) / f64::from(PIECES));
                out.push((x, y0 + (y1 - y0) * (x - x0) / (x1 - x0)));
            }
        }
        out.push((to, y1));
    }
    out
}
