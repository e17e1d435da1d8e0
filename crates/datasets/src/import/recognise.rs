//! Which files of a folder belong to which data set: by checksum first, then by the folder they lie in, never by name alone.

use std::collections::{BTreeMap, BTreeSet};

use super::scan::{Found, Scan};
use crate::decode::zip::{foreign_image_ending, is_image_name};
use crate::error::DatasetError;
use crate::manifest::{FolderClasses, Format, KnownFile, Manifest, Role};
use crate::source::class_of;

/// What is to be imported of one set.
pub(super) struct Plan<'a> {
    pub manifest: &'a Manifest,
    /// In the order of the manifest, or of the paths.
    pub picks: Vec<Pick<'a>>,
    /// Files that should be known ones and are not.
    pub failures: Vec<DatasetError>,
    /// Those files, by position in the scan.
    pub suspects: Vec<usize>,
    /// What a person may want to know.
    pub notes: Vec<String>,
}

/// One file to import.
pub(super) struct Pick<'a> {
    /// Position in the scan.
    pub file: usize,
    /// Path inside the data set.
    pub path: String,
    pub split: &'a str,
    pub role: Role,
    /// The known file that it is, with a checksum that must hold.
    pub known: Option<&'a KnownFile>,
    /// Why it cannot be used, whatever its bytes are.
    pub refused: Option<Refused>,
}

/// Why an image of a folder cannot be used.
pub(super) enum Refused {
    /// It is a picture of another format, with this ending.
    Format(String),
    /// It lies in no folder of a class.
    NoClass,
}

impl Refused {
    /// The reason, and what can be done.
    pub fn what(&self) -> String {
        match self {
            Refused::Format(ending) => format!("a {ending} file, expected PNG or JPEG: convert it"),
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

    /// Whether a file may be a known one, so that its checksum is needed.
    pub fn may_be_known(&self) -> impl Fn(&Found) -> bool + Sync + use<> {
        let with_sums = || self.known().filter(|(_, file)| file.has_checksum());
        let sizes: BTreeSet<u64> =
            with_sums().flat_map(|(_, file)| [file.size, file.unpacked_size]).flatten().collect();
        let names: BTreeSet<String> = with_sums()
            .flat_map(|(_, file)| [Some(file.file_name()), file.unpacked_name()])
            .flatten()
            .map(str::to_owned)
            .collect();
        move |file| sizes.contains(&file.size) || names.contains(file.file_name())
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
        if let Format::ImageFolder { classes } = manifest.format {
            self.pick_folders(scan, classes, asked, &mut plan);
        }
        plan
    }

    fn pick_known(&self, scan: &Scan, known: &'a KnownFile, asked: bool, plan: &mut Plan<'a>) {
        let set = plan.manifest.name.as_str();
        let split = known.split.as_deref().unwrap_or_default();
        let mut add = |file, path: &str| {
            plan.picks.push(Pick {
                file,
                path: path.to_owned(),
                split,
                role: known.role,
                known: Some(known),
                refused: None,
            });
        };
        for (index, file) in scan.files.iter().enumerate() {
            match form_of(known, file) {
                Some(Form::AsPublished) => return add(index, &known.path),
                Some(Form::Unpacked) => return add(index, known.path.strip_suffix(".gz").unwrap_or(&known.path)),
                None => {}
            }
        }
        let claims =
            self.known().filter(|(_, other)| other.has_checksum() && other.file_name() == known.file_name()).count();
        for (index, file) in scan.files.iter().enumerate() {
            let name = file.file_name();
            if name != known.file_name() && Some(name) != known.unpacked_name() {
                continue;
            }
            let others = self.sets_of(file);
            if let Some(other) = others.first() {
                if asked {
                    plan.notes.push(format!("{} is a file of {other}", file.relative));
                }
                continue;
            }
            let ours = match self.owner(scan, file) {
                Some(owner) => owner == set,
                None => asked || (known.has_checksum() && claims == 1),
            };
            if !ours {
                continue;
            }
            if known.has_checksum() || known.size.is_some_and(|size| size != file.size) {
                plan.failures.push(mismatch(scan, set, known, file));
                plan.suspects.push(index);
            } else {
                let split = known.split.as_deref().unwrap_or_default();
                let path = known.path.clone();
                let (role, known) = (known.role, Some(known));
                plan.picks.push(Pick { file: index, path, split, role, known, refused: None });
                return;
            }
        }
    }

    fn pick_folders(&self, scan: &Scan, classes: FolderClasses, asked: bool, plan: &mut Plan<'a>) {
        let mut taken: Option<String> = None;
        for folder in folders_of(scan) {
            let inside = |outer: &String| outer.is_empty() || folder.starts_with(&format!("{outer}/"));
            if taken.as_ref().is_some_and(inside) {
                continue;
            }
            let manifest = plan.manifest;
            let layouts: Vec<(&str, &str, &str)> = manifest
                .splits
                .iter()
                .filter_map(|(split, options)| {
                    let there = options
                        .folders
                        .iter()
                        .find(|&layout| images_below(scan, &join(&folder, layout)).next().is_some())?;
                    Some((split.as_str(), there.as_str(), options.folders.first()?.as_str()))
                })
                .collect();
            if layouts.is_empty() || !self.is_root(scan, manifest, classes, &folder, &layouts, asked) {
                continue;
            }
            for (split, layout, kept_in) in layouts {
                pick_images(scan, classes, &join(&folder, layout), split, kept_in, plan);
            }
            taken = Some(folder);
        }
        // Where no image lies in a class the folder has another layout: nothing of it is the set's.
        if plan.picks.iter().all(|pick| matches!(pick.refused, Some(Refused::NoClass))) {
            plan.picks.clear();
        }
    }

    /// Whether a folder with the right layout is this set's: by its name, a marker file in it, its classes, or on request.
    fn is_root(
        &self,
        scan: &Scan,
        manifest: &Manifest,
        classes: FolderClasses,
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
        let marked = manifest.files.iter().filter(|known| known.role == Role::Marker).any(|marker| {
            let path = join(folder, &marker.path);
            scan.files
                .binary_search_by(|file| file.relative.as_bytes().cmp(path.as_bytes()))
                .is_ok_and(|at| form_of(marker, &scan.files[at]).is_some())
        });
        let closed = classes == FolderClasses::Folder && !manifest.class_names.is_empty();
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

fn pick_images<'a>(
    scan: &Scan,
    classes: FolderClasses,
    below: &str,
    split: &'a str,
    kept_in: &str,
    plan: &mut Plan<'a>,
) {
    let names = &plan.manifest.class_names;
    let mut strays = 0;
    for (index, file) in images_below(scan, below) {
        let class = class_of(&file.relative, dot(below));
        let known_class = class.is_some_and(|class| names.is_empty() || names.iter().any(|name| name == class));
        let refused = if classes == FolderClasses::Folder && !known_class {
            strays += 1;
            Some(Refused::NoClass)
        } else {
            foreign_image_ending(&file.relative).map(Refused::Format)
        };
        let rest = if below.is_empty() { &file.relative } else { &file.relative[below.len() + 1..] };
        let path = if kept_in == "." { rest.to_owned() } else { format!("{kept_in}/{rest}") };
        plan.picks.push(Pick { file: index, path, split, role: Role::Images, known: None, refused });
    }
    if strays > 0 {
        let below = if below.is_empty() { "the folder" } else { below };
        plan.notes.push(format!(
            "{strays} images below {below} lie in no folder of a class: put them into `{kept_in}/<class>/`, or set \
             `classes: none`"
        ));
    }
}

enum Form {
    AsPublished,
    Unpacked,
}

/// Whether a file is this known file, by its checksum.
fn form_of(known: &KnownFile, file: &Found) -> Option<Form> {
    let digests = file.digests.as_ref()?;
    let published = match (&known.sha256, &known.md5) {
        (Some(sha256), _) => *sha256 == digests.sha256,
        (None, Some(md5)) => *md5 == digests.md5,
        (None, None) => false,
    };
    if published {
        return Some(Form::AsPublished);
    }
    (known.unpacked_sha256.as_ref() == Some(&digests.sha256)).then_some(Form::Unpacked)
}

fn mismatch(scan: &Scan, set: &str, known: &KnownFile, file: &Found) -> DatasetError {
    let unpacked = Some(file.file_name()) == known.unpacked_name() && file.file_name() != known.file_name();
    let (size, sha256, md5) = if unpacked {
        (known.unpacked_size, known.unpacked_sha256.as_ref(), None)
    } else {
        (known.size, known.sha256.as_ref(), known.md5.as_ref())
    };
    let describe = |size: Option<u64>, sum: Option<String>| {
        let size = size.map(|size| format!("{size} bytes"));
        [sum, size].into_iter().flatten().collect::<Vec<_>>().join(", ")
    };
    let expected = sha256.map(|sum| format!("sha256 {sum}")).or_else(|| md5.map(|sum| format!("md5 {sum}")));
    let digests = file.digests.as_ref();
    let found = if sha256.is_some() {
        digests.map(|digests| format!("sha256 {}", digests.sha256))
    } else {
        digests.filter(|_| md5.is_some()).map(|digests| format!("md5 {}", digests.md5))
    };
    DatasetError::Checksum {
        path: scan.path(file).display().to_string(),
        set: set.to_owned(),
        file: known.path.clone(),
        expected: describe(size, expected),
        found: describe(Some(file.size), found),
    }
}

/// Every folder that holds files, directly or deeper, in byte order; the scanned one is empty.
fn folders_of(scan: &Scan) -> BTreeSet<String> {
    let mut folders = BTreeSet::from([String::new()]);
    for file in &scan.files {
        let mut path = file.relative.as_str();
        while let Some((folder, _)) = path.rsplit_once('/') {
            if !folders.insert(folder.to_owned()) {
                break;
            }
            path = folder;
        }
    }
    folders
}

/// The visible images below a folder, of foreign formats too, in byte order of their paths.
fn images_below<'s>(scan: &'s Scan, folder: &str) -> impl Iterator<Item = (usize, &'s Found)> + use<'s> {
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let start = scan.files.partition_point(|file| file.relative.as_bytes() < prefix.as_bytes());
    let below = move |file: &Found| file.relative.strip_prefix(&prefix).map(is_visible_image);
    let all =
        scan.files.iter().enumerate().skip(start).map_while(move |(index, file)| Some((index, file, below(file)?)));
    all.filter(|&(_, _, visible)| visible).map(|(index, file, _)| (index, file))
}

fn is_visible_image(path: &str) -> bool {
    (is_image_name(path) || foreign_image_ending(path).is_some()) && !path.split('/').any(|part| part.starts_with('.'))
}

fn join(folder: &str, below: &str) -> String {
    match (folder, below) {
        (folder, ".") => folder.to_owned(),
        ("", below) => below.to_owned(),
        (folder, below) => format!("{folder}/{below}"),
    }
}

fn dot(folder: &str) -> &str {
    if folder.is_empty() { "." } else { folder }
}
