//! How samples become what the body reads: features are standardised, images resized and, in training, flipped and cropped.

use oodlab_base::Stream;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Lesson, Pixels, StudentConfig, StudentNetwork};

/// Black pixels around an image before it is cropped to its own size again.
const PADDING: usize = 4;

/// What was learned of the inputs, or is known of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Input {
    /// `(x - mean) · scale` for each value.
    Standardise { mean: Vec<f32>, scale: Vec<f32> },
    /// Images, resized to a side.
    Images(Images),
}

/// Sides of images as they come and as the network reads them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Images {
    pub from: usize,
    pub to: usize,
    pub black: [f32; 3],
}

impl Input {
    /// Of a lesson that was checked.
    pub fn of(config: &StudentConfig, lesson: &Lesson<'_>) -> Input {
        match (config.network, lesson.pixels) {
            (StudentNetwork::Head, _) | (_, None) => standardisation(lesson.samples, lesson.dim),
            (_, Some(Pixels { side, black })) => {
                let to = config.resolution.map_or(side, |side| side as usize);
                Input::Images(Images { from: side, to, black })
            }
        }
    }

    /// Values of a sample as it comes.
    pub fn given(&self) -> usize {
        match self {
            Input::Standardise { mean, .. } => mean.len(),
            Input::Images(images) => 3 * images.from * images.from,
        }
    }

    /// Values of a sample as the body reads it.
    pub fn made(&self) -> usize {
        match self {
            Input::Standardise { mean, .. } => mean.len(),
            Input::Images(images) => 3 * images.to * images.to,
        }
    }

    /// One sample, as it is.
    pub fn plain(&self, sample: &[f32]) -> Vec<f32> {
        match self {
            Input::Standardise { mean, scale } => {
                sample.iter().zip(mean).zip(scale).map(|((x, mean), scale)| (x - mean) * scale).collect()
            }
            Input::Images(images) => images.resized(sample),
        }
    }

    /// The samples of these rows; with `draws`, the epoch's stream, images are augmented as functions of their rows.
    pub fn batch(&self, samples: &[f32], rows: &[usize], draws: Option<Stream>) -> Vec<f32> {
        let (given, made) = (self.given(), self.made());
        let mut batch = vec![0.0; rows.len() * made];
        batch.par_chunks_mut(made.max(1)).zip(rows).for_each(|(to, &row)| {
            let sample = self.plain(&samples[row * given..(row + 1) * given]);
            match (self, draws) {
                (Input::Images(images), Some(draws)) => images.augment(&sample, draws, row, to),
                _ => to.copy_from_slice(&sample),
            }
        });
        batch
    }
}

/// Mean and deviation (of the population) of every value; one that never changes is left at zero.
fn standardisation(samples: &[f32], dim: usize) -> Input {
    let rows = (samples.len() / dim.max(1)).max(1) as f64;
    let mut sums = vec![0.0f64; dim];
    for sample in samples.chunks_exact(dim.max(1)) {
        sums.iter_mut().zip(sample).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    let mean: Vec<f64> = sums.into_iter().map(|sum| sum / rows).collect();
    let mut squares = vec![0.0f64; dim];
    for sample in samples.chunks_exact(dim.max(1)) {
        let centred = sample.iter().zip(&mean).map(|(&x, mean)| f64::from(x) - mean);
        squares.iter_mut().zip(centred).for_each(|(sum, x)| *sum += x * x);
    }
    let scale = squares.into_iter().map(|sum| {
        let deviation = (sum / rows).sqrt();
        // Below what f32 can tell from rounding, a deviation is none.
        if deviation > 1e-12 { (1.0 / deviation) as f32 } else { 0.0 }
    });
    Input::Standardise { scale: scale.collect(), mean: mean.into_iter().map(|x| x as f32).collect() }
}

impl Images {
    /// Bilinear, pixel centres half a pixel in, edges repeated; an image of the right size is left alone.
    fn resized(&self, image: &[f32]) -> Vec<f32> {
        let Images { from, to, .. } = *self;
        if from == to {
            return image.to_vec();
        }
        let taps: Vec<(usize, usize, f32)> = (0..to)
            .map(|place| {
                let at = ((place as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, (from - 1) as f64);
                let first = at.floor() as usize;
                (first, (first + 1).min(from - 1), (at - at.floor()) as f32)
            })
            .collect();
        let mut made = Vec::with_capacity(3 * to * to);
        for plane in image.chunks_exact(from * from) {
            for &(top, bottom, down) in &taps {
                for &(left, right, across) in &taps {
                    let row = |y: usize| {
                        let (a, b) = (plane[y * from + left], plane[y * from + right]);
                        a + across * (b - a)
                    };
                    let (above, below) = (row(top), row(bottom));
                    made.push(above + down * (below - above));
                }
            }
        }
        made
    }

    /// A horizontal flip in one half of all cases, then a crop of the image's own size from the image with a black frame: three draws a
    /// row, at its own places of the epoch's stream.
    fn augment(&self, image: &[f32], draws: Stream, row: usize, to: &mut [f32]) {
        let place = 3 * row as u64;
        let flip = draws.below(2, place) == 1;
        let places = 2 * PADDING as u64 + 1;
        let [down, across] = [1, 2].map(|draw| draws.below(places, place + draw) as usize);
        self.shifted(image, flip, (down, across), to);
    }

    /// Pixel (y, x) of the crop is pixel (y + down - padding, x + across - padding) of the flipped image.
    fn shifted(&self, image: &[f32], flip: bool, (down, across): (usize, usize), to: &mut [f32]) {
        let side = self.to;
        for (channel, (plane, to)) in image.chunks_exact(side * side).zip(to.chunks_exact_mut(side * side)).enumerate()
        {
            for y in 0..side {
                for x in 0..side {
                    let from = ((y + down).checked_sub(PADDING), (x + across).checked_sub(PADDING));
                    to[y * side + x] = match from {
                        (Some(y), Some(x)) if y < side && x < side => {
                            plane[y * side + if flip { side - 1 - x } else { x }]
                        }
                        _ => self.black[channel],
                    };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use oodlab_base::Seed;

    use super::*;

    fn images(from: usize, to: usize) -> Images {
        Images { from, to, black: [-1.0, -2.0, -3.0] }
    }

    #[test]
    fn resizing_interpolates_between_pixel_centres() {
        let ramp: Vec<f32> = (0..3).flat_map(|_| [0.0, 1.0, 0.0, 1.0]).collect();
        let made = images(2, 4).resized(&ramp);
        assert_eq!(made[..4], [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(made.len(), 48);
        assert_eq!(images(4, 2).resized(&made)[..2], [0.125, 0.875]);
        assert_eq!(images(2, 2).resized(&ramp), ramp);
    }

    #[test]
    fn a_crop_moves_the_flipped_image_over_black() {
        let image: Vec<f32> = (0..12).map(|x| x as f32).collect();
        let crop = |flip, place| {
            let mut to = vec![0.0; 12];
            images(2, 2).shifted(&image, flip, place, &mut to);
            to
        };
        assert_eq!(crop(false, (4, 4)), image);
        assert_eq!(crop(true, (4, 4))[..4], [1.0, 0.0, 3.0, 2.0]);
        assert_eq!(crop(false, (5, 4)), [2.0, 3.0, -1.0, -1.0, 6.0, 7.0, -2.0, -2.0, 10.0, 11.0, -3.0, -3.0]);
        assert_eq!(crop(false, (4, 3))[..4], [-1.0, 0.0, -1.0, 2.0]);
    }

    #[test]
    fn augmentation_depends_on_epoch_and_row_only() {
        let input = Input::Images(images(6, 6));
        let samples: Vec<f32> = (0..40 * 108).map(|i| (i as f32 * 0.37).sin()).collect();
        let draws = |epoch| Some(Seed(3).stream("augmentation").child(epoch));
        let all = input.batch(&samples, &(0..40).collect::<Vec<_>>(), draws(0));
        let some = input.batch(&samples, &[7, 31], draws(0));
        assert!(some[..108] == all[7 * 108..8 * 108] && some[108..] == all[31 * 108..32 * 108]);
        assert!(input.batch(&samples, &[7, 31], draws(1)) != some);
        assert!(input.batch(&samples, &[7, 31], None)[..108] == samples[7 * 108..8 * 108]);
    }

    #[test]
    fn features_are_standardised_and_constants_vanish() {
        let samples = [1.0, 5.0, 3.0, 5.0];
        let input = standardisation(&samples, 2);
        assert_eq!(input.batch(&samples, &[0, 1], None), [-1.0, 0.0, 1.0, 0.0]);
    }
}
