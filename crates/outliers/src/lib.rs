//! Outlier-aware learning: outliers made in feature space, a mutual-information bound, distillation, and the students that they train.
//!
//! The method is OAL's (Gao and Li, *Enhancing OOD Detection Using Latent Diffusion*, ICMR 2025, arXiv 2406.16525). The paper's body was
//! not at hand: what is built follows the released code (HengGao12/OAL); where that code does something else than it seems to mean, both
//! ways are there, `released` and `corrected`.
//!
//! * [`Outliers`]: vectors that stand for what is out of distribution; [`boundary`]: those at the edge of each class;
//! * [`information`]: bounds of the mutual information between outliers and features; [`distillation`]: learning from a teacher;
//! * [`latent`]: outliers out of a latent diffusion, trained here or made elsewhere;
//! * [`stable_diffusion`]: latents of Stable Diffusion v1 with the user's weights;
//! * [`student`]: networks that learn from all of these;
//! * [`golden`]: the numbers of an independent program that all of it must reproduce.

pub mod boundary;
pub mod distillation;
mod error;
pub mod golden;
pub mod information;
pub mod latent;
mod outliers;
mod parameters;
pub mod stable_diffusion;
pub mod student;
#[cfg(test)]
mod testing;

pub use error::OutlierError;
pub use outliers::Outliers;
