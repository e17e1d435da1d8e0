//! The choice among candidates, and the detector that was chosen.

use std::collections::BTreeMap;

use oodlab_base::Silent;
use oodlab_diffusion::NoCheckpoints;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Candidate, Tuned};
use crate::{
    Answer, Curve, DetectorError, Explained, FitContext, FittedDetector, Needs, ScoreContext, Unlabeled, Validation,
};

/// What came of one combination of settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tried {
    settings: Map<String, Value>,
    /// Mean AUROC over the validation sets; none where it could not be fitted.
    auroc: Option<f64>,
    /// Why not.
    refused: Option<String>,
}

/// The best combination, and what it was chosen from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    chosen: usize,
    tried: Vec<Tried>,
}

/// A choice with the bytes of the chosen detector.
pub(super) struct Choice {
    record: Record,
    bytes: Vec<u8>,
}

type Fit<'a> = dyn FnMut(&Candidate, &mut FitContext<'_>) -> Result<Box<dyn FittedDetector>, DetectorError> + 'a;

impl Choice {
    pub fn make(tuned: &Tuned, fit: &mut Fit<'_>, context: &mut FitContext<'_>) -> Result<Choice, DetectorError> {
        let unmet = || Needs { id_validation: true, ood_validation: true, ..Needs::default() }.unmet(tuned.base.kind());
        let validation = context.validation.ok_or_else(unmet)?;
        if validation.ood.is_empty() {
            return Err(unmet());
        }
        let task = context.progress.task("tune", "settings", tuned.candidates.len() as u64, 0);
        // Settings that only scoring depends on share one fit.
        let mut fits: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut tried: Vec<Tried> = Vec::new();
        let mut best: Option<(f64, usize, Vec<u8>)> = None;
        let mut last_refusal = None;
        for (at, candidate) in tuned.candidates.iter().enumerate() {
            context.cancel.check()?;
            let ood: Vec<_> = validation.ood.iter().map(|set| set.through_probe(candidate.probe)).collect();
            let seen = Validation { id: validation.id.through_probe(candidate.probe), ood: &ood, ..validation };
            let outcome = fitted(candidate, fit, &mut fits, seen, context).and_then(|bytes| {
                let detector = candidate.detector.load(&bytes)?;
                Ok((auroc(detector.as_ref(), &seen, context)?, bytes))
            });
            let settings = candidate.settings.clone();
            match outcome {
                Ok((auroc, bytes)) => {
                    tried.push(Tried { settings, auroc: Some(auroc), refused: None });
                    if best.as_ref().is_none_or(|(found, _, _)| auroc > *found) {
                        best = Some((auroc, at, bytes));
                    }
                }
                // A principal space wider than the features, say: the other values are still worth trying.
                Err(error @ (DetectorError::Config { .. } | DetectorError::NotFinite { .. })) => {
                    tried.push(Tried { settings, auroc: None, refused: Some(error.to_string()) });
                    last_refusal = Some(error);
                }
                Err(error) => return Err(error),
            }
            task.advance(1);
        }
        match (best, last_refusal) {
            (Some((_, chosen, bytes)), _) => Ok(Choice { record: Record { chosen, tried }, bytes }),
            (None, Some(error)) => Err(error),
            (None, None) => Err(super::grid::refuse("nothing to try")),
        }
    }
}

/// The bytes of a candidate's fit: known from another candidate or an earlier, interrupted fit, or computed.
fn fitted(
    candidate: &Candidate,
    fit: &mut Fit<'_>,
    known: &mut BTreeMap<String, Vec<u8>>,
    validation: Validation<'_>,
    context: &mut FitContext<'_>,
) -> Result<Vec<u8>, DetectorError> {
    let config = json!({
        "kind": candidate.detector.kind(),
        "revision": candidate.detector.revision(),
        "fit": candidate.detector.fit_config(),
        "probes": candidate.detector.probes(),
    });
    let name = config.to_string();
    if let Some(bytes) = known.get(&name) {
        return Ok(bytes.clone());
    }
    let kept = context.parts.load("candidate", &config).map_err(DetectorError::Parts)?;
    let bytes = match kept {
        Some(bytes) => bytes,
        None => {
            let mut inner = FitContext {
                seed: context.seed,
                progress: context.progress,
                cancel: context.cancel,
                // Checkpoints are kept under the key of the whole fit: those of one candidate would be taken for another's.
                checkpoints: &mut NoCheckpoints,
                checkpoint_every: 0,
                checkpoint_every_steps: 0,
                compute: context.compute,
                validation: Some(validation),
                parts: &mut *context.parts,
            };
            let bytes = fit(candidate, &mut inner)?.to_bytes()?;
            context.parts.save("candidate", &config, &bytes).map_err(DetectorError::Parts)?;
            bytes
        }
    };
    known.insert(name, bytes.clone());
    Ok(bytes)
}

/// The mean AUROC of a detector's first score over the validation sets.
fn auroc(
    detector: &dyn FittedDetector,
    validation: &Validation<'_>,
    context: &FitContext<'_>,
) -> Result<f64, DetectorError> {
    let score = |given: &Unlabeled<'_>| {
        let context = ScoreContext { first_index: 0, cancel: context.cancel, task: &Silent, compute: context.compute };
        Ok::<_, DetectorError>(detector.score(given, &context)?.into_iter().next().unwrap_or_default())
    };
    let id = score(&validation.id)?;
    let mut sum = 0.0;
    for set in validation.ood {
        sum += (validation.separation)(&id, &score(set)?);
    }
    Ok(sum / validation.ood.len() as f64)
}

/// The chosen detector.
#[derive(Debug)]
pub(super) struct Fitted {
    record: Record,
    probe: usize,
    inner: Box<dyn FittedDetector>,
}

impl Fitted {
    pub fn new(tuned: &Tuned, choice: Choice) -> Result<Fitted, DetectorError> {
        let candidate = &tuned.candidates[choice.record.chosen];
        let inner = candidate.detector.load(&choice.bytes)?;
        Ok(Fitted { record: choice.record, probe: candidate.probe, inner })
    }

    /// What [`FittedDetector::to_bytes`] wrote: the length of the record, the record, the detector.
    pub fn load(tuned: &Tuned, bytes: &[u8]) -> Result<Fitted, DetectorError> {
        let broken = |message: &str| DetectorError::Stored { kind: tuned.base.kind(), message: message.to_owned() };
        let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| broken("it is too short"))?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| broken("its record is too long"))?;
        let (record, rest) = rest.split_at_checked(length).ok_or_else(|| broken("its record is cut off"))?;
        let record: Record = serde_json::from_slice(record).map_err(|error| broken(&error.to_string()))?;
        let candidate = tuned.candidates.get(record.chosen).filter(|candidate| {
            record.tried.get(record.chosen).is_some_and(|tried| tried.settings == candidate.settings)
        });
        let candidate = candidate.ok_or_else(|| broken("its choice is not among the settings tried"))?;
        Ok(Fitted { inner: candidate.detector.load(rest)?, probe: candidate.probe, record })
    }
}

/// `percentile = 90, from = "train"`
fn shown(settings: &Map<String, Value>) -> String {
    settings.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ")
}

impl FittedDetector for Fitted {
    fn score_names(&self) -> Vec<String> {
        self.inner.score_names()
    }

    fn probe(&self) -> usize {
        self.probe
    }

    fn score(&self, given: &Unlabeled<'_>, context: &ScoreContext<'_>) -> Result<Vec<Vec<f64>>, DetectorError> {
        self.inner.score(given, context)
    }

    fn answer(&self, given: &Unlabeled<'_>, context: &ScoreContext<'_>) -> Result<Answer, DetectorError> {
        self.inner.answer(given, context)
    }

    fn explain(&self, given: &Unlabeled<'_>, context: &ScoreContext<'_>) -> Result<Vec<Explained>, DetectorError> {
        self.inner.explain(given, context)
    }

    fn to_bytes(&self) -> Result<Vec<u8>, DetectorError> {
        let record = serde_json::to_vec(&self.record)
            .map_err(|error| DetectorError::Stored { kind: "tuned", message: error.to_string() })?;
        let mut bytes = (record.len() as u64).to_le_bytes().to_vec();
        bytes.extend(record);
        bytes.extend(self.inner.to_bytes()?);
        Ok(bytes)
    }

    fn curves(&self) -> Vec<Curve> {
        self.inner.curves()
    }

    fn notes(&self) -> Vec<(String, String)> {
        let tried = self.record.tried.iter().map(|tried| match (tried.auroc, &tried.refused) {
            (Some(auroc), _) => format!("{}: {:.2}", shown(&tried.settings), 100.0 * auroc),
            (None, refused) => format!("{}: {}", shown(&tried.settings), refused.as_deref().unwrap_or("refused")),
        });
        let tried = tried.collect::<Vec<_>>().join("; ");
        let mut notes = self.inner.notes();
        if let Some(chosen) = self.record.tried.get(self.record.chosen) {
            notes.push(("tuned".to_owned(), shown(&chosen.settings)));
        }
        notes.push(("tried (AUROC on validation sets)".to_owned(), tried));
        notes
    }
}
