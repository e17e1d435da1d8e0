//! Convolutions of planes as a candle operation with gradients, on the kernels whose bits do not depend on the number of threads.

use candle_core::{CpuStorage, CustomOp2, Error, Layout, Result, Shape, Tensor};
use oodlab_kernels::dense_conv::Padding;
use oodlab_kernels::dense_conv::backward::{self as dense, PlaneShape};

use crate::small::Taken;

impl Taken<'_> {
    /// A 3 × 3 convolution with one zero around the image and a bias. `x`: `[images, inputs, height, width]`.
    pub(crate) fn convolution(&mut self, x: &Tensor, stride: usize) -> Result<Tensor> {
        let (weight, bias) = (self.next()?, self.next()?);
        convolve(x, weight, stride)?.broadcast_add(&bias.reshape((1, bias.elem_count(), 1, 1))?)
    }
}

/// Convolves `input` with `weight` `[outputs, inputs, size, size]`, f32 on the processor; zeros of half the size on all sides.
fn convolve(input: &Tensor, weight: &Tensor, stride: usize) -> Result<Tensor> {
    let (images, inputs, height, width) = input.dims4()?;
    let (outputs, _, size, _) = weight.dims4()?;
    let around = size / 2;
    let padding = Padding { top: around, bottom: around, left: around, right: around };
    let shape = PlaneShape { images, inputs, outputs, height, width, size, stride, padding };
    input.contiguous()?.apply_op2(&weight.contiguous()?, Convolution(shape))
}

struct Convolution(PlaneShape);

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, columns) = self.0.output_size().map_err(Error::wrap)?;
        let shape = Shape::from((self.0.images, self.0.outputs, rows, columns));
        let mut output = vec![0.0; shape.elem_count()];
        dense::forward(self.0, slice(s1, l1)?, slice(s2, l2)?, &mut output).map_err(Error::wrap)?;
        Ok((CpuStorage::F32(output), shape))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = values(gradient)?;
        // The images themselves need no gradient.
        let of_input = if input.track_op() {
            let mut slope = vec![0.0; input.elem_count()];
            dense::input_gradient(self.0, &values(weight)?, &gradient, &mut slope).map_err(Error::wrap)?;
            Some(Tensor::from_vec(slope, input.dims(), input.device())?)
        } else {
            None
        };
        let mut slope = vec![0.0; weight.elem_count()];
        dense::weight_gradient(self.0, &values(input)?, &gradient, &mut slope).map_err(Error::wrap)?;
        Ok((of_input, Some(Tensor::from_vec(slope, weight.dims(), weight.device())?)))
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
