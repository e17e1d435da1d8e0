//! Reading everything of a set again.

use oodlab_base::{Cancel, Progress};
use rayon::prelude::*;
use serde::Serialize;

use crate::error::DatasetError;
use crate::library::Library;
use crate::manifest::{Format, Manifest};
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
        for split in manifest.splits.keys() {
            let parts = index.as_ref().map_or(Vec::new(), |index| self.imported_parts(manifest, split, index));
            let damaged = check_files(manifest, &parts, progress, cancel)?;
            report.files += parts.len();
            let at_hand = report.status.splits.get(split).map_or(0, |count| count.found);
            if matches!(manifest.format, Format::ImageFolder { .. }) {
                // One file is one image, and its decoding belongs to the check above.
                report.images += parts.len() - damaged.len();
            } else if damaged.is_empty() && at_hand > 0 {
                match self.open_set(name, split, None) {
                    Ok(set) => {
                        let problems = read_all(&set, progress, cancel)?;
                        report.images += set.len() - problems.len();
                        report.problems.extend(problems);
                    }
                    Err(error) => report.problems.push(error.to_string()),
                }
            }
            report.problems.extend(damaged);
        }
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

/// The problems of the files, in their order.
fn check_files(
    manifest: &Manifest,
    parts: &[Part],
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<String>, DatasetError> {
    let task = progress.task(&format!("verify {}", manifest.name), "files", parts.len() as u64, 0);
    let is_folder = matches!(manifest.format, Format::ImageFolder { .. });
    let check = |part: &Part| -> Result<Option<String>, DatasetError> {
        cancel.check()?;
        let result = part.load().and_then(|bytes| {
            if is_folder {
                crate::decode::picture::decode(&bytes).map_err(|what| part.error(what))?;
            }
            Ok(())
        });
        task.advance(1);
        Ok(result.err().map(|error| error.to_string()))
    };
    let results: Vec<_> = parts.par_iter().map(check).collect();
    Ok(results.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
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
