//! LMDB databases of pictures (LSUN), turned into tar files.
//!
//! The C library maps a database into memory and believes every offset in it: a damaged file ends the process. Here pages are
//! read like those of any other file, each place is checked, and no lock file is needed: a database on a read-only disk can be
//! read, and a damaged one is an error. Databases of 64-bit little-endian machines are read, which all published ones are.

mod tree;

use std::io::{self, Write};
use std::path::Path;

use oodlab_base::{Cancel, Progress};

use crate::blob::Blob;
use crate::error::DatasetError;
use tree::Tree;

/// Name of the file in a database's folder.
pub const FILE: &str = "data.mdb";

/// Writes every value of a database's main table, in the order of the keys, as a file of a tar archive. Its name is the key and
/// an ending by what the value is: `<key>.webp`. The same values give the same bytes.
///
/// `path` is the folder with `data.mdb`, or the file itself. Returns the number of pictures.
///
/// # Errors
/// When it is no database, is damaged or truncated, has a value that is no picture, or cannot be read or written.
pub fn to_tar(path: &Path, out: &mut dyn Write, progress: &dyn Progress, cancel: &Cancel) -> Result<u64, DatasetError> {
    let file = if path.is_dir() { path.join(FILE) } else { path.to_owned() };
    let shown = file.display().to_string();
    let blob = Blob::file(fs_err::File::open(&file)?.into_parts().0)?;
    let fail = |what: String| DatasetError::decode(&shown, what);
    let tree = Tree::open(&blob).map_err(fail)?;
    let task = progress.task(&format!("read {shown}"), "pictures", tree.entries(), 0);
    let mut failure = None;
    let written = write(&tree, out, &mut || {
        task.advance(1);
        cancel.check().map_err(|cancelled| {
            failure = Some(DatasetError::Cancelled(cancelled));
            "cancelled".into()
        })
    });
    written.map_err(|error| match (failure, error) {
        (Some(failure), _) => failure,
        (None, Failure::Database(what)) => fail(what),
        (None, Failure::Output(error)) => error.into(),
    })
}

/// What stopped the writing.
enum Failure {
    Database(String),
    Output(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}

fn write(tree: &Tree, out: &mut dyn Write, each: &mut dyn FnMut() -> Result<(), String>) -> Result<u64, Failure> {
    let mut archive = tar::Builder::new(out);
    let mut count = 0;
    tree.walk(&mut |key, value| {
        let mut name = name_of(key);
        let what = || Failure::Database(format!("the value of key {name} is no picture"));
        let ending = ending_of(value).ok_or_else(what)?;
        name.push_str(ending);
        let mut header = tar::Header::new_gnu();
        header.set_size(value.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, &name, value)?;
        count += 1;
        each().map_err(Failure::Database)
    })?;
    archive.into_inner()?.flush()?;
    Ok(count)
}

/// A key as a file's name: letters, digits, `-`, `_` and points as they are, anything else, and a first point, as `%` and its
/// code. Different keys have different names.
fn name_of(key: &[u8]) -> String {
    let mut name = String::with_capacity(key.len() + 5);
    for (place, &byte) in key.iter().enumerate() {
        match byte {
            b'.' if place > 0 => name.push('.'),
            b'-' | b'_' => name.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => name.push(char::from(byte)),
            byte => name.push_str(&format!("%{byte:02x}")),
        }
    }
    name
}

/// The ending of a picture's file, by its first bytes.
fn ending_of(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(".webp"),
        [0xff, 0xd8, 0xff, ..] => Some(".jpg"),
        [0x89, b'P', b'N', b'G', ..] => Some(".png"),
        [b'G', b'I', b'F', b'8', ..] => Some(".gif"),
        [b'B', b'M', ..] => Some(".bmp"),
        _ => None,
    }
}

/// Runs the reader on arbitrary bytes.
pub fn fuzz(bytes: &[u8]) {
    if let Ok(tree) = Tree::open(&Blob::memory(bytes.to_vec())) {
        let _ = write(&tree, &mut io::sink(), &mut || Ok(()));
    }
}

#[cfg(test)]
mod tests;
