//! `oodlab calibrate`: a threshold from held-out in-distribution scores, and the detector as one file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use oodlab_datasets::Protocol;
use serde::Serialize;

use super::{print, print_json};
use crate::cli::Target;
use crate::config::{EncoderSection, Experiment, Source};
use crate::failure::settings;
use crate::lab::Lab;
use crate::numerics;
use crate::plan::{Contender, Planner, Run};
use crate::portable::threshold::Threshold;
use crate::portable::{self, About, DetectorPart, EncoderPart, Provenance};
use crate::stages::source::FeatureSource;
use crate::work::steps;

/// `oodlab calibrate --help`.
pub const HELP: &str = "Examples:\n  oodlab calibrate experiments/quickstart.yaml --output cats.oodlab\n  \
    oodlab calibrate experiments/cifar10_far.yaml --score mfsim --accept 0.99 --output cifar10.oodlab\n  \
    oodlab predict cats.oodlab photographs/\n\n\
    The threshold is the smallest that accepts the wanted share of held-out in-distribution images: those of the benchmark's\n\
    validation split, or with `--on test` its test images (a table made of the same images is then no fair estimate).\n\
    What is missing is computed as by `oodlab run`, and kept in the store.";

/// Which held-out images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HeldOut {
    /// The benchmark's in-distribution validation images
    Validation,
    /// Its in-distribution test images
    Test,
}

#[derive(Debug, Args)]
pub struct CalibrateArguments {
    #[command(flatten)]
    pub target: Target,
    /// Share of in-distribution images to accept
    #[arg(long, default_value_t = 0.95, value_name = "SHARE")]
    pub accept: f64,
    /// Name of the detector; the experiment's own when absent
    #[arg(long, value_name = "NAME")]
    pub detector: Option<String>,
    /// Name of the score; the detector's first when absent
    #[arg(long, value_name = "NAME")]
    pub score: Option<String>,
    /// Held-out images; the validation split where the benchmark names one, else the test images
    #[arg(long, value_name = "WHICH")]
    pub on: Option<HeldOut>,
    /// Bring every picture to the in-distribution images' size first (matched), or not (native); matched where the experiment has it
    #[arg(long, value_name = "PROTOCOL")]
    pub protocol: Option<ProtocolName>,
    /// The detector file
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
}

/// A protocol on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProtocolName {
    /// From its own size
    Native,
    /// From the in-distribution images' size
    Matched,
}

/// What is told.
#[derive(Serialize)]
struct Told<'a> {
    file: String,
    detector: &'a str,
    score: &'a str,
    squash: Option<(u32, u32)>,
    #[serde(flatten)]
    threshold: &'a Threshold,
    notes: Vec<String>,
}

/// Runs the command.
pub fn run(lab: &Lab, arguments: &CalibrateArguments, json: bool) -> Result<()> {
    let accept = arguments.accept;
    if !(accept > 0.0 && accept <= 1.0) {
        return Err(settings(format!("--accept: found {accept}, expected a share above 0 and at most 1")));
    }
    let source = Source::open(&arguments.target.request()?)?;
    let mut planner = Planner::new(lab)?;
    let run = only_run(&source, &mut planner)?;
    let contender = chosen(&run, arguments.detector.as_deref())?;
    let score = chosen_score(contender, arguments.score.as_deref())?;
    let mut notes = Vec::new();
    let held_out = match (arguments.on, planner.held_out(&run.experiment, &run.sets)?) {
        (Some(HeldOut::Test), _) => run.sets.id_test.clone(),
        (_, Some(validation)) => validation,
        (Some(HeldOut::Validation), None) => {
            let what = "the benchmark names no validation images that are at hand; add `validation: {id: ..}` to it, or use --on test";
            return Err(settings(what));
        }
        (None, None) => {
            notes.push("the benchmark has no validation split: the threshold comes from its test images".to_owned());
            run.sets.id_test.clone()
        }
    };
    let scores = steps::score_set(lab, &run, contender, &held_out)?;
    let values = scores.column(&score).with_context(|| format!("no score {score}"))?;
    let threshold = Threshold::of(values, accept, held_out.name()).context("no held-out samples")?;
    if threshold.interval.1.is_none() {
        let n = threshold.samples;
        notes.push(format!("{n} held-out images are too few for an upper end of the threshold's interval"));
    }
    let about = about(&mut planner, &source, &run, contender, arguments.protocol, (score, threshold))?;
    let (fitted, _) = contender.fit.run(lab, &run.sets.train)?;
    write(&arguments.output, about, &fitted.to_bytes()?, notes, json)
}

fn write(path: &Path, mut about: About, fitted: &[u8], notes: Vec<String>, json: bool) -> Result<()> {
    about.detector.fitted = portable::hash(fitted);
    portable::write(path, &about, fitted)?;
    let About { score, threshold, squash, .. } = &about;
    let file = path.display().to_string();
    if json {
        let detector = &about.detector.name;
        return print_json(&Told { file, detector, score, squash: *squash, threshold, notes });
    }
    let Threshold {
        value,
        acceptance,
        accepted,
        interval: (low, high),
        acceptance_interval: (least, most),
        samples,
        held_out,
    } = threshold;
    let end = |end: &Option<f64>| end.map_or("unbounded".to_owned(), |end| format!("{end:.6}"));
    let mut text = format!(
        "{file}: {} {score}, threshold {value:.6} (95 % interval {} to {})\naccepts {:.2} % of {samples} held-out images ({held_out}), \
         wanted {:.2} %; of new in-distribution images {:.2} to {:.2} % (95 % interval)\n",
        about.detector.name,
        end(low),
        end(high),
        100.0 * accepted,
        100.0 * acceptance,
        100.0 * least,
        100.0 * most,
    );
    for note in notes {
        text += &format!("note: {note}\n");
    }
    print(&text)
}

/// The run of an experiment with one cell and one seed.
fn only_run(source: &Source, planner: &mut Planner<'_>) -> Result<Run> {
    let cells: Vec<_> = source.cells()?.into_iter().collect();
    let several = |what: &str, count: usize, how: &str| {
        Err(settings(format!("the experiment has {count} {what}; a detector file holds one: {how}")))
    };
    if cells.len() > 1 {
        return several("cells", cells.len(), "choose by overrides of the swept keys, as in detector.sample.start=3");
    }
    let (cell, experiment) = cells.into_iter().next().context("the experiment has no cell")?;
    let &[seed] = &experiment.seeds[..] else { return several("seeds", experiment.seeds.len(), "as in seeds=[0]") };
    planner.run(&cell, &Arc::new(experiment), seed).map_err(|error| source.locate(&cell, error))
}

fn chosen<'a>(run: &'a Run, name: Option<&str>) -> Result<&'a Contender> {
    let Some(name) = name else { return run.contenders.first().map(AsRef::as_ref).context("the run has no detector") };
    let found = run.contenders.iter().find(|contender| contender.name == name);
    found.map(AsRef::as_ref).ok_or_else(|| {
        let known: Vec<&str> = run.contenders.iter().map(|contender| contender.name.as_str()).collect();
        settings(format!("--detector: the experiment has no {name:?} (it has {})", known.join(", ")))
    })
}

fn chosen_score(contender: &Contender, name: Option<&str>) -> Result<String> {
    let known = contender.fit.detector().score_names();
    match name {
        None => known.into_iter().next().context("the detector has no score"),
        Some(name) if known.iter().any(|known| known == name) => Ok(name.to_owned()),
        Some(name) => {
            Err(settings(format!("--score: {} has no {name:?} (it has {})", contender.name, known.join(", "))))
        }
    }
}

/// Everything of the file but the hash of the fitted bytes.
fn about(
    planner: &mut Planner<'_>,
    source: &Source,
    run: &Run,
    contender: &Contender,
    protocol: Option<ProtocolName>,
    (score, threshold): (String, Threshold),
) -> Result<About> {
    let Experiment { encoder, preprocess, protocols, .. } = run.experiment.as_ref();
    let EncoderSection::Network(config) = encoder else {
        return Err(settings(
            "imported features have no network that could read pictures; use an encoder of this program",
        ));
    };
    let (network, weights) = planner.network(config)?;
    let mut config = config.clone();
    config.normalisation = Some(network.normalisation());
    config.resolution = Some(network.resolution());
    let matched = match protocol {
        Some(protocol) => protocol == ProtocolName::Matched,
        None => protocols.contains(&Protocol::Matched),
    };
    let size = |source: &FeatureSource| source.images().and_then(|images| images.uniform_size());
    let squash = if matched { size(&run.sets.id_test) } else { None };
    if matched && squash.is_none() && protocol.is_some() {
        return Err(settings("--protocol matched: the in-distribution images have different sizes; use native"));
    }
    let (kind, settings, scores) = crate::plan::described(&run.experiment, &contender.name)?;
    let train = run.sets.train.source();
    let classes = train.images().map(|images| images.class_names().to_vec()).unwrap_or_default();
    let classes = if classes.len() == network.classes() { classes } else { Vec::new() };
    Ok(About {
        format: portable::format(),
        detector: DetectorPart {
            name: contender.name.clone(),
            kind,
            settings,
            scores,
            layers: contender.fit.reading().layers.clone(),
            fitted: String::new(),
        },
        score,
        threshold,
        encoder: EncoderPart { config, weights: weights.hex(), key: network.key().hex(), classes },
        preprocess: *preprocess,
        squash,
        provenance: Provenance {
            experiment: source.name.clone(),
            run: run.key.hex(),
            seed: run.seed,
            trained_on: train.name(),
            program: format!("oodlab {} ({})", env!("CARGO_PKG_VERSION"), env!("OODLAB_COMMIT")),
            numerics: numerics::describe(None),
        },
    })
}
