//! Small networks on the pixels of 32 × 32 images: baselines for what reconstruction costs when no encoder stands before it.
//!
//! They are stand-ins of their kind, some hundred thousand parameters trained for minutes on a processor, not the paper's networks of Table 1
//! (a VAE of 200 epochs, a DDPM of 350 epochs "with its paper's settings").

mod convolution;
pub(crate) mod image_vae;
