//! numpy's `.npz`: a zip file of `.npy` arrays.

use std::io::{Read, Seek, SeekFrom};

use zip::{CompressionMethod, ZipArchive};

use crate::FormatError;
use crate::npy::{self, Header};

/// Packed arrays may be this many times larger than the file ..
const LARGEST_RATIO: u64 = 64;
/// .. and so much more: a small file may hold nothing but zeros.
const ALWAYS_ALLOWED: u64 = 16 << 20;

fn bad(what: impl std::fmt::Display) -> FormatError {
    FormatError(format!("not an npz file: {what}"))
}

/// An open file: only its directory was read.
pub struct Npz<R> {
    archive: ZipArchive<R>,
    names: Vec<String>,
    allowed: u64,
}

impl<R: Read + Seek> Npz<R> {
    /// Reads the directory.
    ///
    /// # Errors
    /// When it is damaged, or two entries have one name or share their bytes.
    pub fn open(mut input: R) -> Result<Npz<R>, FormatError> {
        let length = input.seek(SeekFrom::End(0)).map_err(bad)?;
        input.rewind().map_err(bad)?;
        let damaged = |error| bad(format!("damaged or truncated zip: {error}"));
        let mut archive = ZipArchive::new(input).map_err(damaged)?;
        if archive.has_overlapping_files().map_err(damaged)? {
            return Err(bad("two arrays share their bytes"));
        }
        let mut names = Vec::new();
        for index in 0..archive.len() {
            let Some(Ok(name)) = archive.name_for_index(index) else { return Err(bad("a name that is not text")) };
            names.extend(name.strip_suffix(".npy").map(str::to_owned));
        }
        let mut seen = std::collections::BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(bad(format!("two arrays are named {twice:?}")));
        }
        let allowed = length.saturating_mul(LARGEST_RATIO).saturating_add(ALWAYS_ALLOWED);
        Ok(Npz { archive, names, allowed })
    }

    /// Every array's name, in the order of the directory.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Hands an array's header and elements to `read`, which takes in all of them; then the checksum is compared.
    ///
    /// An array may unpack to 64 times the file and 16 MiB; an unpacked one lies in the file.
    ///
    /// # Errors
    /// When there is none of that name, it is damaged or too large for its file, or `read` fails.
    pub fn read<T, E: From<FormatError>>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Header, &mut dyn Read) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut entry = self.archive.by_name(&format!("{name}.npy")).map_err(bad)?;
        let header = npy::read_header(&mut entry)?;
        let (expected, found) = (header.data_bytes()?, entry.size().saturating_sub(header.size_bytes));
        if expected != found {
            return Err(bad(format!("{expected} bytes of elements expected, {found} there")).into());
        }
        let packed = entry.compressed_size();
        let stored = entry.compression() == CompressionMethod::Stored;
        if expected > if stored { packed } else { self.allowed } {
            let what = format!("{packed} packed bytes become {expected}; save it with numpy.savez, unpacked");
            return Err(bad(what).into());
        }
        let value = read(&header, &mut entry)?;
        // The checksum is compared when the end is read.
        let more = entry.read(&mut [0]).map_err(|error| bad(format!("damaged data: {error}")))?;
        if more > 0 { Err(bad("bytes behind the elements").into()) } else { Ok(value) }
    }

    /// Header of an array that is stored as it is, and where in the file its elements begin; `None` where it is packed. Its
    /// checksum is not compared, nor its length with the file's.
    ///
    /// # Errors
    /// When there is none of that name, or its header is damaged.
    pub fn stored(&mut self, name: &str) -> Result<Option<(Header, u64)>, FormatError> {
        let mut entry = self.archive.by_name(&format!("{name}.npy")).map_err(bad)?;
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Ok(None);
        }
        let header = npy::read_header(&mut entry)?;
        let (expected, found) = (header.data_bytes()?, entry.size().saturating_sub(header.size_bytes));
        if expected != found {
            return Err(bad(format!("{expected} bytes of elements expected, {found} there")));
        }
        let begin = entry.data_start().and_then(|begin| begin.checked_add(header.size_bytes));
        Ok(begin.map(|begin| (header, begin)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(entries: &[(&str, CompressionMethod, Vec<u8>)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, method, bytes) in entries {
            writer.start_file(*name, SimpleFileOptions::default().compression_method(*method)).expect("into memory");
            writer.write_all(bytes).expect("into memory");
        }
        writer.finish().expect("into memory").into_inner()
    }

    fn array(values: &[u8]) -> Vec<u8> {
        [npy::header("|u1", &[values.len()]), values.to_vec()].concat()
    }

    fn elements(npz: &[u8], name: &str) -> Result<Vec<u8>, FormatError> {
        Npz::open(Cursor::new(npz))?.read(name, |_, elements| {
            let mut values = Vec::new();
            elements.read_to_end(&mut values).map_err(bad)?;
            Ok::<_, FormatError>(values)
        })
    }

    #[test]
    fn packed_and_stored_arrays_are_read_and_stored_ones_found() {
        let (stored, packed) = (CompressionMethod::Stored, CompressionMethod::Deflated);
        let npz = archive(&[
            ("a.npy", stored, array(b"first")),
            ("b.npy", packed, array(b"second")),
            ("c.txt", stored, vec![]),
        ]);
        let mut file = Npz::open(Cursor::new(&npz)).expect("valid");
        assert_eq!(file.names(), ["a", "b"]);
        let (header, begin) = file.stored("a").expect("valid").expect("stored");
        assert_eq!((&npz[begin as usize..begin as usize + 5], header.shape), (&b"first"[..], vec![5]));
        assert_eq!(file.stored("b"), Ok(None));
        assert_eq!((elements(&npz, "a"), elements(&npz, "b")), (Ok(b"first".to_vec()), Ok(b"second".to_vec())));
        assert!(elements(&npz, "c").is_err());
        for length in 0..npz.len() {
            assert!(elements(&npz[..length], "a").is_err(), "{length} bytes");
        }
    }

    #[test]
    fn bombs_and_lies_are_refused() {
        let bomb = archive(&[("a.npy", CompressionMethod::Deflated, array(&vec![0; 20 << 20]))]);
        assert!(elements(&bomb, "a").is_err_and(|error| error.0.contains("save it with numpy.savez, unpacked")));
        let mut lying = npy::header("|u1", &[6]);
        lying.extend(b"five.");
        let lying = archive(&[("a.npy", CompressionMethod::Stored, lying)]);
        assert!(elements(&lying, "a").is_err_and(|error| error.0.contains("6 bytes of elements expected, 5 there")));
    }
}
