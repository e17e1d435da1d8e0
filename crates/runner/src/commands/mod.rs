//! One file a command.

pub mod accuracy;
pub mod bench;
pub mod cache;
pub mod calibrate;
pub mod check;
pub mod completions;
pub mod config;
pub mod data;
pub mod data_fetch;
pub mod data_list;
pub mod features;
pub mod metrics;
pub mod plan;
pub mod predict;
pub mod report;
pub mod run;
pub mod schema;
pub mod shard;
pub mod status;
pub mod verify;
pub mod weights;
pub mod work;

use anyhow::Result;

/// Writes to standard output. A reader that has gone away is not an error of ours.
pub fn print(text: &str) -> Result<()> {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("cannot write to standard output"))
        }
        _ => Ok(()),
    }
}

/// Writes one line of JSON to standard output.
pub fn print_json<T: serde::Serialize>(value: &T) -> Result<()> {
    print(&format!("{}\n", serde_json::to_string(value)?))
}
