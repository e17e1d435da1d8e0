//! Named tensors that are trained, and the layers that read them.

use candle_core::{DType, Device, Result, Tensor, Var};
use oodlab_base::Seed;

/// One trained tensor.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    /// Its name, unique in a training.
    pub name: String,
    /// Its values.
    pub var: Var,
}

impl Parameter {
    /// The values, row-major.
    pub fn values(&self) -> Result<Vec<f32>> {
        self.var.flatten_all()?.to_vec1()
    }

    /// Replaces the values.
    pub fn set(&self, values: &[f32]) -> Result<()> {
        self.var.set(&Tensor::from_slice(values, self.var.shape(), &Device::Cpu)?)
    }
}

/// Draws the values of new parameters: each from a stream of its own, named after it.
pub(crate) struct Maker {
    seed: Seed,
    /// f32 in training; gradients are checked in f64.
    dtype: DType,
    made: Vec<Parameter>,
}

impl Maker {
    pub fn new(seed: Seed, dtype: DType) -> Maker {
        Maker { seed, dtype, made: Vec::new() }
    }

    /// Uniform within ± `bound`.
    fn uniform(&mut self, name: String, shape: &[usize], bound: f32) -> Result<Tensor> {
        let mut values = vec![0.0; shape.iter().product()];
        oodlab_kernels::uniform::fill(self.seed.stream(&format!("initialisation {name}")), 0, &mut values);
        values.iter_mut().for_each(|x| *x = (2.0 * *x - 1.0) * bound);
        self.take(name, shape, &values)
    }

    fn take(&mut self, name: String, shape: &[usize], values: &[f32]) -> Result<Tensor> {
        let var = Var::from_tensor(&Tensor::from_slice(values, shape, &Device::Cpu)?.to_dtype(self.dtype)?)?;
        let tensor = var.as_tensor().clone();
        self.made.push(Parameter { name, var });
        Ok(tensor)
    }

    /// Everything made, in that order.
    pub fn finish(self) -> Vec<Parameter> {
        self.made
    }
}

/// `x Wᵀ + b`. Begins as torch's: uniform ± 1 / sqrt(inputs).
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    /// `[outputs, inputs]`.
    pub weight: Tensor,
    /// `[outputs]`.
    pub bias: Tensor,
}

impl Linear {
    pub fn new(make: &mut Maker, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        let bound = 1.0 / (inputs.max(1) as f32).sqrt();
        let weight = make.uniform(format!("{name}.weight"), &[outputs, inputs], bound)?;
        Ok(Linear { weight, bias: make.uniform(format!("{name}.bias"), &[outputs], bound)? })
    }

    /// `x` `[rows, inputs]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)
    }
}

/// Linear layers with ReLU between; named as torch's `Sequential` counts them: 0, 2, 4, ..
#[derive(Debug, Clone)]
pub(crate) struct Perceptron(Vec<Linear>);

impl Perceptron {
    /// `sizes` from the input to the output.
    pub fn new(make: &mut Maker, name: &str, sizes: &[usize]) -> Result<Perceptron> {
        let layer =
            |(number, pair): (usize, &[usize])| Linear::new(make, &format!("{name}.{}", 2 * number), pair[0], pair[1]);
        Ok(Perceptron(sizes.windows(2).enumerate().map(layer).collect::<Result<_>>()?))
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.clone();
        for (number, layer) in self.0.iter().enumerate() {
            x = layer.forward(&if number == 0 { x } else { x.relu()? })?;
        }
        Ok(x)
    }
}

/// Epsilon of torch's batch norms.
const BATCH_NORM_EPSILON: f64 = 1e-5;

/// Batch norm of vectors by the batch's own mean and variance (of the population). It remembers neither: what uses it is never asked
/// outside training.
#[derive(Debug, Clone)]
pub(crate) struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
}

impl BatchNorm {
    pub fn new(make: &mut Maker, name: &str, width: usize) -> Result<BatchNorm> {
        let weight = make.take(format!("{name}.weight"), &[width], &vec![1.0; width])?;
        Ok(BatchNorm { weight, bias: make.take(format!("{name}.bias"), &[width], &vec![0.0; width])? })
    }

    /// `x` `[rows, width]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let centred = x.broadcast_sub(&x.mean_keepdim(0)?)?;
        let deviation = (centred.sqr()?.mean_keepdim(0)? + BATCH_NORM_EPSILON)?.sqrt()?;
        centred.broadcast_div(&deviation)?.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)
    }
}
