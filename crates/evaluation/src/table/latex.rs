//! The table in LaTeX, as a paper would print it.

use std::fmt::Write as _;

use crate::metrics::Positive;

use super::Table;
use super::latex_text::{below, label, latex};
use super::layout::{Block, OverSeeds, blocks};
use super::markdown::{caption, heading_text, hundredths, sizes_text, title, uncertainty};

impl Table {
    /// The table in LaTeX, for a document with `\usepackage{booktabs}` and nothing else: what [`Table::to_markdown`] shows, one `table`
    /// environment each (benchmark, protocol, cell), the best AUROC of a column bold, the second underlined, conventions in the caption.
    #[must_use]
    pub fn to_latex(&self) -> String {
        let blocks = blocks(self, Positive::Id);
        blocks.iter().enumerate().map(|(index, block)| environment(block, index)).collect::<Vec<_>>().join("\n")
    }
}

fn environment(block: &Block, index: usize) -> String {
    let mut out = String::from("\\begin{table}[tbp]\n\\centering\n");
    let text =
        format!("{}. {}{}", title(block), caption(block, Positive::Id).replace('`', ""), uncertainty(block.intervals));
    let _ = writeln!(out, "\\caption{{{}}}", latex(&text));
    let _ = writeln!(out, "\\label{{tab:{}-{}}}", label(&block.experiment), index + 1);
    let _ = writeln!(out, "\\begin{{tabular}}{{l{}}}\n\\toprule", "r".repeat(block.headings.len()));
    let headings: Vec<String> = block.headings.iter().map(|heading| latex(&heading_text(heading))).collect();
    let _ = writeln!(out, "detector & {} \\\\\n\\midrule", headings.join(" & "));
    let best: Vec<_> = (0..block.headings.len()).map(|column| block.best_two(column, hundredths)).collect();
    let usual = block.seeds().last().copied().unwrap_or(1);
    for line in &block.lines {
        let mut cells = vec![latex(&line.label(" / "))];
        for (column, entry) in line.entries.iter().enumerate() {
            let Some(entry) = entry else {
                cells.push("---".to_owned());
                continue;
            };
            let whole = entry.sets == block.headings[column].sets();
            let printed = Some(hundredths(entry.auroc.mean)).filter(|_| whole);
            let auroc = percent(entry.auroc, entry.seeds);
            let auroc = match &best[column] {
                [first, _] if first.is_some() && *first == printed => format!("\\textbf{{{auroc}}}"),
                [_, second] if second.is_some() && *second == printed => format!("\\underline{{{auroc}}}"),
                _ => auroc,
            };
            let mut cell = format!("{auroc} / {}", percent(entry.fpr95, entry.seeds));
            if !whole {
                let _ = write!(cell, " (mean of {})", entry.sets);
            }
            if entry.seeds != usual {
                let _ = write!(cell, " ($n$ = {})", entry.seeds);
            }
            cells.push(cell);
        }
        let _ = writeln!(out, "{} \\\\", cells.join(" & "));
    }
    out.push_str("\\bottomrule\n\\end{tabular}\n");
    out.push_str(&below(&sizes_text(block)));
    out.push_str("\\end{table}\n");
    out
}

fn percent(value: OverSeeds, seeds: usize) -> String {
    if seeds == 1 {
        hundredths(value.mean)
    } else {
        format!("{} $\\pm$ {}", hundredths(value.mean), hundredths(value.deviation))
    }
}
