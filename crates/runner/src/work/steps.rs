//! The steps of a run, each from the store into the store: whichever process does them, the result is the same.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use anyhow::{Context, Result};
use oodlab_detectors::FittedDetector;
use oodlab_features::Scores;

use super::job::{Share, Step};
use crate::lab::Lab;
use crate::plan::{Contender, Run};
use crate::stages::classified::split;
use crate::stages::evaluate::{Evaluate, Evaluated, FitCurve, ScoredContender, Stages};
use crate::stages::score::Score;
use crate::stages::source::FeatureSource;

/// Does one step. What it needs and does not find in the store it computes too.
pub fn execute(lab: &Lab, run: &Run, step: &Step) -> Result<()> {
    match *step {
        Step::Encode { set, share } => encode(lab, run, set, share),
        Step::Fit { contender } => fit(lab, run, of(run, contender)?),
        Step::Score { contender } => score(lab, run, of(run, contender)?, &mut Stages::default()).map(|_| ()),
        Step::Evaluate => evaluate(lab, run).map(|_| ()),
    }
}

fn of(run: &Run, contender: usize) -> Result<&Contender> {
    run.contenders.get(contender).map(AsRef::as_ref).with_context(|| format!("the run has no detector {contender}"))
}

fn encode(lab: &Lab, run: &Run, set: usize, share: Option<Share>) -> Result<()> {
    let source = run.sets.encodes().nth(set).with_context(|| format!("the run has no set {set}"))?;
    match (source, share) {
        (FeatureSource::Images(encode), Some(share)) => {
            let own: Vec<usize> = (0..encode.parts()).filter(|part| share.has(*part)).collect();
            encode.ensure_parts(lab, &own)?;
        }
        _ => {
            source.ensure(lab)?;
        }
    }
    Ok(())
}

fn fit(lab: &Lab, run: &Run, contender: &Contender) -> Result<()> {
    contender.fit.run(lab, &run.sets.train).with_context(|| format!("fit {}", contender.name))?;
    Ok(())
}

/// The scores of every set of a run by one detector, and how they were computed.
pub fn score(lab: &Lab, run: &Run, contender: &Contender, stages: &mut Stages) -> Result<ScoredContender> {
    let fitted = Fitted { lab, run, contender, loaded: OnceCell::new() };
    let mut score = |source: &FeatureSource| -> Result<Scores> { fitted.score(source, stages) };
    let sets = &run.sets;
    let (test, test_classes) = split(score(&sets.id_test)?);
    let shifted = sets.shifted.iter().map(|other| Ok(split(score(&other.encode)?)));
    let (shifted, shifted_classes) = shifted.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    Ok(ScoredContender {
        detector: contender.name.clone(),
        test,
        shifted,
        outliers: sets.outliers.iter().map(|outlier| Ok(split(score(&outlier.encode)?).0)).collect::<Result<_>>()?,
        test_classes,
        shifted_classes,
    })
}

/// The metrics of a run: read, or computed from its scores.
pub fn evaluate(lab: &Lab, run: &Run) -> Result<Evaluated> {
    Evaluate::new(run)?.run(lab, run, |stages| {
        let mut told = BTreeSet::new();
        for source in run.sets.encodes().filter(|source| told.insert(source.key())) {
            let note = source.known_note(lab)?.map_or_else(|| source.ensure(lab), Ok)?;
            stages.add(source.key(), &source.label(), note);
        }
        let (mut scored, mut curves) = (Vec::new(), Vec::new());
        for (place, contender) in run.contenders.iter().enumerate() {
            let name = &contender.name;
            let (fitted, mut note) = contender.fit.run(lab, &run.sets.train).with_context(|| format!("fit {name}"))?;
            note.extend(fitted.notes());
            stages.add(contender.fit.key(), &format!("fit {name}"), note);
            scored.push(score(lab, run, contender, stages)?);
            curves.extend(fitted.curves().into_iter().map(|curve| FitCurve {
                contender: place,
                name: curve.name,
                x_label: curve.x_label,
                y_label: curve.y_label,
                // Early stopping may leave epochs without a held-out loss.
                points: curve.points.into_iter().filter(|(x, y)| x.is_finite() && y.is_finite()).collect(),
            }));
        }
        Ok((scored, curves))
    })
}

/// The scoring stage of one detector on one encoded set.
pub fn score_stage(contender: &Contender, source: &FeatureSource) -> Result<Score> {
    let label = format!("score {} with {}", source.name(), contender.name);
    Score::new(contender.fit.key(), source.key(), &contender.score_config, source.len(), label)
}

/// A fitted detector that is read when the first score has to be computed.
struct Fitted<'a> {
    lab: &'a Lab,
    run: &'a Run,
    contender: &'a Contender,
    loaded: OnceCell<Box<dyn FittedDetector>>,
}

/// The scores of one set that need not be among those of the run.
pub fn score_set(lab: &Lab, run: &Run, contender: &Contender, source: &FeatureSource) -> Result<Scores> {
    let fitted = Fitted { lab, run, contender, loaded: OnceCell::new() };
    Ok(split(fitted.score(source, &mut Stages::default())?).0)
}

impl Fitted<'_> {
    fn score(&self, source: &FeatureSource, stages: &mut Stages) -> Result<Scores> {
        let stage = score_stage(self.contender, source)?;
        let part = |rows| {
            let reading = self.contender.fit.reading();
            let probe = if reading.probes.is_empty() { 0 } else { self.get()?.probe() };
            reading.through_probes(probe..(probe + 1).min(reading.probes.len())).rows(self.lab, source, rows)
        };
        let (scores, note) = stage.run(self.lab, || self.get(), part).with_context(|| stage.label().to_owned())?;
        stages.add(stage.key(), stage.label(), note);
        Ok(scores)
    }

    fn get(&self) -> Result<&dyn FittedDetector> {
        if let Some(loaded) = self.loaded.get() {
            return Ok(loaded.as_ref());
        }
        let (fitted, _) = self.contender.fit.run(self.lab, &self.run.sets.train)?;
        Ok(self.loaded.get_or_init(|| fitted).as_ref())
    }
}
