//! The fast engine of the processor: no tensors, a backward pass written by hand, all memory kept.
//!
//! * A batch's rows lie in the lanes of vectors from the input to the loss (`oodlab_kernels::linear`), so products read
//!   weights as they are stored and norms sum without shuffling.
//! * What does not depend on the sample is computed for the distinct steps of a batch; in scoring, where a batch has one
//!   step, it is kept with the blocks' biases for each (parameters, step).
//! * A norm's output is not kept for the backward pass, which needs its ingredients anyway; products are computed once.
//! * Where nothing asks for all gradients together (no clipping, one part), a weight's optimiser step follows its gradient
//!   while that is in the second cache.
//!
//! Bits: every sum runs in an order that depends on the shapes alone, so they are the same for any number of threads.

mod backward;
mod buffers;
mod forward;
mod net;
mod sink;
mod steps;
#[cfg(test)]
mod tests;

use oodlab_kernels::adamw::Slices;
use oodlab_kernels::linear::{Numbers, layout};
use oodlab_kernels::silu;
use oodlab_kernels::simd::InstructionSet;

use self::backward::{Back, loss};
use self::buffers::{Buffers, Gradients};
use self::forward::{Pass, Told};
use self::net::Net;
use self::sink::Sink;
use self::steps::Steps;
use super::{Batch, LfdnEngine, Precision, accumulate, check_rows};
use crate::optimiser::{AdamW, TrainState};
use crate::{DiffusionError, LfdnConfig, Parameters};

/// Biases that are kept: those of a few models at the steps of a reconstruction.
const KEPT: usize = 64;

/// The network on plain slices.
pub struct Fused {
    numbers: Numbers,
    net: Option<Net>,
    buffers: Buffers,
    gradients: Gradients,
    steps: Steps,
    /// Biases of the blocks' first layers with a step's shift, `[blocks, width]`, by (stamp, step); latest first.
    kept: Vec<((u64, u32), Vec<f32>)>,
}

impl Fused {
    /// An engine that has seen no parameters yet, for this processor's widest instructions.
    ///
    /// # Errors
    /// When the processor has no fast products of the precision.
    pub fn new(precision: Precision) -> Result<Fused, DiffusionError> {
        match precision {
            Precision::F32 => Ok(Fused::with(Numbers::single(InstructionSet::detect()))),
            Precision::Bf16 => Numbers::half().map(Fused::with).ok_or(DiffusionError::NoBf16),
            Precision::Tf32 => Err(DiffusionError::NoTf32),
        }
    }

    /// The same with other numbers: for tests.
    #[must_use]
    pub(crate) fn with(numbers: Numbers) -> Fused {
        Fused {
            numbers,
            net: None,
            buffers: Buffers::default(),
            gradients: Gradients::default(),
            steps: Steps::default(),
            kept: Vec::new(),
        }
    }

    /// The spans of a network, from memory where it is the one that was seen last.
    fn net(&mut self, config: LfdnConfig) -> Net {
        match self.net.take() {
            Some(net) if net.config == config => net,
            _ => Net::new(config),
        }
    }

    /// Position of the kept biases for one step.
    fn told(&mut self, parameters: &Parameters, net: &Net, step: u32) -> Result<(), DiffusionError> {
        let key = (parameters.stamp(), step);
        if let Some(at) = self.kept.iter().position(|(kept, _)| *kept == key) {
            self.kept[..=at].rotate_right(1);
            return Ok(());
        }
        let LfdnConfig { width, .. } = net.config;
        let mut biases = Vec::with_capacity(net.blocks.len() * width);
        if let Some(layers) = &net.time {
            let pass = Pass { net, values: parameters.values(), numbers: self.numbers, rows: 1 };
            pass.time(layers, &[step], &mut self.buffers.time)?;
            for block in &net.blocks {
                let own = &parameters.values()[block.first.bias.clone()];
                if let Some(projection) = &block.told {
                    pass.shift(projection, 1, &mut self.buffers.time)?;
                    // Of one row in panels, every 32nd value.
                    let shift = self.buffers.time.shift.iter().step_by(oodlab_kernels::linear::PANEL);
                    biases.extend(own.iter().zip(shift).map(|(bias, shift)| bias + shift));
                }
            }
        }
        self.kept.truncate(KEPT - 1);
        self.kept.insert(0, (key, biases));
        Ok(())
    }

    /// Forward and backward of one batch; gradients go to the sink, unless the loss is not finite.
    fn descend(&mut self, net: &Net, batch: &Batch<'_>, sink: Sink<'_>) -> Result<f64, DiffusionError> {
        let rows = check_rows("x", net.config, batch.t, batch.x)?;
        check_rows("target", net.config, batch.t, batch.target)?;
        self.steps.set(batch.t);
        let steps = self.steps.distinct.len();
        self.buffers.reserve(net.config, rows, steps, true);
        self.gradients.reserve(net.config, rows, steps);
        let pass = Pass { net, values: sink.parameters(), numbers: self.numbers, rows };
        take_input(self.numbers.set(), rows, net.config.dim, batch.x, &mut self.buffers)?;
        let told = match &net.time {
            Some(layers) => {
                pass.time(layers, &self.steps.distinct, &mut self.buffers.time)?;
                Told::Steps(&self.steps)
            }
            None => Told::Bias(None),
        };
        pass.run(told, true, &mut self.buffers)?;
        let filled = layout::panels_len(rows, net.config.dim);
        let loss = loss(rows, net.config.dim, &mut self.buffers.output[..filled], batch.target);
        let keeps = matches!(sink, Sink::Keep { .. });
        if loss.is_finite() || keeps {
            let steps = net.time.is_some().then_some(&self.steps);
            let mut back = Back { net, numbers: self.numbers, rows, steps, sink };
            back.run(&mut self.buffers, &mut self.gradients)?;
        }
        Ok(loss)
    }
}

/// SiLU of the input, in panels.
fn take_input(
    set: InstructionSet,
    rows: usize,
    dim: usize,
    x: &[f32],
    buffers: &mut Buffers,
) -> Result<(), DiffusionError> {
    let filled = layout::panels_len(rows, dim);
    // The output's place is free until the end.
    layout::from_rows(rows, dim, x, &mut buffers.output[..filled])?;
    Ok(silu::forward(set, &buffers.output[..filled], &mut buffers.input[..filled])?)
}

impl LfdnEngine for Fused {
    fn name(&self) -> &'static str {
        "fused"
    }

    fn rows_depend_on_their_number(&self) -> bool {
        false
    }

    fn predict(
        &mut self,
        parameters: &Parameters,
        x: &[f32],
        t: &[u32],
        out: &mut [f32],
    ) -> Result<(), DiffusionError> {
        let config = parameters.config();
        let rows = check_rows("x", config, t, x)?;
        check_rows("out", config, t, out)?;
        let net = self.net(config);
        self.steps.set(t);
        let steps = self.steps.distinct.len();
        self.buffers.reserve(config, rows, steps, false);
        let pass = Pass { net: &net, values: parameters.values(), numbers: self.numbers, rows };
        let told = match &net.time {
            None => Told::Bias(None),
            Some(_) if steps == 1 => {
                self.told(parameters, &net, self.steps.distinct[0])?;
                Told::Bias(self.kept.first().map(|(_, biases)| biases.as_slice()))
            }
            Some(layers) => {
                pass.time(layers, &self.steps.distinct, &mut self.buffers.time)?;
                Told::Steps(&self.steps)
            }
        };
        take_input(self.numbers.set(), rows, config.dim, x, &mut self.buffers)?;
        pass.run(told, false, &mut self.buffers)?;
        layout::to_rows(rows, config.dim, &self.buffers.output, out)?;
        self.net = Some(net);
        Ok(())
    }

    fn gradients(
        &mut self,
        parameters: &Parameters,
        batch: &Batch<'_>,
        gradients: &mut Parameters,
    ) -> Result<f64, DiffusionError> {
        let config = parameters.config();
        if gradients.config() != config {
            let (expected, found) = (parameters.count(), gradients.count());
            return Err(DiffusionError::Length { what: "gradients", expected, found });
        }
        let net = self.net(config);
        let sink = Sink::Keep { parameters: parameters.values(), gradients: gradients.values_mut() };
        let loss = self.descend(&net, batch, sink)?;
        self.net = Some(net);
        Ok(loss)
    }

    fn train_step(
        &mut self,
        state: &mut TrainState,
        optimiser: &AdamW,
        learning_rate: f64,
        parts: &[Batch<'_>],
    ) -> Result<f64, DiffusionError> {
        if let ([batch], false) = (parts, optimiser.clips()) {
            let net = self.net(state.parameters.config());
            let coefficients = optimiser.coefficients(state.updates + 1, learning_rate);
            let slices = Slices {
                parameters: state.parameters.values_mut(),
                average: state.ema.values_mut(),
                first_moment: &mut state.first_moment,
                second_moment: &mut state.second_moment,
            };
            let loss = self.descend(&net, batch, Sink::Step { slices, coefficients })?;
            self.net = Some(net);
            if loss.is_finite() {
                state.updates += 1;
            }
            return Ok(loss);
        }
        let mut gradients = state.take_gradients()?;
        let mut sum = state.take_accumulated();
        let loss = accumulate::gradients(self, &state.parameters, parts, &mut gradients, &mut sum)?;
        state.keep_accumulated(sum);
        if loss.is_finite() {
            optimiser.step(state, &gradients, learning_rate)?;
        }
        state.keep_gradients(gradients);
        Ok(loss)
    }
}
