//! Files that name a holder: taking one, replacing that of a dead holder, letting go.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use fs_err as fs;

use crate::error::StoreError;
use crate::file;
use crate::holder::{Holder, mark};
use crate::lease::Holding;
use crate::root::Root;

/// The name of the file of a lease on a whole artifact.
pub(crate) const LOCK: &str = "lock";

/// The beginning of the name of the file of a lease on one part.
pub(crate) const PART_LOCK: &str = "lock-part-";

/// The beginning of the name of a claim's file.
pub(crate) const CLAIM: &str = "lock-claim-";

pub(crate) const OPERATION: &str = "taking a lease";

/// The silence for whoever looks once and does not wait: no other's claim is taken over whose holder cannot be asked after.
const NEVER: Duration = Duration::MAX;

/// Whether a file of an artifact is a lease.
pub(crate) fn is_lease(name: &str) -> bool {
    name == LOCK || name.starts_with(PART_LOCK)
}

/// Whether a file of an artifact is a claim on a lease.
pub(crate) fn is_claim(name: &str) -> bool {
    name.starts_with(CLAIM)
}

/// What a file that names a holder said when it was read.
pub(crate) struct Seen {
    pub(crate) bytes: Vec<u8>,
    pub(crate) holding: Holding,
    /// Whether the holder lives; none when that cannot be told from here.
    pub(crate) lives: Option<bool>,
}

/// Looks at a file that names a holder; nothing when it is gone.
pub(crate) fn look(path: &Path) -> Result<Option<Seen>, StoreError> {
    let Some(bytes) = file::read(path).map_err(StoreError::io("looking at a lease", path))? else { return Ok(None) };
    let holder = Holder::decode(&bytes);
    let lives = holder.as_ref().and_then(|holder| holder.process.lives());
    Ok(Some(Seen { bytes, holding: Holding::of(holder), lives }))
}

/// Removes the file of a holder whom the caller found dead when it read `found`. It is taken over like any dead holder's and
/// let go at once, so that no living file is removed. False when there is another file by now, or none, or when another is
/// about to replace it.
pub(crate) fn remove_dead(root: &Root, path: &Path, found: &[u8]) -> Result<bool, StoreError> {
    let Some(Taken { holder, .. }) = take_dead(root, path, found)? else { return Ok(false) };
    let_go(root, path, &holder.token, NEVER)?;
    Ok(true)
}

/// Removes the file at `path` if it still names the holding `token`. `silence` judges another's claim on it.
pub(crate) fn let_go(root: &Root, path: &Path, token: &str, silence: Duration) -> Result<(), StoreError> {
    if !holds(path, token) {
        return Ok(());
    }
    let claim_path = path.with_file_name(format!("{CLAIM}{token}"));
    // Whoever has the claim on us takes the lease over at this moment: there is nothing to remove then.
    let Some(claim) = take(root, &claim_path, &mut Watch::new(silence))? else { return Ok(()) };
    let removed = if holds(path, token) { file::remove(path) } else { Ok(()) };
    let_go_of_claim(&claim_path, &claim.holder.token);
    removed.map_err(StoreError::io("letting go of a lease", path))
}

/// A file of our own that stands at its place.
pub(crate) struct Taken {
    pub(crate) file: fs::File,
    pub(crate) holder: Holder,
}

/// What was seen of another's holding, and since when.
pub(crate) struct Watch {
    silence: Duration,
    seen: Option<(Vec<u8>, Instant)>,
}

impl Watch {
    pub(crate) fn new(silence: Duration) -> Watch {
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

    pub(crate) fn holding(&self) -> Holding {
        let holder = self.seen.as_ref().and_then(|(bytes, _)| Holder::decode(bytes));
        Holding::of(holder)
    }
}

/// Puts a file of our own at `path` if none is there, or if the one there belongs to a dead holder.
pub(crate) fn take(root: &Root, path: &Path, watch: &mut Watch) -> Result<Option<Taken>, StoreError> {
    let found = file::read(path).map_err(StoreError::io(OPERATION, path))?;
    if found.as_ref().is_some_and(|bytes| !watch.is_dead(bytes)) {
        return Ok(None);
    }
    put(root, path, found.as_deref(), watch.silence)
}

/// Puts a file of our own at `path` if the one there still reads `dead`.
fn take_dead(root: &Root, path: &Path, dead: &[u8]) -> Result<Option<Taken>, StoreError> {
    let found = file::read(path).map_err(StoreError::io(OPERATION, path))?;
    if found.as_deref() == Some(dead) { put(root, path, found.as_deref(), NEVER) } else { Ok(None) }
}

/// Puts a file of our own at `path`, where none was found, or that of a dead holder.
fn put(root: &Root, path: &Path, found: Option<&[u8]>, silence: Duration) -> Result<Option<Taken>, StoreError> {
    let failed = |error| StoreError::io(OPERATION, path)(error);
    let holder = Holder::new();
    let bytes = holder.encode();
    let mut temporary = root.temporary_for(path, OPERATION)?;
    temporary.file().write_all(&bytes).map_err(StoreError::write(OPERATION, path, bytes.len()))?;
    let file = temporary.file().try_clone().map_err(failed)?;
    let placed = match found {
        None => appear(temporary.path(), path).map_err(failed)?,
        Some(dead) => replace(root, temporary.path(), path, &mark(dead), silence)?,
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
pub(crate) fn appear(from: &Path, to: &Path) -> io::Result<bool> {
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
pub(crate) fn holds(path: &Path, token: &str) -> bool {
    file::read(path).ok().flatten().is_some_and(|bytes| mark(&bytes) == token)
}

/// Removes claims that processes of this machine left when they were killed. What cannot be removed waits for the next time.
pub(crate) fn sweep_claims(root: &Root, folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_str().is_some_and(is_claim) {
            continue;
        }
        let path = entry.path();
        if let Ok(Some(Seen { bytes, lives: Some(false), .. })) = look(&path) {
            let _ = remove_dead(root, &path, &bytes);
        }
    }
}
