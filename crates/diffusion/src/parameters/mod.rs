//! The network's parameters: named spans, in a stated order, of one flat f32 buffer that every engine shares.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use oodlab_base::Seed;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::{DiffusionError, LfdnConfig};

/// One parameter: its published name, its shape, and where it lies in the flat buffer.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Published name: `res_blocks.0.in_layers.0.weight`.
    pub name: String,
    /// `[out, in]` of a Linear's weight, `[n]` of everything else; row-major.
    pub shape: Vec<usize>,
    /// Position in the flat buffer.
    pub span: Range<usize>,
    /// How it begins.
    pub start: Start,
}

/// How a parameter begins, as published.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Start {
    /// Uniform in ±bound: torch's default of a Linear, bound = 1 / sqrt(fan-in), for weights and biases.
    Uniform(f32),
    /// Zero: GroupNorm's biases, and the last Linear of each block and of the output, weights and biases (`zero_module`).
    Zero,
    /// One: GroupNorm's weights.
    One,
}

/// The parameters of a network in the order of the published module: `input_proj`, `time_embed`, `res_blocks` by number (each `in_layers`,
/// `emb_layers`, `out_layers`), `out`; weight before bias. Without time embedding there is no `time_embed` and no `emb_layers`.
#[must_use]
pub fn layout(config: LfdnConfig) -> Vec<Entry> {
    let LfdnConfig { dim, width, blocks, time_embedding } = config;
    let mut builder = Builder::default();
    builder.linear("input_proj.1", dim, width, false);
    if time_embedding {
        builder.linear("time_embed.0", width, dim, false);
        builder.linear("time_embed.2", dim, dim, false);
    }
    for block in 0..blocks {
        let name = |part: &str| format!("res_blocks.{block}.{part}");
        builder.norm(&name("in_layers.0"), width);
        builder.linear(&name("in_layers.2"), width, width, false);
        if time_embedding {
            builder.linear(&name("emb_layers.1"), dim, width, false);
        }
        builder.norm(&name("out_layers.0"), width);
        builder.linear(&name("out_layers.3"), width, width, true);
    }
    builder.norm("out.0", width);
    builder.linear("out.2", width, dim, true);
    builder.0
}

#[derive(Default)]
struct Builder(Vec<Entry>);

impl Builder {
    fn push(&mut self, name: String, shape: Vec<usize>, start: Start) {
        let begin = self.0.last().map_or(0, |entry| entry.span.end);
        let end = begin + shape.iter().product::<usize>();
        self.0.push(Entry { name, shape, span: begin..end, start });
    }

    fn linear(&mut self, name: &str, from: usize, to: usize, zero: bool) {
        let start = if zero { Start::Zero } else { Start::Uniform((1.0 / (from as f64).sqrt()) as f32) };
        self.push(format!("{name}.weight"), vec![to, from], start);
        self.push(format!("{name}.bias"), vec![to], start);
    }

    fn norm(&mut self, name: &str, width: usize) {
        self.push(format!("{name}.weight"), vec![width], Start::One);
        self.push(format!("{name}.bias"), vec![width], Start::Zero);
    }
}

/// Parameters (or gradients, or averaged parameters) of a network: one flat f32 buffer in the order of [`layout`].
///
/// The stamp tells engines whether they have seen these very values: it changes whenever the values may have changed.
#[derive(Debug, Clone)]
pub struct Parameters {
    config: LfdnConfig,
    entries: std::sync::Arc<[Entry]>,
    values: Vec<f32>,
    stamp: u64,
}

impl PartialEq for Parameters {
    fn eq(&self, other: &Parameters) -> bool {
        self.config == other.config && self.values == other.values
    }
}

fn new_stamp() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Parameters {
    /// All zero: a place for gradients.
    ///
    /// # Errors
    /// When the sizes are out of range.
    pub fn zeros(config: LfdnConfig) -> Result<Parameters, DiffusionError> {
        let entries: std::sync::Arc<[Entry]> = layout(config.validate()?).into();
        let count = entries.last().map_or(0, |entry| entry.span.end);
        Ok(Parameters { config, entries, values: vec![0.0; count], stamp: new_stamp() })
    }

    /// The published initialisation ([`Start`]); every parameter draws from a stream of its own, named after it.
    ///
    /// # Errors
    /// When the sizes are out of range.
    pub fn initialise(config: LfdnConfig, seed: Seed) -> Result<Parameters, DiffusionError> {
        let mut parameters = Parameters::zeros(config)?;
        for entry in parameters.entries.iter() {
            let values = &mut parameters.values[entry.span.clone()];
            match entry.start {
                Start::Zero => {}
                Start::One => values.fill(1.0),
                Start::Uniform(bound) => {
                    let stream = seed.stream(&format!("lfdn initialisation {}", entry.name));
                    oodlab_kernels::uniform::fill(stream, 0, values);
                    values.iter_mut().for_each(|x| *x = (2.0 * *x - 1.0) * bound);
                }
            }
        }
        Ok(parameters)
    }

    /// Parameters from a flat buffer in the order of [`layout`].
    ///
    /// # Errors
    /// When the sizes are out of range or the number of values does not fit.
    pub fn from_flat(config: LfdnConfig, values: Vec<f32>) -> Result<Parameters, DiffusionError> {
        let expected = config.validate()?.parameter_count().unwrap_or(0);
        if values.len() != expected {
            return Err(DiffusionError::Length { what: "parameters", expected, found: values.len() });
        }
        Ok(Parameters { config, entries: layout(config).into(), values, stamp: new_stamp() })
    }

    /// The sizes of the network.
    #[must_use]
    pub fn config(&self) -> LfdnConfig {
        self.config
    }

    /// Names, shapes and spans, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Number of values.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len()
    }

    /// All values, flat.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All values, to be changed.
    #[must_use]
    pub fn values_mut(&mut self) -> &mut [f32] {
        self.stamp = new_stamp();
        &mut self.values
    }

    /// Changes with the values; equal stamps mean equal values.
    #[must_use]
    pub fn stamp(&self) -> u64 {
        self.stamp
    }

    /// The values of one parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        self.entries.iter().find(|entry| entry.name == name).map(|entry| &self.values[entry.span.clone()])
    }

    /// The parameters as the tensors of a safetensors file, each name with a prefix.
    pub(crate) fn views<'a>(&'a self, prefix: &str) -> Result<Vec<(String, TensorView<'a>)>, DiffusionError> {
        self.entries
            .iter()
            .map(|entry| {
                let data = little_endian(&self.values[entry.span.clone()]);
                Ok((format!("{prefix}{}", entry.name), TensorView::new(Dtype::F32, entry.shape.clone(), data)?))
            })
            .collect()
    }

    /// Reads the tensors whose names begin with `prefix`.
    pub(crate) fn from_views(
        config: LfdnConfig,
        file: &SafeTensors<'_>,
        prefix: &str,
    ) -> Result<Parameters, DiffusionError> {
        // Every tensor is checked before memory is taken for the values: what the sizes claim must be there.
        let entries = layout(config.validate()?);
        for entry in &entries {
            let name = format!("{prefix}{}", entry.name);
            let Ok(view) = file.tensor(&name) else {
                return Err(DiffusionError::MissingParameter { name, expected: entry.shape.clone() });
            };
            if view.shape() != entry.shape {
                let (expected, found) = (entry.shape.clone(), view.shape().to_vec());
                return Err(DiffusionError::ParameterShape { name, expected, found });
            }
            if view.dtype() != Dtype::F32 {
                let found = format!("{:?}", view.dtype());
                return Err(DiffusionError::ParameterType { name, expected: "F32", found });
            }
        }
        let mut values = Vec::with_capacity(entries.last().map_or(0, |entry| entry.span.end));
        for entry in &entries {
            let view = file.tensor(&format!("{prefix}{}", entry.name))?;
            values.extend(view.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)));
        }
        Parameters::from_flat(config, values)
    }

    /// The parameters as a safetensors file with their published names.
    ///
    /// # Errors
    /// When the file cannot be laid out (never for valid sizes).
    pub fn to_bytes(&self) -> Result<Vec<u8>, DiffusionError> {
        Ok(safetensors::serialize(self.views("")?, None)?)
    }

    /// Reads a safetensors file with the published names.
    ///
    /// # Errors
    /// When it is not safetensors, or a tensor is missing, unknown, or has another shape or type: the first such tensor is named.
    pub fn from_bytes(config: LfdnConfig, bytes: &[u8]) -> Result<Parameters, DiffusionError> {
        let file = SafeTensors::deserialize(bytes)?;
        let parameters = Parameters::from_views(config, &file, "")?;
        let mut names: Vec<&str> = file.names();
        names.sort_unstable();
        match names.into_iter().find(|name| parameters.get(name).is_none()) {
            Some(name) => Err(DiffusionError::UnknownParameter { name: name.to_owned() }),
            None => Ok(parameters),
        }
    }
}

/// The bytes of f32 values as they are stored.
pub(crate) fn little_endian(values: &[f32]) -> &[u8] {
    const { assert!(cfg!(target_endian = "little"), "files are little-endian, and so must be the machine") };
    // SAFETY: every byte of an f32 is an initialised u8, u8 has alignment 1, and the length is that of the same memory in bytes.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), std::mem::size_of_val(values)) }
}

#[cfg(test)]
mod tests;
