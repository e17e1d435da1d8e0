//! An arranged table in LaTeX.

use std::fmt::Write as _;

use super::Arranged;
use super::text::Markup;
use crate::table::latex_text::{below, label, latex};

const MARKUP: Markup = Markup {
    best: [r"\textbf{", "}"],
    second: [r"\underline{", "}"],
    plus_minus: r" $\pm$ ",
    minus: "$-$",
    absent: "---",
    recalled: r"$^\dagger$",
};

impl Arranged {
    /// The table in LaTeX, for a document with `\usepackage{booktabs}` and nothing else: a `table` whose caption states
    /// the conventions, with sizes and the like in small print below; the best value bold, the second underlined.
    #[must_use]
    pub fn to_latex(&self) -> String {
        let mut out = String::from("\\begin{table}[tbp]\n\\centering\n");
        let notes = self.notes_with("bold", "underlined");
        let sentences = std::iter::once(&self.caption).filter(|caption| !caption.is_empty()).chain(&notes);
        let caption: Vec<String> = sentences.map(|text| latex(text)).collect();
        let _ = writeln!(out, "\\caption{{{}}}", caption.join(" "));
        let _ = writeln!(out, "\\label{{tab:{}}}", label(&self.name));
        let _ = writeln!(
            out,
            "\\begin{{tabular}}{{{}{}}}\n\\toprule",
            "l".repeat(self.stubs.len()),
            "r".repeat(self.columns.len())
        );
        for level in 0..self.levels() {
            self.write_headings(&mut out, level);
        }
        out.push_str("\\midrule\n");
        for (at, line) in self.lines.iter().enumerate() {
            // A rule where the outermost of several labels changes.
            if at > 0 && self.stubs.len() > 1 && !self.repeats(at, 0) && self.some_repeat() {
                out.push_str("\\midrule\n");
            }
            let mut cells: Vec<String> = Vec::new();
            for (stub, label) in line.labels.iter().enumerate() {
                cells.push(if self.repeats(at, stub) { String::new() } else { latex(label) });
            }
            for cell in &line.cells {
                let note = cell.as_ref().map(|cell| self.cell_note(cell)).unwrap_or_default();
                let texts = self.cell_texts(cell.as_ref(), &MARKUP);
                cells.push(format!("{}{}", texts.join(" / "), latex(&note)));
            }
            let _ = writeln!(out, "{} \\\\", cells.join(" & "));
        }
        out.push_str("\\bottomrule\n\\end{tabular}\n");
        out.push_str(&below(&self.details.join(" ")));
        out.push_str("\\end{table}\n");
        out
    }

    fn write_headings(&self, out: &mut String, level: usize) {
        let last = level + 1 == self.levels();
        let mut cells: Vec<String> =
            self.stubs.iter().map(|stub| if last { latex(stub) } else { String::new() }).collect();
        let mut rules = String::new();
        let spans = if last { (0..self.columns.len()).map(|at| (at, 1)).collect() } else { self.spans(level) };
        for (first, count) in spans {
            let heading = latex(&self.heading(first, level));
            if last {
                cells.push(heading);
            } else {
                let from = self.stubs.len() + first + 1;
                cells.push(format!("\\multicolumn{{{count}}}{{c}}{{{heading}}}"));
                let _ = write!(rules, "\\cmidrule(lr){{{from}-{}}}", from + count - 1);
            }
        }
        let _ = writeln!(out, "{} \\\\", cells.join(" & "));
        if !rules.is_empty() {
            let _ = writeln!(out, "{rules}");
        }
    }

    /// Whether the outermost labels make groups of lines at all.
    fn some_repeat(&self) -> bool {
        (1..self.lines.len()).any(|line| self.repeats(line, 0))
    }
}
