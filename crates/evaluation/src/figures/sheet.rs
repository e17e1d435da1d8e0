//! What figures of several panels share: their grid, title and legend.

use super::FigureError;
use super::canvas::{Anchor, Canvas};
use super::panel::RULE;
use super::style::{self, Fill, HAIR, INK, LABEL, NOTE_INK, SeriesStyle, TICK, TITLE};
use super::text::{fitted, text_width, wrapped};

/// How panels are laid out: a grid, a title above, a legend below.
pub(super) struct Sheet {
    pub title: String,
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
    /// An area and its opacity.
    Fill(plotters::style::RGBColor, f64),
    Rule,
    /// A marker alone.
    Marker(SeriesStyle),
    /// A bar.
    Bar(Fill),
    /// Nothing: the name is of the entries that follow.
    None,
}

pub(super) struct LegendEntry {
    pub swatch: Swatch,
    pub name: String,
}

impl LegendEntry {
    /// Room of the swatch before the name.
    fn indent(&self) -> f64 {
        if matches!(self.swatch, Swatch::None) { 0.0 } else { SWATCH + 6.0 }
    }
}

const SWATCH: f64 = 30.0;
const LINE: f64 = 18.0;
const EDGE: f64 = 12.0;
const HEAD: f64 = 34.0;
const TITLE_LINE: f64 = 18.0;
const NOTE_LINE: f64 = 15.0;
const GAP: f64 = 18.0;
/// Lines of a title, or of a note, at most.
const MOST_LINES: usize = 3;

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

    /// Width that text may take.
    fn text_width(&self) -> f64 {
        self.width() - 2.0 * EDGE
    }

    fn title_lines(&self) -> Vec<String> {
        wrapped(&self.title, self.text_width(), TITLE, MOST_LINES)
    }

    fn note_lines(&self) -> Vec<String> {
        self.notes
            .iter()
            .flat_map(|note| note.split('\n'))
            .flat_map(|note| wrapped(note, self.text_width(), TICK, MOST_LINES))
            .collect()
    }

    fn head(&self) -> f64 {
        HEAD + TITLE_LINE * self.title_lines().len().saturating_sub(1) as f64
    }

    pub fn height(&self) -> f64 {
        let below = self.legend_rows().len() as f64 * LINE + self.note_lines().len() as f64 * NOTE_LINE;
        self.head() + self.pitch().1 * self.rows as f64 + below + EDGE
    }

    /// Corner of the frame of that panel.
    pub fn corner(&self, panel: usize) -> (f64, f64) {
        let (column, row) = (panel % self.columns, panel / self.columns);
        (EDGE + self.pitch().0 * column as f64 + self.room[0], self.head() + self.pitch().1 * row as f64 + self.room[1])
    }

    /// Entries by row, as many to a row as fit.
    fn legend_rows(&self) -> Vec<Vec<&LegendEntry>> {
        let mut rows: Vec<Vec<&LegendEntry>> = Vec::new();
        let mut used = f64::INFINITY;
        for entry in &self.legend {
            let width = self.entry_width(entry);
            if used + width > self.text_width() + GAP {
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
    pub fn draw_surroundings(&self, canvas: &mut Canvas<'_>) -> Result<(), FigureError> {
        let middle = self.width() / 2.0;
        for (number, line) in self.title_lines().iter().enumerate() {
            let y = HEAD / 2.0 + 2.0 + TITLE_LINE * number as f64;
            canvas.text(line, (middle, y), TITLE, Anchor::Middle, INK)?;
        }
        let mut y = self.head() + self.pitch().1 * self.rows as f64 + LINE / 2.0;
        for row in self.legend_rows() {
            let width: f64 = row.iter().map(|entry| self.entry_width(entry)).sum::<f64>() - GAP;
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
                    Swatch::Fill(colour, opacity) => {
                        canvas.rectangle((x + 4.0, y - 5.0), (x + SWATCH, y + 5.0), colour, opacity)?;
                        canvas.line(&[(x + 4.0, y - 5.0), (x + SWATCH, y - 5.0)], colour, style::CURVE, &[])?;
                    }
                    Swatch::Rule => canvas.line(&[from, to], INK, HAIR, RULE)?,
                    Swatch::Marker(series) => canvas.marker((x + SWATCH - 8.0, y), series)?,
                    Swatch::None => {}
                    Swatch::Bar(fill) => canvas.bar((x + 8.0, y - 6.0), (x + SWATCH, y + 6.0), fill)?,
                }
                canvas.text(&self.entry_name(entry), (x + entry.indent(), y), LABEL, Anchor::Start, INK)?;
                x += self.entry_width(entry);
            }
            y += LINE;
        }
        for note in self.note_lines() {
            canvas.text(&note, (middle, y), TICK, Anchor::Middle, NOTE_INK)?;
            y += NOTE_LINE;
        }
        Ok(())
    }

    fn entry_name(&self, entry: &LegendEntry) -> String {
        fitted(&entry.name, self.text_width() - entry.indent(), LABEL)
    }

    fn entry_width(&self, entry: &LegendEntry) -> f64 {
        entry.indent() + text_width(&self.entry_name(entry), LABEL) + GAP
    }
}
