//! Taking in files that a person already has.
//!
//! Files are recognised by checksum, then by the folder they lie in; never by name alone, for several sets share names. They
//! are decoded and copied into `<root>/<name>/files/`; the index, written last, makes them visible. A killed or failed import
//! leaves what was there before; a repeated one changes nothing; one that finds more widens a partial set.
//!
//! Archives in which a set is published are unpacked to a stage first, and files of other programs that hold the same images
//! are turned into the known ones there; both are then looked through like the folder itself. No file is held in memory
//! unless it is small.

mod convert;
mod execute;
mod folders;
mod gather;
mod known;
mod recognise;
mod scan;
mod stage;
mod take;

use std::collections::BTreeSet;
use std::path::Path;

use oodlab_base::{Cancel, Progress};
use serde::Serialize;

use crate::error::DatasetError;
use crate::library::Library;
use crate::manifest::{Format, Manifest, Role};
use crate::status::Status;

use gather::Gathering;
use known::has_checksum;
use recognise::Recogniser;
use scan::{Found, Scan};

/// Names shown of a long list.
const SHOWN: usize = 10;

/// What a person allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Images that nothing reads, or that lie in no folder of a class, are left out and recorded, instead of failing the
    /// import.
    pub allow_unreadable: bool,
    /// Files get a second name (a hard link) in the data root instead of a copy, where the file system can. Whoever changes
    /// the file then changes both; that is noticed when it is read.
    pub link: bool,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Data set.
    pub name: String,
    /// Files copied.
    pub added: usize,
    /// Files that were there already, proven equal.
    pub kept: usize,
    /// Bytes copied.
    pub bytes: u64,
    /// Files left out because nothing reads them or they lie in no class: path and reason.
    pub unreadable: Vec<(String, String)>,
    /// What was passed over, and why.
    pub notes: Vec<String>,
    /// What is at hand now.
    pub status: Status,
}

/// What an import of everything did.
#[derive(Debug)]
pub struct ImportAll {
    /// Each set of which something was found, in order of their names. A failure of one does not stop the others.
    pub sets: Vec<(String, Result<ImportReport, DatasetError>)>,
    /// Files called like known ones with none of their checksums, each with the sets that have a file of its name.
    pub damaged: Vec<String>,
    /// Files that belong to no known set.
    pub unrecognised: usize,
    /// The first of them, as paths below the folder.
    pub unrecognised_first: Vec<String>,
    /// What was passed over, and why.
    pub notes: Vec<String>,
}

impl Library {
    /// Imports one set from a folder, or from anything below it.
    ///
    /// # Errors
    /// A known file with a wrong checksum, an image that nothing reads or that lies in no class (unless allowed), another content under a path that was
    /// imported before, nothing found, a full disk. What was imported before stays as it was.
    pub fn import(
        &self,
        name: &str,
        from: &Path,
        options: ImportOptions,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<ImportReport, DatasetError> {
        let manifest = self.manifest(name)?;
        if let Some(kind) = manifest.built_in() {
            return Err(DatasetError::BuiltIn { name: name.to_owned(), kind });
        }
        let recogniser = Recogniser::new(self.manifests());
        let mut scan = Scan::of(from, cancel)?;
        scan.digest(recogniser.may_be_known(), progress, cancel)?;
        let gathering = Gathering { library: self, recogniser: &recogniser, manifest, asked: true, progress, cancel };
        let mut gathered = gathering.gather(&scan)?;
        let before = gathered.before;
        let plan = &mut gathered.plan;
        plan.notes.extend(scan.notes.iter().cloned());
        if plan.picks.is_empty() && plan.failures.is_empty() && before == 0 {
            return Err(DatasetError::NothingFound {
                name: name.to_owned(),
                from: scan.from.display().to_string(),
                looked_for: looked_for(manifest),
                notes: plan.notes.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; "),
            });
        }
        self.execute(gathered, options, progress, cancel)
    }

    /// Imports every known set of which something lies in a folder or below it.
    ///
    /// # Errors
    /// When the folder cannot be read, or the work was cancelled; the failure of a set is in the result.
    pub fn import_all(
        &self,
        from: &Path,
        options: ImportOptions,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<ImportAll, DatasetError> {
        let recogniser = Recogniser::new(self.manifests());
        let mut scan = Scan::of(from, cancel)?;
        scan.digest(recogniser.may_be_known(), progress, cancel)?;
        let mut recognised = BTreeSet::new();
        let mut all = ImportAll {
            sets: Vec::new(),
            damaged: Vec::new(),
            unrecognised: 0,
            unrecognised_first: Vec::new(),
            notes: scan.notes.clone(),
        };
        for manifest in self.manifests().filter(|manifest| manifest.built_in().is_none()) {
            let gathering =
                Gathering { library: self, recogniser: &recogniser, manifest, asked: false, progress, cancel };
            let result = match gathering.gather(&scan) {
                Ok(gathered) => {
                    let plan = &gathered.plan;
                    let picked = plan.picks.iter().filter(|pick| !pick.own).map(|pick| pick.file);
                    recognised.extend(picked.chain(plan.suspects.iter().copied()).chain(gathered.used.iter().copied()));
                    if plan.picks.is_empty() && plan.failures.is_empty() && gathered.before == 0 {
                        continue;
                    }
                    self.execute(gathered, options, progress, cancel)
                }
                Err(error) => Err(error),
            };
            if let Err(DatasetError::Cancelled(cancelled)) = result {
                return Err(cancelled.into());
            }
            all.sets.push((manifest.name.clone(), result));
        }
        recognised.extend(recogniser.markers(&scan));
        let rest: Vec<&Found> =
            (0..scan.files.len()).filter(|index| !recognised.contains(index)).map(|index| &scan.files[index]).collect();
        // A file called like one that is known, with none of the checksums that go with the name: damaged, most likely.
        let known_as = |file: &&Found| {
            let (path, name) = (&file.relative, file.file_name());
            let sets: Vec<&str> = self
                .manifests()
                .filter(|manifest| {
                    let known = manifest.files.iter().any(|file| file.has_checksum() && file.file_name() == name);
                    known || manifest.archives.iter().any(|archive| has_checksum(archive) && archive.path == name)
                })
                .map(|manifest| manifest.name.as_str())
                .collect();
            (!sets.is_empty()).then(|| {
                let sets = sets.join(", ");
                format!("{path}: called like a file of {sets}, but has none of its checksums: truncated, damaged or of another set")
            })
        };
        let digests: BTreeSet<&str> = recognised.iter().filter_map(|&index| scan.files[index].sha256()).collect();
        let twin = |file: &&&Found| file.sha256().is_some_and(|digest| digests.contains(digest));
        all.damaged = rest.iter().filter(|file| !twin(file)).filter_map(known_as).collect();
        all.unrecognised = rest.len();
        all.unrecognised_first = rest.into_iter().take(SHOWN).map(|file| file.relative.clone()).collect();
        Ok(all)
    }
}

fn looked_for(manifest: &Manifest) -> String {
    let known: Vec<&str> =
        manifest.files.iter().filter(|file| file.role != Role::Marker).map(|file| file.path.as_str()).collect();
    let archives = manifest.archives.iter().map(|archive| archive.path.as_str());
    let others = manifest.conversions.iter().map(|conversion| conversion.names().0);
    let known: Vec<&str> = archives.chain(known).chain(others).take(SHOWN).collect();
    if !known.is_empty() && !matches!(manifest.format, Format::ImageFolder { .. }) {
        return known.join(", ");
    }
    let layouts: Vec<String> = manifest
        .splits
        .iter()
        .flat_map(|(split, options)| options.folders.iter().map(move |folder| (split, folder)))
        .map(|(split, folder)| {
            let class = manifest.folder_classes(split) != crate::manifest::FolderClasses::None;
            format!("{folder}/{}*.png|jpg|jpeg", if class { "<class>/" } else { "" })
        })
        .collect();
    known.into_iter().map(str::to_owned).chain(layouts).collect::<Vec<_>>().join(", ")
}
