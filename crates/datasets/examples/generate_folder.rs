//! Writes a folder of many small pictures, to measure how import and encoding grow with their number.
//!
//! `cargo run --release -p oodlab-datasets --example generate_folder -- DIR COUNT [SIDE]` writes `DIR/images/<k>/<i>.jpg` and
//! `.png` in turn, 1,000 a folder, `SIDE` pixels wide (32 when absent): stripes of random direction and colours, the same for
//! the same numbers.

use std::path::PathBuf;

use oodlab_base::{Seed, Stream};
use oodlab_datasets::RgbImage;
use rayon::prelude::*;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Pictures in one folder.
const A_FOLDER: usize = 1000;

fn main() -> Result<(), Failure> {
    let usage = "usage: generate_folder DIR COUNT [SIDE]";
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = PathBuf::from(arguments.first().ok_or(usage)?).join("images");
    let count: usize = arguments.get(1).ok_or(usage)?.parse()?;
    let side: u32 = arguments.get(2).map_or(Ok(32), |side| side.parse())?;
    for number in 0..count.div_ceil(A_FOLDER) {
        fs_err::create_dir_all(folder.join(format!("{number:04}")))?;
    }
    let stream = Seed(0).stream("generated folder");
    (0..count).into_par_iter().try_for_each(|index| {
        let image = picture(stream.child(index as u64), side)?;
        let (ending, bytes) = if index % 2 == 0 { ("jpg", jpeg(&image)?) } else { ("png", image.to_png()?) };
        let name = format!("{:04}/{:03}.{ending}", index / A_FOLDER, index % A_FOLDER);
        fs_err::write(folder.join(name), bytes)?;
        Ok(())
    })
}

fn picture(stream: Stream, side: u32) -> Result<RgbImage, Failure> {
    let colour = |first: u64| [0, 1, 2].map(|channel| (stream.word(first + channel) >> 24) as u8);
    let (dark, light) = (colour(0), colour(3));
    let (right, down) = (stream.uniform(6) - 0.5, stream.uniform(7) - 0.5);
    let mut image = RgbImage::filled(side, side, dark)?;
    let columns = side as usize;
    for (place, pixel) in image.pixels.chunks_exact_mut(3).enumerate() {
        let along = (place % columns) as f32 * right + (place / columns) as f32 * down;
        if along.rem_euclid(4.0) < 2.0 {
            pixel.copy_from_slice(&light);
        }
    }
    Ok(image)
}

fn jpeg(image: &RgbImage) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90).encode(
        &image.pixels,
        image.width,
        image.height,
        image::ExtendedColorType::Rgb8,
    )?;
    Ok(bytes)
}
