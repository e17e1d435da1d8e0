//! The device that the command line asks for.

use anyhow::Result;
use oodlab_base::Device;
use oodlab_kernels::cuda::{CudaError, Gpu};

use crate::failure::settings;

/// The GPU to use, or none for the processor. A GPU that was named and cannot be used is a settings error that says what is
/// missing; `auto` then goes on with the processor and says so in the log.
pub fn open(device: Device) -> Result<Option<Gpu>> {
    let index = match device {
        Device::Cpu => return Ok(None),
        Device::Auto => 0,
        Device::Cuda(index) => index,
    };
    match (Gpu::open(index), device) {
        (Ok(gpu), _) => {
            tracing::info!("cuda:{index} is {}", gpu.name());
            Ok(Some(gpu))
        }
        (Err(error), Device::Auto) => {
            tracing::info!("computing on the CPU: {error}");
            Ok(None)
        }
        (Err(error @ (CudaError::Missing(_) | CudaError::NoSuchGpu { .. })), _) => {
            Err(settings(format!("--device {device}: {error}")))
        }
        (Err(error), _) => Err(anyhow::Error::new(error).context(format!("--device {device}"))),
    }
}

/// Refuses a GPU for a command that computes on the processor: what it would do must not depend on a word that it ignores.
pub fn processor_only(device: Device, command: &str) -> Result<()> {
    if let Device::Cuda(_) = device {
        // A missing library is told first: then the word would not have helped anyway.
        open(device)?;
        return Err(settings(format!("--device {device}: `oodlab {command}` computes on the CPU; leave --device out")));
    }
    Ok(())
}
