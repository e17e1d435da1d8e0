//! The plain engine: candle on the CPU, gradients by its autograd. The readable specification of the network.

use candle_core::{Device, Tensor, Var};

use super::{Batch, LfdnEngine, check_rows};
use crate::{DiffusionError, LfdnConfig, Parameters, time_embedding as embedding};

/// GroupNorm's epsilon.
const GROUP_NORM_EPSILON: f64 = 1e-5;
/// Networks whose tensors are kept: the first-epoch and the last model are scored side by side.
const KEPT: usize = 2;

/// The network on candle.
///
/// Bits: products are candle's (the `gemm` crate), whose sums run over the inner dimension in an order that depends on the shapes alone, not
/// on the number of threads; reductions are computed by one thread.
/// A time embedding is computed once for each distinct step of a batch, not for each row.
///
/// Speed: candle spreads elementwise operations of 65,536 elements or more over a pool that waits by spinning, which costs more than it
/// gives when other work needs the processors. A program that trains should set `CANDLE_NUM_THREADS=1` before its first thread starts; the
/// products still use all threads of rayon's pool, and the bits stay the same.
#[derive(Default)]
pub struct Plain {
    kept: Vec<(u64, Vec<Tensor>)>,
}

impl Plain {
    /// An engine that has seen no parameters yet.
    #[must_use]
    pub fn new() -> Plain {
        Plain::default()
    }

    /// The parameters as tensors, from memory when their stamp was seen before.
    fn tensors(&mut self, parameters: &Parameters) -> Result<Vec<Tensor>, DiffusionError> {
        if let Some((_, tensors)) = self.kept.iter().find(|(stamp, _)| *stamp == parameters.stamp()) {
            return Ok(tensors.clone());
        }
        let tensors = parameters
            .entries()
            .iter()
            .map(|entry| {
                Tensor::from_slice(&parameters.values()[entry.span.clone()], entry.shape.as_slice(), &Device::Cpu)
            })
            .collect::<candle_core::Result<Vec<Tensor>>>()?;
        self.kept.truncate(KEPT - 1);
        self.kept.insert(0, (parameters.stamp(), tensors.clone()));
        Ok(tensors)
    }
}

impl LfdnEngine for Plain {
    fn name(&self) -> &'static str {
        "plain"
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
        let tensors = self.tensors(parameters)?;
        let x = Tensor::from_slice(x, (rows, config.dim), &Device::Cpu)?;
        let y = forward(&tensors, config, x, t)?.flatten_all()?;
        out.copy_from_slice(&y.to_vec1::<f32>()?);
        Ok(())
    }

    fn gradients(
        &mut self,
        parameters: &Parameters,
        batch: &Batch<'_>,
        gradients: &mut Parameters,
    ) -> Result<f64, DiffusionError> {
        let config = parameters.config();
        let rows = check_rows("x", config, batch.t, batch.x)?;
        check_rows("target", config, batch.t, batch.target)?;
        if gradients.config() != config {
            let (expected, found) = (parameters.count(), gradients.count());
            return Err(DiffusionError::Length { what: "gradients", expected, found });
        }
        let variables = parameters
            .entries()
            .iter()
            .map(|entry| {
                Var::from_slice(&parameters.values()[entry.span.clone()], entry.shape.as_slice(), &Device::Cpu)
            })
            .collect::<candle_core::Result<Vec<Var>>>()?;
        let tensors: Vec<Tensor> = variables.iter().map(|variable| variable.as_tensor().clone()).collect();
        let x = Tensor::from_slice(batch.x, (rows, config.dim), &Device::Cpu)?;
        let target = Tensor::from_slice(batch.target, (rows, config.dim), &Device::Cpu)?;
        let loss = (forward(&tensors, config, x, batch.t)? - target)?.sqr()?.mean_all()?;
        let found = loss.backward()?;
        let entries: Vec<_> = gradients.entries().to_vec();
        let flat = gradients.values_mut();
        for (entry, tensor) in entries.iter().zip(&tensors) {
            let out = &mut flat[entry.span.clone()];
            match found.get(tensor) {
                Some(gradient) => out.copy_from_slice(&gradient.flatten_all()?.to_vec1::<f32>()?),
                None => out.fill(0.0),
            }
        }
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }
}

/// Takes parameters in the order of the layout.
struct Taken<'a>(std::slice::Iter<'a, Tensor>);

impl<'a> Taken<'a> {
    fn next(&mut self) -> candle_core::Result<&'a Tensor> {
        self.0.next().ok_or_else(|| candle_core::Error::Msg("too few parameters".into()))
    }

    /// `x W^T + b`; x: `[rows, in]`.
    fn linear(&mut self, x: &Tensor) -> candle_core::Result<Tensor> {
        let (weight, bias) = (self.next()?.t()?, self.next()?);
        x.matmul(&weight)?.broadcast_add(bias)
    }

    /// GroupNorm with one group: mean and (biased) variance over the channels of a row, then weight and bias of each channel.
    fn group_norm(&mut self, x: &Tensor) -> candle_core::Result<Tensor> {
        let (weight, bias) = (self.next()?, self.next()?);
        let centred = x.broadcast_sub(&x.mean_keepdim(1)?)?;
        let deviation = (centred.sqr()?.mean_keepdim(1)? + GROUP_NORM_EPSILON)?.sqrt()?;
        centred.broadcast_div(&deviation)?.broadcast_mul(weight)?.broadcast_add(bias)
    }
}

/// The network. `parameters` in the order of the layout; `x`: `[rows, dim]`; `t`: `[rows]`.
fn forward(parameters: &[Tensor], config: LfdnConfig, x: Tensor, t: &[u32]) -> candle_core::Result<Tensor> {
    let LfdnConfig { width, time_embedding, .. } = config;
    let mut p = Taken(parameters.iter());
    let mut x = p.linear(&x.silu()?)?;
    let time = if time_embedding { Some(Time::new(&mut p, width, t)?) } else { None };
    // Six or two parameters before the blocks, four behind them, ten or eight in each.
    let (outside, inside) = if time_embedding { (10, 10) } else { (6, 8) };
    for _ in 0..parameters.len().saturating_sub(outside) / inside {
        let h = p.group_norm(&x)?.silu()?;
        let mut h = p.linear(&h)?;
        if let Some(time) = &time {
            h = time.shift(&mut p, &h)?;
        }
        let h = p.group_norm(&h)?.silu()?;
        x = (x + p.linear(&h)?)?;
    }
    let h = p.group_norm(&x)?.silu()?;
    p.linear(&h)
}

/// What the blocks are told of the steps: SiLU of the time MLP's output, once for each distinct step.
struct Time {
    e: Tensor,
    row_of_step: Option<Tensor>,
}

impl Time {
    fn new(p: &mut Taken<'_>, width: usize, t: &[u32]) -> candle_core::Result<Time> {
        let (steps, row_of_step) = distinct(t);
        let table = Tensor::from_vec(embedding::table(&steps, width), (steps.len(), width), &Device::Cpu)?;
        let e = p.linear(&table)?.silu()?;
        let e = p.linear(&e)?.silu()?;
        let index = Tensor::from_vec(row_of_step, t.len(), &Device::Cpu)?;
        Ok(Time { e, row_of_step: (steps.len() > 1).then_some(index) })
    }

    /// `h` and the block's projection of each row's step.
    fn shift(&self, p: &mut Taken<'_>, h: &Tensor) -> candle_core::Result<Tensor> {
        let shift = p.linear(&self.e)?;
        match &self.row_of_step {
            None => h.broadcast_add(&shift),
            Some(index) => h + shift.index_select(index, 0)?,
        }
    }
}

/// The distinct steps, rising, and the position of each row's step among them.
pub(super) fn distinct(t: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let mut steps = t.to_vec();
    steps.sort_unstable();
    steps.dedup();
    let rows = t.iter().map(|step| steps.partition_point(|other| other < step) as u32).collect();
    (steps, rows)
}
