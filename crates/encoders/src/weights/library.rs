//! The folder of imported weights, and where each known set of weights is.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use oodlab_base::file::fill_atomic;
use sha2::{Digest, Sha256};

use super::manifest::{WeightFile, WeightManifest, manifests};
use super::{WeightError, Weights, embedded};

/// Suffixes of files that may hold weights; a folder's other files are not looked into.
const SUFFIXES: [&str; 6] = ["pth", "pt", "th", "bin", "ckpt", "safetensors"];

/// The weights known to this build and those imported into a folder.
#[derive(Debug, Clone)]
pub struct WeightLibrary {
    root: PathBuf,
    manifests: Vec<WeightManifest>,
}

/// Where weights are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// Imported: this file.
    Imported(PathBuf),
    /// Inside the program, only the trunk (no classifier).
    Embedded,
    /// Not on this machine.
    Absent,
}

/// One line of the list of weights.
#[derive(Debug, Clone)]
pub struct WeightEntry {
    /// What is known of them.
    pub manifest: WeightManifest,
    /// Where they are.
    pub presence: Presence,
    /// Whether this build can run the network; if not, the weights can be imported and converted, not used.
    pub network_in_build: bool,
}

/// A file that was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The weights that it holds.
    pub name: String,
    /// Where it was.
    pub from: PathBuf,
    /// Where it is now.
    pub to: PathBuf,
    /// False when it was there already.
    pub copied: bool,
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
    /// The library over a folder, which need not exist: the first import makes it.
    ///
    /// # Errors
    /// When a manifest in the program is wrong.
    pub fn open(root: &Path) -> Result<WeightLibrary, WeightError> {
        Ok(WeightLibrary { root: root.to_owned(), manifests: manifests()? })
    }

    /// The folder of imported files.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All known weights, in byte order of their names, with where they are. Files are not opened.
    #[must_use]
    pub fn list(&self) -> Vec<WeightEntry> {
        let networks: Vec<String> = crate::networks().into_iter().map(|network| network.name).collect();
        let entry = |manifest: &WeightManifest| WeightEntry {
            presence: self.presence(manifest),
            network_in_build: networks.contains(&manifest.network),
            manifest: manifest.clone(),
        };
        self.manifests.iter().map(entry).collect()
    }

    /// Imports one file: recognised by its SHA-256, whatever its name, and copied atomically.
    ///
    /// # Errors
    /// [`WeightError::WrongChecksum`] when it has the name of known weights and another checksum,
    /// [`WeightError::Unrecognised`] when nothing is known of it, [`WeightError::Io`] when it cannot be read or copied.
    pub fn import(&self, from: &Path) -> Result<Imported, WeightError> {
        let found = sha256_of(from)?;
        let (manifest, file) = self.recognise(from, &found)?;
        let to = self.root.join(&file.file);
        let name = manifest.name.clone();
        if to.exists() && sha256_of(&to)? == found {
            return Ok(Imported { name, from: from.to_owned(), to, copied: false });
        }
        fs_err::create_dir_all(&self.root).map_err(WeightError::io("importing weights"))?;
        let fail = |error| WeightError::io("importing weights")(error);
        fill_atomic(&to, fail, |target| {
            let mut hasher = Sha256::new();
            read_pieces(from, |piece| {
                hasher.update(piece);
                target.write_all(piece).map_err(WeightError::io("importing weights"))
            })?;
            let copied = hexadecimal(hasher);
            // The file changed while it was read.
            if copied != found { Err(wrong_checksum(from, &name, file, copied)) } else { Ok(()) }
        })?;
        Ok(Imported { name, from: from.to_owned(), to, copied: true })
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

    /// Reads weights by the path of a file, by name, or by network: an explicit path first, then the imported file
    /// (complete, f32), then the trunk that the program carries. Published checksums are compared.
    ///
    /// # Errors
    /// [`WeightError::Unknown`] for a name that nothing is known of, [`WeightError::NotAtHand`] for known weights that
    /// are not here, with how to get them; [`WeightError::WrongChecksum`] for a file that is not what its name says;
    /// else as [`Weights::read`].
    pub fn find(&self, name: &str) -> Result<Weights, WeightError> {
        let by_name: Vec<&WeightManifest> = self.manifests.iter().filter(|manifest| manifest.name == name).collect();
        let by_network = || self.manifests.iter().filter(|manifest| manifest.network == name).collect();
        let candidates: Vec<&WeightManifest> = if by_name.is_empty() { by_network() } else { by_name };
        if candidates.is_empty() {
            let path = Path::new(name);
            if path.is_file() || name.contains(['/', '\\']) || path.extension().is_some_and(is_suffix) {
                return self.read(path);
            }
            let known: Vec<&str> = self.manifests.iter().map(|manifest| manifest.name.as_str()).collect();
            return Err(WeightError::Unknown { name: name.to_owned(), known: known.join(", ") });
        }
        let at_hand: Vec<&&WeightManifest> =
            candidates.iter().filter(|manifest| self.presence(manifest) != Presence::Absent).collect();
        match at_hand.as_slice() {
            [] => Err(self.not_at_hand(candidates[0])),
            [manifest] => match self.presence(manifest) {
                Presence::Imported(path) => self.read(&path),
                _ => Weights::embedded(&manifest.name).unwrap_or_else(|| Err(self.not_at_hand(manifest))),
            },
            several => {
                let known: Vec<&str> = several.iter().map(|manifest| manifest.name.as_str()).collect();
                Err(WeightError::Ambiguous { network: name.to_owned(), names: known.join(", ") })
            }
        }
    }

    /// Reads a file; one that carries the name of known weights must be what the name says.
    fn read(&self, path: &Path) -> Result<Weights, WeightError> {
        let weights = Weights::read(path)?;
        let found = weights.sha256().unwrap_or_default().to_owned();
        match self.recognise(path, &found) {
            Err(error @ WeightError::WrongChecksum { .. }) => Err(error),
            Ok((manifest, _)) => {
                let mut metadata = weights.metadata().clone();
                metadata.entry("licence".to_owned()).or_insert_with(|| manifest.licence.clone());
                metadata.entry("weights".to_owned()).or_insert_with(|| manifest.name.clone());
                metadata.entry("network".to_owned()).or_insert_with(|| manifest.network.clone());
                Ok(weights.with_metadata(metadata))
            }
            Err(_) => Ok(weights),
        }
    }

    /// The weights to which a file belongs.
    fn recognise(&self, path: &Path, found: &str) -> Result<(&WeightManifest, &WeightFile), WeightError> {
        let all = || self.manifests.iter().flat_map(|manifest| manifest.files.iter().map(move |file| (manifest, file)));
        if let Some(recognised) = all().find(|(_, file)| file.matches(found)) {
            return Ok(recognised);
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let named = all().find(|(_, file)| file.file == name).or_else(|| {
            let manifest = self.manifests.iter().find(|manifest| manifest.aliases.iter().any(|alias| alias == name))?;
            Some((manifest, &manifest.files[0]))
        });
        match named {
            Some((manifest, file)) => Err(wrong_checksum(path, &manifest.name, file, found.to_owned())),
            None => Err(WeightError::Unrecognised { path: path.to_owned(), found: found.to_owned() }),
        }
    }

    fn presence(&self, manifest: &WeightManifest) -> Presence {
        let imported = manifest.files.iter().map(|file| self.root.join(&file.file)).find(|path| path.is_file());
        match imported {
            Some(path) => Presence::Imported(path),
            None if embedded::is_embedded(&manifest.name) => Presence::Embedded,
            None => Presence::Absent,
        }
    }

    fn not_at_hand(&self, manifest: &WeightManifest) -> WeightError {
        let file = &manifest.files[0];
        WeightError::NotAtHand {
            name: manifest.name.clone(),
            file: file.file.clone(),
            sha256: file.sha256_shown(),
            origin: manifest.source.clone(),
        }
    }
}

fn is_suffix(suffix: &std::ffi::OsStr) -> bool {
    suffix.to_str().is_some_and(|suffix| SUFFIXES.contains(&suffix))
}

fn wrong_checksum(path: &Path, weights: &str, file: &WeightFile, found: String) -> WeightError {
    WeightError::WrongChecksum {
        path: path.to_owned(),
        weights: weights.to_owned(),
        expected: file.sha256_shown(),
        found,
    }
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
fn sha256_of(path: &Path) -> Result<String, WeightError> {
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

#[cfg(test)]
#[path = "library_tests.rs"]
mod tests;
