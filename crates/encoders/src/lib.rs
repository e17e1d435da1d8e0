//! Frozen networks and their weight files: images to layered features.
//!
//! * [`network`]: the networks as data: steps, names, shapes, taps;
//! * [`Encoder`]: a network with its weights; images or normalised tensors in, pooled taps of all layers out;
//! * [`plain`]: every network on candle, differentiable: what backends agree with, students and gradients;
//! * [`mod@fold`]: batch norms folded into convolutions;
//! * [`weights`]: weight files; [`formula`]: weights and images made by formula, to check a network without any;
//! * [`golden`]: comparison with published numbers; [`mod@bench`]: how fast it is.
//!
//! An encoder is a list of fused operations that a backend runs; the one here (`fused`) runs them on the processor,
//! one image a thread.

pub mod bench;
pub mod cuda;
mod encoder;
mod error;
pub mod fold;
pub mod formula;
mod fused;
pub mod golden;
pub mod network;
mod pixels;
pub mod plain;
pub mod probe;
pub mod weights;

pub use encoder::{Encoded, Encoder, EncoderConfig, PENULTIMATE, Pooling, Precision};
pub use error::EncoderError;
pub use fold::{HeadPolicy, fold};
pub use pixels::PIXELS;

/// A network that this build knows.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct NetworkInfo {
    /// Its name: `efficientnet-b4`.
    pub name: String,
    /// Side of the images it was trained on, in pixels; static padding is computed for it.
    pub nominal_resolution: u32,
    /// Parameters with the head as published; running statistics are not parameters.
    pub parameters: u64,
    /// Channels of each tap, shallow to deep.
    pub taps: Vec<usize>,
}

/// Every name that `encoder.network` takes, in byte order: all networks, and [`PIXELS`].
#[must_use]
pub fn names() -> Vec<&'static str> {
    let mut names = network::Network::names();
    names.push(PIXELS);
    names.sort_unstable();
    names
}

/// All networks, in byte order of their names.
#[must_use]
pub fn networks() -> Vec<NetworkInfo> {
    network::Network::names()
        .into_iter()
        .filter_map(network::Network::named)
        .map(|network| NetworkInfo {
            name: network.name.to_owned(),
            nominal_resolution: network.nominal_resolution,
            parameters: network.parameters(),
            taps: network.taps().iter().map(|tap| tap.channels).collect(),
        })
        .collect()
}
