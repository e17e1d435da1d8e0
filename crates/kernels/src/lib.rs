//! The hot loops: noise, denoise, norms, scores, convolutions.

pub mod adamw;
pub mod affine;
pub mod attention;
pub mod cost;
pub mod cuda;
pub mod ddim_step;
pub mod dense;
pub mod dense_conv;
pub mod depthwise_conv;
pub mod forward_noise;
pub mod group_norm;
pub mod layer_norm;
pub mod linear;
pub mod normal;
pub mod pointwise_conv;
pub mod pooling;
pub mod reconstruction;
pub mod shape;
pub mod silu;
pub mod simd;
pub mod squared_loss;
pub mod squeeze_excitation;
pub mod step_rows;
pub mod uniform;
pub mod window_pool;
pub mod zscore;
