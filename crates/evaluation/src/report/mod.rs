//! The report: everything of an experiment in one HTML file that needs no network, and two experiments side by side.
//!
//! A report is a function of the record and of what was drawn from it: the same record gives the same bytes, whenever and wherever.
//! Without JavaScript everything can be read; with it tables are sorted and filtered.

pub mod compare;
mod comparisons;
mod controls;
mod figures;
mod header;
mod meaning;
mod page;
mod results;
mod runs;
mod standing;
mod summary;
mod text;
mod verdict;

use std::fmt::Write as _;

use crate::record::Record;
pub use compare::{SideBySide, compare, compare_html, compare_text};
use page::{Section, page, scroll};
pub(crate) use text::run_id;
use text::{address, escape};

/// A table that was arranged for the report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReportTable {
    /// Its files are `tables/<name>.md`, `.tex` and `.csv`.
    pub name: String,
    /// Its heading, plain text.
    pub title: String,
    /// The `<table>` and what belongs to it, as HTML: taken over as it is.
    pub html: String,
}

/// A figure that was drawn for the report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReportFigure {
    /// Its files are `figures/<name>.svg` and `.png`.
    pub name: String,
    /// Its heading, plain text.
    pub title: String,
    /// What it shows, plain text: for the caption, and for whoever cannot see it.
    pub description: String,
    /// The drawing: taken over, its ids made different from those of the others.
    pub svg: String,
}

/// The report as one HTML file, to be kept in the folder of the results: its links to runs, tables and figures are relative.
///
/// Whatever comes from the record is escaped; the HTML of tables and the SVG of figures are taken over as they are.
#[must_use]
pub fn html(record: &Record, tables: &[ReportTable], figures: &[ReportFigure]) -> String {
    let about = &record.about;
    let results = results::section(record);
    let plain = |id, title, body| Section { id, title, body, style: String::new() };
    let mut sections = vec![
        plain("summary", "Summary", summary::section(record)),
        plain("tables", "Tables", chosen(tables)),
        plain("comparisons", "Comparisons", comparisons::section(&record.comparisons)),
        plain("figures", "Figures", figures::section(figures)),
        Section { id: "results", title: "All results", body: results.html, style: results.style },
        plain("configuration", "Configuration", header::configuration(about)),
        plain("provenance", "Provenance", runs::section(about)),
        plain("conventions", "Conventions", meaning::section(record)),
    ];
    sections.retain(|section| !section.body.is_empty());
    page(&about.experiment, &header::header(record), &sections)
}

/// The tables that the experiment asks for.
fn chosen(tables: &[ReportTable]) -> String {
    let mut out = String::new();
    for table in tables {
        let _ = write!(out, "<h3>{}</h3>\n{}", escape(&table.title), scroll(&table.title, "arranged", &table.html));
        let links = ["md", "tex", "csv"].map(|kind| {
            let file = address(&["tables", &format!("{}.{kind}", table.name)]);
            format!(
                "<a href=\"{file}\">{}</a>",
                if kind == "md" {
                    "Markdown"
                } else if kind == "tex" {
                    "LaTeX"
                } else {
                    "CSV"
                }
            )
        });
        let _ = writeln!(out, "<p class=\"files\">{}</p>", links.join(" "));
    }
    out
}
