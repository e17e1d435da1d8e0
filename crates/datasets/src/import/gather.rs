//! Everything that a folder holds of a set: its files, those inside archives, and those that other files are turned into.

use std::collections::BTreeSet;
use std::path::Path;

use oodlab_base::{Cancel, Progress};

use super::convert;
use super::recognise::{Plan, Recogniser};
use super::scan::{Found, Scan};
use super::stage::Stage;
use crate::archive::{self, Bounds};
use crate::error::DatasetError;
use crate::library::Library;
use crate::manifest::{Archive, Conversion, Format, Manifest, Role};

/// What is to be imported, and the stage that some of it lies on.
pub(super) struct Gathered<'a> {
    pub plan: Plan<'a>,
    /// Archives and files of other programs, by position in the scan.
    pub used: Vec<usize>,
    pub stage: Option<Stage>,
    /// Files that would be made anew from large ones, and were imported before.
    pub before: usize,
}

/// The search for one set.
pub(super) struct Gathering<'a, 'r> {
    pub library: &'r Library,
    pub recogniser: &'r Recogniser<'a>,
    pub manifest: &'a Manifest,
    /// The person named this set, rather than all.
    pub asked: bool,
    pub progress: &'r dyn Progress,
    pub cancel: &'r Cancel,
}

impl<'a> Gathering<'a, '_> {
    pub fn gather(&self, scan: &Scan) -> Result<Gathered<'a>, DatasetError> {
        let plan = self.recogniser.plan(scan, self.manifest, self.asked);
        let mut gathered = Gathered { plan, used: Vec::new(), stage: None, before: 0 };
        let mut unpacked = Vec::new();
        for archive in &self.manifest.archives {
            match self.recogniser.archive(scan, self.manifest, archive, self.asked) {
                None => {}
                Some(Ok(index)) => {
                    gathered.used.push(index);
                    unpacked.extend(self.unpack(scan, index, archive, &mut gathered)?);
                }
                Some(Err((index, error))) => {
                    gathered.plan.suspects.push(index);
                    gathered.plan.failures.push((archive.path.clone(), error));
                }
            }
        }
        for found in &unpacked {
            self.add(found, &mut gathered);
        }
        if let Some(converted) = self.convert(scan, &unpacked, &mut gathered)? {
            self.add(&converted, &mut gathered);
        }
        let plan = &mut gathered.plan;
        let picked: BTreeSet<&str> =
            plan.picks.iter().filter_map(|pick| pick.known).map(|known| known.path.as_str()).collect();
        // A damaged file does no harm beside a good one; a damaged archive none where its files were found.
        let is_archive = |path: &str| self.manifest.archives.iter().any(|archive| archive.path == path);
        let found_else = |path: &str| picked.contains(path) || (is_archive(path) && !plan.picks.is_empty());
        let (passed_over, failures): (Vec<_>, Vec<_>) =
            std::mem::take(&mut plan.failures).into_iter().partition(|(path, _)| found_else(path));
        plan.failures = failures;
        plan.notes.extend(passed_over.into_iter().map(|(_, error)| format!("passed over: {error}")));
        Ok(gathered)
    }

    /// Adds what a folder on the stage holds.
    fn add(&self, scan: &Scan, gathered: &mut Gathered<'a>) {
        let Plan { picks, failures, notes, .. } = self.recogniser.plan(scan, self.manifest, true);
        let plan = &mut gathered.plan;
        plan.picks.extend(picks);
        plan.failures.extend(failures);
        plan.notes.extend(notes.into_iter().chain(scan.notes.iter().cloned()));
    }

    fn stage<'s>(&self, gathered: &'s mut Gathered<'a>) -> Result<&'s Stage, DatasetError> {
        if gathered.stage.is_none() {
            gathered.stage = Some(Stage::new(&self.library.folder(&self.manifest.name))?);
        }
        gathered.stage.as_ref().ok_or_else(|| DatasetError::Io(std::io::Error::other("no stage")))
    }

    /// Unpacks an archive, unless all that it can hold was found beside it.
    fn unpack(
        &self,
        scan: &Scan,
        index: usize,
        archive: &Archive,
        gathered: &mut Gathered<'a>,
    ) -> Result<Option<Scan>, DatasetError> {
        if self.is_covered(archive, &gathered.plan) {
            gathered.plan.notes.push(format!("{} is not unpacked: its files lie beside it", archive.path));
            return Ok(None);
        }
        let source = scan.path(&scan.files[index]);
        let into = self.stage(gathered)?.folder().join(format!("unpacked-{}", archive.path));
        let bounds = Bounds::default();
        let done = archive::unpack(&source, &archive.path, &into, &bounds, self.progress, self.cancel)?;
        let notes = &mut gathered.plan.notes;
        notes.push(format!("{}: {} files unpacked, {:.1} MB", archive.path, done.files, done.bytes as f64 / 1e6));
        notes.extend(done.notes.into_iter().map(|note| format!("{}: {note}", archive.path)));
        let root = archive.root.as_ref().map_or_else(|| into.clone(), |root| into.join(root));
        if !root.is_dir() {
            let what = format!("expected a folder {:?} in it, found none", archive.root.as_deref().unwrap_or_default());
            return Err(DatasetError::decode(source.display().to_string(), what));
        }
        self.scan_own(&root).map(Some)
    }

    /// Whether every known file of an archive's splits was found.
    fn is_covered(&self, archive: &Archive, plan: &Plan<'_>) -> bool {
        let of_archive = |split: &str| archive.splits.is_empty() || archive.splits.iter().any(|name| name == split);
        let splits: Vec<&String> = self.manifest.splits.keys().filter(|split| of_archive(split)).collect();
        let mut files = self.manifest.files.iter().filter(|file| {
            file.role == Role::List || splits.iter().any(|split| file.is_of(split)) && file.role != Role::Marker
        });
        !matches!(self.manifest.format, Format::ImageFolder { .. })
            && files.all(|file| plan.picks.iter().any(|pick| pick.known.is_some_and(|known| known.path == file.path)))
    }

    fn scan_own(&self, folder: &Path) -> Result<Scan, DatasetError> {
        let mut scan = Scan::of(folder, self.cancel)?;
        scan.own = true;
        scan.digest(self.recogniser.may_be_known(), self.progress, self.cancel)?;
        Ok(scan)
    }

    /// Turns files of other programs into known ones that were not found themselves.
    fn convert(
        &self,
        scan: &Scan,
        unpacked: &[Scan],
        gathered: &mut Gathered<'a>,
    ) -> Result<Option<Scan>, DatasetError> {
        let index = self.library.index(self.manifest)?;
        let mut folder = None;
        for conversion in &self.manifest.conversions {
            let (from, to) = conversion.names();
            let found = |scan: &Scan, asked| self.recogniser.convertible(scan, self.manifest, conversion, asked);
            let own = || unpacked.iter().find_map(|scan| Some((scan, found(scan, true)?)));
            let Some((place, at)) = found(scan, self.asked).map(|at| (scan, at)).or_else(own) else { continue };
            let file = &place.files[at];
            if !place.own {
                gathered.used.extend(same_folder(scan, file, conversion).into_iter().chain([at]));
            }
            if gathered.plan.picks.iter().any(|pick| pick.known.is_some_and(|known| known.path == to)) {
                continue;
            }
            let (is_database, there) = (matches!(conversion, Conversion::Lmdb { .. }), index.as_ref());
            if is_database && there.is_some_and(|index| index.file(to).is_some_and(|file| file.unreadable.is_none())) {
                gathered.plan.notes.push(format!("{from} was imported before, and is not read again"));
                gathered.before += 1;
                continue;
            }
            let below = self.stage(gathered)?.folder().join("converted");
            let target = below.join(to);
            fs_err::create_dir_all(target.parent().unwrap_or(&below))?;
            let source = place.path(file);
            match conversion {
                Conversion::CifarPickle { .. } => convert::cifar_pickle(self.manifest, &source, &target)?,
                Conversion::Lmdb { .. } => {
                    let database = source.parent().unwrap_or(&source);
                    convert::lmdb(database, &target, self.progress, self.cancel)?;
                }
            }
            gathered.plan.notes.push(format!("{from} was turned into {to}"));
            folder = Some(below);
        }
        folder.map(|folder| self.scan_own(&folder)).transpose()
    }
}

/// The files beside a database's own that belong to it.
fn same_folder(scan: &Scan, file: &Found, conversion: &Conversion) -> Option<usize> {
    let lock = match conversion {
        Conversion::Lmdb { .. } => format!("{}lock.mdb", file.relative.strip_suffix("data.mdb")?),
        Conversion::CifarPickle { .. } => return None,
    };
    scan.files.iter().position(|other| other.relative == lock)
}
