//! Outliers out of a latent diffusion model.
//!
//! Published (`oal.md`'s source: HengGao12/OAL): Stable Diffusion with a class word whose embedding was overwritten, 300 latents, of which
//! each row mean is one vector ([`precomputed`] reads such files). Where there is no Stable Diffusion, [`LatentGenerator`] trains a small
//! class-conditional diffusion over the vectors at hand and samples what lies off the classes; that one is this program's own.
//! [`image`] turns small images into such vectors, and vectors back into images to look at.

mod config;
mod generator;
pub mod image;
pub mod precomputed;
#[cfg(test)]
mod tests;

use oodlab_base::{Cancel, Progress, Seed};

pub use config::{Drive, LatentConfig, LatentNetwork};
pub use generator::LatentGenerator;

use crate::{OutlierError, Outliers};

/// What makes outliers.
pub trait OutlierGenerator {
    /// Its name: `latent`.
    fn name(&self) -> &'static str;

    /// Values of an outlier.
    fn width(&self) -> usize;

    /// Makes `rows` outliers, row r for class r mod the number of classes: a function of the request alone.
    ///
    /// # Errors
    /// When the request does not fit, or the work is cancelled.
    fn generate(&self, request: &Request<'_>, work: (&Cancel, &dyn Progress)) -> Result<Outliers, OutlierError>;
}

/// What is asked of a generator.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// How many outliers.
    pub rows: usize,
    /// Outliers at the edge of each class, for a generator that starts from them.
    pub boundary: Option<&'a Outliers>,
    /// Seed of all noise.
    pub seed: Seed,
}
