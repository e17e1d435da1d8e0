//! `results/<experiment>/`: tables, scores, figures, and a folder a run with its configuration, provenance and log.

mod figures;
mod run_folder;
mod sign;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result};
use oodlab_base::file::write_atomic;
use oodlab_base::{Key, KeyBuilder};
use oodlab_evaluation::scores::{ScoreRecords, write_scores_parquet};
use oodlab_evaluation::{FprRule, Metrics, Row, Table, evaluate};
use oodlab_features::Scores;
use serde::Serialize;

use crate::lab::Lab;
use crate::plan::{Plan, Run};
use crate::stages::Note;
use crate::stages::source::FeatureSource;
pub use run_folder::{finish_run, start_run};

/// The scores of one detector of a run.
pub struct ScoredContender {
    /// Detector kind.
    pub detector: String,
    /// Whether it is a control.
    pub control: bool,
    /// Curves of the fit, for detectors that are trained.
    pub curves: Vec<oodlab_detectors::Curve>,
    /// Scores of the in-distribution images.
    pub id: Inliers,
    /// Scores of each out-of-distribution set, in the run's order.
    pub outliers: Vec<Scores>,
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
    /// Its detectors.
    pub contenders: Vec<ScoredContender>,
    /// Cell and seed, for people.
    name: String,
    /// Column values that its records share.
    cell: String,
    seed: u64,
    id_set: String,
    /// (protocol, set name) of each covariate-shifted set.
    shifted: Vec<(String, String)>,
    /// (protocol, set name) of each out-of-distribution set.
    sets: Vec<(String, String)>,
    /// Training images: set, split, count and hash.
    pub trained_on: String,
    /// Hash of the training images.
    pub train_list: String,
    /// Sets of which only a part is at hand.
    pub partial: Vec<String>,
    /// How each stage was computed, by its key.
    pub notes: BTreeMap<Key, Note>,
    /// What the metrics warn of.
    pub warnings: Vec<String>,
}

impl ScoredRun {
    /// Computes the metrics of every detector, score and set.
    pub fn new(run: &Run, contenders: Vec<ScoredContender>, notes: BTreeMap<Key, Note>) -> Result<ScoredRun> {
        let mut rows = Vec::new();
        let mut warnings = Vec::new();
        for contender in &contenders {
            for name in &contender.id.test.names {
                for (outlier, scores) in run.outliers.iter().zip(&contender.outliers) {
                    let set = &outlier.encode;
                    let (shifted, others): (Vec<usize>, Vec<&FeatureSource>) =
                        run.shifted_under(outlier.protocol).unzip();
                    let metrics = metrics(&contender.id.column(name, &shifted)?, scores, name)?;
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
                        ood_list: set.list_key().short(),
                        run: run.key.short(),
                        sweep: run.cell.values.clone(),
                        ..Row::default()
                    };
                    for warning in &metrics.warnings {
                        let place = format!("{name} on {} ({})", row.ood_set, row.protocol);
                        tracing::warn!("{place}: {warning}");
                        warnings.push(format!("{place}: {warning}"));
                    }
                    rows.push(row.with_metrics(&metrics));
                }
            }
        }
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
            contenders,
            name: run.name(),
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
            notes,
            warnings,
        })
    }

    fn add_records(&self, records: &mut ScoreRecords) {
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

/// `textures all: 300 of 5640 images at hand`, for a set that is not complete.
fn partial(source: &FeatureSource) -> Option<String> {
    let (found, expected) = (source.found(), source.expected()?);
    let (set, split, unit) = (source.set(), source.split(), source.unit());
    (found < expected).then(|| format!("{set} {split}: {found} of {expected} {unit} at hand"))
}

fn metrics(id: &[f64], ood: &Scores, name: &str) -> Result<Metrics> {
    let ood = ood.column(name).with_context(|| format!("no score {name:?}"))?;
    Ok(evaluate(id, ood, FprRule::FirstAtLeast)?)
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

/// What a run of an experiment leaves behind.
pub struct Outcome {
    /// The experiment's name.
    pub name: String,
    /// Every row, with group means.
    pub table: Table,
    /// Where it was written.
    pub folder: PathBuf,
    /// What a reader must know beside the numbers: training images, partial and missing sets, failed runs.
    pub notes: Vec<String>,
    /// Hashes of the training images of all runs.
    pub train_lists: BTreeSet<String>,
    missing: BTreeMap<String, String>,
    /// Run to error.
    pub failures: BTreeMap<String, String>,
    runs: usize,
}

/// What `--json` prints.
#[derive(Serialize)]
pub struct Summary<'a> {
    experiment: &'a str,
    folder: String,
    runs: usize,
    failed: &'a BTreeMap<String, String>,
    missing: &'a BTreeMap<String, String>,
    rows: &'a [Row],
}

impl Outcome {
    /// For programs.
    pub fn summary(&self) -> Summary<'_> {
        Summary {
            experiment: &self.name,
            folder: self.folder.display().to_string(),
            runs: self.runs,
            failed: &self.failures,
            missing: &self.missing,
            rows: &self.table.rows,
        }
    }

    /// A failed run does not pass for success.
    pub fn fail_if_any_run_failed(&self) -> Result<()> {
        let Some((run, error)) = self.failures.iter().next() else { return Ok(()) };
        anyhow::bail!("{} of {} runs failed; the first, {run}: {error}", self.failures.len(), self.runs)
    }
}

/// Makes the results folder before any work starts, so that a wrong place is found first.
pub fn prepare(lab: &Lab, plan: &Plan) -> Result<PathBuf> {
    let folder = lab.results.join(&plan.name);
    fs_err::create_dir_all(folder.join("figures"))?;
    fs_err::create_dir_all(folder.join("runs"))?;
    write_atomic(&folder.join(".writable"), b"")?;
    fs_err::remove_file(folder.join(".writable"))?;
    Ok(folder)
}

/// Writes tables, scores and figures of all finished runs. When none finished, what an earlier run wrote stays.
pub fn write(
    lab: &Lab,
    plan: &Plan,
    folder: PathBuf,
    scored: &[ScoredRun],
    failures: BTreeMap<String, String>,
) -> Result<Outcome> {
    if let (true, Some((run, error))) = (scored.is_empty(), failures.iter().next()) {
        anyhow::bail!("all {} runs failed, nothing was written; the first, {run}: {error}", plan.runs.len());
    }
    let rows = scored.iter().flat_map(|run| &run.rows).map(|row| Row { experiment: plan.name.clone(), ..row.clone() });
    let mut table = Table::new(rows.collect());
    table.group_means();
    let mut records = ScoreRecords::default();
    for run in scored {
        run.add_records(&mut records);
    }
    let notes = notes(plan, scored, &failures);
    let listed: String = notes.iter().map(|note| format!("* {note}\n")).collect();
    let markdown = format!("{}\n\n{listed}", table.to_markdown().trim_end_matches('\n'));
    write_atomic(&folder.join("table.csv"), &table.to_csv()?)?;
    write_atomic(&folder.join("table.md"), markdown.as_bytes())?;
    write_atomic(&folder.join("scores.parquet"), &write_scores_parquet(&records)?)?;
    lab.cancel.check()?;
    figures::write(&folder.join("figures"), &table, scored)?;
    Ok(Outcome {
        name: plan.name.clone(),
        table,
        folder,
        notes,
        train_lists: scored.iter().map(|run| run.train_list.clone()).collect(),
        missing: plan.missing.clone(),
        failures,
        runs: plan.runs.len(),
    })
}

fn notes(plan: &Plan, scored: &[ScoredRun], failures: &BTreeMap<String, String>) -> Vec<String> {
    let trained: BTreeSet<String> = scored.iter().map(|run| format!("trained on {}", run.trained_on)).collect();
    let partial: BTreeSet<String> =
        scored.iter().flat_map(|run| &run.partial).map(|set| format!("partial: {set}")).collect();
    let missing = plan.missing.iter().map(|(set, how)| format!("missing: {set}, in no mean above; {how}"));
    let failed = failures.iter().map(|(run, error)| format!("failed: run {run}: {error}"));
    let signs = sign::note(scored.iter().flat_map(|run| &run.rows));
    trained
        .into_iter()
        .chain(signs)
        .chain(partial)
        .chain(plan.notes.iter().cloned())
        .chain(missing)
        .chain(failed)
        .collect()
}
