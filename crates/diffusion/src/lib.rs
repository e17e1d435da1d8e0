//! Noise schedule, latent feature diffusion network, training and sampling.
//!
//! The method is DLSR's (Yang et al., *Diffusion-based Layer-wise Semantic Reconstruction for Unsupervised Out-of-Distribution Detection*,
//! NeurIPS 2024, arXiv 2411.10701): a network learns to denoise z-scored feature vectors of in-distribution samples; a sample is noised a
//! little and reconstructed, and what does not come back is out of distribution. What a score means is for the detectors to say.
//!
//! * [`Schedule`]: noise levels; [`LfdnConfig`], [`Parameters`]: the network's sizes and values; [`LfdnEngine`]: what computes it;
//! * [`Training`]: AdamW on stored features, averaged weights, checkpoints; [`Sampler`]: reconstruction by DDIM;
//! * [`small`], [`pixel`]: small networks of other kinds, for comparison;
//! * [`golden`]: the numbers of an independent program that all of it must reproduce.

pub mod bench;
mod checkpoint;
mod config;
mod engine;
mod error;
pub mod golden;
pub mod models;
mod optimiser;
mod parameters;
pub mod pixel;
mod sample;
mod schedule;
pub mod small;
pub mod tensor_file;
pub mod time_embedding;
mod train;

pub use checkpoint::{BestEpoch, Checkpoint, Checkpoints, FirstEpoch, NoCheckpoints};
pub use config::{LfdnConfig, Rate, TrainConfig};
pub use engine::{Batch, Compute, Cuda, Fused, LfdnEngine, Plain, Precision};
pub use error::{DiffusionError, KeeperError};
pub use optimiser::{AdamW, TrainState};
pub use parameters::{Entry, Parameters, Start, layout};
pub use sample::{Method, Noise, Observation, SampleConfig, Sampler, Step, StreamNoise, Stride, Variant};
pub use schedule::{Schedule, ScheduleConfig};
pub use train::{Hide, Objective, TrainContext, Trained, Training};
