//! Convolutions of planes as a candle operation with gradients, on the kernels whose bits do not depend on the number of threads.

use candle_core::{CpuStorage, CustomOp3, Error, Layout, Result, Shape, Tensor};
use oodlab_kernels::dense_conv::Padding;
use oodlab_kernels::dense_conv::backward::{self as dense, PlaneShape};
use rayon::prelude::*;

use crate::small::Taken;

impl Taken<'_> {
    /// A convolution with a bias, and zeros around the image that keep its size at stride 1. `x`: `[images, inputs, height, width]`.
    pub(crate) fn convolution(&mut self, x: &Tensor, stride: usize) -> Result<Tensor> {
        let (weight, bias) = (self.next()?, self.next()?);
        let (images, inputs, height, width) = x.dims4()?;
        let (outputs, _, size, _) = weight.dims4()?;
        let around = size / 2;
        let padding = Padding { top: around, bottom: around, left: around, right: around };
        let shape = PlaneShape { images, inputs, outputs, height, width, size, stride, padding };
        let (rows, columns) = shape.output_size().map_err(Error::wrap)?;
        x.contiguous()?.apply_op3(weight, bias, Convolution { shape, output: (images, outputs, rows, columns) })
    }
}

struct Convolution {
    shape: PlaneShape,
    /// Images, channels, rows, columns of the output.
    output: (usize, usize, usize, usize),
}

impl Convolution {
    /// Values of one output channel of one image.
    fn plane(&self) -> usize {
        self.output.2 * self.output.3
    }
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (input, weight, bias) = (slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?);
        if bias.len() != self.shape.outputs {
            return Err(Error::msg(format!("{} biases for {} channels", bias.len(), self.shape.outputs)));
        }
        let shape = Shape::from(self.output);
        let mut output = vec![0.0; shape.elem_count()];
        dense::forward(self.shape, input, weight, &mut output).map_err(Error::wrap)?;
        output.par_chunks_mut(self.plane() * bias.len()).for_each(|image| {
            for (plane, bias) in image.chunks_exact_mut(self.plane()).zip(bias) {
                plane.iter_mut().for_each(|value| *value += bias);
            }
        });
        Ok((CpuStorage::F32(output), shape))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = values(gradient)?;
        let device = input.device();
        // The images themselves need no gradient.
        let of_input = if input.track_op() {
            let mut slope = vec![0.0; input.elem_count()];
            dense::input_gradient(self.shape, &values(weight)?, &gradient, &mut slope).map_err(Error::wrap)?;
            Some(Tensor::from_vec(slope, input.dims(), device)?)
        } else {
            None
        };
        let mut of_weight = vec![0.0; weight.elem_count()];
        dense::weight_gradient(self.shape, &values(input)?, &gradient, &mut of_weight).map_err(Error::wrap)?;
        // Planes on their own, then image by image in order.
        let planes: Vec<f64> =
            gradient.par_chunks(self.plane()).map(|plane| plane.iter().map(|&g| f64::from(g)).sum()).collect();
        let mut of_bias = vec![0.0f64; self.shape.outputs];
        for image in planes.chunks_exact(self.shape.outputs) {
            of_bias.iter_mut().zip(image).for_each(|(sum, plane)| *sum += plane);
        }
        let of_bias: Vec<f32> = of_bias.into_iter().map(|sum| sum as f32).collect();
        Ok((
            of_input,
            Some(Tensor::from_vec(of_weight, weight.dims(), device)?),
            Some(Tensor::from_vec(of_bias, bias.dims(), device)?),
        ))
    }
}

/// The values of a contiguous tensor on the processor.
pub(super) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (start, end) = layout.contiguous_offsets().ok_or_else(|| Error::msg("expected a contiguous tensor"))?;
    storage.as_slice::<f32>()?.get(start..end).ok_or_else(|| Error::msg("a tensor ends before its layout"))
}

/// A tensor's values, copied.
pub(super) fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}
