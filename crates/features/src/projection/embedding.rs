//! t-distributed stochastic neighbour embedding.

use oodlab_base::{Cancel, Seed};
use rayon::prelude::*;

use super::affinity::joint_probabilities;
use super::components::pca;
use super::{ProjectionError, check};

/// Most samples: their pairs take 72 MB.
pub const MOST_SAMPLES: usize = 3000;
/// Deviation of the first coordinate at the start.
const START: f64 = 1e-4;
/// Deviation of the noise added there, which parts equal samples.
const NOISE: f64 = 1e-6;
/// Attraction is so many times stronger at first, for so many steps.
const EXAGGERATION: f64 = 12.0;
const EARLY: usize = 250;
const LANES: usize = 4;

/// Settings of t-SNE.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TsneConfig {
    /// Effective number of neighbours, 2 or more; at most a third of the samples but one are taken.
    pub perplexity: f64,
    /// Steps of gradient descent, 250 or more.
    pub iterations: usize,
    /// Seed of the noise that parts equal samples.
    pub seed: u64,
}

impl Default for TsneConfig {
    /// Perplexity 30, 1000 steps, seed 0.
    fn default() -> TsneConfig {
        TsneConfig { perplexity: 30.0, iterations: 1000, seed: 0 }
    }
}

/// Samples in two dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// One a sample, around the origin; unit and orientation mean nothing.
    pub points: Vec<[f64; 2]>,
    /// Kullback-Leibler divergence of the pairs here from the pairs there, in nats.
    pub divergence: f64,
    /// The perplexity taken.
    pub perplexity: f64,
}

/// Exact t-SNE (van der Maaten and Hinton, JMLR 9, 2008) of 4 to 3000 samples `[rows, width]`, begun from the first two principal components.
///
/// Gradient descent with gains, momentum 0.5 and attraction 12 times stronger for 250 steps, then momentum 0.8; the learning rate is
/// `max(rows / 48, 50)`, as in scikit-learn after Belkina and others (Nature Communications 10, 2019).
///
/// # Errors
/// When there are fewer than 4 or more than 3000 samples, a value is not finite, a setting cannot be, or the work was asked to stop.
pub fn tsne(rows: &[f32], width: usize, config: &TsneConfig, cancel: &Cancel) -> Result<Embedding, ProjectionError> {
    let n = check(rows, width, 4)?;
    if n > MOST_SAMPLES {
        return Err(ProjectionError::TooMany { found: n });
    }
    if !(config.perplexity >= 2.0 && config.perplexity.is_finite()) {
        let (key, expected) = ("perplexity", "2 or more");
        return Err(ProjectionError::Setting { key, expected, found: config.perplexity });
    }
    if config.iterations < EARLY {
        let (key, expected) = ("iterations", "250 or more");
        return Err(ProjectionError::Setting { key, expected, found: config.iterations as f64 });
    }
    let mut points = start(rows, width, config.seed, cancel)?;
    cancel.check()?;
    let perplexity = config.perplexity.min((n - 1) as f64 / 3.0).max(1.0);
    let joint = joint_probabilities(rows, width, perplexity);
    let rate = (n as f64 / EXAGGERATION / 4.0).max(50.0);
    let (mut speed, mut gains) = (vec![[0.0f64; 2]; n], vec![[1.0f64; 2]; n]);
    for step in 0..config.iterations {
        cancel.check()?;
        let (exaggeration, momentum) = if step < EARLY { (EXAGGERATION, 0.5) } else { (1.0, 0.8) };
        let gradient = gradient(&joint, &points, exaggeration);
        for (((point, speed), gain), slope) in points.iter_mut().zip(&mut speed).zip(&mut gains).zip(&gradient) {
            for axis in 0..2 {
                // Steps grow while they go on in one direction.
                let onward = speed[axis] * slope[axis] < 0.0;
                gain[axis] = if onward { gain[axis] + 0.2 } else { (gain[axis] * 0.8).max(0.01) };
                speed[axis] = momentum * speed[axis] - rate * gain[axis] * slope[axis];
                point[axis] += speed[axis];
            }
        }
        centre(&mut points);
    }
    let divergence = divergence(&joint, &points);
    Ok(Embedding { points, divergence, perplexity })
}

fn start(rows: &[f32], width: usize, seed: u64, cancel: &Cancel) -> Result<Vec<[f64; 2]>, ProjectionError> {
    let found = pca(rows, width, 2, cancel)?;
    let (n, k) = (rows.len() / width, found.shares.len());
    let along = |i: usize, axis: usize| if axis < k { found.points[i * k + axis] } else { 0.0 };
    let deviation = ((0..n).map(|i| along(i, 0) * along(i, 0)).sum::<f64>() / n as f64).sqrt();
    let scale = if deviation > 0.0 { START / deviation } else { 0.0 };
    let noise = Seed(seed).stream("t-SNE");
    Ok((0..n)
        .map(|i| [0, 1].map(|axis| along(i, axis) * scale + NOISE * f64::from(noise.normal((2 * i + axis) as u64))))
        .collect())
}

fn centre(points: &mut [[f64; 2]]) {
    for axis in 0..2 {
        let mean = points.iter().map(|point| point[axis]).sum::<f64>() / points.len() as f64;
        points.iter_mut().for_each(|point| point[axis] -= mean);
    }
}

/// The gradient of the divergence by the points, with the attraction `exaggeration` times as strong: equation 5. Each row is summed by one thread
/// in a fixed order.
pub(super) fn gradient(joint: &[f64], points: &[[f64; 2]], exaggeration: f64) -> Vec<[f64; 2]> {
    let n = points.len();
    let (xs, ys): (Vec<f64>, Vec<f64>) = points.iter().map(|point| (point[0], point[1])).unzip();
    let forces: Vec<Forces> =
        (0..n).into_par_iter().with_min_len(16).map(|i| forces(&joint[i * n..(i + 1) * n], i, &xs, &ys)).collect();
    let total: f64 = forces.iter().map(|force| force.weight).sum();
    let slope = |force: &Forces| {
        [0, 1].map(|axis| 4.0 * (exaggeration * force.attraction[axis] - force.repulsion[axis] / total))
    };
    forces.iter().map(slope).collect()
}

/// What all other points do to one.
struct Forces {
    attraction: [f64; 2],
    repulsion: [f64; 2],
    /// The sum of the unnormalised similarities.
    weight: f64,
}

/// Four sums side by side, for the sake of speed; always the same four.
fn forces(joint: &[f64], own: usize, xs: &[f64], ys: &[f64]) -> Forces {
    let (x, y) = (xs[own], ys[own]);
    let mut sums = [[0.0f64; LANES]; 5];
    let mut add = |lane: usize, p: f64, other_x: f64, other_y: f64| {
        let (dx, dy) = (x - other_x, y - other_y);
        let near = 1.0 / (1.0 + dx * dx + dy * dy);
        let (pull, push) = (p * near, near * near);
        sums[0][lane] += pull * dx;
        sums[1][lane] += pull * dy;
        sums[2][lane] += push * dx;
        sums[3][lane] += push * dy;
        sums[4][lane] += near;
    };
    let whole = joint.len() / LANES * LANES;
    for at in (0..whole).step_by(LANES) {
        let (p, other_x, other_y) = (&joint[at..at + LANES], &xs[at..at + LANES], &ys[at..at + LANES]);
        for lane in 0..LANES {
            add(lane, p[lane], other_x[lane], other_y[lane]);
        }
    }
    for at in whole..joint.len() {
        add(at - whole, joint[at], xs[at], ys[at]);
    }
    let [ax, ay, rx, ry, weight] = sums.map(|lanes| (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]));
    // The point is among the others, at distance 0.
    Forces { attraction: [ax, ay], repulsion: [rx, ry], weight: weight - 1.0 }
}

/// Kullback-Leibler divergence of the points' pairs from the joint probabilities: equation 2.
pub(super) fn divergence(joint: &[f64], points: &[[f64; 2]]) -> f64 {
    let n = points.len();
    let near = |i: usize, j: usize| {
        let (dx, dy) = (points[i][0] - points[j][0], points[i][1] - points[j][1]);
        1.0 / (1.0 + dx * dx + dy * dy)
    };
    let row = |i: usize| {
        let others = || (0..n).filter(move |j| *j != i);
        let weight: f64 = others().map(|j| near(i, j)).sum();
        let own: f64 = others()
            .map(|j| (joint[i * n + j], near(i, j)))
            .filter(|(p, _)| *p > 0.0)
            .map(|(p, near)| p * libm::log(p / near))
            .sum();
        (weight, own)
    };
    let rows: Vec<(f64, f64)> = (0..n).into_par_iter().map(row).collect();
    let weight: f64 = rows.iter().map(|row| row.0).sum();
    let all: f64 = joint.iter().sum();
    rows.iter().map(|row| row.1).sum::<f64>() + all * libm::log(weight)
}
