//! The network on a GPU: parameters, average and moments stay there, and so does every value between the upload of a batch and
//! the read of its loss.
//!
//! * The time embedding, its MLP and every block's projection of it are computed once for each distinct step: in training for
//!   the steps of a batch, in sampling once for each step and set of parameters.
//! * The bias of a block's first product goes into that projection, so that it needs no pass of its own; norm and SiLU are one
//!   kernel each way, bias and residual another; the loss and its gradient are one pass.
//! * Same bits each time on the same GPU and libraries: sums have a fixed order, cuBLAS chooses by the sizes alone.
//! * The plain engine is the specification; they agree within rounding, which tests hold on GPUs that are none.

mod backward;
mod forward;
mod linear;
mod model;
mod places;
mod resident;
mod time;
mod work;

use oodlab_kernels::cuda::{CudaError, Factors, Gpu};

use super::{Batch, LfdnEngine, Precision, check_rows};
use crate::optimiser::{AdamW, TrainState};
use crate::{DiffusionError, Parameters};
use linear::Products;
use model::Models;
use resident::Residents;
use work::Work;

/// GroupNorm's epsilon.
const EPSILON: f32 = 1e-5;

/// The network on a GPU.
///
/// One training is on the GPU at a time: [`LfdnEngine::synchronise`] a state before another one is trained with the same engine;
/// a state that was left behind is refused.
#[derive(Debug)]
pub struct Cuda {
    products: Products,
    models: Models,
    residents: Residents,
    work: Option<Work>,
}

impl Cuda {
    /// An engine on this GPU. `f32` products are in full single precision; `bf16` and `tf32` round factors where the GPU's
    /// tensor cores do so, and leaves everything else as it is.
    ///
    /// # Errors
    /// When the GPU refuses.
    pub fn new(gpu: &Gpu, precision: Precision) -> Result<Cuda, DiffusionError> {
        let factors = match precision {
            Precision::F32 => Factors::Full,
            Precision::Bf16 => Factors::Bf16,
            Precision::Tf32 => Factors::Tf32,
        };
        let products = Products { gpu: gpu.clone(), factors };
        Ok(Cuda { products, models: Models::default(), residents: Residents::default(), work: None })
    }

    /// Buffers for a network of this size, kept from the last call when that had the same.
    fn work<'a>(
        work: &'a mut Option<Work>,
        products: &Products,
        parameters: &Parameters,
    ) -> Result<&'a mut Work, DiffusionError> {
        let config = parameters.config();
        if work.as_ref().is_none_or(|work| work.config != config) {
            *work = None;
        }
        match work {
            Some(work) => Ok(work),
            None => Ok(work.insert(Work::new(products, config)?)),
        }
    }
}

impl LfdnEngine for Cuda {
    fn name(&self) -> &'static str {
        "cuda"
    }

    fn predict(
        &mut self,
        parameters: &Parameters,
        x: &[f32],
        t: &[u32],
        out: &mut [f32],
    ) -> Result<(), DiffusionError> {
        let config = parameters.config();
        check_rows("x", config, t, x)?;
        check_rows("out", config, t, out)?;
        let work = Cuda::work(&mut self.work, &self.products, parameters)?;
        let model = self.models.get(&self.products.gpu, parameters)?;
        Ok(work.predict(&self.products, model, x, t, out)?)
    }

    fn gradients(
        &mut self,
        parameters: &Parameters,
        batch: &Batch<'_>,
        gradients: &mut Parameters,
    ) -> Result<f64, DiffusionError> {
        check_batches(parameters, std::slice::from_ref(batch))?;
        if gradients.config() != parameters.config() {
            let (expected, found) = (parameters.count(), gradients.count());
            return Err(DiffusionError::Length { what: "gradients", expected, found });
        }
        let work = Cuda::work(&mut self.work, &self.products, parameters)?;
        let model = self.models.get(&self.products.gpu, parameters)?;
        work.gradients(&self.products, &model.parameters, std::slice::from_ref(batch))?;
        work.read_gradients(gradients.values_mut())?;
        Ok(work.guard.loss()?)
    }

    fn train_step(
        &mut self,
        state: &mut TrainState,
        optimiser: &AdamW,
        learning_rate: f64,
        parts: &[Batch<'_>],
    ) -> Result<f64, DiffusionError> {
        check_batches(&state.parameters, parts)?;
        let work = Cuda::work(&mut self.work, &self.products, &state.parameters)?;
        let resident = self.residents.get(&self.products.gpu, state)?;
        work.gradients(&self.products, &resident.trained.parameters, parts)?;
        let coefficients = optimiser.coefficients(state.updates + 1, learning_rate);
        work.update(&self.products, coefficients, optimiser.clip_norm(), &mut resident.trained)?;
        // The one wait of a step. The update looked at the same loss.
        let loss = work.guard.loss()?;
        if loss.is_finite() {
            state.updates += 1;
            resident.stepped(state.updates);
        }
        Ok(loss)
    }

    fn synchronise(&mut self, state: &mut TrainState) -> Result<(), DiffusionError> {
        self.residents.synchronise(state)
    }
}

/// Checks every part's lengths, and that there is one.
fn check_batches(parameters: &Parameters, parts: &[Batch<'_>]) -> Result<(), DiffusionError> {
    if parts.is_empty() {
        return Err(DiffusionError::NoSamples);
    }
    for part in parts {
        check_rows("x", parameters.config(), part.t, part.x)?;
        check_rows("target", parameters.config(), part.t, part.target)?;
    }
    Ok(())
}

impl From<CudaError> for DiffusionError {
    fn from(error: CudaError) -> DiffusionError {
        DiffusionError::Cuda(Box::new(error))
    }
}
