//! The parameters of a small network: one flat f32 buffer in the order of its layout.

use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use oodlab_base::Seed;

use crate::tensor_file::{TensorFile, Values};
use crate::{DiffusionError, Entry, Start};

/// Parameters a small network may have at most: 2^26, 256 MiB of f32.
const MOST: usize = 1 << 26;

/// Parameters (or averages, or gradients) of a small network.
#[derive(Debug, Clone, PartialEq)]
pub struct SmallParameters {
    entries: Arc<[Entry]>,
    values: Vec<f32>,
}

impl SmallParameters {
    /// As each entry begins; every parameter draws from a stream of its own, named after the network and itself.
    ///
    /// # Errors
    /// When there are more than 2^26 parameters.
    pub fn initialise(network: &str, layout: Vec<Entry>, seed: Seed) -> Result<SmallParameters, DiffusionError> {
        let count = layout.last().map_or(0, |entry| entry.span.end);
        if count > MOST {
            return Err(DiffusionError::Setting {
                name: "network",
                found: format!("{count} parameters"),
                expected: format!("at most {MOST}; make it narrower"),
            });
        }
        let mut values = vec![0.0; count];
        for entry in &layout {
            let values = &mut values[entry.span.clone()];
            match entry.start {
                Start::Zero => {}
                Start::One => values.fill(1.0),
                Start::Uniform(bound) => {
                    let stream = seed.stream(&format!("{network} initialisation {}", entry.name));
                    oodlab_kernels::uniform::fill(stream, 0, values);
                    values.iter_mut().for_each(|x| *x = (2.0 * *x - 1.0) * bound);
                }
            }
        }
        Ok(SmallParameters { entries: layout.into(), values })
    }

    /// The tensors of a file whose names begin with `prefix`.
    ///
    /// # Errors
    /// When one is missing, has another shape or type, or a value that is not finite.
    pub fn from_file(
        layout: Vec<Entry>,
        file: &TensorFile<'_>,
        prefix: &str,
    ) -> Result<SmallParameters, DiffusionError> {
        let mut values = Vec::new();
        for entry in &layout {
            values.extend(file.f32(&format!("{prefix}{}", entry.name), &entry.shape)?);
        }
        Ok(SmallParameters { entries: layout.into(), values })
    }

    /// The parameters as tensors to be written, each name with a prefix.
    #[must_use]
    pub fn for_file(&self, prefix: &str) -> Vec<(String, Vec<usize>, Values<'_>)> {
        let tensor = |entry: &Entry| {
            let values = Values::F32(&self.values[entry.span.clone()]);
            (format!("{prefix}{}", entry.name), entry.shape.clone(), values)
        };
        self.entries.iter().map(tensor).collect()
    }

    /// Names, shapes and spans, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// All values, flat.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All values, to be changed.
    #[must_use]
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// As tensors that gradients are taken of.
    pub(super) fn variables(&self) -> candle_core::Result<Vec<Var>> {
        let variable =
            |entry: &Entry| Var::from_slice(&self.values[entry.span.clone()], entry.shape.as_slice(), &Device::Cpu);
        self.entries.iter().map(variable).collect()
    }

    /// As tensors.
    ///
    /// # Errors
    /// When candle refuses (never for a valid layout).
    pub(crate) fn tensors(&self) -> candle_core::Result<Vec<Tensor>> {
        let tensor =
            |entry: &Entry| Tensor::from_slice(&self.values[entry.span.clone()], entry.shape.as_slice(), &Device::Cpu);
        self.entries.iter().map(tensor).collect()
    }
}
