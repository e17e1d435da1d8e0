//! Outlier scores of encoded images under a fitted detector.

use std::ops::Range;

use anyhow::{Context, Result};
use oodlab_base::{Key, KeyBuilder, Task};
use oodlab_detectors::{FittedDetector, ScoreContext};
use oodlab_features::Scores;

use super::classified::with_classes;
use super::reading::Rows;
use super::{Note, Work, each_part, ranges};
use crate::lab::Lab;

/// Raise when the stage's results change.
const REVISION: u32 = 1;

/// Rows a part.
const PART_ROWS: usize = 1024;

/// One fitted detector on one encoded set.
pub struct Score {
    key: Key,
    rows: usize,
    label: String,
}

impl Score {
    /// `fit` and `features` are the keys of the inputs; `config` is what scoring alone depends on.
    pub fn new(fit: Key, features: Key, config: &serde_json::Value, rows: usize, label: String) -> Result<Score> {
        let key = KeyBuilder::new("score", REVISION)
            .key("fit", &fit)
            .key("features", &features)
            .config("config", config)?
            .finish();
        Ok(Score { key, rows, label })
    }

    /// The key of the scores.
    pub fn key(&self) -> Key {
        self.key
    }

    /// What the bar says.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// (parts stored already, parts in all).
    pub fn state(&self, lab: &Lab) -> Result<(usize, usize)> {
        let parts = ranges(self.rows, PART_ROWS).len();
        Ok((lab.store()?.artifact("score", &self.key).parts()?.len().min(parts), parts))
    }

    /// Reads or computes the scores; behind them stand the classes of a detector that classifies. `fitted` and `samples` (of the rows asked for) are called only when something has to be
    /// computed. Tells how they were computed, too.
    pub fn run<'a>(
        &self,
        lab: &Lab,
        fitted: impl Fn() -> Result<&'a dyn FittedDetector>,
        samples: impl Fn(Range<usize>) -> Result<Rows>,
    ) -> Result<(Scores, Note)> {
        let artifact = lab.store()?.artifact("score", &self.key);
        let ranges = ranges(self.rows, PART_ROWS);
        let mut whole: Option<Scores> = None;
        let sizes = ranges.iter().map(|rows| rows.len() as u64).collect();
        let compute = |part: usize, task: &dyn Task| {
            let detector = fitted()?;
            let rows = ranges[part].clone();
            let samples = samples(rows.clone())?;
            let first_index = rows.start as u64;
            let context = ScoreContext { first_index, cancel: &lab.cancel, task, compute: &lab.compute };
            let answer = detector.answer(&samples.given(), &context)?;
            let (names, columns) = with_classes(detector.score_names(), answer);
            let scores = Scores::new(samples.ids().to_vec(), names, columns)?;
            Ok(scores.to_bytes()?)
        };
        let work = Work { label: &self.label, unit: Some("images"), sizes };
        let note = each_part(lab, &artifact, &work, compute, |part, bytes| {
            let scores =
                Scores::from_bytes(bytes).with_context(|| format!("{} part {part}", artifact.folder().display()))?;
            match &mut whole {
                None => whole = Some(scores),
                Some(whole) => whole.append(scores)?,
            }
            Ok(())
        })?;
        Ok((whole.context("no scores")?, note))
    }
}
