//! All known data sets and the folder that holds their files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use oodlab_base::text;

use crate::benchmark::Benchmark;
use crate::builtin;
use crate::error::DatasetError;
use crate::index::{Index, IndexedFile};
use crate::manifest::{ListSpec, Manifest, Role};
use crate::set::ImageSet;
use crate::source::{self, Part, Place};
use crate::status::{Count, State, Status};
use crate::sums::Sums;

/// The known data sets (those compiled in, and those of folders added to them) over a data root.
///
/// ```
/// use oodlab_datasets::Library;
/// let library = Library::open("data".as_ref())?;
/// let set = library.open_set("cifar10-mini", "test", Some(10))?; // embedded: needs no import
/// assert_eq!((set.len(), set.read(0)?.width, set.label(0)), (10, 32, Some(3)));
/// # Ok::<(), oodlab_datasets::DatasetError>(())
/// ```
///
/// A set's files lie in `<root>/<name>/files/`, described by `<root>/<name>/index.json`. Nothing else in the root is read.
#[derive(Debug, Clone)]
pub struct Library {
    root: PathBuf,
    manifests: BTreeMap<String, Manifest>,
    benchmarks: BTreeMap<String, Benchmark>,
    /// The checksums that a manifest names, by the set's name.
    sums: BTreeMap<String, Sums>,
    broken: BTreeMap<String, String>,
}

impl Library {
    /// The built-in manifests and benchmarks over a data root, which need not exist yet.
    ///
    /// # Errors
    /// When a built-in manifest is not valid: a mistake in the program, which its tests would show.
    pub fn open(root: &Path) -> Result<Library, DatasetError> {
        let mut library = Library {
            root: root.to_owned(),
            manifests: BTreeMap::new(),
            benchmarks: BTreeMap::new(),
            sums: BTreeMap::new(),
            broken: BTreeMap::new(),
        };
        let sums = |name: &str| {
            let known = builtin::SUMS.iter().find(|(stem, _)| name.strip_suffix(".sha256") == Some(*stem));
            let missing = || DatasetError::manifest(format!("datasets/{name}"), "no such file is built in");
            Sums::parse(&format!("datasets/{name}"), known.ok_or_else(missing)?.1)
        };
        for &(stem, text) in builtin::MANIFESTS {
            library.add_manifest(&format!("datasets/{stem}.yaml"), stem, text, &sums)?;
        }
        for &(stem, text) in builtin::BENCHMARKS {
            library.add_benchmark(&format!("datasets/benchmarks/{stem}.yaml"), stem, text)?;
        }
        Ok(library)
    }

    /// Adds the manifests `*.yaml` of a folder and the benchmarks of its `benchmarks/`; they replace earlier ones of the
    /// same name. Returns how many were added; a folder that does not exist holds none.
    ///
    /// A file that cannot be read or is not valid is passed over and named by [`Library::broken`]: its name is no longer
    /// known, even where an earlier file described it well, and asking for it is the error.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn add_folder(&mut self, folder: &Path) -> Result<usize, DatasetError> {
        let manifests = yaml_files(folder)?;
        let benchmarks = yaml_files(&folder.join("benchmarks"))?;
        let mut added = 0;
        let sums = |name: &str| {
            let path = folder.join(name);
            Sums::parse(&path.display().to_string(), &fs_err::read_to_string(&path)?)
        };
        for (stem, path) in &manifests {
            let place = path.display().to_string();
            let text = fs_err::read_to_string(path).map_err(DatasetError::from);
            match text.and_then(|text| self.add_manifest(&place, stem, &text, &sums)) {
                Ok(()) => added += 1,
                Err(error) => {
                    self.manifests.remove(stem);
                    self.sums.remove(stem);
                    self.broken.insert(stem.clone(), error.to_string());
                }
            }
        }
        for (stem, path) in &benchmarks {
            let place = path.display().to_string();
            let text = fs_err::read_to_string(path).map_err(DatasetError::from);
            match text.and_then(|text| self.add_benchmark(&place, stem, &text)) {
                Ok(()) => added += 1,
                Err(error) => {
                    self.benchmarks.remove(stem);
                    self.broken.insert(benchmark_key(stem), error.to_string());
                }
            }
        }
        Ok(added)
    }

    /// What is wrong with the files that [`Library::add_folder`] passed over, by the name of the data set, or `benchmarks/`
    /// and the name of the benchmark.
    #[must_use]
    pub fn broken(&self) -> &BTreeMap<String, String> {
        &self.broken
    }

    fn broken_error(&self, key: &str) -> Option<DatasetError> {
        let (name, what) = self.broken.get_key_value(key)?;
        Some(DatasetError::Broken { name: name.clone(), what: what.clone() })
    }

    /// The checksums of single files that a set's manifest names.
    pub(crate) fn sums(&self, name: &str) -> Option<&Sums> {
        self.sums.get(name)
    }

    fn add_manifest(
        &mut self,
        place: &str,
        stem: &str,
        text: &str,
        sums: &dyn Fn(&str) -> Result<Sums, DatasetError>,
    ) -> Result<(), DatasetError> {
        let manifest = Manifest::parse(place, text)?;
        if manifest.name != stem {
            return Err(DatasetError::manifest(
                place,
                format!("name is {:?}, expected the file's name {stem:?}", manifest.name),
            ));
        }
        let listed = manifest.sums.as_deref().map(sums).transpose();
        let listed = listed.map_err(|error| DatasetError::manifest(place, format!("sums: {error}")))?;
        self.sums.remove(stem);
        self.sums.extend(listed.map(|sums| (stem.to_owned(), sums)));
        self.manifests.insert(stem.to_owned(), manifest);
        self.broken.remove(stem);
        Ok(())
    }

    fn add_benchmark(&mut self, place: &str, stem: &str, text: &str) -> Result<(), DatasetError> {
        let benchmark = Benchmark::parse(place, text)?;
        if benchmark.name != stem {
            return Err(DatasetError::manifest(
                place,
                format!("name is {:?}, expected the file's name {stem:?}", benchmark.name),
            ));
        }
        self.benchmarks.insert(stem.to_owned(), benchmark);
        self.broken.remove(&benchmark_key(stem));
        Ok(())
    }

    /// The data root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a set below the root.
    #[must_use]
    pub fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// All manifests in order of their names.
    pub fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.manifests.values()
    }

    /// The manifest of that name.
    ///
    /// # Errors
    /// When there is none, the error names the nearest known one; when its file is broken, what is wrong with it.
    pub fn manifest(&self, name: &str) -> Result<&Manifest, DatasetError> {
        let unknown = || DatasetError::UnknownSet {
            name: name.to_owned(),
            nearest: text::nearest(name, self.manifests.keys().map(String::as_str)).map(str::to_owned),
        };
        self.manifests.get(name).ok_or_else(|| self.broken_error(name).unwrap_or_else(unknown))
    }

    /// Names of all benchmarks.
    pub fn benchmarks(&self) -> impl Iterator<Item = &str> {
        self.benchmarks.keys().map(String::as_str)
    }

    /// The benchmark of that name, its sets and splits checked against the manifests and every default filled in.
    ///
    /// # Errors
    /// When there is none, its file is broken, or it names an unknown set or split.
    pub fn benchmark(&self, name: &str) -> Result<Benchmark, DatasetError> {
        let unknown = || DatasetError::UnknownBenchmark {
            name: name.to_owned(),
            known: self.benchmarks().collect::<Vec<_>>().join(", "),
        };
        let broken = || self.broken_error(&benchmark_key(name));
        let benchmark = self.benchmarks.get(name).ok_or_else(|| broken().unwrap_or_else(unknown))?;
        benchmark.clone().resolve(self)
    }

    /// What is at hand of a set.
    ///
    /// # Errors
    /// When no set has this name, or its index is damaged.
    pub fn status(&self, name: &str) -> Result<Status, DatasetError> {
        let manifest = self.manifest(name)?;
        let index = self.index(manifest)?;
        let found = |split: &str, expected: Option<usize>| match (&index, manifest.built_in()) {
            (_, Some(_)) => expected.unwrap_or(0),
            (Some(index), None) => index.images.get(split).copied().unwrap_or(0),
            (None, None) => 0,
        };
        let count = |(name, split): (&String, &crate::manifest::Split)| {
            let listed = || index.as_ref().and_then(|index| index.listed.get(name).copied());
            (name.clone(), Count { found: found(name, split.images), expected: split.images.or_else(listed) })
        };
        let splits: BTreeMap<String, Count> = manifest.splits.iter().map(count).collect();
        Ok(Status {
            name: manifest.name.clone(),
            title: manifest.title.clone(),
            licence: manifest.licence.clone(),
            origin: manifest.built_in().unwrap_or("imported"),
            state: State::of(&splits),
            splits,
            unreadable: index.map_or(0, |index| index.unreadable().count()),
        })
    }

    /// What is at hand of every set, in order of their names.
    ///
    /// # Errors
    /// When an index is damaged.
    pub fn list(&self) -> Result<Vec<Status>, DatasetError> {
        self.manifests.keys().map(|name| self.status(name)).collect()
    }

    /// What a person does to get a set that is not at hand.
    ///
    /// # Errors
    /// When no set has this name.
    pub fn how_to_get(&self, name: &str) -> Result<String, DatasetError> {
        let manifest = self.manifest(name)?;
        let addresses = |mirrors: &Vec<String>| !mirrors.is_empty();
        let fetched = manifest.files.iter().map(|file| &file.mirrors).any(addresses)
            || manifest.archives.iter().map(|archive| &archive.mirrors).any(addresses);
        let import = format!("oodlab data import {name} --from DIR");
        Ok(match (&manifest.access, fetched) {
            (_, true) => format!("run: oodlab data fetch {name}, or, with its files at hand: {import}"),
            (Some(access), false) => format!("{}; then run: {import}", access.trim_end_matches('.')),
            (None, false) => format!("get its files and run: {import}"),
        })
    }

    /// The index of an imported set; `None` when it is absent, or built in.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn index(&self, manifest: &Manifest) -> Result<Option<Index>, DatasetError> {
        if manifest.built_in().is_some() { Ok(None) } else { Index::read(&self.folder(&manifest.name), &manifest.name) }
    }

    /// Opens a split: its first `limit` images in their fixed order, or all there are.
    ///
    /// # Errors
    /// When the set or split is unknown, absent or without images, or a file is damaged.
    pub fn open_set(&self, name: &str, split: &str, limit: Option<usize>) -> Result<ImageSet, DatasetError> {
        let manifest = self.manifest(name)?;
        manifest.split(split)?;
        let (parts, found) = match (manifest.built_in(), self.index(manifest)?) {
            (Some("embedded"), _) => (embedded_parts(manifest, split), None),
            (Some(_), _) => (Vec::new(), None),
            (None, Some(index)) => (self.imported_parts(manifest, split, &index), index.images.get(split).copied()),
            (None, None) => {
                return Err(DatasetError::Absent { name: name.to_owned(), root: self.root.display().to_string() });
            }
        };
        open_parts(manifest, split, parts, limit, found)
    }

    pub(crate) fn imported_parts(&self, manifest: &Manifest, split: &str, index: &Index) -> Vec<Part> {
        let folder: Arc<Path> = self.folder(&manifest.name).join("files").into();
        let options = manifest.splits.get(split);
        let is_of = |file: &&IndexedFile| {
            file.unreadable.is_none() && belongs(manifest, split, options.and_then(|split| split.list.as_ref()), file)
        };
        let mut parts: Vec<Part> = index.files.iter().filter(is_of).map(|file| Part::imported(file, &folder)).collect();
        // Without its lists nobody knows which images are the split's.
        let lists = options.and_then(|split| split.list.as_ref());
        let mut lists = lists.into_iter().flat_map(|list| [Some(list), list.labels_from.as_deref()]).flatten();
        if lists.any(|list| !parts.iter().any(|part| part.role == Role::List && part.path == list.file)) {
            return Vec::new();
        }
        // Known files in the manifest's order; the others stay in byte order behind them (the sort is stable).
        let known = |part: &Part| {
            let unpacked = |path: &str| path.strip_suffix(".gz") == Some(&part.path);
            manifest.files.iter().position(|file| file.path == part.path || unpacked(&file.path))
        };
        parts.sort_by_cached_key(|part| known(part).unwrap_or(usize::MAX));
        // A file that was imported unpacked keeps the name of the published one in its sample ids.
        for part in &mut parts {
            if let Some(known) = known(part) {
                part.rename(&manifest.files[known].path);
            }
        }
        parts
    }
}

/// Whether an imported file is read for a split. A list chooses among all images of its folder, so that several splits may
/// share them.
fn belongs(manifest: &Manifest, split: &str, list: Option<&ListSpec>, file: &IndexedFile) -> bool {
    match file.role {
        Role::Marker => false,
        Role::List => list.is_some_and(|list| {
            let labels = list.labels_from.as_deref().map(|labels| &labels.file);
            list.file == file.path || labels == Some(&file.path)
        }),
        Role::Images | Role::Labels => {
            let unpacked = |path: &str| path.strip_suffix(".gz") == Some(&file.path);
            match manifest.files.iter().find(|known| known.path == file.path || unpacked(&known.path)) {
                Some(known) => known.is_of(split),
                None if list.is_some() => {
                    manifest.splits.get(split).and_then(|split| split.folders.first()).is_some_and(|folder| {
                        folder == "." || file.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
                    })
                }
                None => file.split == split,
            }
        }
    }
}

pub(crate) fn open_parts(
    manifest: &Manifest,
    split: &str,
    parts: Vec<Part>,
    limit: Option<usize>,
    found: Option<usize>,
) -> Result<ImageSet, DatasetError> {
    let expected = manifest.split(split)?.images;
    let empty =
        |found| DatasetError::Empty { name: manifest.name.clone(), split: split.to_owned(), found, expected, limit };
    if limit == Some(0) {
        return Err(empty(found.unwrap_or(0)));
    }
    let source = source::open(manifest, split, parts, limit)?;
    let len = source.len().min(limit.unwrap_or(usize::MAX));
    if len == 0 {
        return Err(empty(0));
    }
    let built_in = manifest.built_in().and(expected);
    Ok(ImageSet {
        name: manifest.name.clone(),
        split: split.to_owned(),
        len,
        found: found.or(built_in).unwrap_or_else(|| source.len()),
        expected: expected.or_else(|| source.expected()),
        uniform_size: manifest.image_size,
        class_names: manifest.class_names.clone(),
        class_count: manifest.class_count(),
        source,
        list_key: OnceLock::new(),
        chosen: None,
        rule: None,
    })
}

fn embedded_parts(manifest: &Manifest, split: &str) -> Vec<Part> {
    let of_split = manifest.files.iter().filter(|file| file.is_of(split) && file.role != Role::Marker);
    let part = |file: &crate::manifest::KnownFile| Part {
        path: file.path.clone(),
        role: file.role,
        place: Place::Embedded(file.path.clone()),
    };
    of_split.map(part).collect()
}

fn benchmark_key(name: &str) -> String {
    format!("benchmarks/{name}")
}

fn yaml_files(folder: &Path) -> Result<Vec<(String, PathBuf)>, DatasetError> {
    let mut files = Vec::new();
    let entries = match fs_err::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(files),
        Err(error) => return Err(error.into()),
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") && path.is_file() {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            files.push((stem, path));
        }
    }
    files.sort();
    Ok(files)
}
