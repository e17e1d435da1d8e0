//! Which files of a folder belong to which data set: by checksum first, then by the folder they lie in, never by name alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::folders::{dot, folders_of, images_below, join};
use super::known::{Form, Published, first_split, form_of, has_checksum, is_sum, mismatch, mismatch_of};
use super::scan::{Found, Scan};
use crate::decode::picture::FORMATS;
use crate::decode::zip::foreign_image_ending;
use crate::error::DatasetError;
use crate::manifest::{Archive, Conversion, FolderClasses, Format, KnownFile, Manifest, Role};
use crate::source::class_of;

/// What is to be imported of one set.
pub(super) struct Plan<'a> {
    pub manifest: &'a Manifest,
    /// In the order of the manifest, or of the paths.
    pub picks: Vec<Pick<'a>>,
    /// Files that should be known ones and are not, with the known file's path.
    pub failures: Vec<(String, DatasetError)>,
    /// Those files, by position in the scan.
    pub suspects: Vec<usize>,
    /// What a person may want to know.
    pub notes: Vec<String>,
}

/// One file to import.
pub(super) struct Pick<'a> {
    /// Position in the scan.
    pub file: usize,
    /// Where it lies.
    pub source: PathBuf,
    /// Its SHA-256, where the scan made it.
    pub sha256: Option<String>,
    /// It was unpacked by this import, and needs no copy.
    pub own: bool,
    /// Path inside the data set.
    pub path: String,
    pub split: &'a str,
    pub role: Role,
    /// The known file that it is, with a checksum that must hold.
    pub known: Option<&'a KnownFile>,
    /// Why it cannot be used, whatever its bytes are.
    pub refused: Option<Refused>,
}

impl<'a> Pick<'a> {
    fn new(scan: &Scan, file: usize, path: String, split: &'a str, role: Role) -> Pick<'a> {
        let found = &scan.files[file];
        Pick {
            file,
            source: scan.path(found),
            sha256: found.sha256().map(str::to_owned),
            own: scan.own,
            path,
            split,
            role,
            known: None,
            refused: None,
        }
    }

    fn known(scan: &Scan, file: usize, path: &str, known: &'a KnownFile) -> Pick<'a> {
        Pick { known: Some(known), ..Pick::new(scan, file, path.to_owned(), first_split(known), known.role) }
    }
}

/// Why an image of a folder cannot be used.
pub(super) enum Refused {
    /// It is a picture of another format, with this ending.
    Format(String),
    /// It lies in no folder of a class.
    NoClass,
    /// The manifest says that it is none.
    Broken,
}

impl Refused {
    /// The reason, and what can be done.
    pub fn what(&self) -> String {
        match self {
            Refused::Format(ending) => format!("a {ending} file, expected {FORMATS}: convert it"),
            Refused::Broken => "known to be broken as it was published".into(),
            Refused::NoClass => "it lies in no folder of a class: move it into one, or set `classes: none`".into(),
        }
    }
}

/// What all manifests together know.
pub(super) struct Recogniser<'a> {
    manifests: Vec<&'a Manifest>,
    /// Folder name in lower case to data set.
    owners: BTreeMap<String, &'a str>,
}

impl<'a> Recogniser<'a> {
    pub fn new(manifests: impl Iterator<Item = &'a Manifest>) -> Recogniser<'a> {
        let manifests: Vec<&Manifest> = manifests.filter(|manifest| manifest.built_in().is_none()).collect();
        let folder = |manifest: &&'a Manifest| {
            let name = manifest.name.as_str();
            let names = manifest.folder_names.iter().chain([&manifest.name]);
            names.map(|folder| (folder.to_lowercase(), name)).collect::<Vec<_>>()
        };
        let owners = manifests.iter().flat_map(folder).collect();
        Recogniser { manifests, owners }
    }

    fn known(&self) -> impl Iterator<Item = (&'a Manifest, &'a KnownFile)> {
        self.manifests.iter().flat_map(|&manifest| manifest.files.iter().map(move |file| (manifest, file)))
    }

    fn archives(&self) -> impl Iterator<Item = (&'a Manifest, &'a Archive)> {
        self.manifests.iter().flat_map(|&manifest| manifest.archives.iter().map(move |archive| (manifest, archive)))
    }

    /// Whether a file may be a known one, so that its checksum is needed.
    pub fn may_be_known(&self) -> impl Fn(&Found) -> bool + Sync + use<> {
        let with_sums = || self.known().filter(|(_, file)| file.has_checksum());
        let archives = || self.archives().map(|(_, archive)| archive).filter(|archive| has_checksum(archive));
        let pickles = self.manifests.iter().flat_map(|manifest| &manifest.conversions).filter_map(|conversion| {
            let Conversion::CifarPickle { from, md5, .. } = conversion else { return None };
            md5.as_ref().map(|_| from.as_str())
        });
        let sizes = with_sums().flat_map(|(_, file)| [file.size, file.unpacked_size]).flatten();
        let sizes: BTreeSet<u64> = sizes.chain(archives().filter_map(|archive| archive.size)).collect();
        let names = with_sums().flat_map(|(_, file)| [Some(file.file_name()), file.unpacked_name()]).flatten();
        let names: BTreeSet<String> =
            names.chain(archives().map(|archive| archive.path.as_str())).chain(pickles).map(str::to_owned).collect();
        move |file| sizes.contains(&file.size) || names.contains(file.file_name())
    }

    /// The archive of a set that a scan holds: by checksum, or by name where none was published and the set was `asked` for.
    /// A file of its name with another checksum is an error, unless it is another set's.
    pub fn archive(
        &self,
        scan: &Scan,
        manifest: &Manifest,
        archive: &Archive,
        asked: bool,
    ) -> Option<Result<usize, (usize, DatasetError)>> {
        let by_sum = |archive: &Archive, file: &Found| {
            file.digests.as_ref().is_some_and(|digests| is_sum(&archive.sha256, &archive.md5, digests))
        };
        if let Some(file) = scan.files.iter().position(|file| by_sum(archive, file)) {
            return Some(Ok(file));
        }
        let named = |file: &Found| {
            let ours = self.owner(scan, file).map_or(asked, |owner| asked || owner == manifest.name);
            file.file_name() == archive.path && ours && !self.archives().any(|(_, other)| by_sum(other, file))
        };
        let file = scan.files.iter().position(named)?;
        let size = scan.files[file].size;
        if !has_checksum(archive) && archive.size.is_none_or(|expected| expected == size) {
            return asked.then_some(Ok(file));
        }
        let sums = Published { size: archive.size, sha256: archive.sha256.as_ref(), md5: archive.md5.as_ref() };
        Some(Err((file, mismatch(scan, &manifest.name, &archive.path, &sums, &scan.files[file]))))
    }

    /// What a scan holds that can be turned into a known file: the file of a pickle, or `data.mdb` of a database.
    pub fn convertible(&self, scan: &Scan, manifest: &Manifest, conversion: &Conversion, asked: bool) -> Option<usize> {
        let ours = |file: &Found| self.owner(scan, file).map_or(asked, |owner| asked || owner == manifest.name);
        scan.files.iter().position(|file| match conversion {
            Conversion::CifarPickle { from, md5, .. } => {
                file.file_name() == from
                    && match (md5, &file.digests) {
                        (Some(md5), Some(digests)) => *md5 == digests.md5,
                        _ => ours(file),
                    }
            }
            Conversion::Lmdb { from, .. } => {
                let folder = match file.relative.strip_suffix("data.mdb") {
                    Some("") => scan.from.file_name().map(|name| name.to_string_lossy().into_owned()),
                    Some(above) => above.trim_end_matches('/').rsplit('/').next().map(str::to_owned),
                    None => None,
                };
                folder.as_ref() == Some(from) && ours(file)
            }
        })
    }

    /// The data set that a file's folders name, the nearest folder first.
    fn owner(&self, scan: &Scan, file: &Found) -> Option<&'a str> {
        let above = scan.from.file_name().map(|name| name.to_string_lossy().to_lowercase());
        let folders = file.relative.rsplit('/').skip(1).map(str::to_lowercase);
        folders.chain(above).find_map(|folder| self.owners.get(&folder).copied())
    }

    /// The data sets that know a file by its checksum.
    fn sets_of(&self, file: &Found) -> Vec<&'a str> {
        self.known()
            .filter(|(_, known)| form_of(known, file).is_some())
            .map(|(manifest, _)| manifest.name.as_str())
            .collect()
    }

    /// The files that only mark a folder.
    pub fn markers(&self, scan: &Scan) -> Vec<usize> {
        let is_marker =
            |file: &Found| self.known().any(|(_, known)| known.role == Role::Marker && form_of(known, file).is_some());
        (0..scan.files.len()).filter(|&index| is_marker(&scan.files[index])).collect()
    }

    /// What a scan holds of one set. `asked`: the person named this set, rather than all.
    pub fn plan(&self, scan: &Scan, manifest: &'a Manifest, asked: bool) -> Plan<'a> {
        let mut plan =
            Plan { manifest, picks: Vec::new(), failures: Vec::new(), suspects: Vec::new(), notes: Vec::new() };
        for known in manifest.files.iter().filter(|known| known.role != Role::Marker) {
            self.pick_known(scan, known, asked, &mut plan);
        }
        if matches!(manifest.format, Format::ImageFolder { .. }) {
            self.pick_folders(scan, asked, &mut plan);
        }
        plan
    }

    fn pick_known(&self, scan: &Scan, known: &'a KnownFile, asked: bool, plan: &mut Plan<'a>) {
        let set = plan.manifest.name.as_str();
        for (index, file) in scan.files.iter().enumerate() {
            let path = match form_of(known, file) {
                Some(Form::AsPublished) => &known.path,
                Some(Form::Unpacked) => known.path.strip_suffix(".gz").unwrap_or(&known.path),
                None => continue,
            };
            return plan.picks.push(Pick::known(scan, index, path, known));
        }
        let claims =
            self.known().filter(|(_, other)| other.has_checksum() && other.file_name() == known.file_name()).count();
        // Where several files of the set have one name, only the folder tells them apart.
        let same_name = plan.manifest.files.iter().filter(|other| other.file_name() == known.file_name()).count();
        let mut found: Option<(bool, usize)> = None;
        for (index, file) in scan.files.iter().enumerate() {
            let name = file.file_name();
            if name != known.file_name() && Some(name) != known.unpacked_name() {
                continue;
            }
            let others = self.sets_of(file);
            if let Some(other) = others.first() {
                if asked && *other != set {
                    plan.notes.push(format!("{} is a file of {other}", file.relative));
                }
                continue;
            }
            let at_place = file.relative == known.path || file.relative.ends_with(&format!("/{}", known.path));
            let ours = match self.owner(scan, file) {
                _ if scan.own => true,
                // A file that lies where the manifest says is the one that was asked for, whatever the folder is called.
                Some(owner) => owner == set || asked && at_place && known.path.contains('/'),
                _ => asked || (known.has_checksum() && claims == 1),
            };
            if !ours || (same_name > 1 && !at_place) {
                continue;
            }
            if known.has_checksum() || known.size.is_some_and(|size| size != file.size) {
                plan.failures.push((known.path.clone(), mismatch_of(scan, set, known, file)));
                plan.suspects.push(index);
            } else if found.is_none_or(|(before, _)| at_place && !before) {
                // The one that lies where the manifest says, or else the first.
                found = Some((at_place, index));
            }
        }
        if let Some((_, index)) = found {
            plan.picks.push(Pick::known(scan, index, &known.path, known));
        }
    }

    fn pick_folders(&self, scan: &Scan, asked: bool, plan: &mut Plan<'a>) {
        let mut taken: Option<String> = None;
        for folder in folders_of(scan) {
            let inside = |outer: &String| outer.is_empty() || folder.starts_with(&format!("{outer}/"));
            if taken.as_ref().is_some_and(inside) {
                continue;
            }
            let manifest = plan.manifest;
            // Images that several splits share are recorded under one that takes all of its folder, if there is such a one:
            // splits with lists find theirs wherever they are recorded.
            let (listed, whole): (Vec<_>, Vec<_>) =
                manifest.splits.iter().partition(|(_, options)| options.list.is_some());
            let layouts: Vec<(&str, &str, &str)> = whole
                .into_iter()
                .chain(listed)
                .filter_map(|(split, options)| {
                    let there = options
                        .folders
                        .iter()
                        .find(|&layout| images_below(scan, &join(&folder, layout)).next().is_some())?;
                    Some((split.as_str(), there.as_str(), options.folders.first()?.as_str()))
                })
                .collect();
            // An archive of the set holds it once: the uppermost folder of the right layout is its root.
            let is_root = |layouts: &[_]| self.is_root(scan, manifest, &folder, layouts, asked);
            if layouts.is_empty() || !(scan.own && taken.is_none() || is_root(&layouts)) {
                continue;
            }
            let mut done = BTreeSet::new();
            for (split, layout, kept_in) in layouts {
                if done.insert((layout, kept_in)) {
                    pick_images(scan, &join(&folder, layout), split, kept_in, plan);
                }
            }
            taken = Some(folder);
        }
        // Where no image lies in a class the folder has another layout: nothing of it is the set's.
        let in_no_class = |pick: &Pick<'_>| matches!(pick.refused, Some(Refused::NoClass));
        if plan.picks.iter().all(|pick| pick.known.is_some() || in_no_class(pick)) {
            plan.picks.retain(|pick| pick.known.is_some());
        }
    }

    /// Whether a folder with the right layout is this set's: by its name, a marker file in it, its classes, or on request.
    fn is_root(
        &self,
        scan: &Scan,
        manifest: &Manifest,
        folder: &str,
        layouts: &[(&str, &str, &str)],
        asked: bool,
    ) -> bool {
        if asked && folder.is_empty() {
            return true;
        }
        let name = match folder.rsplit('/').next() {
            None | Some("") => {
                scan.from.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default()
            }
            Some(name) => name.to_lowercase(),
        };
        if self.owners.get(&name) == Some(&manifest.name.as_str()) {
            return true;
        }
        let tells = |known: &&KnownFile| matches!(known.role, Role::Marker | Role::List);
        let marked = manifest.files.iter().filter(tells).any(|marker| {
            let path = join(folder, &marker.path);
            scan.files
                .binary_search_by(|file| file.relative.as_bytes().cmp(path.as_bytes()))
                .is_ok_and(|at| form_of(marker, &scan.files[at]).is_some())
        });
        let by_folder = |split: &str| manifest.folder_classes(split) == FolderClasses::Folder;
        let closed = layouts.iter().all(|(split, ..)| by_folder(split)) && !manifest.class_names.is_empty();
        marked
            || closed
                && layouts.iter().all(|(_, layout, _)| {
                    let below = join(folder, layout);
                    images_below(scan, &below)
                        .map(|(_, file)| class_of(&file.relative, dot(&below)))
                        .all(|class| class.is_some_and(|class| manifest.class_names.iter().any(|name| name == class)))
                })
    }
}

fn pick_images<'a>(scan: &Scan, below: &str, split: &'a str, kept_in: &str, plan: &mut Plan<'a>) {
    let (names, classes) = (&plan.manifest.class_names, plan.manifest.folder_classes(split));
    let (mut strays, mut others) = (0, 0);
    for (index, file) in images_below(scan, below) {
        let class = class_of(&file.relative, dot(below));
        let known_class = class.is_some_and(|class| names.is_empty() || names.iter().any(|name| name == class));
        if classes == FolderClasses::Listed && !known_class {
            others += 1;
            continue;
        }
        let rest = if below.is_empty() { &file.relative } else { &file.relative[below.len() + 1..] };
        let path = if kept_in == "." { rest.to_owned() } else { format!("{kept_in}/{rest}") };
        let refused = if plan.manifest.broken.contains(&path) {
            Some(Refused::Broken)
        } else if classes == FolderClasses::Folder && !known_class {
            strays += 1;
            Some(Refused::NoClass)
        } else {
            foreign_image_ending(&file.relative).map(Refused::Format)
        };
        plan.picks.push(Pick { refused, ..Pick::new(scan, index, path, split, Role::Images) });
    }
    if others > 0 {
        plan.notes.push(format!("{others} images of other classes are not of this set"));
    }
    if strays > 0 {
        let below = if below.is_empty() { "the folder" } else { below };
        plan.notes.push(format!(
            "{strays} images below {below} lie in no folder of a class: put them into `{kept_in}/<class>/`, or set \
             `classes: none`"
        ));
    }
}
