//! How much of the machine a run may use, and when it stops.

use std::time::Duration;

use clap::Args;

use super::memory;
use crate::failure::settings;

/// Without other words, so many workers at most: more gain little and need their own memory each.
const MOST_WORKERS: usize = 8;

/// The share of the memory that is free at the start which jobs may take together, in percent.
const MEMORY_PERCENT: u64 = 80;

/// Options of `oodlab run` about how the work is done.
#[derive(Debug, Clone, Default, Args)]
pub struct WorkArguments {
    /// Processes that work at the same time; they share the threads. One for each run up to the number of threads (8 at most) when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
    /// Memory that all workers may take together, as in 16G; jobs that would not fit wait. 80 % of what is free when absent
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub memory: Option<u64>,
    /// Stop when something fails; what is under way is finished
    #[arg(long)]
    pub fail_fast: bool,
    /// Try what failed in an earlier run again
    #[arg(long)]
    pub retry_failed: bool,
    /// Stop after so long, as in 90s, 30m, 2h or 1d; finished parts and checkpoints are kept
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub max_time: Option<Duration>,
}

/// What a run may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Worker processes.
    pub workers: usize,
    /// Threads of each.
    pub threads: usize,
    /// Memory of all jobs together, in bytes.
    pub memory: u64,
    /// Whether the first failure stops the run.
    pub fail_fast: bool,
    /// Whether what failed before is tried again.
    pub retry_failed: bool,
    /// When the run stops.
    pub max_time: Option<Duration>,
}

impl Limits {
    /// For this many unfinished runs on this machine. With a GPU one worker is the rule: memory there is not shared out.
    pub fn new(arguments: &WorkArguments, runs: usize, threads: usize, gpu: bool) -> Limits {
        let by_itself = if gpu { 1 } else { runs.min(threads).min(MOST_WORKERS) };
        let workers = arguments.workers.map_or(by_itself, usize::from).max(1);
        let free = memory::available().unwrap_or(u64::MAX);
        Limits {
            workers,
            threads: (threads / workers).max(1),
            memory: arguments.memory.unwrap_or(free / 100 * MEMORY_PERCENT),
            fail_fast: arguments.fail_fast,
            retry_failed: arguments.retry_failed,
            max_time: arguments.max_time,
        }
    }
}

/// Reads `512M`, `16G`, `1.5T`; powers of 1024.
pub fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("expected a size such as 512M or 16G, found {text:?}");
    let plain = text.trim().trim_end_matches(['B', 'b']).trim_end_matches('i');
    let (number, exponent) = match plain.char_indices().next_back() {
        Some((at, unit)) if unit.is_ascii_alphabetic() => {
            let exponent = "kmgt".find(unit.to_ascii_lowercase()).ok_or_else(wrong)?;
            (&plain[..at], exponent as i32 + 1)
        }
        _ => (plain, 0),
    };
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    let found = number * 1024_f64.powi(exponent);
    if found.is_finite() && (1.0..9e18).contains(&found) { Ok(found as u64) } else { Err(wrong()) }
}

/// Reads `90s`, `30m`, `2h`, `1d`; a plain number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a time such as 90s, 30m, 2h or 1d, found {text:?}");
    let plain = text.trim();
    let (number, unit) = match plain.char_indices().next_back() {
        Some((at, unit)) if unit.is_ascii_alphabetic() => (&plain[..at], unit),
        _ => (plain, 's'),
    };
    let seconds = match unit.to_ascii_lowercase() {
        's' => 1.0,
        'm' => 60.0,
        'h' => 3600.0,
        'd' => 86400.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
}

/// Refuses limits that contradict each other.
pub fn check(arguments: &WorkArguments) -> anyhow::Result<()> {
    match arguments.max_time {
        Some(Duration::ZERO) => Err(settings("--max-time 0: expected some time; `oodlab plan` shows what is left")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read() {
        assert_eq!(bytes("16G"), Ok(16 << 30));
        assert_eq!(bytes("1.5 GiB"), Ok(3 << 29));
        assert_eq!(bytes("512mb"), Ok(512 << 20));
        assert_eq!(bytes("4096"), Ok(4096));
        for wrong in ["", "G", "-1G", "1X", "nan", "1e30T", "0"] {
            assert!(bytes(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("2d"), Ok(Duration::from_secs(172_800)));
        for wrong in ["", "h", "-1h", "1w", "nan", "1e300d"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn threads_are_shared_out() {
        let of = |workers, runs, threads, gpu| {
            let limits = Limits::new(&WorkArguments { workers, ..WorkArguments::default() }, runs, threads, gpu);
            (limits.workers, limits.threads)
        };
        assert_eq!(of(None, 1, 8, false), (1, 8));
        assert_eq!(of(None, 50, 2, false), (2, 1));
        assert_eq!(of(None, 50, 64, false), (8, 8));
        assert_eq!(of(None, 50, 16, true), (1, 16));
        assert_eq!(of(Some(4), 1, 2, false), (4, 1));
        assert_eq!(of(None, 0, 2, false), (1, 2));
    }
}
