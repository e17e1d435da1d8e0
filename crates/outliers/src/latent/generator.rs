//! A small class-conditional diffusion over vectors, and the outliers that it makes.

use oodlab_base::{Cancel, Progress, Seed};
use oodlab_diffusion::TrainContext;
use oodlab_diffusion::small::{ConditionalLfdn, Guided, SmallNetwork, SmallParameters, SmallTraining};
use oodlab_diffusion::tensor_file::{self, TensorFile, Values};
use serde::{Deserialize, Serialize};

use super::{Drive, LatentConfig, OutlierGenerator, Request};
use crate::error::{expect_finite, expect_length};
use crate::{OutlierError, Outliers};

/// A trained generator.
#[derive(Debug, Clone, PartialEq)]
pub struct LatentGenerator {
    config: LatentConfig,
    network: ConditionalLfdn,
    parameters: SmallParameters,
    /// Of each coordinate of the training vectors.
    mean: Vec<f32>,
    deviation: Vec<f32>,
    losses: Vec<f64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    config: LatentConfig,
    width: usize,
    classes: usize,
    losses: Vec<f64>,
}

impl LatentGenerator {
    /// Trains a generator.
    ///
    /// # Shapes
    /// `vectors` `[rows, width]`, `labels` `[rows]`, each below `classes`. Each coordinate is standardised first; one that never changes is
    /// only centred.
    ///
    /// # Errors
    /// When a setting is out of its range, buffers do not fit, a value is not finite, training fails or is cancelled.
    pub fn train(
        config: &LatentConfig,
        (vectors, width): (&[f32], usize),
        (labels, classes): (&[u32], usize),
        seed: Seed,
        context: &mut TrainContext<'_>,
    ) -> Result<LatentGenerator, OutlierError> {
        config.validate()?;
        if width == 0 {
            return Err(OutlierError::setting("width of latents", width, "at least 1"));
        }
        expect_length("latents", labels.len().saturating_mul(width), vectors.len())?;
        expect_finite("latents", width, vectors)?;
        if let Some(row) = labels.iter().position(|&label| label as usize >= classes) {
            let (found, last) = (labels[row], classes.saturating_sub(1));
            return Err(OutlierError::Class { what: "latents", row, found, last });
        }
        let network = ConditionalLfdn::new(width, config.network.width, config.network.blocks, classes)?;
        let (mean, deviation) = moments(vectors, width);
        let mut samples = Vec::with_capacity(labels.len() * (width + 1));
        for (row, &label) in vectors.chunks_exact(width).zip(labels) {
            samples.extend(row.iter().zip(&mean).zip(&deviation).map(|((x, m), d)| (x - m) / d));
            samples.push(label as f32);
        }
        let training =
            SmallTraining { network: &network, config: &config.train, samples: &samples, seed, unit: "latents" };
        let trained = training.run(context)?;
        let (parameters, losses) = (trained.parameters, trained.losses);
        Ok(LatentGenerator { config: *config, network, parameters, mean, deviation, losses })
    }

    /// Mean loss of each epoch of the training.
    #[must_use]
    pub fn losses(&self) -> &[f64] {
        &self.losses
    }

    /// As bytes: equal generators, equal bytes.
    ///
    /// # Errors
    /// When they cannot be laid out (never for a trained generator).
    pub fn to_bytes(&self) -> Result<Vec<u8>, OutlierError> {
        let (width, classes) = (self.network.dim, self.network.classes);
        let header = Header { config: self.config, width, classes, losses: self.losses.clone() };
        let mut tensors = self.parameters.for_file("network.");
        tensors.push(("mean".to_owned(), vec![width], Values::F32(&self.mean)));
        tensors.push(("deviation".to_owned(), vec![width], Values::F32(&self.deviation)));
        Ok(tensor_file::write(&header, &tensors)?)
    }

    /// What [`LatentGenerator::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the bytes are something else, or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<LatentGenerator, OutlierError> {
        let (Header { config, width, classes, losses }, file) = TensorFile::read::<Header>(bytes)?;
        config.validate()?;
        let network = ConditionalLfdn::new(width, config.network.width, config.network.blocks, classes)?;
        let parameters = SmallParameters::from_file(network.layout(), &file, "network.")?;
        let (mean, deviation) = (file.f32("mean", &[width])?, file.f32("deviation", &[width])?);
        Ok(LatentGenerator { config, network, parameters, mean, deviation, losses })
    }

    /// Where sampling begins, `[rows, width]` standardised, and the two classes that each row follows.
    fn plan(&self, request: &Request<'_>) -> Result<(Vec<f32>, Vec<[u32; 2]>), OutlierError> {
        let (width, classes) = (self.network.dim, self.network.classes);
        let mut starts = vec![0.0; request.rows * width];
        let mut followed = Vec::with_capacity(request.rows);
        let stream = request.seed.stream("latent outliers");
        let boundary = match self.config.drive {
            Drive::Boundary => Some(edge(request, width, classes)?),
            Drive::OffManifold => None,
        };
        for (row, start) in starts.chunks_exact_mut(width).enumerate() {
            let class = row % classes;
            match &boundary {
                Some((outliers, members)) => {
                    let chosen = members[class][stream.below(members[class].len() as u64, row as u64) as usize];
                    let scale = self.scale(outliers.row(chosen));
                    for (i, (start, &value)) in start.iter_mut().zip(outliers.row(chosen)).enumerate() {
                        *start = (value * scale - self.mean[i]) / self.deviation[i];
                    }
                    followed.push([class as u32; 2]);
                }
                None => {
                    // Another class, each as likely; its own where there is only one.
                    let others = classes.max(2) as u64 - 1;
                    let other = (class + 1 + stream.below(others, row as u64) as usize) % classes;
                    followed.push([class as u32, other as u32]);
                }
            }
        }
        Ok((starts, followed))
    }

    /// Boundary outliers have a length of their own: what brings one to the usual length of the training vectors.
    fn scale(&self, outlier: &[f32]) -> f32 {
        let squared = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x) * f64::from(x)).sum::<f64>();
        let usual = squared(&mut self.mean.iter().copied()) + squared(&mut self.deviation.iter().copied());
        let found = squared(&mut outlier.iter().copied());
        if found > 0.0 { (usual / found).sqrt() as f32 } else { 1.0 }
    }
}

/// Boundary outliers and the rows of each class among them.
fn edge<'a>(
    request: &Request<'a>,
    width: usize,
    classes: usize,
) -> Result<(&'a Outliers, Vec<Vec<usize>>), OutlierError> {
    let outliers = request.boundary.ok_or_else(|| OutlierError::Missing {
        what: "boundary outliers",
        needed: "`drive: boundary` starts from them; sample them, or take `drive: off-manifold`".to_owned(),
    })?;
    expect_length("a boundary outlier", width, outliers.width)?;
    let mut members = vec![Vec::new(); classes];
    for row in 0..outliers.rows() {
        let class = outliers.classes.as_ref().map_or(row % classes, |of| of[row] as usize);
        match members.get_mut(class) {
            Some(members) => members.push(row),
            None => {
                let (found, last) = (class as u32, classes.saturating_sub(1));
                return Err(OutlierError::Class { what: "boundary outliers", row, found, last });
            }
        }
    }
    match members.iter().position(Vec::is_empty) {
        Some(class) => Err(OutlierError::FewSamples {
            class,
            found: 0,
            expected: 1,
            advice: "boundary outliers of every class are needed to start from",
        }),
        None => Ok((outliers, members)),
    }
}

/// Mean and deviation of each coordinate; a deviation of zero becomes one.
fn moments(vectors: &[f32], width: usize) -> (Vec<f32>, Vec<f32>) {
    let rows = (vectors.len() / width).max(1) as f64;
    let mut mean = vec![0.0f64; width];
    for row in vectors.chunks_exact(width) {
        mean.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x) / rows);
    }
    let mut variance = vec![0.0f64; width];
    for row in vectors.chunks_exact(width) {
        for ((sum, &x), mean) in variance.iter_mut().zip(row).zip(&mean) {
            *sum += (f64::from(x) - mean) * (f64::from(x) - mean) / rows;
        }
    }
    let deviation = variance.into_iter().map(|v| if v.sqrt() > 1e-6 { v.sqrt() as f32 } else { 1.0 }).collect();
    (mean.into_iter().map(|x| x as f32).collect(), deviation)
}

impl OutlierGenerator for LatentGenerator {
    fn name(&self) -> &'static str {
        "latent"
    }

    fn width(&self) -> usize {
        self.mean.len()
    }

    fn generate(
        &self,
        request: &Request<'_>,
        (cancel, progress): (&Cancel, &dyn Progress),
    ) -> Result<Outliers, OutlierError> {
        if request.rows == 0 || request.rows.saturating_mul(self.width()) > 1 << 31 {
            return Err(OutlierError::setting("rows of outliers", request.rows, "at least 1, and at most 2^31 values"));
        }
        let (starts, classes) = self.plan(request)?;
        let last = self.network.steps() - 1;
        let (start, mix) = match self.config.drive {
            Drive::Boundary => (((self.config.strength * last as f64).round() as usize).clamp(1, last), 0.0),
            Drive::OffManifold => (last, self.config.mix),
        };
        let guided = Guided { steps: self.config.steps.min(start), start, guidance: self.config.guidance, mix };
        let task = progress.task("latent outliers", "outliers", request.rows as u64, 0);
        let work = (cancel, task.as_ref());
        let mut values = self.network.generate(&self.parameters, (&starts, &classes), &guided, request.seed, work)?;
        for row in values.chunks_exact_mut(self.width()) {
            row.iter_mut().zip(&self.deviation).zip(&self.mean).for_each(|((x, d), m)| *x = *x * d + m);
        }
        let classes = (0..request.rows).map(|row| (row % self.network.classes) as u32).collect();
        Outliers::new(self.width(), values, Some(classes))
    }
}
