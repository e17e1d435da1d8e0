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
            Verdict::Worse | Verdict::Better => true,
            Verdict::Within => updated,
            Verdict::Same => false,
        });
        text += &table(comparison, &moved, updated);
        if !updated && moved.iter().any(|value| value.verdict == Verdict::Better && !value.fails) {
            text += "  better metrics do not fail; write them down with --update\n";
        }
    }
    format!("{text}{}: {}\n", checked.experiment, checked.summary())
}

fn table(comparison: &Comparison<'_>, moved: &[&Value], updated: bool) -> String {
    if moved.is_empty() {
        return String::new();
    }
    // An update allows everything.
    let allowed = |text: String| if updated { String::new() } else { text };
    let heading = ["row", "metric", "before -> after", "change", "allowed", ""].map(str::to_owned);
    let mut lines = vec![heading.map(|word| if word == "allowed" { allowed(word) } else { word })];
    for value in moved.iter().take(MOST_LINES) {
        let (before, after) = values::percents(value);
        lines.push([
            comparison.row(value).to_string(),
            value.metric.to_string(),
            format!("{before} -> {after}"),
            values::change(value),
            allowed(values::allowed(value)),
            values::verdict(value).to_owned(),
        ]);
    }
    let widths: [usize; 6] =
        std::array::from_fn(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for [row, metric, pair, change, allowed, verdict] in &lines {
        let [w_row, w_metric, w_pair, w_change, w_allowed, _] = widths;
        let numbers = format!("{pair:w_pair$}  {change:>w_change$}  {allowed:>w_allowed$}");
        let line = format!("  {row:w_row$}  {metric:w_metric$}  {numbers}  {verdict}");
        text += line.trim_end();
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
