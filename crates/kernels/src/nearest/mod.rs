//! The nearest of many vectors: exact, by squared Euclidean distance, in bounded memory.
//!
//! Distances come from products, |q - t|² = |q|² - 2 (q·t - |t|²/2), in single precision on the tiles of [`crate::linear`]. That alone would
//! be inexact: every vector whose product lies within the rounding error of the k-th best is kept, and the distances of those few are computed
//! again, in double precision and in the order of the columns. So the neighbours and their distances are the true ones, and depend on
//! neither threads nor batch.

#[cfg(test)]
mod tests;

use rayon::prelude::*;

use crate::linear::{self, Begin, Numbers, PANEL, Shape, layout};
use crate::shape::{ShapeError, expect};
use crate::simd::InstructionSet;

/// Queries that go through all vectors together.
const QUERIES: usize = 512;
/// Vectors that all of them are compared with at a time: the products of both take 8 MiB.
const VECTORS: usize = 4096;
/// Candidates beyond `k` that are gathered before the worst are dropped.
const SPARE: usize = 256;
/// Half a unit in the last place of single precision.
const ROUNDING: f64 = f32::EPSILON as f64 / 2.0;

/// A neighbour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Squared Euclidean distance.
    pub distance: f64,
    /// Its row.
    pub index: u32,
}

/// Vectors to be found: `[rows, width]`, row-major, f32.
#[derive(Debug, Clone)]
pub struct Vectors<'a> {
    values: &'a [f32],
    width: usize,
    /// Minus half the squared length of each.
    bias: Vec<f32>,
    /// Length of the longest.
    longest: f64,
}

fn squared_length(row: &[f32]) -> f64 {
    row.iter().map(|&x| f64::from(x) * f64::from(x)).sum()
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
}

impl<'a> Vectors<'a> {
    /// Finite vectors of `width` numbers.
    ///
    /// # Errors
    /// When the values are no whole rows, or there are 2^32 rows or more.
    pub fn new(values: &'a [f32], width: usize) -> Result<Vectors<'a>, ShapeError> {
        let rows = values.len() / width.max(1);
        expect("nearest", "vectors", rows * width, values.len())?;
        expect("nearest", "number of vectors", rows.min(u32::MAX as usize), rows)?;
        let squares: Vec<f64> = values.par_chunks(width.max(1)).map(squared_length).collect();
        let longest = squares.iter().copied().fold(0.0, f64::max).sqrt();
        Ok(Vectors { values, width, bias: squares.iter().map(|square| (-0.5 * square) as f32).collect(), longest })
    }

    /// Number of vectors.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.bias.len()
    }

    /// The `k` nearest vectors of each query (fewer where there are fewer), by distance, then by row. `visit` is told each query's
    /// number and neighbours, on any thread; its answers come in the order of the queries.
    ///
    /// # Errors
    /// When `queries` are no whole rows.
    pub fn neighbours<T: Send>(
        &self,
        queries: &[f32],
        k: usize,
        visit: impl Fn(usize, &[Neighbour]) -> T + Sync,
    ) -> Result<Vec<T>, ShapeError> {
        let width = self.width.max(1);
        expect("nearest", "queries", queries.len() / width * width, queries.len())?;
        let mut found = Vec::with_capacity(queries.len() / width);
        let mut panels = vec![0.0; layout::panels_len(QUERIES, width)];
        let mut products = vec![0.0; layout::panels_len(QUERIES, VECTORS.min(self.rows()))];
        for (block, part) in queries.chunks(QUERIES * width).enumerate() {
            let rows = part.len() / width;
            layout::from_rows(rows, width, part, &mut panels[..layout::panels_len(rows, width)])?;
            let mut candidates: Vec<Candidates> =
                part.chunks(width).map(|query| Candidates::new(k, self.margin(query))).collect();
            for first in (0..self.rows()).step_by(VECTORS) {
                let end = (first + VECTORS).min(self.rows());
                let shape = Shape { inputs: width, outputs: end - first, rows };
                let numbers = Numbers::single(InstructionSet::detect());
                let (weight, bias) = (&self.values[first * width..end * width], &self.bias[first..end]);
                linear::forward(numbers, shape, weight, bias, &panels, Begin::Nothing, &mut products)?;
                let of_panels = products.par_chunks(shape.outputs * PANEL);
                candidates.par_chunks_mut(PANEL).zip(of_panels).for_each(|(rows, products)| {
                    gather(rows, products, first as u32);
                });
            }
            let exact = |(row, kept): (usize, &mut Candidates)| {
                let query = &part[row * width..(row + 1) * width];
                visit(block * QUERIES + row, &self.exact(query, kept, k))
            };
            found.extend(candidates.par_iter_mut().enumerate().map(exact).collect::<Vec<T>>());
        }
        Ok(found)
    }

    /// What two products of this query may be wrong by together, in units of the product: the bound of a sum of `width` rounded products,
    /// and the rounding of the bias.
    fn margin(&self, query: &[f32]) -> f32 {
        let longest = self.longest;
        let product = (self.width as f64 + 2.0) * ROUNDING * squared_length(query).sqrt() * longest;
        let bias = ROUNDING * longest * longest;
        (2.0 * (product + bias)) as f32 * 1.01
    }

    fn exact(&self, query: &[f32], kept: &mut Candidates, k: usize) -> Vec<Neighbour> {
        kept.shrink();
        let width = self.width.max(1);
        let mut found: Vec<Neighbour> = kept
            .found
            .iter()
            .map(|&(_, index)| {
                let vector = &self.values[index as usize * width..][..width];
                Neighbour { distance: squared_distance(query, vector), index }
            })
            .collect();
        found.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.index.cmp(&b.index)));
        found.truncate(k);
        found
    }
}

/// What may be among the nearest of one query.
struct Candidates {
    k: usize,
    margin: f32,
    /// Products below it are out.
    least: f32,
    /// Product (higher is nearer) and row.
    found: Vec<(f32, u32)>,
}

impl Candidates {
    fn new(k: usize, margin: f32) -> Candidates {
        Candidates { k: k.max(1), margin, least: f32::NEG_INFINITY, found: Vec::new() }
    }

    /// Drops what cannot be among the `k` nearest.
    fn shrink(&mut self) {
        if self.found.len() <= self.k {
            return;
        }
        let place = self.k - 1;
        let (_, &mut (kth, _), _) = self.found.select_nth_unstable_by(place, |a, b| b.0.total_cmp(&a.0));
        self.least = kth - self.margin;
        let least = self.least;
        self.found.retain(|&(product, _)| product >= least);
    }

    fn push(&mut self, product: f32, index: u32) {
        self.found.push((product, index));
        // Many equal vectors are all kept: twice as many are waited for before they are looked through again.
        if self.found.len() >= (self.k + SPARE).max(self.found.capacity()) {
            self.shrink();
            self.found.reserve(self.found.len().max(self.k + SPARE));
        }
    }
}

/// Takes the products of one panel of queries, `[vectors][32 lanes]`.
fn gather(rows: &mut [Candidates], products: &[f32], first: u32) {
    let mut least = [f32::INFINITY; PANEL];
    for (least, row) in least.iter_mut().zip(rows.iter()) {
        *least = row.least;
    }
    for (vector, lanes) in products.as_chunks::<PANEL>().0.iter().enumerate() {
        // Mostly none is near enough: one comparison of all lanes, without a branch for each.
        let any = lanes.iter().zip(&least).fold(false, |any, (product, least)| any | (product >= least));
        if any {
            for (lane, row) in rows.iter_mut().enumerate() {
                if lanes[lane] >= least[lane] {
                    row.push(lanes[lane], first + vector as u32);
                    least[lane] = row.least;
                }
            }
        }
    }
}
