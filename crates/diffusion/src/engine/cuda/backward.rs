//! The gradients of all parameters, from the gradient of the output.

use oodlab_kernels::cuda::{Buffer, CudaError, Gpu};
use oodlab_kernels::dense::cuda as dense;
use oodlab_kernels::group_norm::cuda::CudaGroupNorm;

use super::forward::{Network, Normalised, Pass, Tape};
use super::places::{Linear, Norm};

/// Gradients on their way back, and room for sums.
#[derive(Debug)]
pub(super) struct Flow {
    /// Of the rows between two blocks.
    rows: Buffer<f32>,
    /// Of a norm's output, and of its input.
    inner: [Buffer<f32>; 2],
    /// Of a block's shift, `[steps, width]`.
    shift: Buffer<f32>,
    /// Of the time MLP's layers.
    time: [Buffer<f32>; 2],
    scratch: Buffer<f32>,
}

/// Where the gradients go.
struct Gradients<'a> {
    network: Network<'a>,
    scratch: &'a mut Buffer<f32>,
    into: &'a mut Buffer<f32>,
    accumulate: bool,
}

impl Gradients<'_> {
    fn gpu(&self) -> &Gpu {
        &self.network.products.gpu
    }

    fn bias(&mut self, layer: Linear, gradient: &Buffer<f32>, rows: usize) -> Result<(), CudaError> {
        let (gpu, out) = (&self.network.products.gpu, (&mut *self.into, layer.bias));
        dense::column_sums(gpu, gradient, (rows, layer.to), self.scratch, out, self.accumulate)
    }

    fn weight(&mut self, layer: Linear, gradient: &Buffer<f32>, x: &Buffer<f32>, rows: usize) -> Result<(), CudaError> {
        self.network.products.weight_gradient(layer, gradient, x, rows, self.into, self.accumulate)
    }

    fn input(
        &self,
        layer: Linear,
        gradient: &Buffer<f32>,
        rows: usize,
        out: &mut Buffer<f32>,
        accumulate: bool,
    ) -> Result<(), CudaError> {
        let parameters = self.network.parameters;
        self.network.products.input_gradient(layer, parameters, gradient, rows, out, accumulate)
    }

    /// Of a norm's weight and bias, and of its input, plus what goes past the norm.
    fn norm(
        &mut self,
        place: Norm,
        norm: &CudaGroupNorm<'_>,
        (gradient, left): (&Buffer<f32>, &Normalised),
        added: Option<&Buffer<f32>>,
        out: &mut Buffer<f32>,
    ) -> Result<(), CudaError> {
        let (gpu, into) = (&self.network.products.gpu, (&mut *self.into, place.weight));
        norm.weight_gradients(gpu, gradient, &left.statistics, self.scratch, into, self.accumulate)?;
        norm.backward(gpu, gradient, &left.statistics, added, out)
    }
}

impl Flow {
    pub fn new(gpu: &Gpu) -> Result<Flow, CudaError> {
        let empty = || gpu.zeros::<f32>(0);
        Ok(Flow {
            rows: empty()?,
            inner: [empty()?, empty()?],
            shift: empty()?,
            time: [empty()?, empty()?],
            scratch: empty()?,
        })
    }

    fn reserve(&mut self, network: Network<'_>, pass: Pass) -> Result<(), CudaError> {
        let length = pass.rows * pass.width;
        self.rows.reserve(length)?;
        self.inner.iter_mut().try_for_each(|buffer| buffer.reserve(length))?;
        if let Some([_, layer]) = network.places.time {
            self.shift.reserve(network.time.steps * pass.width)?;
            self.time.iter_mut().try_for_each(|buffer| buffer.reserve(network.time.steps * layer.to))?;
        }
        Ok(())
    }

    /// `tape` as a kept pass left it, with the output replaced by its gradient.
    pub fn compute(
        &mut self,
        network: Network<'_>,
        pass: Pass,
        tape: &Tape,
        into: &mut Buffer<f32>,
        accumulate: bool,
    ) -> Result<(), CudaError> {
        self.reserve(network, pass)?;
        let Network { places, time, index, .. } = network;
        let (rows, steps) = (pass.rows, time.steps);
        let mut to = Gradients { network, scratch: &mut self.scratch, into, accumulate };
        let [inner, other] = &mut self.inner;

        to.weight(places.output, &tape.output, &tape.last.rows, rows)?;
        to.bias(places.output, &tape.output, rows)?;
        to.input(places.output, &tape.output, rows, inner, false)?;
        let norm = network.norm(places.norm, pass, &tape.between[places.blocks.len()]);
        to.norm(places.norm, &norm, (inner, &tape.last), None, &mut self.rows)?;

        for (at, block) in places.blocks.iter().enumerate().rev() {
            let inside = &tape.blocks[at];
            to.weight(block.second, &self.rows, &inside.second.rows, rows)?;
            to.bias(block.second, &self.rows, rows)?;
            to.input(block.second, &self.rows, rows, inner, false)?;
            let norm = network.shifted(at, block, pass, &inside.product);
            to.norm(block.second_norm, &norm, (inner, &inside.second), None, other)?;
            match block.shift {
                Some(layer) => {
                    index.sums(other, pass.width, &mut self.shift)?;
                    // Both biases are added to the same rows.
                    to.bias(layer, &self.shift, steps)?;
                    to.bias(block.first, &self.shift, steps)?;
                    to.weight(layer, &self.shift, &time.after[1], steps)?;
                    let first = at + 1 == places.blocks.len();
                    to.input(layer, &self.shift, steps, &mut self.time[1], !first)?;
                }
                None => to.bias(block.first, other, rows)?,
            }
            to.weight(block.first, other, &inside.first.rows, rows)?;
            to.input(block.first, other, rows, inner, false)?;
            let norm = network.norm(block.first_norm, pass, &tape.between[at]);
            to.norm(block.first_norm, &norm, (inner, &inside.first), Some(&self.rows), other)?;
            std::mem::swap(&mut self.rows, other);
        }

        to.weight(places.input, &self.rows, &tape.activated, rows)?;
        to.bias(places.input, &self.rows, rows)?;
        let Some([first, second]) = places.time else { return Ok(()) };
        let [of_first, of_second] = &mut self.time;
        dense::silu_gradient(to.gpu(), &time.before[1], steps * second.to, of_second)?;
        to.weight(second, of_second, &time.after[0], steps)?;
        to.bias(second, of_second, steps)?;
        to.input(second, of_second, steps, of_first, false)?;
        dense::silu_gradient(to.gpu(), &time.before[0], steps * first.to, of_first)?;
        to.weight(first, of_first, &time.table, steps)?;
        to.bias(first, of_first, steps)
    }
}
