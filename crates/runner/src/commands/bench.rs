//! `oodlab bench`: speed, measured here and now.

use std::time::Duration;

use anyhow::Result;
use oodlab_datasets::bench::{BenchConfig as DataConfig, BenchReport as DataReport};
use oodlab_diffusion::bench::{BenchConfig as LfdnBenchConfig, BenchReport as LfdnReport};
use oodlab_diffusion::{Compute, LfdnConfig, Precision as LfdnPrecision};
use oodlab_encoders::Precision;
use oodlab_encoders::bench::{BenchConfig, BenchReport};
use oodlab_evaluation::bench::{BenchConfig as MetricsConfig, BenchReport as MetricsReport};
use oodlab_kernels::bench::{BenchConfig as KernelConfig, KernelReport};
use oodlab_kernels::cuda::Gpu;

use super::{print, print_json};
use crate::cli::BenchCommand;

/// Runs a benchmark and prints its figures.
pub fn run(command: &BenchCommand, threads: Option<u16>, gpu: Option<&Gpu>, json: bool) -> Result<()> {
    match command {
        BenchCommand::Kernels { values } => {
            let config = KernelConfig { values: usize::from(*values) << 20, ..KernelConfig::default() };
            let report = oodlab_kernels::bench::run(gpu, config)?;
            if json { print_json(&report) } else { print(&describe_kernels(&report)) }
        }
        BenchCommand::Encoder { network, batch, resolution, image_side, precision, seconds } => {
            let config = BenchConfig {
                network: network.clone(),
                batch: *batch,
                threads: threads.map_or(0, usize::from),
                resolution: *resolution,
                image_side: *image_side,
                precision: if precision == "bf16" { Precision::Bf16 } else { Precision::F32 },
                seconds: *seconds,
            };
            let report = oodlab_encoders::bench::run(&config)?;
            if json { print_json(&report) } else { print(&describe(&report)) }
        }
        BenchCommand::Lfdn { dim, width, blocks, batch, precision, engine, seconds } => {
            let config = LfdnBenchConfig {
                network: LfdnConfig::new(*dim, *width, *blocks),
                batch: *batch,
                threads: threads.map_or(0, usize::from),
                precision: match precision.as_str() {
                    "bf16" => LfdnPrecision::Bf16,
                    "tf32" => LfdnPrecision::Tf32,
                    _ => LfdnPrecision::F32,
                },
                plain: engine == "plain",
                seconds: *seconds,
            };
            let compute = gpu.map_or_else(Compute::processor, |gpu| Compute::gpu(gpu.clone()));
            let report = oodlab_diffusion::bench::run(&config, &compute)?;
            if json { print_json(&report) } else { print(&describe_lfdn(&report)) }
        }
        BenchCommand::Metrics { scores, replicates, seconds } => {
            let config = MetricsConfig {
                scores: *scores,
                replicates: *replicates,
                least: Duration::from_secs(*seconds),
                ..MetricsConfig::default()
            };
            let report = oodlab_evaluation::bench::run(&config)?;
            if json { print_json(&report) } else { print(&describe_metrics(&report)) }
        }
        BenchCommand::Data { files, passes } => {
            // Both counts where none is asked for: what one thread does, and what a second adds.
            let threads =
                threads.filter(|&threads| threads > 0).map_or(vec![1, 2], |threads| vec![usize::from(threads)]);
            let config = DataConfig { threads, passes: *passes, files: files.clone(), ..DataConfig::default() };
            let report = oodlab_datasets::bench::run(&config)?;
            if json { print_json(&report) } else { print(&describe_data(&report)) }
        }
    }
}

fn describe(report: &BenchReport) -> String {
    let memory = report.peak_memory_bytes.map_or_else(|| "unknown".to_owned(), |bytes| format!("{} MiB", bytes >> 20));
    format!(
        "{} at {} px, batch {}, {} threads, {}\n\
         images/s            {:.1} (median of {} batches; {:.1} to {:.1})\n\
         GFLOP/s             {:.1} ({:.3} GFLOP an image, a multiply-add counted as two)\n\
         share of products   {:.0} % of {:.0} GFLOP/s, measured with products of 512 x 512 x 512\n\
         peak memory         {memory}\n",
        report.network,
        report.resolution,
        report.batch,
        report.threads,
        report.numerics,
        report.images_per_s,
        report.batches,
        report.images_per_s_min,
        report.images_per_s_max,
        report.gflop_per_s,
        report.gflop_per_image,
        100.0 * report.share_of_peak,
        report.peak_gflop_per_s,
    )
}

fn describe_lfdn(report: &LfdnReport) -> String {
    let precision = report.precision.name();
    format!(
        "{:.1} million parameters, batch {}, {} threads, {precision}, engine {} (medians of {} or more)\n\
         training            {:.1} features/s, {:.3} s a step\n\
         scoring             {:.1} features/s, three steps each\n\
         share of products   {:.0} % and {:.0} % of {:.0} GFLOP/s, measured with products of 512 x 512 x 512 in f32\n",
        report.params_m,
        report.batch,
        report.threads,
        report.engine,
        report.repeats,
        report.train_features_per_s,
        report.train_step_s,
        report.score_features_per_s,
        100.0 * report.train_share_of_peak,
        100.0 * report.score_share_of_peak,
        report.peak_gflop_per_s,
    )
}

fn describe_metrics(report: &MetricsReport) -> String {
    let of_all = format!("of {} scores", report.scores);
    let bootstrap = format!("{} replicates of {1} + {1} scores", report.replicates, report.bootstrap_scores);
    let lines = [
        ("all metrics", of_all.as_str(), &report.evaluate),
        ("paired DeLong test", &of_all, &report.delong),
        ("bootstrap", &bootstrap, &report.bootstrap),
    ];
    let width = bootstrap.len().max(of_all.len());
    let mut text = format!("{} threads; milliseconds, median (least to most) of so many\n", report.threads);
    for (what, of, times) in lines {
        text += &format!(
            "{what:<18}  {of:<width$}  {:>8.1} ({:.1} to {:.1}) of {}\n",
            1e3 * times.median_s,
            1e3 * times.min_s,
            1e3 * times.max_s,
            times.repeats,
        );
    }
    text
}

fn describe_kernels(report: &KernelReport) -> String {
    let mut text = format!("{}: a copy moves {:.1} GB/s\n", report.device, report.copy_gb_per_s);
    let (kernels, shapes) =
        (report.kernels.iter().map(|rate| rate.kernel.len()), report.kernels.iter().map(|rate| rate.shape.len()));
    let (kernel_width, shape_width) = (kernels.max().unwrap_or(0), shapes.max().unwrap_or(0));
    text += &format!(
        "{:<kernel_width$}  {:<shape_width$}  {:>9}  {:>8}  {:>8}  {:>9}  {:>8}\n",
        "kernel", "shape", "MB", "ms", "GB/s", "of a copy", "GFLOP/s"
    );
    for rate in &report.kernels {
        text += &format!(
            "{:<kernel_width$}  {:<shape_width$}  {:>9.2}  {:>8.3}  {:>8.1}  {:>7.0} %  {:>8.1}\n",
            rate.kernel,
            rate.shape,
            rate.bytes as f64 / 1e6,
            1e3 * rate.seconds,
            rate.gb_per_s,
            100.0 * rate.share_of_copy,
            rate.gflop_per_s,
        );
    }
    text
}

fn describe_data(report: &DataReport) -> String {
    let mut text = format!(
        "{:<15} {:>9} {:>7} {:>9} {:>8} {:>9}   images/s, median (least to most)\n",
        "format", "pixels", "images", "KiB", "threads", "opened ms"
    );
    for rate in &report.rates {
        text += &format!(
            "{:<15} {:>9} {:>7} {:>9} {:>8} {:>9.1}   {:.0} ({:.0} to {:.0})\n",
            rate.format,
            format!("{} x {}", rate.size.0, rate.size.1),
            rate.images,
            rate.bytes >> 10,
            rate.threads,
            1e3 * rate.open_s,
            rate.images_per_s,
            rate.images_per_s_min,
            rate.images_per_s_max,
        );
    }
    text
}
