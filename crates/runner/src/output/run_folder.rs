//! `runs/<key>/`: the resolved configuration, the provenance and the log of one cell with one seed.

use std::path::{Path, PathBuf};

use anyhow::Result;
use oodlab_base::file::{remove_leftovers, write_atomic};
use oodlab_datasets::Preprocess;
use oodlab_encoders::network::Normalisation;
use serde::Serialize;

use crate::config::sweep::Sweep;
use crate::config::{EncoderSection, Source};
use crate::plan::Run;
use crate::stages::Note;
use crate::stages::evaluate::Evaluated;
use crate::stages::source::FeatureSource;

/// Everything that a number of this run came from.
#[derive(Serialize)]
struct Provenance<'a> {
    program: &'static str,
    version: &'static str,
    commit: &'static str,
    experiment: &'a str,
    file: String,
    run: String,
    cell: &'a str,
    seed: u64,
    encoder: EncoderRecord<'a>,
    sets: Vec<SetRecord>,
    detectors: Vec<DetectorRecord<'a>>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct EncoderRecord<'a> {
    config: &'a EncoderSection,
    /// Absent for imported features: nothing is known of their network.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    weights: String,
    /// What the network sees of a picture; absent for imported features.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<InputRecord>,
    layers: &'a [usize],
}

/// From picture to numbers: the same for every set of the run.
#[derive(Serialize)]
struct InputRecord {
    /// Side of the square, in pixels.
    resolution: u32,
    #[serde(flatten)]
    preprocess: Preprocess,
    /// Subtracted from pixels in 0..1, and what they are divided by.
    #[serde(flatten)]
    normalisation: Normalisation,
}

#[derive(Serialize)]
struct SetRecord {
    role: String,
    set: String,
    split: String,
    images: usize,
    found: usize,
    expected: Option<usize>,
    list: String,
    features: String,
    /// How the features were computed: version, commit, numerics, decoders, threads, seconds; or the file they came from.
    computed: Note,
}

#[derive(Serialize)]
struct DetectorRecord<'a> {
    name: &'a str,
    kind: &'a str,
    control: bool,
    fit: String,
    /// How it was fitted: version, commit, numerics, threads, seconds.
    computed: Note,
}

/// Where a run's configuration, provenance and log lie.
pub fn run_folder(folder: &Path, run: &Run) -> PathBuf {
    folder.join("runs").join(run.key.short())
}

/// Makes the run's folder and writes its configuration.
pub fn start_run(folder: &Path, source: &Source, run: &Run) -> Result<()> {
    let folder = run_folder(folder, run);
    fs_err::create_dir_all(&folder)?;
    remove_leftovers(&folder)?;
    let mut experiment = run.experiment.resolved()?;
    experiment.seeds = vec![run.seed];
    experiment.sweep = Sweep::default();
    if let (EncoderSection::Network(config), Some(encoder)) = (&mut experiment.encoder, run.sets.backbone.network()) {
        config.normalisation = Some(encoder.normalisation());
    }
    let config = serde_yaml::to_string(&experiment)?;
    let header = format!("# {} of {}, as resolved; run {}\n", run.name(), source.path.display(), run.key.short());
    Ok(write_atomic(&folder.join("config.yaml"), format!("{header}{config}").as_bytes())?)
}

/// Writes the provenance of a finished run.
pub fn finish_run(folder: &Path, source: &Source, run: &Run, done: &Evaluated) -> Result<()> {
    let folder = run_folder(folder, run);
    let record = |role: String, encode: &FeatureSource| SetRecord {
        role,
        set: encode.set().to_owned(),
        split: encode.split().to_owned(),
        images: encode.len(),
        found: encode.found(),
        expected: encode.expected(),
        list: encode.list_key().hex(),
        features: encode.key().hex(),
        computed: done.stages.note(encode.key()).cloned().unwrap_or_default(),
    };
    let mut sets = vec![record("train".into(), run.sets.train.source()), record("id".into(), &run.sets.id_test)];
    sets.extend(run.sets.shifted.iter().map(|s| record(format!("{} id, shifted", s.protocol.name()), &s.encode)));
    sets.extend(run.sets.outliers.iter().map(|o| record(format!("{} {}", o.protocol.name(), o.group), &o.encode)));
    let detectors = run.contenders.iter().map(|contender| DetectorRecord {
        name: &contender.name,
        kind: contender.fit.detector().kind(),
        control: contender.control,
        fit: contender.fit.key().hex(),
        computed: done.stages.note(contender.fit.key()).cloned().unwrap_or_default(),
    });
    let provenance = Provenance {
        program: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("OODLAB_COMMIT"),
        experiment: &source.name,
        file: source.path.display().to_string(),
        run: run.key.hex(),
        cell: &run.cell.name,
        seed: run.seed,
        encoder: EncoderRecord {
            config: &run.experiment.encoder,
            key: run.sets.backbone.key().map(|key| key.hex()),
            weights: run.sets.backbone.weights(),
            input: run.sets.backbone.network().map(|encoder| InputRecord {
                resolution: encoder.resolution(),
                preprocess: run.experiment.preprocess,
                normalisation: encoder.normalisation(),
            }),
            layers: &run.layers,
        },
        sets,
        detectors: detectors.collect(),
        warnings: super::rows::warnings(run, done).collect(),
    };
    let text = format!(
        "{}
",
        serde_json::to_string_pretty(&provenance)?
    );
    Ok(write_atomic(&folder.join("provenance.json"), text.as_bytes())?)
}
