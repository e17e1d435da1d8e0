//! A finished run: its scores, and the table rows that they give.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use oodlab_base::{Key, KeyBuilder};
use oodlab_evaluation::metrics::Recall;
use oodlab_evaluation::metrics::bootstrap::Replicates;
use oodlab_evaluation::metrics::classification::oscr;
use oodlab_evaluation::record::StageAbout;
use oodlab_evaluation::scores::ScoreRecords;
use oodlab_evaluation::{FprRule, Metric, Row, Table, evaluate};
use oodlab_features::Scores;

use super::Classified;
use crate::plan::Run;
use crate::stages::Note;
use crate::stages::source::FeatureSource;

/// The rule of the operating point in every table; `oodlab metrics --convention` has the others.
const RULE: FprRule = FprRule::FirstAtLeast;

/// The scores of one detector of a run.
pub struct ScoredContender {
    /// Its name in tables.
    pub detector: String,
    /// Curves of the fit, for detectors that are trained.
    pub curves: Vec<oodlab_detectors::Curve>,
    /// Scores of the in-distribution images.
    pub id: Inliers,
    /// Scores of each out-of-distribution set, in the run's order.
    pub outliers: Vec<Scores>,
}

/// The stages of a run in the order of the work, each once.
#[derive(Debug, Default)]
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

/// Scores of in-distribution images.
pub struct Inliers {
    /// Of the test split; the same under every protocol.
    pub test: Scores,
    /// Of covariate-shifted sets, in the run's order.
    pub shifted: Vec<Scores>,
}

impl Inliers {
    /// One score of the test split and of the shifted sets at these positions.
    pub fn column(&self, name: &str, shifted: &[usize]) -> Result<Vec<f64>> {
        let sets = std::iter::once(&self.test).chain(shifted.iter().filter_map(|&at| self.shifted.get(at)));
        let mut values = Vec::new();
        for scores in sets {
            values.extend_from_slice(scores.column(name).with_context(|| format!("no score {name:?}"))?);
        }
        Ok(values)
    }
}

/// A finished run.
pub struct ScoredRun {
    /// One table row an out-of-distribution set, protocol and score.
    pub rows: Vec<Row>,
    /// Intervals of the means over groups of sets.
    mean_intervals: BTreeMap<Group, BTreeMap<Metric, [f64; 2]>>,
    /// Its detectors.
    pub contenders: Vec<ScoredContender>,
    /// Column values that its records share.
    pub(super) cell: String,
    pub(super) seed: u64,
    pub(super) id_set: String,
    /// (protocol, set name) of each covariate-shifted set.
    pub(super) shifted: Vec<(String, String)>,
    /// (protocol, set name) of each out-of-distribution set.
    pub(super) sets: Vec<(String, String)>,
    /// Training images: set, split, count and hash.
    pub trained_on: String,
    /// Hash of the training images.
    pub train_list: String,
    /// Sets of which only a part is at hand.
    pub partial: Vec<String>,
    /// How each stage was computed.
    pub stages: Stages,
    /// What the metrics warn of.
    pub warnings: Vec<String>,
}

impl ScoredRun {
    /// Computes the metrics of every detector, score and set, and how uncertain they are.
    pub fn new(
        run: &Run,
        contenders: Vec<ScoredContender>,
        stages: Stages,
        classified: Option<&Classified>,
    ) -> Result<ScoredRun> {
        let mut rows = Vec::new();
        let mut warnings = Vec::new();
        let mut replicates: BTreeMap<Group, Vec<Replicates>> = BTreeMap::new();
        for contender in &contenders {
            for name in &contender.id.test.names {
                for (outlier, scores) in run.outliers.iter().zip(&contender.outliers) {
                    let (shifted, others): (Vec<usize>, Vec<&FeatureSource>) =
                        run.shifted_under(outlier.protocol).unzip();
                    let row = Row {
                        cell: run.cell.name.clone(),
                        seed: run.seed,
                        detector: contender.detector.clone(),
                        score: name.clone(),
                        benchmark: run.benchmark.name.clone(),
                        protocol: outlier.protocol.name().to_owned(),
                        id_set: id_set(&run.id_test, &others),
                        ood_set: outlier.name.clone(),
                        group: outlier.group.clone(),
                        id_list: id_list(&run.id_test, &others).short(),
                        ood_list: outlier.encode.list_key().short(),
                        run: run.key.short(),
                        sweep: run.cell.values.clone(),
                        ..Row::default()
                    };
                    let id = contender.id.column(name, &shifted)?;
                    let ood = scores.column(name).with_context(|| format!("no score {name:?}"))?;
                    let metrics = evaluate(&id, ood, RULE)?;
                    for warning in &metrics.warnings {
                        let (set, protocol) = (&row.ood_set, &row.protocol);
                        let place = format!("{} {name} on {set} ({protocol}, {})", contender.detector, run.name());
                        tracing::warn!("{place}: {warning}");
                        warnings.push(format!("{place}: {warning}"));
                    }
                    let mut row = row.with_metrics(&metrics);
                    let predictions = classified.map(|classified| classified.of_sets(&shifted));
                    if let Some(predictions) = &predictions {
                        row.more.insert(Metric::Accuracy, predictions.accuracy()?);
                        row.more.insert(Metric::CalibrationError, predictions.calibration_error()?);
                        row.more.insert(Metric::Oscr, oscr(&predictions.correct, &id, ood)?);
                    }
                    if let Some(config) = run.experiment.intervals.bootstrap() {
                        // The same images are drawn under every protocol and for every detector.
                        let drawn = match &predictions {
                            Some(of) => {
                                Replicates::draw_classified(&id, ood, of, &outlier.name, Recall::P95, RULE, config)?
                            }
                            None => Replicates::draw(&id, ood, &outlier.name, RULE, config)?,
                        };
                        row.intervals.extend(intervals(&drawn).filter(|(metric, _)| *metric != Metric::Auroc));
                        replicates.entry(Group::of(&row)).or_default().push(drawn);
                    }
                    rows.push(row);
                }
            }
        }
        let mean_intervals = replicates
            .into_iter()
            .map(|(group, parts)| (group, intervals(&Replicates::mean(&parts.iter().collect::<Vec<_>>())).collect()))
            .collect();
        let sets =
            run.outliers.iter().map(|outlier| (outlier.protocol.name().to_owned(), outlier.name.clone())).collect();
        let shifted = run
            .shifted
            .iter()
            .map(|shifted| (shifted.protocol.name().to_owned(), shifted.encode.set().to_owned()))
            .collect();
        let train = run.train.source();
        let partial = run.encodes().filter_map(partial).collect();
        Ok(ScoredRun {
            rows,
            mean_intervals,
            contenders,
            cell: run.cell.name.clone(),
            seed: run.seed,
            id_set: run.id_test.set().to_owned(),
            shifted,
            sets,
            trained_on: format!(
                "{} {}, {} {} (list {})",
                train.set(),
                train.split(),
                train.len(),
                train.unit(),
                &train.list_key().hex()[..8]
            ),
            train_list: train.list_key().short(),
            partial,
            stages,
            warnings,
        })
    }

    /// Gives the run's mean rows their intervals.
    pub fn add_mean_intervals(&self, table: &mut Table) {
        let own = |row: &&mut Row| row.mean_of().is_some() && (&row.cell, row.seed) == (&self.cell, self.seed);
        for row in table.rows.iter_mut().filter(own) {
            let Some(intervals) = self.mean_intervals.get(&Group::of(row)) else { continue };
            row.intervals.clone_from(intervals);
            if let Some([low, high]) = row.intervals.remove(&Metric::Auroc) {
                (row.auroc_low, row.auroc_high) = (Some(low), Some(high));
            }
        }
    }

    /// Adds every score of every sample.
    pub fn add_records(&self, records: &mut ScoreRecords) {
        for contender in &self.contenders {
            // ID images are the same under every protocol: they are written once, without one.
            let id = ("".to_owned(), self.id_set.clone());
            let sets = std::iter::once((&id, &contender.id.test, false))
                .chain(self.shifted.iter().zip(&contender.id.shifted).map(|(set, scores)| (set, scores, false)))
                .chain(self.sets.iter().zip(&contender.outliers).map(|(set, scores)| (set, scores, true)));
            for ((protocol, set), scores, is_ood) in sets {
                for (name, column) in scores.names.iter().zip(&scores.columns) {
                    for (index, (id, value)) in scores.ids.iter().zip(column).enumerate() {
                        records.push(
                            &self.cell,
                            self.seed,
                            &contender.detector,
                            name,
                            protocol,
                            set,
                            is_ood,
                            index as u32,
                            id,
                            *value,
                        );
                    }
                }
            }
        }
    }
}

/// Rows of a run that have one mean.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    detector: String,
    score: String,
    protocol: String,
    group: String,
}

impl Group {
    fn of(row: &Row) -> Group {
        let Row { detector, score, protocol, group, .. } = row.clone();
        Group { detector, score, protocol, group }
    }
}

/// The 95 % interval of every metric that the bootstrap covers.
fn intervals(drawn: &Replicates) -> impl Iterator<Item = (Metric, [f64; 2])> + '_ {
    Metric::ALL.into_iter().filter_map(|metric| Some((metric, drawn.interval(metric)?)))
}

/// `textures all: 300 of 5640 images at hand`, for a set that is not complete.
fn partial(source: &FeatureSource) -> Option<String> {
    let (found, expected) = (source.found(), source.expected()?);
    let (set, split, unit) = (source.set(), source.split(), source.unit());
    (found < expected).then(|| format!("{set} {split}: {found} of {expected} {unit} at hand"))
}

/// `imagenet`, or `imagenet+imagenet-v2` where shifted sets count as in-distribution.
fn id_set(test: &FeatureSource, shifted: &[&FeatureSource]) -> String {
    std::iter::once(test.set()).chain(shifted.iter().map(|source| source.set())).collect::<Vec<_>>().join("+")
}

/// The hash of the in-distribution images: of their list, or of the lists of all sets that count as such.
fn id_list(test: &FeatureSource, shifted: &[&FeatureSource]) -> Key {
    if shifted.is_empty() {
        return test.list_key();
    }
    let start = KeyBuilder::new("image lists", 1).key("list", &test.list_key());
    shifted.iter().fold(start, |key, source| key.key("list", &source.list_key())).finish()
}
