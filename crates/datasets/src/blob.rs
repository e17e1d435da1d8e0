//! The bytes of one file, read where they are needed: small ones from memory, large ones from the disk.

use std::borrow::Cow;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

/// Files up to this size are kept in memory.
pub(crate) const IN_MEMORY: u64 = 64 << 20;
/// Bytes of a block, where a stream is copied.
const BLOCK: usize = 1 << 20;

/// Bytes that can be read at any place, by any number of threads. Clones share them.
#[derive(Debug, Clone)]
pub(crate) enum Blob {
    Memory(Arc<Cow<'static, [u8]>>),
    File { file: Arc<std::fs::File>, len: u64 },
}

impl Blob {
    pub fn memory(bytes: impl Into<Cow<'static, [u8]>>) -> Blob {
        Blob::Memory(Arc::new(bytes.into()))
    }

    /// An open file whose bytes were proven.
    pub fn file(file: std::fs::File) -> io::Result<Blob> {
        let len = file.metadata()?.len();
        Ok(Blob::File { file: Arc::new(file), len })
    }

    /// Takes in a stream whose length is known beforehand to be at most `limit`: in memory while it is short, else in a file
    /// without a name that is gone with the last clone.
    pub fn spool(mut stream: impl Read, limit: u64) -> io::Result<Blob> {
        let too_long = || io::Error::other(format!("more than the {limit} bytes allowed"));
        let mut start = Vec::new();
        let memory = IN_MEMORY.min(limit);
        stream.by_ref().take(memory + 1).read_to_end(&mut start)?;
        if start.len() as u64 <= memory {
            return Ok(Blob::memory(start));
        }
        if limit <= IN_MEMORY {
            return Err(too_long());
        }
        let mut file = tempfile::tempfile()?;
        file.write_all(&start)?;
        let mut len = start.len() as u64;
        drop(start);
        let mut block = vec![0; BLOCK];
        loop {
            let count = stream.read(&mut block)?;
            if count == 0 {
                return Ok(Blob::File { file: Arc::new(file), len });
            }
            len += count as u64;
            if len > limit {
                return Err(too_long());
            }
            file.write_all(&block[..count])?;
        }
    }

    pub fn len(&self) -> u64 {
        match self {
            Blob::Memory(bytes) => bytes.len() as u64,
            Blob::File { len, .. } => *len,
        }
    }

    /// The bytes `offset..offset + len`; an error when they are not all there. Nothing is allocated before that is known.
    pub fn slice(&self, offset: u64, len: u64) -> io::Result<Cow<'_, [u8]>> {
        let end = offset.checked_add(len).filter(|&end| end <= self.len());
        let (Some(end), Ok(length)) = (end, usize::try_from(len)) else {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{len} bytes at {offset} of a file of {}", self.len()),
            ));
        };
        match self {
            Blob::Memory(bytes) => Ok(Cow::Borrowed(&bytes[offset as usize..end as usize])),
            Blob::File { file, .. } => {
                let mut out = vec![0; length];
                read_exact_at(file, &mut out, offset)?;
                Ok(Cow::Owned(out))
            }
        }
    }

    /// All bytes.
    pub fn whole(&self) -> io::Result<Cow<'_, [u8]>> {
        self.slice(0, self.len())
    }

    /// A reader of its own, from the beginning.
    pub fn reader(&self) -> BlobReader {
        BlobReader { blob: self.clone(), at: 0 }
    }
}

#[cfg(unix)]
fn read_exact_at(file: &std::fs::File, out: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, offset)
}

/// Reads a [`Blob`] from front to back, or from where one seeks.
pub(crate) struct BlobReader {
    blob: Blob,
    at: u64,
}

impl Read for BlobReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.blob.len().saturating_sub(self.at).min(out.len() as u64) as usize;
        match &self.blob {
            // A reader may stand behind the end, where nothing is copied.
            _ if count == 0 => {}
            Blob::Memory(bytes) => out[..count].copy_from_slice(&bytes[self.at as usize..self.at as usize + count]),
            Blob::File { file, .. } => read_exact_at(file, &mut out[..count], self.at)?,
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for BlobReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.blob.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "before the beginning of a file"))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> [Blob; 2] {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(b"0123456789").expect("writable");
        [Blob::memory(b"0123456789".to_vec()), Blob::file(file).expect("an open file")]
    }

    #[test]
    fn memory_and_file_read_alike() {
        for blob in both() {
            assert_eq!(blob.slice(3, 4).expect("inside").as_ref(), b"3456");
            assert_eq!(blob.slice(10, 0).expect("the end").as_ref(), b"");
            assert!(blob.slice(8, 3).is_err() && blob.slice(u64::MAX, 2).is_err() && blob.slice(0, u64::MAX).is_err());
            let mut reader = blob.reader();
            reader.seek(SeekFrom::End(-3)).expect("inside");
            let mut rest = String::new();
            reader.read_to_string(&mut rest).expect("readable");
            assert_eq!(rest, "789");
            assert_eq!(reader.seek(SeekFrom::Start(99)).ok(), Some(99));
            assert_eq!(reader.read(&mut [0; 4]).ok(), Some(0));
            assert!(reader.seek(SeekFrom::Current(-100)).is_err());
        }
    }

    #[test]
    fn long_streams_go_to_the_disk_and_stop_at_their_limit() {
        let long = IN_MEMORY + 10;
        let blob = Blob::spool(io::repeat(7).take(long), long).expect("a temporary file");
        assert!(matches!(blob, Blob::File { .. }));
        assert_eq!((blob.len(), blob.slice(long - 2, 2).expect("inside").to_vec()), (long, vec![7, 7]));
        assert!(Blob::spool(io::repeat(7), long).is_err());
        assert!(Blob::spool(io::repeat(7), 100).is_err());
        assert!(matches!(Blob::spool(io::repeat(7).take(100), 100), Ok(Blob::Memory(_))));
    }
}
