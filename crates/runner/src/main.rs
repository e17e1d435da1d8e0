//! `oodlab`: out-of-distribution detection experiments from one YAML file.

mod bars;
mod baseline;
mod cli;
mod commands;
mod config;
mod device;
mod failure;
mod feature_files;
mod graph;
mod lab;
mod launch;
mod layer_choice;
mod logging;
mod numerics;
mod output;
mod plan;
mod portable;
mod stages;
mod work;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use bars::Bars;
use cli::{Cli, Command};
use lab::Lab;
use work::report::Reporter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    set_threads(&cli);
    let reporter = Reporter::default();
    // A worker's standard output belongs to whoever started it.
    let worker = matches!(cli.command, Command::Work(_));
    let bars = if worker { Bars::reporting(reporter.clone()) } else { Bars::new(cli.global.quiet) };
    match run(&cli, &bars, &reporter) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            bars.line(&format!("error: {}", failure::describe(&error)));
            ExitCode::from(failure::exit_code(&error))
        }
    }
}

/// Thread counts are read from the environment, once, when the libraries are first used: rayon's (candle's products too) and polars'.
///
/// candle's elementwise operations get one thread: its own pool waits by spinning, which made training 2 to 6 times slower on
/// busy cores and nowhere faster. No result depends on any of these.
fn set_threads(cli: &Cli) {
    let threads = cli.global.threads.map(|threads| threads.to_string());
    let counted = threads.as_deref().into_iter().flat_map(|n| [("RAYON_NUM_THREADS", n), ("POLARS_MAX_THREADS", n)]);
    let single = std::env::var_os("CANDLE_NUM_THREADS").is_none().then_some(("CANDLE_NUM_THREADS", "1"));
    for (name, value) in counted.chain(single) {
        // SAFETY: this is the first thing that the program does: no other thread exists that could read the environment.
        unsafe { std::env::set_var(name, value) };
    }
}

fn run(cli: &Cli, bars: &Bars, reporter: &Reporter) -> Result<()> {
    let run_log = logging::start(bars, &cli.global.log)?;
    let json = cli.global.json;
    let gpu = if cli.command.has_device() {
        device::open(cli.global.device)?
    } else {
        device::processor_only(cli.global.device, cli.command.name())?;
        None
    };
    let lab = || Lab::open(&cli.global, bars.clone(), run_log.clone(), gpu.clone());
    match &cli.command {
        Command::Run(arguments) => commands::run::run(&lab()?, arguments, json),
        Command::Work(arguments) => commands::work::run(&lab()?, arguments, reporter),
        Command::SlurmTask(arguments) => launch::slurm::run_task(&lab()?, arguments),
        Command::Plan(arguments) => commands::plan::run(&lab()?, arguments, json),
        Command::Status(arguments) => commands::status::run(arguments, bars, json),
        Command::Config(arguments) => commands::config::run(arguments, json),
        Command::Schema => commands::schema::run(),
        Command::Completions { shell } => commands::completions::run(*shell),
        Command::Check(arguments) => commands::check::run(&lab()?, arguments, json),
        Command::Report(arguments) => commands::report::run(arguments, bars, json),
        Command::Metrics(arguments) => commands::metrics::run(arguments, json),
        Command::Calibrate(arguments) => commands::calibrate::run(&lab()?, arguments, json),
        Command::Predict(arguments) => match commands::predict::run(&lab()?, arguments, json)? {
            true => Ok(()),
            false => Err(anyhow::anyhow!("some pictures could not be read; their lines have an error")),
        },
        Command::Verify { golden, strict } => {
            commands::verify::run(&lab()?, golden.as_deref(), gpu.as_ref(), *strict, json)
        }
        Command::Data(command) => commands::data::run(&lab()?, command, json),
        Command::Features(command) => commands::features::run(&lab()?, command, json),
        Command::Weights(command) => commands::weights::run(&lab()?, command, json),
        Command::Cache(command) => commands::cache::run(&lab()?, command, json),
        Command::Bench(command) => commands::bench::run(command, cli.global.threads, gpu.as_ref(), json),
    }
}
