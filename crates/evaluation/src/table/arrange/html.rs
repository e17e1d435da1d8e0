//! An arranged table as HTML.

use std::fmt::Write as _;

use super::Arranged;
use super::text::Markup;
use crate::report::run_id;

const MARKUP: Markup = Markup {
    best: ["<strong>", "</strong>"],
    second: ["<u>", "</u>"],
    plus_minus: " ± ",
    minus: "−",
    absent: "—",
    recalled: "†",
};

impl Arranged {
    /// The table as a plain `<table>` element with the caption below it, in a `<figure>`: headings have scopes, cells the value in
    /// percent in `data-value` (of their first metric), so that a page can sort by it. A cell of a single run links to the element that the report
    /// shows that run in. No style, no script.
    #[must_use]
    pub fn to_html(&self) -> String {
        let mut out = String::from("<figure class=\"arranged\">\n<table>\n<thead>\n");
        for level in 0..self.levels() {
            out.push_str("<tr>");
            if level == 0 {
                for stub in &self.stubs {
                    let _ = write!(out, "<th scope=\"col\" rowspan=\"{}\">{}</th>", self.levels(), escaped(stub));
                }
            }
            let last = level + 1 == self.levels();
            let spans = if last { (0..self.columns.len()).map(|at| (at, 1)).collect() } else { self.spans(level) };
            for (first, count) in spans {
                let heading = escaped(&self.heading(first, level));
                if last {
                    let _ = write!(out, "<th scope=\"col\">{heading}</th>");
                } else {
                    let _ = write!(out, "<th scope=\"colgroup\" colspan=\"{count}\">{heading}</th>");
                }
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</thead>\n<tbody>\n");
        for line in &self.lines {
            out.push_str("<tr>");
            for label in &line.labels {
                let _ = write!(out, "<th scope=\"row\">{}</th>", escaped(label));
            }
            for cell in &line.cells {
                let note = cell.as_ref().map(|cell| self.cell_note(cell)).unwrap_or_default();
                let text = self.cell_texts(cell.as_ref(), &MARKUP).join(" / ");
                let value = cell.as_ref().and_then(|cell| cell.values.iter().flatten().next());
                match value {
                    Some(value) => {
                        let run = cell.as_ref().and_then(|cell| cell.run.as_ref());
                        let text = run.map_or(text.clone(), |run| format!("<a href=\"#{}\">{text}</a>", run_id(run)));
                        let _ = write!(out, "<td data-value=\"{}\">{text}{note}</td>", value.value * 100.0);
                    }
                    None => {
                        let _ = write!(out, "<td>{text}</td>");
                    }
                }
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody>\n</table>\n<figcaption>\n");
        let notes = self.notes_with("bold", "underlined").join(" ");
        for paragraph in [self.caption.as_str(), &notes, &self.details.join(" ")] {
            if !paragraph.is_empty() {
                let _ = writeln!(out, "<p>{}</p>", escaped(paragraph));
            }
        }
        out.push_str("</figcaption>\n</figure>\n");
        out
    }
}

/// Text that HTML shows as it is, also within an attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
