//! `oodlab`: out-of-distribution detection experiments from one YAML file.

mod bars;
mod baseline;
mod cli;
mod commands;
mod config;
mod failure;
mod lab;
mod logging;
mod numerics;
mod output;
mod plan;
mod stages;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use bars::Bars;
use cli::{Cli, Command};
use lab::Lab;

fn main() -> ExitCode {
    let cli = Cli::parse();
    set_threads(&cli);
    let bars = Bars::new(cli.global.quiet);
    match run(&cli, &bars) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            bars.line(&format!("error: {error:#}"));
            ExitCode::from(failure::exit_code(&error))
        }
    }
}

/// candle and rayon read `RAYON_NUM_THREADS`, polars `POLARS_MAX_THREADS`, once, when they are first used.
fn set_threads(cli: &Cli) {
    let Some(threads) = cli.global.threads else { return };
    for name in ["RAYON_NUM_THREADS", "POLARS_MAX_THREADS"] {
        // SAFETY: this is the first thing that the program does: no other thread exists that could read the environment.
        unsafe { std::env::set_var(name, threads.to_string()) };
    }
}

fn run(cli: &Cli, bars: &Bars) -> Result<()> {
    let run_log = logging::start(bars, &cli.global.log)?;
    let lab = || Lab::open(&cli.global.store, &cli.global.results, bars.clone(), run_log.clone());
    let json = cli.global.json;
    match &cli.command {
        Command::Run(target) => commands::run::run(&lab()?, target, json),
        Command::Plan(target) => commands::plan::run(&lab()?, target, json),
        Command::Config(target) => commands::config::run(target, json),
        Command::Check { baseline, update } => commands::check::run(&lab()?, baseline, *update, json),
        Command::Metrics { file, scores, is_ood } => commands::metrics::run(file, scores, is_ood, json),
        Command::Verify { golden, strict } => commands::verify::run(&lab()?, golden.as_deref(), *strict, json),
        Command::Data(command) => commands::data::run(&lab()?, command, json),
        Command::Weights(command) => commands::weights::run(&lab()?, command, json),
        Command::Bench(command) => commands::bench::run(command, cli.global.threads, json),
    }
}
