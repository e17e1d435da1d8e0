//! PNG and JPEG to RGB.
//!
//! Grey is repeated in the three channels, alpha is dropped (not composited), 16 bits are rounded to 8, EXIF orientation is
//! not applied: what `Image.open(..).convert("RGB")` of Pillow does for all but 16-bit files. Decoders: the crates `png`
//! and `zune-jpeg` through `image`; another JPEG decoder may differ by a few levels ([`DECODERS`] goes into provenance).

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use crate::image::RgbImage;

/// The decoders that made the pixels.
pub const DECODERS: &str = "png 0.18, zune-jpeg 0.5 (image 0.25)";

/// No file makes more pixels of a byte than this: PNG's DEFLATE 1032, JPEG's one bit a block 1536.
const LARGEST_RATIO: u64 = 2048;
/// Small files may be as large as this in memory.
const ALWAYS_ALLOWED: u64 = 1 << 20;
/// And none may be larger than this.
const NEVER_ABOVE: u64 = 1 << 30;

/// Decodes a PNG or JPEG file; which of them it is, its first bytes say.
///
/// # Errors
/// What is wrong: neither format, damaged, cut off (a JPEG without its end marker is refused), or an image far larger than
/// its file can hold.
pub fn decode(bytes: &[u8]) -> Result<RgbImage, String> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    match reader.format() {
        Some(ImageFormat::Png) => {}
        Some(ImageFormat::Jpeg) => check_jpeg_end(bytes)?,
        Some(other) => return Err(format!("expected PNG or JPEG, found {}", other.to_mime_type())),
        None if bytes.is_empty() => return Err("an empty file".into()),
        None => return Err("neither PNG nor JPEG".into()),
    }
    let allowed = (bytes.len() as u64).saturating_mul(LARGEST_RATIO).clamp(ALWAYS_ALLOWED, NEVER_ABOVE);
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(allowed.saturating_mul(4));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions();
    let needed = decoder.total_bytes().max(3 * u64::from(width) * u64::from(height));
    if needed > allowed {
        return Err(format!(
            "{width} x {height} needs {needed} bytes, more than the {allowed} that a file of {} can hold",
            bytes.len()
        ));
    }
    let pixels = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?.into_rgb8();
    RgbImage::new(pixels.width(), pixels.height(), pixels.into_raw()).map_err(|error| error.to_string())
}

/// Walks a JPEG's segments to its end marker. The decoder itself fills up what a cut file lacks, in silence.
fn check_jpeg_end(bytes: &[u8]) -> Result<(), String> {
    let cut = || format!("a truncated JPEG: {} bytes without an end-of-image marker", bytes.len());
    let mut at = 2;
    loop {
        // Outside of a scan: a marker, after any number of fill bytes.
        while bytes.get(at) == Some(&0xff) && bytes.get(at + 1) == Some(&0xff) {
            at += 1;
        }
        let (Some(&lead), Some(&marker)) = (bytes.get(at), bytes.get(at + 1)) else { return Err(cut()) };
        if lead != 0xff {
            return Err(format!("a damaged JPEG: expected a marker at byte {at}, found {lead:02x}"));
        }
        at += 2;
        match marker {
            0xd9 => return Ok(()),
            0x01 | 0xd0..=0xd8 => continue,
            _ => {}
        }
        let Some(&[high, low]) = bytes.get(at..at + 2).and_then(|length| length.first_chunk::<2>()) else {
            return Err(cut());
        };
        at += usize::from(u16::from_be_bytes([high, low])).max(2);
        if marker == 0xda {
            // Entropy-coded data lasts to the next marker that is neither a stuffed byte nor a restart.
            while let Some(&next) = bytes.get(at + 1) {
                if bytes[at] == 0xff && !matches!(next, 0x00 | 0xff | 0xd0..=0xd7) {
                    break;
                }
                at += 1;
            }
        }
    }
}

/// Runs the decoder on arbitrary bytes.
pub fn fuzz(bytes: &[u8]) {
    if let Ok(image) = decode(bytes) {
        let _ = image.check();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::ExtendedColorType;

    pub(crate) fn jpeg(width: u32, height: u32) -> Vec<u8> {
        let pixels: Vec<u8> = (0..width * height * 3).map(|i| (i * 7 % 251) as u8).collect();
        let mut bytes = Vec::new();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90)
            .encode(&pixels, width, height, ExtendedColorType::Rgb8)
            .expect("encoding into memory");
        bytes
    }

    fn png(pixels: &[u8], width: u32, height: u32, kind: ExtendedColorType) -> Vec<u8> {
        use image::ImageEncoder;
        let mut bytes = Vec::new();
        image::codecs::png::PngEncoder::new(&mut bytes)
            .write_image(pixels, width, height, kind)
            .expect("encoding into memory");
        bytes
    }

    /// [`DECODERS`] goes into the provenance of every result: it must name the crates that are linked.
    #[test]
    fn the_decoders_named_are_those_of_the_lock_file() {
        let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
        let lock = fs_err::read_to_string(lock).expect("the workspace's lock file");
        let named: Vec<&str> = DECODERS.split([' ', ',', '(', ')']).filter(|word| !word.is_empty()).collect();
        assert_eq!(named.iter().step_by(2).collect::<Vec<_>>(), [&"png", &"zune-jpeg", &"image"]);
        for pair in named.chunks_exact(2) {
            let entry = format!("name = {:?}", pair[0]);
            let after = lock.lines().zip(lock.lines().skip(1)).filter(|(line, _)| *line == entry);
            let versions: Vec<&str> = after.map(|(_, version)| version).collect();
            let expected = format!("version = \"{}.", pair[1]);
            assert!(!versions.is_empty(), "{} is not in the lock file", pair[0]);
            assert!(versions.iter().all(|version| version.starts_with(&expected)), "{expected} {versions:?}");
        }
    }

    #[test]
    fn every_kind_becomes_rgb() {
        let grey = decode(&png(&[9, 200], 2, 1, ExtendedColorType::L8)).expect("valid");
        assert_eq!(grey.pixels, [9, 9, 9, 200, 200, 200]);
        let alpha = decode(&png(&[1, 2, 3, 0], 1, 1, ExtendedColorType::Rgba8)).expect("valid");
        assert_eq!(alpha.pixels, [1, 2, 3], "alpha is dropped");
        let photo = decode(&jpeg(17, 9)).expect("valid");
        assert_eq!((photo.width, photo.height), (17, 9));
        let same = RgbImage::new(2, 1, vec![1, 2, 3, 4, 5, 6]).expect("well formed");
        assert_eq!(decode(&same.to_png().expect("encoding into memory")), Ok(same));
    }

    #[test]
    fn cut_files_are_refused_at_every_length() {
        let flat = RgbImage::filled(9, 9, [1, 2, 3]).expect("well formed").to_png().expect("encoding into memory");
        // Cut inside the closing chunk a PNG still holds all of its pixels.
        for (file, last) in [(jpeg(24, 24), 0), (flat, 12)] {
            assert!(decode(&file).is_ok());
            for length in 0..file.len() - last {
                assert!(decode(&file[..length]).is_err(), "{length} of {}", file.len());
            }
        }
    }

    #[test]
    fn a_lying_header_allocates_nothing() {
        let mut file = png(&[0; 3], 1, 1, ExtendedColorType::Rgb8);
        // Width and height of the IHDR chunk, and its CRC, which the decoder checks first.
        file[16..24].copy_from_slice(&[0, 0, 0x7f, 0xff, 0, 0, 0x7f, 0xff]);
        let mut crc = flate2::Crc::new();
        crc.update(&file[12..29]);
        file[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        assert!(decode(&file).is_err());
    }
}
