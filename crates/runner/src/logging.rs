//! Logs: readable lines on standard error, and JSON lines in the log file of the run under way.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::bars::Bars;
use crate::failure::settings;

/// Where JSON lines go at the moment: the log of the run under way, or nowhere.
#[derive(Clone, Default)]
pub struct RunLog(Arc<Mutex<Option<fs_err::File>>>);

impl RunLog {
    /// Appends to this file from now on.
    pub fn open(&self, path: &Path) -> Result<()> {
        let file = fs_err::OpenOptions::new().create(true).append(true).open(path)?;
        if let Ok(mut current) = self.0.lock() {
            *current = Some(file);
        }
        Ok(())
    }

    /// Writes nowhere from now on.
    pub fn close(&self) {
        if let Ok(mut current) = self.0.lock() {
            *current = None;
        }
    }
}

impl Write for RunLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Ok(mut current) = self.0.lock()
            && let Some(file) = current.as_mut()
        {
            file.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for RunLog {
    type Writer = RunLog;

    fn make_writer(&'a self) -> RunLog {
        self.clone()
    }
}

/// One log line for a person, written above the bars.
struct Line {
    bars: Bars,
    text: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.bars.line(String::from_utf8_lossy(&self.text).trim_end());
    }
}

/// Starts logging. `filter` is a level or a list such as `info,oodlab_store=debug`.
pub fn start(bars: &Bars, filter: &str) -> Result<RunLog> {
    let parse =
        |text: &str| EnvFilter::try_new(text).map_err(|error| settings(format!("log filter {text:?}: {error}")));
    let bars = bars.clone();
    let person = tracing_subscriber::fmt::layer()
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .with_writer(move || Line { bars: bars.clone(), text: Vec::new() })
        .with_filter(parse(filter)?);
    let run_log = RunLog::default();
    let json = tracing_subscriber::fmt::layer().json().with_writer(run_log.clone()).with_filter(parse("info")?);
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(person).with(json))?;
    Ok(run_log)
}
