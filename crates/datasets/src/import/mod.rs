//! Taking in files that a person already has.
//!
//! Files are recognised by checksum, then by the folder they lie in; never by name alone, for several sets share names. They
//! are decoded and copied into `<root>/<name>/files/`; the index, written last, makes them visible. A killed or failed import
//! leaves what was there before; a repeated one changes nothing; one that finds more widens a partial set.

mod recognise;
mod scan;
mod stage;
mod take;

use std::collections::BTreeSet;
use std::path::Path;

use oodlab_base::{Cancel, Progress};
use rayon::prelude::*;
use serde::Serialize;

use crate::error::DatasetError;
use crate::hash::Digest;
use crate::index::{Index, IndexedFile};
use crate::library::{Library, open_parts};
use crate::manifest::{Format, Manifest, Role};
use crate::status::Status;

use recognise::{Pick, Plan, Recogniser};
use scan::{Found, Scan};
use stage::Stage;
use take::{Import, Outcome};

/// Names shown of a long list.
const SHOWN: usize = 10;

/// What a person allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Images that nothing reads, or that lie in no folder of a class, are left out and recorded, instead of failing the
    /// import.
    pub allow_unreadable: bool,
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
        let mut plan = recogniser.plan(&scan, manifest, true);
        plan.notes.extend(scan.notes.iter().cloned());
        if plan.picks.is_empty() && plan.failures.is_empty() {
            return Err(DatasetError::NothingFound {
                name: name.to_owned(),
                from: scan.from.display().to_string(),
                looked_for: looked_for(manifest),
                notes: plan.notes.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; "),
            });
        }
        self.execute(&scan, plan, options, progress, cancel)
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
            let plan = recogniser.plan(&scan, manifest, false);
            recognised.extend(plan.picks.iter().map(|pick| pick.file).chain(plan.suspects.iter().copied()));
            if plan.picks.is_empty() && plan.failures.is_empty() {
                continue;
            }
            let result = self.execute(&scan, plan, options, progress, cancel);
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
                .filter(|manifest| manifest.files.iter().any(|file| file.has_checksum() && file.file_name() == name))
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

    fn execute(
        &self,
        scan: &Scan,
        plan: Plan<'_>,
        options: ImportOptions,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<ImportReport, DatasetError> {
        let Plan { manifest, picks, failures, mut notes, .. } = plan;
        if let Some(failure) = failures.into_iter().next() {
            return Err(failure);
        }
        let folder = self.folder(&manifest.name);
        let picks = without_twins(scan, picks, &folder)?;
        let before = self.index(manifest)?.unwrap_or_else(|| Index::new(&manifest.name));
        let (sums, stage) = (self.sums(&manifest.name), Stage::new(&folder)?);
        let import = Import { manifest, scan, sums, before: &before, folder: &folder, stage };
        let unproven = picks.iter().filter(|pick| pick.refused.is_none() && !import.is_proven(pick)).count();
        if sums.is_some() && unproven > 0 {
            notes.push(format!("{unproven} files without a published or known checksum"));
        }
        let task = progress.task(&format!("import {}", manifest.name), "files", picks.len() as u64, 0);
        let results: Vec<Result<Outcome, DatasetError>> = picks
            .par_iter()
            .map(|pick| {
                cancel.check()?;
                let outcome = import.take(pick);
                task.advance(1);
                outcome
            })
            .collect();
        let outcomes = results.into_iter().collect::<Result<Vec<Outcome>, DatasetError>>()?;

        let unreadable: Vec<(String, String)> = outcomes.iter().filter_map(Outcome::unreadable).collect();
        // Leaving out what cannot be read is allowed; having nothing left is not an import.
        let nothing_left = unreadable.len() == outcomes.len() && before.files.is_empty();
        if !unreadable.is_empty() && (!options.allow_unreadable || nothing_left) {
            let first: Vec<String> = unreadable.iter().take(3).map(|(path, what)| format!("{path} ({what})")).collect();
            return Err(DatasetError::Unreadable {
                name: manifest.name.clone(),
                count: unreadable.len(),
                total: outcomes.len(),
                first: first.join(", "),
            });
        }
        let added: Vec<&IndexedFile> =
            outcomes.iter().filter_map(|o| if let Outcome::Added(file) = o { Some(file) } else { None }).collect();
        import.stage.commit(added.iter().map(|file| file.path.as_str()))?;
        let kept = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Kept)).count();
        let (added, bytes) = (added.len(), added.iter().map(|file| file.size).sum());
        drop(import);
        drop(picks);
        self.merged(manifest, before, outcomes)?.write(&folder)?;
        Ok(ImportReport {
            name: manifest.name.clone(),
            added,
            kept,
            bytes,
            unreadable,
            notes,
            status: self.status(&manifest.name)?,
        })
    }

    /// The old index with the new files, and the images of every split counted by opening it.
    fn merged(&self, manifest: &Manifest, before: Index, outcomes: Vec<Outcome>) -> Result<Index, DatasetError> {
        let mut new: Vec<IndexedFile> = outcomes
            .into_iter()
            .filter_map(|outcome| match outcome {
                Outcome::Added(file) | Outcome::Unreadable(file) => Some(file),
                Outcome::Kept => None,
            })
            .collect();
        new.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let is_new = |path: &str| new.binary_search_by(|file| file.path.as_str().cmp(path)).is_ok();
        // A file replaces that of its path. A known file is kept packed or unpacked, never both.
        let replaced = |file: &IndexedFile| {
            let path = file.path.as_str();
            is_new(path) || path.strip_suffix(".gz").is_some_and(is_new) || is_new(&format!("{path}.gz"))
        };
        let mut index = before;
        index.files.retain(|file| !replaced(file));
        index.files.append(&mut new);
        index.files.sort_by(|a, b| a.path.cmp(&b.path));
        index.images.clear();
        for split in manifest.splits.keys() {
            let parts = self.imported_parts(manifest, split, &index);
            let images = if parts.iter().any(|part| part.role == Role::Images) {
                open_parts(manifest, split, parts, None, None)?.len()
            } else {
                0
            };
            index.images.insert(split.clone(), images);
        }
        Ok(index)
    }
}

/// One pick a path. Two folders that hold different files for one path cannot both be right.
fn without_twins<'a>(scan: &Scan, picks: Vec<Pick<'a>>, folder: &Path) -> Result<Vec<Pick<'a>>, DatasetError> {
    let mut by_path: Vec<usize> = (0..picks.len()).collect();
    by_path.sort_by(|&a, &b| picks[a].path.cmp(&picks[b].path));
    let mut again = BTreeSet::new();
    for same in by_path.chunk_by(|&a, &b| picks[a].path == picks[b].path) {
        // The sort is stable: the first of equal paths is the first pick.
        for &other in &same[1..] {
            let path_of = |pick: usize| scan.path(&scan.files[picks[pick].file]);
            let hash_of = |pick: usize| fs_err::read(path_of(pick)).map(|bytes| Digest::blake3(&bytes));
            let (before, now) = (hash_of(same[0])?, hash_of(other)?);
            if before != now {
                let path = format!("{} and {}", path_of(same[0]).display(), path_of(other).display());
                let (before, now, folder) = (before.to_string(), now.to_string(), folder.display().to_string());
                return Err(DatasetError::Conflict { path, before, now, folder });
            }
            again.insert(other);
        }
    }
    Ok(picks.into_iter().enumerate().filter(|(place, _)| !again.contains(place)).map(|(_, pick)| pick).collect())
}

fn looked_for(manifest: &Manifest) -> String {
    let known: Vec<&str> = manifest
        .files
        .iter()
        .filter(|file| file.role != Role::Marker)
        .map(|file| file.path.as_str())
        .take(SHOWN)
        .collect();
    if !known.is_empty() {
        return known.join(", ");
    }
    let layouts: Vec<String> = manifest
        .splits
        .values()
        .flat_map(|split| &split.folders)
        .map(|folder| {
            let class =
                matches!(manifest.format, Format::ImageFolder { classes: crate::manifest::FolderClasses::Folder });
            format!("{folder}/{}*.png|jpg|jpeg", if class { "<class>/" } else { "" })
        })
        .collect();
    layouts.join(", ")
}
