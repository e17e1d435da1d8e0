//! Unpacking archives that nobody vouches for: `.tar`, `.tar.gz`, `.tgz` and `.zip` into a new folder.
//!
//! Whatever an archive says, nothing is written outside of the folder, over another file, or beyond the [`Bounds`]. No link is
//! ever made: a link to a file inside becomes a copy of it, after everything else, so that no later entry can be written
//! through it. Permissions, owners and times are not taken over. Archives inside the archive stay as they are.

mod folder;
mod tar;
mod zip;

use std::path::Path;

use oodlab_base::{Cancel, Progress};

use crate::error::DatasetError;
use crate::meter::Meter;
use folder::Folder;

/// More entries than this are refused: several times the largest set of images in one archive (Places365, 1.8 million).
const MOST_ENTRIES: u64 = 8_000_000;
/// More unpacked bytes than this are refused: several times the largest archive of images (Open Images, 0.6 TB).
const MOST_BYTES: u64 = 4 << 40;
/// Unpacked bytes for each packed one. Arrays of grey digits pack 12 to 1, photographs 1 to 1; DEFLATE could reach 1032.
const LARGEST_RATIO: u64 = 200;
/// Unpacked bytes that are allowed whatever the ratio: a small archive may be mostly zeros.
const RATIO_FREE: u64 = 16 << 20;

/// What an archive may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Files, folders and links.
    pub entries: u64,
    /// Unpacked bytes.
    pub bytes: u64,
    /// Unpacked bytes for each byte of the archive (beyond the first 16 MiB).
    pub ratio: u64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { entries: MOST_ENTRIES, bytes: MOST_BYTES, ratio: LARGEST_RATIO }
    }
}

impl Bounds {
    /// The bytes that an archive of this size may unpack to.
    pub(crate) fn total(&self, packed: u64) -> u64 {
        self.bytes.min(packed.saturating_mul(self.ratio).max(RATIO_FREE))
    }
}

/// What was unpacked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Files, copies of linked ones included.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What was left out or may surprise, and why.
    pub notes: Vec<String>,
}

/// How a file is packed, by the ending of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Tar,
    TarGz,
    Zip,
}

fn packing_of(name: &str) -> Option<Packing> {
    let name = name.to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    match () {
        () if ends(&[".tar"]) => Some(Packing::Tar),
        () if ends(&[".tar.gz", ".tgz"]) => Some(Packing::TarGz),
        () if ends(&[".zip"]) => Some(Packing::Zip),
        () => None,
    }
}

/// Unpacks an archive into a folder, which is made and must not hold anything. The ending of `name` says how it is packed,
/// whatever the file is called.
///
/// # Errors
/// A path that is absolute or leaves the folder, a link to the outside, a device, two files of one name, more than the bounds
/// allow, damaged or truncated data, a full disk, a request to stop. What was unpacked by then is removed.
pub fn unpack(
    archive: &Path,
    name: &str,
    into: &Path,
    bounds: &Bounds,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Unpacked, DatasetError> {
    let result = unpack_all(archive, name, into, bounds, progress, cancel);
    if result.is_err() {
        // The first error is the one to tell.
        let _ = fs_err::remove_dir_all(into);
    }
    result
}

fn unpack_all(
    archive: &Path,
    name: &str,
    into: &Path,
    bounds: &Bounds,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Unpacked, DatasetError> {
    let shown = archive.display().to_string();
    let packing = packing_of(name).ok_or_else(|| {
        DatasetError::decode(&shown, format!("{name:?} is no archive: expected .tar, .tar.gz, .tgz or .zip"))
    })?;
    let file = fs_err::File::open(archive)?;
    let size = file.metadata()?.len();
    fs_err::create_dir_all(into)?;
    if fs_err::read_dir(into)?.next().is_some() {
        return Err(DatasetError::decode(into.display().to_string(), "expected an empty folder to unpack into"));
    }
    let meter = Meter::new(progress, &format!("unpack {name}"), size);
    let mut folder = Folder::new(shown, into, *bounds, size, cancel);
    match packing {
        Packing::Tar => tar::unpack(crate::meter::Metered { inner: file, meter: &meter }, &mut folder)?,
        Packing::TarGz => tar::unpack_gz(crate::meter::Metered { inner: file, meter: &meter }, &mut folder)?,
        Packing::Zip => zip::unpack(crate::meter::Metered { inner: file, meter: &meter }, size, &mut folder)?,
    }
    folder.finish()
}

/// Unpacks arbitrary bytes as each kind of archive, into a temporary folder that is checked to hold all of it.
///
/// # Panics
/// When more than the bounds is found in the folder, or anything else than files and folders.
pub fn fuzz(bytes: &[u8]) {
    let bounds = Bounds { entries: 64, bytes: 1 << 20, ratio: 1 << 20 };
    let Ok(folder) = tempfile::tempdir() else { return };
    let archive = folder.path().join("archive");
    if std::fs::write(&archive, bytes).is_err() {
        return;
    }
    for (number, name) in ["x.tar", "x.tar.gz", "x.zip"].iter().enumerate() {
        let into = folder.path().join(format!("into-{number}"));
        let result = unpack(&archive, name, &into, &bounds, &oodlab_base::Silent, &Cancel::new());
        let found = measure(&into);
        match result {
            Ok(unpacked) => assert_eq!(found, (unpacked.files, unpacked.bytes), "what was unpacked lies in the folder"),
            Err(_) => assert!(!into.exists(), "a failure leaves nothing"),
        }
        assert!(found.1 <= bounds.bytes, "{} bytes", found.1);
    }
    let beside = std::fs::read_dir(folder.path()).map_or(0, Iterator::count);
    assert!(beside <= 4, "nothing is written beside the folder");
}

/// Files and bytes below a folder.
fn measure(folder: &Path) -> (u64, u64) {
    let mut sum = (0, 0);
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(data) = entry.path().symlink_metadata() else { continue };
        assert!(data.is_file() || data.is_dir(), "{}", entry.path().display());
        let (files, bytes) = if data.is_dir() { measure(&entry.path()) } else { (1, data.len()) };
        sum = (sum.0 + files, sum.1 + bytes);
    }
    sum
}
