//! Receiver operating characteristics.

use super::axis::{Axis, short};
use super::canvas::{Anchor, picture, text_width};
use super::panel::{LegendEntry, Panel, Sheet, Swatch, draw_rule};
use super::style::{self, INK, PAPER, SeriesStyle, TICK};
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
}

impl RocSeries {
    /// The curve of these counts.
    #[must_use]
    pub fn new(name: impl Into<String>, counts: &Counts) -> RocSeries {
        RocSeries { name: name.into(), points: counts.roc(), auroc: counts.auroc(), control: false }
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

const FRAME: f64 = 210.0;
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
    let keys = keys(panels);
    if keys.is_empty() {
        return Err(FigureError::Empty { figure: title.to_owned(), what: "curve" });
    }
    let start = crowded(panels).then(|| logarithmic_start(panels));
    let columns = Sheet::columns_for(panels.len());
    let sheet = Sheet {
        columns,
        rows: panels.len().div_ceil(columns),
        frame: (FRAME, FRAME),
        room: [56.0, 24.0, 10.0, 46.0],
        legend: keys
            .iter()
            .map(|&(name, control)| LegendEntry {
                swatch: Swatch::Line(look(&keys, name, control), false),
                name: if control { format!("{name} (control)") } else { name.to_owned() },
            })
            .collect(),
        notes: vec!["OOD positive; numbers: AUROC in percent".to_owned(), axis_note(start)],
    };
    picture(sheet.width(), sheet.height(), |canvas| {
        sheet.draw_surroundings(canvas, title)?;
        for (index, data) in panels.iter().enumerate() {
            let panel = Panel {
                corner: sheet.corner(index),
                size: sheet.frame,
                x: start.map_or_else(|| Axis::linear(0.0, 1.0, 5), |low| Axis::logarithmic(low, 1.0)),
                y: Axis::linear(0.0, 1.0, 5),
            };
            let y_label = if index % columns == 0 { "OOD caught" } else { "" };
            let x_label = if start.is_some() { "ID rejected (log)" } else { "ID rejected" };
            panel.draw_frame(canvas, &data.title, x_label, y_label)?;
            let places = |points: &[(f64, f64)]| match start {
                Some(low) => panel.places(&bent(points, low)),
                None => panel.places(points),
            };
            draw_rule(canvas, &places(&[(0.0, 0.0), (1.0, 1.0)]), false)?;
            let curves: Vec<Vec<(f64, f64)>> = data.series.iter().map(|s| simplified(&places(&s.points))).collect();
            // Later series must not hide the first, which is usually the subject; controls are thin and hide nothing.
            for control in [false, true] {
                for (series, curve) in data.series.iter().zip(&curves).rev().filter(|(s, _)| s.control == control) {
                    let style = look(&keys, &series.name, control);
                    canvas.line(curve, style.colour, style.width, style.dash)?;
                }
            }
            let width = 28.0 + text_width("100.00", TICK);
            let height = 14.0 * data.series.len() as f64;
            let (left, top) = free_place(&panel, &curves, (width, height));
            canvas.rectangle((left - 3.0, top - 2.0), (left + width + 3.0, top + height + 2.0), PAPER, 0.85)?;
            for (line, series) in data.series.iter().enumerate() {
                let style = look(&keys, &series.name, series.control);
                let y = top + 14.0 * line as f64 + 7.0;
                canvas.line(&[(left, y), (left + 22.0, y)], style.colour, style.width, style.dash)?;
                let text = format!("{:.2}", series.auroc * 100.0);
                canvas.text(&text, (left + width, y), TICK, Anchor::End, INK)?;
            }
        }
        Ok(())
    })
}

/// The (name, control) of all panels in order of first appearance, controls last.
fn keys(panels: &[RocPanel]) -> Vec<(&str, bool)> {
    let mut keys: Vec<(&str, bool)> = Vec::new();
    for control in [false, true] {
        for series in panels.iter().flat_map(|panel| &panel.series).filter(|series| series.control == control) {
            let key = (series.name.as_str(), control);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    keys
}

fn look(keys: &[(&str, bool)], name: &str, control: bool) -> SeriesStyle {
    let number = keys.iter().filter(|key| key.1 == control).position(|key| key.0 == name).unwrap_or(0);
    if control { style::control(number) } else { style::series(number) }
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

/// Upper left corner of a box of that size which no curve enters: below the curves where there is room, else above them, else
/// anywhere; where there is no room at all, below.
fn free_place(panel: &Panel, curves: &[Vec<(f64, f64)>], size: (f64, f64)) -> (f64, f64) {
    let ((left, top), (width, height)) = (panel.corner, panel.size);
    let (right, bottom) = (left + width - 8.0 - size.0, top + height - 8.0 - size.1);
    let middle = bottom - 0.35 * height;
    let places = [(right, bottom), (right, middle), (left + 8.0, top + 8.0), (left + 0.3 * width, bottom)];
    let anywhere = (1..=4).flat_map(|row| {
        let y = bottom - f64::from(row) * (bottom - top - 8.0) / 4.0;
        (0..=4).map(move |column| (right - f64::from(column) * (right - left - 8.0) / 4.0, y))
    });
    let mut candidates = places.into_iter().chain(anywhere);
    let free = candidates.find(|&(x, y)| {
        // A box is free when no segment comes near: segments are short steps or long straights, sampled alike.
        curves.iter().flat_map(|curve| curve.windows(2)).all(|ends| {
            (0..=32).all(|k| {
                let t = f64::from(k) / 32.0;
                let px = ends[0].0 + (ends[1].0 - ends[0].0) * t;
                let py = ends[0].1 + (ends[1].1 - ends[0].1) * t;
                px < x - 6.0 || px > x + size.0 + 6.0 || py < y - 4.0 || py > y + size.1 + 4.0
            })
        })
    });
    free.unwrap_or((right, bottom))
}

/// Leaves out points within a third of a pixel of the straight line between their neighbours that stay, so that a curve of a
/// million samples is a few hundred points. (The method of Reumann and Witkam, with a bound on the reach of a straight.)
fn simplified(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    const TOLERANCE: f64 = 0.3;
    let (Some(&first), Some(&last)) = (points.first(), points.last()) else { return Vec::new() };
    let mut kept = vec![first];
    let mut anchor = first;
    let mut between: Vec<(f64, f64)> = Vec::new();
    let mut previous = first;
    for &point in &points[1..] {
        let far = between.iter().any(|&p| distance_to_segment(p, anchor, point) > TOLERANCE);
        if far || between.len() > 256 {
            kept.push(previous);
            anchor = previous;
            between.clear();
        }
        // What lies where the previous point lies adds nothing.
        if (point.0 - previous.0).abs() + (point.1 - previous.1).abs() > 0.05 || between.is_empty() {
            between.push(point);
        }
        previous = point;
    }
    kept.push(last);
    kept.dedup();
    kept
}

fn distance_to_segment(p: (f64, f64), a: (f64, f64), b: (f64, f64)) -> f64 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let square = dx * dx + dy * dy;
    let t = if square > 0.0 { (((p.0 - a.0) * dx + (p.1 - a.1) * dy) / square).clamp(0.0, 1.0) } else { 0.0 };
    (p.0 - a.0 - t * dx).hypot(p.1 - a.1 - t * dy)
}
