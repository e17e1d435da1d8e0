//! What is known of every sample's reconstruction: squared errors and cosines by layer, of each model and moment.
//!
//! Every score is a function of it, so that one trajectory serves all of them.

use std::collections::BTreeMap;
use std::ops::Range;

use oodlab_kernels::reconstruction;
use oodlab_kernels::shape::ShapeError;

use super::scores::{Measure, Moment, Reach, Term};

/// Errors and similarities of one model's reconstructions at one moment, summed over trajectories.
#[derive(Debug, Clone, PartialEq)]
struct Errors {
    /// Sum of squared differences of the whole row, `[rows]`.
    whole: Vec<f64>,
    /// Sum of squared differences of each layer, `[rows, layers]`.
    squares: Vec<f64>,
    /// Cosine of each layer, `[rows, layers]`.
    cosines: Vec<f64>,
}

/// The evidence of a set of samples.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    z: &'a [f32],
    width: usize,
    layers: &'a [Range<usize>],
    /// By model (0: the last, 1: of the first epoch) and moment.
    found: BTreeMap<(usize, Moment), Errors>,
    /// Trajectories of each sample that are averaged over.
    trajectories: f64,
}

impl<'a> Evidence<'a> {
    /// Nothing known yet of the samples `z`, `[rows, width]`, of which `trajectories` reconstructions each will be told.
    pub fn new(z: &'a [f32], width: usize, layers: &'a [Range<usize>], trajectories: usize) -> Evidence<'a> {
        Evidence { z, width, layers, found: BTreeMap::new(), trajectories: trajectories as f64 }
    }

    /// Adds the reconstructions (`[n, width]`) of some samples, by their rows. With `only`, a layer's number, nothing else of the
    /// reconstruction counts.
    ///
    /// # Errors
    /// When lengths do not agree.
    pub fn add(
        &mut self,
        (model, moment): (usize, Moment),
        rows: &[usize],
        reconstruction: &[f32],
        only: Option<usize>,
    ) -> Result<(), ShapeError> {
        let mut rest = reconstruction;
        for run in rows.chunk_by(|a, b| a + 1 == *b) {
            let (now, later) = rest.split_at_checked(run.len() * self.width).unwrap_or((rest, &[]));
            self.add_run((model, moment), run[0], now, only)?;
            rest = later;
        }
        Ok(())
    }

    /// [`Evidence::add`] for samples that follow each other.
    fn add_run(
        &mut self,
        key: (usize, Moment),
        first_row: usize,
        reconstruction: &[f32],
        only: Option<usize>,
    ) -> Result<(), ShapeError> {
        let Evidence { z, width, layers, .. } = *self;
        let (rows, all) = (reconstruction.len() / width, z.len() / width);
        let z = &z[first_row * width..(first_row + rows) * width];
        let mut whole = vec![0.0; rows];
        let mut squares = vec![0.0; rows * layers.len()];
        let mut cosines = squares.clone();
        reconstruction::layer_squared_errors(z, reconstruction, width, layers, &mut squares)?;
        reconstruction::layer_cosines(z, reconstruction, width, layers, &mut cosines)?;
        if let Some(only) = only {
            for (at, (squares, cosine)) in squares.iter_mut().zip(&mut cosines).enumerate() {
                if at % layers.len() != only {
                    (*squares, *cosine) = (0.0, 0.0);
                }
            }
            for (whole, squares) in whole.iter_mut().zip(squares.chunks(layers.len())) {
                *whole = squares[only];
            }
        } else {
            reconstruction::squared_errors(z, reconstruction, &mut whole)?;
        }
        let errors = self.found.entry(key).or_insert_with(|| Errors {
            whole: vec![0.0; all],
            squares: vec![0.0; all * layers.len()],
            cosines: vec![0.0; all * layers.len()],
        });
        let add = |sums: &mut [f64], more: &[f64]| sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        let by_layer = first_row * layers.len()..(first_row + rows) * layers.len();
        add(&mut errors.whole[first_row..first_row + rows], &whole);
        add(&mut errors.squares[by_layer.clone()], &squares);
        add(&mut errors.cosines[by_layer], &cosines);
        Ok(())
    }

    /// Number of samples.
    pub fn rows(&self) -> usize {
        self.z.len() / self.width
    }

    /// One number for every sample; none when the term's moment or model was never told.
    pub fn term(&self, term: &Term, layer_weights: Option<&[f64]>) -> Option<Vec<f64>> {
        let of = |model: usize| {
            let errors = self.found.get(&(model, term.moment))?;
            Some((0..errors.whole.len()).map(|row| self.number(errors, row, term, layer_weights)).collect::<Vec<f64>>())
        };
        let last = of(0)?;
        if !term.regret {
            return Some(last);
        }
        Some(of(1)?.iter().zip(&last).map(|(first, last)| first - last).collect())
    }

    fn number(&self, errors: &Errors, row: usize, term: &Term, layer_weights: Option<&[f64]>) -> f64 {
        let count = self.layers.len();
        let reach = match term.reach {
            Reach::All => 0..count,
            Reach::SkipFirst => 1..count,
            Reach::One(layer) => layer - 1..layer,
        };
        let squares = &errors.squares[row * count..(row + 1) * count];
        let cosines = &errors.cosines[row * count..(row + 1) * count];
        let weighted = |value: &dyn Fn(usize) -> f64| {
            let (mut sum, mut weights) = (0.0, 0.0);
            for layer in reach.clone() {
                // A single layer is itself, whatever it weighs beside others.
                let weight = match term.reach {
                    Reach::One(_) => 1.0,
                    _ => layer_weights.map_or(1.0, |weights| weights[layer]),
                };
                sum += weight * value(layer);
                weights += weight;
            }
            sum / weights
        };
        let total = || match term.reach {
            Reach::All => errors.whole[row] / self.trajectories,
            _ => squares[reach.clone()].iter().sum::<f64>() / self.trajectories,
        };
        match term.measure {
            Measure::SumSquares => total(),
            Measure::MeanSquares => total() / self.layers[reach.clone()].iter().map(Range::len).sum::<usize>() as f64,
            Measure::LayerMeanSquares => {
                weighted(&|layer| squares[layer] / self.trajectories / self.layers[layer].len() as f64)
            }
            Measure::Cosine => -weighted(&|layer| cosines[layer] / self.trajectories),
        }
    }
}
