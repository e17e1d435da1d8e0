//! IDX: MNIST's format. Big-endian magic `00 00 TYPE DIMENSIONS`, the extents, then the values.

use crate::blob::Blob;
use crate::decode::gzip;

const UNSIGNED_BYTE: u8 = 0x08;

/// The u8 values of an IDX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// Extent of each axis.
    pub shape: Vec<usize>,
    bytes: Vec<u8>,
    header: usize,
}

impl Idx {
    /// Reads a plain or gzip file of u8 with `dimensions` axes.
    ///
    /// # Errors
    /// When the magic number, the type or the number of axes differ, or the length is not the product of the extents.
    pub fn parse(bytes: Vec<u8>, dimensions: usize) -> Result<Idx, String> {
        let Opened { values, shape, header } = open(&Blob::memory(bytes), dimensions)?;
        let bytes = values.whole().map_err(|error| error.to_string())?.into_owned();
        Ok(Idx { shape, bytes, header: header as usize })
    }

    /// Entries along the first axis.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values of one entry along the first axis.
    #[must_use]
    pub fn entry(&self, index: usize) -> Option<&[u8]> {
        let size: usize = self.shape.get(1..)?.iter().product();
        let start = self.header.checked_add(index.checked_mul(size)?)?;
        if index >= self.len() { None } else { self.bytes.get(start..start + size) }
    }
}

/// An IDX file whose values are read where they are needed.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The unpacked file.
    pub values: Blob,
    /// Extent of each axis.
    pub shape: Vec<usize>,
    /// Where the values begin.
    pub header: u64,
}

/// Reads the header of a plain or gzip file of u8 with `dimensions` axes, and unpacks it.
///
/// # Errors
/// As [`Idx::parse`].
pub(crate) fn open(file: &Blob, dimensions: usize) -> Result<Opened, String> {
    let header = 4 + 4 * dimensions as u64;
    let begin = |blob: &Blob, length: u64| match blob.slice(0, length.min(blob.len())) {
        Ok(bytes) => Ok(bytes.into_owned()),
        Err(error) => Err(error.to_string()),
    };
    let values = if begin(file, 2)? == [0x1f, 0x8b] {
        // The header tells how much must come out; nothing more is unpacked.
        let (_, expected) = header_of(&gzip::peek(file.reader(), header as usize)?, dimensions)?;
        gzip::spool(file, expected)?
    } else {
        file.clone()
    };
    let (shape, expected) = header_of(&begin(&values, header)?, dimensions)?;
    if values.len() != expected {
        return Err(format!("extents {shape:?} need {expected} bytes with the header, found {}", values.len()));
    }
    Ok(Opened { values, shape, header })
}

/// Extents and length of the whole file.
fn header_of(bytes: &[u8], dimensions: usize) -> Result<(Vec<usize>, u64), String> {
    let header = 4 + 4 * dimensions;
    let Some((&[zero0, zero1, kind, axes], rest)) =
        bytes.get(..header).and_then(|bytes| bytes.split_first_chunk::<4>())
    else {
        return Err(format!("{} bytes are too short for an IDX header of {header}", bytes.len()));
    };
    if (zero0, zero1) != (0, 0) || kind != UNSIGNED_BYTE || usize::from(axes) != dimensions {
        return Err(format!(
            "expected the IDX magic number 000008{dimensions:02x}, found {zero0:02x}{zero1:02x}{kind:02x}{axes:02x}"
        ));
    }
    let shape: Vec<usize> = rest.as_chunks::<4>().0.iter().map(|&extent| u32::from_be_bytes(extent) as usize).collect();
    let too_large = || format!("extents {shape:?} are larger than any file");
    let values = shape.iter().try_fold(1u64, |product, &extent| product.checked_mul(extent as u64));
    let total = values.and_then(|values| values.checked_add(header as u64)).ok_or_else(too_large)?;
    if usize::try_from(total).is_err() {
        return Err(too_large());
    }
    Ok((shape, total))
}

/// Writes an IDX file of u8; the format holds at most 255 axes.
#[must_use]
pub fn write(shape: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, UNSIGNED_BYTE, shape.len() as u8];
    bytes.extend(shape.iter().flat_map(|extent| extent.to_be_bytes()));
    bytes.extend_from_slice(values);
    bytes
}

/// Runs the decoder on arbitrary bytes.
pub fn fuzz(bytes: &[u8]) {
    for dimensions in [1, 3] {
        if let Ok(idx) = Idx::parse(bytes.to_vec(), dimensions) {
            for index in [0, 1, idx.len().saturating_sub(1), usize::MAX] {
                let _ = idx.entry(index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_and_packed_are_the_same() {
        let file = write(&[2, 1, 2], &[1, 2, 3, 4]);
        let plain = Idx::parse(file.clone(), 3).expect("valid");
        assert_eq!((plain.len(), plain.entry(1), plain.entry(2)), (2, Some(&[3, 4][..]), None));
        assert_eq!(Idx::parse(gzip::pack(&file).expect("packing into memory"), 3), Ok(plain));
    }

    #[test]
    fn headers_are_held_to_the_length() {
        let file = write(&[2, 1, 2], &[1, 2, 3, 4]);
        let mut longer = file.clone();
        longer.push(0);
        let lying = write(&[u32::MAX, u32::MAX, u32::MAX], &[1]);
        for bad in
            [file[..19].to_vec(), longer.clone(), lying.clone(), file[..3].to_vec(), vec![], write(&[4], &[0; 4])]
        {
            let packed = gzip::pack(&bad).expect("packing into memory");
            assert!(Idx::parse(bad, 3).is_err());
            assert!(Idx::parse(packed, 3).is_err());
        }
    }
}
