//! Parameters that were copied to the GPU for predictions and gradients.

use std::collections::BTreeMap;

use oodlab_kernels::cuda::{Buffer, CudaError, Gpu};

use super::time::Time;
use crate::Parameters;

/// Sets of parameters that are kept: the first-epoch and the last model are scored side by side.
const KEPT: usize = 2;

/// One set of parameters, and what depends on it and a step alone.
#[derive(Debug)]
pub(super) struct Model {
    stamp: u64,
    pub parameters: Buffer<f32>,
    /// By the distinct steps of a batch.
    pub times: BTreeMap<Vec<u32>, Time>,
}

/// The sets seen last, by their stamp.
#[derive(Debug, Default)]
pub(super) struct Models(Vec<Model>);

impl Models {
    /// The set on the GPU, copied there unless it is there.
    pub fn get(&mut self, gpu: &Gpu, parameters: &Parameters) -> Result<&mut Model, CudaError> {
        let stamp = parameters.stamp();
        let at = match self.0.iter().position(|model| model.stamp == stamp) {
            Some(at) => at,
            None => {
                let mut model = if self.0.len() < KEPT {
                    Model { stamp, parameters: gpu.zeros(0)?, times: BTreeMap::new() }
                } else {
                    // The memory of the one used longest ago.
                    self.0.remove(0)
                };
                model.times.clear();
                model.parameters.reserve(parameters.count())?;
                model.parameters.write(parameters.values())?;
                model.stamp = stamp;
                self.0.push(model);
                self.0.len() - 1
            }
        };
        // The last one is the one used last.
        self.0[at..].rotate_left(1);
        let last = self.0.len() - 1;
        Ok(&mut self.0[last])
    }
}
