//! What came of one baseline, before it is told as text, JSON, JUnit or Markdown.

use std::path::Path;

use super::Comparison;
use super::compare::Verdict;

/// One baseline after its experiment ran or was read.
pub struct Checked<'a> {
    /// Its file.
    pub path: &'a Path,
    /// The experiment's name.
    pub experiment: &'a str,
    /// Rows that were measured; 0 where it failed.
    pub rows: usize,
    /// Time that the run, or the reading, took.
    pub seconds: f64,
    /// What came of it.
    pub state: State<'a>,
}

/// What came of a baseline.
pub enum State<'a> {
    /// It was compared.
    Compared(Comparison<'a>),
    /// It was rewritten: by what it differs.
    Rewritten(Comparison<'a>),
    /// An update found nothing to write.
    Unchanged,
    /// It is new.
    Written,
    /// The experiment did not run to its end, or its results cannot be read.
    Failed(String),
}

impl<'a> Checked<'a> {
    /// Whether nothing fails.
    pub fn passed(&self) -> bool {
        match &self.state {
            State::Compared(comparison) => comparison.failures() == 0,
            State::Rewritten(_) | State::Unchanged | State::Written => true,
            State::Failed(_) => false,
        }
    }

    /// The comparison, where there was something to compare with.
    pub fn comparison(&self) -> Option<&Comparison<'a>> {
        match &self.state {
            State::Compared(comparison) | State::Rewritten(comparison) => Some(comparison),
            State::Unchanged | State::Written | State::Failed(_) => None,
        }
    }

    /// One line: what was compared, and what came of it. Without the experiment's name.
    pub fn summary(&self) -> String {
        match &self.state {
            State::Compared(comparison) => compared(comparison),
            State::Rewritten(comparison) => {
                let moved = comparison.values.len() - comparison.count(Verdict::Same);
                let other = match comparison.differences.len() {
                    0 => String::new(),
                    count => format!(", {count} other differences"),
                };
                format!("baseline rewritten: {moved} of {} metrics moved{other}", comparison.values.len())
            }
            State::Unchanged => "baseline unchanged, not rewritten".to_owned(),
            State::Written => format!("baseline written: {} rows", self.rows),
            State::Failed(error) => format!("failed: {error}"),
        }
    }
}

fn compared(comparison: &Comparison<'_>) -> String {
    let count = |verdict, word: &str| match comparison.count(verdict) {
        0 => None,
        count => Some(format!("{count} {word}")),
    };
    let different = match comparison.differences.len() {
        0 => None,
        count => Some(format!("{count} cannot be compared")),
    };
    let counts: Vec<String> = [
        count(Verdict::Worse, "worse"),
        count(Verdict::Better, "better"),
        different,
        count(Verdict::Within, "moved within tolerance"),
        count(Verdict::Same, "equal"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let numerics = if comparison.same_numerics { "same numerics" } else { "other numerics" };
    let result = if comparison.failures() == 0 { "ok" } else { "FAILED" };
    format!("{result}: {} metrics, {numerics}: {}", comparison.values.len(), counts.join(", "))
}
