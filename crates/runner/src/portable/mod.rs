//! A detector as one file: which network reads images and how, the fitted detector, its threshold, and where all of it comes from.
//!
//! The file is safetensors: one entry of metadata holds [`About`] as JSON, one tensor the fitted detector's bytes. Weights of the network
//! are named with their hash, not carried.

mod detector;
pub mod threshold;

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use oodlab_base::file::write_atomic;
use oodlab_datasets::Preprocess;
use oodlab_encoders::EncoderConfig;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use detector::{Judged, OpenDetector, Seen, hash};
use threshold::Threshold;

/// Raised when older files cannot be read any more.
const FORMAT: u32 = 1;
const HEADER: &str = "oodlab-detector";
const FITTED: &str = "fitted";

/// Everything but the fitted detector's bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// 1.
    pub format: u32,
    /// The detector.
    pub detector: DetectorPart,
    /// The score that decides.
    pub score: String,
    /// Where it decides.
    pub threshold: Threshold,
    /// The network that reads images.
    pub encoder: EncoderPart,
    /// Choices between a picture and the network's square.
    pub preprocess: Preprocess,
    /// Protocol `matched`: every picture is brought to this width and height first.
    pub squash: Option<(u32, u32)>,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// The detector of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorPart {
    /// Its name in tables.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Its settings.
    pub settings: Value,
    /// The scores it computes, as an experiment names them; empty: all.
    pub scores: Vec<Value>,
    /// Numbers of the layers it reads, counted from 1.
    pub layers: Vec<usize>,
    /// Hash of the fitted bytes.
    pub fitted: String,
}

/// The network of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderPart {
    /// As an experiment describes it, the normalisation filled in.
    pub config: EncoderConfig,
    /// Hash of its weights.
    pub weights: String,
    /// Equal where features are equal to the bit: weights, settings and the processor's instructions.
    pub key: String,
    /// Names of the classes that its logits stand for, where it knows those of the training set.
    pub classes: Vec<String>,
}

/// Where a file comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The experiment's name.
    pub experiment: String,
    /// The key of its run.
    pub run: String,
    /// The seed of that run.
    pub seed: u64,
    /// The images it learnt from.
    pub trained_on: String,
    /// The program that wrote the file.
    pub program: String,
    /// What it was computed with.
    pub numerics: String,
}

/// Writes a file whole or not at all.
pub fn write(path: &Path, about: &About, fitted: &[u8]) -> Result<()> {
    let header = serde_json::to_string(about)?;
    let view = TensorView::new(Dtype::U8, vec![fitted.len()], fitted)?;
    // One entry of metadata: several would come in any order.
    let bytes = safetensors::serialize([(FITTED, view)], Some(HashMap::from([(HEADER.to_owned(), header)])))?;
    Ok(write_atomic(path, &bytes)?)
}

/// Reads a file: what is in it and the fitted detector's bytes.
///
/// # Errors
/// When it is no such file, is damaged, or was written by a newer program.
pub fn read(path: &Path) -> Result<(About, Vec<u8>)> {
    let bytes = fs_err::read(path)?;
    parse(&bytes).with_context(|| format!("{} is no detector file (oodlab calibrate writes them)", path.display()))
}

fn parse(bytes: &[u8]) -> Result<(About, Vec<u8>)> {
    let (_, metadata) = SafeTensors::read_metadata(bytes)?;
    let header = metadata.metadata().as_ref().and_then(|map| map.get(HEADER));
    let header = header.context("its metadata has no entry oodlab-detector")?;
    let format = serde_json::from_str::<Value>(header)?["format"].as_u64();
    anyhow::ensure!(format == Some(u64::from(FORMAT)), "it has format {format:?}, expected {FORMAT}");
    let about: About = serde_json::from_str(header)?;
    let file = SafeTensors::deserialize(bytes)?;
    let fitted = file.tensor(FITTED)?.data().to_vec();
    let found = hash(&fitted);
    anyhow::ensure!(found == about.detector.fitted, "it is damaged: the fitted detector has another hash");
    let known = about.threshold.value.is_finite();
    anyhow::ensure!(known, "its threshold is {}", about.threshold.value);
    Ok((about, fitted))
}

/// The number of this format.
pub const fn format() -> u32 {
    FORMAT
}
