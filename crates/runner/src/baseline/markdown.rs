//! A summary in Markdown, as GitHub shows it under a workflow.

use super::compare::Verdict;
use super::report::{Checked, State};
use super::{Comparison, values};

/// Lines of a kind that are shown: a summary has at most a mebibyte.
const MOST_LINES: usize = 100;

/// A heading, one line a baseline, and for each that failed or moved a table of what did.
pub fn markdown(checked: &[Checked<'_>]) -> String {
    let failed = checked.iter().filter(|one| !one.passed()).count();
    let verdict = match failed {
        0 => "passed".to_owned(),
        failed => format!("**{failed} of {} failed**", checked.len()),
    };
    let mut text = format!("## Metrics against their baselines: {verdict}\n\n");
    text += "| experiment | | equal | within tolerance | better | worse | not comparable | seconds |\n";
    text += "|:---|:---|---:|---:|---:|---:|---:|---:|\n";
    for one in checked {
        text += &line(one);
    }
    for one in checked {
        text += &details(one);
    }
    text
}

fn line(checked: &Checked<'_>) -> String {
    let state = match &checked.state {
        State::Compared(_) if checked.passed() => "passed",
        State::Compared(_) => "**failed**",
        State::Rewritten(_) => "baseline rewritten",
        State::Unchanged => "baseline unchanged",
        State::Written => "baseline written",
        State::Failed(_) => "**did not run**",
    };
    let count = |verdict| checked.comparison().map(|comparison| comparison.count(verdict).to_string());
    let counts = [Verdict::Same, Verdict::Within, Verdict::Better, Verdict::Worse].map(count);
    let different = checked.comparison().map(|comparison| comparison.differences.len().to_string());
    let cells: String =
        counts.into_iter().chain([different]).map(|cell| format!(" {} |", cell.unwrap_or_default())).collect();
    format!("| {} | {state} |{cells} {:.1} |\n", escaped(checked.experiment), checked.seconds)
}

fn details(checked: &Checked<'_>) -> String {
    let mut text = String::new();
    if let State::Failed(error) = &checked.state {
        text += &format!("\n{}\n", escaped(error));
    }
    if let Some(comparison) = checked.comparison() {
        let differences: Vec<String> = comparison
            .differences
            .iter()
            .map(|difference| format!("* {}\n", escaped(&difference.to_string())))
            .collect();
        if !differences.is_empty() {
            text += &format!(
                "\n{}{}",
                differences.iter().take(MOST_LINES).cloned().collect::<String>(),
                rest(differences.len())
            );
        }
        text += &table(comparison, matches!(checked.state, State::Rewritten(_)));
    }
    if text.is_empty() { text } else { format!("\n### {}\n{text}", escaped(checked.experiment)) }
}

fn table(comparison: &Comparison<'_>, updated: bool) -> String {
    let moved = comparison.sorted(|value| match value.verdict {
        Verdict::Worse | Verdict::Better => true,
        Verdict::Within => updated,
        Verdict::Same => false,
    });
    if moved.is_empty() {
        return String::new();
    }
    let mut text = "\n| row | metric | before | after | change | allowed | |\n".to_owned();
    text += "|:---|:---|---:|---:|---:|---:|:---|\n";
    for value in moved.iter().take(MOST_LINES) {
        let (before, after) = values::percents(value);
        let verdict = values::verdict(value);
        let verdict = if value.fails { format!("**{verdict}**") } else { verdict.to_owned() };
        text += &format!(
            "| {} | {} | {before} | {after} | {} | {} | {verdict} |\n",
            escaped(&comparison.row(value).to_string()),
            escaped(value.metric.name()),
            values::change(value),
            values::allowed(value),
        );
    }
    text + &rest(moved.len()) + "\nMetrics in percent, changes in percentage points.\n"
}

fn rest(count: usize) -> String {
    match count.checked_sub(MOST_LINES) {
        None | Some(0) => String::new(),
        Some(more) => format!("\nand {more} more\n"),
    }
}

/// A text that stays text, in a cell of a table too.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' => {
                out.push('\\');
                out.push(character);
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            _ if character.is_control() => out.push(' '),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn nothing_of_a_name_is_markup() {
        assert_eq!(escaped("a|b *c* <d> _e_\nf"), "a\\|b \\*c\\* &lt;d&gt; \\_e\\_ f");
    }
}
