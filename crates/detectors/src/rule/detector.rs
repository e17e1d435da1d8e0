//! A rule as a detector: one wrapper for those that see labels, one for those that never do.

use oodlab_encoders::probe::Probe;
use serde_json::{Map, Value};

use super::fitted::Fitted;
use super::{Arrays, FitsLabeled, FitsUnlabeled, Rule, Sizes};
use crate::{
    Detector, DetectorError, FitContext, FittedDetector, Labeled, Needs, ScoreSpec, Supervised, Unlabeled, section,
};

/// For the registry: a rule that sees no label.
pub(crate) fn build_unlabeled<R: FitsUnlabeled>(
    config: Value,
    scores: &[ScoreSpec],
) -> Result<Box<dyn Detector>, DetectorError> {
    Ok(Box::new(OfSamples(read::<R>(config, scores)?)))
}

/// For the registry: a rule that learns from classes.
pub(crate) fn build_labeled<R: FitsLabeled>(
    config: Value,
    scores: &[ScoreSpec],
) -> Result<Box<dyn Detector>, DetectorError> {
    Ok(Box::new(OfClasses(read::<R>(config, scores)?)))
}

fn read<R: Rule>(config: Value, scores: &[ScoreSpec]) -> Result<R, DetectorError> {
    if let Some(other) = scores.iter().find(|spec| spec.name != R::KIND || !spec.options.is_empty()) {
        let (hint, known) = (oodlab_base::text::hint(&other.name, [R::KIND]), R::KIND.to_owned());
        return Err(DetectorError::UnknownScore { score: other.name.clone(), kind: R::KIND, hint, known });
    }
    if scores.len() > 1 {
        return Err(DetectorError::ScoreTwice(R::KIND.to_owned()));
    }
    let rule: R = section::read("detector", Some(config))?;
    rule.check()?;
    Ok(rule)
}

#[derive(Debug)]
struct OfSamples<R>(R);

#[derive(Debug)]
struct OfClasses<R>(R);

/// The settings that scoring alone depends on, or all others.
fn settings<R: Rule>(rule: &R, scoring: bool) -> Value {
    let all = match serde_json::to_value(rule) {
        Ok(Value::Object(all)) => all,
        // A rule without settings.
        _ => Map::new(),
    };
    all.into_iter().filter(|(key, _)| R::SCORED_BY.contains(&key.as_str()) == scoring).collect()
}

fn fitted<R: Rule>(rule: &R, given: &Unlabeled<'_>, arrays: Arrays) -> Result<Box<dyn FittedDetector>, DetectorError> {
    let sizes = Sizes::of(rule, given)?;
    // The same check as when it is read back: a detector that could not be loaded is not stored.
    rule.check_arrays(&arrays, &sizes).map_err(|message| DetectorError::Stored { kind: R::KIND, message })?;
    Ok(Box::new(Fitted { rule: rule.clone(), sizes, arrays }))
}

/// What both wrappers share.
macro_rules! described_by_the_rule {
    () => {
        fn kind(&self) -> &'static str {
            R::KIND
        }

        fn needs(&self) -> Needs {
            self.0.needs()
        }

        fn revision(&self) -> u32 {
            R::REVISION
        }

        fn fit_config(&self) -> Value {
            settings(&self.0, false)
        }

        fn score_config(&self) -> Value {
            settings(&self.0, true)
        }

        fn score_names(&self) -> Vec<String> {
            vec![R::KIND.to_owned()]
        }

        fn probes(&self) -> Vec<Probe> {
            self.0.probe().into_iter().collect()
        }

        fn probes_training(&self) -> bool {
            R::PROBES_TRAINING
        }

        fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
            self.0.space()
        }

        fn load(&self, bytes: &[u8]) -> Result<Box<dyn FittedDetector>, DetectorError> {
            Ok(Box::new(Fitted::load(&self.0, bytes)?))
        }
    };
}

impl<R: FitsUnlabeled> Detector for OfSamples<R> {
    described_by_the_rule!();

    fn fit(
        &self,
        train: &Unlabeled<'_>,
        context: &mut FitContext<'_>,
    ) -> Result<Box<dyn FittedDetector>, DetectorError> {
        context.cancel.check()?;
        train.check(R::KIND)?;
        let arrays = self.0.fit(train, context)?;
        fitted(&self.0, train, arrays)
    }
}

impl<R: FitsLabeled> Detector for OfClasses<R> {
    described_by_the_rule!();

    fn supervised(&self) -> Option<&dyn Supervised> {
        Some(self)
    }

    fn fit(&self, _: &Unlabeled<'_>, _: &mut FitContext<'_>) -> Result<Box<dyn FittedDetector>, DetectorError> {
        Err(Needs { labels: true, ..Needs::default() }.unmet(R::KIND))
    }
}

impl<R: FitsLabeled> Supervised for OfClasses<R> {
    fn fit_labeled(
        &self,
        train: &Labeled<'_>,
        context: &mut FitContext<'_>,
    ) -> Result<Box<dyn FittedDetector>, DetectorError> {
        context.cancel.check()?;
        train.check(R::KIND)?;
        let arrays = self.0.fit(train, context)?;
        fitted(&self.0, &train.given, arrays)
    }
}
