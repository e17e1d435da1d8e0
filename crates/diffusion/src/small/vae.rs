//! Variational autoencoders (Kingma and Welling 2014): Gaussian posterior of the latent vector, standard normal prior, Gaussian likelihood
//! of one fixed variance.
//!
//! ```text
//! loss = mean over samples of ( 1/2 |x - decode(z)|^2 + beta KL ) / dim,   z = mean + exp(log_variance / 2) normal
//! KL = 1/2 sum( mean^2 + variance - 1 - log_variance )
//! ```
//! `beta` is the likelihood's variance: the loss is minus the evidence lower bound, up to the factor beta and a constant. Log-variances are
//! kept within ±8 by a hyperbolic tangent, so that no step can overflow.

use candle_core::{Device, Tensor};
use oodlab_base::{Cancel, Stream, Task};
use serde_json::{Value, json};

use super::{LayoutBuilder, SmallNetwork, SmallParameters, Taken, in_batches};
use crate::pixel::image_vae;
use crate::{DiffusionError, Entry};

/// Linear layers of the dense encoder and decoder (the paper's Table 11: a 5-layer linear encoder, an 8-layer decoder).
const DENSE_LAYERS: (usize, usize) = (5, 8);
/// Largest log-variance, either sign.
const MOST_LOG_VARIANCE: f64 = 8.0;
/// How large outputs begin, as a share of what keeps the signal: the first reconstructions are near the mean.
pub(crate) const OUTPUT_GAIN: f64 = 0.1;
/// Widest layer.
const MOST_WIDTH: usize = 8192;

/// What encodes and decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VaeBody {
    /// Linear layers with ReLU between them, 5 to encode and 8 to decode, as the paper's VAE on features; the paper does not say what
    /// stands between them.
    Dense {
        /// Values of a sample.
        dim: usize,
        /// Width of all inner layers.
        width: usize,
    },
    /// Convolutions on RGB images: 3 of stride 2 to encode, 3 after doubling to decode.
    Images {
        /// Side of an image, a multiple of 8.
        side: usize,
        /// Channels of the first map; the next have twice and four times as many.
        channels: usize,
    },
}

/// A variational autoencoder: all sizes, no parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vae {
    body: VaeBody,
    latent: usize,
    beta: f64,
}

/// What an autoencoder makes of samples.
#[derive(Debug, Clone, PartialEq)]
pub struct VaeOutput {
    /// Decoded from the mean latent vector, `[rows, dim]`.
    pub reconstruction: Vec<f32>,
    /// Divergence of the posterior from the prior, in nats, `[rows]`.
    pub divergence: Vec<f32>,
}

impl Vae {
    /// The autoencoder of these sizes; `beta` weighs the divergence.
    ///
    /// # Errors
    /// When a size is zero or out of range, or beta is not a positive number.
    pub fn new(body: VaeBody, latent: usize, beta: f64) -> Result<Vae, DiffusionError> {
        let refuse = |name, found: &dyn ToString, expected: &str| {
            Err(DiffusionError::Setting { name, found: found.to_string(), expected: expected.to_owned() })
        };
        match body {
            VaeBody::Dense { width, .. } if !(1..=MOST_WIDTH).contains(&width) => {
                return refuse("network.width", &width, "1 to 8192");
            }
            VaeBody::Dense { dim: 0, .. } => return refuse("features", &"0 columns", "at least 1"),
            VaeBody::Images { side, channels } => image_vae::check(side, channels)?,
            VaeBody::Dense { .. } => {}
        }
        if !(1..=MOST_WIDTH).contains(&latent) {
            return refuse("network.latent", &latent, "1 to 8192");
        }
        if !(beta > 0.0 && beta.is_finite()) {
            return refuse("beta", &beta, "a positive number");
        }
        Ok(Vae { body, latent, beta })
    }

    /// Weight of the divergence.
    #[must_use]
    pub fn beta(&self) -> f64 {
        self.beta
    }

    /// Reconstructs samples from the means of their latent vectors, in batches of `batch` rows. Counts samples.
    ///
    /// # Errors
    /// When `x` are no whole samples, the parameters are another network's, or the work is cancelled.
    pub fn reconstruct(
        &self,
        parameters: &SmallParameters,
        x: &[f32],
        batch: usize,
        (cancel, task): (&Cancel, &dyn Task),
    ) -> Result<VaeOutput, DiffusionError> {
        let tensors = parameters.tensors()?;
        let found = in_batches(x, self.dim(), batch, (cancel, task), |x, _| {
            let mut p = Taken::new(&tensors);
            let (mean, log_variance) = self.encode(&mut p, x)?;
            let decoded = self.decode(&mut p, &mean)?;
            let divergence = divergence(&mean, &log_variance)?;
            Ok(vec![decoded.flatten_all()?.to_vec1()?, divergence.to_vec1()?])
        })?;
        let mut found = found.into_iter();
        let (reconstruction, divergence) = (found.next().unwrap_or_default(), found.next().unwrap_or_default());
        Ok(VaeOutput { reconstruction, divergence })
    }

    /// Mean and log-variance of the latent vector, each `[rows, latent]`.
    fn encode(&self, p: &mut Taken<'_>, x: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
        let both = match self.body {
            VaeBody::Dense { .. } => dense(p, x, DENSE_LAYERS.0)?,
            VaeBody::Images { side, .. } => image_vae::encode(p, x, side)?,
        };
        let log_variance = both.narrow(1, self.latent, self.latent)?;
        let log_variance = ((log_variance * (1.0 / MOST_LOG_VARIANCE))?.tanh()? * MOST_LOG_VARIANCE)?;
        Ok((both.narrow(1, 0, self.latent)?, log_variance))
    }

    fn decode(&self, p: &mut Taken<'_>, z: &Tensor) -> candle_core::Result<Tensor> {
        match self.body {
            VaeBody::Dense { .. } => dense(p, z, DENSE_LAYERS.1),
            VaeBody::Images { side, channels } => image_vae::decode(p, z, side, channels),
        }
    }
}

impl SmallNetwork for Vae {
    fn name(&self) -> &'static str {
        match self.body {
            VaeBody::Dense { .. } => "vae",
            VaeBody::Images { .. } => "pixel vae",
        }
    }

    fn settings(&self) -> Value {
        let sizes = match self.body {
            VaeBody::Dense { dim, width } => json!({"dim": dim, "width": width}),
            VaeBody::Images { side, channels } => json!({"side": side, "channels": channels}),
        };
        json!({"sizes": sizes, "latent": self.latent, "beta": self.beta})
    }

    fn dim(&self) -> usize {
        match self.body {
            VaeBody::Dense { dim, .. } => dim,
            VaeBody::Images { side, .. } => 3 * side * side,
        }
    }

    fn layout(&self) -> Vec<Entry> {
        let mut layout = LayoutBuilder::default();
        match self.body {
            VaeBody::Dense { dim, width } => {
                dense_layout(&mut layout, "encoder", dim, width, 2 * self.latent, DENSE_LAYERS.0);
                dense_layout(&mut layout, "decoder", self.latent, width, dim, DENSE_LAYERS.1);
            }
            VaeBody::Images { side, channels } => image_vae::layout(&mut layout, side, channels, self.latent),
        }
        layout.0
    }

    fn loss(&self, parameters: &[Tensor], x: &Tensor, draws: Stream) -> candle_core::Result<Tensor> {
        let mut p = Taken::new(parameters);
        let (mean, log_variance) = self.encode(&mut p, x)?;
        let mut noise = vec![0.0; mean.elem_count()];
        oodlab_kernels::normal::fill(draws, 0, &mut noise);
        let noise = Tensor::from_vec(noise, mean.dims(), &Device::Cpu)?;
        let z = (&mean + (log_variance.clone() * 0.5)?.exp()? * noise)?;
        let error = (self.decode(&mut p, &z)? - x)?.sqr()?.sum_all()?;
        let divergence = divergence(&mean, &log_variance)?.sum_all()?;
        ((error * 0.5)? + (divergence * self.beta)?)? * (1.0 / x.elem_count() as f64)
    }
}

/// The divergence of each row's posterior from the standard normal, `[rows]`.
fn divergence(mean: &Tensor, log_variance: &Tensor) -> candle_core::Result<Tensor> {
    let terms = ((mean.sqr()? + log_variance.exp()?)? - log_variance)?;
    (terms - 1.0)?.sum(1)? * 0.5
}

fn dense_layout(layout: &mut LayoutBuilder, name: &str, from: usize, width: usize, to: usize, layers: usize) {
    for layer in 0..layers {
        let inputs = if layer == 0 { from } else { width };
        let (outputs, gain) = if layer + 1 == layers { (to, OUTPUT_GAIN) } else { (width, 1.0) };
        layout.linear(&format!("{name}.{layer}"), inputs, outputs, gain);
    }
}

fn dense(p: &mut Taken<'_>, x: &Tensor, layers: usize) -> candle_core::Result<Tensor> {
    let mut x = p.linear(x)?;
    for _ in 1..layers {
        x = p.linear(&x.relu()?)?;
    }
    Ok(x)
}
