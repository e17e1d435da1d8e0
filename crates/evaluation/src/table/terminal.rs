//! The table in plain aligned columns, for a terminal.

use std::fmt::Write as _;

use crate::metrics::Positive;

use super::Table;
use super::layout::{Block, Entry, Heading, blocks};

/// Columns of a terminal that wraps nothing.
const WIDTH: usize = 100;

impl Table {
    /// The table for a terminal of 100 columns: `AUROC/FPR95` in percent with one decimal, `fpr95_id`; several seeds
    /// give their mean. Wider tables continue below with the labels repeated.
    #[must_use]
    pub fn to_terminal(&self) -> String {
        self.to_terminal_width(WIDTH)
    }

    /// [`Table::to_terminal`] for a terminal of `width` columns.
    #[must_use]
    pub fn to_terminal_width(&self, width: usize) -> String {
        let blocks = blocks(self, Positive::Id);
        let mut out = String::new();
        for (index, block) in blocks.iter().enumerate() {
            if index > 0 {
                out.push('\n');
            }
            write_block(&mut out, block, width);
        }
        if !blocks.is_empty() {
            out.push_str("AUROC/FPR95 in percent; FPR95: share of OOD accepted when 95 % of ID is accepted\n");
        }
        out
    }
}

fn write_block(out: &mut String, block: &Block, width: usize) {
    let mut title = format!("{}, ID {}, protocol {}", block.benchmark, block.id_set, block.protocol);
    if !block.cell.is_empty() {
        let _ = write!(title, ", {}", block.cell);
    }
    match block.seeds().as_slice() {
        [] | [1] => {}
        [n] => {
            let _ = write!(title, ", mean of {n} seeds");
        }
        [.., n] => {
            let _ = write!(title, ", mean of up to {n} seeds");
        }
    }
    let _ = writeln!(out, "{title}");
    let labels: Vec<String> = block.lines.iter().map(|line| line.label(" ")).collect();
    let label_width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let columns: Vec<Vec<String>> = block
        .headings
        .iter()
        .enumerate()
        .map(|(column, heading)| {
            let name = match heading {
                Heading::Set { name, .. } => name.clone(),
                Heading::Mean { group, sets } if group.is_empty() => format!("mean of {sets}"),
                Heading::Mean { group, sets } => format!("{group} mean of {sets}"),
            };
            std::iter::once(name)
                .chain(block.lines.iter().map(|line| text(line.entries[column].as_ref(), heading.sets())))
                .collect()
        })
        .collect();
    let widths: Vec<usize> =
        columns.iter().map(|cells| cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0)).collect();
    let mut start = 0;
    while start < columns.len() {
        // As many columns as fit, and one at least.
        let mut end = start + 1;
        let mut used = label_width + 2 + widths[start];
        while end < columns.len() && used + 2 + widths[end] <= width {
            used += 2 + widths[end];
            end += 1;
        }
        for line in 0..=labels.len() {
            let label = if line == 0 { "" } else { &labels[line - 1] };
            let _ = write!(out, "{label:label_width$}");
            for column in start..end {
                let _ = write!(out, "  {:>1$}", columns[column][line], widths[column]);
            }
            out.push('\n');
        }
        start = end;
    }
}

fn text(entry: Option<&Entry>, sets: usize) -> String {
    let Some(entry) = entry else { return "-".to_owned() };
    let note = if entry.sets == sets { String::new() } else { format!(" of {}", entry.sets) };
    format!("{:.1}/{:.1}{note}", entry.auroc.mean * 100.0, entry.fpr95.mean * 100.0)
}
