//! Bringing published files: downloaded, proven, unpacked and imported.
//!
//! What is downloaded lies in `<root>/.downloads/<name>/` until it is imported: an interrupted fetch goes on there. Nothing is
//! unpacked before its checksum was found right.

mod plan;

use std::path::{Path, PathBuf};

use oodlab_base::file::write_atomic;
use oodlab_base::{Cancel, Progress};
use oodlab_fetch::{Checksum, Download, Fetcher, Size};
use serde::Serialize;

use crate::error::DatasetError;
use crate::import::{ImportOptions, ImportReport};
use crate::library::Library;
use crate::manifest::Manifest;
use crate::status::Status;

pub use plan::{FetchPlan, Wanted};

/// A file whose size nobody published may have so many bytes: more than any file of a known set.
const LARGEST: u64 = 2 << 40;

/// Beside a set's index: the archives that were fetched and imported.
const FETCHED: &str = "fetched.json";

/// What is to be fetched, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchOptions {
    /// Only the files of these splits; all where none is named.
    pub splits: Vec<String>,
    /// An address below which the files lie too, as `NAME/FILE` or `FILE`; it is tried first.
    pub mirror: Option<String>,
    /// Downloads stay in `<root>/.downloads/<name>/` after they were imported.
    pub keep_archives: bool,
    /// As [`ImportOptions::allow_unreadable`].
    pub allow_unreadable: bool,
}

/// A file that was downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Downloaded {
    /// Its name in the manifest.
    pub file: String,
    /// The address that gave it; none when an earlier fetch had finished it.
    pub address: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// What proved it: `sha256`, `md5`, `size` or nothing.
    pub proven_by: Option<&'static str>,
}

/// What a fetch did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FetchReport {
    /// Data set.
    pub name: String,
    /// Everything that was asked for is at hand.
    pub complete: bool,
    /// Files that were downloaded.
    pub downloaded: Vec<Downloaded>,
    /// What the import of each download did.
    pub imported: Vec<ImportReport>,
    /// What a person should know: files that nobody published a checksum of.
    pub warnings: Vec<String>,
    /// What no address is known of.
    pub unavailable: Vec<String>,
    /// How to get what cannot be downloaded, as the manifest says.
    pub access: Option<String>,
    /// What is at hand now.
    pub status: Status,
}

impl Library {
    /// Downloads what is missing of a set and can be downloaded, and imports it. Files that are finished are kept when it is
    /// interrupted, and not asked for again.
    ///
    /// # Errors
    /// When the set or a split is unknown, no address gives a file, its bytes are wrong, or its import fails.
    pub fn fetch(
        &self,
        name: &str,
        options: &FetchOptions,
        fetcher: &Fetcher,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<FetchReport, DatasetError> {
        let manifest = self.manifest(name)?;
        let plan = self.fetch_plan(name, options)?;
        let fetch = Fetch { library: self, manifest, options, fetcher, progress, cancel, folder: self.downloads(name) };
        let mut report = FetchReport {
            name: name.to_owned(),
            complete: plan.complete,
            downloaded: Vec::new(),
            imported: Vec::new(),
            warnings: Vec::new(),
            unavailable: plan.unavailable.clone(),
            access: None,
            status: self.status(name)?,
        };
        let (archives, files): (Vec<Wanted>, Vec<Wanted>) = plan.wanted.into_iter().partition(|wanted| wanted.archive);
        for file in &files {
            let target = fetch.folder.join("files").join(&file.path);
            fetch.bring(file, &target, &mut report)?;
        }
        if !files.is_empty() {
            fetch.import(&fetch.folder.join("files"), &files, &mut report)?;
        }
        for archive in archives {
            // The one before may have held all that was missing.
            if !self.still_wants(manifest, options, &archive)? {
                continue;
            }
            let target = fetch.folder.join(&archive.path);
            fetch.bring(&archive, &target, &mut report)?;
            fetch.import(&target, std::slice::from_ref(&archive), &mut report)?;
        }
        report.status = self.status(name)?;
        let after = self.fetch_plan(name, options)?;
        report.complete = after.complete;
        report.access = manifest.access.clone().filter(|_| !report.complete);
        Ok(report)
    }

    fn downloads(&self, name: &str) -> PathBuf {
        self.root().join(".downloads").join(name)
    }

    /// The archives of a set that were fetched and imported: what they lack, another download would lack too.
    fn fetched(&self, name: &str) -> Vec<String> {
        let text = fs_err::read(self.folder(name).join(FETCHED)).unwrap_or_default();
        // A list that cannot be read only costs a download.
        serde_json::from_slice(&text).unwrap_or_default()
    }
}

struct Fetch<'a> {
    library: &'a Library,
    manifest: &'a Manifest,
    options: &'a FetchOptions,
    fetcher: &'a Fetcher,
    progress: &'a dyn Progress,
    cancel: &'a Cancel,
    /// Where downloads lie.
    folder: PathBuf,
}

impl Fetch<'_> {
    fn bring(&self, wanted: &Wanted, target: &Path, report: &mut FetchReport) -> Result<(), DatasetError> {
        let (checksum, proven_by) = match (&wanted.sha256, &wanted.md5) {
            (Some(sha256), _) => (Checksum::Sha256(sha256.clone()), Some("sha256")),
            (None, Some(md5)) => (Checksum::Md5(md5.clone()), Some("md5")),
            (None, None) => (Checksum::Unpublished, wanted.size.map(|_| "size")),
        };
        let size = wanted.size.map_or(Size::AtMost(LARGEST), Size::Exact);
        let label = format!("{} {}", self.manifest.name, wanted.path);
        let download = Download { label: &label, addresses: &wanted.addresses, checksum: &checksum, size, target };
        let fetched = self.fetcher.fetch(&download, self.progress, self.cancel)?;
        let bytes = fs_err::metadata(target)?.len();
        if checksum == Checksum::Unpublished {
            let size = if wanted.size.is_some() { "; its size is right" } else { ", nor its size" };
            report.warnings.push(format!(
                "{}: nobody published a checksum of it{size}; sha256 found: {}",
                wanted.path, fetched.sha256
            ));
        }
        let (file, sha256) = (wanted.path.clone(), fetched.sha256);
        report.downloaded.push(Downloaded { file, address: fetched.address, bytes, sha256, proven_by });
        Ok(())
    }

    /// Imports downloads, and removes them when that succeeds.
    fn import(&self, from: &Path, wanted: &[Wanted], report: &mut FetchReport) -> Result<(), DatasetError> {
        let allow_unreadable = self.options.allow_unreadable;
        let options = ImportOptions { allow_unreadable, link: !self.options.keep_archives };
        match self.library.import(&self.manifest.name, from, options, self.progress, self.cancel) {
            Ok(imported) => report.imported.push(imported),
            Err(error) => {
                // What nobody vouches for and cannot be used must not be found as finished the next time.
                let stopped = matches!(error, DatasetError::Cancelled(_));
                let unproven = wanted.iter().filter(|file| file.sha256.is_none() && file.md5.is_none());
                for file in unproven.filter(|_| !stopped) {
                    let _ = fs_err::remove_file(self.place(file));
                }
                return Err(error);
            }
        }
        let name = &self.manifest.name;
        let mut fetched = self.library.fetched(name);
        fetched.extend(wanted.iter().filter(|file| file.archive).map(|file| file.path.clone()));
        if !fetched.is_empty() {
            fetched.sort();
            fetched.dedup();
            let text = serde_json::to_vec(&fetched).map_err(std::io::Error::from)?;
            write_atomic(&self.library.folder(name).join(FETCHED), &text)?;
        }
        if self.options.keep_archives {
            return Ok(());
        }
        for file in wanted {
            match fs_err::remove_file(self.place(file)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        // Folders that hold nothing any more; others, and what is under way in them, stay.
        for file in wanted {
            let above = self.place(file);
            for folder in above.ancestors().skip(1).take_while(|folder| folder.starts_with(self.library.root())) {
                if folder == self.library.root() || fs_err::remove_dir(folder).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn place(&self, wanted: &Wanted) -> PathBuf {
        let folder = if wanted.archive { self.folder.clone() } else { self.folder.join("files") };
        folder.join(&wanted.path)
    }
}
