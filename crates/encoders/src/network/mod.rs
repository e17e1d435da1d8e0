//! Networks as data: a list of steps over numbered maps, without weights.
//!
//! Backends run the same list: `fused` (the processor, batch norms folded), [`crate::plain`] (candle, differentiable, the
//! specification), `cuda`. A family is one file here; adding a network is a line in its family's table, adding a family
//! a file and a line in [`Network::named`].

mod densenet;
mod efficientnet;
mod normalisation;
mod resnet;
mod resnet_cifar;
mod step;
#[cfg(test)]
mod tests;
mod unit;
mod vision_transformer;
mod wide_resnet;

use oodlab_kernels::dense_conv::Padding;
use oodlab_kernels::simd::Activation;

pub use normalisation::Normalisation;
pub use step::{Convolution, InvertedResidual, PoolKind, Slot, Step, Tap, TransformerBlock, WindowPool};
pub use unit::{Parameter, Role, Unit, UnitKind};

/// How the last map becomes the vector that the classifier reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readout {
    /// The average over its pixels.
    Average,
    /// Its first token.
    ClassToken,
}

/// A network: all sizes, no weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// One of [`Network::names`].
    pub name: &'static str,
    /// Side of the images it was trained on, in pixels; EfficientNet's static padding is computed for it.
    pub nominal_resolution: u32,
    /// Whether no other resolution can be run.
    pub fixed_resolution: bool,
    /// How pixels are normalised, unless the weights say otherwise.
    pub normalisation: Normalisation,
    /// Epsilon of all batch norms.
    pub batch_norm_epsilon: f64,
    /// Steps up to the last tap, and those behind it that need no classifier.
    pub trunk: Vec<Step>,
    /// Steps between trunk and readout whose weights come with the classifier (EfficientNet's last convolution).
    pub head: Vec<Step>,
    /// How the penultimate vector is read from `last`.
    pub readout: Readout,
    /// The map that the readout reads, after `head`.
    pub last: Slot,
    /// The classifier, for 1,000 classes or those of the data it was made for; weights may have another number.
    pub classifier: Unit,
}

impl Network {
    /// Epsilon of all layer norms.
    pub const LAYER_NORM_EPSILON: f64 = 1e-6;

    /// Names of all networks, in byte order.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        let mut names = [
            efficientnet::NAMES.as_slice(),
            &resnet::NAMES,
            &resnet_cifar::NAMES,
            &densenet::NAMES,
            &wide_resnet::NAMES,
            &vision_transformer::NAMES,
        ]
        .concat();
        names.sort_unstable();
        names
    }

    /// The network of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Network> {
        efficientnet::named(name)
            .or_else(|| resnet::named(name))
            .or_else(|| resnet_cifar::named(name))
            .or_else(|| densenet::named(name))
            .or_else(|| wide_resnet::named(name))
            .or_else(|| vision_transformer::named(name))
    }

    /// The taps, shallow to deep.
    #[must_use]
    pub fn taps(&self) -> Vec<&Tap> {
        self.trunk.iter().filter_map(|step| if let Step::Tap(tap) = step { Some(tap) } else { None }).collect()
    }

    /// Length of the vector that the classifier reads.
    #[must_use]
    pub fn penultimate(&self) -> usize {
        self.classifier.shape.get(1).copied().unwrap_or(0)
    }

    /// All units of the trunk, in the order in which they run.
    #[must_use]
    pub fn units(&self) -> Vec<Unit> {
        self.trunk.iter().flat_map(Step::units).cloned().collect()
    }

    /// The units of the head, the classifier last, for a number of classes.
    #[must_use]
    pub fn head_units(&self, classes: usize) -> Vec<Unit> {
        let mut units: Vec<Unit> = self.head.iter().flat_map(Step::units).cloned().collect();
        let mut classifier = self.classifier.clone();
        if let Some(outputs) = classifier.shape.first_mut() {
            *outputs = classes;
        }
        units.push(classifier);
        units
    }

    /// Whether weights with these tensors reach the penultimate vector: always where the head has no steps of its own.
    #[must_use]
    pub fn has_head(&self, has_tensor: impl Fn(&str) -> bool) -> bool {
        self.head.iter().flat_map(Step::units).all(|unit| has_tensor(&format!("{}.weight", unit.name)))
    }

    /// Classes of the classifier as published.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classifier.outputs()
    }

    /// The whole state dictionary as published, with the head, in the order of the steps.
    #[must_use]
    pub fn state(&self) -> Vec<Parameter> {
        let head = self.head_units(self.classes());
        self.units().into_iter().chain(head).flat_map(|unit| unit.state()).collect()
    }

    /// Number of trained parameters, with the head as published.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.state().iter().filter(|parameter| parameter.role.is_trained()).map(|p| p.elements() as u64).sum()
    }

    /// Number of maps that the steps use, the image among them.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.trunk.iter().chain(&self.head).filter_map(Step::writes).max().unwrap_or(0) + 1
    }
}

/// The same number of zeros on all sides.
fn symmetric(padding: usize) -> Padding {
    Padding { top: padding, bottom: padding, left: padding, right: padding }
}

/// Builds the steps of networks that are made of plain convolutions: gives each output a map of its own, and takes maps
/// back that nobody reads any more.
struct Builder {
    steps: Vec<Step>,
    /// Free map numbers, the next one last.
    free: Vec<Slot>,
}

impl Builder {
    /// A network of at most `maps` maps at the same time beside the image.
    fn new(maps: usize) -> Builder {
        Builder { steps: Vec::new(), free: (1..=maps).rev().collect() }
    }

    /// A map that is not in use. A family that asks for more than it announced gets the image's, which its tests find.
    fn take(&mut self) -> Slot {
        self.free.pop().unwrap_or(0)
    }

    /// Nobody reads this map any more. The image's is not given back.
    fn give(&mut self, slot: Slot) {
        if slot != 0 && !self.free.contains(&slot) {
            self.free.push(slot);
        }
    }

    /// A convolution into a map of its own.
    fn convolve(
        &mut self,
        unit: Unit,
        from: Slot,
        (stride, padding): (usize, usize),
        activation: Activation,
        residual: Option<Slot>,
    ) -> Slot {
        let to = self.take();
        let padding = symmetric(padding);
        let step = Convolution { unit, stride, padding, activation, from, to, residual, append: false };
        self.steps.push(Step::Convolve(step));
        to
    }

    /// A convolution whose output becomes further channels of `map`.
    fn append(&mut self, unit: Unit, from: Slot, padding: usize, map: Slot) {
        let (activation, padding) = (Activation::None, symmetric(padding));
        let step = Convolution { unit, stride: 1, padding, activation, from, to: map, residual: None, append: true };
        self.steps.push(Step::Convolve(step));
    }

    /// A batch norm and ReLU into a map of its own.
    fn normalise(&mut self, name: String, channels: usize, from: Slot) -> Slot {
        let to = self.take();
        let norm = Unit::batch_norm(name, channels);
        self.steps.push(Step::Normalise { norm, activation: Activation::Relu, from, to });
        to
    }

    /// A window pool into a map of its own.
    fn pool(&mut self, kind: PoolKind, size: usize, stride: usize, padding: usize, from: Slot) -> Slot {
        let to = self.take();
        self.steps.push(Step::Pool(WindowPool { kind, size, stride, padding: symmetric(padding), from, to }));
        to
    }

    /// A tap `prefixN`, N counted from 1.
    fn tap(&mut self, name: String, channels: usize, stride: usize, from: Slot) {
        self.steps.push(Step::Tap(Tap { name, channels, stride, from, skip: 0 }));
    }
}
