//! Metrics of a run from its scores, and how uncertain they are. Kept like any other stage: a finished cell of a sweep is read, not
//! computed again.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use oodlab_base::{Key, KeyBuilder};
use oodlab_evaluation::metrics::Recall;
use oodlab_evaluation::metrics::bootstrap::Replicates;
use oodlab_evaluation::metrics::classification::oscr;
use oodlab_evaluation::record::StageAbout;
use oodlab_evaluation::{FprRule, Metric, evaluate};
use oodlab_features::Scores;
use serde::{Deserialize, Serialize};

use super::classified::{Classified, Found};
use super::{Note, Work, each_part};
use crate::lab::Lab;
use crate::plan::Run;
use crate::stages::source::FeatureSource;

/// Raise when the stage's results change: metrics, intervals, warnings.
const REVISION: u32 = 1;

/// The rule of the operating point in every table; `oodlab metrics --convention` has the others.
pub const RULE: FprRule = FprRule::FirstAtLeast;

/// The evaluation of one run.
pub struct Evaluate {
    key: Key,
}

/// What is kept of a run beside its scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluated {
    /// Metrics of every detector, score and out-of-distribution set, in that order.
    pub sets: Vec<SetMetrics>,
    /// Intervals of the means over groups of sets.
    pub means: Vec<MeanIntervals>,
    /// Curves of the fits, by detector.
    pub curves: Vec<FitCurve>,
    /// How each stage was computed, in the order of the work, each once.
    pub stages: Stages,
    /// What the metrics warn of: score and set, and the warning.
    pub warnings: Vec<[String; 2]>,
}

/// The metrics of one score on one out-of-distribution set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetMetrics {
    /// Position of the detector among the run's.
    pub contender: usize,
    /// The score.
    pub score: String,
    /// Position of the set among the run's.
    pub outlier: usize,
    /// In-distribution samples.
    pub n_id: usize,
    /// Out-of-distribution samples.
    pub n_ood: usize,
    /// 0..1.
    pub values: BTreeMap<Metric, f64>,
    /// 95 % intervals: DeLong's of the AUROC, the bootstrap's of the others.
    pub intervals: BTreeMap<Metric, [f64; 2]>,
}

/// Intervals of a mean over sets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeanIntervals {
    /// Which rows it is the mean of.
    pub group: Group,
    /// 95 % bootstrap intervals.
    pub intervals: BTreeMap<Metric, [f64; 2]>,
}

/// Rows of a run that have one mean.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The detector's name in tables.
    pub detector: String,
    /// The score.
    pub score: String,
    /// `native` or `matched`.
    pub protocol: String,
    /// `near` or `far`.
    pub group: String,
}

/// A curve of one detector's fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitCurve {
    /// Position of the detector among the run's.
    pub contender: usize,
    /// Its name: `loss`.
    pub name: String,
    /// Name of the horizontal axis: `epoch`.
    pub x_label: String,
    /// Name of the vertical axis.
    pub y_label: String,
    /// (x, y), both finite, x rising.
    pub points: Vec<(f64, f64)>,
}

/// The stages of a run in the order of the work, each once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stages(Vec<StageAbout>);

impl Stages {
    /// Adds a stage, unless it is known already: equal stages are one piece of work.
    pub fn add(&mut self, key: Key, label: &str, computed: Note) {
        if self.note(key).is_none() {
            self.0.push(StageAbout { label: label.to_owned(), key: key.hex(), computed });
        }
    }

    /// How the stage of that key was computed.
    pub fn note(&self, key: Key) -> Option<&Note> {
        let key = key.hex();
        self.0.iter().find(|stage| stage.key == key).map(|stage| &stage.computed)
    }

    /// All of them.
    pub fn all(&self) -> &[StageAbout] {
        &self.0
    }
}

/// The scores of one detector of a run.
pub struct ScoredContender {
    /// Its name in tables.
    pub detector: String,
    /// Scores of the in-distribution test images.
    pub test: Scores,
    /// Scores of covariate-shifted sets, in the run's order.
    pub shifted: Vec<Scores>,
    /// Scores of each out-of-distribution set, in the run's order.
    pub outliers: Vec<Scores>,
    /// What a detector that classifies finds in the in-distribution test images.
    pub test_classes: Option<Found>,
    /// The same in covariate-shifted sets.
    pub shifted_classes: Vec<Option<Found>>,
}

impl ScoredContender {
    /// One score of the test split and of the shifted sets at these positions.
    pub fn inliers(&self, name: &str, shifted: &[usize]) -> Result<Vec<f64>> {
        let sets = std::iter::once(&self.test).chain(shifted.iter().filter_map(|&at| self.shifted.get(at)));
        let mut values = Vec::new();
        for scores in sets {
            values.extend_from_slice(scores.column(name).with_context(|| format!("no score {name:?}"))?);
        }
        Ok(values)
    }
}

impl Evaluate {
    /// Of this run. Its cell's name is no part of the key: cells that come to the same are one piece of work.
    pub fn new(run: &Run) -> Result<Evaluate> {
        let mut key = KeyBuilder::new("evaluate", REVISION)
            .key("sets", &run.sets.key)
            .key("labels", &run.sets.labels)
            .config("intervals", &run.experiment.intervals)?;
        for contender in &run.contenders {
            key = key.text("name", &contender.name).key("scoring", &contender.scoring);
        }
        Ok(Evaluate { key: key.finish() })
    }

    /// The key of the metrics.
    pub fn key(&self) -> Key {
        self.key
    }

    /// Whether the metrics under this key are stored.
    pub fn is_done(lab: &Lab, key: &Key) -> Result<bool> {
        Ok(lab.store()?.artifact("evaluate", key).finished()?.is_some())
    }

    /// Reads the metrics or computes them; `scores` is called, and curves and notes are gathered, only for the latter.
    pub fn run(
        &self,
        lab: &Lab,
        run: &Run,
        scored: impl Fn(&mut Stages) -> Result<(Vec<ScoredContender>, Vec<FitCurve>)>,
    ) -> Result<Evaluated> {
        let artifact = lab.store()?.artifact("evaluate", &self.key);
        let mut found = None;
        let work = Work { label: "evaluate", unit: None, sizes: vec![1] };
        let compute = |_: usize, _: &dyn oodlab_base::Task| {
            let mut stages = Stages::default();
            let (contenders, curves) = scored(&mut stages)?;
            let classified = Classified::of(lab, &run.sets)?;
            Ok(serde_json::to_vec(&evaluated(run, &contenders, curves, stages, classified.as_ref())?)?)
        };
        each_part(lab, &artifact, &work, compute, |_, bytes| {
            let read: Evaluated = serde_json::from_slice(bytes)
                .with_context(|| format!("{} is not what this build wrote", artifact.folder().display()))?;
            found = Some(read);
            Ok(())
        })?;
        found.context("no metrics")
    }
}

/// Computes the metrics of every detector, score and set.
fn evaluated(
    run: &Run,
    contenders: &[ScoredContender],
    curves: Vec<FitCurve>,
    stages: Stages,
    classified: Option<&Classified>,
) -> Result<Evaluated> {
    let mut found = Evaluated { sets: Vec::new(), means: Vec::new(), curves, stages, warnings: Vec::new() };
    let mut replicates: BTreeMap<Group, Vec<Replicates>> = BTreeMap::new();
    for (place, contender) in contenders.iter().enumerate() {
        // A detector that classifies is judged by its own classes, all others by the encoder's.
        let own = Classified::of_found(&run.sets, contender.test_classes.as_ref(), &contender.shifted_classes)?;
        let classified = own.as_ref().or(classified);
        for name in &contender.test.names {
            for (at, (outlier, scores)) in run.sets.outliers.iter().zip(&contender.outliers).enumerate() {
                let shifted: Vec<usize> = run.sets.shifted_under(outlier.protocol).map(|(at, _)| at).collect();
                let id = contender.inliers(name, &shifted)?;
                let ood = scores.column(name).with_context(|| format!("no score {name:?}"))?;
                let metrics = evaluate(&id, ood, RULE)?;
                let (set, protocol) = (&outlier.name, outlier.protocol.name());
                for warning in &metrics.warnings {
                    let place = format!("{} {name} on {set} ({protocol})", contender.detector);
                    found.warnings.push([place, warning.to_string()]);
                }
                let mut values: BTreeMap<Metric, f64> =
                    Metric::ALL.into_iter().filter_map(|metric| Some((metric, metrics.value(metric)?))).collect();
                let predictions = classified.map(|classified| classified.of_sets(&shifted));
                if let Some(predictions) = &predictions {
                    values.insert(Metric::Accuracy, predictions.accuracy()?);
                    values.insert(Metric::CalibrationError, predictions.calibration_error()?);
                    values.insert(Metric::Oscr, oscr(&predictions.correct, &id, ood)?);
                }
                let mut ends = BTreeMap::new();
                if let Some(config) = run.experiment.intervals.bootstrap() {
                    // The same images are drawn under every protocol and for every detector.
                    let drawn = match &predictions {
                        Some(of) => Replicates::draw_classified(&id, ood, of, set, Recall::P95, RULE, config)?,
                        None => Replicates::draw(&id, ood, set, RULE, config)?,
                    };
                    ends.extend(intervals(&drawn));
                    let group = Group {
                        detector: contender.detector.clone(),
                        score: name.clone(),
                        protocol: protocol.to_owned(),
                        group: outlier.group.clone(),
                    };
                    replicates.entry(group).or_default().push(drawn);
                }
                ends.insert(Metric::Auroc, [metrics.auroc_low, metrics.auroc_high]);
                found.sets.push(SetMetrics {
                    contender: place,
                    score: name.clone(),
                    outlier: at,
                    n_id: metrics.n_id,
                    n_ood: metrics.n_ood,
                    values,
                    intervals: ends,
                });
            }
        }
    }
    let mean = |parts: Vec<Replicates>| intervals(&Replicates::mean(&parts.iter().collect::<Vec<_>>())).collect();
    found.means =
        replicates.into_iter().map(|(group, parts)| MeanIntervals { group, intervals: mean(parts) }).collect();
    Ok(found)
}

/// The 95 % interval of every metric that the bootstrap covers.
fn intervals(drawn: &Replicates) -> impl Iterator<Item = (Metric, [f64; 2])> + '_ {
    Metric::ALL.into_iter().filter_map(|metric| Some((metric, drawn.interval(metric)?)))
}

/// What the classes of in-distribution samples are: metrics of classifiers depend on them, features do not.
pub fn labels_key<'a>(inliers: impl Iterator<Item = &'a FeatureSource>) -> Result<Key> {
    let mut key = KeyBuilder::new("labels", REVISION);
    for source in inliers {
        // Of imported features the content's key covers the labels.
        if source.images().is_none() {
            continue;
        }
        if let Some(labels) = source.own_labels()? {
            let bytes: Vec<u8> = labels.iter().flat_map(|label| label.to_le_bytes()).collect();
            key = key.key("labels", &Key::of_bytes(&bytes));
        }
    }
    Ok(key.finish())
}
