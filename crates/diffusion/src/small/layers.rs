//! What small networks are made of: their parameters' names and sizes, and the layers that read them in the same order.

use candle_core::Tensor;

use crate::{Entry, Start};

/// Writes down the parameters of a network in the order in which its layers read them.
#[derive(Default)]
pub(crate) struct LayoutBuilder(pub Vec<Entry>);

impl LayoutBuilder {
    fn push(&mut self, name: String, shape: Vec<usize>, start: Start) {
        let begin = self.0.last().map_or(0, |entry| entry.span.end);
        let end = begin.saturating_add(shape.iter().copied().fold(1, usize::saturating_mul));
        self.0.push(Entry { name, shape, span: begin..end, start });
    }

    /// A linear layer. Weights begin uniform with He's variance (2015) times `gain`², so that a ReLU behind it keeps the signal's size for
    /// a gain of 1; biases begin at zero.
    pub fn linear(&mut self, name: &str, from: usize, to: usize, gain: f64) {
        self.weighted(name, vec![to, from], from, to, gain);
    }

    /// A square convolution; begins as [`LayoutBuilder::linear`].
    pub fn convolution(&mut self, name: &str, from: usize, to: usize, size: usize, gain: f64) {
        self.weighted(name, vec![to, from, size, size], from * size * size, to, gain);
    }

    /// A group norm.
    pub fn norm(&mut self, name: &str, channels: usize) {
        self.push(format!("{name}.weight"), vec![channels], Start::One);
        self.push(format!("{name}.bias"), vec![channels], Start::Zero);
    }

    fn weighted(&mut self, name: &str, shape: Vec<usize>, fan_in: usize, to: usize, gain: f64) {
        let start =
            if gain == 0.0 { Start::Zero } else { Start::Uniform((gain * (6.0 / fan_in as f64).sqrt()) as f32) };
        self.push(format!("{name}.weight"), shape, start);
        self.push(format!("{name}.bias"), vec![to], Start::Zero);
    }
}

/// Takes parameters in the order of the layout.
pub(crate) struct Taken<'a>(std::slice::Iter<'a, Tensor>);

impl<'a> Taken<'a> {
    pub fn new(parameters: &'a [Tensor]) -> Taken<'a> {
        Taken(parameters.iter())
    }

    pub fn next(&mut self) -> candle_core::Result<&'a Tensor> {
        self.0.next().ok_or_else(|| candle_core::Error::Msg("too few parameters".into()))
    }

    /// `x W^T + b`; x: `[rows, in]`.
    pub fn linear(&mut self, x: &Tensor) -> candle_core::Result<Tensor> {
        let (weight, bias) = (self.next()?.t()?, self.next()?);
        x.matmul(&weight)?.broadcast_add(bias)
    }
}
