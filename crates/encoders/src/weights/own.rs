//! The user's own weights: files that no manifest of this build knows, under names of the user's choice.

use std::path::Path;

use oodlab_base::file::write_atomic;

use super::import::{Imported, copy, fit_read, sha256_of};
use super::library::{SUFFIXES, WeightLibrary};
use super::manifest::{WeightFile, WeightManifest, parse};
use super::{WeightError, Weights};
use crate::network::{Network, Normalisation};

/// How the description of own weights ends.
const DESCRIPTION: &str = ".weights.yaml";

/// Largest description that is read, in bytes.
const LARGEST_DESCRIPTION: u64 = 1 << 16;

/// What the user says of own weights.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct OwnWeights<'a> {
    /// Their name; the file's without its suffix when absent.
    pub name: Option<&'a str>,
    /// Their network.
    pub network: &'a str,
    /// How pixels are normalised; as the network's own weights are when absent.
    pub normalisation: Option<Normalisation>,
}

impl WeightLibrary {
    /// Imports a file that no manifest knows: checked tensor by tensor against the network, copied, and described in
    /// `<name>.weights.yaml` beside it with its SHA-256, which is compared whenever it is read.
    ///
    /// # Errors
    /// [`WeightError::Name`] for a name that is none or taken; as [`WeightLibrary::import`] else.
    pub fn import_own(&mut self, from: &Path, own: OwnWeights<'_>) -> Result<Imported, WeightError> {
        if Network::named(own.network).is_none() {
            let (network, known) = (own.network.to_owned(), Network::names().join(", "));
            return Err(WeightError::UnknownNetwork { network, known });
        }
        let stem = from.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
        let name = own.name.unwrap_or(&stem);
        self.check_name(name)?;
        let sha256 = sha256_of(from)?;
        let size_bytes = fs_err::metadata(from).map_err(WeightError::io("reading weights"))?.len();
        let weights = Weights::read(from)?;
        let mut notes = fit_read(from, &weights, own.network)?;
        let usual = || Network::named(own.network).map(|network| weights.usual_normalisation(&network));
        let taken = own.normalisation.or_else(usual);
        notes.extend(taken.map(|taken: Normalisation| {
            let origin = if own.normalisation.is_some() { "as given" } else { "as usual for these names" };
            format!("normalised with mean {:?}, deviation {:?} ({origin})", taken.mean, taken.deviation)
        }));
        if self.own.iter().any(|known| known.name == name && known.files.iter().all(|file| file.sha256 != sha256)) {
            notes.push(format!("replaces other weights that were called {name}"));
        }
        let suffix = from.extension().and_then(|suffix| suffix.to_str()).map(str::to_lowercase);
        let suffix = suffix.filter(|suffix| SUFFIXES.contains(&suffix.as_str())).unwrap_or_else(|| "pth".to_owned());
        let file = format!("{name}.{suffix}");
        let manifest = WeightManifest {
            name: name.to_owned(),
            network: own.network.to_owned(),
            files: vec![WeightFile {
                file: file.clone(),
                sha256: sha256.clone(),
                size_bytes: Some(size_bytes),
                addresses: Vec::new(),
            }],
            aliases: Vec::new(),
            licence: "unknown".to_owned(),
            source: from.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            trained_on: "unknown".to_owned(),
            preprocessing: match own.normalisation {
                Some(given) => format!("pixels of 0..1, mean {:?}, deviation {:?}", given.mean, given.deviation),
                None => "as the network's published weights".to_owned(),
            },
            normalisation: own.normalisation,
            notes: "the user's own".to_owned(),
        };
        let fail = |reason: String| WeightError::Manifest { manifest: name.to_owned(), reason };
        let text = serde_yaml::to_string(&manifest).map_err(|error| fail(error.to_string()))?;
        parse(name, &text)?;
        let to = self.root.join(&file);
        let same = self.own.contains(&manifest) && to.is_file() && sha256_of(&to)? == sha256;
        if !same {
            copy(from, &to, &sha256, |copied| WeightError::WrongChecksum {
                path: from.to_owned(),
                weights: name.to_owned(),
                expected: sha256.clone(),
                found: copied,
            })?;
            let description = self.root.join(format!("{name}{DESCRIPTION}"));
            write_atomic(&description, text.as_bytes()).map_err(WeightError::io("describing weights"))?;
        }
        self.own.retain(|known| known.name != name);
        self.own.push(manifest);
        self.own.sort_by(|a, b| a.name.cmp(&b.name));
        let (name, network) = (name.to_owned(), own.network.to_owned());
        Ok(Imported { name, network, from: from.to_owned(), to, sha256, copied: !same, notes })
    }

    /// Own weights may be replaced by others of the same name, known ones may not.
    fn check_name(&self, name: &str) -> Result<(), WeightError> {
        let wrong = |reason: &str| Err(WeightError::Name { name: name.to_owned(), reason: reason.to_owned() });
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > 100 || !name.bytes().all(plain) || name.starts_with(['.', '-']) {
            return wrong("lower-case letters, digits, `-`, `_` and `.` expected, 100 at most; choose one with --name");
        }
        if SUFFIXES.iter().any(|suffix| name.ends_with(&format!(".{suffix}"))) {
            return wrong("a name that ends like a weight file would be taken for a path");
        }
        let taken = self.manifests.iter().any(|known| known.name == name || known.network == name);
        if taken || name == "embedded" || Network::named(name).is_some() {
            return wrong("it is taken; choose another with --name");
        }
        if self.manifests.iter().any(|known| has_file(known, name)) {
            return wrong("published weights have a file of this name; choose another with --name");
        }
        Ok(())
    }
}

/// Whether a file of these weights, under any of its names, is `<name>.<suffix>`: own weights of that name would stand in its
/// place, or be taken for it.
fn has_file(known: &WeightManifest, name: &str) -> bool {
    let stem = |file: &str| file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_lowercase();
    known.files.iter().map(|file| &file.file).chain(&known.aliases).any(|file| stem(file) == name)
}

/// All descriptions of a folder, in byte order of their names.
pub(super) fn read_all(root: &Path, known: &[WeightManifest]) -> Result<Vec<WeightManifest>, WeightError> {
    if !root.is_dir() {
        return Ok(Vec::new());
    }
    let operation = "reading descriptions of weights";
    let mut all = Vec::new();
    for entry in fs_err::read_dir(root).map_err(WeightError::io(operation))? {
        let path = entry.map_err(WeightError::io(operation))?.path();
        let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Some(name) = file.strip_suffix(DESCRIPTION).filter(|name| !name.starts_with('.')) else { continue };
        let wrong = |reason: String| WeightError::Manifest { manifest: path.display().to_string(), reason };
        let size_bytes = fs_err::metadata(&path).map_err(WeightError::io(operation))?.len();
        if size_bytes > LARGEST_DESCRIPTION {
            return Err(wrong(format!("it has {size_bytes} bytes, at most {LARGEST_DESCRIPTION} are read")));
        }
        let text = fs_err::read_to_string(&path).map_err(WeightError::io(operation))?;
        let manifest = parse(name, &text)?;
        // A later version of this program may come to know the name.
        if known.iter().any(|known| known.name == manifest.name || has_file(known, &manifest.name)) {
            return Err(wrong(
                "this name belongs to published weights: rename the file, its description and `name:` in it".to_owned(),
            ));
        }
        all.push(manifest);
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}
