//! Zip files of images: what lies where, and one entry at a time.

use std::borrow::Cow;
use std::io::{BufReader, Cursor, Read, Seek};

use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use crate::blob::Blob;
use crate::decode::gzip::LARGEST_RATIO;
use crate::decode::picture::ENDINGS;
use crate::manifest::is_inside;

/// More entries than this are refused.
const MOST_ENTRIES: usize = 4_000_000;
/// An entry larger than this is refused.
const LARGEST_ENTRY: u64 = 1 << 30;

/// An image file inside a zip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path inside the archive.
    pub name: Box<str>,
    start: u64,
    packed: u64,
    size: u64,
    stored: bool,
    crc: u32,
}

/// The picture entries in the archive's order; folders, links and files of other kinds are left out.
///
/// # Errors
/// A damaged archive, an encrypted or oddly packed image, a path that leaves the archive, a size that its data cannot hold.
pub fn entries(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    list(Cursor::new(bytes), bytes.len() as u64)
}

/// [`entries`] of an archive of any size.
pub(crate) fn entries_of(blob: &Blob) -> Result<Vec<Entry>, String> {
    match blob {
        Blob::Memory(bytes) => entries(bytes),
        Blob::File { len, .. } => list(BufReader::new(blob.reader()), *len),
    }
}

fn list(archive: impl Read + Seek, length: u64) -> Result<Vec<Entry>, String> {
    let mut archive = ZipArchive::new(archive).map_err(|error| format!("damaged or truncated zip file: {error}"))?;
    if archive.len() > MOST_ENTRIES {
        return Err(format!("{} entries are more than the {MOST_ENTRIES} allowed", archive.len()));
    }
    let mut found = Vec::new();
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(|error| format!("entry {index}: {error}"))?;
        let name = std::str::from_utf8(file.name_raw()).map_err(|_| format!("entry {index}: name is not UTF-8"))?;
        if file.is_dir() || file.is_symlink() || !is_image_name(name) {
            continue;
        }
        if !is_inside(name) {
            return Err(format!("entry {name:?} leaves the archive"));
        }
        let stored = match file.compression() {
            CompressionMethod::Stored => true,
            CompressionMethod::Deflated => false,
            other => return Err(format!("entry {name:?}: compression {other} is not supported")),
        };
        if file.encrypted() {
            return Err(format!("entry {name:?} is encrypted"));
        }
        let (packed, size) = (file.compressed_size(), file.size());
        if size > LARGEST_ENTRY || size > packed.saturating_mul(if stored { 1 } else { LARGEST_RATIO }) {
            return Err(format!("entry {name:?}: {packed} bytes cannot hold {size}"));
        }
        let start = file.data_start().ok_or_else(|| format!("entry {name:?}: no data"))?;
        if start.checked_add(packed).is_none_or(|end| end > length) {
            return Err(format!("entry {name:?} lies outside of the file"));
        }
        found.push(Entry { name: name.into(), start, packed, size, stored, crc: file.crc32() });
    }
    Ok(found)
}

/// The bytes of an entry, unpacked, its length and checksum proven.
///
/// # Errors
/// Damaged data.
pub fn read(bytes: &[u8], entry: &Entry) -> Result<Vec<u8>, String> {
    let range = usize::try_from(entry.start).ok().zip(usize::try_from(entry.packed).ok());
    let packed = range.and_then(|(start, packed)| bytes.get(start..)?.get(..packed));
    unpack(packed.ok_or("an entry outside of the file")?, entry)
}

/// [`read`] in two steps: the bytes as they lie in the archive.
pub(crate) fn packed<'a>(blob: &'a Blob, entry: &Entry) -> std::io::Result<Cow<'a, [u8]>> {
    blob.slice(entry.start, entry.packed)
}

/// [`read`] in two steps: what [`packed`] gave, unpacked and proven.
pub(crate) fn unpack(packed: &[u8], entry: &Entry) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let result = if entry.stored {
        out.extend_from_slice(packed);
        Ok(0)
    } else {
        DeflateDecoder::new(packed).take(entry.size + 1).read_to_end(&mut out)
    };
    result.map_err(|error| format!("damaged data: {error}"))?;
    let mut crc = flate2::Crc::new();
    crc.update(&out);
    if out.len() as u64 != entry.size || crc.sum() != entry.crc {
        return Err(format!(
            "damaged data: expected {} bytes with CRC {:08x}, found {} with {:08x}",
            entry.size,
            entry.crc,
            out.len(),
            crc.sum()
        ));
    }
    Ok(out)
}

/// Whether a name ends as that of a picture that can be read, and is not hidden.
pub(crate) fn is_image_name(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let extension = file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    !file.starts_with('.') && extension.is_some_and(|extension| ENDINGS.contains(&extension.as_str()))
}

/// The ending of a file's name, when it is that of a picture that nothing here reads.
pub(crate) fn foreign_image_ending(name: &str) -> Option<String> {
    const FOREIGN: [&str; 8] = ["tif", "tiff", "avif", "heic", "jxl", "jp2", "tga", "ico"];
    let file = name.rsplit('/').next().unwrap_or(name);
    let (_, ending) = file.rsplit_once('.')?;
    let ending = ending.to_ascii_lowercase();
    (!file.starts_with('.') && FOREIGN.contains(&ending.as_str())).then_some(ending)
}

/// Runs the decoder on arbitrary bytes.
pub fn fuzz(bytes: &[u8]) {
    for entry in entries(bytes).unwrap_or_default() {
        let _ = read(bytes, &entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    pub(crate) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).expect("writing into memory");
            writer.write_all(bytes).expect("writing into memory");
        }
        writer.finish().expect("writing into memory").into_inner()
    }

    #[test]
    fn images_are_listed_in_order_and_read() {
        let bytes = archive(&[("b/2.png", b"two"), ("readme.txt", b"no"), ("a/1.PNG", &[0; 500]), ("a/.x.png", b"no")]);
        let found = entries(&bytes).expect("valid");
        assert_eq!(found.iter().map(|entry| &*entry.name).collect::<Vec<_>>(), ["b/2.png", "a/1.PNG"]);
        assert_eq!(read(&bytes, &found[0]), Ok(b"two".to_vec()));
        assert_eq!(read(&bytes, &found[1]), Ok(vec![0; 500]));
        // The same from a file that is not taken into memory.
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(&bytes).expect("writable");
        let blob = Blob::file(file).expect("an open file");
        assert_eq!(entries_of(&blob), Ok(found.clone()));
        assert_eq!(unpack(&packed(&blob, &found[1]).expect("inside"), &found[1]), Ok(vec![0; 500]));
    }

    #[test]
    fn escapes_and_damage_are_errors() {
        assert!(entries(&archive(&[("../1.png", b"x")])).is_err_and(|what| what.contains("leaves")));
        let bytes = archive(&[("1.png", &[0; 500])]);
        assert!(entries(&bytes[..bytes.len() - 30]).is_err());
        let mut damaged = bytes.clone();
        damaged[36] ^= 1;
        assert!(entries(&damaged).is_ok_and(|found| read(&damaged, &found[0]).is_err()));
    }
}
