//! One class: its border points, and how far candidates lie from it.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::OutlierError;

/// Noise vectors whose products are held at a time.
const BLOCK: usize = 256;

/// The unit vectors of a class, and who is near to whom.
pub struct ClassEdge {
    width: usize,
    neighbour: usize,
    /// `[samples, width]`
    points: Vec<f64>,
    /// Products of all points with all, `[samples, samples]`.
    products: Vec<f64>,
}

/// The samples of a class that lie farthest out.
#[derive(Debug, Clone, PartialEq)]
pub struct Border {
    /// Squared distance of every sample to its K-th neighbour, itself counted as the first; `[samples]`.
    pub distances: Vec<f64>,
    /// The border points, the farthest first; of equal ones the first.
    pub points: Vec<usize>,
}

impl ClassEdge {
    /// Takes over the features of a class, `[samples, width]`, and brings them to length one.
    ///
    /// # Errors
    /// When a vector is zero, or there are fewer than `neighbour` samples.
    pub fn new(features: &[f32], width: usize, neighbour: usize) -> Result<ClassEdge, OutlierError> {
        let samples = features.len() / width.max(1);
        if !(1..=samples).contains(&neighbour) {
            return Err(OutlierError::setting("boundary.neighbour", neighbour, format!("1 to {samples}, the samples")));
        }
        let mut points = Vec::with_capacity(features.len());
        for (row, feature) in features.chunks_exact(width).enumerate() {
            let length = feature.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
            if length == 0.0 {
                return Err(OutlierError::ZeroVector { what: "features", row });
            }
            points.extend(feature.iter().map(|&x| f64::from(x) / length));
        }
        let products = products(&points, &points, width)?;
        Ok(ClassEdge { width, neighbour, points, products })
    }

    /// Number of samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.points.len() / self.width
    }

    /// The `count` samples with the largest distance to their K-th neighbour.
    #[must_use]
    pub fn border(&self, count: usize) -> Border {
        let samples = self.samples();
        let distance = |row: usize| {
            let mut found: Vec<f64> = self.products[row * samples..(row + 1) * samples]
                .iter()
                .enumerate()
                // Exactly zero for the sample itself, whatever was rounded.
                .map(|(other, product)| if other == row { 0.0 } else { (2.0 - 2.0 * product).max(0.0) })
                .collect();
            kth_smallest(&mut found, self.neighbour)
        };
        let distances: Vec<f64> = (0..samples).into_par_iter().map(distance).collect();
        let mut points: Vec<usize> = (0..samples).collect();
        points.sort_by(|&a, &b| distances[b].total_cmp(&distances[a]).then(a.cmp(&b)));
        points.truncate(count);
        Border { distances, points }
    }

    /// Squared distance to the K-th neighbour of every candidate, `[border, candidates]`: border point p plus `deviation` times noise
    /// vector s, brought to length one.
    ///
    /// # Shapes
    /// `border` numbers of samples; `noise` `[candidates, width]`.
    ///
    /// # Errors
    /// When candle refuses the products.
    pub fn candidate_distances(
        &self,
        border: &[usize],
        noise: &[f32],
        deviation: f64,
    ) -> Result<Vec<f64>, OutlierError> {
        let (samples, candidates) = (self.samples(), noise.len() / self.width);
        let mut distances = vec![0.0; border.len() * candidates];
        for (block, noise) in noise.chunks(BLOCK * self.width).enumerate() {
            let noise: Vec<f64> = noise.iter().map(|&x| f64::from(x)).collect();
            let with_points = products(&noise, &self.points, self.width)?;
            let squares: Vec<f64> = noise.chunks_exact(self.width).map(|e| e.iter().map(|x| x * x).sum()).collect();
            // One row of distances a border point, of which a block fills a part.
            distances.par_chunks_mut(candidates).zip(border).for_each(|(row, &point)| {
                let own = &self.products[point * samples..(point + 1) * samples];
                let mut found = vec![0.0; samples];
                let row = &mut row[block * BLOCK..block * BLOCK + squares.len()];
                for ((to, noise), square) in row.iter_mut().zip(with_points.chunks_exact(samples)).zip(&squares) {
                    // |b + s e|² = |b|² + 2 s e · b + s² |e|²
                    let length = own[point] + 2.0 * deviation * noise[point] + deviation * deviation * square;
                    let over_length = 1.0 / length.sqrt();
                    for ((found, own), noise) in found.iter_mut().zip(own).zip(noise) {
                        *found = 2.0 - 2.0 * (own + deviation * noise) * over_length;
                    }
                    *to = kth_smallest(&mut found, self.neighbour).max(0.0);
                }
            });
        }
        Ok(distances)
    }

    /// The candidate itself, of length one.
    #[must_use]
    pub fn candidate(&self, point: usize, noise: &[f32], number: usize, deviation: f64) -> Vec<f64> {
        let width = self.width;
        let noise = &noise[number * width..(number + 1) * width];
        let moved = self.points[point * width..(point + 1) * width].iter().zip(noise);
        let moved: Vec<f64> = moved.map(|(b, &e)| b + deviation * f64::from(e)).collect();
        let length = moved.iter().map(|x| x * x).sum::<f64>().sqrt();
        moved.into_iter().map(|x| x / length).collect()
    }
}

/// The `k`-th smallest value, k from 1 to their number. Their order is changed.
fn kth_smallest(values: &mut [f64], k: usize) -> f64 {
    *values.select_nth_unstable_by(k - 1, f64::total_cmp).1
}

/// Products of all rows of `a` with all rows of `b`.
fn products(a: &[f64], b: &[f64], width: usize) -> Result<Vec<f64>, OutlierError> {
    let rows = |values: &[f64]| Tensor::from_slice(values, (values.len() / width, width), &Device::Cpu);
    Ok(rows(a)?.matmul(&rows(b)?.t()?)?.flatten_all()?.to_vec1()?)
}
