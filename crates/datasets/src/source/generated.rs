//! Images that the program makes itself: simple far-away inputs, as used since Hendrycks et al., "Deep Anomaly Detection
//! with Outlier Exposure", ICLR 2019 (Gaussian noise, blobs).
//!
//! An image depends on seed, set, split and position only. Everything is computed in f64 with portable functions, in a fixed
//! order, and rounded once, so that every machine makes the same bytes.

use oodlab_base::{Key, Seed, Stream};

use super::Source;
use crate::error::DatasetError;
use crate::image::RgbImage;
use crate::manifest::{Manifest, Pattern};
use crate::reading::Reading;

pub(super) struct Generated {
    name: String,
    split: String,
    pattern: Pattern,
    stream: Stream,
    width: u32,
    height: u32,
    len: usize,
}

impl Generated {
    pub fn open(manifest: &Manifest, split: &str, seed: u64, pattern: &Pattern) -> Result<Generated, DatasetError> {
        let lacks = |what| DatasetError::manifest(&manifest.name, format!("a generated set needs {what}"));
        let (width, height) = manifest.image_size.ok_or_else(|| lacks("image_size"))?;
        let len = manifest.split(split)?.images.ok_or_else(|| lacks("the number of images"))?;
        Ok(Generated {
            name: manifest.name.clone(),
            split: split.to_owned(),
            pattern: pattern.clone(),
            stream: Seed(seed).stream(&format!("generated images {} {split}", manifest.name)),
            width,
            height,
            len,
        })
    }

    fn pixels(&self, index: usize) -> Vec<u8> {
        let stream = self.stream.child(index as u64);
        let (width, height) = (self.width as usize, self.height as usize);
        let count = 3 * (width * height) as u64;
        match self.pattern {
            Pattern::GaussianNoise { mean, deviation } => {
                (0..count).map(|i| to_byte(mean + deviation * f64::from(stream.normal(i)))).collect()
            }
            Pattern::UniformNoise {} => (0..count).map(|i| (stream.word(i) >> 24) as u8).collect(),
            Pattern::Stripes { period } => stripes(stream, width, height, period),
            Pattern::Blobs { density, blur, threshold } => {
                let mut pixels = vec![0; count as usize];
                for channel in 0..3 {
                    let plane = blobs(stream.child(channel), width, height, density, blur);
                    for (pixel, value) in pixels.iter_mut().skip(channel as usize).step_by(3).zip(plane) {
                        *pixel = if value < threshold { 0 } else { to_byte(255.0 * value) };
                    }
                }
                pixels
            }
        }
    }
}

fn stripes(stream: Stream, width: usize, height: usize, (least, greatest): (f64, f64)) -> Vec<u8> {
    let draw = |index| f64::from(stream.uniform(index));
    let period = least + (greatest - least) * draw(0);
    let (sin, cos) = libm::sincos(std::f64::consts::PI * draw(1));
    let phase = draw(2);
    let colour = |first: u64| [0, 1, 2].map(|channel| (stream.word(first + channel) >> 24) as u8);
    let colours = [colour(4), colour(8)];
    let mut pixels = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        for x in 0..width {
            let along = (x as f64 * cos + y as f64 * sin) / period + phase;
            let second = along - libm::floor(along) >= 0.5;
            pixels.extend_from_slice(&colours[usize::from(second)]);
        }
    }
    pixels
}

/// A plane of random dots, blurred with a Gaussian of that deviation, its edges mirrored.
fn blobs(stream: Stream, width: usize, height: usize, density: f64, blur: f64) -> Vec<f64> {
    let dots: Vec<f64> =
        (0..(width * height) as u64).map(|i| if f64::from(stream.uniform(i)) < density { 1.0 } else { 0.0 }).collect();
    // As in common image libraries: the filter ends at four deviations.
    let radius = libm::floor(4.0 * blur + 0.5) as isize;
    let weights: Vec<f64> = (-radius..=radius).map(|d| libm::exp(-0.5 * (d * d) as f64 / (blur * blur))).collect();
    let sum: f64 = weights.iter().sum();
    let mirrored = |position: isize, length: usize| {
        let length = length as isize;
        let folded = position.rem_euclid(2 * length);
        (if folded < length { folded } else { 2 * length - 1 - folded }) as usize
    };
    let filtered = |source: &dyn Fn(usize) -> f64, centre: usize, length: usize| {
        let terms = weights.iter().enumerate();
        terms
            .map(|(k, weight)| weight / sum * source(mirrored(centre as isize + k as isize - radius, length)))
            .sum::<f64>()
    };
    let mut rows = vec![0.0; width * height];
    for (i, value) in rows.iter_mut().enumerate() {
        *value = filtered(&|x| dots[i / width * width + x], i % width, width);
    }
    (0..width * height).map(|i| filtered(&|y| rows[y * width + i % width], i / width, height)).collect()
}

fn to_byte(value: f64) -> u8 {
    libm::floor(value + 0.5).clamp(0.0, 255.0) as u8
}

impl Source for Generated {
    fn len(&self) -> usize {
        self.len
    }

    fn id(&self, index: usize) -> String {
        format!("{}/{}#{index}", self.name, self.split)
    }

    fn decode(&self, index: usize, _fetched: Option<Vec<u8>>, _reading: Reading) -> Result<RgbImage, DatasetError> {
        RgbImage::new(self.width, self.height, self.pixels(index))
    }

    fn label(&self, _index: usize) -> Option<u32> {
        None
    }

    fn content(&self, index: usize) -> Key {
        Key::of_bytes(&self.pixels(index))
    }
}
