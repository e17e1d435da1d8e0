//! A latent feature diffusion network with a class context, which makes vectors of a class out of noise.
//!
//! The blocks are the published LFDN's (DLSR, whose block takes a context and is never given one): linear, time embedding, residual blocks
//! with group norms, linear; the network predicts the clean vector. Added here: the embedding of the class (or of none) joins the time's, so
//! that sampling can be guided (Ho and Salimans, *Classifier-free diffusion guidance*, 2022); and the schedule is Stable Diffusion's, since the
//! LFDN's own ends long before the signal is gone.

use candle_core::{D, Device, Tensor};
use oodlab_base::{Cancel, Seed, Stream, Task};
use oodlab_kernels::normal;
use serde_json::{Value, json};

use super::{LayoutBuilder, SmallNetwork, SmallParameters, Taken, in_batches};
use crate::{DiffusionError, Entry, Schedule, ScheduleConfig, time_embedding};

/// Stable Diffusion's schedule, linear in the roots of the betas.
const SCHEDULE: ScheduleConfig = ScheduleConfig { steps: 1000, beta_start: 0.00085, beta_end: 0.012 };
/// One sample in so many is trained without its class, as Ho and Salimans do.
const WITHOUT_CLASS: u64 = 10;
/// Rows that are sampled at once; no row depends on it.
const AT_ONCE: usize = 128;
const GROUP_NORM_EPSILON: f64 = 1e-5;

/// The network: all sizes, no parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionalLfdn {
    /// Values of a vector.
    pub dim: usize,
    /// Width of the blocks and of the embeddings.
    pub width: usize,
    /// Number of blocks.
    pub blocks: usize,
    /// Number of classes.
    pub classes: usize,
    schedule: Schedule,
}

/// How vectors are sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guided {
    /// DDIM steps, evenly spaced, without noise of their own (eta 0).
    pub steps: usize,
    /// Step from which is sampled, 1 to 999: 999 is noise alone, less keeps something of the start.
    pub start: usize,
    /// w: the answer is `without + w · (with - without)` class. 1 is the class alone, 0 no class, below 0 away from it.
    pub guidance: f64,
    /// Share of a row's second class in every answer, 0 to 1 (Liu et al., *Compositional visual generation with composable diffusion models*, ECCV
    /// 2022): what is sampled lies between the two classes. 0: the second class counts for nothing.
    pub mix: f64,
}

impl ConditionalLfdn {
    /// A network of these sizes.
    ///
    /// # Errors
    /// When a size is zero, or the schedule cannot be made (never).
    pub fn new(dim: usize, width: usize, blocks: usize, classes: usize) -> Result<ConditionalLfdn, DiffusionError> {
        for (name, found) in [("dim", dim), ("network.width", width), ("network.blocks", blocks), ("classes", classes)]
        {
            if found == 0 || found > 1 << 20 {
                let expected = "1 to 1048576".to_owned();
                return Err(DiffusionError::Setting { name, found: found.to_string(), expected });
            }
        }
        Ok(ConditionalLfdn { dim, width, blocks, classes, schedule: Schedule::new(SCHEDULE)? })
    }

    /// Steps of the schedule.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.schedule.steps()
    }

    /// Samples vectors. `starts` are `[rows, dim]`: what is noised to the start step (zeros for nothing); `classes` are the two
    /// classes of each row. The noise of a row depends on the seed and its place alone.
    ///
    /// # Errors
    /// When the lengths do not fit, settings are out of range, the parameters are another network's, or the work is cancelled.
    pub fn generate(
        &self,
        parameters: &SmallParameters,
        (starts, classes): (&[f32], &[[u32; 2]]),
        config: &Guided,
        seed: Seed,
        (cancel, task): (&Cancel, &dyn Task),
    ) -> Result<Vec<f32>, DiffusionError> {
        let expected = classes.len().saturating_mul(self.dim);
        if starts.len() != expected {
            return Err(DiffusionError::Length { what: "starts", expected, found: starts.len() });
        }
        if let Some(class) = classes.iter().flatten().find(|&&class| class as usize >= self.classes) {
            let expected = format!("below {}", self.classes);
            return Err(DiffusionError::Setting { name: "class", found: class.to_string(), expected });
        }
        let refuse = |name, found: usize, expected: String| {
            Err(DiffusionError::Setting { name, found: found.to_string(), expected })
        };
        if !(1..self.steps()).contains(&config.start) {
            return refuse("start", config.start, format!("1 to {}", self.steps() - 1));
        }
        if !(1..=config.start).contains(&config.steps) {
            return refuse("steps", config.steps, format!("1 to {}, the start step", config.start));
        }
        let tensors = parameters.tensors()?;
        let visited: Vec<usize> = (1..=config.steps).rev().map(|k| (config.start * k).div_ceil(config.steps)).collect();
        let stream = seed.stream("conditional lfdn noise");
        // Numbers of classes are far below what an f32 holds exactly.
        let packed: Vec<f32> = starts
            .chunks_exact(self.dim)
            .zip(classes)
            .flat_map(|(start, pair)| start.iter().copied().chain(pair.map(|class| class as f32)))
            .collect();
        let found = in_batches(&packed, self.dim + 2, AT_ONCE, (cancel, task), |packed, first| {
            let rows = packed.dim(0)?;
            let clean = packed.narrow(1, 0, self.dim)?;
            let context = |column: usize| {
                let classes = packed.narrow(1, column, 1)?.flatten_all()?.to_vec1::<f32>()?;
                self.contexts(classes.into_iter().map(|class| class as usize))
            };
            let (class, other) = (context(self.dim)?, context(self.dim + 1)?);
            let none = self.contexts(std::iter::repeat_n(self.classes, rows))?;
            let mut noise = vec![0.0; rows * self.dim];
            for (row, noise) in noise.chunks_exact_mut(self.dim).enumerate() {
                normal::fill(stream.child((first + row) as u64), 0, noise);
            }
            let noise = Tensor::from_vec(noise, (rows, self.dim), &Device::Cpu)?;
            let (signal, scale) = self.level(visited[0]);
            let mut x = ((clean * signal)? + (noise * scale)?)?;
            for (at, &step) in visited.iter().enumerate() {
                cancel.check()?;
                let t = vec![step as u32; rows];
                let answer = |context: &Tensor| self.forward(&mut Taken::new(&tensors), &x, &t, context);
                let mut clean = answer(&class)?;
                if config.mix > 0.0 {
                    clean = ((clean * (1.0 - config.mix))? + (answer(&other)? * config.mix)?)?;
                }
                if config.guidance != 1.0 {
                    let free = answer(&none)?;
                    clean = (&free + ((clean - &free)? * config.guidance)?)?;
                }
                let (signal, scale) = self.level(step);
                let noise = ((&x - (&clean * signal)?)? * (1.0 / scale))?;
                x = match visited.get(at + 1) {
                    None => clean,
                    Some(&next) => {
                        let (signal, scale) = self.level(next);
                        ((clean * signal)? + (noise * scale)?)?
                    }
                };
            }
            Ok(vec![x.flatten_all()?.to_vec1()?])
        })?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// One class a row, `[rows, classes + 1]`; the last is "no class".
    fn contexts(&self, classes: impl Iterator<Item = usize>) -> candle_core::Result<Tensor> {
        let mut values = Vec::new();
        for class in classes {
            let begin = values.len();
            values.resize(begin + self.classes + 1, 0.0f32);
            values[begin + class.min(self.classes)] = 1.0;
        }
        let rows = values.len() / (self.classes + 1);
        Tensor::from_vec(values, (rows, self.classes + 1), &Device::Cpu)
    }

    /// Factors of signal and noise at a step.
    fn level(&self, step: usize) -> (f64, f64) {
        let left = self.schedule.alpha_bar()[step];
        (left.sqrt(), (1.0 - left).sqrt())
    }

    /// The clean vectors `[rows, dim]` of noised ones at steps `t`, with contexts `[rows, classes + 1]`.
    fn forward(&self, p: &mut Taken<'_>, x: &Tensor, t: &[u32], context: &Tensor) -> candle_core::Result<Tensor> {
        let time = time_embedding::table(t, self.width);
        let time = Tensor::from_vec(time, (t.len(), self.width), &Device::Cpu)?.to_dtype(x.dtype())?;
        let time = p.linear(&time)?.silu()?;
        let embedded = (p.linear(&time)? + p.linear(context)?)?.silu()?;
        let mut h = p.linear(x)?;
        for _ in 0..self.blocks {
            let inner = norm(p, &h)?.silu()?;
            let inner = (p.linear(&inner)? + p.linear(&embedded)?)?;
            let inner = norm(p, &inner)?.silu()?;
            h = (h + p.linear(&inner)?)?;
        }
        let h = norm(p, &h)?.silu()?;
        p.linear(&h)
    }
}

/// Group norm with one group.
fn norm(p: &mut Taken<'_>, x: &Tensor) -> candle_core::Result<Tensor> {
    let (weight, bias) = (p.next()?, p.next()?);
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + GROUP_NORM_EPSILON)?.sqrt()?;
    centred.broadcast_div(&deviation)?.broadcast_mul(weight)?.broadcast_add(bias)
}

impl SmallNetwork for ConditionalLfdn {
    fn name(&self) -> &'static str {
        "conditional lfdn"
    }

    fn settings(&self) -> Value {
        json!({"dim": self.dim, "width": self.width, "blocks": self.blocks, "classes": self.classes})
    }

    /// A vector and its class as a number.
    fn dim(&self) -> usize {
        self.dim + 1
    }

    fn layout(&self) -> Vec<Entry> {
        let mut layout = LayoutBuilder::default();
        let width = self.width;
        layout.linear("time.0", width, width, 0.5);
        layout.linear("time.1", width, width, 0.5);
        layout.linear("class", self.classes + 1, width, 0.5);
        layout.linear("input", self.dim, width, 0.5);
        for block in 0..self.blocks {
            layout.norm(&format!("blocks.{block}.norm.0"), width);
            layout.linear(&format!("blocks.{block}.linear.0"), width, width, 0.5);
            layout.linear(&format!("blocks.{block}.embedding"), width, width, 0.5);
            layout.norm(&format!("blocks.{block}.norm.1"), width);
            layout.linear(&format!("blocks.{block}.linear.1"), width, width, 0.0);
        }
        layout.norm("output.norm", width);
        layout.linear("output.linear", width, self.dim, 0.0);
        layout.0
    }

    /// The mean squared error of the clean vector, at steps drawn uniformly; one sample in ten has no class.
    fn loss(&self, parameters: &[Tensor], x: &Tensor, draws: Stream) -> candle_core::Result<Tensor> {
        let rows = x.dim(0)?;
        let (of_step, of_noise, of_class) = (draws.child(0), draws.child(1), draws.child(2));
        let clean = x.narrow(1, 0, self.dim)?;
        let class: Vec<f64> = x.narrow(1, self.dim, 1)?.flatten_all()?.to_dtype(candle_core::DType::F64)?.to_vec1()?;
        let hidden = |row: usize| of_class.below(WITHOUT_CLASS, row as u64) == 0;
        let seen =
            class.iter().enumerate().map(|(row, &class)| if hidden(row) { self.classes } else { class as usize });
        let context = self.contexts(seen)?.to_dtype(x.dtype())?;
        let like = |values: Vec<f32>, columns: usize| {
            Tensor::from_vec(values, (rows, columns), &Device::Cpu)?.to_dtype(x.dtype())
        };
        let t: Vec<u32> = (0..rows as u64).map(|row| of_step.below(self.steps() as u64, row) as u32).collect();
        let mut noise = vec![0.0; rows * self.dim];
        normal::fill(of_noise, 0, &mut noise);
        let (signal, scale): (Vec<f32>, Vec<f32>) =
            t.iter().map(|&step| self.level(step as usize)).map(|(a, b)| (a as f32, b as f32)).unzip();
        let noised = clean.broadcast_mul(&like(signal, 1)?)?;
        let noised = (noised + like(noise, self.dim)?.broadcast_mul(&like(scale, 1)?)?)?;
        (self.forward(&mut Taken::new(parameters), &noised, &t, &context)? - clean)?.sqr()?.mean_all()
    }
}

#[cfg(test)]
mod tests {
    use oodlab_base::Silent;

    use super::*;
    use crate::small::tests::{check_gradients, train_quietly};
    use crate::small::{SmallTrainConfig, SmallTrained};

    const CLASSES: usize = 3;

    fn network() -> ConditionalLfdn {
        ConditionalLfdn::new(4, 32, 2, CLASSES).expect("valid sizes")
    }

    fn centre(class: usize) -> [f32; 4] {
        std::array::from_fn(|i| if i == class { 1.8 } else { -0.6 })
    }

    /// Rows near the centre of their class, with the class behind them.
    fn samples(rows: usize) -> Vec<f32> {
        let mut noise = vec![0.0; rows * 4];
        normal::fill(Seed(1).stream("samples"), 0, &mut noise);
        let row = |row: usize| {
            let class = row % CLASSES;
            let at = move |i: usize| centre(class)[i];
            let noise = noise[4 * row..4 * row + 4].to_vec();
            (0..4).map(move |i| at(i) + 0.2 * noise[i]).chain([class as f32])
        };
        (0..rows).flat_map(row).collect()
    }

    fn trained() -> SmallTrained {
        let config =
            SmallTrainConfig { epochs: 60, batch_size: 30, learning_rate: 3e-3, ..SmallTrainConfig::default() };
        train_quietly(&network(), &samples(300), &config)
    }

    fn generate(trained: &SmallTrained, starts: &[f32], guided: &Guided) -> Vec<f32> {
        let classes: Vec<[u32; 2]> = (0..starts.len() / 4).map(|row| [row as u32 % 3, (row as u32 + 1) % 3]).collect();
        let work: (&Cancel, &dyn Task) = (&Cancel::new(), &Silent);
        network().generate(&trained.parameters, (starts, &classes), guided, Seed(9), work).expect("samples")
    }

    fn distance(row: &[f32], class: usize) -> f32 {
        row.iter().zip(centre(class)).map(|(x, c)| (x - c) * (x - c)).sum::<f32>().sqrt()
    }

    fn nearest(row: &[f32]) -> usize {
        (0..CLASSES).min_by(|&a, &b| distance(row, a).total_cmp(&distance(row, b))).expect("a class")
    }

    #[test]
    fn gradients_are_those_of_the_loss() {
        check_gradients(&network(), 4e-3);
    }

    #[test]
    fn samples_of_a_class_look_like_it_and_pushed_away_they_do_not() {
        let trained = trained();
        assert!(trained.losses.last() < trained.losses.first());
        let guided = Guided { steps: 20, start: 999, guidance: 1.0, mix: 0.0 };
        let starts = vec![0.0; 60 * 4];
        let found = generate(&trained, &starts, &guided);
        let right = |found: &[f32]| found.chunks(4).enumerate().filter(|(i, row)| nearest(row) == i % CLASSES).count();
        assert!(right(&found) >= 57, "{} of 60 samples lie nearest to their class", right(&found));
        let mean: f32 = found.chunks(4).enumerate().map(|(i, row)| distance(row, i % CLASSES)).sum::<f32>() / 60.0;
        assert!(mean < 0.8, "mean distance {mean}");
        let away = generate(&trained, &starts, &Guided { guidance: -1.0, ..guided });
        assert!(right(&away) <= 20, "{} of 60 still lie nearest to it", right(&away));
        // Half way between the two classes, each is 1.7 away.
        let between = generate(&trained, &starts, &Guided { mix: 0.5, ..guided });
        let middle = |(i, row): (usize, &[f32])| {
            let (a, b) = (centre(i % CLASSES), centre((i + 1) % CLASSES));
            row.iter().enumerate().map(|(j, x)| (x - 0.5 * (a[j] + b[j])).powi(2)).sum::<f32>().sqrt()
        };
        let off = between.chunks(4).enumerate().map(middle).sum::<f32>() / 60.0;
        assert!(off < 0.8, "mean distance {off} from the middle");
        // A row is the same whatever stands beside it.
        assert_eq!(found[..40], generate(&trained, &starts[..40], &guided)[..]);
        // From an early step, a start stays what it was.
        let kept = generate(&trained, &samples_without_class(6), &Guided { steps: 1, start: 1, ..guided });
        let moved = kept.iter().zip(samples_without_class(6)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(moved < 0.6, "moved by {moved}");
    }

    fn samples_without_class(rows: usize) -> Vec<f32> {
        samples(rows).chunks(5).flat_map(|row| row[..4].to_vec()).collect()
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(ConditionalLfdn::new(0, 8, 1, 2).is_err() && ConditionalLfdn::new(4, 8, 1, 0).is_err());
        let trained = trained();
        let work: (&Cancel, &dyn Task) = (&Cancel::new(), &Silent);
        let told = |starts: &[f32], class: u32, start: usize, steps: usize| {
            let guided = Guided { steps, start, guidance: 1.0, mix: 0.0 };
            let found = network().generate(&trained.parameters, (starts, &[[0, class]]), &guided, Seed(9), work);
            found.expect_err("refused").to_string()
        };
        assert!(told(&[0.0; 4], 3, 999, 10).contains("below 3"));
        assert!(told(&[0.0; 5], 1, 999, 10).contains("starts"));
        assert!(told(&[0.0; 4], 1, 1000, 10).contains("1 to 999"));
        assert!(told(&[0.0; 4], 1, 10, 11).contains("1 to 10"));
    }
}
