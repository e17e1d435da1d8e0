//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes a file whole or not at all: beside its place, synced, renamed into it. Nothing is left behind on an error.
///
/// # Errors
/// When the folder is missing or not writable, or the disk is full. The error names the path.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fill_atomic(path, |error| error, |file| file.write_all(bytes))
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
    let temporary = path.with_file_name(format!(".{name}.{}-{call}.part", std::process::id()));
    let named =
        |error: io::Error| fail(io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display())));
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

#[cfg(test)]
mod tests {
    use super::*;

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
