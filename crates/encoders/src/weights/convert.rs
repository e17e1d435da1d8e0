//! Weights into safetensors: batch norms folded, halves, trunk only, as asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use half::f16;
use oodlab_base::file::write_atomic;
use serde::Serialize;

use super::manifest::manifests;
use super::{Tensor, WeightError, Weights};
use crate::network::Network;
use crate::{HeadPolicy, fold};

/// Raised by hand when conversion gives other bytes for the same file.
pub const CONVERTER_REVISION: u32 = 1;

/// How weights are converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConvertOptions {
    /// Fold batch norms into the convolutions before them.
    pub fold: bool,
    /// Store f16 instead of f32.
    pub half: bool,
    /// Leave the classifier out: everything behind the last tap.
    pub trunk_only: bool,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// Tensors in the file.
    pub tensors: usize,
    /// Elements in all of them.
    pub elements: u64,
    /// Bytes of the file.
    pub size_bytes: u64,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// Writes weights of `network` as a safetensors file, atomically; its metadata say what was done and where they came
/// from (`format`, `network`, `folded`, `trunk_only`, `dtype`, `source`, `source_sha256`, `licence`,
/// `converter_revision`). The same input gives the same bytes.
///
/// # Errors
/// When the weights do not fit the network, an element does not fit f16, or the file cannot be written.
pub fn convert(
    weights: &Weights,
    network: &str,
    output: &Path,
    options: ConvertOptions,
) -> Result<Converted, WeightError> {
    let weights = &*weights.for_network(network)?;
    let prepared = prepare(weights, network, options)?;
    let metadata = metadata(weights, network, options)?;
    let bytes = encode(weights.source(), prepared.tensors(), &metadata, options.half)?;
    write_atomic(output, &bytes).map_err(WeightError::io("writing converted weights"))?;
    Ok(Converted {
        tensors: prepared.tensors().len(),
        elements: prepared.tensors().values().map(|tensor| tensor.values.len() as u64).sum(),
        size_bytes: bytes.len() as u64,
        sha256: super::sha256_hex(&bytes),
    })
}

/// Folds and cuts.
fn prepare(weights: &Weights, network: &str, options: ConvertOptions) -> Result<Weights, WeightError> {
    let refuse = |reason: String| WeightError::Fold { file: weights.source().to_owned(), reason };
    let head = if options.trunk_only { HeadPolicy::Drop } else { HeadPolicy::Keep };
    // Whatever is written carries the network's name: it must fit it, folded or not.
    let folded = fold(network, weights, head).map_err(|error| refuse(error.to_string()))?;
    if options.fold {
        return Ok(folded);
    }
    let mut tensors = weights.tensors().clone();
    if options.trunk_only {
        let head = Network::named(network).map(|network| network.head_units(network.classes())).unwrap_or_default();
        let state = head.iter().flat_map(|unit| unit.state().into_iter().chain(unit.folded()));
        let head: BTreeSet<String> = state.map(|parameter| parameter.name).collect();
        tensors.retain(|name, _| !head.contains(name));
    }
    Ok(Weights::from_tensors(tensors))
}

fn metadata(
    weights: &Weights,
    network: &str,
    options: ConvertOptions,
) -> Result<BTreeMap<String, String>, WeightError> {
    let sha256 = weights.sha256().unwrap_or_default();
    let manifests = manifests()?;
    let known = manifests.iter().find(|manifest| manifest.files.iter().any(|file| file.matches(sha256)));
    let stated = |name: &str| weights.metadata().get(name).cloned();
    // The folder is this machine's affair; the file's name is not.
    let source = Path::new(weights.source()).file_name().map(|name| name.to_string_lossy().into_owned());
    let licence = known.map(|manifest| manifest.licence.clone()).or_else(|| stated("licence"));
    Ok([
        ("format", "oodlab weights 1".to_owned()),
        ("network", network.to_owned()),
        ("folded", (options.fold || stated("folded").as_deref() == Some("true")).to_string()),
        ("trunk_only", (options.trunk_only || stated("trunk_only").as_deref() == Some("true")).to_string()),
        ("dtype", if options.half { "f16" } else { "f32" }.to_owned()),
        ("source", source.unwrap_or_default()),
        ("source_sha256", sha256.to_owned()),
        ("licence", licence.unwrap_or_else(|| "unknown".to_owned())),
        ("converter_revision", CONVERTER_REVISION.to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect())
}

/// One tensor in the header, its fields in the order of the format's description.
#[derive(Serialize)]
struct HeaderTensor<'a> {
    dtype: &'static str,
    shape: &'a [usize],
    data_offsets: [usize; 2],
}

/// An entry of the header.
#[derive(Serialize)]
#[serde(untagged)]
enum HeaderEntry<'a> {
    Metadata(&'a BTreeMap<String, String>),
    Tensor(HeaderTensor<'a>),
}

/// The bytes of a safetensors file. The crate's own writer keeps metadata in a hash map, so its bytes differ from run to
/// run; here everything is in byte order of the names.
fn encode(
    source: &str,
    tensors: &BTreeMap<String, Tensor>,
    metadata: &BTreeMap<String, String>,
    half: bool,
) -> Result<Vec<u8>, WeightError> {
    let (dtype, size) = if half { ("F16", 2) } else { ("F32", 4) };
    let mut header = BTreeMap::from([("__metadata__", HeaderEntry::Metadata(metadata))]);
    let mut end = 0;
    for (name, tensor) in tensors {
        let begin = end;
        end += tensor.values.len() * size;
        let entry = HeaderTensor { dtype, shape: &tensor.shape, data_offsets: [begin, end] };
        header.insert(name, HeaderEntry::Tensor(entry));
    }
    let mut json = serde_json::to_vec(&header).map_err(|error| WeightError::malformed(source, error.to_string()))?;
    // The data begin at a multiple of eight; blanks are part of JSON.
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut bytes = Vec::with_capacity(8 + json.len() + end);
    bytes.extend_from_slice(&(json.len() as u64).to_le_bytes());
    bytes.append(&mut json);
    for (name, tensor) in tensors {
        for (index, &value) in tensor.values.iter().enumerate() {
            if !half {
                bytes.extend_from_slice(&value.to_le_bytes());
                continue;
            }
            let rounded = f16::from_f32(value);
            if !rounded.is_finite() {
                let reason = format!("element {index} of tensor `{name}` is {value}, which f16 cannot hold");
                return Err(WeightError::malformed(source, reason));
            }
            bytes.extend_from_slice(&rounded.to_le_bytes());
        }
    }
    Ok(bytes)
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
