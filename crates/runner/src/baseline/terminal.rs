//! What moved by how much, as aligned text.

use super::compare::{Value, Verdict};
use super::report::{Checked, State};
use super::{Comparison, values};

/// Lines of a kind that are shown: a screen.
const MOST_LINES: usize = 20;

/// The moves that matter, the largest first, what cannot be compared, and one line of summary.
pub fn terminal(checked: &Checked<'_>) -> String {
    let mut text = String::new();
    if let Some(comparison) = checked.comparison() {
        let updated = matches!(checked.state, State::Rewritten(_));
        let lines: Vec<String> = comparison.differences.iter().map(|difference| format!("  {difference}\n")).collect();
        text += &cut(&lines, "differences");
        let moved = comparison.sorted(|value| match value.verdict {
            Verdict::Fell | Verdict::Rose => true,
            Verdict::Within => updated,
            Verdict::Same => false,
        });
        text += &table(comparison, &moved);
        if !updated && moved.iter().any(|value| value.verdict == Verdict::Rose && !value.fails) {
            text += "  what rose does not fail; write it down with --update\n";
        }
    }
    format!("{text}{}: {}\n", checked.experiment, checked.summary())
}

fn table(comparison: &Comparison<'_>, moved: &[&Value]) -> String {
    if moved.is_empty() {
        return String::new();
    }
    let heading = ["row", "metric", "before -> after", "change", "allowed", ""].map(str::to_owned);
    let cells = moved.iter().take(MOST_LINES).map(|value| {
        let (before, after) = values::percents(value);
        [
            comparison.row(value).to_string(),
            value.metric.to_string(),
            format!("{before} -> {after}"),
            values::change(value),
            values::allowed(value),
            values::verdict(value).to_owned(),
        ]
    });
    let cells: Vec<[String; 6]> = std::iter::once(heading).chain(cells).collect();
    let widths: [usize; 6] =
        std::array::from_fn(|column| cells.iter().map(|line| line[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for line in &cells {
        let [row, metric, pair, change, allowed, verdict] = line;
        let padded = format!(
            "  {row:0$}  {metric:1$}  {pair:2$}  {change:>3$}  {allowed:>4$}  {verdict}",
            widths[0], widths[1], widths[2], widths[3], widths[4]
        );
        text += padded.trim_end();
        text.push('\n');
    }
    text + &rest(moved.len(), "metrics")
}

fn cut(lines: &[String], what: &str) -> String {
    lines.iter().take(MOST_LINES).cloned().collect::<String>() + &rest(lines.len(), what)
}

fn rest(count: usize, what: &str) -> String {
    match count.checked_sub(MOST_LINES) {
        None | Some(0) => String::new(),
        Some(more) => format!("  and {more} more {what}; --json prints all\n"),
    }
}
