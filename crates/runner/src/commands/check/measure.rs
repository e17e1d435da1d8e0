//! What an experiment measures now: run, or read from the results of a finished run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use oodlab_evaluation::Record;
use oodlab_evaluation::record::About;
use serde_yaml::Value;

use super::shown;
use crate::baseline::{Baseline, Difference, experiment_file, read};
use crate::commands::run::execute_with;
use crate::config::{Environment, Request, Source};
use crate::failure::settings;
use crate::lab::Lab;
use crate::work::limits::WorkArguments;

/// Sections that say what is drawn, not what is measured.
const DRAWN: [&str; 3] = ["tables", "figures", "comparisons"];

/// Settings that are told of results made with others.
const MOST_SETTINGS: usize = 5;

/// A baseline and the experiment that it guards.
pub struct Guard<'a> {
    /// The baseline's file.
    pub path: &'a Path,
    /// What it holds; absent when it is to be written first.
    pub before: Option<Baseline>,
    /// The experiment.
    pub source: Source,
}

impl Guard<'_> {
    /// Reads the baseline and opens its experiment file.
    pub fn open(path: &Path, update: bool) -> Result<Guard<'_>> {
        let before = read(path)?;
        let file = match (&before, update) {
            (Some(baseline), _) => PathBuf::from(&baseline.file),
            (None, true) => experiment_file(path)?,
            (None, false) => {
                return Err(settings(format!("there is no baseline {}; write it first with --update", shown(path))));
            }
        };
        let source = Source::open(&Request::of_file(&file, Environment::Ignore))
            .map_err(|error| error.context(format!("the experiment of {}", shown(path))))?;
        match &before {
            Some(baseline) if baseline.experiment != source.name => Err(settings(format!(
                "{}: guards the experiment {:?}, but its file {} is the experiment {:?}; correct `experiment` and `file` in it",
                shown(path),
                baseline.experiment,
                shown(&file),
                source.name
            ))),
            _ => Ok(Guard { path, before, source }),
        }
    }
}

/// What an experiment measured.
pub struct Measured {
    /// Every metric of every row.
    pub now: Baseline,
    /// Its table in Markdown.
    pub table: PathBuf,
    /// Settings of finished results that are others than those of the file: key, file, results.
    others: Vec<(String, String, String)>,
}

impl Measured {
    /// Runs the experiment; stored stages are reused. What failed in an earlier run, perhaps of other code, is tried again.
    pub fn run(lab: &Lab, guard: &Guard<'_>) -> Result<Measured> {
        let work = WorkArguments { retry_failed: true, ..WorkArguments::default() };
        let outcome = execute_with(lab, &guard.source, &work)?;
        outcome.fail_if_any_run_failed()?;
        Measured::read(guard, &outcome.folder)
    }

    /// Reads the results of a finished run.
    pub fn read(guard: &Guard<'_>, folder: &Path) -> Result<Measured> {
        let name = &guard.source.name;
        let record = Record::read(folder)?;
        let about = &record.about;
        if about.experiment != *name {
            return Err(settings(format!(
                "{}: expected results of the experiment {name:?}, found those of {:?}",
                shown(folder),
                about.experiment
            )));
        }
        if let Some((run, error)) = about.failures.iter().next() {
            let count = about.failures.len();
            anyhow::bail!("{}: {count} runs failed; the first, {run}: {error}", shown(folder));
        }
        // The table's hashes are the first twelve digits of those of the record.
        let trained = about.runs.iter().flat_map(|run| &run.sets).filter(|set| set.role == "train");
        let train_lists: BTreeSet<String> = trained.map(|set| set.list.chars().take(12).collect()).collect();
        let now = Baseline::of(&record.table, &train_lists, name, &shown(&guard.source.path), numerics_of(about));
        let wanted = serde_yaml::to_string(&guard.source.base()?.resolved()?)?;
        let others = other_settings(&wanted, &about.config)?;
        Ok(Measured { now, table: folder.join("table.md"), others })
    }

    /// How finished results differ from what the experiment file says; nothing when they were computed just now.
    pub fn other_settings<'a>(&self) -> Vec<Difference<'a>> {
        let told = self.others.iter().take(MOST_SETTINGS).cloned();
        told.map(|(key, file, results)| Difference::Settings { key, file, results }).collect()
    }
}

/// On what the stages were computed: a store may hold work of other machines, whose bits are theirs.
fn numerics_of(about: &About) -> String {
    let stages = about.runs.iter().flat_map(|run| &run.stages);
    let computed: BTreeSet<&str> = stages.filter_map(|stage| Some(stage.computed.get("numerics")?.as_str())).collect();
    if computed.is_empty() { about.numerics.clone() } else { computed.into_iter().collect::<Vec<_>>().join("; ") }
}

/// Keys that both have with other values. A key that one version of the program knows and another does not is no difference.
fn other_settings(file: &str, results: &str) -> Result<Vec<(String, String, String)>> {
    let flat = |text: &str| -> Result<BTreeMap<String, String>> {
        let mut keys = BTreeMap::new();
        flatten("", &serde_yaml::from_str(text)?, &mut keys)?;
        Ok(keys)
    };
    let (file, results) = (flat(file)?, flat(results)?);
    let both = file.into_iter().filter_map(|(key, value)| {
        let other = results.get(&key)?.clone();
        (value != other).then_some((key, value, other))
    });
    Ok(both.collect())
}

fn flatten(prefix: &str, value: &Value, keys: &mut BTreeMap<String, String>) -> Result<()> {
    match value {
        Value::Mapping(mapping) if !mapping.is_empty() => {
            for (key, value) in mapping {
                let key = key.as_str().unwrap_or_default();
                if prefix.is_empty() && DRAWN.contains(&key) {
                    continue;
                }
                let key = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
                flatten(&key, value, keys)?;
            }
        }
        value => {
            keys.insert(prefix.to_owned(), serde_json::to_string(value)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use oodlab_evaluation::record::{RunAbout, StageAbout};

    use super::*;

    #[test]
    fn work_of_other_machines_is_told_apart() {
        let stage = |numerics: &str| StageAbout {
            computed: BTreeMap::from([("numerics".to_owned(), numerics.to_owned())]),
            ..StageAbout::default()
        };
        let of = |stages: Vec<StageAbout>| {
            let runs = vec![RunAbout { stages, ..RunAbout::default() }];
            numerics_of(&About { runs, numerics: "this one".into(), ..About::default() })
        };
        assert_eq!(of(vec![stage("a"), stage("a"), StageAbout::default()]), "a");
        assert_eq!(of(vec![stage("b"), stage("a")]), "a; b");
        assert_eq!(of(vec![]), "this one");
    }

    #[test]
    fn only_settings_that_change_what_is_measured_are_told() {
        let file = "seeds: [0]\ndetector: {kind: dlsr, train: {epochs: 40}}\nnew: 1\ntables: [{name: a}]\n";
        let results = "seeds: [0]\ndetector: {kind: dlsr, train: {epochs: 41}}\ntables: []\n";
        let found = other_settings(file, results).expect("YAML");
        assert_eq!(found, [("detector.train.epochs".to_owned(), "40".to_owned(), "41".to_owned())]);
        assert!(other_settings(file, file).expect("YAML").is_empty());
    }
}
