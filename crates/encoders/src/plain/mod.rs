//! Every network on candle: readable, differentiable, on the processor in f32, NCHW. The specification that the fused
//! backends must agree with; what students are trained with; where detectors get the gradients of images.
//!
//! Batch norms are not folded. Dropout and stochastic depth, which some networks were trained with, are left out: in
//! training, too, a step is a function of its input. All sums have one order, whatever the number of threads; the `gemm`
//! crate, which makes the products, promises equal bits on one machine only.

mod activation;
mod batch_norm;
mod convolution;
mod parameters;
mod pooled;
mod steps;
#[cfg(test)]
mod tests;
mod values;
mod window_pool;

use candle_core::{Tensor, Var};

pub use convolution::convolve;

use crate::encoder::{EncoderConfig, Pooling};
use crate::error::EncoderError;
use crate::network::{Network, Step};
use crate::weights::Weights;
use parameters::Parameters;
use steps::Run;

/// What batch norms normalise by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The batch's own mean and variance; running statistics follow by a tenth (PyTorch's momentum, unbiased variance).
    Train,
    /// Running statistics.
    Infer,
}

/// What a plain network gives for a batch. All tensors are f32 and differentiable.
#[derive(Debug, Clone)]
pub struct PlainOutput {
    /// The map of each tap, shallow to deep, `[images, channels, height, width]`; of a transformer, tokens are rows of one
    /// column, the class token left out.
    pub taps: Vec<Tensor>,
    /// The features as [`crate::Encoder`] gives them, `[images, width]`: pooled taps, then the penultimate vector.
    pub pooled: Tensor,
    /// The vector that the classifier reads, `[images, channels]`, where the weights reach that far.
    pub penultimate: Option<Tensor>,
    /// Class scores, `[images, classes]`, where the weights have a classifier.
    pub logits: Option<Tensor>,
}

/// Where what flows through a network can be looked at, and changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// The map of the tap of this number, counted from 0, as later steps read it: `[images, channels, height, width]`; of a
    /// transformer, all tokens, `[images, tokens, width]`.
    Tap(usize),
    /// The map that the readout reads, in the same shapes.
    Last,
    /// The vector that the classifier reads, `[images, channels]`.
    Penultimate,
}

/// What stands at a point, to what flows on.
pub(crate) type Change<'a> = &'a mut dyn FnMut(Point, &Tensor) -> candle_core::Result<Tensor>;

/// A network on candle with its weights.
pub struct PlainNetwork {
    network: Network,
    pooling: Pooling,
    parameters: Parameters,
    source: String,
}

impl PlainNetwork {
    /// A frozen network: gradients reach images, not parameters.
    ///
    /// # Errors
    /// When the network is unknown, cannot be run at that resolution, or the weights are not the network's.
    pub fn new(config: &EncoderConfig, weights: &Weights) -> Result<PlainNetwork, EncoderError> {
        let (network, _) = config.resolve()?;
        PlainNetwork::of(network, config.pooling, weights, false)
    }

    /// A network every trained parameter of which is a [`Var`].
    ///
    /// # Errors
    /// As [`PlainNetwork::new`]; when the weights' batch norms were folded, which leaves nothing to train them with.
    pub fn trainable(config: &EncoderConfig, weights: &Weights) -> Result<PlainNetwork, EncoderError> {
        let (network, _) = config.resolve()?;
        PlainNetwork::of(network, config.pooling, weights, true)
    }

    /// Any description of a network.
    pub(crate) fn of(
        network: Network,
        pooling: Pooling,
        weights: &Weights,
        train: bool,
    ) -> Result<PlainNetwork, EncoderError> {
        pooling.check(&network)?;
        let parameters = Parameters::new(&network, weights, train)?;
        Ok(PlainNetwork { network, pooling, parameters, source: weights.source().to_owned() })
    }

    /// The trained parameters, in byte order of their names, none of a frozen network. They share their storage with the
    /// network: setting one changes what the network computes.
    #[must_use]
    pub fn parameters(&self) -> Vec<(String, Var)> {
        self.parameters.trained()
    }

    /// Runs a batch of normalised images.
    ///
    /// # Shapes
    /// `images` `[images, 3, height, width]`, f32, on the processor; any size that the network's kernels fit (a transformer:
    /// its own only).
    ///
    /// # Errors
    /// When the shape does not fit; in training, when batch norms were folded or a batch holds one number a channel.
    pub fn forward(&self, images: &Tensor, mode: Mode) -> Result<PlainOutput, EncoderError> {
        if mode == Mode::Train && self.parameters.is_folded() {
            return Err(folded(&self.network, &self.source));
        }
        self.run(images, mode, &mut |_, map| Ok(map.clone())).map_err(EncoderError::from)
    }

    /// Runs a batch in [`Mode::Infer`]; `change` is asked at every [`Point`] what flows on. The taps of the output are the
    /// maps before the change.
    ///
    /// # Errors
    /// When the shape does not fit, or a change fails.
    pub(crate) fn forward_changed(&self, images: &Tensor, change: Change<'_>) -> Result<PlainOutput, EncoderError> {
        self.run(images, Mode::Infer, change).map_err(EncoderError::from)
    }

    /// What is run.
    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// The state dictionary as it is now, running statistics included; weights that came folded stay folded.
    ///
    /// # Errors
    /// When candle cannot read a tensor.
    pub fn to_weights(&self) -> Result<Weights, EncoderError> {
        Ok(self.parameters.to_weights()?)
    }

    fn run(&self, images: &Tensor, mode: Mode, change: Change<'_>) -> candle_core::Result<PlainOutput> {
        let network = &self.network;
        let classifier = self.parameters.has(&format!("{}.weight", network.classifier.name));
        let mut run = Run::new(network, &self.parameters, mode, images.clone());
        for step in &network.trunk {
            run.step(step)?;
            if let Step::Tap(tap) = step {
                let changed = change(Point::Tap(run.taps.len() - 1), run.map(tap.from)?)?;
                run.replace(tap.from, changed);
            }
        }
        let penultimate = if network.has_head(|name| self.parameters.has(name)) {
            for step in &network.head {
                run.step(step)?;
            }
            let last = change(Point::Last, run.map(network.last)?)?;
            Some(change(Point::Penultimate, &pooled::read_out(&last, network.readout)?)?)
        } else {
            None
        };
        let logits = match &penultimate {
            Some(vector) if classifier => Some(run.linear(&network.classifier, vector)?),
            _ => None,
        };
        let mut columns = Vec::new();
        for (map, tap) in run.taps.iter().zip(network.taps()) {
            columns.push(pooled::pool(map, self.pooling, tap.stride)?);
        }
        columns.extend(penultimate.clone());
        Ok(PlainOutput { taps: run.taps, pooled: Tensor::cat(&columns, 1)?, penultimate, logits })
    }
}

/// Folded weights where training was asked for.
fn folded(network: &Network, source: &str) -> EncoderError {
    EncoderError::FoldedTraining { network: network.name, source_name: source.to_owned() }
}
