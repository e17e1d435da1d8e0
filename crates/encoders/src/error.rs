//! What can go wrong between images and features.

use oodlab_kernels::simd::SizeError;

/// An encoder that cannot be built, or images that it cannot encode.
#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    /// No such network.
    #[error("unknown network {name:?}; known are {known}")]
    UnknownNetwork {
        /// The name asked for.
        name: String,
        /// Known names.
        known: String,
    },
    /// The input size is outside what is supported.
    #[error("resolution {found} is out of range: expected {} pixels", span(*.least, *.most))]
    Resolution {
        /// Asked for.
        found: u32,
        /// Smallest.
        least: u32,
        /// Largest.
        most: u32,
    },
    /// A pooling that the network does not have.
    #[error("{network} cannot be pooled as the released code pools convolutions; use average, max or std")]
    Pooling {
        /// The network.
        network: &'static str,
    },
    /// bf16 on a processor without fast products of it.
    #[error("precision bf16 needs a processor with AMX-BF16 and Linux (a GPU computes f32 here); use f32")]
    Precision,
    /// A setting that pixels do not have.
    #[error("the encoder `pixels` has no {setting}: it computes nothing; leave it out")]
    PixelSetting {
        /// The setting's key.
        setting: &'static str,
    },
    /// A mean or deviation that is no number, or no deviation.
    #[error("normalisation with mean {:?} and deviation {:?}: expected numbers for pixels in 0..1 (divide those of 0..255 by 255), deviations above 0", .0.mean, .0.deviation)]
    Normalisation(crate::network::Normalisation),
    /// The weights' names are not understood, or they say that they are another network's.
    #[error(transparent)]
    Weights(Box<crate::weights::WeightError>),
    /// A classifier that holds a NaN, or is of another size than the vector it reads.
    #[error("the classifier cannot be used: {0}")]
    Head(Box<oodlab_features::FeatureError>),
    /// A probe of a network that has no classes.
    #[error("the weights of {network} have no classifier, whose answers are needed; use weights with one")]
    NoClassifier {
        /// The network.
        network: String,
    },
    /// A layer to look into that the network does not have.
    #[error("{network} has no layer {layer:?}; it has {known}")]
    UnknownLayer {
        /// The network.
        network: &'static str,
        /// The name asked for.
        layer: String,
        /// Names of all layers.
        known: String,
    },
    /// A tensor has another shape than the network's.
    #[error(
        "weights {source_name} do not fit {network}: tensor {tensor:?} has shape {found:?}, expected {expected:?}; \
         are these the weights of another network?"
    )]
    TensorShape {
        /// The network.
        network: &'static str,
        /// Where the weights came from.
        source_name: String,
        /// The first tensor that does not fit.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The network's shape.
        expected: Vec<usize>,
    },
    /// A tensor that the network needs is absent.
    #[error(
        "weights {source_name} do not fit {network}: tensor {tensor:?} of shape {expected:?} is missing \
         (the file begins with {first})"
    )]
    MissingTensor {
        /// The network.
        network: &'static str,
        /// Where the weights came from.
        source_name: String,
        /// The first missing tensor.
        tensor: String,
        /// The network's shape.
        expected: Vec<usize>,
        /// The first tensor that is there, as a hint to what the file holds.
        first: String,
    },
    /// A tensor that the network does not know.
    #[error(
        "weights {source_name} do not fit {network}: it has no tensor {tensor:?} (shape {found:?}); nothing is ignored"
    )]
    UnknownTensor {
        /// The network.
        network: &'static str,
        /// Where the weights came from.
        source_name: String,
        /// The first unknown tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
    },
    /// A weight that is NaN or infinite.
    #[error("weights {source_name}: tensor {tensor:?} holds {value}, expected finite numbers")]
    NotFinite {
        /// Where the weights came from.
        source_name: String,
        /// The tensor.
        tensor: String,
        /// The value.
        value: f32,
    },
    /// A running variance below zero.
    #[error("weights {source_name}: tensor {tensor:?} holds the variance {value}, expected none below zero")]
    NegativeVariance {
        /// Where the weights came from.
        source_name: String,
        /// The tensor.
        tensor: String,
        /// The value.
        value: f32,
    },
    /// An input tensor of the wrong length.
    #[error("{found} input values for {images} images of 3 × {resolution} × {resolution}, expected {expected}")]
    InputLength {
        /// Values given.
        found: usize,
        /// Images.
        images: usize,
        /// Side of an image.
        resolution: u32,
        /// Values expected.
        expected: usize,
    },
    /// An image that cannot be resized.
    #[error("image {index} of the batch: {source}")]
    Image {
        /// Position in the batch.
        index: usize,
        /// What the resizer said.
        source: Box<oodlab_datasets::DatasetError>,
    },
    /// The network's shapes do not fit together at this resolution.
    #[error("{network} cannot run at this resolution: {source}")]
    Shape {
        /// The network.
        network: &'static str,
        /// Which kernel and which length.
        source: SizeError,
    },
    /// Training with weights that have no batch norms any more.
    #[error(
        "weights {source_name} of {network} have their batch norms folded in and cannot be trained; \
         take the file that they were folded from"
    )]
    FoldedTraining {
        /// The network.
        network: &'static str,
        /// Where the weights came from.
        source_name: String,
    },
    /// The plain network's tensors do not fit together, or candle refused an operation.
    #[error("plain network: {0}")]
    Plain(#[source] Box<candle_core::Error>),
    /// A thread pool that the system refused.
    #[error("cannot start {threads} threads: {source}")]
    Threads {
        /// Asked for.
        threads: usize,
        /// The system's reason.
        source: rayon::ThreadPoolBuildError,
    },
}

impl From<candle_core::Error> for EncoderError {
    fn from(source: candle_core::Error) -> EncoderError {
        EncoderError::Plain(Box::new(source))
    }
}

/// `32 to 2048`, or the only one.
fn span(least: u32, most: u32) -> String {
    if least == most { least.to_string() } else { format!("{least} to {most}") }
}

impl From<crate::weights::WeightError> for EncoderError {
    fn from(error: crate::weights::WeightError) -> EncoderError {
        EncoderError::Weights(Box::new(error))
    }
}
