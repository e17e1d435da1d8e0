//! What is printed in a cell, in any markup.

use super::{Arranged, ArrangedCell, ArrangedValue, Rank};
use crate::table::spec::Uncertainty;

/// How a kind of file marks what is special.
pub(super) struct Markup {
    /// Around the best value.
    pub best: [&'static str; 2],
    /// Around the second.
    pub second: [&'static str; 2],
    /// Between a value and its deviation, with spaces.
    pub plus_minus: &'static str,
    /// Before a negative number.
    pub minus: &'static str,
    /// Where nothing was measured.
    pub absent: &'static str,
    /// Behind a published value that is known from memory.
    pub recalled: &'static str,
}

/// A fraction in percent.
pub(super) fn hundred(fraction: f64, decimals: u8) -> String {
    format!("{:.*}", usize::from(decimals), fraction * 100.0)
}

impl Arranged {
    /// A cell, one text a metric.
    pub(super) fn cell_texts(&self, cell: Option<&ArrangedCell>, markup: &Markup) -> Vec<String> {
        let Some(cell) = cell else { return vec![markup.absent.to_owned()] };
        let text = |value: &Option<ArrangedValue>| {
            let Some(value) = value else { return markup.absent.to_owned() };
            if cell.reported { self.reported_text(value, markup) } else { self.value_text(value, cell.seeds, markup) }
        };
        cell.values.iter().map(text).collect()
    }

    /// What stands behind a cell's values: that its mean is over fewer sets, or over fewer seeds, than others.
    pub(super) fn cell_note(&self, cell: &ArrangedCell) -> String {
        let mut parts = Vec::new();
        if let Some(sets) = cell.sets.filter(|_| cell.partial) {
            parts.push(format!("mean of {sets}"));
        }
        if cell.seeds != self.usual_seeds() && !cell.reported {
            parts.push(format!("n = {}", cell.seeds));
        }
        if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
    }

    /// A published value by itself, with the deviation that was printed.
    fn reported_text(&self, value: &ArrangedValue, markup: &Markup) -> String {
        let mut text = hundred(value.value, self.decimals);
        let deviation = value.published.and_then(|published| published.deviation);
        if let Some(deviation) = deviation.filter(|_| self.uncertainty == Uncertainty::Seeds) {
            text = format!("{text}{}{}", markup.plus_minus, hundred(deviation, self.decimals));
        }
        if value.published.is_some_and(|published| published.recalled) {
            text.push_str(markup.recalled);
        }
        text
    }

    fn value_text(&self, value: &ArrangedValue, seeds: usize, markup: &Markup) -> String {
        let percent = |fraction: f64| hundred(fraction, self.decimals);
        let mut text = percent(value.value);
        match (self.uncertainty, value.interval) {
            (Uncertainty::Seeds, _) if seeds > 1 => {
                text = format!("{text}{}{}", markup.plus_minus, percent(value.deviation));
            }
            (Uncertainty::Interval, Some([low, high])) => {
                text = format!("{text} [{}, {}]", percent(low), percent(high))
            }
            _ => {}
        }
        let around = match value.rank {
            Rank::Best => markup.best,
            Rank::Second => markup.second,
            Rank::Other => ["", ""],
        };
        text = format!("{}{text}{}", around[0], around[1]);
        if let Some(published) = value.published {
            let difference = value.value - published.value;
            let size = percent(difference.abs());
            // What rounds to nothing has no sign.
            let sign = match difference {
                _ if size.chars().all(|c| matches!(c, '0' | '.')) => "",
                difference if difference < 0.0 => markup.minus,
                _ => "+",
            };
            let mark = if published.recalled { markup.recalled } else { "" };
            text = format!("{text} ({}{mark}, {sign}{size})", percent(published.value));
        }
        text
    }

    /// Seeds of a cell, where nothing else is said: the most that any has.
    pub(super) fn usual_seeds(&self) -> usize {
        self.cells().map(|cell| cell.seeds).max().unwrap_or(1)
    }

    /// The cells with values of ours.
    pub(super) fn cells(&self) -> impl Iterator<Item = &ArrangedCell> {
        self.lines.iter().flat_map(|line| line.cells.iter().flatten()).filter(|cell| !cell.reported)
    }

    /// Whether a line's label is the same as above, together with all labels to its left.
    pub(super) fn repeats(&self, line: usize, stub: usize) -> bool {
        line > 0 && self.lines[line].labels[..=stub] == self.lines[line - 1].labels[..=stub]
    }

    /// Runs of columns that share the labels down to that level: first column and how many.
    pub(super) fn spans(&self, level: usize) -> Vec<(usize, usize)> {
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for (at, column) in self.columns.iter().enumerate() {
            match spans.last_mut() {
                Some((first, count)) if self.columns[*first][..=level] == column[..=level] => *count += 1,
                _ => spans.push((at, 1)),
            }
        }
        spans
    }

    /// Levels of headings above the columns; 1 at least.
    pub(super) fn levels(&self) -> usize {
        self.fields.1.len().max(1)
    }

    /// The heading of a column at a level; what is measured where columns have no name.
    pub(super) fn heading(&self, column: usize, level: usize) -> String {
        self.columns[column].get(level).cloned().unwrap_or_else(|| self.measured())
    }

    /// `AUROC / FPR95 (ID+)`.
    pub(super) fn measured(&self) -> String {
        let mut labels: Vec<&str> = Vec::new();
        for value in self.cells().flat_map(|cell| cell.values.iter().flatten()) {
            if !labels.contains(&value.metric.label()) {
                labels.push(value.metric.label());
            }
        }
        labels.join(" / ")
    }
}
