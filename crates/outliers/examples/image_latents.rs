//! Outliers as images: a tiny autoencoder's latents, a small diffusion over them, and what it makes of them, on one sheet to look at.
//!
//! ```sh
//! cargo run --release -p oodlab-outliers --example image_latents -- \
//!     ENCODER DECODER IMAGES.npy LABELS.npy SHEET.png [EPOCHS] [LATENTS.safetensors]
//! ```
//! ENCODER and DECODER are the autoencoder's weight files, IMAGES holds bytes `[n, s, s, 3]` (s a multiple of 8), LABELS whole numbers `[n]`
//! from 0. Printed are the error of the round trip, the times and the losses. The sheet has one row for each class: three images, the same
//! after the round trip, six vectors from the edge of the class as they are, six samples that began there, and six of a mixture with another
//! class. EPOCHS are 100; with 0, the sheet has images and their round trips in turn. LATENTS takes 30 outliers of each class that began at its
//! edge, for `diffusion: {source: precomputed}` of outlier-aware learning.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Instant;

use oodlab_base::{Cancel, Seed, Silent};
use oodlab_diffusion::small::SmallTrainConfig;
use oodlab_diffusion::tensor_file::{self, Values};
use oodlab_diffusion::{NoCheckpoints, TrainContext};
use oodlab_encoders::weights::Weights;
use oodlab_features::format::Arrays;
use oodlab_features::format::npy::NpyFile;
use oodlab_outliers::boundary::{self, BoundaryConfig};
use oodlab_outliers::latent::image::{ContactSheet, TinyAutoencoder};
use oodlab_outliers::latent::{Drive, LatentConfig, LatentGenerator, LatentNetwork, OutlierGenerator, Request};
use oodlab_outliers::{OutlierError, Outliers};

type Failure = Box<dyn std::error::Error>;

const SEED: Seed = Seed(1);
/// Images of each class that are shown, before and after the round trip.
const SHOWN: usize = 3;
/// Outliers of each class and kind that are shown.
const MADE: usize = 6;
/// Outliers of each class that are written.
const WRITTEN: usize = 30;

/// Images `[n, 3, side, side]`, 0 to 1, and the class of each.
struct Images {
    pixels: Vec<f32>,
    side: usize,
    labels: Vec<u32>,
}

impl Images {
    fn read(images: &Path, labels: &Path) -> Result<Images, Failure> {
        let (shape, bytes) = integers(images)?;
        let [count, side, width, 3] = shape[..] else {
            return Err(format!("images have shape {shape:?}, expected [n, s, s, 3]").into());
        };
        if side != width {
            return Err(format!("images are {width} pixels wide and {side} high, expected squares").into());
        }
        let (_, labels) = integers(labels)?;
        if labels.len() != count {
            return Err(format!("{count} images with {} labels", labels.len()).into());
        }
        let labels = labels.into_iter().map(u32::try_from).collect::<Result<_, _>>()?;
        let plane = side * side;
        let mut pixels = vec![0.0; bytes.len()];
        for (image, bytes) in pixels.chunks_exact_mut(3 * plane).zip(bytes.chunks_exact(3 * plane)) {
            for (place, &byte) in bytes.iter().enumerate() {
                image[place % 3 * plane + place / 3] = byte as f32 / 255.0;
            }
        }
        Ok(Images { pixels, side, labels })
    }

    fn image(&self, number: usize) -> &[f32] {
        let each = 3 * self.side * self.side;
        &self.pixels[number * each..][..each]
    }
}

fn integers(path: &Path) -> Result<(Vec<usize>, Vec<i64>), Failure> {
    let array = NpyFile::open(BufReader::new(File::open(path)?))?.read("features")?;
    match array.values {
        oodlab_features::format::Values::Integers(values) => Ok((array.shape, values)),
        _ => Err(format!("{} holds no whole numbers", path.display()).into()),
    }
}

/// Peak signal-to-noise ratio of each image in decibels, after cutting to 0..1 and rounding to bytes as a picture file does.
fn psnr(images: &Images, decoded: &[f32]) -> Vec<f64> {
    let each = 3 * images.side * images.side;
    let error =
        |(&x, &y): (&f32, &f32)| (f64::from(x) - f64::from((y.clamp(0.0, 1.0) * 255.0).round() / 255.0)).powi(2);
    let of_image = |(x, y): (&[f32], &[f32])| -10.0 * (x.iter().zip(y).map(error).sum::<f64>() / each as f64).log10();
    images.pixels.chunks_exact(each).zip(decoded.chunks_exact(each)).map(of_image).collect()
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ([encoder, decoder, images, labels, sheet], rest) =
        arguments.split_first_chunk().ok_or("five files expected")?;
    let epochs: usize = rest.first().map_or(Ok(100), |text| text.parse())?;
    let autoencoder = TinyAutoencoder::load(&Weights::read(Path::new(encoder))?, &Weights::read(Path::new(decoder))?)?;
    let images = Images::read(Path::new(images), Path::new(labels))?;

    let clock = Instant::now();
    let latents = autoencoder.encode(&images.pixels, images.side, (&Cancel::new(), &Silent))?;
    let encoded = clock.elapsed().as_secs_f64();
    let decoded = autoencoder.decode(&latents, images.side, (&Cancel::new(), &Silent))?;
    let both = clock.elapsed().as_secs_f64();
    let mut quality = psnr(&images, &decoded);
    let count = quality.len();
    if count == 0 {
        return Err("no image".into());
    }
    let mean = quality.iter().sum::<f64>() / count as f64;
    quality.sort_by(f64::total_cmp);
    let (least, middle, most) = (quality[0], quality[count / 2], quality[count - 1]);
    println!("{count} images of {0} x {0} pixels, latents of {1} values", images.side, latents.len() / count);
    println!("encoded in {encoded:.1} s, decoded in {:.1} s", both - encoded);
    println!("round trip: mean PSNR {mean:.2} dB, median {middle:.2}, least {least:.2}, most {most:.2}");

    let scale = (96 / images.side).max(1);
    let made = if epochs == 0 {
        round_trips(&images, &decoded, scale)?
    } else {
        let latents_file = rest.get(1).map(Path::new);
        outliers(&autoencoder, &images, (&latents, &decoded), (epochs, scale), latents_file)?
    };
    std::fs::write(sheet, made.to_png()?)?;
    Ok(())
}

/// Images and what comes back, in turn.
fn round_trips(images: &Images, decoded: &[f32], scale: usize) -> Result<ContactSheet, OutlierError> {
    let count = images.labels.len().min(40);
    let mut sheet = ContactSheet::new([count.div_ceil(8), 16], images.side, scale)?;
    let each = 3 * images.side * images.side;
    for number in 0..count {
        sheet.put([number / 8, 2 * (number % 8)], images.image(number))?;
        sheet.put([number / 8, 2 * (number % 8) + 1], &decoded[number * each..][..each])?;
    }
    Ok(sheet)
}

/// Trains generators on the latents and shows what they make.
fn outliers(
    autoencoder: &TinyAutoencoder,
    images: &Images,
    (latents, decoded): (&[f32], &[f32]),
    (epochs, scale): (usize, usize),
    latents_file: Option<&Path>,
) -> Result<ContactSheet, Failure> {
    let width = autoencoder.latent_width(images.side)?;
    let classes = images.labels.iter().max().map_or(0, |&last| last as usize + 1);
    let mut sizes = vec![0; classes];
    images.labels.iter().for_each(|&label| sizes[label as usize] += 1);
    let least = sizes.iter().copied().min().unwrap_or(0);
    // Noise a third as long as the vectors; published settings ask for more samples of a class, and for a noise longer than they are.
    let edge = BoundaryConfig {
        neighbour: (least / 4).max(1),
        border: (least / 8).max(1),
        repetitions: 1,
        candidates: 500,
        deviation: 0.33 / (width as f64).sqrt(),
        ..BoundaryConfig::default()
    };
    let clock = Instant::now();
    let labelled = (&images.labels[..], classes);
    let edge = boundary::sample(&edge, (latents, width), labelled, SEED, (&Cancel::new(), &Silent))?;
    println!("{} vectors from the edges in {:.1} s", edge.rows(), clock.elapsed().as_secs_f64());

    let rows = classes * MADE;
    let mut columns = vec![from_the_edge(&edge, latents, rows, classes)];
    for drive in [Drive::Boundary, Drive::OffManifold] {
        let train = SmallTrainConfig { epochs, learning_rate: 1e-3, ema_decay: 0.999, ..LatentConfig::default().train };
        let network = LatentNetwork { width: 512, blocks: 3 };
        let config = LatentConfig { drive, train, network, ..LatentConfig::default() };
        let mut context = TrainContext {
            progress: &Silent,
            cancel: &Cancel::new(),
            checkpoints: &mut NoCheckpoints,
            checkpoint_every: 0,
            checkpoint_every_steps: 0,
        };
        let clock = Instant::now();
        let generator = LatentGenerator::train(&config, (latents, width), labelled, SEED, &mut context)?;
        let trained = clock.elapsed().as_secs_f64();
        let request = Request { rows, boundary: Some(&edge), seed: SEED };
        columns.push(generator.generate(&request, (&Cancel::new(), &Silent))?.values);
        let sampled = clock.elapsed().as_secs_f64() - trained;
        let losses = generator.losses();
        let (first, last) = (losses.first().copied().unwrap_or(0.0), losses.last().copied().unwrap_or(0.0));
        if let (Some(path), Drive::Boundary) = (latents_file, drive) {
            let request = Request { rows: classes * WRITTEN, boundary: Some(&edge), seed: SEED };
            write(path, &generator.generate(&request, (&Cancel::new(), &Silent))?)?;
        }
        println!("{drive:?}: trained in {trained:.1} s (loss {first:.3} to {last:.3}), {rows} made in {sampled:.1} s");
    }

    let each = 3 * images.side * images.side;
    let mut sheet = ContactSheet::new([classes, 2 * SHOWN + MADE * columns.len()], images.side, scale)?;
    for class in 0..classes {
        let members = (0..images.labels.len()).filter(|&row| images.labels[row] as usize == class);
        for (place, row) in members.take(SHOWN).enumerate() {
            sheet.put([class, place], images.image(row))?;
            sheet.put([class, SHOWN + place], &decoded[row * each..][..each])?;
        }
    }
    for (place, values) in columns.iter().enumerate() {
        let pictures = autoencoder.decode(values, images.side, (&Cancel::new(), &Silent))?;
        for (row, picture) in pictures.chunks_exact(each).enumerate() {
            sheet.put([row % classes, 2 * SHOWN + place * MADE + row / classes], picture)?;
        }
    }
    Ok(sheet)
}

/// As `latents` and `classes`.
fn write(path: &Path, outliers: &Outliers) -> Result<(), Failure> {
    let classes: Vec<f32> = outliers.classes.iter().flatten().map(|&class| class as f32).collect();
    let tensors = [
        ("latents".to_owned(), vec![outliers.rows(), outliers.width], Values::F32(&outliers.values)),
        ("classes".to_owned(), vec![classes.len()], Values::F32(&classes)),
    ];
    Ok(std::fs::write(path, tensor_file::write(&(), &tensors)?)?)
}

/// Vectors from the edge as long as latents are at the root of their mean square, row r of class r mod the number of classes.
fn from_the_edge(edge: &Outliers, latents: &[f32], rows: usize, classes: usize) -> Vec<f32> {
    let square = latents.iter().map(|x| f64::from(x * x)).sum::<f64>() / (latents.len() / edge.width) as f64;
    let each = edge.rows() / classes;
    let of = |row: usize| edge.row(row % classes * each + row / classes % each);
    (0..rows).flat_map(|row| of(row).iter().map(|x| x * square.sqrt() as f32)).collect()
}
