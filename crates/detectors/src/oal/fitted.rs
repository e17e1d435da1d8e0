//! The trained student, and the detectors that were fitted on it.

use oodlab_diffusion::NoCheckpoints;
use oodlab_features::{Features, Head, Layer, Logits};
use oodlab_outliers::student::TrainedStudent;
use serde::{Deserialize, Serialize};

use super::KIND;
use super::scores::{Formula, Scores, Source};
use crate::softmax::softmax;
use crate::{
    Answer, Classes, Curve, DetectorError, FitContext, FittedDetector, Labeled, NoParts, ScoreContext, Unlabeled,
    Validation, check_scores,
};

/// Samples that the student answers for at a time.
const AT_ONCE: usize = 512;

#[derive(Debug)]
pub(super) struct Fitted {
    student: TrainedStudent,
    head: Head,
    names: Vec<String>,
    scores: Vec<Score>,
}

#[derive(Debug)]
enum Score {
    Formula(Formula),
    Detector(Box<dyn FittedDetector>),
}

/// What stands before the student's bytes and those of the detectors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    student: usize,
    detectors: Vec<usize>,
}

impl Fitted {
    /// Fits what asks for it on the student's answers to the training samples.
    pub fn fit(
        scores: &Scores,
        student: TrainedStudent,
        train: &Labeled<'_>,
        context: &mut FitContext<'_>,
    ) -> Result<Fitted, DetectorError> {
        let head = student.head()?;
        let mut fitted = Fitted { student, head, names: scores.names(), scores: Vec::new() };
        let mut answers = None;
        for source in &scores.0 {
            fitted.scores.push(match source {
                Source::Formula(formula) => Score::Formula(*formula),
                Source::Detector(detector) => {
                    // One pass over the samples serves all detectors.
                    let answers = match &answers {
                        Some(answers) => answers,
                        None => answers.insert(Answers::new(&fitted, train, context)?),
                    };
                    let ood: Vec<Unlabeled<'_>> = answers.ood.iter().map(|set| fitted.given(set)).collect();
                    let validation = answers.id.as_ref().zip(context.validation.as_ref());
                    let mut inner = FitContext {
                        seed: context.seed,
                        progress: context.progress,
                        cancel: context.cancel,
                        checkpoints: &mut NoCheckpoints,
                        checkpoint_every: 0,
                        checkpoint_every_steps: 0,
                        compute: context.compute,
                        validation: validation.map(|(id, outer)| Validation {
                            id: fitted.given(id),
                            ood: &ood,
                            separation: outer.separation,
                        }),
                        parts: &mut NoParts,
                    };
                    let given = fitted.given(&answers.train);
                    Score::Detector(match detector.supervised() {
                        Some(supervised) => {
                            supervised.fit_labeled(&Labeled { given, teacher: None, ..*train }, &mut inner)?
                        }
                        None => detector.fit(&given, &mut inner)?,
                    })
                }
            });
        }
        Ok(fitted)
    }

    pub fn load(scores: &Scores, bytes: &[u8]) -> Result<Fitted, DetectorError> {
        let broken = |message: &str| DetectorError::Stored { kind: KIND, message: message.to_owned() };
        let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| broken("it is too short"))?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| broken("its header is too long"))?;
        let (header, mut rest) = rest.split_at_checked(length).ok_or_else(|| broken("its header is cut off"))?;
        let header: Header = serde_json::from_slice(header).map_err(|error| broken(&error.to_string()))?;
        let mut take = |length: usize| {
            let (part, behind) = rest.split_at_checked(length).ok_or_else(|| broken("a part is cut off"))?;
            rest = behind;
            Ok::<_, DetectorError>(part)
        };
        let student = TrainedStudent::from_bytes(take(header.student)?).map_err(|error| broken(&error.to_string()))?;
        let head = student.head().map_err(|error| broken(&error.to_string()))?;
        let mut lengths = header.detectors.into_iter();
        let mut found = Vec::new();
        for source in &scores.0 {
            found.push(match source {
                Source::Formula(formula) => Score::Formula(*formula),
                Source::Detector(detector) => {
                    let length = lengths.next().ok_or_else(|| broken("it holds fewer detectors than are asked for"))?;
                    let loaded = detector.load(take(length)?);
                    Score::Detector(loaded.map_err(|error| broken(&error.to_string()))?)
                }
            });
        }
        if lengths.next().is_some() || !rest.is_empty() {
            return Err(broken("it holds more than is asked for"));
        }
        Ok(Fitted { student, head, names: scores.names(), scores: found })
    }

    /// What the student says of samples: one layer, its feature, with class scores.
    fn said(&self, given: &Unlabeled<'_>, cancel: &oodlab_base::Cancel) -> Result<Features, DetectorError> {
        let features = given.features();
        let (dim, width) = (self.student.dim(), self.student.width());
        if features.width() != dim {
            let (expected, found) = (format!("{dim} values"), format!("{} values", features.width()));
            return Err(DetectorError::OtherLayers { expected, found });
        }
        let (mut values, mut logits) = (Vec::new(), Vec::new());
        for part in features.values().chunks(AT_ONCE * dim) {
            cancel.check()?;
            let said = self.student.predict(part)?;
            values.extend(said.features);
            logits.extend(said.logits);
        }
        let layers = Layer::consecutive([("penultimate", width)]);
        let answered = Features::new(layers, given.ids().to_vec(), values)?;
        Ok(answered.with_logits(Logits { classes: self.student.classes(), values: logits })?)
    }

    /// The student's answers as another detector is given them.
    fn given<'a>(&'a self, answers: &'a Features) -> Unlabeled<'a> {
        Unlabeled::new(answers).with_penultimate(Some(answers)).with_head(Some(&self.head))
    }
}

/// The first of the likeliest classes, and its probability.
fn likeliest(logits: &[f32]) -> (u32, f64) {
    let (mut class, mut confidence) = (0, 0.0);
    for (at, p) in softmax(logits).into_iter().enumerate() {
        if p > confidence {
            (class, confidence) = (at as u32, p);
        }
    }
    (class, confidence)
}

/// The student's answers to everything that is fitted on.
struct Answers {
    train: Features,
    id: Option<Features>,
    ood: Vec<Features>,
}

impl Answers {
    fn new(fitted: &Fitted, train: &Labeled<'_>, context: &FitContext<'_>) -> Result<Answers, DetectorError> {
        let answer = |given: &Unlabeled<'_>| fitted.said(given, context.cancel);
        let (id, ood) = match &context.validation {
            Some(validation) => {
                (Some(answer(&validation.id)?), validation.ood.iter().map(answer).collect::<Result<_, _>>()?)
            }
            None => (None, Vec::new()),
        };
        Ok(Answers { train: answer(&train.given)?, id, ood })
    }
}

impl FittedDetector for Fitted {
    fn score_names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn score(&self, given: &Unlabeled<'_>, context: &ScoreContext<'_>) -> Result<Vec<Vec<f64>>, DetectorError> {
        Ok(self.answer(given, context)?.scores)
    }

    fn answer(&self, given: &Unlabeled<'_>, context: &ScoreContext<'_>) -> Result<Answer, DetectorError> {
        context.cancel.check()?;
        given.check(KIND)?;
        let answers = self.said(given, context.cancel)?;
        let logits = self.given(&answers).logits(KIND)?;
        let silent = ScoreContext { task: &oodlab_base::Silent, ..*context };
        let mut all = Vec::new();
        for score in &self.scores {
            match score {
                Score::Formula(formula) => {
                    all.push(logits.values.chunks_exact(logits.classes).map(|row| formula.of(row)).collect());
                }
                Score::Detector(detector) => all.extend(detector.score(&self.given(&answers), &silent)?),
            }
        }
        check_scores(&self.names, given.ids(), &all)?;
        context.task.advance(given.rows() as u64);
        let mut classes = Classes::default();
        for row in logits.values.chunks_exact(logits.classes) {
            let (class, confidence) = likeliest(row);
            classes.predicted.push(class);
            classes.confidence.push(confidence);
        }
        Ok(Answer { scores: all, classes: Some(classes) })
    }

    fn notes(&self) -> Vec<(String, String)> {
        let of = |score: &Score| match score {
            Score::Formula(_) => Vec::new(),
            Score::Detector(detector) => detector.notes(),
        };
        self.scores.iter().flat_map(of).collect()
    }

    fn to_bytes(&self) -> Result<Vec<u8>, DetectorError> {
        let student = self.student.to_bytes()?;
        let mut parts = Vec::new();
        for score in &self.scores {
            if let Score::Detector(detector) = score {
                parts.push(detector.to_bytes()?);
            }
        }
        let header = Header { student: student.len(), detectors: parts.iter().map(Vec::len).collect() };
        let header = serde_json::to_vec(&header)
            .map_err(|error| DetectorError::Stored { kind: KIND, message: error.to_string() })?;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        bytes.extend(student);
        bytes.extend(parts.concat());
        Ok(bytes)
    }

    fn curves(&self) -> Vec<Curve> {
        let curve = |curve: &oodlab_outliers::student::Curve| Curve {
            name: curve.name.clone(),
            x_label: "epoch".into(),
            y_label: match curve.name.as_str() {
                "accuracy" => "accuracy on augmented training samples".to_owned(),
                "validation_accuracy" => "accuracy on validation samples".to_owned(),
                "loss" => "training loss".to_owned(),
                term => format!("{term} term of the loss, without its weight"),
            },
            points: curve.points.iter().map(|(epoch, value)| (*epoch as f64, *value)).collect(),
        };
        self.student.curves().all().iter().map(curve).collect()
    }
}
