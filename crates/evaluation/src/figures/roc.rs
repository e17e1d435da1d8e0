//! Receiver operating characteristics.

use super::axis::Axis;
use super::canvas::{Anchor, picture, text_width};
use super::panel::{LegendEntry, Panel, Sheet, Swatch, draw_rule};
use super::style::{self, CURVE, INK, PAPER, TICK};
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
}

impl RocSeries {
    /// The curve of these counts.
    #[must_use]
    pub fn new(name: impl Into<String>, counts: &Counts) -> RocSeries {
        RocSeries { name: name.into(), points: counts.roc(), auroc: counts.auroc() }
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

/// One panel a set, sharing a legend. OOD is positive: the horizontal axis is the share of ID rejected, the vertical axis the
/// share of OOD caught. The AUROC of each series stands in the panel, in percent, where no curve passes.
///
/// # Errors
/// When there is no panel with a curve.
pub fn roc_figure(title: &str, panels: &[RocPanel]) -> Result<Figure, FigureError> {
    let mut names: Vec<&str> = Vec::new();
    for series in panels.iter().flat_map(|panel| &panel.series) {
        if !names.contains(&series.name.as_str()) {
            names.push(&series.name);
        }
    }
    if names.is_empty() {
        return Err(FigureError::Empty { figure: title.to_owned(), what: "curve" });
    }
    let number = |name: &str| names.iter().position(|known| *known == name).unwrap_or(0);
    let columns = Sheet::columns_for(panels.len());
    let sheet = Sheet {
        columns,
        rows: panels.len().div_ceil(columns),
        frame: (FRAME, FRAME),
        room: [56.0, 24.0, 10.0, 46.0],
        legend: names
            .iter()
            .enumerate()
            .map(|(i, name)| LegendEntry { swatch: Swatch::Line(style::series(i), false), name: (*name).to_owned() })
            .collect(),
        notes: vec!["OOD positive; numbers: AUROC in percent".to_owned()],
    };
    picture(sheet.width(), sheet.height(), |canvas| {
        sheet.draw_surroundings(canvas, title)?;
        for (index, data) in panels.iter().enumerate() {
            let panel = Panel {
                corner: sheet.corner(index),
                size: sheet.frame,
                x: Axis::linear(0.0, 1.0, 5),
                y: Axis::linear(0.0, 1.0, 5),
            };
            let y_label = if index % columns == 0 { "OOD caught" } else { "" };
            panel.draw_frame(canvas, &data.title, "ID rejected", y_label)?;
            draw_rule(canvas, &panel.places(&[(0.0, 0.0), (1.0, 1.0)]), false)?;
            let curves: Vec<Vec<(f64, f64)>> =
                data.series.iter().map(|s| simplified(&panel.places(&s.points))).collect();
            // Later series must not hide the first, which is usually the subject.
            for (series, curve) in data.series.iter().zip(&curves).rev() {
                let style = style::series(number(&series.name));
                canvas.line(curve, style.colour, CURVE, style.dash)?;
            }
            let width = 28.0 + text_width("100.00", TICK);
            let height = 14.0 * data.series.len() as f64;
            if let Some((left, top)) = free_place(&panel, &curves, (width, height)) {
                canvas.rectangle((left - 3.0, top - 2.0), (left + width + 3.0, top + height + 2.0), PAPER, 0.85)?;
                for (line, series) in data.series.iter().enumerate() {
                    let style = style::series(number(&series.name));
                    let y = top + 14.0 * line as f64 + 7.0;
                    canvas.line(&[(left, y), (left + 22.0, y)], style.colour, CURVE, style.dash)?;
                    let text = format!("{:.2}", series.auroc * 100.0);
                    canvas.text(&text, (left + width, y), TICK, Anchor::End, INK)?;
                }
            }
        }
        Ok(())
    })
}

/// Upper left corner of a box of that size which no curve enters: below the curves where there is room, else above them.
fn free_place(panel: &Panel, curves: &[Vec<(f64, f64)>], size: (f64, f64)) -> Option<(f64, f64)> {
    let ((left, top), (width, height)) = (panel.corner, panel.size);
    let (right, bottom) = (left + width - 8.0 - size.0, top + height - 8.0 - size.1);
    let middle = bottom - 0.35 * height;
    let places = [(right, bottom), (right, middle), (left + 8.0, top + 8.0), (left + 0.3 * width, bottom)];
    places.into_iter().find(|&(x, y)| {
        // A box is free when no segment comes near: segments are short steps or long straights, sampled alike.
        curves.iter().flat_map(|curve| curve.windows(2)).all(|ends| {
            (0..=32).all(|k| {
                let t = f64::from(k) / 32.0;
                let px = ends[0].0 + (ends[1].0 - ends[0].0) * t;
                let py = ends[0].1 + (ends[1].1 - ends[0].1) * t;
                px < x - 6.0 || px > x + size.0 + 6.0 || py < y - 4.0 || py > y + size.1 + 4.0
            })
        })
    })
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
