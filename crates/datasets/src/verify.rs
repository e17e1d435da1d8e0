//! Reading everything of a set again.

use std::collections::BTreeMap;

use oodlab_base::{Cancel, Progress};
use rayon::prelude::*;
use serde::Serialize;

use crate::error::DatasetError;
use crate::index::Index;
use crate::library::Library;
use crate::manifest::{Format, Manifest, Role};
use crate::reading::Reading;
use crate::set::ImageSet;
use crate::source::Part;
use crate::status::Status;
use crate::sums::as_many;

/// What `data verify` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Data set.
    pub name: String,
    /// Files hashed.
    pub files: usize,
    /// Images decoded.
    pub images: usize,
    /// What is wrong, one message a file or image, each naming it.
    pub problems: Vec<String>,
    /// What the index says is at hand.
    pub status: Status,
}

impl Library {
    /// Hashes every file of a set, compares it with the checksums that are known, and decodes every image.
    ///
    /// # Errors
    /// When the set is unknown or absent, its index is damaged, or the work was cancelled. Damaged and missing files are
    /// problems in the report, not errors.
    pub fn verify(&self, name: &str, progress: &dyn Progress, cancel: &Cancel) -> Result<VerifyReport, DatasetError> {
        let manifest = self.manifest(name)?;
        let index = self.index(manifest)?;
        if index.is_none() && manifest.built_in().is_none() {
            return Err(DatasetError::Absent { name: name.to_owned(), root: self.root().display().to_string() });
        }
        let status = self.status(name)?;
        let mut report = VerifyReport { name: name.to_owned(), files: 0, images: 0, problems: Vec::new(), status };
        let is_folder = matches!(manifest.format, Format::ImageFolder { .. });
        let of_split = |split| index.as_ref().map_or(Vec::new(), |index| self.imported_parts(manifest, split, index));
        // Splits may share files: each is read once.
        let mut checked: BTreeMap<String, bool> = BTreeMap::new();
        for split in manifest.splits.keys() {
            let parts = of_split(split);
            let new: Vec<&Part> = parts.iter().filter(|part| !checked.contains_key(&part.path)).collect();
            let problems = check_files(manifest, &new, progress, cancel)?;
            report.files += new.len();
            for (part, problem) in new.iter().zip(problems) {
                // One file is one image there, and its decoding belongs to the check.
                report.images += usize::from(is_folder && part.role == Role::Images && problem.is_none());
                checked.insert(part.path.clone(), problem.is_none());
                report.problems.extend(problem);
            }
            let at_hand = report.status.splits.get(split).map_or(0, |count| count.found);
            if !is_folder && at_hand > 0 && parts.iter().all(|part| checked.get(&part.path) == Some(&true)) {
                match self.open_set(name, split, None) {
                    Ok(set) => {
                        let problems = read_all(&set, progress, cancel)?;
                        report.images += set.len() - problems.len();
                        report.problems.extend(problems);
                    }
                    Err(error) => report.problems.push(error.to_string()),
                }
            }
        }
        report.problems.extend(index.as_ref().map_or(Vec::new(), |index| other_sums(manifest, index)));
        // An import by an earlier manifest may not have known these sums; that the files still have the recorded ones is
        // proven above.
        if let (Some(index), Some(sums)) = (&index, self.sums(name)) {
            for file in index.files.iter().filter(|file| file.unreadable.is_none()) {
                if let Some(expected) = sums.refuse(&file.path, &file.sha256.to_string()) {
                    report.problems.push(format!(
                        "{}: wrong checksum: expected sha256 {expected} (of {}), found {}; import the right file",
                        self.folder(name).join("files").join(&file.path).display(),
                        sums.file,
                        as_many(&file.sha256.to_string(), expected)
                    ));
                }
            }
        }
        Ok(report)
    }
}

/// Known files with another checksum than the manifest has now: an earlier manifest had another one, or none.
fn other_sums(manifest: &Manifest, index: &Index) -> Vec<String> {
    let mut problems = Vec::new();
    for known in &manifest.files {
        let unpacked = known.path.strip_suffix(".gz").and_then(|path| Some((path, known.unpacked_sha256.as_ref()?)));
        let packed = known.sha256.as_ref().map(|sum| (known.path.as_str(), sum));
        for (path, expected) in packed.into_iter().chain(unpacked) {
            let found = index.file(path).filter(|file| file.unreadable.is_none()).map(|file| file.sha256.to_string());
            if let Some(found) = found.filter(|found| found != expected) {
                let set = &manifest.name;
                problems.push(format!("{set} {path}: wrong checksum: expected sha256 {expected}, found {found}"));
            }
        }
    }
    problems
}

/// What is wrong with each file; large ones are read from front to back, never held.
fn check_files(
    manifest: &Manifest,
    parts: &[&Part],
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<Option<String>>, DatasetError> {
    let task = progress.task(&format!("verify {}", manifest.name), "files", parts.len() as u64, 0);
    let is_folder = matches!(manifest.format, Format::ImageFolder { .. });
    let check = |part: &&Part| -> Result<Option<String>, DatasetError> {
        cancel.check()?;
        let result = part.blob().and_then(|blob| {
            if is_folder && part.role == Role::Images {
                crate::decode::picture::decode(&blob.whole()?, Reading::default()).map_err(|what| part.error(what))?;
            }
            Ok(())
        });
        task.advance(1);
        Ok(result.err().map(|error| error.to_string()))
    };
    parts.par_iter().map(check).collect::<Vec<_>>().into_iter().collect()
}

/// The problems of the images, in their order.
fn read_all(set: &ImageSet, progress: &dyn Progress, cancel: &Cancel) -> Result<Vec<String>, DatasetError> {
    let task = progress.task(&format!("decode {} {}", set.name(), set.split()), "images", set.len() as u64, 0);
    let check = |index: usize| -> Result<Option<String>, DatasetError> {
        cancel.check()?;
        let problem = set.read(index).err().map(|error| error.to_string());
        task.advance(1);
        Ok(problem)
    };
    let results: Vec<_> = (0..set.len()).into_par_iter().map(check).collect();
    Ok(results.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}
