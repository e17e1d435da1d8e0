//! Features that another program made, kept under a name: `<root>/<encoder>/<set>-<split>[-matched].safetensors`.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use oodlab_base::Key;
use sha2::{Digest, Sha256};

use crate::format::safetensors::SafetensorsFile;
use crate::format::{self, Arrays, Options, Values, in_file};
use crate::table::{Part, content_key};
use crate::{FeatureError, FeatureTable, Features, Layer, Logits};

/// The protocol that a file's name does not mention.
const NATIVE: &str = "native";
/// The longest name, in bytes: three of them and an ending must fit a file name.
const LONGEST_NAME: usize = 80;

/// Which samples, seen by which network, prepared how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The name under which an experiment finds the features.
    pub encoder: String,
    /// The data set.
    pub set: String,
    /// Its split.
    pub split: String,
    /// `native` or `matched`.
    pub protocol: String,
}

impl Place {
    /// Set, split and protocol: `mnist test (matched)`.
    #[must_use]
    pub fn describe(&self) -> String {
        let protocol = if self.protocol == NATIVE { String::new() } else { format!(" ({})", self.protocol) };
        format!("{} {}{protocol}", self.set, self.split)
    }

    fn check(&self) -> Result<(), FeatureError> {
        let plain = |name: &str| {
            let fits = !name.is_empty() && name.len() <= LONGEST_NAME && !name.starts_with('.');
            fits && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        for name in [&self.encoder, &self.set, &self.split, &self.protocol] {
            if !plain(name) {
                return Err(FeatureError::Options(format!(
                    "name {name:?}: expected up to {LONGEST_NAME} letters, digits, `-`, `_` and `.`, not beginning with `.`"
                )));
            }
        }
        Ok(())
    }

    fn file(&self) -> String {
        let suffix = if self.protocol == NATIVE { String::new() } else { format!("-{}", self.protocol) };
        format!("{}-{}{suffix}.safetensors", self.set, self.split)
    }
}

/// A stored file of which only the header was read.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredFeatures {
    /// Whose features they are.
    pub place: Place,
    /// Where they lie.
    pub path: PathBuf,
    /// Number of samples.
    pub rows: usize,
    /// The layers.
    pub layers: Vec<Layer>,
    /// Number of classes of the logits, where there are logits.
    pub classes: Option<usize>,
    /// Whether there are labels.
    pub labels: bool,
    /// Hash of layers, ids, values and logits, as hexadecimal digits.
    pub content: String,
    /// Name of the file that was imported.
    pub source: String,
    /// SHA-256 of the file that was imported.
    pub sha256: String,
}

impl StoredFeatures {
    /// Sample ids, in order.
    ///
    /// # Errors
    /// When the file is gone or damaged, or another was imported in its place.
    pub fn ids(&self) -> Result<Vec<String>, FeatureError> {
        let mut file = self.open()?;
        let read = file.read("ids").and_then(|ids| match ids.values {
            Values::Texts(ids) if ids.len() == self.rows => Ok(ids),
            _ => Err(FeatureError::Format("its ids are damaged".into())),
        });
        read.map_err(|error| in_file(&self.path, error))
    }

    /// Everything, checked against the hash that was taken when it was stored.
    ///
    /// # Errors
    /// When the file is gone or was altered since.
    pub fn read(&self) -> Result<FeatureTable, FeatureError> {
        let table = format::read(&self.path, &Options::default())?.table;
        let content = table.content().hex();
        if content == self.content {
            return Ok(table.with_provenance(self.provenance()));
        }
        Err(self.altered(&content))
    }

    /// Checks all rows against the hash that was taken when they were stored, keeping none in memory. `ids` are those of [`StoredFeatures::ids`].
    ///
    /// # Errors
    /// When the file is gone or was altered since, or another was imported in its place.
    pub fn verify(&self, ids: &[String]) -> Result<(), FeatureError> {
        let mut file = self.open()?;
        let content = content_key(&self.layers, ids, self.classes, |part, rows| file.rows(part_name(part), rows));
        let content = content.map_err(|error| in_file(&self.path, error))?.hex();
        if content == self.content {
            return Ok(());
        }
        Err(self.altered(&content))
    }

    /// The features of some rows; nothing else is read. Whether the file was altered is for [`StoredFeatures::verify`] to say.
    ///
    /// # Errors
    /// When the file is gone or damaged, or another was imported in its place.
    pub fn rows(&self, ids: &[String], rows: Range<usize>) -> Result<Features, FeatureError> {
        let read = || {
            let mut file = self.open()?;
            let values = file.rows(part_name(Part::Features), rows.clone())?;
            let ids = ids.get(rows.clone()).unwrap_or_default().to_vec();
            let features = Features::new(self.layers.clone(), ids, values)?;
            match self.classes {
                None => Ok(features),
                Some(classes) => {
                    let values = file.rows(part_name(Part::Logits), rows.clone())?;
                    features.with_logits(Logits { classes, values })
                }
            }
        };
        let features = read().map_err(|error| in_file(&self.path, error))?;
        features.check_finite()?;
        Ok(features)
    }

    /// The file, which an import may have replaced since its header was read: its rows must not be taken for those of this one.
    fn open(&self) -> Result<SafetensorsFile<BufReader<fs_err::File>>, FeatureError> {
        let file = open(&self.path)?;
        let found = provenance(&file).and_then(|mut told| told.remove("content")).unwrap_or_default();
        if found == self.content {
            return Ok(file);
        }
        let what = format!(
            "other features were imported in its place meanwhile: hash {found}, expected {}; run it again",
            self.content
        );
        Err(in_file(&self.path, FeatureError::Format(what)))
    }

    fn altered(&self, content: &str) -> FeatureError {
        let what = format!("its content was altered: hash {content}, expected {}; import it again", self.content);
        in_file(&self.path, FeatureError::Format(what))
    }

    /// Where the features come from, by name: source file, SHA-256, set, split, protocol.
    #[must_use]
    pub fn provenance(&self) -> BTreeMap<String, String> {
        let Place { encoder, set, split, protocol } = &self.place;
        [
            ("encoder", encoder),
            ("set", set),
            ("split", split),
            ("protocol", protocol),
            ("source", &self.source),
            ("sha256", &self.sha256),
            ("content", &self.content),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect()
    }
}

/// The folder of imported features.
#[derive(Debug, Clone)]
pub struct FeatureLibrary {
    root: PathBuf,
}

impl FeatureLibrary {
    /// The library in a folder, which need not exist.
    #[must_use]
    pub fn open(root: &Path) -> FeatureLibrary {
        FeatureLibrary { root: root.to_owned() }
    }

    /// Stores features, whole or not at all, in place of what lay there. `source` and `sha256` say which file they came from.
    ///
    /// # Errors
    /// When a name cannot be part of a path, the layers or classes are not those of the encoder's other files, another
    /// set's file has that name, or the file cannot be written.
    pub fn store(
        &self,
        place: &Place,
        table: FeatureTable,
        source: &str,
        sha256: &str,
    ) -> Result<StoredFeatures, FeatureError> {
        place.check()?;
        let path = self.root.join(&place.encoder).join(place.file());
        let features = table.features();
        let stored = StoredFeatures {
            place: place.clone(),
            path: path.clone(),
            rows: features.rows(),
            layers: features.layers().to_vec(),
            classes: features.logits().map(|logits| logits.classes),
            labels: table.labels().is_some(),
            content: table.content().hex(),
            source: source.to_owned(),
            sha256: sha256.to_owned(),
        };
        for other in self.of_encoder(&place.encoder)?.into_iter().filter_map(Result::ok) {
            if other.place != *place {
                stored.same_network(&other)?;
            }
            if other.place != *place && other.path == path {
                return Err(FeatureError::Options(format!(
                    "{} holds {}, which has the same file name; give one of them another name",
                    path.display(),
                    other.place.describe()
                )));
            }
        }
        fs_err::create_dir_all(self.root.join(&place.encoder))?;
        format::write(&path, &table.with_provenance(stored.provenance()))?;
        Ok(stored)
    }

    /// The features of a place, where they are stored.
    ///
    /// # Errors
    /// When the file is there and damaged.
    pub fn find(&self, place: &Place) -> Result<Option<StoredFeatures>, FeatureError> {
        place.check()?;
        let path = self.root.join(&place.encoder).join(place.file());
        if !path.is_file() {
            return Ok(None);
        }
        // Another set's file may have that name.
        Ok(Some(header(&path)?).filter(|stored| stored.place == *place))
    }

    /// Every stored file, by encoder, set, split and protocol; damaged ones with their error, last.
    ///
    /// # Errors
    /// When a folder cannot be listed.
    pub fn list(&self) -> Result<Vec<Result<StoredFeatures, FeatureError>>, FeatureError> {
        let mut found = Vec::new();
        for folder in entries(&self.root)? {
            if folder.is_dir() {
                found.extend(files(&folder)?);
            }
        }
        found.sort_by(|a, b| match (a, b) {
            (Ok(a), Ok(b)) => a.place.cmp(&b.place),
            (a, b) => a.is_err().cmp(&b.is_err()),
        });
        Ok(found)
    }

    /// Names of the encoders of which something is stored.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn encoders(&self) -> Result<Vec<String>, FeatureError> {
        let folders = entries(&self.root)?.into_iter().filter(|path| path.is_dir());
        Ok(folders.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn of_encoder(&self, encoder: &str) -> Result<Vec<Result<StoredFeatures, FeatureError>>, FeatureError> {
        files(&self.root.join(encoder))
    }
}

impl StoredFeatures {
    /// Whether two files can be of one network.
    ///
    /// # Errors
    /// Names the layers of both when they differ.
    pub fn same_network(&self, other: &StoredFeatures) -> Result<(), FeatureError> {
        if self.layers == other.layers && self.classes == other.classes {
            return Ok(());
        }
        let describe = |stored: &StoredFeatures| {
            let logits = stored.classes.map(|classes| format!(" with {classes} logits")).unwrap_or_default();
            format!("{}{logits}", crate::names(&stored.layers))
        };
        Err(FeatureError::OtherNetwork {
            encoder: self.place.encoder.clone(),
            place: self.place.describe(),
            found: describe(self),
            other: other.place.describe(),
            expected: describe(other),
        })
    }
}

fn part_name(part: Part) -> &'static str {
    match part {
        Part::Features => "features",
        Part::Logits => "logits",
    }
}

/// SHA-256 of a file, as hexadecimal digits.
///
/// # Errors
/// When it cannot be read.
pub fn sha256(path: &Path) -> Result<String, FeatureError> {
    let mut file = fs_err::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hasher.update(&piece[..read]);
    }
}

/// Paths in a folder, sorted; none when it is not there.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, FeatureError> {
    let entries = match fs_err::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    paths.sort();
    Ok(paths)
}

fn files(folder: &Path) -> Result<Vec<Result<StoredFeatures, FeatureError>>, FeatureError> {
    let visible = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !name.starts_with('.') && name.ends_with(".safetensors")
    };
    Ok(entries(folder)?.into_iter().filter(visible).map(|path| header(&path)).collect())
}

fn open(path: &Path) -> Result<SafetensorsFile<BufReader<fs_err::File>>, FeatureError> {
    SafetensorsFile::open(BufReader::new(fs_err::File::open(path)?)).map_err(|error| in_file(path, error))
}

/// What an import wrote of where the features come from.
fn provenance(file: &SafetensorsFile<BufReader<fs_err::File>>) -> Option<BTreeMap<String, String>> {
    serde_json::from_str(&file.text("provenance")?).ok()
}

fn header(path: &Path) -> Result<StoredFeatures, FeatureError> {
    let file = open(path)?;
    let damaged = |what: &str| in_file(path, FeatureError::Format(format!("{what}; import it again")));
    let provenance = provenance(&file).ok_or_else(|| damaged("it was not written by an import"))?;
    let told =
        |name: &str| provenance.get(name).cloned().ok_or_else(|| damaged(&format!("it does not tell its {name}")));
    let &[rows, columns] = file.shape("features").unwrap_or_default() else {
        return Err(damaged("it has no features"));
    };
    let layers = format::parse_layers(&file.text("layers").unwrap_or_default());
    let layers = layers.and_then(|layers| Ok((crate::columns_of(&layers)?, layers)));
    let (covered, layers) = layers.map_err(|error| in_file(path, error))?;
    if covered != columns {
        return Err(damaged(&format!("its layers cover {covered} columns, its features have {columns}")));
    }
    let classes = match file.shape("logits") {
        None => None,
        Some(&[found, classes]) if found == rows => Some(classes),
        Some(shape) => return Err(damaged(&format!("its logits have shape {shape:?}, its features {rows} rows"))),
    };
    let content = told("content")?;
    let digits = content.len() == Key::of_bytes(b"").hex().len() && content.bytes().all(|c| c.is_ascii_hexdigit());
    if !digits {
        return Err(damaged("its hash is damaged"));
    }
    Ok(StoredFeatures {
        place: Place {
            encoder: told("encoder")?,
            set: told("set")?,
            split: told("split")?,
            protocol: told("protocol")?,
        },
        path: path.to_owned(),
        rows,
        layers,
        classes,
        labels: file.shape("labels").is_some(),
        content,
        source: told("source")?,
        sha256: told("sha256")?,
    })
}

#[cfg(test)]
#[path = "library_tests.rs"]
mod tests;
