//! Latents of images: what a diffusion learns instead of pixels, and how its samples become images that one can look at.
//!
//! * [`TinyAutoencoder`]: images to latents an eighth as high and wide, and back;
//! * [`ContactSheet`]: rows of small images in one PNG file.

mod autoencoder;
mod layers;
mod sheet;
#[cfg(test)]
mod tests;

pub use autoencoder::TinyAutoencoder;
pub use sheet::ContactSheet;
