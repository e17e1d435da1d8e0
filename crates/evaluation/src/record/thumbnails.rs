//! `thumbnails/<set>/<index>.png`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use oodlab_base::file::write_atomic;
use oodlab_base::text::is_plain_name;
use resvg::tiny_skia::Pixmap;

use super::files::{content, whole};
use super::{RecordError, Thumbnail};

const FOLDER: &str = "thumbnails";
const PNG: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// Bytes of one picture, and pictures of one experiment, at most.
const MOST_BYTES: u64 = 1 << 22;
const MOST_FILES: u64 = 1 << 17;
/// Pixels of a side, at most: thumbnails have 96.
const MOST_SIDE: u32 = 1024;

/// Whether these bytes are a picture of a sensible size: what a header claims is looked at before anything is unpacked.
fn check_picture(png: &[u8]) -> Result<(), String> {
    // Signature, length and name of the first chunk, then width and height.
    let header = png.strip_prefix(&PNG).and_then(|rest| rest.get(8..16)).ok_or("it begins otherwise")?;
    for side in header.chunks_exact(4) {
        let pixels = side.iter().fold(0u32, |value, &byte| value << 8 | u32::from(byte));
        if !(1..=MOST_SIDE).contains(&pixels) {
            return Err(format!("a side of {pixels} pixels, expected 1 to {MOST_SIDE}"));
        }
    }
    Pixmap::decode_png(png).map(|_| ()).map_err(|error| error.to_string())
}

/// Whether each is a PNG file, the only one of its sample.
pub(super) fn check(thumbnails: &[Thumbnail]) -> Result<(), RecordError> {
    let mut seen = BTreeSet::new();
    for picture in thumbnails {
        let what = || format!("thumbnail {} of {}", picture.index, picture.set);
        if picture.png.len() as u64 > MOST_BYTES {
            return Err(content(&what(), "a PNG picture of at most 4 MiB", format!("{} bytes", picture.png.len())));
        }
        check_picture(&picture.png).map_err(|found| content(&what(), "a small PNG picture", found))?;
        if !seen.insert((&picture.set, picture.index)) {
            return Err(content(&what(), "one picture a sample", "two".to_owned()));
        }
    }
    Ok(())
}

/// Writes all, and removes what an earlier run left.
pub(super) fn write(thumbnails: &[Thumbnail], folder: &Path) -> Result<(), RecordError> {
    let folder = folder.join(FOLDER);
    let mut sets: BTreeMap<String, BTreeMap<String, &[u8]>> = BTreeMap::new();
    for picture in thumbnails {
        sets.entry(folder_name(&picture.set)).or_default().insert(format!("{}.png", picture.index), &picture.png);
    }
    for (_, path) in entries(&folder)? {
        if !path.is_dir() {
            continue;
        }
        let kept = path.file_name().and_then(|name| sets.get(&*name.to_string_lossy()));
        for (name, file) in entries(&path)? {
            if name.ends_with(".png") && !kept.is_some_and(|kept| kept.contains_key(&name)) {
                fs_err::remove_file(file)?;
            }
        }
        // Whoever keeps other files there keeps the folder.
        if kept.is_none() && entries(&path)?.is_empty() {
            fs_err::remove_dir(path)?;
        }
    }
    for (set, pictures) in sets {
        let folder = folder.join(set);
        fs_err::create_dir_all(&folder)?;
        for (name, png) in pictures {
            write_atomic(&folder.join(name), png)?;
        }
    }
    if folder.is_dir() && entries(&folder)?.is_empty() {
        fs_err::remove_dir(folder)?;
    }
    Ok(())
}

/// Every picture there is, in the order of (set, index). Files of other names are none of ours.
pub(super) fn read(folder: &Path) -> Result<Vec<Thumbnail>, RecordError> {
    let folder = folder.join(FOLDER);
    let mut thumbnails = Vec::new();
    for (name, path) in entries(&folder)? {
        let Some(set) = set_name(&name).filter(|_| path.is_dir()) else { continue };
        for (name, file) in entries(&path)? {
            let number = name.strip_suffix(".png").and_then(|number| number.parse::<u32>().ok());
            let Some(index) = number.filter(|number| format!("{number}.png") == name) else { continue };
            if thumbnails.len() as u64 == MOST_FILES {
                let found = MOST_FILES + 1;
                return Err(RecordError::TooLarge { path: folder, most: MOST_FILES, found, unit: "pictures" });
            }
            let png = whole(&file, MOST_BYTES)?;
            if let Err(message) = check_picture(&png) {
                return Err(RecordError::Damaged { path: file, what: "PNG", message });
            }
            thumbnails.push(Thumbnail { set: set.clone(), index, png });
        }
    }
    thumbnails.sort_by(|a, b| (&a.set, a.index).cmp(&(&b.set, b.index)));
    Ok(thumbnails)
}

/// Names and paths in a folder, in byte order; none when there is no folder.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, RecordError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut entries = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        // A name that is not UTF-8 is none of ours.
        if let Ok(name) = entry.file_name().into_string() {
            entries.push((name, entry.path()));
        }
    }
    entries.sort();
    Ok(entries)
}

/// A set's name as that of a folder: plain names as they are, other bytes as `%2F`.
fn folder_name(set: &str) -> String {
    if is_plain_name(set) {
        return set.to_owned();
    }
    let mut name = String::new();
    for (at, byte) in set.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || b"-_+=".contains(&byte) || (byte == b'.' && at > 0) {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "%{byte:02X}");
        }
    }
    // A folder needs a name.
    if name.is_empty() { "%".to_owned() } else { name }
}

/// The set that [`folder_name`] gave this name.
fn set_name(folder: &str) -> Option<String> {
    let mut parts = folder.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        if part.is_empty() {
            continue;
        }
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(bytes).ok().filter(|set| folder_name(set) == folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_named_after_its_set_and_names_it() {
        for (set, folder) in [
            ("cifar10", "cifar10"),
            ("a/b", "a%2Fb"),
            ("..", "%2E."),
            (".hidden", "%2Ehidden"),
            ("50%", "50%25"),
            ("é", "%C3%A9"),
            ("", "%"),
        ] {
            assert_eq!(folder_name(set), folder);
            assert_eq!(set_name(folder).as_deref(), Some(set));
        }
        for other in ["a%2", "%zz", "a%%", "b c", "%2e.", "%FF"] {
            assert_eq!(set_name(other), None, "{other}");
        }
    }
}
