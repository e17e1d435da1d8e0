//! `oodlab run`: every stage of every cell and seed, then tables and figures.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use oodlab_base::Key;
use oodlab_detectors::FittedDetector;
use oodlab_features::{Features, Scores};

use crate::cli::Target;
use crate::commands::{print, print_json};
use crate::config::Source;
use crate::failure::is_cancelled;
use crate::lab::Lab;
use crate::output::{self, Outcome, ScoredContender, ScoredRun};
use crate::plan::{Contender, Plan, Run};
use crate::stages::encode::Encode;
use crate::stages::score::Score;

/// Runs an experiment file and prints its table.
pub fn run(lab: &Lab, target: &Target, json: bool) -> Result<()> {
    let source = Source::open(&target.file, &target.overrides)?;
    let outcome = execute(lab, &source)?;
    if json {
        print_json(&outcome.summary())?;
    } else {
        print(&outcome.table.to_terminal())?;
        for (set, how) in &outcome.missing {
            print(&format!("missing: {set} (not in any mean above); {how}\n"))?;
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
    let folder = output::prepare(lab, &plan)?;
    let mut worker = Worker { lab, features: BTreeMap::new() };
    let mut scored = Vec::new();
    let mut failures = BTreeMap::new();
    for run in &plan.runs {
        let run_folder = output::start_run(lab, &folder, source, run)?;
        let started = Instant::now();
        match worker.run(run) {
            Ok(mut done) => {
                done.seconds.insert("total".into(), started.elapsed().as_secs_f64());
                output::finish_run(&run_folder, source, run, &done)?;
                scored.push(done);
            }
            Err(error) if is_cancelled(&error) => return Err(error),
            Err(error) => {
                tracing::error!("run {} failed: {error:#}", run.key.short());
                failures.insert(run.key.short(), format!("{error:#}"));
            }
        }
        lab.run_log.close();
    }
    output::write(lab, &plan, folder, &scored, failures)
}

struct Worker<'a> {
    lab: &'a Lab,
    /// Features by key, so that cells that share them read them once.
    features: BTreeMap<Key, Arc<Features>>,
}

impl Worker<'_> {
    fn run(&mut self, run: &Run) -> Result<ScoredRun> {
        let mut seconds = BTreeMap::new();
        let started = Instant::now();
        // Everything is encoded first: an unreadable image is found before hours of training.
        for encode in [&run.train, &run.id_test].into_iter().chain(run.outliers.iter().map(|o| &o.encode)) {
            self.encoded(encode)?;
        }
        seconds.insert("encode".to_owned(), started.elapsed().as_secs_f64());
        let mut contenders = Vec::new();
        for contender in &run.contenders {
            contenders.push(self.contend(run, contender, &mut seconds)?);
        }
        ScoredRun::new(run, contenders, seconds)
    }

    fn encoded(&mut self, encode: &Encode) -> Result<Arc<Features>> {
        if let Some(known) = self.features.get(&encode.key()) {
            return Ok(known.clone());
        }
        let features = Arc::new(encode.run(self.lab)?);
        self.features.insert(encode.key(), features.clone());
        Ok(features)
    }

    fn contend(
        &mut self,
        run: &Run,
        contender: &Contender,
        seconds: &mut BTreeMap<String, f64>,
    ) -> Result<ScoredContender> {
        let kind = contender.fit.detector().kind();
        let started = Instant::now();
        let train = self.encoded(&run.train)?;
        let fitted: Arc<dyn FittedDetector> = Arc::from(
            contender
                .fit
                .run(self.lab, || Ok(Arc::new(train.select(&run.layers)?)))
                .with_context(|| format!("fit {kind}"))?,
        );
        seconds.insert(format!("fit {kind}"), started.elapsed().as_secs_f64());
        let started = Instant::now();
        let id = self.score(run, contender, &fitted, &run.id_test)?;
        let mut outliers = Vec::new();
        for outlier in &run.outliers {
            outliers.push(self.score(run, contender, &fitted, &outlier.encode)?);
        }
        seconds.insert(format!("score {kind}"), started.elapsed().as_secs_f64());
        Ok(ScoredContender { detector: kind.to_owned(), curves: fitted.curves(), id, outliers })
    }

    fn score(
        &mut self,
        run: &Run,
        contender: &Contender,
        fitted: &Arc<dyn FittedDetector>,
        encode: &Encode,
    ) -> Result<Scores> {
        let features = self.encoded(encode)?;
        let stage = score_stage(run, contender, encode)?;
        let label = stage.label().to_owned();
        stage
            .run(self.lab, || Ok(fitted.clone()), || Ok(Arc::new(features.select(&run.layers)?)))
            .with_context(|| label)
    }
}

/// The scoring stage of one detector on one encoded set.
pub fn score_stage(run: &Run, contender: &Contender, encode: &Encode) -> Result<Score> {
    let detector = contender.fit.detector();
    let config = serde_json::json!({ "score": detector.score_config(), "layers": run.layers, "seed": run.seed });
    let label = format!("score {} with {}", encode.images().name(), detector.kind());
    Score::new(contender.fit.key(), encode.key(), &config, encode.images().len(), label)
}
