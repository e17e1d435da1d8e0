//! The layers of the tiny autoencoder, and how they are found in a weight file.

use std::collections::BTreeSet;

use candle_core::{Device, Module, Tensor};
use candle_nn::GroupNorm;
use oodlab_encoders::weights::Weights;

use crate::OutlierError;

/// Groups of channels that a pool normalises together.
const GROUPS: usize = 4;
/// torch's.
const EPSILON: f64 = 1e-5;
/// Channels beyond this are refused: the published files have 64, and 256 inside a pool.
const MOST_CHANNELS: usize = 1024;

/// What one position of the network does to a map `[1, channels, height, width]`.
pub(super) enum Step {
    Convolution(Convolution),
    Block(Box<Block>),
    Relu,
    /// Every value twice along both axes.
    Double,
    /// 3 tanh(z / 3): latents far out are brought to what the decoder knows.
    Squash,
}

impl Step {
    fn apply(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Step::Convolution(convolution) => convolution.apply(x),
            Step::Block(block) => block.apply(x),
            Step::Relu => x.relu(),
            Step::Double => {
                let (_, _, height, width) = x.dims4()?;
                x.upsample_nearest2d(2 * height, 2 * width)
            }
            Step::Squash => (x / 3.0)?.tanh()? * 3.0,
        }
    }
}

/// Runs the steps one after the other.
pub(super) fn run(steps: &[Step], x: Tensor) -> candle_core::Result<Tensor> {
    steps.iter().try_fold(x, |x, step| step.apply(&x))
}

/// A convolution with zeros around the map, as many as keep its size where the stride is 1.
pub(super) struct Convolution {
    weight: Tensor,
    /// `[1, channels, 1, 1]`.
    bias: Option<Tensor>,
    stride: usize,
    padding: usize,
}

impl Convolution {
    fn apply(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let x = x.conv2d(&self.weight, self.padding, self.stride, 1, 1)?;
        match &self.bias {
            Some(bias) => x.broadcast_add(bias),
            None => Ok(x),
        }
    }
}

/// relu(x + conv(relu(conv(relu(conv(x)))))), where a pool first adds what it sees of the whole map.
pub(super) struct Block {
    pool: Option<Pool>,
    convolutions: [Convolution; 3],
}

struct Pool {
    widen: Convolution,
    normalise: GroupNorm,
    narrow: Convolution,
}

impl Block {
    fn apply(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let x = match &self.pool {
            Some(pool) => {
                let seen = pool.normalise.forward(&pool.widen.apply(x)?)?.relu()?;
                (x + pool.narrow.apply(&seen)?)?
            }
            None => x.clone(),
        };
        let [first, second, third] = &self.convolutions;
        let y = third.apply(&second.apply(&first.apply(&x)?.relu()?)?.relu()?)?;
        (x + y)?.relu()
    }
}

/// Takes tensors out of a weight file and keeps a list of all that is wrong with it.
pub(super) struct Reader<'a> {
    weights: &'a Weights,
    taken: BTreeSet<String>,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    pub fn new(weights: &'a Weights) -> Reader<'a> {
        Reader { weights, taken: BTreeSet::new(), problems: Vec::new() }
    }

    /// Channels as the file has them: of `axis` of that tensor; `published` where there is no such tensor, so that all others are still
    /// looked at.
    pub fn channels(&mut self, name: &str, axis: usize, published: usize) -> usize {
        let Some(found) = self.weights.get(name).and_then(|tensor| tensor.shape.get(axis)).copied() else {
            return published;
        };
        if (1..=MOST_CHANNELS).contains(&found) {
            return found;
        }
        self.problems.push(format!("`{name}` has {found} channels, expected 1 to {MOST_CHANNELS}"));
        published
    }

    /// A 3x3 convolution at that position.
    pub fn convolution(
        &mut self,
        position: usize,
        (from, to): (usize, usize),
        stride: usize,
        bias: bool,
    ) -> Result<Step, OutlierError> {
        Ok(Step::Convolution(self.any_convolution(&position.to_string(), [to, from, 3, 3], stride, bias)?))
    }

    /// A block at that position; it has a pool when the file has one there.
    pub fn block(&mut self, position: usize, channels: usize) -> Result<Step, OutlierError> {
        let pool = format!("{position}.pool.");
        let pool = match self.weights.names().any(|name| name.starts_with(&pool)) {
            true => Some(self.pool(&pool, channels)?),
            false => None,
        };
        let shape = [channels, channels, 3, 3];
        let mut at = |layer: usize| self.any_convolution(&format!("{position}.conv.{layer}"), shape, 1, true);
        let convolutions = [at(0)?, at(2)?, at(4)?];
        Ok(Step::Block(Box::new(Block { pool, convolutions })))
    }

    fn pool(&mut self, prefix: &str, channels: usize) -> Result<Pool, OutlierError> {
        let inside = self.channels(&format!("{prefix}0.weight"), 0, 256);
        if !inside.is_multiple_of(GROUPS) {
            self.problems.push(format!("`{prefix}0.weight` has {inside} channels, expected a multiple of {GROUPS}"));
        }
        let widen = self.any_convolution(&format!("{prefix}0"), [inside, channels, 1, 1], 1, false)?;
        let (weight, bias) = (format!("{prefix}1.weight"), format!("{prefix}1.bias"));
        let (weight, bias) = (self.tensor(&weight, &[inside])?, self.tensor(&bias, &[inside])?);
        let groups = if inside.is_multiple_of(GROUPS) { GROUPS } else { 1 };
        let normalise = GroupNorm::new(weight, bias, inside, groups, EPSILON)?;
        let narrow = self.any_convolution(&format!("{prefix}3"), [channels, inside, 1, 1], 1, false)?;
        Ok(Pool { widen, normalise, narrow })
    }

    fn any_convolution(
        &mut self,
        name: &str,
        shape: [usize; 4],
        stride: usize,
        bias: bool,
    ) -> Result<Convolution, OutlierError> {
        let weight = self.tensor(&format!("{name}.weight"), &shape)?;
        let bias = match bias {
            true => Some(self.tensor(&format!("{name}.bias"), &shape[..1])?.reshape((1, (), 1, 1))?),
            false => None,
        };
        Ok(Convolution { weight, bias, stride, padding: shape[2] / 2 })
    }

    /// A tensor of that shape. One that is not as it should be is noted, and a single zero stands for it until [`Reader::finish`] refuses.
    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, OutlierError> {
        self.taken.insert(name.to_owned());
        let problem = match self.weights.get(name) {
            None => "is missing".to_owned(),
            Some(tensor) if tensor.shape != shape => format!("has shape {:?}, expected {shape:?}", tensor.shape),
            Some(tensor) if !tensor.values.iter().all(|value| value.is_finite()) => "is not finite".to_owned(),
            Some(tensor) => return Ok(Tensor::from_slice(&tensor.values, shape, &Device::Cpu)?),
        };
        self.problems.push(format!("`{name}` {problem}"));
        Ok(Tensor::zeros(1, candle_core::DType::F32, &Device::Cpu)?)
    }

    /// Refuses a file with which anything was wrong, or that holds what the network has no place for.
    pub fn finish(mut self, part: &str) -> Result<(), OutlierError> {
        let strangers = self.weights.names().filter(|name| !self.taken.contains(*name));
        self.problems.extend(strangers.map(|name| format!("`{name}` belongs to no layer")));
        if self.problems.is_empty() {
            return Ok(());
        }
        let problem = format!("not the weights of a tiny autoencoder's {part}: {}", self.problems.join("; "));
        Err(OutlierError::File { file: self.weights.source().to_owned(), problem })
    }
}
