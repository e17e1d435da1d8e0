//! What is missing of a set, and which files bring it.

use serde::Serialize;

use super::FetchOptions;
use crate::error::DatasetError;
use crate::index::Index;
use crate::library::Library;
use crate::manifest::{Archive, Format, KnownFile, Manifest, Role};

/// A file to download.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// Its name in the manifest.
    pub path: String,
    /// It is an archive, unpacked and not kept.
    pub archive: bool,
    /// Its size, where published.
    pub size: Option<u64>,
    /// Its SHA-256, where published.
    pub sha256: Option<String>,
    /// Its MD5, where published.
    pub md5: Option<String>,
    /// Where it lies, in the order in which they are tried.
    pub addresses: Vec<String>,
}

/// What a fetch would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FetchPlan {
    /// Data set.
    pub name: String,
    /// Licence as the publisher states it.
    pub licence: String,
    /// Everything that was asked for is at hand.
    pub complete: bool,
    /// What would be downloaded. An archive is left out when the one before it held all that was missing.
    pub wanted: Vec<Wanted>,
    /// Their bytes, as far as published.
    pub bytes: u64,
    /// How many of them have no published size.
    pub unknown_sizes: usize,
    /// What is missing and has no address.
    pub unavailable: Vec<String>,
    /// How to get that, as the manifest says.
    pub access: Option<String>,
}

impl FetchPlan {
    /// The bytes for people: `170.5 MB`, `at least 3.2 GB`, `of unknown size`.
    #[must_use]
    pub fn size(&self) -> String {
        let known = match self.bytes as f64 {
            bytes if bytes < 1e6 => format!("{:.1} kB", bytes / 1e3),
            bytes if bytes < 1e9 => format!("{:.1} MB", bytes / 1e6),
            bytes => format!("{:.1} GB", bytes / 1e9),
        };
        match (self.unknown_sizes, self.bytes) {
            (0, _) => known,
            (_, 0) => "of unknown size".to_owned(),
            _ => format!("at least {known}"),
        }
    }
}

impl Library {
    /// What [`Library::fetch`] would download now.
    ///
    /// # Errors
    /// When the set or a split is unknown, or the index is damaged.
    pub fn fetch_plan(&self, name: &str, options: &FetchOptions) -> Result<FetchPlan, DatasetError> {
        let manifest = self.manifest(name)?;
        for split in &options.splits {
            manifest.split(split)?;
        }
        let index = self.index(manifest)?;
        let splits = self.incomplete(manifest, options)?;
        let missing: Vec<&KnownFile> =
            manifest.files.iter().filter(|file| is_missing(manifest, file, &splits, index.as_ref())).collect();
        // Without an index nothing is there, whatever was fetched once.
        let fetched = index.as_ref().map_or(Vec::new(), |_| self.fetched(name));
        let (done, archives): (Vec<&Archive>, Vec<&Archive>) = manifest
            .archives
            .iter()
            .filter(|archive| holds(archive, &splits))
            .partition(|archive| fetched.contains(&archive.path));
        let in_archives = |file: &KnownFile| file.mirrors.is_empty() && !(archives.is_empty() && done.is_empty());
        let (packed, single): (Vec<&KnownFile>, Vec<&KnownFile>) = missing.iter().partition(|file| in_archives(file));
        let folder = matches!(manifest.format, Format::ImageFolder { .. });
        let archives = if folder || !packed.is_empty() { archives } else { Vec::new() };
        let wanted = single.iter().map(|file| Wanted::file(manifest, file, options));
        let wanted = wanted.chain(archives.iter().map(|archive| Wanted::archive(manifest, archive, options)));
        let (wanted, without): (Vec<Wanted>, Vec<Wanted>) = wanted.partition(|wanted| !wanted.addresses.is_empty());
        // Of several archives that hold the same, one address is enough.
        let archive_at_hand = wanted.iter().any(|wanted| wanted.archive);
        let mut unavailable: Vec<String> =
            without.into_iter().filter(|file| !(file.archive && archive_at_hand)).map(|file| file.path).collect();
        if (folder || !done.is_empty()) && archives.is_empty() && !splits.is_empty() {
            let why = if done.is_empty() { "" } else { " that the published archives lack" };
            unavailable.extend(splits.iter().map(|split| format!("images of split {split}{why}")));
        }
        let access = manifest.access.clone().filter(|_| !unavailable.is_empty());
        Ok(FetchPlan {
            name: name.to_owned(),
            licence: manifest.licence.clone(),
            complete: splits.is_empty() && missing.is_empty(),
            bytes: wanted.iter().filter_map(|wanted| wanted.size).sum(),
            unknown_sizes: wanted.iter().filter(|wanted| wanted.size.is_none()).count(),
            wanted,
            unavailable,
            access,
        })
    }

    /// The splits that are asked for and not all at hand.
    fn incomplete(&self, manifest: &Manifest, options: &FetchOptions) -> Result<Vec<String>, DatasetError> {
        let status = self.status(&manifest.name)?;
        let asked = |split: &&String| options.splits.is_empty() || options.splits.contains(split);
        let lacks = |split: &&String| {
            status
                .splits
                .get(*split)
                .is_none_or(|count| count.found == 0 || count.expected.is_some_and(|expected| count.found < expected))
        };
        Ok(manifest.splits.keys().filter(asked).filter(lacks).cloned().collect())
    }

    /// Whether an archive can still hold something that is missing. Where nobody knows how many images there are, it can.
    pub(super) fn still_wants(
        &self,
        manifest: &Manifest,
        options: &FetchOptions,
        wanted: &Wanted,
    ) -> Result<bool, DatasetError> {
        let Some(archive) = manifest.archives.iter().find(|archive| archive.path == wanted.path) else {
            return Ok(false);
        };
        let incomplete = self.incomplete(manifest, options)?;
        let unknown: Vec<String> =
            manifest.splits.iter().filter(|(_, split)| split.images.is_none()).map(|(name, _)| name.clone()).collect();
        let asked = |split: &String| options.splits.is_empty() || options.splits.contains(split);
        let unknown: Vec<String> = unknown.into_iter().filter(asked).collect();
        Ok(holds(archive, &incomplete) || holds(archive, &unknown))
    }
}

impl Wanted {
    fn file(manifest: &Manifest, file: &KnownFile, options: &FetchOptions) -> Wanted {
        Wanted {
            path: file.path.clone(),
            archive: false,
            size: file.size,
            sha256: file.sha256.clone(),
            md5: file.md5.clone(),
            addresses: addresses(manifest, file.file_name(), &file.mirrors, options),
        }
    }

    fn archive(manifest: &Manifest, archive: &Archive, options: &FetchOptions) -> Wanted {
        Wanted {
            path: archive.path.clone(),
            archive: true,
            size: archive.size,
            sha256: archive.sha256.clone(),
            md5: archive.md5.clone(),
            addresses: addresses(manifest, &archive.path, &archive.mirrors, options),
        }
    }
}

/// The person's own mirror first.
fn addresses(manifest: &Manifest, file: &str, mirrors: &[String], options: &FetchOptions) -> Vec<String> {
    let own = options.mirror.as_deref().map(|mirror| mirror.trim_end_matches('/'));
    let own =
        own.into_iter().flat_map(|mirror| [format!("{mirror}/{}/{file}", manifest.name), format!("{mirror}/{file}")]);
    own.chain(mirrors.iter().cloned()).collect()
}

/// Whether an archive holds files of one of these splits.
fn holds(archive: &Archive, splits: &[String]) -> bool {
    !splits.is_empty() && (archive.splits.is_empty() || archive.splits.iter().any(|split| splits.contains(split)))
}

/// Whether a file belongs to one of these splits and was not imported.
fn is_missing(manifest: &Manifest, file: &KnownFile, splits: &[String], index: Option<&Index>) -> bool {
    let wanted = match file.role {
        Role::Marker => false,
        Role::Images | Role::Labels => splits.iter().any(|split| file.is_of(split)),
        Role::List => splits.iter().filter_map(|split| manifest.splits.get(split)?.list.as_ref()).any(|list| {
            list.file == file.path || list.labels_from.as_deref().is_some_and(|labels| labels.file == file.path)
        }),
    };
    let there = |path: &str| index.and_then(|index| index.file(path)).is_some_and(|file| file.unreadable.is_none());
    wanted && !there(&file.path) && !file.path.strip_suffix(".gz").is_some_and(there)
}
