//! The import of what was recognised.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oodlab_base::{Cancel, Progress};
use rayon::prelude::*;

use super::gather::Gathered;
use super::recognise::{Pick, Plan};
use super::stage::{Stage, sums_of};
use super::take::{Import, Outcome};
use super::{ImportOptions, ImportReport};
use crate::error::DatasetError;
use crate::index::{Index, IndexedFile};
use crate::library::{Library, open_parts};
use crate::manifest::{Manifest, Role, Split};
use crate::source::{Part, other_folders};

impl Library {
    pub(super) fn execute(
        &self,
        gathered: Gathered<'_>,
        options: ImportOptions,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<ImportReport, DatasetError> {
        // What was unpacked stays until everything is taken from it.
        let Gathered { plan, stage: unpacked, before: made_before, .. } = gathered;
        let Plan { manifest, picks, failures, mut notes, .. } = plan;
        if let Some((_, failure)) = failures.into_iter().next() {
            return Err(failure);
        }
        let folder = self.folder(&manifest.name);
        let picks = without_twins(picks, &folder, cancel)?;
        let before = self.index(manifest)?.unwrap_or_else(|| Index::new(&manifest.name));
        let (sums, stage) = (self.sums(&manifest.name), Stage::new(&folder)?);
        let copied_instead = AtomicUsize::new(0);
        let link = options.link;
        let import = Import { manifest, sums, before: &before, folder: &folder, stage, link, copied_instead, cancel };
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
        let mut unknown = unreadable.iter().filter(|(path, _)| !manifest.broken.contains(path)).peekable();
        if unknown.peek().is_some() && (!options.allow_unreadable || nothing_left) {
            let unknown: Vec<String> = unknown.map(|(path, what)| format!("{path} ({what})")).collect();
            return Err(DatasetError::Unreadable {
                name: manifest.name.clone(),
                count: unknown.len(),
                total: outcomes.len(),
                first: unknown[..unknown.len().min(3)].join(", "),
            });
        }
        let Import { stage, copied_instead, .. } = import;
        let added = || outcomes.iter().filter_map(|o| if let Outcome::Added(file) = o { Some(file) } else { None });
        let bytes = added().map(|file| file.size).sum();
        let staged: BTreeSet<String> = added().map(|file| file.path.clone()).collect();
        let kept = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Kept)).count() + made_before;
        // Everything that can be wrong with the set as a whole shows here, while nothing visible has changed.
        let index = self.merged(manifest, before, outcomes, (&stage, &staged), &mut notes)?;
        let copied = copied_instead.load(Ordering::Relaxed);
        if copied > 0 {
            notes.push(format!("{copied} files could not be linked (another file system?) and were copied"));
        }
        stage.commit(staged.iter().map(String::as_str))?;
        index.write(&folder)?;
        drop(unpacked);
        Ok(ImportReport {
            name: manifest.name.clone(),
            added: staged.len(),
            kept,
            bytes,
            unreadable,
            notes,
            status: self.status(&manifest.name)?,
        })
    }

    /// The old index with the new files, and the images of every split counted by opening it; the new files are still on the
    /// stage, under these paths.
    fn merged(
        &self,
        manifest: &Manifest,
        before: Index,
        outcomes: Vec<Outcome>,
        (stage, staged): (&Stage, &BTreeSet<String>),
        notes: &mut Vec<String>,
    ) -> Result<Index, DatasetError> {
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
        index.listed.clear();
        let on_stage: Arc<Path> = stage.folder().into();
        for (split, options) in &manifest.splits {
            let mut parts = self.imported_parts(manifest, split, &index);
            for (path, folder) in parts.iter_mut().filter_map(Part::place_mut) {
                if staged.contains(path) {
                    *folder = on_stage.clone();
                }
            }
            if let Some(list) = missing_list(options, &index) {
                notes.push(format!("split {split} has no images yet: its list {list} is missing"));
            }
            let images = if !parts.iter().any(|part| part.role == Role::Images) {
                0
            } else {
                if let Some((found, stated)) = other_folders(manifest, split, &parts) {
                    notes.push(format!(
                        "split {split} has images of {found} classes, {stated} expected: its images have no labels"
                    ));
                }
                match open_parts(manifest, split, parts, None, None) {
                    Ok(set) => {
                        // Where nobody stated how many there are, the list did.
                        if let Some(listed) = set.expected().filter(|_| options.images.is_none()) {
                            index.listed.insert(split.clone(), listed);
                            if set.is_partial() {
                                notes.push(format!("split {split}: {} of {listed} listed images are there", set.len()));
                            }
                        }
                        set.len()
                    }
                    // A list of which no image is there.
                    Err(DatasetError::Empty { .. }) => 0,
                    Err(DatasetError::Decode { path, what }) => {
                        // The stage will be gone when this is read.
                        let below =
                            Path::new(&path).strip_prefix(stage.folder()).map(|path| path.display().to_string());
                        return Err(DatasetError::decode(below.unwrap_or(path), what));
                    }
                    Err(error) => return Err(error),
                }
            };
            index.images.insert(split.clone(), images);
        }
        Ok(index)
    }
}

/// The list that a split names and that is not at hand.
fn missing_list<'a>(split: &'a Split, index: &Index) -> Option<&'a str> {
    let list = split.list.as_ref()?;
    let files = [Some(&list.file), list.labels_from.as_deref().map(|labels| &labels.file)];
    let there = |file: &&String| index.file(file).is_some_and(|file| file.unreadable.is_none());
    files.into_iter().flatten().find(|file| !there(file)).map(String::as_str)
}

/// One pick a path. Two folders that hold different files for one path cannot both be right.
fn without_twins<'a>(picks: Vec<Pick<'a>>, folder: &Path, cancel: &Cancel) -> Result<Vec<Pick<'a>>, DatasetError> {
    let mut by_path: Vec<usize> = (0..picks.len()).collect();
    by_path.sort_by(|&a, &b| picks[a].path.cmp(&picks[b].path));
    let mut again = BTreeSet::new();
    for same in by_path.chunk_by(|&a, &b| picks[a].path == picks[b].path) {
        // The sort is stable: the first of equal paths is the first pick.
        for &other in &same[1..] {
            let (first, second) = (&picks[same[0]].source, &picks[other].source);
            if first != second {
                let (before, now) = (sums_of(first, cancel)?.blake3, sums_of(second, cancel)?.blake3);
                if before != now {
                    let path = format!("{} and {}", first.display(), second.display());
                    let (before, now, folder) = (before.to_string(), now.to_string(), folder.display().to_string());
                    return Err(DatasetError::Conflict { path, before, now, folder });
                }
            }
            again.insert(other);
        }
    }
    Ok(picks.into_iter().enumerate().filter(|(place, _)| !again.contains(place)).map(|(_, pick)| pick).collect())
}
