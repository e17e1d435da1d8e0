//! `runs/<key>/`: the resolved configuration, the provenance and the log of one cell with one seed.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use super::{ScoredRun, write_atomic};
use crate::config::Source;
use crate::lab::Lab;
use crate::numerics;
use crate::plan::Run;
use crate::stages::encode::Encode;

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
    numerics: String,
    threads: usize,
    image_decoders: &'static str,
    encoder: EncoderRecord<'a>,
    sets: Vec<SetRecord>,
    detectors: Vec<DetectorRecord<'a>>,
    seconds: &'a std::collections::BTreeMap<String, f64>,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct EncoderRecord<'a> {
    config: &'a oodlab_encoders::EncoderConfig,
    key: String,
    weights: String,
    layers: &'a [usize],
}

#[derive(Serialize)]
struct SetRecord {
    role: String,
    set: String,
    split: String,
    images: usize,
    list: String,
    features: String,
}

#[derive(Serialize)]
struct DetectorRecord<'a> {
    kind: &'a str,
    control: bool,
    fit: String,
}

/// Makes the run's folder, writes its configuration, and sends the log there.
pub fn start_run(lab: &Lab, folder: &Path, source: &Source, run: &Run) -> Result<PathBuf> {
    let folder = folder.join("runs").join(run.key.short());
    fs_err::create_dir_all(&folder)?;
    let config = serde_yaml::to_string(&run.experiment)?;
    let header = format!("# {} of {}, as resolved; run {}\n", cell_name(run), source.path.display(), run.key.short());
    write_atomic(&folder.join("config.yaml"), format!("{header}{config}").as_bytes())?;
    lab.run_log.open(&folder.join("log.jsonl"))?;
    tracing::info!(run = run.key.short(), cell = run.cell.name, seed = run.seed, "started");
    Ok(folder)
}

/// Writes the provenance of a finished run.
pub fn finish_run(folder: &Path, source: &Source, run: &Run, done: &ScoredRun) -> Result<()> {
    let record = |role: String, encode: &Encode| SetRecord {
        role,
        set: encode.images().name().to_owned(),
        split: encode.images().split().to_owned(),
        images: encode.images().len(),
        list: encode.images().list_key().hex(),
        features: encode.key().hex(),
    };
    let mut sets = vec![record("train".into(), &run.train), record("id".into(), &run.id_test)];
    sets.extend(run.outliers.iter().map(|o| record(format!("{} {}", o.protocol.name(), o.group), &o.encode)));
    let detectors = run.contenders.iter().map(|contender| DetectorRecord {
        kind: contender.fit.detector().kind(),
        control: contender.control,
        fit: contender.fit.key().hex(),
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
        numerics: numerics::describe(),
        threads: rayon::current_num_threads(),
        image_decoders: oodlab_datasets::decode::picture::DECODERS,
        encoder: EncoderRecord {
            config: &run.experiment.encoder,
            key: run.encoder.key().hex(),
            weights: run.weights.clone(),
            layers: &run.layers,
        },
        sets,
        detectors: detectors.collect(),
        seconds: &done.seconds,
        warnings: &done.warnings,
    };
    for (stage, seconds) in &done.seconds {
        tracing::info!(stage, seconds, "finished");
    }
    write_atomic(
        &folder.join("provenance.json"),
        format!("{}\n", serde_json::to_string_pretty(&provenance)?).as_bytes(),
    )
}

fn cell_name(run: &Run) -> String {
    if run.cell.name.is_empty() {
        format!("seed {}", run.seed)
    } else {
        format!("cell {}, seed {}", run.cell.name, run.seed)
    }
}
