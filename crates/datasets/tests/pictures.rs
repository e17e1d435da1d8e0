//! Picture files written by another program, against its own reading of them (`fixtures/pictures/make.py`).

use std::path::{Path, PathBuf};

use oodlab_datasets::RgbImage;
use oodlab_datasets::decode::picture;
use oodlab_datasets::reading::{Alpha, Orientation, Reading};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures")
}

fn read(name: &str, reading: Reading) -> RgbImage {
    let bytes = fs_err::read(folder().join(name)).expect("a fixture");
    picture::decode(&bytes, reading).unwrap_or_else(|what| panic!("{name}: {what}"))
}

/// Largest and mean difference of two images of one size.
fn difference(name: &str, found: &RgbImage, expected: &RgbImage) -> (u8, f64) {
    assert_eq!((found.width, found.height), (expected.width, expected.height), "{name}");
    let each = found.pixels.iter().zip(&expected.pixels).map(|(a, b)| a.abs_diff(*b));
    let sum: u64 = each.clone().map(u64::from).sum();
    (each.max().unwrap_or(0), sum as f64 / found.pixels.len() as f64)
}

/// The pictures of the folder with this ending.
fn fixtures(ending: &str) -> Vec<String> {
    let files = fs_err::read_dir(folder()).expect("the fixtures");
    let names = files.map(|file| file.expect("an entry").file_name().into_string().expect("plain names"));
    let mut names: Vec<String> = names
        .filter(|name| name.ends_with(ending) && !name.contains(".expected.") && !name.contains(".over-"))
        .collect();
    names.sort();
    names
}

/// The reading that the expected pixels of a fixture were made with.
fn reading(name: &str) -> Reading {
    let orientation = if name.starts_with("exif") { Orientation::Apply } else { Orientation::Ignore };
    Reading { orientation, ..Reading::default() }
}

/// Baseline, progressive, with restarts; every sampling; grey, RGB, CMYK, YCCK; odd and tiny sizes.
#[test]
fn jpeg_is_equal_to_libjpeg_to_the_bit() {
    let names = fixtures(".jpg");
    assert!(names.len() >= 36, "{names:?}");
    for name in names {
        let expected = read(&format!("{name}.expected.png"), Reading::default());
        assert_eq!(difference(&name, &read(&name, reading(&name)), &expected), (0, 0.0), "{name}");
    }
}

#[test]
fn lossless_formats_are_equal_to_the_bit() {
    let names: Vec<String> = [".png", ".webp", ".gif", ".bmp", ".ppm", ".pgm", ".pbm"].map(fixtures).concat();
    assert!(names.len() >= 17, "{names:?}");
    for name in names.iter().filter(|name| *name != "lossy.webp") {
        let expected = read(&format!("{name}.expected.png"), Reading::default());
        assert_eq!(difference(name, &read(name, reading(name)), &expected), (0, 0.0), "{name}");
    }
}

#[test]
fn lossy_webp_is_within_a_level_or_two() {
    let expected = read("lossy.webp.expected.png", Reading::default());
    let (largest, mean) = difference("lossy.webp", &read("lossy.webp", Reading::default()), &expected);
    assert!(largest <= 2 && mean <= 0.5, "largest {largest}, mean {mean}");
}

#[test]
fn alpha_is_composed_as_asked() {
    for name in ["alpha.png", "alpha.webp"] {
        for (alpha, colour) in [(Alpha::White, "white"), (Alpha::Black, "black")] {
            let expected = read(&format!("{name}.over-{colour}.png"), Reading::default());
            let found = read(name, Reading { alpha, ..Reading::default() });
            assert_eq!(difference(name, &found, &expected), (0, 0.0), "{name} over {colour}");
        }
    }
    // Nothing to compose.
    let white = Reading { alpha: Alpha::White, ..Reading::default() };
    assert_eq!(read("baseline-420.jpg", white), read("baseline-420.jpg", Reading::default()));
}

#[test]
fn orientation_is_ignored_unless_asked_for() {
    let upright = read("exif1.jpg", Reading::default());
    for tag in 2..=8 {
        let name = format!("exif{tag}.jpg");
        assert_eq!(read(&name, Reading::default()), upright, "{name}");
        assert_ne!(read(&name, reading(&name)), upright, "{name}");
    }
}

/// Cut anywhere, a JPEG is an error: what it lacks is never filled up in silence.
#[test]
fn cut_files_are_errors() {
    for name in fixtures(".jpg") {
        let bytes = fs_err::read(folder().join(&name)).expect("a fixture");
        for length in 0..bytes.len() {
            assert!(picture::decode(&bytes[..length], Reading::default()).is_err(), "{name} cut to {length}");
        }
    }
}

#[test]
fn the_crate_reads_what_its_endings_promise() {
    for ending in picture::ENDINGS {
        let found = fixtures(&format!(".{ending}")).len();
        assert!(found > 0 || matches!(ending, "jpeg" | "pnm"), "no fixture ends in {ending}");
    }
}
