//! An arranged table as Markdown.

use std::fmt::Write as _;

use super::Arranged;
use super::text::Markup;
use crate::table::markdown::escaped;

const MARKUP: Markup =
    Markup {
        best: ["**", "**"], second: ["<u>", "</u>"], plus_minus: " ± ", minus: "−", absent: "—", recalled: "†"
    };

impl Arranged {
    /// The table as Markdown: the best value bold, the second underlined, conventions below.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut out = format!("### {}\n\n", escaped(&self.name));
        for stub in &self.stubs {
            let _ = write!(out, "| {} ", escaped(stub));
        }
        for column in 0..self.columns.len() {
            let labels: Vec<String> = (0..self.levels()).map(|level| escaped(&self.heading(column, level))).collect();
            let _ = write!(out, "| {} ", labels.join(" / "));
        }
        out.push_str("|\n");
        out.push_str(&"|:---".repeat(self.stubs.len()));
        out.push_str(&"|---:".repeat(self.columns.len()));
        out.push_str("|\n");
        for line in &self.lines {
            for label in &line.labels {
                let _ = write!(out, "| {} ", escaped(label));
            }
            for cell in &line.cells {
                let note = cell.as_ref().map(|cell| self.cell_note(cell)).unwrap_or_default();
                let _ = write!(out, "| {}{note} ", self.cell_texts(cell.as_ref(), &MARKUP).join(" / "));
            }
            out.push_str("|\n");
        }
        let notes = self.notes_with("bold", "underlined").join(" ");
        for paragraph in [self.caption.as_str(), &notes, &self.details.join(" ")] {
            if !paragraph.is_empty() {
                let _ = write!(out, "\n{}\n", escaped(paragraph));
            }
        }
        out
    }
}
