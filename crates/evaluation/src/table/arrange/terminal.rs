//! An arranged table in plain aligned columns.

use std::fmt::Write as _;

use super::Arranged;
use super::text::Markup;

const MARKUP: Markup =
    Markup { best: ["", "*"], second: ["", "'"], plus_minus: " ± ", minus: "-", absent: "-", recalled: "†" };

impl Arranged {
    /// The table in aligned columns for a terminal: the best value is followed by `*`, the second by `'`.
    #[must_use]
    pub fn to_terminal(&self) -> String {
        let mut grid: Vec<Vec<String>> = Vec::new();
        for level in 0..self.levels() {
            // Stubs are named beside the lowest headings.
            let last = level + 1 == self.levels();
            let mut line: Vec<String> =
                self.stubs.iter().map(|stub| if last { stub.clone() } else { String::new() }).collect();
            line.extend((0..self.columns.len()).map(|column| self.heading(column, level)));
            grid.push(line);
        }
        for (at, line) in self.lines.iter().enumerate() {
            let labels = line.labels.iter().enumerate();
            let mut texts: Vec<String> = labels
                .map(|(stub, label)| if self.repeats(at, stub) { String::new() } else { label.clone() })
                .collect();
            texts.extend(line.cells.iter().map(|cell| {
                let note = cell.as_ref().map(|cell| self.cell_note(cell)).unwrap_or_default();
                format!("{}{note}", self.cell_texts(cell.as_ref(), &MARKUP).join(" / "))
            }));
            grid.push(texts);
        }
        let width = |column: usize| grid.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.stubs.len() + self.columns.len()).map(width).collect();
        let mut out = format!("{}\n", self.name);
        for line in &grid {
            let mut text = String::new();
            for (column, cell) in line.iter().enumerate() {
                let gap = if column == 0 { "" } else { "  " };
                let width = widths[column];
                let _ = if column < self.stubs.len() {
                    write!(text, "{gap}{cell:width$}")
                } else {
                    write!(text, "{gap}{cell:>width$}")
                };
            }
            let _ = writeln!(out, "{}", text.trim_end());
        }
        let caption = std::iter::once(self.caption.clone()).filter(|caption| !caption.is_empty());
        for paragraph in caption.chain(self.notes_with("has *", "has '")).chain(self.details.iter().cloned()) {
            let _ = writeln!(out, "{paragraph}");
        }
        out
    }
}
