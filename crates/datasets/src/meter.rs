//! How many bytes of a task are done, told in KiB.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering};

use oodlab_base::{Progress, Task};

/// Counts bytes, from any number of threads.
pub(crate) struct Meter {
    task: Box<dyn Task>,
    bytes: AtomicU64,
}

impl Meter {
    pub fn new(progress: &dyn Progress, label: &str, total_bytes: u64) -> Meter {
        Meter { task: progress.task(label, "KiB", total_bytes.div_ceil(1024), 0), bytes: AtomicU64::new(0) }
    }

    pub fn add(&self, bytes: u64) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let kib = (before + bytes) / 1024 - before / 1024;
        if kib > 0 {
            self.task.advance(kib);
        }
    }
}

/// A reader whose bytes are counted.
pub(crate) struct Metered<'a, R> {
    pub inner: R,
    pub meter: &'a Meter,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.meter.add(count as u64);
        Ok(count)
    }
}

impl<R: Seek> Seek for Metered<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
