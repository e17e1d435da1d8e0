//! The folder of imported weights, and where each known set of weights is.

use std::path::{Path, PathBuf};

use super::manifest::{WeightFile, WeightManifest, manifests};
use super::{WeightError, Weights, embedded, own};

/// Suffixes of files that may hold weights; a folder's other files are not looked into.
pub(super) const SUFFIXES: [&str; 6] = ["pth", "pt", "th", "bin", "ckpt", "safetensors"];

/// The weights known to this build and those imported into a folder.
#[derive(Debug, Clone)]
pub struct WeightLibrary {
    pub(super) root: PathBuf,
    /// Those of this build, in byte order of their names.
    pub(super) manifests: Vec<WeightManifest>,
    /// Those imported under names of the user's choice, in byte order of their names.
    pub(super) own: Vec<WeightManifest>,
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
    /// Whether they were imported under a name of the user's choice.
    pub own: bool,
}

impl WeightLibrary {
    /// The library over a folder, which need not exist: the first import makes it. Weights that were imported under names of
    /// the user's choice are described by files `<name>.weights.yaml` in it.
    ///
    /// # Errors
    /// When a manifest in the program or in the folder is wrong.
    pub fn open(root: &Path) -> Result<WeightLibrary, WeightError> {
        let manifests = manifests()?;
        let own = own::read_all(root, &manifests)?;
        Ok(WeightLibrary { root: root.to_owned(), manifests, own })
    }

    /// The folder of imported files.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All known weights, those of this build first, then the user's own, each in byte order of their names, with where
    /// they are. Files are not opened.
    #[must_use]
    pub fn list(&self) -> Vec<WeightEntry> {
        let networks: Vec<String> = crate::networks().into_iter().map(|network| network.name).collect();
        let entry = |manifest: &WeightManifest, own| WeightEntry {
            presence: self.presence(manifest),
            network_in_build: networks.contains(&manifest.network),
            manifest: manifest.clone(),
            own,
        };
        let known = self.manifests.iter().map(|manifest| entry(manifest, false));
        known.chain(self.own.iter().map(|manifest| entry(manifest, true))).collect()
    }

    /// What is known of the weights of that name.
    #[must_use]
    pub fn manifest(&self, name: &str) -> Option<&WeightManifest> {
        self.all().find(|manifest| manifest.name == name)
    }

    /// Known weights and the user's own.
    pub(super) fn all(&self) -> impl Iterator<Item = &WeightManifest> {
        self.manifests.iter().chain(&self.own)
    }

    /// Reads weights by the path of a file, by name, or by network: an explicit path first, then the imported file
    /// (complete, f32), then the trunk that the program carries. Published checksums are compared.
    ///
    /// # Errors
    /// [`WeightError::Unknown`] for a name that nothing is known of, [`WeightError::NotAtHand`] for known weights that
    /// are not here, with how to get them; [`WeightError::WrongChecksum`] for a file that is not what its name says;
    /// else as [`Weights::read`].
    pub fn find(&self, name: &str) -> Result<Weights, WeightError> {
        Ok(self.find_known(name)?.0)
    }

    /// As [`WeightLibrary::find`] (pixels have empty weights), with what is known of the weights that were found, under whatever name they were asked for;
    /// none for a file that no manifest describes.
    ///
    /// # Errors
    /// As [`WeightLibrary::find`].
    pub fn find_known(&self, name: &str) -> Result<(Weights, Option<&WeightManifest>), WeightError> {
        if name == crate::PIXELS {
            return Ok((Weights::none(), None));
        }
        let by_name: Vec<&WeightManifest> = self.all().filter(|manifest| manifest.name == name).collect();
        let by_network = || self.all().filter(|manifest| manifest.network == name).collect();
        let candidates: Vec<&WeightManifest> = if by_name.is_empty() { by_network() } else { by_name };
        if candidates.is_empty() {
            let path = Path::new(name);
            if path.is_file() || name.contains(['/', '\\']) || path.extension().is_some_and(is_suffix) {
                return self.read(path);
            }
            return Err(self.unknown(name));
        }
        let at_hand: Vec<&&WeightManifest> =
            candidates.iter().filter(|manifest| self.presence(manifest) != Presence::Absent).collect();
        match at_hand.as_slice() {
            [] => Err(self.not_at_hand(candidates[0])),
            [manifest] => match self.presence(manifest) {
                Presence::Imported(path) => self.read(&path),
                _ => {
                    let embedded = Weights::embedded(&manifest.name);
                    Ok((embedded.unwrap_or_else(|| Err(self.not_at_hand(manifest)))?, Some(manifest)))
                }
            },
            several => {
                let known: Vec<&str> = several.iter().map(|manifest| manifest.name.as_str()).collect();
                Err(WeightError::Ambiguous { network: name.to_owned(), names: known.join(", ") })
            }
        }
    }

    /// Reads a file and recognises it; one that carries the name of known weights must be what the name says.
    fn read(&self, path: &Path) -> Result<(Weights, Option<&WeightManifest>), WeightError> {
        let weights = Weights::read(path)?;
        let found = weights.sha256().unwrap_or_default().to_owned();
        match self.recognise(path, &found) {
            Err(error @ WeightError::WrongChecksum { .. }) => Err(error),
            Ok((manifest, _)) => {
                let mut metadata = weights.metadata().clone();
                metadata.entry("licence".to_owned()).or_insert_with(|| manifest.licence.clone());
                metadata.entry("weights".to_owned()).or_insert_with(|| manifest.name.clone());
                metadata.entry("network".to_owned()).or_insert_with(|| manifest.network.clone());
                Ok((weights.with_metadata(metadata), Some(manifest)))
            }
            Err(_) => Ok((weights, None)),
        }
    }

    /// The weights to which a file belongs.
    pub(super) fn recognise(&self, path: &Path, found: &str) -> Result<(&WeightManifest, &WeightFile), WeightError> {
        let all = || self.all().flat_map(|manifest| manifest.files.iter().map(move |file| (manifest, file)));
        // One file may be imported under two names: then its own decides.
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let matching = |by_name: bool| all().find(|(_, file)| file.matches(found) && (!by_name || file.file == name));
        if let Some(recognised) = matching(true).or_else(|| matching(false)) {
            return Ok(recognised);
        }
        let named = all().find(|(_, file)| file.file == name).or_else(|| {
            let manifest = self.manifests.iter().find(|manifest| manifest.aliases.iter().any(|alias| alias == name))?;
            Some((manifest, &manifest.files[0]))
        });
        match named {
            Some((manifest, file)) => Err(wrong_checksum(path, &manifest.name, file, found.to_owned())),
            None => Err(WeightError::Unrecognised { path: path.to_owned(), found: found.to_owned() }),
        }
    }

    pub(super) fn presence(&self, manifest: &WeightManifest) -> Presence {
        let imported = manifest.files.iter().map(|file| self.root.join(&file.file)).find(|path| path.is_file());
        match imported {
            Some(path) => Presence::Imported(path),
            None if embedded::is_embedded(&manifest.name) => Presence::Embedded,
            None => Presence::Absent,
        }
    }

    pub(super) fn unknown(&self, name: &str) -> WeightError {
        let known: Vec<&str> = self.all().map(|manifest| manifest.name.as_str()).collect();
        WeightError::Unknown { name: name.to_owned(), known: known.join(", ") }
    }

    fn not_at_hand(&self, manifest: &WeightManifest) -> WeightError {
        let file = &manifest.files[0];
        let fetch = if manifest.files.iter().any(|file| !file.addresses.is_empty()) {
            format!("run `oodlab weights fetch {}`, or ", manifest.name)
        } else {
            String::new()
        };
        WeightError::NotAtHand {
            name: manifest.name.clone(),
            file: file.file.clone(),
            sha256: file.sha256_shown(),
            origin: manifest.source.clone(),
            fetch,
        }
    }
}

fn is_suffix(suffix: &std::ffi::OsStr) -> bool {
    suffix.to_str().is_some_and(|suffix| SUFFIXES.contains(&suffix))
}

pub(super) fn wrong_checksum(path: &Path, weights: &str, file: &WeightFile, found: String) -> WeightError {
    WeightError::WrongChecksum {
        path: path.to_owned(),
        weights: weights.to_owned(),
        expected: file.sha256_shown(),
        found,
    }
}

#[cfg(test)]
#[path = "library_tests.rs"]
mod tests;
