//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How the name of a file that is being written ends.
const UNFINISHED: &str = ".part";

/// What another machine left is removed when it is this old: its processes cannot be asked after.
const LEFTOVER_AGE: Duration = Duration::from_secs(24 * 3600);

/// Removes what writers of [`write_atomic`] that were killed left in a folder. A file of a living process stays.
///
/// # Errors
/// When the folder cannot be read. That a leftover cannot be removed is none: it does no harm.
pub fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(UNFINISHED).filter(|_| name.starts_with('.')) else { continue };
        let Some((host_of, pid)) = stem.rsplit_once('.').and_then(|(_, writer)| {
            let mut parts = writer.split('-');
            Some((parts.next()?, parts.next()?.parse::<u32>().ok()?))
        }) else {
            continue;
        };
        let age = entry.metadata().and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
        let dead = if host_of == host() && Path::new("/proc/self").exists() {
            !Path::new(&format!("/proc/{pid}")).exists()
        } else {
            age.is_some_and(|age| age > LEFTOVER_AGE)
        };
        if dead {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// A short name of this machine, of letters and digits; on shared folders it tells whose process a number means.
fn host() -> &'static str {
    static HOST: OnceLock<String> = OnceLock::new();
    HOST.get_or_init(|| {
        let name = fs::read("/proc/sys/kernel/hostname").unwrap_or_default();
        blake3::hash(&name).to_hex()[..8].to_owned()
    })
}

/// Writes a file whole or not at all: beside its place, synced, renamed into it. Nothing is left behind on an error.
///
/// # Errors
/// When the folder is missing or not writable, or the disk is full. The error names the path.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fill_atomic(path, |error| error, |file| file.write_all(bytes).map_err(|error| unwritable(path, &error)))
}

/// [`write_atomic`] for content that is produced piece by piece; `fail` makes an error of the system's.
///
/// # Errors
/// As [`write_atomic`], or as `fill`.
pub fn fill_atomic<E>(
    path: &Path,
    fail: impl Fn(io::Error) -> E,
    fill: impl FnOnce(&mut File) -> Result<(), E>,
) -> Result<(), E> {
    // Two threads of one process may write the same file at once.
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}-{}-{call}{UNFINISHED}", host(), std::process::id()));
    let named = |error: io::Error| fail(unwritable(path, &error));
    let written = File::create(&temporary).map_err(&named).and_then(|mut file| {
        fill(&mut file)?;
        file.sync_all().and_then(|()| fs::rename(&temporary, path)).map_err(named)
    });
    if written.is_err() {
        // The error that is reported matters; that the leftover cannot be removed does not.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// The system's errors of a write name no file.
fn unwritable(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_writer_left_is_removed_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("oodlab-base-left-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let dead = format!(".table.csv.{}-4194305-0{UNFINISHED}", host());
        let alive = format!(".table.csv.{}-{}-0{UNFINISHED}", host(), std::process::id());
        let elsewhere = format!(".table.csv.0000-1-0{UNFINISHED}");
        for name in [&dead, &alive, &elsewhere, "mine.part", ".part"] {
            fs::write(folder.join(name), b"half").expect("writes");
        }
        remove_leftovers(&folder).expect("readable");
        let there = |name: &str| folder.join(name).exists();
        assert!(!there(&dead) && there(&alive) && there(&elsewhere) && there("mine.part") && there(".part"));
        fs::remove_dir_all(&folder).expect("removes");
    }

    #[test]
    fn a_file_is_replaced_whole_and_a_failure_leaves_the_old_one() {
        let folder = std::env::temp_dir().join(format!("oodlab-base-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("file");
        write_atomic(&path, b"old").expect("writes");
        write_atomic(&path, b"new").expect("writes");
        let failed = fill_atomic(
            &path,
            |error| error,
            |file| {
                file.write_all(b"half")?;
                Err(io::Error::other("the disk is full"))
            },
        );
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).expect("readable"), b"new");
        assert_eq!(fs::read_dir(&folder).expect("readable").count(), 1);
        let missing = write_atomic(&folder.join("absent").join("file"), b"");
        assert!(missing.expect_err("no such folder").to_string().contains("absent"));
        fs::remove_dir_all(&folder).expect("removable");
    }
}
