//! Unpacking gzip with a bound on what comes out.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use crate::blob::Blob;

/// DEFLATE cannot make more than this of one byte (1032, rounded up).
pub const LARGEST_RATIO: u64 = 1040;

/// Unpacks all members of a gzip file; an output above `limit` bytes is an error, found before it is allocated.
///
/// # Errors
/// What is wrong with the data: not gzip, cut off, wrong checksum, too large.
pub fn unpack(bytes: &[u8], limit: u64) -> Result<Vec<u8>, String> {
    let limit = limit.min(bytes.len() as u64 * LARGEST_RATIO);
    let mut out = Vec::new();
    let mut reader = MultiGzDecoder::new(bytes).take(limit + 1);
    reader.read_to_end(&mut out).map_err(|error| format!("damaged or truncated gzip data: {error}"))?;
    if out.len() as u64 > limit {
        return Err(format!("gzip data unpacks to more than the {limit} bytes allowed"));
    }
    Ok(out)
}

/// Unpacks all members of a gzip file, a long one to the disk; an output above `limit` bytes is an error.
pub(crate) fn spool(packed: &Blob, limit: u64) -> Result<Blob, String> {
    let limit = limit.min(packed.len().saturating_mul(LARGEST_RATIO));
    Blob::spool(MultiGzDecoder::new(packed.reader()), limit)
        .map_err(|error| format!("damaged or truncated gzip data: {error}"))
}

/// The first `count` unpacked bytes, fewer when there are fewer.
///
/// # Errors
/// When the data is not gzip or is damaged so early.
pub fn peek(packed: impl Read, count: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut reader = MultiGzDecoder::new(packed).take(count as u64);
    reader.read_to_end(&mut out).map_err(|error| format!("damaged or truncated gzip data: {error}"))?;
    Ok(out)
}

/// Packs bytes; always the same output for the same input (no time stamp).
///
/// # Errors
/// Never in practice: the output is memory.
pub fn pack(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    use std::io::Write;
    let mut writer = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::best());
    writer.write_all(bytes)?;
    writer.finish()
}

/// Runs the decoder on arbitrary bytes.
pub fn fuzz(bytes: &[u8]) {
    let _ = unpack(bytes, 1 << 20);
    let _ = peek(bytes, 16);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bombs_and_cuts_are_refused() {
        let packed = pack(&[0; 100_000]).expect("packing into memory");
        assert_eq!(unpack(&packed, 100_000).map(|bytes| bytes.len()), Ok(100_000));
        assert!(unpack(&packed, 99_999).is_err_and(|what| what.contains("99999")));
        assert!(unpack(&packed[..packed.len() - 9], 100_000).is_err());
        assert_eq!(peek(packed.as_slice(), 3), Ok(vec![0; 3]));
    }
}
