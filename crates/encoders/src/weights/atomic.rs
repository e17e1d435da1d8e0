//! Files that appear whole or not at all.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::WeightError;

/// Writes a file under a temporary name beside `target`, makes it durable, and renames it. Nothing is left on an error.
pub(super) fn write(
    target: &Path,
    operation: &str,
    fill: impl FnOnce(&mut fs_err::File) -> Result<(), WeightError>,
) -> Result<(), WeightError> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs_err::create_dir_all(folder).map_err(WeightError::io(operation))?;
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}-{call}.tmp", std::process::id()));
    let written = fs_err::File::create(&temporary).map_err(WeightError::io(operation)).and_then(|mut file| {
        fill(&mut file)?;
        file.flush()
            .and_then(|()| file.sync_all())
            .and_then(|()| fs_err::rename(&temporary, target))
            .map_err(WeightError::io(operation))
    });
    if written.is_err() {
        // The error that is reported matters; that the leftover cannot be removed does not.
        let _ = fs_err::remove_file(&temporary);
    }
    written
}
