//! Picture files to RGB: JPEG, PNG, WebP, GIF, BMP and PNM (PPM, PGM, PBM).
//!
//! By default what `Image.open(..).convert("RGB")` of Pillow gives: grey is always repeated in the three channels, alpha is
//! dropped (not composited), EXIF orientation is not applied, of an animation the first frame is taken. [`Reading`] chooses
//! otherwise for alpha and orientation. 16 bits are rounded to 8 (`round(v * 255 / 65535)`; Pillow drops the lower byte or
//! clips). JPEG is decoded here, equal to the bit to libjpeg-turbo and so to Pillow (`jpeg`); the other formats by the
//! `image` crate, equal to the bit where they are lossless. Colour profiles are not applied, as in Pillow.

mod jpeg;
mod orientation;

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use crate::image::RgbImage;
use crate::reading::{Alpha, Orientation, Reading};

/// The decoders that made the pixels.
pub const DECODERS: &str = "jpeg as libjpeg-turbo 3 (islow, fancy), png 0.18, image-webp 0.2, gif 0.14, image 0.25";

/// The formats that are read, for messages.
pub const FORMATS: &str = "JPEG, PNG, WebP, GIF, BMP or PNM";

/// The endings of file names that are taken for pictures of these formats.
pub const ENDINGS: [&str; 10] = ["png", "jpg", "jpeg", "webp", "gif", "bmp", "ppm", "pgm", "pbm", "pnm"];

/// No file may make more pixels of a byte than this. PNG's DEFLATE makes 1032, JPEG's one bit a block 1536; GIF and WebP could
/// make more of an even colour, and are held to this all the same.
const LARGEST_RATIO: u64 = 2048;
/// Small files may be as large as this in memory.
const ALWAYS_ALLOWED: u64 = 1 << 20;
/// And none may be larger than this.
const NEVER_ABOVE: u64 = 1 << 30;
/// Largest side: what a JPEG can have. A line of a hundred million pixels is a small file, and squashed to a square an endless one.
const LARGEST_SIDE: u32 = 65_535;

/// Decodes a picture file; of which format it is, its first bytes say, not its name.
///
/// # Errors
/// What is wrong: none of the formats, damaged, cut off (a JPEG without its end marker is refused), an image far larger
/// than its file can hold, or one with a side above 65,535.
pub fn decode(bytes: &[u8], reading: Reading) -> Result<RgbImage, String> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    match reader.format() {
        Some(ImageFormat::Jpeg) => return decode_jpeg(bytes, reading),
        Some(ImageFormat::WebP) => check_chunks(bytes.get(12..).unwrap_or_default())?,
        Some(ImageFormat::Png | ImageFormat::Gif | ImageFormat::Bmp | ImageFormat::Pnm) => {}
        Some(other) => return Err(format!("expected {FORMATS}, found {}", other.to_mime_type())),
        None if bytes.is_empty() => return Err("an empty file".into()),
        None => return Err(format!("no picture: expected {FORMATS}")),
    }
    let allowed = allowed(bytes);
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(allowed.saturating_mul(4));
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions();
    if width.max(height) > LARGEST_SIDE {
        return Err(format!("expected sides of up to {LARGEST_SIDE} pixels, found {width} x {height}"));
    }
    let needed = decoder.total_bytes().max(3 * u64::from(width) * u64::from(height));
    if needed > allowed {
        return Err(format!(
            "{width} x {height} needs {needed} bytes, more than the {allowed} that a file of {} can hold",
            bytes.len()
        ));
    }
    let tag = match reading.orientation {
        Orientation::Ignore => 1,
        Orientation::Apply => decoder.orientation().map_or(1, |orientation| orientation.to_exif()),
    };
    let picture = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    let pixels = match reading.alpha {
        Alpha::White if picture.color().has_alpha() => composite(&picture.into_rgba8(), 255),
        Alpha::Black if picture.color().has_alpha() => composite(&picture.into_rgba8(), 0),
        _ => picture.into_rgb8().into_raw(),
    };
    let image = RgbImage::new(width, height, pixels).map_err(|error| error.to_string())?;
    Ok(orientation::apply(image, tag))
}

/// Walks a WebP file's chunks. The decoder makes room for what a chunk says it holds before it looks whether it does.
fn check_chunks(mut rest: &[u8]) -> Result<(), String> {
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if size > body.len() {
            return Err(format!("a truncated WebP: a chunk of {size} bytes, {} are there", body.len()));
        }
        // A frame of an animation has 16 bytes of its own, then chunks again: they are walked as if they stood alone.
        let step = if head.starts_with(b"ANMF") { 16 } else { size.next_multiple_of(2) };
        rest = body.get(step..).unwrap_or_default();
    }
    Ok(())
}

/// How many bytes of pixels are believed to be in the file.
fn allowed(bytes: &[u8]) -> u64 {
    (bytes.len() as u64).saturating_mul(LARGEST_RATIO).clamp(ALWAYS_ALLOWED, NEVER_ABOVE)
}

fn decode_jpeg(bytes: &[u8], reading: Reading) -> Result<RgbImage, String> {
    let decoded = jpeg::decode(bytes, allowed(bytes))?;
    let tag = match reading.orientation {
        Orientation::Ignore => None,
        Orientation::Apply => decoded.exif.and_then(|exif| image::metadata::Orientation::from_exif_chunk(&exif)),
    };
    let image = RgbImage::new(decoded.width, decoded.height, decoded.pixels).map_err(|error| error.to_string())?;
    Ok(orientation::apply(image, tag.map_or(1, image::metadata::Orientation::to_exif)))
}

/// The picture over an opaque grey of level `under`, to the bit as Pillow's `Image.alpha_composite`.
fn composite(picture: &image::RgbaImage, under: u8) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(3 * picture.len() / 4);
    for &[red, green, blue, alpha] in picture.as_raw().as_chunks::<4>().0 {
        let (over, rest) = (u32::from(alpha), u32::from(255 - alpha) * u32::from(under));
        pixels.extend([red, green, blue].map(|level| {
            let sum = (u32::from(level) * over + rest + 128) << 7;
            ((((sum >> 8) + sum) >> 8) >> 7) as u8
        }));
    }
    pixels
}

/// Runs the decoder on arbitrary bytes.
pub fn fuzz(bytes: &[u8]) {
    let reading = Reading { alpha: Alpha::White, orientation: Orientation::Apply };
    if let Ok(image) = decode(bytes, reading) {
        let _ = image.check();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<RgbImage, String> {
        super::decode(bytes, Reading::default())
    }
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
        let (_, linked) = DECODERS.split_once("), ").expect("the crates after the decoder of this crate");
        let named: Vec<&str> = linked.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        assert_eq!(named.iter().step_by(2).collect::<Vec<_>>(), [&"png", &"image-webp", &"gif", &"image"]);
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

    #[test]
    fn sides_have_a_limit_in_every_format() {
        let line = |length: usize| png(&vec![7; length], 1, length as u32, ExtendedColorType::L8);
        let whole = decode(&line(65_535)).expect("the largest side");
        let squashed = crate::resize::bilinear(&whole, 224, 224).expect("a valid size");
        assert_eq!(squashed.pixels[..3], [7, 7, 7]);
        let message = "expected sides of up to 65535 pixels, found 1 x 65536";
        assert_eq!(decode(&line(65_536)).expect_err("too long"), message);
        let pnm = [b"P5 65536 1 255\n".as_slice(), &[0; 65_536]].concat();
        assert!(decode(&pnm).is_err_and(|what| what.contains("found 65536 x 1")));
    }

    /// A JPEG header, and 500 scans that hold nothing.
    fn scans(kind: u8, side: u16, padding: usize) -> Vec<u8> {
        let [high, low] = side.to_be_bytes();
        let mut file = vec![0xff, 0xd8, 0xff, 0xdb, 0, 67, 0];
        file.extend([1; 64]);
        file.extend([0xff, kind, 0, 11, 8, high, low, high, low, 1, 1, 0x11, 0]);
        for class in [0x00, 0x10] {
            file.extend([0xff, 0xc4, 0, 20, class, 1]);
            file.extend([0; 15]);
            file.push(0);
        }
        for _ in 0..500 {
            let last = if kind == 0xc2 { 0 } else { 63 };
            file.extend([0xff, 0xda, 0, 8, 1, 1, 0, 0, last, 0]);
        }
        for _ in 0..padding {
            file.extend([0xff, 0xfe, 0xff, 0xff]);
            file.extend([0; 65_533]);
        }
        file.extend([0xff, 0xd9]);
        file
    }

    #[test]
    fn many_empty_scans_of_a_large_jpeg_are_refused_soon() {
        for (kind, side) in [(0xc0, 15_000), (0xc2, 11_000)] {
            let start = std::time::Instant::now();
            let message = decode(&scans(kind, side, 8)).expect_err("500 scans");
            assert!(message.contains("scans visit"), "{message}");
            assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
        }
        assert!(decode(&scans(0xc2, 64, 0)).is_ok(), "a small one takes no time");
        let message = decode(&scans(0xc2, 18_000, 8)).expect_err("coefficients");
        assert!(message.contains("in memory"), "{message}");
    }
}
