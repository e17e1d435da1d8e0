//! How fast each kernel is on this machine: its time, and the share that its bytes a second are of a copy's.
//!
//! A kernel that moves memory and computes little can be no faster than a copy of as many bytes; a product or a convolution is
//! judged by its operations instead. Bytes and operations are those that each kernel states ([`crate::cost`]). The copy is
//! measured in the same run: on a GPU the driver's copy within its memory, on the processor one of all threads.

mod cpu;
mod gpu;
mod networks;
mod products;

use std::time::Instant;

use serde::Serialize;

pub use products::product_peak;

use crate::cost::Cost;
use crate::cuda::{CudaError, Gpu};
use crate::shape::ShapeError;
use crate::zscore::ZscoreError;
use crate::zscore::cuda::CudaZscoreError;

/// Rounds of which the median is reported.
const ROUNDS: usize = 5;
/// Runs of a round, at most.
const MOST_RUNS: usize = 1 << 16;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BenchConfig {
    /// Values of each large buffer, about. More than the caches hold, or the copy is not one of memory.
    pub values: usize,
    /// Seconds of one of five rounds, about.
    pub seconds: f64,
}

impl Default for BenchConfig {
    fn default() -> BenchConfig {
        BenchConfig { values: 1 << 24, seconds: 0.05 }
    }
}

/// One kernel's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KernelRate {
    /// What was run.
    pub kernel: String,
    /// On what.
    pub shape: String,
    /// Bytes of one run.
    pub bytes: u64,
    /// Operations of one run.
    pub operations: u64,
    /// Seconds of one run, the median of five rounds.
    pub seconds: f64,
    /// 10^9 bytes a second.
    pub gb_per_s: f64,
    /// 10^9 operations a second.
    pub gflop_per_s: f64,
    /// Of the copy's bytes a second; above 1 where caches help.
    pub share_of_copy: f64,
}

/// All kernels' figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KernelReport {
    /// The GPU's name, or the processor's instruction set and threads.
    pub device: String,
    /// Bytes a second, read and written, of a copy.
    pub copy_gb_per_s: f64,
    /// One entry a kernel.
    pub kernels: Vec<KernelRate>,
}

/// A kernel that refused its arguments, or a GPU that failed.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The GPU.
    #[error(transparent)]
    Cuda(#[from] CudaError),
    /// Lengths.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// Layers.
    #[error(transparent)]
    Zscore(#[from] ZscoreError),
    /// Layers on a GPU.
    #[error(transparent)]
    CudaZscore(#[from] CudaZscoreError),
}

/// Measures every kernel on the GPU, or on the processor without one.
///
/// # Errors
/// When the memory is exhausted, or the GPU refuses.
pub fn run(gpu: Option<&Gpu>, config: BenchConfig) -> Result<KernelReport, BenchError> {
    match gpu {
        Some(gpu) => {
            let wait = || gpu.wait();
            let mut meter = Meter::new(config, &wait);
            gpu::run(gpu, &mut meter)?;
            networks::run(gpu, &mut meter)?;
            Ok(meter.report(gpu.name().to_owned()))
        }
        None => {
            let wait = || Ok(());
            let mut meter = Meter::new(config, &wait);
            cpu::run(&mut meter)?;
            let set = crate::simd::InstructionSet::detect().name();
            Ok(meter.report(format!("cpu {set}, {} threads", rayon::current_num_threads())))
        }
    }
}

/// Measures, and collects what it measured.
struct Meter<'a> {
    config: BenchConfig,
    /// Waits for the queued work.
    wait: &'a dyn Fn() -> Result<(), CudaError>,
    copy_gb_per_s: f64,
    rates: Vec<KernelRate>,
}

impl<'a> Meter<'a> {
    fn new(config: BenchConfig, wait: &'a dyn Fn() -> Result<(), CudaError>) -> Meter<'a> {
        Meter { config, wait, copy_gb_per_s: 0.0, rates: Vec::new() }
    }

    /// Rows of this width that make the number of values asked for.
    fn rows(&self, width: usize) -> usize {
        (self.config.values / width).max(1)
    }

    /// The copy of `values` values, which the others are compared with.
    fn copy(&mut self, values: usize, run: impl FnMut() -> Result<(), BenchError>) -> Result<(), BenchError> {
        let cost = Cost::elements(values, 2, 0);
        self.copy_gb_per_s = cost.bytes as f64 / self.time(run)? / 1e9;
        Ok(())
    }

    fn measure(
        &mut self,
        kernel: &str,
        shape: String,
        cost: Cost,
        run: impl FnMut() -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        let seconds = self.time(run)?;
        let gb_per_s = cost.bytes as f64 / seconds / 1e9;
        self.rates.push(KernelRate {
            kernel: kernel.to_owned(),
            shape,
            bytes: cost.bytes,
            operations: cost.operations,
            seconds,
            gb_per_s,
            gflop_per_s: cost.operations as f64 / seconds / 1e9,
            share_of_copy: gb_per_s / self.copy_gb_per_s,
        });
        Ok(())
    }

    /// Seconds of one run: the first is not counted (it compiles the kernel), then as many a round as take long enough.
    fn time(&self, mut run: impl FnMut() -> Result<(), BenchError>) -> Result<f64, BenchError> {
        let mut round = |runs: usize| -> Result<f64, BenchError> {
            let started = Instant::now();
            for _ in 0..runs {
                run()?;
            }
            (self.wait)()?;
            // A clock that did not move: as little as it can tell.
            Ok(started.elapsed().as_secs_f64().max(1e-9) / runs as f64)
        };
        round(1)?;
        let mut runs = 1;
        while runs < MOST_RUNS && round(runs)? * (runs as f64) < self.config.seconds {
            runs *= 2;
        }
        let mut seconds = [0.0; ROUNDS];
        for seconds in &mut seconds {
            *seconds = round(runs)?;
        }
        seconds.sort_by(f64::total_cmp);
        Ok(seconds[ROUNDS / 2])
    }

    fn report(self, device: String) -> KernelReport {
        KernelReport { device, copy_gb_per_s: self.copy_gb_per_s, kernels: self.rates }
    }
}

/// The layers of EfficientNet-B0's features, as the paper's network sees them: consecutive spans that cover `width`.
fn layers(width: usize) -> [std::ops::Range<usize>; 5] {
    let ends = [16, 40, 80, 192].map(|end| (end * width / 512).max(1));
    [0..ends[0], ends[0]..ends[1], ends[1]..ends[2], ends[2]..ends[3], ends[3]..width]
}

/// `count` numbers in -1 .. 1 that look random.
fn numbers(name: &str, count: usize) -> Vec<f32> {
    let mut values = vec![0.0; count];
    crate::uniform::fill(oodlab_base::Seed(7).stream(name), 0, &mut values);
    values.iter_mut().for_each(|value| *value = 2.0 * *value - 1.0);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_of_the_processor_has_figures() {
        let report = run(None, BenchConfig { values: 1 << 13, seconds: 0.0 }).expect("all kernels run");
        assert!(report.copy_gb_per_s > 0.0 && report.kernels.len() >= 16);
        for rate in report.kernels {
            assert!(!rate.kernel.starts_with("linear") || rate.operations > 0, "{rate:?}");
            assert!(rate.bytes > 0 && rate.seconds > 0.0 && rate.share_of_copy > 0.0, "{rate:?}");
        }
    }

    #[test]
    fn layers_cover_the_width() {
        for width in [160, 720, 1440] {
            let layers = layers(width);
            assert!(layers[0].start == 0 && layers[4].end == width);
            assert!(layers.windows(2).all(|pair| pair[0].end == pair[1].start && pair[0].len() > 1));
        }
    }
}
