//! The texts of all kernels, embedded.

/// What all sources share: the activations, the place of a thread.
pub const COMMON: &str = include_str!("common.cu");

/// The text of one folder's kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Name of the folder.
    pub name: &'static str,
    /// The folder's `kernel.cu`.
    pub text: &'static str,
}

impl Source {
    /// The translation unit: the common part, then the folder's.
    #[must_use]
    pub fn unit(&self) -> String {
        format!("{COMMON}\n#line 1 \"{}/kernel.cu\"\n{}", self.name, self.text)
    }
}

/// All sources, in byte order of their names.
#[must_use]
pub fn all() -> Vec<Source> {
    vec![
        crate::adamw::cuda::SOURCE,
        crate::affine::cuda::SOURCE,
        crate::attention::cuda::SOURCE,
        crate::ddim_step::cuda::SOURCE,
        crate::dense::cuda::SOURCE,
        crate::dense_conv::cuda::SOURCE,
        crate::depthwise_conv::cuda::SOURCE,
        crate::forward_noise::cuda::SOURCE,
        crate::group_norm::cuda::SOURCE,
        crate::layer_norm::cuda::SOURCE,
        crate::pointwise_conv::cuda::SOURCE,
        crate::pooling::cuda::SOURCE,
        super::rearrange::SOURCE,
        crate::reconstruction::cuda::SOURCE,
        crate::squared_loss::cuda::SOURCE,
        crate::squeeze_excitation::cuda::SOURCE,
        crate::step_rows::cuda::SOURCE,
        crate::uniform::cuda::SOURCE,
        crate::window_pool::cuda::SOURCE,
        crate::zscore::cuda::SOURCE,
    ]
}
