//! The detectors of a run: the experiment's own, and the controls beside it.

use std::sync::Arc;

use anyhow::Result;
use oodlab_base::{Key, KeyBuilder};
use oodlab_detectors::{CONTROLS, Detector, DetectorError, ScoreSpec};
use serde_json::json;

use super::{Planner, Sets};
use crate::config::Experiment;
use crate::config::control::{self, Control};
use crate::failure::at;
use crate::stages::fit::Fit;

/// A detector of a run: the experiment's own, or a control.
pub struct Contender {
    /// Training.
    pub fit: Fit,
    /// Whether it is a control.
    pub control: bool,
    /// Its name in tables: the kind, unless its section has a name.
    pub name: String,
    /// What its scores depend on beside the fit: settings, layers, seed.
    pub score_config: serde_json::Value,
    /// Equal where the same features get the same scores.
    pub scoring: Key,
}

/// The detector that an experiment describes.
pub fn detector(experiment: &Experiment) -> Result<Box<dyn Detector>> {
    let parts = control::parts(&experiment.detector).map_err(|what| at("detector", &what))?;
    if !parts.scores.is_empty() {
        return Err(at("detector.scores", "the scores of the experiment's own detector stand under `scores`"));
    }
    let mut section = parts.settings.as_object().cloned().unwrap_or_default();
    if let Some(weights) = &experiment.features.layer_weights
        && section.insert("layer_weights".into(), serde_json::json!(weights)).is_some()
    {
        return Err(at("detector.layer_weights", "features.layer_weights is given too; keep one of them"));
    }
    let weighted = experiment.features.layer_weights.is_some();
    build(&parts.kind, section.into(), &experiment.scores).map_err(|error| match &*error {
        DetectorError::Config { message, .. } if weighted && message.starts_with("unknown key `layer_weights`") => {
            at("features.layer_weights", &format!("detector {} weighs no layers; leave it out", parts.kind))
        }
        _ => misplaced(*error),
    })
}

/// Kind, settings and scores of the detector of that name in tables, as an experiment describes it: all that [`oodlab_detectors::build`]
/// takes.
pub fn described(experiment: &Experiment, name: &str) -> Result<(String, serde_json::Value, Vec<serde_json::Value>)> {
    let own = control::parts(&experiment.detector).map_err(|what| at("detector", &what))?;
    if own.name == name {
        let mut settings = own.settings.as_object().cloned().unwrap_or_default();
        if let Some(weights) = &experiment.features.layer_weights {
            settings.insert("layer_weights".into(), json!(weights));
        }
        return Ok((own.kind, settings.into(), experiment.scores.clone()));
    }
    let named = experiment.controls.iter().find(|control| control.name() == name);
    let control = named.cloned().unwrap_or_else(|| Control::kind(name));
    let parts = control.parts().map_err(|what| at("controls", &what))?;
    Ok((parts.kind, parts.settings, parts.scores))
}

fn build(
    kind: &str,
    settings: serde_json::Value,
    scores: &[serde_json::Value],
) -> Result<Box<dyn Detector>, Box<DetectorError>> {
    let scores = scores.iter().map(ScoreSpec::parse).collect::<Result<Vec<_>, _>>()?;
    Ok(oodlab_detectors::build(kind, settings, &scores)?)
}

impl Planner<'_> {
    /// The experiment's own detector first, then the controls. Equal ones of several runs are one: a sweep over the detector's settings builds
    /// its controls once.
    pub(super) fn contenders(
        &mut self,
        experiment: &Experiment,
        sets: &Sets,
        layers: &[usize],
        seed: u64,
    ) -> Result<Vec<Arc<Contender>>> {
        let described = json!([experiment.detector, experiment.scores, experiment.features.layer_weights]).to_string();
        let own =
            self.contender((described, sets.train.key(), layers.to_vec(), seed), false, (experiment, sets), || {
                let name = control::parts(&experiment.detector).map(|parts| parts.name).unwrap_or_default();
                let detector = detector(experiment)?;
                detector.check_layers(layers.len()).map_err(misplaced)?;
                Ok((name, detector, "detector".to_owned()))
            })?;
        let mut found = vec![own.clone()];
        // Some controls stand in every table, whatever else is asked for.
        let always =
            CONTROLS.iter().copied().filter(|always| !experiment.controls.iter().any(|named| named.name() == *always));
        let always: Vec<Control> = always.map(Control::kind).collect();
        for (place, control) in experiment.controls.iter().chain(&always).enumerate() {
            let place = format!("controls.{place}");
            if control.name() == own.name {
                // A kind that is the detector already needs no second line; a section with its name is a mistake.
                if matches!(control, Control::Kind(_)) {
                    continue;
                }
                let what = format!("the experiment's detector is called {:?} too; give this one a `name`", own.name);
                return Err(at(&place, &what));
            }
            let identity = (serde_json::to_string(control)?, sets.train.key(), layers.to_vec(), seed);
            found.push(self.contender(identity, true, (experiment, sets), || {
                let parts = control.parts().map_err(|what| at(&place, &what))?;
                let wrong = |error: DetectorError| at(&place, &error.to_string());
                let detector = build(&parts.kind, parts.settings, &parts.scores).map_err(|error| wrong(*error))?;
                detector.check_layers(layers.len()).map_err(wrong)?;
                Ok((parts.name, detector, place.clone()))
            })?);
        }
        Ok(found)
    }

    /// A contender, built unless an equal one was.
    fn contender(
        &mut self,
        identity: Identity,
        control: bool,
        (experiment, sets): (&Experiment, &Sets),
        build: impl FnOnce() -> Result<(String, Box<dyn Detector>, String)>,
    ) -> Result<Arc<Contender>> {
        if let Some(known) = self.contenders.get(&identity) {
            return Ok(known.clone());
        }
        let (name, detector, place) = build()?;
        detector.check_compute(&self.lab.compute).map_err(misplaced)?;
        let (_, _, layers, seed) = &identity;
        let inputs = self.inputs(detector.as_ref(), experiment, sets, layers, &place)?;
        let fit = Fit::new(self.lab, detector, &sets.train, inputs, *seed)?;
        let layers = &fit.reading().layers;
        let score_config = json!({ "score": fit.detector().score_config(), "layers": layers, "seed": seed });
        let scoring = KeyBuilder::new("scoring", 1).key("fit", &fit.key()).config("score", &score_config)?.finish();
        let contender = Arc::new(Contender { fit, control, name, score_config, scoring });
        self.contenders.insert(identity, contender.clone());
        Ok(contender)
    }
}

/// What two contenders share when they are one: their description, the training features, the layers and the seed. A list describes the
/// experiment's own detector and a name or a section a control, so that the two are never taken for one another.
pub(super) type Identity = (String, Key, Vec<usize>, u64);

/// Where in the experiment a detector's error stands: it names its section, and an unknown key between backticks.
fn misplaced(error: DetectorError) -> anyhow::Error {
    match &error {
        DetectorError::Config { place, message } => {
            match message.strip_prefix("unknown key `").and_then(|rest| rest.split_once('`')) {
                Some((key, _)) => at(&format!("{place}.{key}"), message),
                None => at(place, message),
            }
        }
        DetectorError::TooFewLayers { .. } => at("scores", &format!("{error}; name the scores that you want")),
        DetectorError::UnknownKind { .. } => at("detector.kind", &error.to_string()),
        DetectorError::UnknownScore { .. } | DetectorError::ScoreTwice(_) => at("scores", &error.to_string()),
        other => at("detector", &other.to_string()),
    }
}
