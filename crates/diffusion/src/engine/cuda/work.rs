//! The buffers of a network's passes, and the passes.

use oodlab_kernels::adamw::cuda::{CudaGuard, CudaTrained};
use oodlab_kernels::adamw::{self, Coefficients};
use oodlab_kernels::cuda::{Buffer, CudaError};
use oodlab_kernels::dense::cuda as dense;
use oodlab_kernels::squared_loss;
use oodlab_kernels::step_rows::StepIndex;
use oodlab_kernels::step_rows::cuda::CudaStepIndex;

use super::backward::Flow;
use super::forward::{Network, Pass, Tape};
use super::linear::Products;
use super::model::Model;
use super::places::Places;
use super::time::Time;
use crate::engine::plain::distinct;
use crate::{Batch, DiffusionError, LfdnConfig};

/// Lists of steps whose shifts are kept for predictions.
const KEPT_STEPS: usize = 128;

/// Buffers of one size of network, which grow to the largest batch once.
#[derive(Debug)]
pub(super) struct Work {
    pub config: LfdnConfig,
    places: Places,
    tape: Tape,
    flow: Flow,
    time: Time,
    index: CudaStepIndex,
    /// What the index was made of: each row's number among the distinct steps, and how many there are.
    indexed: (Vec<u32>, usize),
    target: Buffer<f32>,
    gradients: Buffer<f32>,
    sums: Buffer<f64>,
    pub guard: CudaGuard,
}

impl Work {
    pub fn new(products: &Products, config: LfdnConfig) -> Result<Work, DiffusionError> {
        let (places, gpu) = (Places::new(config)?, &products.gpu);
        Ok(Work {
            config,
            tape: Tape::new(products)?,
            flow: Flow::new(gpu)?,
            time: Time::new(products, places.blocks.len())?,
            index: CudaStepIndex::new(gpu, &StepIndex::default())?,
            indexed: (Vec::new(), 0),
            target: gpu.zeros(0)?,
            gradients: gpu.zeros(0)?,
            sums: gpu.zeros(0)?,
            guard: CudaGuard::new(gpu)?,
            places,
        })
    }

    /// Brings samples and the rows of their steps to the GPU; returns the distinct steps.
    fn load(&mut self, x: &[f32], t: &[u32]) -> Result<Vec<u32>, CudaError> {
        self.tape.x.reserve(x.len())?;
        self.tape.x.write(x)?;
        // Without time embedding all rows take the one row of shifts that there is: the product's bias.
        let (steps, rows) = if self.config.time_embedding { distinct(t) } else { (vec![0], vec![0; t.len()]) };
        if self.indexed != (rows.clone(), steps.len()) {
            let index = StepIndex::new(&rows, steps.len())?;
            self.indexed = (Vec::new(), 0);
            self.index.write(&index)?;
            self.indexed = (rows, steps.len());
        }
        Ok(steps)
    }

    /// The prediction of the clean samples.
    pub fn predict(
        &mut self,
        products: &Products,
        model: &mut Model,
        x: &[f32],
        t: &[u32],
        out: &mut [f32],
    ) -> Result<(), CudaError> {
        let LfdnConfig { width, dim, .. } = self.config;
        let steps = self.load(x, t)?;
        // Lists of several steps hardly come twice: only single ones, those of a reconstruction, are kept.
        if steps.len() > 1 {
            self.time.compute(products, &self.places, &model.parameters, width, &steps)?;
        } else if !model.times.contains_key(&steps) {
            if model.times.len() >= KEPT_STEPS {
                model.times.clear();
            }
            let mut time = Time::new(products, self.places.blocks.len())?;
            time.compute(products, &self.places, &model.parameters, width, &steps)?;
            model.times.insert(steps.clone(), time);
        }
        let time = model.times.get(&steps).unwrap_or(&self.time);
        let (places, parameters, index) = (&self.places, &model.parameters, &self.index);
        let network = Network { products, places, parameters, time, index };
        self.tape.compute(network, Pass { rows: t.len(), width, kept: false })?;
        let bias = (parameters, places.output.bias);
        dense::add_bias(&products.gpu, &mut self.tape.output, (t.len(), dim), bias, None)?;
        self.tape.output.read_into(out)
    }

    /// Loss and gradients of all the parts' elements together; they stay on the GPU.
    pub fn gradients(
        &mut self,
        products: &Products,
        parameters: &Buffer<f32>,
        parts: &[Batch<'_>],
    ) -> Result<(), CudaError> {
        let LfdnConfig { width, dim, .. } = self.config;
        self.gradients.reserve(self.places.count)?;
        let count: usize = parts.iter().map(|part| part.target.len()).sum();
        for (at, part) in parts.iter().enumerate() {
            let steps = self.load(part.x, part.t)?;
            self.target.reserve(part.target.len())?;
            self.target.write(part.target)?;
            self.time.compute(products, &self.places, parameters, width, &steps)?;
            let (places, time, index) = (&self.places, &self.time, &self.index);
            let network = Network { products, places, parameters, time, index };
            let pass = Pass { rows: part.t.len(), width, kept: true };
            self.tape.compute(network, pass)?;
            squared_loss::cuda::run(
                &products.gpu,
                &mut self.tape.output,
                (pass.rows, dim),
                (parameters, places.output.bias),
                &self.target,
                count,
                &mut self.sums,
                self.guard.loss_mut(),
                at > 0,
            )?;
            self.flow.compute(network, pass, &self.tape, &mut self.gradients, at > 0)?;
        }
        Ok(())
    }

    /// Waits for the gradients and copies them.
    pub fn read_gradients(&self, into: &mut [f32]) -> Result<(), CudaError> {
        self.gradients.read_into(into)
    }

    /// One update by the gradients; none when the loss is not finite.
    pub fn update(
        &mut self,
        products: &Products,
        coefficients: Coefficients,
        clip: Option<f64>,
        trained: &mut CudaTrained,
    ) -> Result<(), CudaError> {
        let (gpu, count) = (&products.gpu, self.places.count);
        if clip.is_some() {
            self.guard.sum_squares(gpu, &self.gradients, count)?;
        }
        adamw::cuda::run(gpu, coefficients, clip, trained, &self.gradients, count, &self.guard)
    }
}
