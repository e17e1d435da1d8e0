//! The bytes of one part: the payload, then a trailer, so that one rename commits both.
//!
//! Trailer, 48 bytes: payload length (u64, little-endian), BLAKE3 of the payload, magic.

use std::io::{Read, Seek, SeekFrom, Write};

/// The last eight bytes of every part.
const MAGIC: [u8; 8] = *b"OODPART1";

/// Bytes of a trailer.
pub(crate) const TRAILER_BYTES: usize = 8 + 32 + 8;

/// The name of the file of a part.
pub(crate) fn file_name(index: usize) -> String {
    format!("part-{index:05}")
}

/// The part whose file has this name.
pub(crate) fn index_of(name: &str) -> Option<usize> {
    name.strip_prefix("part-")?.parse().ok().filter(|&index| file_name(index) == name)
}

/// What a part says about its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub(crate) size_bytes: u64,
    pub(crate) checksum: blake3::Hash,
}

impl Trailer {
    /// The trailer of a payload.
    pub(crate) fn of(payload: &[u8]) -> Trailer {
        Trailer { size_bytes: payload.len() as u64, checksum: blake3::hash(payload) }
    }

    fn encode(&self) -> [u8; TRAILER_BYTES] {
        let mut bytes = [0; TRAILER_BYTES];
        bytes[..8].copy_from_slice(&self.size_bytes.to_le_bytes());
        bytes[8..40].copy_from_slice(self.checksum.as_bytes());
        bytes[40..].copy_from_slice(&MAGIC);
        bytes
    }

    /// Reads a trailer that must fit a file of `file_bytes` bytes.
    fn decode(bytes: &[u8; TRAILER_BYTES], file_bytes: u64) -> Result<Trailer, String> {
        if bytes[40..] != MAGIC {
            return Err("its end is not that of a part: it was cut off or overwritten".to_owned());
        }
        let (mut size, mut checksum) = ([0; 8], [0; 32]);
        size.copy_from_slice(&bytes[..8]);
        checksum.copy_from_slice(&bytes[8..40]);
        let size_bytes = u64::from_le_bytes(size);
        if size_bytes.checked_add(TRAILER_BYTES as u64) != Some(file_bytes) {
            return Err(format!("it says that it holds {size_bytes} bytes, and the file has {file_bytes}"));
        }
        Ok(Trailer { size_bytes, checksum: blake3::Hash::from_bytes(checksum) })
    }
}

/// Writes payload and trailer.
pub(crate) fn write(mut file: impl Write, payload: &[u8]) -> std::io::Result<()> {
    file.write_all(payload)?;
    file.write_all(&Trailer::of(payload).encode())
}

/// Takes the trailer off a part's bytes, after comparing the checksum; else says what is wrong with them.
pub(crate) fn open(mut bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let Some(trailer) = bytes.last_chunk::<TRAILER_BYTES>() else {
        return Err(format!("it has {} bytes, fewer than the trailer of a part", bytes.len()));
    };
    let trailer = Trailer::decode(trailer, bytes.len() as u64)?;
    bytes.truncate(bytes.len() - TRAILER_BYTES);
    let found = blake3::hash(&bytes);
    if found != trailer.checksum {
        return Err(format!("its checksum should be {} and is {}", trailer.checksum.to_hex(), found.to_hex()));
    }
    Ok(bytes)
}

/// Reads only the trailer of a part: enough to list it, not to trust it. The inner error says what is wrong with it.
pub(crate) fn peek(mut file: impl Read + Seek) -> std::io::Result<Result<Trailer, String>> {
    let file_bytes = file.seek(SeekFrom::End(0))?;
    if file_bytes < TRAILER_BYTES as u64 {
        return Ok(Err(format!("it has {file_bytes} bytes, fewer than the trailer of a part")));
    }
    file.seek(SeekFrom::End(-(TRAILER_BYTES as i64)))?;
    let mut bytes = [0; TRAILER_BYTES];
    file.read_exact(&mut bytes)?;
    Ok(Trailer::decode(&bytes, file_bytes))
}

/// Compares a part's checksum block by block: no part has to fit into memory. `read` is told how many bytes were read. The
/// inner error says what is wrong with the part.
pub(crate) fn verify(mut file: impl Read + Seek, read: &dyn Fn(u64)) -> std::io::Result<Result<Trailer, String>> {
    let trailer = match peek(&mut file)? {
        Ok(trailer) => trailer,
        Err(reason) => return Ok(Err(reason)),
    };
    file.seek(SeekFrom::Start(0))?;
    let mut payload = file.take(trailer.size_bytes);
    let mut hasher = blake3::Hasher::new();
    let mut block = vec![0; 1 << 18];
    loop {
        match payload.read(&mut block)? {
            0 => break,
            count => {
                hasher.update(&block[..count]);
                read(count as u64);
            }
        }
    }
    let found = hasher.finalize();
    Ok(if found == trailer.checksum {
        Ok(trailer)
    } else {
        Err(format!("its checksum should be {} and is {}", trailer.checksum.to_hex(), found.to_hex()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let mut bytes = Vec::new();
        write(&mut bytes, b"payload").expect("writing to memory");
        assert_eq!(open(bytes.clone()).as_deref(), Ok(&b"payload"[..]));
        assert!(verify(std::io::Cursor::new(&bytes), &|_| ()).expect("reading from memory").is_ok());
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let told = verify(std::io::Cursor::new(&damaged), &|_| ()).expect("reading from memory");
            assert!(open(damaged).is_err() && told.is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(open(bytes[..length].to_vec()).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn the_trailer_can_be_read_alone() {
        let mut bytes = Vec::new();
        write(&mut bytes, b"").expect("writing to memory");
        assert_eq!(peek(std::io::Cursor::new(&bytes)).expect("reading from memory"), Ok(Trailer::of(b"")));
        assert!(peek(std::io::Cursor::new(&bytes[1..])).expect("reading from memory").is_err());
    }
}
