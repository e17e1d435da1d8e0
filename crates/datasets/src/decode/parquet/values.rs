//! Values of a page: plain, run-length and bit-packed, and differences.

/// Takes little-endian values of `width` bits, at most 64, from bytes.
fn bits(bytes: &[u8], index: usize, width: u32) -> u64 {
    let first = index * width as usize;
    let (mut value, mut have) = (0u128, 0);
    for &byte in bytes.iter().skip(first / 8).take(9) {
        value |= u128::from(byte) << have;
        have += 8;
    }
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    (value >> (first % 8)) as u64 & mask
}

/// Front of some bytes, and the rest.
pub(super) fn take<'a>(bytes: &mut &'a [u8], count: u64) -> Result<&'a [u8], String> {
    let cut = || format!("a page is cut off: {count} bytes expected, {} there", bytes.len());
    let (front, rest) = bytes.split_at_checked(usize::try_from(count).map_err(|_| cut())?).ok_or_else(cut)?;
    *bytes = rest;
    Ok(front)
}

pub(super) fn take_u32(bytes: &mut &[u8]) -> Result<u32, String> {
    Ok(take(bytes, 4)?.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)))
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number of a page has more than 64 bits".into())
}

fn signed(bytes: &mut &[u8]) -> Result<i64, String> {
    let value = varint(bytes)?;
    Ok((value >> 1) as i64 ^ -((value & 1) as i64))
}

/// `count` values of the hybrid of runs and bit-packed groups of eight.
pub(super) fn hybrid(mut bytes: &[u8], width: u32, count: usize) -> Result<Vec<u32>, String> {
    if width > 32 {
        return Err(format!("values of {width} bits"));
    }
    let mut out = Vec::with_capacity(count);
    if width == 0 {
        out.resize(count, 0);
    }
    while out.len() < count {
        let head = varint(&mut bytes)?;
        let missing = count - out.len();
        if head & 1 == 1 {
            // Writers may leave out the padding of the last group.
            let length = (head >> 1).saturating_mul(u64::from(width)).min(bytes.len() as u64);
            let packed = take(&mut bytes, length)?;
            let there = (packed.len() * 8 / width as usize).min(missing);
            if there == 0 {
                return Err("an empty run in a page".into());
            }
            out.extend((0..there).map(|index| bits(packed, index, width) as u32));
        } else {
            let value = bits(take(&mut bytes, u64::from(width.div_ceil(8)))?, 0, width) as u32;
            let length = (head >> 1).min(missing as u64) as usize;
            if length == 0 {
                return Err("an empty run in a page".into());
            }
            out.resize(out.len() + length, value);
        }
    }
    Ok(out)
}

/// Plain whole numbers of 4 or 8 bytes.
pub(super) fn plain_integers(mut bytes: &[u8], width: u64, count: usize) -> Result<Vec<i64>, String> {
    let bytes = take(&mut bytes, width.saturating_mul(count as u64))?;
    Ok(if width == 4 {
        bytes.as_chunks::<4>().0.iter().map(|&value| i64::from(i32::from_le_bytes(value))).collect()
    } else {
        bytes.as_chunks::<8>().0.iter().map(|&value| i64::from_le_bytes(value)).collect()
    })
}

/// Places of plain byte strings, each behind its length.
pub(super) fn plain_spans(bytes: &[u8], count: usize) -> Result<Vec<(usize, usize)>, String> {
    if count > bytes.len() / 4 {
        return Err(format!("a page of {} bytes cannot hold {count} values", bytes.len()));
    }
    let (mut rest, mut out) = (bytes, Vec::with_capacity(count));
    for _ in 0..count {
        let length = u64::from(take_u32(&mut rest)?);
        let start = bytes.len() - rest.len();
        take(&mut rest, length)?;
        out.push((start, length as usize));
    }
    Ok(out)
}

/// Whole numbers as bit-packed differences (`DELTA_BINARY_PACKED`), from the front of `bytes`; at most `most` of them.
pub(super) fn differences(bytes: &mut &[u8], most: usize) -> Result<Vec<i64>, String> {
    let block = varint(bytes)?;
    let parts = varint(bytes)?;
    let count = varint(bytes)?;
    let mut value = signed(bytes)?;
    if count > most as u64 {
        return Err(format!("{count} values in a page of {most}"));
    }
    if block == 0 || parts == 0 || block > 1 << 20 || block % parts != 0 || (block / parts) % 8 != 0 {
        return Err(format!("blocks of {block} values in {parts} parts"));
    }
    let (count, a_part) = (count as usize, (block / parts) as usize);
    let mut out = Vec::with_capacity(count);
    if count > 0 {
        out.push(value);
    }
    while out.len() < count {
        let least = signed(bytes)?;
        let widths = take(bytes, parts)?;
        for &width in widths {
            if out.len() >= count {
                break;
            }
            if width > 64 {
                return Err(format!("differences of {width} bits"));
            }
            // A part is written whole, also where the values end in it.
            let packed = take(bytes, a_part as u64 / 8 * u64::from(width))?;
            for index in 0..a_part.min(count - out.len()) {
                let difference = bits(packed, index, u32::from(width)) as i64;
                value = value.wrapping_add(least).wrapping_add(difference);
                out.push(value);
            }
        }
    }
    Ok(out)
}

/// Places of byte strings whose lengths stand in front, as differences (`DELTA_LENGTH_BYTE_ARRAY`).
pub(super) fn spans_behind_lengths(bytes: &[u8], count: usize) -> Result<Vec<(usize, usize)>, String> {
    let mut rest = bytes;
    let lengths = differences(&mut rest, count)?;
    let mut out = Vec::with_capacity(lengths.len());
    for length in lengths {
        let length = u64::try_from(length).map_err(|_| "a negative length in a page")?;
        let start = bytes.len() - rest.len();
        take(&mut rest, length)?;
        out.push((start, length as usize));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the format's own document (Encodings.md).
    #[test]
    fn published_examples_are_read() {
        let packed = [0b1000_1000, 0b1100_0110, 0b1111_1010];
        assert_eq!((0..8).map(|index| bits(&packed, index, 3)).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 7]);
        // A run of 4 times 7, then a group of eight.
        let mut bytes = vec![8, 7, 3];
        bytes.extend(packed);
        assert_eq!(hybrid(&bytes, 3, 12), Ok(vec![7, 7, 7, 7, 0, 1, 2, 3, 4, 5, 6, 7]));
        // 7, 5, 3, 1, 2, 3, 4, 5: least difference -2, differences above it 0 0 0 3 3 3 3 in two bits.
        let mut block = vec![0x80, 0x01, 4, 8, 14, 3, 2, 0, 0, 0, 0b1100_0000, 0b0011_1111];
        block.extend([0; 6]);
        assert_eq!(differences(&mut block.as_slice(), 8), Ok(vec![7, 5, 3, 1, 2, 3, 4, 5]));
        assert!(differences(&mut block.as_slice(), 7).is_err());
    }

    #[test]
    fn counts_that_the_bytes_cannot_hold_are_errors() {
        assert!(plain_spans(&[1, 0, 0, 0], 1).is_err());
        assert!(plain_spans(&[0; 8], usize::MAX).is_err());
        assert!(plain_integers(&[0; 8], 8, usize::MAX).is_err());
        assert!(hybrid(&[3], 3, 8).is_err() && hybrid(&[0, 7], 3, 8).is_err() && hybrid(&[], 33, 1).is_err());
        assert_eq!(hybrid(&[], 0, 3), Ok(vec![0; 3]));
        // A run longer than asked for is cut.
        assert_eq!(hybrid(&[0xfe, 0xff, 0xff, 0xff, 0x0f, 1], 1, 3), Ok(vec![1; 3]));
    }
}
