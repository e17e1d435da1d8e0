//! A frame with axes, and what figures of several panels share: their grid, title and legend.

use super::FigureError;
use super::axis::Axis;
use super::canvas::{Anchor, Canvas, text_width};
use super::style::{self, FAINT, GRID, HAIR, INK, LABEL, SeriesStyle, TICK, TITLE};

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
        for (value, label) in &self.x.ticks {
            let x = left + self.x.fraction(*value) * width;
            canvas.line(&[(x, top), (x, bottom)], GRID, HAIR * 0.7, &[])?;
            canvas.line(&[(x, bottom), (x, bottom + 4.0)], INK, HAIR, &[])?;
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
            canvas.text(label, (left - 7.0, y), TICK, Anchor::End, INK)?;
            widest = widest.max(text_width(label, TICK));
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
            canvas.text(x_label, (left + width / 2.0, bottom + 30.0), LABEL, Anchor::Middle, INK)?;
        }
        if !y_label.is_empty() {
            canvas.upward_text(y_label, (left - 7.0 - widest - 14.0, top + height / 2.0), LABEL)?;
        }
        Ok(())
    }

    /// The parts of a line that lie within the frame, in pixels.
    pub fn places(&self, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        points.iter().map(|&point| self.place(point)).collect()
    }
}

/// A text cut to a width, with an ellipsis where it was cut.
pub(super) fn fitted(text: &str, width: f64, size: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if text_width(&short, size) + size * 0.8 > width {
            break;
        }
    }
    short.pop();
    format!("{}…", short.trim_end())
}

/// How panels are laid out: a grid, a title above, a legend below.
pub(super) struct Sheet {
    pub columns: usize,
    pub rows: usize,
    /// Size of a panel's frame.
    pub frame: (f64, f64),
    /// Room of a panel around its frame: left, top, right, bottom.
    pub room: [f64; 4],
    pub legend: Vec<LegendEntry>,
    /// Lines of small print below the legend.
    pub notes: Vec<String>,
}

/// What a legend shows before a name.
pub(super) enum Swatch {
    Line(SeriesStyle, bool),
    Fill(plotters::style::RGBColor),
    Rule,
}

pub(super) struct LegendEntry {
    pub swatch: Swatch,
    pub name: String,
}

const SWATCH: f64 = 30.0;
const LINE: f64 = 18.0;
const EDGE: f64 = 12.0;
const HEAD: f64 = 34.0;

impl Sheet {
    /// Columns for so many panels: up to three, four where that saves a row.
    pub fn columns_for(panels: usize) -> usize {
        match panels {
            0..=3 => panels.max(1),
            4 => 2,
            5 | 6 | 9 => 3,
            _ => 4,
        }
    }

    fn pitch(&self) -> (f64, f64) {
        let [left, top, right, bottom] = self.room;
        (left + self.frame.0 + right, top + self.frame.1 + bottom)
    }

    pub fn width(&self) -> f64 {
        self.pitch().0 * self.columns as f64 + 2.0 * EDGE
    }

    pub fn height(&self) -> f64 {
        let below = self.legend_rows().len() as f64 * LINE + self.notes.len() as f64 * 15.0;
        HEAD + self.pitch().1 * self.rows as f64 + below + EDGE
    }

    /// Corner of the frame of that panel.
    pub fn corner(&self, panel: usize) -> (f64, f64) {
        let (column, row) = (panel % self.columns, panel / self.columns);
        (EDGE + self.pitch().0 * column as f64 + self.room[0], HEAD + self.pitch().1 * row as f64 + self.room[1])
    }

    /// Entries by row, as many to a row as fit.
    fn legend_rows(&self) -> Vec<Vec<&LegendEntry>> {
        let mut rows: Vec<Vec<&LegendEntry>> = Vec::new();
        let mut used = f64::INFINITY;
        for entry in &self.legend {
            let width = entry_width(entry);
            if used + width > self.width() - 2.0 * EDGE {
                rows.push(Vec::new());
                used = 0.0;
            }
            used += width;
            if let Some(row) = rows.last_mut() {
                row.push(entry);
            }
        }
        rows
    }

    /// Draws title, legend and notes.
    pub fn draw_surroundings(&self, canvas: &mut Canvas<'_>, title: &str) -> Result<(), FigureError> {
        let middle = self.width() / 2.0;
        canvas.text(
            &fitted(title, self.width() - 2.0 * EDGE, TITLE),
            (middle, HEAD / 2.0 + 2.0),
            TITLE,
            Anchor::Middle,
            INK,
        )?;
        let mut y = HEAD + self.pitch().1 * self.rows as f64 + LINE / 2.0;
        for row in self.legend_rows() {
            let width: f64 = row.iter().map(|entry| entry_width(entry)).sum::<f64>() - GAP;
            let mut x = middle - width / 2.0;
            for entry in row {
                let (from, to) = ((x, y), (x + SWATCH, y));
                match entry.swatch {
                    Swatch::Line(series, marked) => {
                        canvas.line(&[from, to], series.colour, series.width, series.dash)?;
                        if marked {
                            canvas.marker((x + SWATCH / 2.0, y), series)?;
                        }
                    }
                    Swatch::Fill(colour) => {
                        canvas.rectangle((x + 4.0, y - 5.0), (x + SWATCH, y + 5.0), colour, 0.35)?;
                        canvas.line(&[(x + 4.0, y - 5.0), (x + SWATCH, y - 5.0)], colour, style::CURVE, &[])?;
                    }
                    Swatch::Rule => canvas.line(&[from, to], INK, HAIR, RULE)?,
                }
                canvas.text(&entry.name, (x + SWATCH + 6.0, y), LABEL, Anchor::Start, INK)?;
                x += entry_width(entry);
            }
            y += LINE;
        }
        for note in &self.notes {
            canvas.text(&fitted(note, self.width() - EDGE, TICK), (middle, y), TICK, Anchor::Middle, FAINT_INK)?;
            y += 15.0;
        }
        Ok(())
    }
}

/// Dash of thresholds and diagonals.
pub(super) const RULE: &[f64] = &[3.0, 3.0];
const FAINT_INK: plotters::style::RGBColor = plotters::style::RGBColor(0x55, 0x55, 0x55);
const GAP: f64 = 18.0;

fn entry_width(entry: &LegendEntry) -> f64 {
    SWATCH + 6.0 + text_width(&entry.name, LABEL) + GAP
}

/// A faint diagonal or threshold.
pub(super) fn draw_rule(canvas: &mut Canvas<'_>, points: &[(f64, f64)], strong: bool) -> Result<(), FigureError> {
    canvas.line(points, if strong { INK } else { FAINT }, HAIR, RULE)
}
