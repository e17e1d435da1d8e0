//! What came of a baseline, for programs.

use std::path::Path;

use oodlab_evaluation::Metric;
use serde::Serialize;

use super::compare::{Allowed, Verdict};
use super::report::{Checked, State};
use super::{Difference, RowName};

/// One baseline in the output of `--json`.
#[derive(Serialize)]
pub struct Told<'a> {
    baseline: &'a Path,
    experiment: &'a str,
    /// `compared`, `rewritten`, `unchanged`, `written` or `failed`.
    state: &'static str,
    passed: bool,
    /// Whether the numerics are those of the baseline; absent without a comparison.
    same_numerics: Option<bool>,
    rows: usize,
    counts: Option<Counts>,
    /// Every metric whose bits changed, those that fail first, then the largest change first.
    moved: Vec<Moved<'a>>,
    differences: &'a [Difference<'a>],
    error: Option<&'a str>,
    seconds: f64,
}

/// How many metrics compare how.
#[derive(Serialize)]
struct Counts {
    same: usize,
    within: usize,
    better: usize,
    worse: usize,
}

/// A metric that moved; fractions 0..1, a number that is none is null.
#[derive(Serialize)]
struct Moved<'a> {
    row: RowName<'a>,
    metric: Metric,
    before: f64,
    after: f64,
    change: f64,
    allowed: Allowed,
    verdict: Verdict,
    fails: bool,
}

impl<'a> Told<'a> {
    /// What is told of this.
    pub fn of(checked: &'a Checked<'a>) -> Told<'a> {
        let comparison = checked.comparison();
        let moved = comparison.into_iter().flat_map(|comparison| {
            comparison.sorted(|value| value.verdict != Verdict::Same).into_iter().map(|value| Moved {
                row: comparison.row(value),
                metric: value.metric,
                before: value.before,
                after: value.after,
                change: value.after - value.before,
                allowed: value.allowed,
                verdict: value.verdict,
                fails: value.fails,
            })
        });
        Told {
            baseline: checked.path,
            experiment: checked.experiment,
            state: match &checked.state {
                State::Compared(_) => "compared",
                State::Rewritten(_) => "rewritten",
                State::Unchanged => "unchanged",
                State::Written => "written",
                State::Failed(_) => "failed",
            },
            passed: checked.passed(),
            same_numerics: comparison.map(|comparison| comparison.same_numerics),
            rows: checked.rows,
            counts: comparison.map(|comparison| Counts {
                same: comparison.count(Verdict::Same),
                within: comparison.count(Verdict::Within),
                better: comparison.count(Verdict::Better),
                worse: comparison.count(Verdict::Worse),
            }),
            moved: moved.collect(),
            differences: comparison.map_or(&[], |comparison| &comparison.differences),
            error: match &checked.state {
                State::Failed(error) => Some(error),
                _ => None,
            },
            seconds: checked.seconds,
        }
    }
}
