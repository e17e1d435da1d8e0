//! Small networks on the pixels of RGB images: baselines for what reconstruction costs when no encoder stands before it.
//!
//! They are stand-ins of their kind, some hundred thousand parameters trained for minutes on a processor, not the paper's networks of Table 1
//! (a VAE of 200 epochs, a DDPM of 350 epochs "with its paper's settings"): what they cost an image can be compared, how well they detect
//! cannot.

mod convolution;
mod ddpm;
mod doubled;
mod group_norm;
pub(crate) mod image_vae;
#[cfg(test)]
mod tests;
mod unet;

pub use ddpm::{Ddpm, PixelSampleConfig};
