//! Images of any size: resized on the processor beside the GPU's work.

use oodlab_datasets::{RgbImage, resize};
use rayon::prelude::*;

use super::{CudaEncoded, CudaEncoderError, CudaImages, CudaNetwork};
use crate::error::EncoderError;
use crate::network::Normalisation;

impl CudaNetwork {
    /// Squashes each image to the network's resolution (Pillow's bilinear), normalises it and encodes it. While the GPU
    /// encodes a batch all threads resize the next one, so that at most two batches of resized images are in memory.
    ///
    /// # Errors
    /// When an image cannot be resized (it is named by its position), or the GPU refuses.
    pub fn encode_images(
        &self,
        images: &[RgbImage],
        normalisation: Normalisation,
    ) -> Result<CudaEncoded, CudaEncoderError> {
        let factors = normalisation.factors();
        let mut encoded = CudaEncoded::default();
        let mut resized = self.resize(images, 0)?;
        for first in (0..images.len()).step_by(self.batch()) {
            let (part, next) = rayon::join(
                || self.encode(CudaImages::Pixels(&resized, factors)),
                || self.resize(images, first + self.batch()),
            );
            let part = part?;
            encoded.features.extend(part.features);
            encoded.logits.extend(part.logits);
            resized = next?;
        }
        Ok(encoded)
    }

    /// The batch that begins at `first`, resized; empty behind the last image.
    fn resize(&self, images: &[RgbImage], first: usize) -> Result<Vec<u8>, EncoderError> {
        let side = self.resolution();
        let batch = images.get(first..).unwrap_or_default();
        let batch = &batch[..batch.len().min(self.batch())];
        let mut pixels = vec![0; batch.len() * 3 * side * side];
        pixels.par_chunks_mut(3 * side * side).zip(batch).enumerate().try_for_each(|(at, (to, image))| {
            let resized = resize::bilinear(image, side as u32, side as u32)
                .map_err(|source| EncoderError::Image { index: first + at, source: Box::new(source) })?;
            to.copy_from_slice(&resized.pixels);
            Ok::<(), EncoderError>(())
        })?;
        Ok(pixels)
    }
}
