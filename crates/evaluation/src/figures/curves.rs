//! Panels of curves over two shares, with the area of each in the panel: what ROC and PR figures have in common.

use super::axis::Axis;
use super::canvas::{Anchor, picture};
use super::panel::{Panel, draw_rule};
use super::sheet::{LegendEntry, Sheet, Swatch};
use super::style::{self, INK, PAPER, SeriesStyle, TICK};
use super::text::text_width;
use super::{Figure, FigureError};

/// Small print for bands.
pub(super) const RATIO_BAND: &str = "bands: pointwise 95 %, 400 stratified bootstrap replicates";

const FRAME: f64 = 210.0;

/// A figure of panels that share their axes and a legend.
pub(super) struct CurveFigure<'a> {
    pub title: &'a str,
    pub panels: Vec<CurvePanel<'a>>,
    pub x: Axis,
    pub x_label: &'a str,
    pub y_label: &'a str,
    pub notes: Vec<String>,
}

pub(super) struct CurvePanel<'a> {
    pub title: &'a str,
    /// What chance gives.
    pub rule: Vec<(f64, f64)>,
    pub curves: Vec<Curve>,
}

pub(super) struct Curve {
    pub name: String,
    pub control: bool,
    /// As they go on the axis.
    pub points: Vec<(f64, f64)>,
    /// (x, low, high), x rising.
    pub band: Vec<(f64, f64, f64)>,
    /// 0..1, written in percent.
    pub area: f64,
}

impl CurveFigure<'_> {
    pub fn draw(&self) -> Result<Figure, FigureError> {
        let keys = self.keys();
        if keys.is_empty() {
            return Err(FigureError::Empty { figure: self.title.to_owned(), what: "curve" });
        }
        let columns = Sheet::columns_for(self.panels.len());
        let sheet = Sheet {
            title: self.title.to_owned(),
            columns,
            rows: self.panels.len().div_ceil(columns),
            frame: (FRAME, FRAME),
            room: [56.0, 24.0, 10.0, 46.0],
            legend: keys
                .iter()
                .map(|&(name, control)| LegendEntry {
                    swatch: Swatch::Line(look(&keys, name, control), false),
                    name: if control { format!("{name} (control)") } else { name.to_owned() },
                })
                .collect(),
            notes: self.notes.clone(),
        };
        picture(sheet.width(), sheet.height(), |canvas| {
            sheet.draw_surroundings(canvas)?;
            for (index, data) in self.panels.iter().enumerate() {
                let panel = Panel {
                    corner: sheet.corner(index),
                    size: sheet.frame,
                    x: self.x.clone(),
                    y: Axis::linear(0.0, 1.0, 5),
                };
                let y_label = if index % columns == 0 { self.y_label } else { "" };
                panel.draw_frame(canvas, data.title, self.x_label, y_label)?;
                draw_rule(canvas, &panel.places(&data.rule), false)?;
                for curve in data.curves.iter().rev().filter(|curve| !curve.band.is_empty()) {
                    let upper = curve.band.iter().map(|&(x, _, high)| (x, high));
                    let lower = curve.band.iter().rev().map(|&(x, low, _)| (x, low));
                    let outline: Vec<(f64, f64)> = upper.chain(lower).collect();
                    canvas.polygon(&panel.places(&outline), look(&keys, &curve.name, curve.control).colour, 0.18)?;
                }
                let lines: Vec<Vec<(f64, f64)>> =
                    data.curves.iter().map(|curve| simplified(&panel.places(&curve.points))).collect();
                // Later series must not hide the first, which is usually the subject; controls are thin and hide nothing.
                for control in [false, true] {
                    for (curve, line) in data.curves.iter().zip(&lines).rev().filter(|(c, _)| c.control == control) {
                        let style = look(&keys, &curve.name, control);
                        canvas.line(line, style.colour, style.width, style.dash)?;
                    }
                }
                let width = 28.0 + text_width("100.00", TICK);
                let height = 14.0 * data.curves.len() as f64;
                let (left, top) = free_place(&panel, &lines, (width, height));
                canvas.rectangle((left - 3.0, top - 2.0), (left + width + 3.0, top + height + 2.0), PAPER, 0.85)?;
                for (line, curve) in data.curves.iter().enumerate() {
                    let style = look(&keys, &curve.name, curve.control);
                    let y = top + 14.0 * line as f64 + 7.0;
                    canvas.line(&[(left, y), (left + 22.0, y)], style.colour, style.width, style.dash)?;
                    let text = format!("{:.2}", curve.area * 100.0);
                    canvas.text(&text, (left + width, y), TICK, Anchor::End, INK)?;
                }
            }
            Ok(())
        })
    }

    /// The (name, control) of all panels in order of first appearance, controls last.
    fn keys(&self) -> Vec<(&str, bool)> {
        let mut keys: Vec<(&str, bool)> = Vec::new();
        for control in [false, true] {
            for curve in self.panels.iter().flat_map(|panel| &panel.curves).filter(|curve| curve.control == control) {
                let key = (curve.name.as_str(), control);
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        keys
    }
}

fn look(keys: &[(&str, bool)], name: &str, control: bool) -> SeriesStyle {
    let number = keys.iter().filter(|key| key.1 == control).position(|key| key.0 == name).unwrap_or(0);
    if control { style::control(number) } else { style::series(number) }
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
