//! What the work is to be computed with.

use std::fmt;
use std::sync::{Arc, Mutex};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use oodlab_kernels::cuda::Gpu;

use super::{Cuda, Fused, LfdnEngine};
use crate::DiffusionError;

/// Numbers in which the network's products are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Factors rounded to bfloat16 (8 bits), sums in single precision; everything else stays f32.
    Bf16,
    /// Factors rounded to TF32 (11 bits) by a GPU's tensor cores, sums in single precision. Not for the processor.
    Tf32,
}

impl Precision {
    /// As configurations and reports write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
            Precision::Tf32 => "tf32",
        }
    }
}

/// The device that networks run on: the processor, unless a GPU is handed in. Clones share what they keep.
#[derive(Clone, Default)]
pub struct Compute {
    gpu: Option<Gpu>,
    /// Engines that scored and are not in use.
    idle: Arc<Mutex<Vec<Idle>>>,
}

/// An engine and what it computes in.
type Idle = (Precision, Box<dyn LfdnEngine>);

impl fmt::Debug for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compute").field("gpu", &self.gpu).finish_non_exhaustive()
    }
}

impl Compute {
    /// The processor.
    #[must_use]
    pub fn processor() -> Compute {
        Compute::default()
    }

    /// A GPU.
    #[must_use]
    pub fn gpu(gpu: Gpu) -> Compute {
        Compute { gpu: Some(gpu), ..Compute::default() }
    }

    /// The GPU, if it is one.
    pub(crate) fn device(&self) -> Option<&Gpu> {
        self.gpu.as_ref()
    }

    /// The fastest engine of the device.
    ///
    /// # Errors
    /// When the device has no fast product of that precision.
    pub fn engine(&self, precision: Precision) -> Result<Box<dyn LfdnEngine>, DiffusionError> {
        if let Some(gpu) = &self.gpu {
            return Ok(Box::new(Cuda::new(gpu, precision)?));
        }
        Ok(Box::new(Fused::new(precision)?))
    }

    /// Scores with the engine of an earlier call where that is not in use: what it keeps of a model serves the next samples.
    ///
    /// # Errors
    /// As [`Compute::engine`], and what the work says.
    pub fn score<T, E: From<DiffusionError>>(
        &self,
        precision: Precision,
        work: impl FnOnce(&mut dyn LfdnEngine) -> Result<T, E>,
    ) -> Result<T, E> {
        let kept = self.idle.lock().ok().and_then(|mut idle| {
            let at = idle.iter().position(|(known, _)| *known == precision)?;
            Some(idle.swap_remove(at).1)
        });
        let mut engine = match kept {
            Some(engine) => engine,
            None => self.engine(precision)?,
        };
        let done = work(engine.as_mut())?;
        if let Ok(mut idle) = self.idle.lock()
            && idle.iter().all(|(known, _)| *known != precision)
        {
            idle.push((precision, engine));
        }
        Ok(done)
    }
}
