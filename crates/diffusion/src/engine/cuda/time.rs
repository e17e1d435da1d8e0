//! What the blocks are told of the steps: one row for each distinct step of a batch.

use oodlab_kernels::cuda::{Buffer, CudaError};
use oodlab_kernels::dense::cuda as dense;

use super::linear::Products;
use super::places::Places;
use crate::time_embedding;

/// The time MLP's values for some steps, and each block's shift: its projection with its bias and the bias of the product that
/// is shifted, so that neither needs a pass of its own.
#[derive(Debug)]
pub(super) struct Time {
    pub steps: usize,
    pub table: Buffer<f32>,
    pub before: [Buffer<f32>; 2],
    pub after: [Buffer<f32>; 2],
    /// One `[steps, width]` for each block.
    pub shifts: Vec<Buffer<f32>>,
}

impl Time {
    pub fn new(products: &Products, blocks: usize) -> Result<Time, CudaError> {
        let empty = || products.gpu.zeros::<f32>(0);
        Ok(Time {
            steps: 0,
            table: empty()?,
            before: [empty()?, empty()?],
            after: [empty()?, empty()?],
            shifts: (0..blocks).map(|_| empty()).collect::<Result<_, _>>()?,
        })
    }

    /// Computes all of it for these steps; nothing without a time MLP.
    pub fn compute(
        &mut self,
        products: &Products,
        places: &Places,
        parameters: &Buffer<f32>,
        width: usize,
        steps: &[u32],
    ) -> Result<(), CudaError> {
        let Some(layers) = places.time else { return Ok(()) };
        let (gpu, rows) = (&products.gpu, steps.len());
        self.steps = rows;
        self.table.reserve(rows * width)?;
        self.table.write(&time_embedding::table(steps, width))?;
        for (at, layer) in layers.into_iter().enumerate() {
            let length = rows * layer.to;
            self.before[at].reserve(length)?;
            self.after[at].reserve(length)?;
            let (first, second) = self.after.split_at_mut(1);
            let (input, after) = if at == 0 { (&self.table, &mut first[0]) } else { (&first[0], &mut second[0]) };
            products.forward(layer, parameters, input, rows, &mut self.before[at])?;
            dense::add_bias(gpu, &mut self.before[at], (rows, layer.to), (parameters, layer.bias), None)?;
            dense::silu(gpu, &self.before[at], length, after)?;
        }
        for (shift, block) in self.shifts.iter_mut().zip(&places.blocks) {
            let Some(layer) = block.shift else { continue };
            shift.reserve(rows * layer.to)?;
            products.forward(layer, parameters, &self.after[1], rows, shift)?;
            for bias in [layer.bias, block.first.bias] {
                dense::add_bias(gpu, shift, (rows, layer.to), (parameters, bias), None)?;
            }
        }
        Ok(())
    }
}
