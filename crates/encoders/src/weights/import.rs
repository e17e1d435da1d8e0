//! Weight files that the user has: recognised by checksum, checked against their network, copied.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use oodlab_base::file::fill_atomic;
use sha2::{Digest, Sha256};

use super::library::{SUFFIXES, WeightLibrary, wrong_checksum};
use super::{WeightError, Weights};
use crate::network::Network;
use crate::{HeadPolicy, fold};

/// A file that was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The weights that it holds.
    pub name: String,
    /// Their network.
    pub network: String,
    /// Where it was: a path, or the address that it was fetched from.
    pub from: PathBuf,
    /// Where it is now.
    pub to: PathBuf,
    /// All 64 digits of its SHA-256.
    pub sha256: String,
    /// False when it was there already.
    pub copied: bool,
    /// Facts that a person should know: whose names the tensors had, what of the file is not read.
    pub notes: Vec<String>,
}

/// What became of the files of a folder.
#[derive(Debug, Default)]
pub struct ImportReport {
    /// Files that were recognised, in byte order of their paths.
    pub imported: Vec<Imported>,
    /// Files that may hold weights and belong to none that are known.
    pub unknown: Vec<PathBuf>,
    /// Files that carry a known name and are not what it says, or that could not be read.
    pub failed: Vec<WeightError>,
}

impl WeightLibrary {
    /// Imports one file: recognised by its SHA-256, whatever its name, checked tensor by tensor against its network, and copied
    /// atomically.
    ///
    /// # Errors
    /// [`WeightError::WrongChecksum`] when it has the name of known weights and another checksum,
    /// [`WeightError::Unrecognised`] when nothing is known of it, [`WeightError::Io`] when it cannot be read or copied;
    /// [`WeightError::Names`] and [`WeightError::Fold`] when it does not fit its network.
    pub fn import(&self, from: &Path) -> Result<Imported, WeightError> {
        let found = sha256_of(from)?;
        let (manifest, file) = self.recognise(from, &found)?;
        let (name, network) = (manifest.name.clone(), manifest.network.clone());
        let to = self.root.join(&file.file);
        if to.exists() && sha256_of(&to)? == found {
            let from = from.to_owned();
            return Ok(Imported { name, network, from, to, sha256: found, copied: false, notes: Vec::new() });
        }
        let notes = fit(from, &network)?;
        let changed = |copied| wrong_checksum(from, &name, file, copied);
        copy(from, &to, &found, changed)?;
        Ok(Imported { name, network, from: from.to_owned(), to, sha256: found, copied: true, notes })
    }

    /// Imports every file of a folder, and of the folders in it, that is recognised. A file that is not stops nothing: the
    /// report says what became of each. Links to folders are not followed.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn import_all(&self, folder: &Path) -> Result<ImportReport, WeightError> {
        let operation = "listing a folder of weights";
        let mut paths = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(folder).map_err(WeightError::io(operation))? {
                let entry = entry.map_err(WeightError::io(operation))?;
                let path = entry.path();
                let suffix = path.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default().to_lowercase();
                if entry.file_type().map_err(WeightError::io(operation))?.is_dir() {
                    folders.push(path);
                } else if SUFFIXES.contains(&suffix.as_str()) && path.is_file() {
                    paths.push(path);
                }
            }
        }
        paths.sort();
        let mut report = ImportReport::default();
        for path in paths {
            match self.import(&path) {
                Ok(imported) => report.imported.push(imported),
                Err(WeightError::Unrecognised { path, .. }) => report.unknown.push(path),
                Err(error) => report.failed.push(error),
            }
        }
        Ok(report)
    }
}

/// Checks a file against its network, where this build has it, and tells what a person should know of it.
pub(super) fn fit(path: &Path, network: &str) -> Result<Vec<String>, WeightError> {
    fit_read(path, &Weights::read(path)?, network)
}

/// [`fit`] of weights that were read from the file already.
pub(super) fn fit_read(path: &Path, weights: &Weights, network: &str) -> Result<Vec<String>, WeightError> {
    let mut notes = Vec::new();
    let mut left_out = weights.left_out().to_vec();
    if Network::named(network).is_some() {
        let native = weights.for_network(network)?;
        let refuse = |error: crate::EncoderError| WeightError::Fold {
            file: path.display().to_string(),
            reason: error.to_string(),
        };
        let folded = fold(network, &native, HeadPolicy::Keep).map_err(refuse)?;
        notes.extend(Network::named(network).map(|network| {
            let classifier = folded.get(&format!("{}.weight", network.classifier.name));
            classifier.map_or_else(|| "no classifier".to_owned(), |weight| format!("{} classes", weight.shape[0]))
        }));
        left_out = native.left_out().to_vec();
        let scheme = native.metadata().get("names").cloned();
        if let Some(scheme) = &scheme {
            notes.push(format!("tensor names: {scheme}"));
        }
        if scheme.as_deref() == Some(super::names::Scheme::Timm.name()) {
            notes.extend(super::names::timm_note(network));
        }
    }
    if !left_out.is_empty() {
        notes.push(format!("not read: {}", left_out.join(", ")));
    }
    Ok(notes)
}

/// Copies a file atomically and compares its checksum again: it may change while it is read.
pub(super) fn copy(
    from: &Path,
    to: &Path,
    sha256: &str,
    changed: impl FnOnce(String) -> WeightError,
) -> Result<(), WeightError> {
    if let Some(folder) = to.parent() {
        fs_err::create_dir_all(folder).map_err(WeightError::io("importing weights"))?;
    }
    let fail = |error| WeightError::io("importing weights")(error);
    fill_atomic(to, fail, |target| {
        let mut hasher = Sha256::new();
        read_pieces(from, |piece| {
            hasher.update(piece);
            target.write_all(piece).map_err(WeightError::io("importing weights"))
        })?;
        let copied = hexadecimal(hasher);
        if copied != sha256 { Err(changed(copied)) } else { Ok(()) }
    })
}

/// Reads a file piece by piece.
fn read_pieces(path: &Path, mut each: impl FnMut(&[u8]) -> Result<(), WeightError>) -> Result<(), WeightError> {
    let mut file = fs_err::File::open(path).map_err(WeightError::io("reading weights"))?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer).map_err(WeightError::io("reading weights"))? {
            0 => return Ok(()),
            count => each(&buffer[..count])?,
        }
    }
}

/// The SHA-256 of a file.
pub(super) fn sha256_of(path: &Path) -> Result<String, WeightError> {
    let mut hasher = Sha256::new();
    read_pieces(path, |piece| {
        hasher.update(piece);
        Ok(())
    })?;
    Ok(hexadecimal(hasher))
}

fn hexadecimal(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
