//! How fast the metrics are: one pair of sets evaluated, bootstrapped, compared.
//!
//! Scores are normal random numbers, those of OOD one higher, drawn anew for nobody: every run measures the same. What is timed begins with
//! plain slices and ends with numbers; files are not read.

use std::time::{Duration, Instant};

use oodlab_base::Seed;
use serde::Serialize;

use crate::metrics::bootstrap::{BootstrapConfig, BootstrapError, Replicates};
use crate::metrics::compare::{CompareError, Scored, delong};
use crate::metrics::{FprRule, MetricError, evaluate};

/// What is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchConfig {
    /// Scores that are evaluated, half of them OOD; at least 4.
    pub scores: usize,
    /// Scores of each class that are bootstrapped; at least 2.
    pub bootstrap_scores: usize,
    /// Bootstrap replicates.
    pub replicates: usize,
    /// How long each is measured, at least three times.
    pub least: Duration,
}

impl Default for BenchConfig {
    fn default() -> BenchConfig {
        BenchConfig { scores: 1_000_000, bootstrap_scores: 10_000, replicates: 1000, least: Duration::from_secs(2) }
    }
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchReport {
    /// Threads that computed.
    pub threads: usize,
    /// Scores evaluated and compared, both classes together.
    pub scores: usize,
    /// Scores of each class that were bootstrapped.
    pub bootstrap_scores: usize,
    /// Bootstrap replicates.
    pub replicates: usize,
    /// All metrics of `scores` scores, with interval and warnings ([`evaluate`]).
    pub evaluate: Times,
    /// All metrics in every replicate ([`Replicates::draw`]).
    pub bootstrap: Times,
    /// Paired DeLong test of two detectors on `scores` images ([`delong`]).
    pub delong: Times,
}

/// Seconds that one thing took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Times {
    /// Median over the repetitions.
    pub median_s: f64,
    /// The fastest.
    pub min_s: f64,
    /// The slowest.
    pub max_s: f64,
    /// Repetitions.
    pub repeats: usize,
}

/// A benchmark that cannot be run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BenchError {
    /// Too few scores.
    #[error(transparent)]
    Scores(#[from] MetricError),
    /// Too few scores to bootstrap, or a number of replicates out of its limits.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// Too few scores to compare.
    #[error(transparent)]
    Compare(#[from] CompareError),
}

/// Measures on all threads of the process.
///
/// # Errors
/// When there are no scores, or the number of replicates is out of its limits.
pub fn run(config: &BenchConfig) -> Result<BenchReport, BenchError> {
    let half = config.scores / 2;
    let normal = |name: &str, n: usize, shift: f64| -> Vec<f64> {
        let stream = Seed(0).stream(name);
        (0..n as u64).map(|index| f64::from(stream.normal(index)) + shift).collect()
    };
    let (id, ood) = (normal("id", half, 0.0), normal("ood", half, 1.0));
    let evaluate = times(config.least, || evaluate(&id, &ood, FprRule::FirstAtLeast).map(|metrics| metrics.auroc))?;
    // A second detector that agrees with the first in part.
    let noisy = |values: &[f64], name: &str| -> Vec<f64> {
        values.iter().zip(normal(name, half, 0.0)).map(|(value, noise)| value + noise).collect()
    };
    let (other_id, other_ood) = (noisy(&id, "noise of id"), noisy(&ood, "noise of ood"));
    let (a, b) = (Scored { id: &id, ood: &ood }, Scored { id: &other_id, ood: &other_ood });
    let delong = times(config.least, || delong(a, b).map(|test| test.difference))?;
    let (id, ood) = (normal("id", config.bootstrap_scores, 0.0), normal("ood", config.bootstrap_scores, 1.0));
    let draws = BootstrapConfig { replicates: config.replicates, seed: 0 };
    let bootstrap =
        times(config.least, || Replicates::draw(&id, &ood, "", FprRule::FirstAtLeast, draws).map(|drawn| drawn.len()))?;
    Ok(BenchReport {
        threads: rayon::current_num_threads(),
        scores: 2 * half,
        bootstrap_scores: config.bootstrap_scores,
        replicates: config.replicates,
        evaluate,
        bootstrap,
        delong,
    })
}

/// Repeats for that long, at least three times after one that does not count.
fn times<T, E>(least: Duration, mut once: impl FnMut() -> Result<T, E>) -> Result<Times, E> {
    std::hint::black_box(once()?);
    let start = Instant::now();
    let mut seconds = Vec::new();
    while seconds.len() < 3 || start.elapsed() < least {
        let begin = Instant::now();
        std::hint::black_box(once()?);
        seconds.push(begin.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let repeats = seconds.len();
    Ok(Times { median_s: seconds[repeats / 2], min_s: seconds[0], max_s: seconds[repeats - 1], repeats })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_benchmark_runs() {
        let config = BenchConfig { scores: 400, bootstrap_scores: 50, replicates: 10, least: Duration::ZERO };
        let report = run(&config).unwrap();
        assert_eq!((report.scores, report.replicates, report.evaluate.repeats), (400, 10, 3));
        for times in [report.evaluate, report.bootstrap, report.delong] {
            assert!(0.0 < times.min_s && times.min_s <= times.median_s && times.median_s <= times.max_s);
        }
        assert!(run(&BenchConfig { scores: 0, ..config.clone() }).is_err());
        assert!(run(&BenchConfig { replicates: 0, ..config }).is_err());
    }
}
