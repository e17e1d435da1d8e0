//! `oodlab check`: experiments against their committed baselines.

mod measure;
mod outputs;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use oodlab_base::file::write_atomic;
use oodlab_evaluation::Metric;

use self::measure::{Guard, Measured};
use self::outputs::Outputs;
use super::{print, print_json};
use crate::baseline::{self, Baseline, Checked, Exactness, Rules, State, Told, Tolerance, compare};
use crate::failure::{SETTINGS, describe, exit_code, is_cancelled, settings};
use crate::lab::Lab;

/// What `oodlab check --help` says beside the options.
pub const HELP: &str = "\
Examples:\n  \
oodlab check results/baselines/quickstart.json\n  \
oodlab check --all --junit metrics.xml --markdown metrics.md\n  \
oodlab check --read results/baselines/quickstart.json          (after a run: nothing is computed)\n  \
oodlab check --update results/baselines/quickstart.json\n\n\
A baseline is named after its experiment: results/baselines/quickstart.json guards experiments/quickstart.yaml.\n\
Where the recorded numerics (processor, instruction set, caches, GPU) are those of this machine, bits must be equal.\n\
Elsewhere each metric has a tolerance: 0.1 point, for FPR95 two images where that is more, or what `tolerance` in the\n\
baseline says: {\"auroc\": {\"points\": 0.2}, \"fpr95_id\": {\"images\": 3}, \"oscr\": {\"interval\": \"overlap\"}, \"aupr_in\": \"exact\"}.\n\
A metric that got worse by more fails. One that got better by more is told, and fails only where bits must be equal or\n\
with --strict.\n\
Exit code: 0 nothing got worse, 1 something did or a run failed, 2 wrong settings, 130 stopped by Ctrl-C. See docs/ci.md.";

/// What is checked, and how.
#[derive(Debug, Clone, Args)]
pub struct CheckArguments {
    /// Baselines, as in results/baselines/quickstart.json
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "FILE")]
    pub baselines: Vec<PathBuf>,
    /// Every baseline below results/baselines
    #[arg(long)]
    pub all: bool,
    /// Compute nothing: read what a run left in RESULTS/EXPERIMENT, or in the folder =DIR
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    pub read: Option<Option<PathBuf>>,
    /// Write the baseline, and a Markdown table beside it, when it differs; --tolerance and --no-exact are kept in it
    #[arg(long)]
    pub update: bool,
    /// Allow a metric to move by points (auroc=0.2), images (fpr95_id=2images), within its 95 % interval (auroc=interval),
    /// or not at all (auroc=exact), on every machine
    #[arg(long, value_name = "METRIC=HOW", value_parser = baseline::named, value_delimiter = ',')]
    pub tolerance: Vec<(Metric, Tolerance)>,
    /// Use tolerances on the baseline's own machine too
    #[arg(long)]
    pub no_exact: bool,
    /// Fail on what got better, too
    #[arg(long, conflicts_with = "update")]
    pub strict: bool,
    /// The metrics that an updated baseline guards; those that it had (or the five of every table) when absent
    #[arg(long, value_name = "METRICS", value_delimiter = ',', requires = "update")]
    pub metrics: Vec<Metric>,
    /// Write JUnit XML here: one case a row and metric
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write a summary in Markdown here
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Add the Markdown to what the file holds, as for $GITHUB_STEP_SUMMARY
    #[arg(long, requires = "markdown")]
    pub append: bool,
}

/// Runs each experiment (stored stages are reused), or reads its results, and compares or rewrites its baseline.
pub fn run(lab: &Lab, arguments: &CheckArguments, json: bool) -> Result<()> {
    let paths = if arguments.all { baseline::find_all()? } else { arguments.baselines.clone() };
    if let (Some(Some(_)), 2..) = (&arguments.read, paths.len()) {
        return Err(settings(
            "--read=DIR reads the results of one experiment; for several, give --read and --results DIR",
        ));
    }
    // All files are read before any work starts.
    let guards: Vec<Guard> = paths.iter().map(|path| Guard::open(path, arguments.update)).collect::<Result<_>>()?;
    let outputs = Outputs::prepare(arguments)?;
    let measured: Vec<OnceCell<Measured>> = guards.iter().map(|_| OnceCell::new()).collect();
    let mut checked = Vec::new();
    let mut errors = Vec::new();
    for (guard, slot) in guards.iter().zip(&measured) {
        let started = Instant::now();
        let state = match check(lab, arguments, guard, slot) {
            Err(error) if is_cancelled(&error) || lab.cancel.is_cancelled() => return Err(error),
            Err(error) => {
                let told = describe(&error);
                errors.push(error);
                State::Failed(told)
            }
            Ok(state) => state,
        };
        let rows = slot.get().map_or(0, |measured| measured.now.rows.len());
        let seconds = started.elapsed().as_secs_f64();
        let one = Checked { path: guard.path, experiment: &guard.source.name, rows, seconds, state };
        if !json && !matches!(one.state, State::Failed(_)) {
            print(&baseline::terminal(&one))?;
        }
        checked.push(one);
    }
    outputs.write(&checked)?;
    let passed = checked.iter().all(Checked::passed);
    if json {
        let told: Vec<Told<'_>> = checked.iter().map(Told::of).collect();
        print_json(&serde_json::json!({ "passed": passed, "baselines": told }))?;
    }
    conclude(&checked, errors)
}

/// One baseline against what is measured now.
fn check<'a>(
    lab: &Lab,
    arguments: &CheckArguments,
    guard: &'a Guard,
    slot: &'a OnceCell<Measured>,
) -> Result<State<'a>> {
    let measured = match &arguments.read {
        Some(Some(folder)) => Measured::read(guard, folder)?,
        Some(None) => Measured::read(guard, &lab.results.join(&guard.source.name))?,
        None => Measured::run(lab, guard)?,
    };
    let measured = slot.get_or_init(|| measured);
    if arguments.update {
        return update(arguments, guard, measured);
    }
    let Some(before) = &guard.before else {
        return Err(settings(format!("there is no baseline {}; write it first with --update", guard.path.display())));
    };
    let rules = Rules {
        tolerance: arguments.tolerance.iter().copied().collect(),
        never_exact: arguments.no_exact,
        strict: arguments.strict,
        bits: false,
    };
    let mut comparison = compare(before, &measured.now, &rules)?;
    comparison.differences.splice(0..0, measured.other_settings());
    Ok(State::Compared(comparison))
}

/// Writes the baseline and its table where they differ from what is there.
fn update<'a>(arguments: &CheckArguments, guard: &'a Guard, measured: &'a Measured) -> Result<State<'a>> {
    if let Some(different) = measured.other_settings().first() {
        return Err(settings(format!("{}: {different}; run the experiment first", guard.path.display())));
    }
    let before = guard.before.as_ref();
    let mut tolerance: BTreeMap<String, Tolerance> = before.map(|before| before.tolerance.clone()).unwrap_or_default();
    tolerance.extend(arguments.tolerance.iter().map(|(metric, how)| (metric.name().to_owned(), *how)));
    let exact =
        if arguments.no_exact { Exactness::Never } else { before.map(|before| before.exact).unwrap_or_default() };
    let metrics = guarded_metrics(arguments, before);
    let now = measured.now.clone().guarding(&metrics, tolerance, exact)?;
    // What cannot be compared with itself could be compared with nothing later.
    compare(&now, &measured.now, &Rules { never_exact: true, ..Rules::default() })?;
    let table = fs_err::read(&measured.table)?;
    let beside = guard.path.with_extension("md");
    let state = match before {
        Some(before) if before.guards_as(&now) => State::Unchanged,
        Some(before) => {
            now.write(guard.path)?;
            State::Rewritten(compare(before, &measured.now, &Rules { bits: true, ..Rules::default() })?)
        }
        None => {
            now.write(guard.path)?;
            State::Written
        }
    };
    if fs_err::read(&beside).ok().as_ref() != Some(&table) {
        write_atomic(&beside, &table)?;
    }
    Ok(state)
}

/// Those that were asked for, else those that the baseline has, else the standing five.
fn guarded_metrics(arguments: &CheckArguments, before: Option<&Baseline>) -> BTreeSet<String> {
    let names = |metrics: &[Metric]| metrics.iter().map(|metric| metric.name().to_owned()).collect();
    if !arguments.metrics.is_empty() {
        return names(&arguments.metrics);
    }
    let had = before.map(Baseline::metrics).unwrap_or_default();
    if had.is_empty() { names(&baseline::STANDARD) } else { had }
}

/// The error that the program ends with: wrong settings before failed runs before metrics that got worse.
fn conclude(checked: &[Checked<'_>], mut errors: Vec<anyhow::Error>) -> Result<()> {
    if !errors.is_empty() {
        let worst = errors.iter().position(|error| exit_code(error) == SETTINGS).unwrap_or(0);
        let (count, error) = (errors.len(), errors.swap_remove(worst));
        return Err(match checked.len() {
            1 => error,
            all => error.context(format!("{count} of {all} experiments could not be checked; one of them")),
        });
    }
    let failed: Vec<&Checked<'_>> = checked.iter().filter(|one| !one.passed()).collect();
    match failed.as_slice() {
        [] => Ok(()),
        [one] => {
            let count = one.comparison().map_or(0, baseline::Comparison::failures);
            anyhow::bail!("{count} metrics or rows left the baseline {}", one.path.display())
        }
        several => anyhow::bail!("{} of {} baselines were left", several.len(), checked.len()),
    }
}

/// A path for messages.
fn shown(path: &Path) -> String {
    path.display().to_string()
}
