//! Products of a dense layer whose parameters lie in a flat buffer.

use oodlab_kernels::cuda::{Buffer, CudaError, Factors, Gpu, Product, Right};

use super::places::Linear;

/// What products are computed with.
#[derive(Debug, Clone)]
pub(super) struct Products {
    pub gpu: Gpu,
    pub factors: Factors,
}

impl Products {
    /// `x W^T` without the bias; x: `[rows, from]`, out: `[rows, to]`.
    pub fn forward(
        &self,
        layer: Linear,
        parameters: &Buffer<f32>,
        x: &Buffer<f32>,
        rows: usize,
        out: &mut Buffer<f32>,
    ) -> Result<(), CudaError> {
        let product = Product {
            rows,
            columns: layer.to,
            depth: layer.from,
            left: x,
            left_place: (0, layer.from),
            left_transposed: false,
            right: parameters,
            right_place: (layer.weight, layer.from),
            layout: Right::Transposed,
            scale: 1.0,
            accumulate: false,
            factors: self.factors,
            batch: 1,
            distances: [0; 3],
        };
        self.gpu.product(&product, out, (0, layer.to))
    }

    /// The gradient of the input, `g W`; g: `[rows, to]`, out: `[rows, from]`.
    pub fn input_gradient(
        &self,
        layer: Linear,
        parameters: &Buffer<f32>,
        gradient: &Buffer<f32>,
        rows: usize,
        out: &mut Buffer<f32>,
        accumulate: bool,
    ) -> Result<(), CudaError> {
        let product = Product {
            rows,
            columns: layer.from,
            depth: layer.to,
            left: gradient,
            left_place: (0, layer.to),
            left_transposed: false,
            right: parameters,
            right_place: (layer.weight, layer.from),
            layout: Right::Plain,
            scale: 1.0,
            accumulate,
            factors: self.factors,
            batch: 1,
            distances: [0; 3],
        };
        self.gpu.product(&product, out, (0, layer.from))
    }

    /// The gradient of the weight, `g^T x`, at the weight's place among the gradients.
    pub fn weight_gradient(
        &self,
        layer: Linear,
        gradient: &Buffer<f32>,
        x: &Buffer<f32>,
        rows: usize,
        gradients: &mut Buffer<f32>,
        accumulate: bool,
    ) -> Result<(), CudaError> {
        let product = Product {
            rows: layer.to,
            columns: layer.from,
            depth: rows,
            left: gradient,
            left_place: (0, layer.to),
            left_transposed: true,
            right: x,
            right_place: (0, layer.from),
            layout: Right::Plain,
            scale: 1.0,
            accumulate,
            factors: self.factors,
            batch: 1,
            distances: [0; 3],
        };
        self.gpu.product(&product, gradients, (layer.weight, layer.from))
    }
}
