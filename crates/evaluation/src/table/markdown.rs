//! The table as Markdown, as a paper would print it.

use std::fmt::Write as _;

use crate::metrics::{FprRule, Positive};

use super::Table;
use super::layout::{Block, Entry, Heading, Intervals, OverSeeds, blocks};

/// What a Markdown table shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkdownOptions {
    /// Which of the two FPR95 is printed; the caption says so.
    pub fpr95: Positive,
    /// Also a second table of AUROC ± half the width of the DeLong interval.
    pub intervals: bool,
}

impl Default for MarkdownOptions {
    fn default() -> MarkdownOptions {
        MarkdownOptions { fpr95: Positive::Id, intervals: false }
    }
}

impl Table {
    /// The table as Markdown with default options: `fpr95_id`, no second table of intervals.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        self.to_markdown_with(MarkdownOptions::default())
    }

    /// One Markdown table for each (benchmark, protocol, cell): lines are scores, columns OOD sets and their mean, cells
    /// `AUROC / FPR95` in percent, the best AUROC of a column bold (with all that print the same). Several seeds give mean
    /// ± standard deviation. The caption names every convention and the widest DeLong interval; it stands below each
    /// table, or once below the last where all tables have the same conventions.
    #[must_use]
    pub fn to_markdown_with(&self, options: MarkdownOptions) -> String {
        let blocks = blocks(self, options.fpr95);
        let captions: Vec<String> =
            blocks.iter().map(|block| format!("{} {}", caption(block, options.fpr95), sizes_text(block))).collect();
        // Tables of one sweep say the same of themselves: once is enough then.
        let same = captions.windows(2).all(|pair| pair[0] == pair[1]);
        let together = blocks.iter().map(|block| block.intervals).fold(Intervals::default(), Intervals::and);
        let mut out = String::new();
        for (index, (block, caption)) in blocks.iter().zip(&captions).enumerate() {
            if index > 0 {
                out.push('\n');
            }
            write_block(&mut out, block, options);
            if !same || index + 1 == blocks.len() {
                let _ = writeln!(out, "\n{caption}{}", uncertainty(if same { together } else { block.intervals }));
            }
        }
        out
    }
}

fn write_block(out: &mut String, block: &Block, options: MarkdownOptions) {
    let _ = writeln!(out, "### {}\n", title(block));
    write_grid(out, block, |entry, around| {
        let auroc = percent(entry.auroc, entry.seeds);
        format!("{}{auroc}{} / {}", around[0], around[1], percent(entry.fpr95, entry.seeds))
    });
    if options.intervals {
        let _ = writeln!(
            out,
            "\nAUROC ± half the width of its 95 % interval (DeLong's, not cut at 0 and 100; of the bootstrap for a mean), in percent{}.\n",
            if block.seeds() == [1] { "" } else { " (both are means over seeds)" }
        );
        write_grid(out, block, |entry, around| {
            let auroc = format!("{}{}{}", around[0], hundredths(entry.auroc.mean), around[1]);
            match entry.half_width {
                Some(half_width) => format!("{auroc} ± {:.2}", half_width * 100.0),
                None => auroc,
            }
        });
    }
}

fn write_grid(out: &mut String, block: &Block, cell: impl Fn(&Entry, [&str; 2]) -> String) {
    out.push_str("| detector |");
    for heading in &block.headings {
        let _ = write!(out, " {} |", escaped(&heading_text(heading)));
    }
    out.push_str("\n|:---|");
    for _ in &block.headings {
        out.push_str("---:|");
    }
    out.push('\n');
    let best: Vec<_> = (0..block.headings.len()).map(|column| block.best_two(column, hundredths)).collect();
    let usual = block.seeds().last().copied().unwrap_or(1);
    for line in &block.lines {
        let _ = write!(out, "| {} |", escaped(&line.label(" / ")));
        for (column, entry) in line.entries.iter().enumerate() {
            let Some(entry) = entry else {
                out.push_str(" — |");
                continue;
            };
            let whole = entry.sets == block.headings[column].sets();
            let printed = Some(hundredths(entry.auroc.mean)).filter(|_| whole);
            let around = match &best[column] {
                [first, _] if first.is_some() && *first == printed => ["**", "**"],
                [_, second] if second.is_some() && *second == printed => ["<u>", "</u>"],
                _ => ["", ""],
            };
            let _ = write!(out, " {}", cell(entry, around));
            if !whole {
                let _ = write!(out, " (mean of {})", entry.sets);
            }
            if entry.seeds != usual {
                let _ = write!(out, " (n = {})", entry.seeds);
            }
            out.push_str(" |");
        }
        out.push('\n');
    }
}

/// The name of a column.
pub(super) fn heading_text(heading: &Heading) -> String {
    match heading {
        Heading::Set { name, .. } => name.clone(),
        Heading::Mean { group, sets } if group.is_empty() => format!("mean of {sets}"),
        Heading::Mean { group, sets } => format!("{group}: mean of {sets}"),
    }
}

/// A table's title: benchmark, ID set, protocol and cell.
pub(super) fn title(block: &Block) -> String {
    let mut title = format!("{}: {}", block.experiment, block.benchmark);
    for part in [format!("protocol {}", block.protocol), block.cell.clone()] {
        if !part.is_empty() {
            let _ = write!(title, ", {part}");
        }
    }
    title
}

pub(super) fn caption(block: &Block, fpr95: Positive) -> String {
    let meaning = match fpr95 {
        Positive::Id => "share of OOD accepted when 95 % of ID is accepted (column `fpr95_id`; lower is better)",
        Positive::Ood => "share of ID rejected when 95 % of OOD is caught (column `fpr95_ood`; lower is better)",
    };
    let marks = match block.lines.len() {
        0 | 1 => "",
        2 => "; best AUROC of each column bold, with all that print the same",
        _ => "; best AUROC of each column bold, second underlined, with all that print the same",
    };
    let mut text = format!(
        "AUROC / FPR95 in percent{marks}. AUROC: probability that an OOD sample scores higher than an ID sample, ties counting one half. \
         FPR95: {meaning}."
    );
    for rule in &block.rules {
        let words = rule.parse::<FprRule>().map_or("", FprRule::description);
        let _ = write!(text, " Operating point: {rule} ({words}).");
    }
    let seeds = block.seeds();
    match seeds.as_slice() {
        [] | [1] => text.push_str(" One seed."),
        [n] => {
            let _ = write!(text, " Mean ± standard deviation (divided by n) over n = {n} seeds.");
        }
        [.., n] => {
            let _ = write!(
                text,
                " Mean ± standard deviation (divided by n) over n = {n} seeds; where a cell has fewer, it says so."
            );
        }
    }
    if block.headings.iter().any(|heading| matches!(heading, Heading::Mean { .. })) {
        text.push_str(" Means over sets are unweighted.");
    }
    text
}

/// How many images each number of a table rests on.
pub(super) fn sizes_text(block: &Block) -> String {
    let mut text = format!("ID: {}.", sizes(&block.id_set, &block.id_counts, &block.id_lists));
    let sets: Vec<String> = block
        .headings
        .iter()
        .filter_map(|heading| match heading {
            Heading::Set { name, counts, lists, .. } => Some(sizes(name, counts, lists)),
            Heading::Mean { .. } => None,
        })
        .collect();
    let _ = write!(text, " OOD: {}.", sets.join(", "));
    text
}

/// How far a caption's AUROCs can be trusted: the end of the caption.
pub(super) fn uncertainty(intervals: Intervals) -> String {
    let Some(widest) = intervals.widest else { return String::new() };
    let mut text = format!(" 95 % DeLong half-width of a single AUROC: at most {} points.", hundredths(widest));
    if intervals.pointlike {
        text.push_str(
            " Where all pairs are ordered alike (a perfectly separated set) the DeLong interval has no width and \
             understates the uncertainty.",
        );
    }
    text
}

/// `cifar10 2000 (list 1a2b3c4d)`.
fn sizes(name: &str, counts: &[u64], lists: &[String]) -> String {
    let join = |parts: Vec<String>| parts.join(" or ");
    let mut text = escaped(name);
    if !counts.is_empty() {
        let _ = write!(text, " {}", join(counts.iter().map(u64::to_string).collect()));
    }
    let lists: Vec<String> =
        lists.iter().filter(|list| !list.is_empty()).map(|list| list.chars().take(8).collect()).collect();
    if !lists.is_empty() {
        let _ = write!(text, " (list {})", join(lists));
    }
    text
}

pub(super) fn hundredths(fraction: f64) -> String {
    format!("{:.2}", fraction * 100.0)
}

fn percent(value: OverSeeds, seeds: usize) -> String {
    if seeds == 1 {
        hundredths(value.mean)
    } else {
        format!("{} ± {}", hundredths(value.mean), hundredths(value.deviation))
    }
}

/// Names may hold what Markdown would read as the end of a cell, or as HTML.
pub(crate) fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;").replace(['\n', '\r'], " ")
}
