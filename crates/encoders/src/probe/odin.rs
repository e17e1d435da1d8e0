//! ODIN's step, as OpenOOD's `odin_postprocessor.py` takes it: against the gradient's sign, divided by each channel's deviation.

#[cfg(test)]
mod tests;

use candle_core::{D, Tensor, Var};

use crate::error::EncoderError;
use crate::network::Normalisation;
use crate::plain::{Mode, PlainNetwork};

/// Logits of the changed image, not divided by the temperature.
pub(super) fn logits(
    network: &PlainNetwork,
    image: &Tensor,
    temperature: f64,
    noise: f64,
    normalisation: Normalisation,
) -> Result<Vec<f32>, EncoderError> {
    let moved = moved(network, image, temperature, noise, normalisation)?;
    Ok(of(network, &moved)?.flatten_all()?.to_vec1()?)
}

/// The changed image.
fn moved(
    network: &PlainNetwork,
    image: &Tensor,
    temperature: f64,
    noise: f64,
    normalisation: Normalisation,
) -> Result<Tensor, EncoderError> {
    let image = Var::from_tensor(image)?;
    let scaled = (of(network, image.as_tensor())? / temperature)?;
    // Cross-entropy of the predicted class: log-sum-exp minus the largest logit.
    let largest = scaled.max_keepdim(D::Minus1)?;
    let loss = scaled.broadcast_sub(&largest)?.exp()?.sum_all()?.log()?;
    let gradients = loss.backward()?;
    let Some(gradient) = gradients.get(&image) else {
        return Err(candle_core::Error::msg("the image has no gradient").into());
    };
    // As the published code: zero counts as positive.
    let sign = (gradient.ge(0.0)?.to_dtype(gradient.dtype())? * 2.0)?.affine(1.0, -1.0)?;
    let deviation: Vec<f32> = normalisation.deviation.iter().map(|value| (noise / value) as f32).collect();
    let step = sign.broadcast_mul(&Tensor::from_vec(deviation, (1, 3, 1, 1), image.device())?)?;
    Ok((image.as_detached_tensor() - step)?)
}

fn of(network: &PlainNetwork, image: &Tensor) -> Result<Tensor, EncoderError> {
    let output = network.forward(image, Mode::Infer)?;
    output.logits.ok_or_else(|| candle_core::Error::msg("the network has no classifier").into())
}
