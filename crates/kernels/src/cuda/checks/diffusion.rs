//! Noise, denoise, norms, scores.

use oodlab_base::Tolerance;
use oodlab_base::golden::Findings;

use super::numbers;
use crate::cuda::{CudaError, Gpu};
use crate::reconstruction::cuda::CudaPairs;
use crate::zscore::cuda::CudaZscoreError;
use crate::{ddim_step, forward_noise, reconstruction, zscore};

const ROWS: usize = 6;
const WIDTH: usize = 37;

/// Another pair of coefficients for every row; to the bit.
pub(super) fn forward_noise(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let (z, noise) = (numbers("z", ROWS * WIDTH), numbers("noise", ROWS * WIDTH));
    let coefficients: Vec<forward_noise::Coefficients> = numbers("coefficients", ROWS)
        .into_iter()
        .map(|c| forward_noise::Coefficients { signal: c.abs(), noise: (1.0 - c * c).sqrt() })
        .collect();
    let mut want = vec![0.0; ROWS * WIDTH];
    forward_noise::run(&z, &noise, &coefficients, &mut want)?;
    let mut got = gpu.zeros(ROWS * WIDTH)?;
    forward_noise::cuda::run(gpu, &gpu.copy(&z)?, &gpu.copy(&noise)?, WIDTH, &coefficients, &mut got)?;
    findings.add("noised", Tolerance::EXACT.compare_f32(&got.read(ROWS * WIDTH)?, &want));
    Ok(())
}

/// In place; to the bit.
pub(super) fn ddim_step(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let length = ROWS * WIDTH;
    let mut x = numbers("x", length);
    let (x0, noise) = (numbers("x0", length), numbers("noise", length));
    let coefficients = ddim_step::Coefficients::new(0.4, 0.3, 0.6, 0.7);
    let mut got = gpu.copy(&x)?;
    ddim_step::cuda::run(gpu, coefficients, &mut got, &gpu.copy(&x0)?, &gpu.copy(&noise)?, length)?;
    ddim_step::run(coefficients, &mut x, &x0, &noise)?;
    findings.add("state", Tolerance::EXACT.compare_f32(&got.read(length)?, &x));
    Ok(())
}

/// Layers of different widths.
pub(super) fn zscore(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let raw = numbers("raw", ROWS * WIDTH);
    let layers = [0..2, 2..20, 20..WIDTH];
    let mut want = vec![0.0; raw.len()];
    let shape = |error| match error {
        zscore::ZscoreError::Shape(error) => CudaError::from(error),
        other => CudaError::Driver { what: "the processor's z-score", message: other.to_string() },
    };
    zscore::run(&raw, &layers, &mut want).map_err(shape)?;
    let mut got = gpu.zeros(raw.len())?;
    zscore::cuda::run(gpu, &gpu.copy(&raw)?, ROWS, &layers, &mut got).map_err(|error| match error {
        CudaZscoreError::Zscore(error) => shape(error),
        CudaZscoreError::Cuda(error) => error,
    })?;
    let tolerance = Tolerance::mixed("1e-6", 1e-6, 1e-6);
    findings.add("z-scores", tolerance.compare_f32(&got.read(raw.len())?, &want));
    Ok(())
}

/// A row of zeros among them, whose cosine is 0.
pub(super) fn reconstruction(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let (sample, mut made) = (numbers("sample", ROWS * WIDTH), numbers("reconstruction", ROWS * WIDTH));
    made[WIDTH..2 * WIDTH].fill(0.0);
    let tolerance = Tolerance::mixed("1e-12", 1e-12, 1e-12);
    let (on_gpu, made_on_gpu) = (gpu.copy(&sample)?, gpu.copy(&made)?);
    let pairs = CudaPairs { sample: &on_gpu, reconstruction: &made_on_gpu, rows: ROWS, width: WIDTH };

    let mut want = vec![0.0; ROWS];
    reconstruction::squared_errors(&sample, &made, &mut want)?;
    let mut got = gpu.zeros::<f64>(ROWS)?;
    reconstruction::cuda::squared_errors(gpu, pairs, &mut got)?;
    findings.add("squared errors", tolerance.compare(got.read(ROWS)?, want));

    let layers = [0..12, 5..WIDTH];
    let mut want = vec![0.0; ROWS * layers.len()];
    reconstruction::layer_cosines(&sample, &made, WIDTH, &layers, &mut want)?;
    let mut got = gpu.zeros::<f64>(want.len())?;
    reconstruction::cuda::layer_cosines(gpu, pairs, &layers, &mut got)?;
    findings.add("cosines", tolerance.compare(got.read(want.len())?, want));
    Ok(())
}
