//! Leases: one holder at a time, over processes and machines, without locks of the system and without clocks.
//!
//! A lease is the file `lock` in the artifact's folder, or `lock-part-<index>` for one part. It appears whole, by a hard
//! link, and only where none is. Its holder rewrites a counter in it every few seconds. A holder is dead when this machine
//! knows that its process is gone, or, for one on another machine, when its counter stood still for a minute of *this*
//! process's steady clock.
//!
//! A file that names a holder may be removed or replaced only by whoever has the claim on that holder: a file
//! `lock-claim-<token of the holder>`, taken like a lease. So of two that find the same holder dead, one replaces the
//! file by its own in one rename, and the other then finds a living holder. A holder that lets go takes the claim on
//! itself first, so that it never removes its successor's file. A claim whose taker died is taken over in the same way.

use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use oodlab_base::Cancel;

use crate::artifact::Artifact;
use crate::error::StoreError;
use crate::holder::Holder;
use crate::place::{LOCK, OPERATION, PART_LOCK, Taken, Watch, holds, let_go, sweep_claims, take};
use crate::root::Root;

/// How often things are done.
#[derive(Debug, Clone, Copy)]
struct Timing {
    /// Between two signs of life.
    beat: Duration,
    /// A holder that cannot be asked after is dead after so long without a sign of life.
    silence: Duration,
    /// The longest pause between two looks at a lease that another holds.
    poll: Duration,
}

const TIMING: Timing =
    Timing { beat: Duration::from_secs(5), silence: Duration::from_secs(60), poll: Duration::from_millis(250) };

/// The right to work on an artifact; dropping it lets go.
#[derive(Debug)]
pub struct Lease {
    root: Arc<Root>,
    path: PathBuf,
    token: String,
    lost: Arc<AtomicBool>,
    stop: Option<Sender<()>>,
    heart: Option<JoinHandle<()>>,
}

/// Who holds a lease that was not to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The machine; `unknown` when its file cannot be read.
    pub host: String,
    /// The process number.
    pub pid: u32,
}

impl Holding {
    /// For people, of what a file says.
    pub(crate) fn of(holder: Option<Holder>) -> Holding {
        let unknown = || Holding { host: "unknown".to_owned(), pid: 0 };
        holder.map_or_else(unknown, |holder| Holding { host: holder.process.host, pid: holder.process.pid })
    }
}

impl Artifact {
    /// Waits for the lease on this artifact and takes it. While another process or thread holds it, `cancel` is asked
    /// several times a second.
    ///
    /// # Errors
    /// [`StoreError::Cancelled`] when asked to stop; an error of the file system otherwise.
    pub fn lease(&self, cancel: &Cancel) -> Result<Lease, StoreError> {
        self.lease_with(LOCK, cancel, TIMING)
    }

    /// Takes the lease if nobody living on this machine, and nobody on another one, holds it; else says who does.
    ///
    /// # Errors
    /// An error of the file system.
    pub fn try_lease(&self) -> Result<Result<Lease, Holding>, StoreError> {
        self.try_named(LOCK)
    }

    /// As [`Artifact::lease`], for one part: processes that hold leases on different parts work on one artifact at the same
    /// time. A lease on the artifact and leases on its parts know nothing of one another: a stage uses one kind or the other.
    ///
    /// # Errors
    /// As [`Artifact::lease`].
    pub fn lease_part(&self, index: usize, cancel: &Cancel) -> Result<Lease, StoreError> {
        self.lease_with(&part_lock(index), cancel, TIMING)
    }

    /// As [`Artifact::try_lease`], for one part.
    ///
    /// # Errors
    /// An error of the file system.
    pub fn try_lease_part(&self, index: usize) -> Result<Result<Lease, Holding>, StoreError> {
        self.try_named(&part_lock(index))
    }

    fn try_named(&self, name: &str) -> Result<Result<Lease, Holding>, StoreError> {
        let mut watch = Watch::new(TIMING.silence);
        Ok(match self.attempt(name, &mut watch, TIMING)? {
            Some(lease) => Ok(lease),
            None => Err(watch.holding()),
        })
    }

    fn lease_with(&self, name: &str, cancel: &Cancel, timing: Timing) -> Result<Lease, StoreError> {
        let mut watch = Watch::new(timing.silence);
        let mut pause = Duration::from_millis(2);
        let mut told = false;
        loop {
            cancel.check()?;
            if let Some(lease) = self.attempt(name, &mut watch, timing)? {
                return Ok(lease);
            }
            if !told && pause >= timing.poll {
                let holding = watch.holding();
                tracing::info!(host = holding.host, pid = holding.pid, key = %self.key().short(), "waiting for a lease");
                told = true;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(timing.poll);
        }
    }

    fn attempt(&self, name: &str, watch: &mut Watch, timing: Timing) -> Result<Option<Lease>, StoreError> {
        self.root.make_folder(&self.folder, OPERATION)?;
        let path = self.folder.join(name);
        let Some(taken) = take(&self.root, &path, watch)? else { return Ok(None) };
        // Once an artifact, not once a part: the folder may hold thousands of files.
        if self.root.begin_sweep(&self.folder) {
            sweep_claims(&self.root, &self.folder);
        }
        Lease::begin(Arc::clone(&self.root), path, taken, timing).map(Some)
    }
}

fn part_lock(index: usize) -> String {
    format!("{PART_LOCK}{index:05}")
}

impl Lease {
    /// Starts to give signs of life.
    fn begin(root: Arc<Root>, path: PathBuf, taken: Taken, timing: Timing) -> Result<Lease, StoreError> {
        let Taken { mut file, holder } = taken;
        let (stop, stopped) = channel::<()>();
        let lost = Arc::new(AtomicBool::new(false));
        let mut lease = Lease {
            root,
            path: path.clone(),
            token: holder.token.clone(),
            lost: Arc::clone(&lost),
            stop: None,
            heart: None,
        };
        let heart = std::thread::Builder::new()
            .name("lease".to_owned())
            .spawn(move || {
                let mut count = 0_u64;
                while stopped.recv_timeout(timing.beat) == Err(RecvTimeoutError::Timeout) {
                    count += 1;
                    // Written through the open file: should another have replaced ours, theirs is not touched.
                    let bytes = Holder { beat: Holder::beat(count), ..holder.clone() }.encode();
                    let written = file
                        .seek(SeekFrom::Start(0))
                        .and_then(|_| file.write_all(&bytes))
                        .and_then(|()| file.sync_data());
                    if let Err(error) = written {
                        tracing::warn!(%error, "a lease could not be renewed");
                    }
                    if !holds(&path, &holder.token) && !lost.swap(true, Ordering::SeqCst) {
                        tracing::warn!(path = %path.display(), "a lease was lost; results stay right, work may be done twice");
                    }
                }
            })
            .map_err(|error| StoreError::io(OPERATION, &lease.path)(error))?;
        lease.stop = Some(stop);
        lease.heart = Some(heart);
        Ok(lease)
    }

    /// Whether another took the lease over, or its file disappeared, as far as the last sign of life could tell.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(heart) = self.heart.take() {
            let _ = heart.join();
        }
        if let Err(error) = let_go(&self.root, &self.path, &self.token, TIMING.silence) {
            tracing::warn!(%error, "a lease could not be let go; others will find that its holder is dead");
        }
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
