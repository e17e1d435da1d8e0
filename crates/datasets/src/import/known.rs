//! Whether a file is a known one, and what is wrong with one that should be.

use super::scan::{Digests, Found, Scan};
use crate::error::DatasetError;
use crate::manifest::{Archive, KnownFile};

/// The split that a known file is recorded under; a list belongs to those that name it.
pub(super) fn first_split(known: &KnownFile) -> &str {
    known.split.as_ref().or(known.splits.first()).map_or("", String::as_str)
}

pub(super) enum Form {
    AsPublished,
    Unpacked,
}

/// Whether a file is this known file, by its checksum.
pub(super) fn form_of(known: &KnownFile, file: &Found) -> Option<Form> {
    let digests = file.digests.as_ref()?;
    if is_sum(&known.sha256, &known.md5, digests) {
        return Some(Form::AsPublished);
    }
    (known.unpacked_sha256.as_ref() == Some(&digests.sha256)).then_some(Form::Unpacked)
}

/// Whether a file has the published checksum, the stronger one where there are two.
pub(super) fn is_sum(sha256: &Option<String>, md5: &Option<String>, digests: &Digests) -> bool {
    match (sha256, md5) {
        (Some(sha256), _) => *sha256 == digests.sha256,
        (None, Some(md5)) => *md5 == digests.md5,
        (None, None) => false,
    }
}

pub(super) fn has_checksum(archive: &Archive) -> bool {
    archive.sha256.is_some() || archive.md5.is_some()
}

/// What was published of a file.
pub(super) struct Published<'a> {
    pub size: Option<u64>,
    pub sha256: Option<&'a String>,
    pub md5: Option<&'a String>,
}

pub(super) fn mismatch_of(scan: &Scan, set: &str, known: &KnownFile, file: &Found) -> DatasetError {
    let unpacked = Some(file.file_name()) == known.unpacked_name() && file.file_name() != known.file_name();
    let published = if unpacked {
        Published { size: known.unpacked_size, sha256: known.unpacked_sha256.as_ref(), md5: None }
    } else {
        Published { size: known.size, sha256: known.sha256.as_ref(), md5: known.md5.as_ref() }
    };
    mismatch(scan, set, &known.path, &published, file)
}

pub(super) fn mismatch(scan: &Scan, set: &str, name: &str, published: &Published<'_>, file: &Found) -> DatasetError {
    let &Published { size, sha256, md5 } = published;
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
        file: name.to_owned(),
        expected: describe(size, expected),
        found: describe(Some(file.size), found),
    }
}
