//! Leases: one holder at a time, over processes and machines, without locks of the system and without clocks.
//!
//! A lease is the file `lock` in the artifact's folder. It appears whole, by a hard link, and only where none is. Its
//! holder rewrites a counter in it every few seconds. A holder is dead when this machine knows that its process is gone,
//! or, for one on another machine, when its counter stood still for a minute of *this* process's steady clock.
//!
//! A file that names a holder may be removed or replaced only by whoever has the claim on that holder: a file
//! `lock-claim-<token of the holder>`, taken like a lease. So of two that find the same holder dead, one replaces the
//! file by its own in one rename, and the other then finds a living holder. A holder that lets go takes the claim on
//! itself first, so that it never removes its successor's file. A claim whose taker died is taken over in the same way.

use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fs_err as fs;
use oodlab_base::Cancel;

use crate::artifact::Artifact;
use crate::error::StoreError;
use crate::file;
use crate::holder::{Holder, mark};
use crate::root::Root;

/// The name of a lease's file.
const LOCK: &str = "lock";

/// The beginning of the name of a claim's file.
const CLAIM: &str = "lock-claim-";

const OPERATION: &str = "taking a lease";

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

impl Artifact {
    /// Waits for the lease on this artifact and takes it. While another process or thread holds it, `cancel` is asked
    /// several times a second.
    ///
    /// # Errors
    /// [`StoreError::Cancelled`] when asked to stop; an error of the file system otherwise.
    pub fn lease(&self, cancel: &Cancel) -> Result<Lease, StoreError> {
        self.lease_with(cancel, TIMING)
    }

    /// Takes the lease if nobody living on this machine, and nobody on another one, holds it; else says who does.
    ///
    /// # Errors
    /// An error of the file system.
    pub fn try_lease(&self) -> Result<Result<Lease, Holding>, StoreError> {
        let mut watch = Watch::new(TIMING.silence);
        Ok(match self.attempt(&mut watch, TIMING)? {
            Some(lease) => Ok(lease),
            None => Err(watch.holding()),
        })
    }

    fn lease_with(&self, cancel: &Cancel, timing: Timing) -> Result<Lease, StoreError> {
        let mut watch = Watch::new(timing.silence);
        let mut pause = Duration::from_millis(2);
        let mut told = false;
        loop {
            cancel.check()?;
            if let Some(lease) = self.attempt(&mut watch, timing)? {
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

    fn attempt(&self, watch: &mut Watch, timing: Timing) -> Result<Option<Lease>, StoreError> {
        self.root.make_folder(&self.folder, OPERATION)?;
        let path = self.folder.join(LOCK);
        let Some(taken) = take(&self.root, &path, watch)? else { return Ok(None) };
        sweep_claims(&self.folder);
        Lease::begin(Arc::clone(&self.root), path, taken, timing).map(Some)
    }
}

/// A file of our own that stands at its place.
struct Taken {
    file: fs::File,
    holder: Holder,
}

/// What was seen of another's holding, and since when.
struct Watch {
    silence: Duration,
    seen: Option<(Vec<u8>, Instant)>,
}

impl Watch {
    fn new(silence: Duration) -> Watch {
        Watch { silence, seen: None }
    }

    /// Whether the holder whose file reads `bytes` is dead.
    fn is_dead(&mut self, bytes: &[u8]) -> bool {
        let since = match &self.seen {
            Some((seen, since)) if seen == bytes => *since,
            _ => {
                let now = Instant::now();
                self.seen = Some((bytes.to_vec(), now));
                now
            }
        };
        match Holder::decode(bytes).and_then(|holder| holder.process.lives()) {
            Some(lives) => !lives,
            None => since.elapsed() >= self.silence,
        }
    }

    fn holding(&self) -> Holding {
        let holder = self.seen.as_ref().and_then(|(bytes, _)| Holder::decode(bytes));
        holder.map_or(Holding { host: "unknown".to_owned(), pid: 0 }, |holder| Holding {
            host: holder.process.host,
            pid: holder.process.pid,
        })
    }
}

/// Puts a file of our own at `path` if none is there, or if the one there belongs to a dead holder.
fn take(root: &Root, path: &Path, watch: &mut Watch) -> Result<Option<Taken>, StoreError> {
    let failed = |error| StoreError::io(OPERATION, path)(error);
    let found = file::read(path).map_err(failed)?;
    if found.as_ref().is_some_and(|bytes| !watch.is_dead(bytes)) {
        return Ok(None);
    }
    let holder = Holder::new();
    let bytes = holder.encode();
    let mut temporary = root.temporary_for(path, OPERATION)?;
    temporary.file().write_all(&bytes).map_err(StoreError::write(OPERATION, path, bytes.len()))?;
    let file = temporary.file().try_clone().map_err(failed)?;
    let placed = match found {
        None => appear(temporary.path(), path).map_err(failed)?,
        Some(dead) => replace(root, temporary.path(), path, &mark(&dead), watch.silence)?,
    };
    Ok(placed.then_some(Taken { file, holder }))
}

/// Renames `from` to `path` while that one names the dead holding `dead`: false when it does not any more, or when
/// another is about to replace it.
fn replace(root: &Root, from: &Path, path: &Path, dead: &str, silence: Duration) -> Result<bool, StoreError> {
    let failed = |error| StoreError::io(OPERATION, path)(error);
    let claim_path = path.with_file_name(format!("{CLAIM}{dead}"));
    let Some(claim) = take(root, &claim_path, &mut Watch::new(silence))? else { return Ok(false) };
    // With the claim, nobody else may change the file while it names the dead holder.
    let replaced = match file::read(path) {
        Ok(Some(bytes)) if mark(&bytes) == dead => fs::rename(from, path).map(|()| true),
        Ok(_) => Ok(false),
        Err(error) => Err(error),
    };
    let_go_of_claim(&claim_path, &claim.holder.token);
    replaced.map_err(failed)
}

/// Gives the finished file `from` the second name `to`, unless `to` exists: false then.
fn appear(from: &Path, to: &Path) -> io::Result<bool> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
        // Some network file systems answer a link that was made with an error: the number of names tells.
        Err(error) => match (same_file(from, to), error.kind()) {
            (true, _) => Ok(true),
            // No hard links here (FAT, some user-space file systems): make the file where it shall be. It is empty for
            // a moment, which others take for a holder that they cannot ask after.
            (false, io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported | io::ErrorKind::Other) => {
                match fs::OpenOptions::new().write(true).create_new(true).open(to) {
                    Ok(_) => fs::rename(from, to).map(|()| true),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                    Err(error) => Err(error),
                }
            }
            _ => Err(error),
        },
    }
}

#[cfg(unix)]
fn same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| fs::metadata(path).map(|data| (data.dev(), data.ino())).ok();
    identity(a).is_some() && identity(a) == identity(b)
}

#[cfg(not(unix))]
fn same_file(_: &Path, _: &Path) -> bool {
    false
}

/// Removes a claim of our own. Claims live for a few file operations, so nobody takes a living one for dead.
fn let_go_of_claim(path: &Path, token: &str) {
    if holds(path, token)
        && let Err(error) = file::remove(path)
    {
        tracing::warn!(%error, "a claim on a lease cannot be removed");
    }
}

/// Whether the file names the holding `token`.
fn holds(path: &Path, token: &str) -> bool {
    file::read(path).ok().flatten().is_some_and(|bytes| mark(&bytes) == token)
}

/// Removes claims that processes of this machine left when they were killed.
fn sweep_claims(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let is_claim = entry.file_name().to_str().is_some_and(|name| name.starts_with(CLAIM));
        let dead = || {
            let bytes = file::read(&entry.path()).ok().flatten()?;
            Holder::decode(&bytes)?.process.lives().map(|lives| !lives)
        };
        if is_claim && dead() == Some(true) {
            let _ = file::remove(&entry.path());
        }
    }
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

    /// Removes the file if it is still ours.
    fn let_go(&self) -> Result<(), StoreError> {
        if !holds(&self.path, &self.token) {
            return Ok(());
        }
        let claim_path = self.path.with_file_name(format!("{CLAIM}{}", self.token));
        let mut watch = Watch::new(TIMING.silence);
        // Whoever has the claim on us takes the lease over at this moment: there is nothing to remove then.
        let Some(claim) = take(&self.root, &claim_path, &mut watch)? else { return Ok(()) };
        let removed = if holds(&self.path, &self.token) { file::remove(&self.path) } else { Ok(()) };
        let_go_of_claim(&claim_path, &claim.holder.token);
        removed.map_err(StoreError::io("letting go of a lease", &self.path))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(heart) = self.heart.take() {
            let _ = heart.join();
        }
        if let Err(error) = self.let_go() {
            tracing::warn!(%error, "a lease could not be let go; others will find that its holder is dead");
        }
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
