//! What lies in a folder: its files in byte order of their paths, and checksums of those that may be known ones.

use std::io::Read;
use std::path::{Path, PathBuf};

use md5::Digest as _;
use oodlab_base::{Cancel, Progress};
use rayon::prelude::*;

use crate::error::DatasetError;
use crate::hash;
use crate::meter::Meter;

/// Folders nested deeper than this are not entered.
const DEEPEST: usize = 24;

/// A file below the folder.
pub(super) struct Found {
    /// Path below the folder, parts joined by `/`.
    pub relative: String,
    pub size: u64,
    /// Checksums, where [`Scan::digest`] was asked for them.
    pub digests: Option<Box<Digests>>,
}

pub(super) struct Digests {
    pub sha256: String,
    pub md5: String,
}

impl Found {
    /// The SHA-256 in hexadecimal, where the file was hashed.
    pub fn sha256(&self) -> Option<&str> {
        self.digests.as_ref().map(|digests| digests.sha256.as_str())
    }

    pub fn file_name(&self) -> &str {
        self.relative.rsplit('/').next().unwrap_or(&self.relative)
    }
}

pub(super) struct Scan {
    /// The folder, resolved.
    pub from: PathBuf,
    pub files: Vec<Found>,
    /// What was passed over, and why.
    pub notes: Vec<String>,
    /// The folder is one that this import unpacked: its files need no copy of their own.
    pub own: bool,
}

impl Scan {
    /// Lists all files below a folder (or the one file that is given). Links are followed only to files inside of it.
    pub fn of(from: &Path, cancel: &Cancel) -> Result<Scan, DatasetError> {
        let start = fs_err::canonicalize(from)?;
        let folder = if start.is_file() { start.parent().unwrap_or(&start).to_owned() } else { start.clone() };
        let mut scan = Scan { from: folder.clone(), files: Vec::new(), notes: Vec::new(), own: false };
        if start.is_file() {
            scan.enter_file(&start)?;
        } else {
            scan.enter(&folder, 0, cancel)?;
        }
        scan.files.sort_by(|a, b| a.relative.as_bytes().cmp(b.relative.as_bytes()));
        scan.notes.sort();
        Ok(scan)
    }

    fn enter(&mut self, folder: &Path, depth: usize, cancel: &Cancel) -> Result<(), DatasetError> {
        cancel.check()?;
        if depth > DEEPEST {
            self.notes.push(format!("{}: nested too deeply, not entered", folder.display()));
            return Ok(());
        }
        for entry in fs_err::read_dir(folder)? {
            let entry = entry?;
            let (kind, path) = (entry.file_type()?, entry.path());
            if kind.is_dir() {
                self.enter(&path, depth + 1, cancel)?;
            } else if kind.is_symlink() {
                // A link to a folder could be a circle, and one to the outside is not part of what was named.
                let target =
                    path.canonicalize().ok().filter(|target| target.starts_with(&self.from) && target.is_file());
                match target {
                    Some(_) => self.enter_file(&path)?,
                    None => self.notes.push(format!(
                        "{}: a link to a folder, to the outside or to nothing, not followed",
                        path.display()
                    )),
                }
            } else if kind.is_file() {
                self.enter_file(&path)?;
            }
        }
        Ok(())
    }

    fn enter_file(&mut self, path: &Path) -> Result<(), DatasetError> {
        let parts: Option<Vec<&str>> =
            path.strip_prefix(&self.from).unwrap_or(path).components().map(|part| part.as_os_str().to_str()).collect();
        match parts {
            Some(parts) => {
                let size = fs_err::metadata(path)?.len();
                self.files.push(Found { relative: parts.join("/"), size, digests: None });
            }
            None => self.notes.push(format!("{}: the name is not UTF-8, passed over", path.display())),
        }
        Ok(())
    }

    /// Where a file lies.
    pub fn path(&self, file: &Found) -> PathBuf {
        self.from.join(&file.relative)
    }

    /// Fills in the checksums of the files that `wanted` names.
    pub fn digest(
        &mut self,
        wanted: impl Fn(&Found) -> bool + Sync,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<(), DatasetError> {
        let from = &self.from;
        let files: Vec<&mut Found> = self.files.iter_mut().filter(|file| wanted(file)).collect();
        if files.is_empty() {
            return Ok(());
        }
        let meter = Meter::new(progress, "checksums", files.iter().map(|file| file.size).sum());
        let results: Vec<Result<(), DatasetError>> = files
            .into_par_iter()
            .map(|file| {
                file.digests = Some(Box::new(digests(&from.join(&file.relative), &meter, cancel)?));
                Ok(())
            })
            .collect();
        results.into_iter().collect()
    }
}

fn digests(path: &Path, meter: &Meter, cancel: &Cancel) -> Result<Digests, DatasetError> {
    let mut file = fs_err::File::open(path)?;
    let mut sha256 = sha2::Sha256::new();
    let mut md5 = md5::Md5::new();
    let mut block = vec![0; 1 << 20];
    loop {
        cancel.check()?;
        match file.read(&mut block)? {
            0 => return Ok(Digests { sha256: hash::hex(&sha256.finalize()), md5: hash::hex(&md5.finalize()) }),
            count => {
                meter.add(count as u64);
                sha256.update(&block[..count]);
                md5.update(&block[..count]);
            }
        }
    }
}
