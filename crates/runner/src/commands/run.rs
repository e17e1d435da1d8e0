//! `oodlab run`: every stage of every cell and seed, then tables and figures.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use oodlab_base::Key;
use oodlab_detectors::FittedDetector;
use oodlab_features::Scores;

use crate::cli::Target;
use crate::commands::shard::Shard;
use crate::commands::{print, print_json};
use crate::config::{Environment, Source};
use crate::failure::{describe, is_cancelled};
use crate::lab::Lab;
use crate::output::{self, Classified, Inliers, Outcome, ScoredContender, ScoredRun, Stages};
use crate::plan::{Contender, Plan, Run};
use crate::stages::Note;
use crate::stages::score::Score;
use crate::stages::source::FeatureSource;

/// What to run.
#[derive(Debug, Clone, Args)]
pub struct RunArguments {
    #[command(flatten)]
    pub target: Target,
    /// Encode only share I of N equal shares of the images, and stop: as in 2/4
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
}

/// Runs an experiment file and prints its table.
pub fn run(lab: &Lab, arguments: &RunArguments, json: bool) -> Result<()> {
    let target = &arguments.target;
    if let Some(shard) = arguments.shard {
        return super::shard::run(lab, target, shard, json);
    }
    let source = Source::open(&target.file, &target.overrides, Environment::Read)?;
    let outcome = execute(lab, &source)?;
    if json {
        print_json(&outcome.summary())?;
    } else {
        print(&outcome.table.to_terminal())?;
        for table in &outcome.drawn.tables {
            print(&format!("\n{table}"))?;
        }
        for note in &outcome.notes {
            print(&format!("{note}\n"))?;
        }
        print(&format!("written: {}\n", outcome.folder.display()))?;
    }
    outcome.fail_if_any_run_failed()
}

/// Runs every cell and seed; a failed one is recorded and the rest goes on.
pub fn execute(lab: &Lab, source: &Source) -> Result<Outcome> {
    let plan = Plan::new(lab, source)?;
    for (set, how) in &plan.missing {
        tracing::warn!("{set} is not at hand and is left out: {how}");
    }
    output::check_wishes(source, &plan)?;
    let folder = output::prepare(lab, &plan)?;
    let mut worker = Worker { lab, encoded: BTreeMap::new() };
    let mut finished = Vec::new();
    let mut failures = BTreeMap::new();
    for run in &plan.runs {
        let run_folder = output::start_run(lab, &folder, source, run)?;
        let started = Instant::now();
        match worker.run(run) {
            Ok(done) => {
                tracing::info!(seconds = started.elapsed().as_secs_f64(), "finished");
                output::finish_run(&run_folder, source, run, &done)?;
                finished.push((run, done));
            }
            Err(error) if is_cancelled(&error) || lab.cancel.is_cancelled() => return Err(error),
            // One run alone: its error is the program's.
            Err(error) if plan.runs.len() == 1 => return Err(error),
            Err(error) => {
                let told = describe(&error);
                tracing::error!("run {} ({}) failed: {told}", run.key.short(), run.name());
                failures.insert(format!("{} ({})", run.key.short(), run.name()), told);
            }
        }
        lab.run_log.close();
    }
    output::write(lab, source, &plan, folder, &finished, failures)
}

struct Worker<'a> {
    lab: &'a Lab,
    /// How the features that this process made sure of were computed, by key: cells that share them are checked once.
    encoded: BTreeMap<Key, Note>,
}

impl Worker<'_> {
    fn run(&mut self, run: &Run) -> Result<ScoredRun> {
        // Everything is encoded first: an unreadable image is found before hours of training.
        let mut stages = Stages::default();
        for encode in run.encodes() {
            let note = self.encoded(encode)?;
            stages.add(encode.key(), &encode.label(), note);
        }
        let mut contenders = Vec::new();
        for contender in &run.contenders {
            contenders.push(self.contend(run, contender, &mut stages)?);
        }
        let classified = Classified::of(self.lab, run)?;
        ScoredRun::new(run, contenders, stages, classified.as_ref())
    }

    fn encoded(&mut self, encode: &FeatureSource) -> Result<Note> {
        if let Some(known) = self.encoded.get(&encode.key()) {
            return Ok(known.clone());
        }
        let note = encode.ensure(self.lab)?;
        self.encoded.insert(encode.key(), note.clone());
        Ok(note)
    }

    fn contend(&self, run: &Run, contender: &Contender, stages: &mut Stages) -> Result<ScoredContender> {
        let name = &contender.name;
        let (fitted, note) = contender.fit.run(self.lab, &run.train).with_context(|| format!("fit {name}"))?;
        stages.add(contender.fit.key(), &format!("fit {name}"), note);
        let mut score = |encode: &FeatureSource| self.score(run, contender, fitted.as_ref(), encode, stages);
        let id = score(&run.id_test)?;
        let shifted = run.shifted.iter().map(|other| score(&other.encode)).collect::<Result<_>>()?;
        let outliers = run.outliers.iter().map(|outlier| score(&outlier.encode)).collect::<Result<_>>()?;
        Ok(ScoredContender {
            detector: name.clone(),
            curves: fitted.curves(),
            id: Inliers { test: id, shifted },
            outliers,
        })
    }

    fn score(
        &self,
        run: &Run,
        contender: &Contender,
        fitted: &dyn FittedDetector,
        encode: &FeatureSource,
        stages: &mut Stages,
    ) -> Result<Scores> {
        let stage = score_stage(run, contender, encode)?;
        let label = stage.label().to_owned();
        let part = |rows: Range<usize>| encode.rows(self.lab, rows, &run.layers);
        let (scores, note) = stage.run(self.lab, fitted, part).with_context(|| label.clone())?;
        stages.add(stage.key(), &label, note);
        Ok(scores)
    }
}

/// The scoring stage of one detector on one encoded set.
pub fn score_stage(run: &Run, contender: &Contender, encode: &FeatureSource) -> Result<Score> {
    let detector = contender.fit.detector();
    let config = serde_json::json!({ "score": detector.score_config(), "layers": run.layers, "seed": run.seed });
    let label = format!("score {} with {}", encode.name(), contender.name);
    Score::new(contender.fit.key(), encode.key(), &config, encode.len(), label)
}
