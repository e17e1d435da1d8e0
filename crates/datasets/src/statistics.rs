//! What the images of a split look like in numbers: classes, sizes, channels.

use std::collections::BTreeMap;

use oodlab_base::{Cancel, Progress};
use rayon::prelude::*;
use serde::Serialize;

use crate::error::DatasetError;
use crate::set::ImageSet;

/// Numbers of a split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statistics {
    /// Images of the split.
    pub images: usize,
    /// Images of every label; those without one are not counted. Empty where there are no labels.
    pub classes: BTreeMap<u32, usize>,
    /// How many images `mean`, `deviation` and the sizes are of.
    pub measured: usize,
    /// Mean of each channel over all pixels, of values 0..1.
    pub mean: [f64; 3],
    /// Deviation of each channel over all pixels, of values 0..1 (divided by the number of pixels, not by one less).
    pub deviation: [f64; 3],
    /// Least, median (the lower one of two) and greatest width in pixels.
    pub width: [u32; 3],
    /// Least, median and greatest height in pixels.
    pub height: [u32; 3],
}

/// Sums over pixels, exact: integers.
#[derive(Default)]
struct Sums {
    pixels: u64,
    values: [u64; 3],
    squares: [u64; 3],
}

impl Statistics {
    /// Measures the images at these positions; classes are counted over all. The numbers are exact whatever the number of
    /// threads.
    ///
    /// # Errors
    /// When an image cannot be read, or the work was cancelled.
    pub fn of(
        set: &ImageSet,
        positions: &[usize],
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Statistics, DatasetError> {
        let mut classes = BTreeMap::new();
        for label in (0..set.len()).filter_map(|index| set.label(index)) {
            *classes.entry(label).or_insert(0) += 1;
        }
        let task =
            progress.task(&format!("measure {} {}", set.name(), set.split()), "images", positions.len() as u64, 0);
        let measure = |&index: &usize| -> Result<(Sums, (u32, u32)), DatasetError> {
            cancel.check()?;
            let image = set.read(index)?;
            let mut sums = Sums { pixels: image.pixels.len() as u64 / 3, ..Sums::default() };
            for pixel in image.pixels.as_chunks::<3>().0 {
                for (channel, &value) in pixel.iter().enumerate() {
                    sums.values[channel] += u64::from(value);
                    sums.squares[channel] += u64::from(value) * u64::from(value);
                }
            }
            task.advance(1);
            Ok((sums, (image.width, image.height)))
        };
        let measured: Vec<_> = positions.par_iter().map(measure).collect();
        let (mut pixels, mut values, mut squares) = (0u128, [0u128; 3], [0u128; 3]);
        let (mut widths, mut heights) = (Vec::new(), Vec::new());
        for result in measured {
            let (sums, (width, height)) = result?;
            pixels += u128::from(sums.pixels);
            for channel in 0..3 {
                values[channel] += u128::from(sums.values[channel]);
                squares[channel] += u128::from(sums.squares[channel]);
            }
            widths.push(width);
            heights.push(height);
        }
        let mean = values.map(|sum| sum as f64 / (pixels.max(1) as f64 * 255.0));
        // n Σx² - (Σx)² is exact and never negative.
        let deviation = std::array::from_fn(|channel| {
            let spread = pixels * squares[channel] - values[channel] * values[channel];
            (spread as f64).sqrt() / (pixels.max(1) as f64 * 255.0)
        });
        let (width, height) = (spread_of(widths), spread_of(heights));
        Ok(Statistics { images: set.len(), classes, measured: positions.len(), mean, deviation, width, height })
    }
}

/// Least, median and greatest.
fn spread_of(mut sides: Vec<u32>) -> [u32; 3] {
    sides.sort_unstable();
    let at = |place: usize| sides.get(place).copied().unwrap_or(0);
    [at(0), at(sides.len().saturating_sub(1) / 2), at(sides.len().saturating_sub(1))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::Library;
    use oodlab_base::Silent;

    #[test]
    fn numbers_are_those_of_two_passes_over_the_pixels() {
        let library = Library::open("absent".as_ref()).expect("built-in manifests are valid");
        let set = library.open_set("cifar10-mini", "test", None).expect("embedded");
        let positions: Vec<usize> = (0..set.len()).step_by(3).collect();
        let found = Statistics::of(&set, &positions, &Silent, &Cancel::new()).expect("readable");
        assert_eq!((found.images, found.measured), (300, 100));
        assert_eq!(found.classes.len(), 10);
        assert_eq!(found.classes.values().sum::<usize>(), 300);
        assert_eq!((found.width, found.height), ([32; 3], [32; 3]));
        for channel in 0..3 {
            let values: Vec<f64> = positions
                .iter()
                .flat_map(|&index| set.read(index).expect("readable").pixels)
                .skip(channel)
                .step_by(3)
                .map(|value| f64::from(value) / 255.0)
                .collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
            assert!((found.mean[channel] - mean).abs() < 1e-12);
            assert!((found.deviation[channel] - variance.sqrt()).abs() < 1e-12);
        }
        assert_eq!(spread_of(vec![9, 1, 5, 3]), [1, 3, 9]);
    }
}
