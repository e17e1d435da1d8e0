//! A frame with axes.

use super::FigureError;
use super::axis::{Axis, LONGEST_NAME};
use super::canvas::{Anchor, Canvas};
use super::style::{FAINT, GRID, HAIR, INK, LABEL, TICK};
use super::text::{fitted, text_width};

/// A frame with axes; places within it are given in the axes' values.
pub(super) struct Panel {
    /// Upper left corner of the frame.
    pub corner: (f64, f64),
    pub size: (f64, f64),
    pub x: Axis,
    pub y: Axis,
}

impl Panel {
    /// Where a point lies, in pixels.
    pub fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.corner.0 + self.x.fraction(x) * self.size.0, self.corner.1 + (1.0 - self.y.fraction(y)) * self.size.1)
    }

    /// Draws grid, frame, ticks, title and axis labels; `title`, `x_label` and `y_label` may be empty.
    pub fn draw_frame(
        &self,
        canvas: &mut Canvas<'_>,
        title: &str,
        x_label: &str,
        y_label: &str,
    ) -> Result<(), FigureError> {
        let ((left, top), (width, height)) = (self.corner, self.size);
        let (right, bottom) = (left + width, top + height);
        let mut free = f64::NEG_INFINITY;
        let drop = self.x.drop(width);
        for (value, label) in &self.x.ticks {
            let x = left + self.x.fraction(*value) * width;
            canvas.line(&[(x, top), (x, bottom)], GRID, HAIR * 0.7, &[])?;
            canvas.line(&[(x, bottom), (x, bottom + 4.0)], INK, HAIR, &[])?;
            if drop > 0.0 {
                canvas.slanted_text(&fitted(label, LONGEST_NAME, TICK), (x + 3.0, bottom + 9.0), TICK)?;
                continue;
            }
            // A label that would touch the one before is left out.
            let half = text_width(label, TICK) / 2.0;
            if x - half > free + 4.0 {
                canvas.text(label, (x, bottom + 12.0), TICK, Anchor::Middle, INK)?;
                free = x + half;
            }
        }
        let mut widest: f64 = 0.0;
        for (value, label) in &self.y.ticks {
            let y = bottom - self.y.fraction(*value) * height;
            canvas.line(&[(left, y), (right, y)], GRID, HAIR * 0.7, &[])?;
            canvas.line(&[(left - 4.0, y), (left, y)], INK, HAIR, &[])?;
            let label = fitted(label, LONGEST_NAME, TICK);
            canvas.text(&label, (left - 7.0, y), TICK, Anchor::End, INK)?;
            widest = widest.max(text_width(&label, TICK));
        }
        let frame = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
        canvas.line(&frame, INK, HAIR, &[])?;
        if !title.is_empty() {
            canvas.text(
                &fitted(title, width + 30.0, LABEL),
                (left + width / 2.0, top - 11.0),
                LABEL,
                Anchor::Middle,
                INK,
            )?;
        }
        if !x_label.is_empty() {
            let label = fitted(x_label, width + 40.0, LABEL);
            canvas.text(&label, (left + width / 2.0, bottom + 30.0 + drop), LABEL, Anchor::Middle, INK)?;
        }
        if !y_label.is_empty() {
            canvas.upward_text(
                &fitted(y_label, height + 50.0, LABEL),
                (left - 7.0 - widest - 14.0, top + height / 2.0),
                LABEL,
            )?;
        }
        Ok(())
    }

    /// The parts of a line that lie within the frame, in pixels.
    pub fn places(&self, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        points.iter().map(|&point| self.place(point)).collect()
    }
}

/// Dash of thresholds and diagonals.
pub(super) const RULE: &[f64] = &[3.0, 3.0];

/// A faint diagonal or threshold.
pub(super) fn draw_rule(canvas: &mut Canvas<'_>, points: &[(f64, f64)], strong: bool) -> Result<(), FigureError> {
    canvas.line(points, if strong { INK } else { FAINT }, HAIR, RULE)
}
