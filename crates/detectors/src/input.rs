//! What a reconstructing detector reads: z-scored features, or the pixels of images.

use std::borrow::Cow;

use oodlab_features::Layer;

use crate::{DetectorError, Unlabeled};

/// Name of the only layer of the encoder `pixels`.
const PIXELS: &str = "pixels";

/// Which numbers of a sample are reconstructed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// Features, z-scored by sample and layer.
    ZScored,
    /// Pixels as the encoder `pixels` scales them, to -1..1; a z-score would take brightness and contrast away.
    Pixels,
}

impl Input {
    /// The numbers, `[rows, width]`.
    ///
    /// # Errors
    /// When there are no samples, or a value is not finite.
    pub fn values<'a>(self, given: &Unlabeled<'a>, who: &'static str) -> Result<Cow<'a, [f32]>, DetectorError> {
        if self == Input::ZScored {
            return Ok(Cow::Owned(given.z_scored(who)?));
        }
        let features = given.features();
        if features.rows() == 0 {
            return Err(DetectorError::NoSamples(who));
        }
        features.check_finite()?;
        Ok(Cow::Borrowed(features.values()))
    }
}

/// The side of square RGB images, from the layers of their features.
///
/// # Errors
/// When the features are not those of the encoder `pixels`.
pub(crate) fn side(layers: &[Layer], who: &'static str) -> Result<usize, DetectorError> {
    let width = layers.last().map_or(0, |layer| layer.end);
    let side = (width / 3).isqrt();
    match layers {
        [only] if only.name == PIXELS && 3 * side * side == width => Ok(side),
        _ => {
            let names: Vec<String> = layers.iter().map(|layer| format!("{}:{}", layer.name, layer.width())).collect();
            let message = format!(
                "{who} works on pixels, found features {}; take it in an experiment with `encoder: {{network: pixels, resolution: 32}}`",
                names.join(", ")
            );
            Err(DetectorError::Config { place: "detector".into(), message })
        }
    }
}
