//! Settings of outlier-aware learning.

use std::path::PathBuf;

use oodlab_encoders::EncoderConfig;
use oodlab_outliers::OutlierError;
use oodlab_outliers::boundary::BoundaryConfig;
use oodlab_outliers::information::InformationConfig;
use oodlab_outliers::latent::{Drive, LatentConfig};
use oodlab_outliers::stable_diffusion::StableDiffusionConfig;
use oodlab_outliers::student::{Keep, StudentConfig, StudentNetwork, StudentTrainConfig, Terms};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the student is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StudentSection {
    /// A head on the encoder's features, or a network on images (with `encoder: {network: pixels}`). Default `head`.
    pub network: StudentNetwork,
    /// `head`: width of its feature. Default 512.
    pub hidden: usize,
    /// Others: side in pixels to which images are enlarged or shrunk; none: as the encoder gives them.
    pub resolution: Option<u32>,
    /// Others: the value of a black pixel in each channel, as the encoder scales it. Default -1, that of `encoder: {network: pixels}`.
    pub black: [f32; 3],
}

impl Default for StudentSection {
    fn default() -> StudentSection {
        StudentSection { network: StudentNetwork::Head, hidden: 512, resolution: None, black: [-1.0; 3] }
    }
}

/// Where the diffusion outliers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DiffusionSource {
    /// Normal draws: the control that knows nothing of any image.
    #[default]
    Random,
    /// A small diffusion over the teacher's features, trained for it: [`DiffusionSection::latent`].
    Latent,
    /// A file of latents that another program made: [`DiffusionSection::path`].
    Precomputed,
    /// Stable Diffusion v1 with weights of your own, as published: [`DiffusionSection::stable_diffusion`]. On a processor each latent takes many
    /// minutes.
    StableDiffusion,
}

/// The diffusion outliers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiffusionSection {
    /// Where they come from.
    pub source: DiffusionSource,
    /// How many, 1 to 1,000,000. Default 300, as published.
    pub rows: usize,
    /// `random`: values of each, 1 to 65,536. Default 64, as published.
    pub width: usize,
    /// `latent`: settings of the generator.
    pub latent: LatentConfig,
    /// `precomputed`: a file of latents, `.npy`, safetensors or `.pt`; how shapes are read is told at [`oodlab_outliers::latent::precomputed`].
    pub path: Option<PathBuf>,
    /// `precomputed`: the file's SHA-256, so that another file is another experiment. `stable-diffusion`: that of
    /// `unet/diffusion_pytorch_model.safetensors`.
    pub sha256: Option<String>,
    /// `stable-diffusion`: its settings. The boundary outliers overwrite a token's embedding, so the teacher's features must have its
    /// width, 768.
    pub stable_diffusion: StableDiffusionConfig,
    /// `stable-diffusion`: the word for each class, in the order of the training set's classes.
    pub class_names: Vec<String>,
}

impl Default for DiffusionSection {
    fn default() -> DiffusionSection {
        DiffusionSection {
            source: DiffusionSource::Random,
            rows: 300,
            width: 64,
            latent: LatentConfig::default(),
            path: None,
            sha256: None,
            stable_diffusion: StableDiffusionConfig::default(),
            class_names: Vec::new(),
        }
    }
}

/// Settings of the detector `oal`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OalConfig {
    /// What the student is.
    pub student: StudentSection,
    /// Weights of the loss's terms; 0 leaves one out.
    pub terms: Terms,
    /// The terms of mutual information.
    pub information: InformationConfig,
    /// The student's training.
    pub train: StudentTrainConfig,
    /// The network that teaches, with weights that have a classifier of the same classes. None: the encoder itself, by its penultimate
    /// vector and its class scores.
    pub teacher: Option<EncoderConfig>,
    /// Outliers at the edge of each class, in the teacher's feature space.
    pub boundary: BoundaryConfig,
    /// The outliers of a diffusion model.
    pub diffusion: DiffusionSection,
}

impl OalConfig {
    /// The student's settings.
    pub(super) fn student(&self) -> StudentConfig {
        StudentConfig {
            network: self.student.network,
            hidden: self.student.hidden,
            resolution: self.student.resolution,
            terms: self.terms,
            information: self.information,
            train: self.train,
        }
    }

    /// Whether anything is asked of the teacher's features: outliers are made among them.
    pub(super) fn teaches(&self) -> bool {
        self.terms.logits > 0.0 || self.terms.features > 0.0 || self.samples_edge() || self.generates()
    }

    /// Whether a diffusion is trained for the outliers.
    pub(super) fn generates(&self) -> bool {
        self.terms.diffusion > 0.0 && self.diffusion.source == DiffusionSource::Latent
    }

    /// Whether outliers are sampled at the edge of the classes.
    pub(super) fn samples_edge(&self) -> bool {
        let starts = match self.diffusion.source {
            DiffusionSource::Latent => self.diffusion.latent.drive == Drive::Boundary,
            DiffusionSource::StableDiffusion => true,
            DiffusionSource::Random | DiffusionSource::Precomputed => false,
        };
        self.terms.boundary > 0.0 || starts && self.terms.diffusion > 0.0
    }

    /// Whether accuracy on validation samples decides anything.
    pub(super) fn validates(&self) -> bool {
        self.train.keep == Keep::Best
    }

    /// Checks every setting's range.
    pub(super) fn validate(&self) -> Result<(), OutlierError> {
        let refuse = |name, found: &dyn ToString, expected: &str| {
            Err(OutlierError::Setting { name, found: found.to_string(), expected: expected.to_owned() })
        };
        self.student().validate()?;
        self.boundary.validate()?;
        if !(1..=1_000_000).contains(&self.diffusion.rows) {
            return refuse("diffusion.rows", &self.diffusion.rows, "1 to 1000000");
        }
        if !(1..=65_536).contains(&self.diffusion.width) {
            return refuse("diffusion.width", &self.diffusion.width, "1 to 65536");
        }
        self.diffusion.latent.validate()?;
        let without = |part: bool, found: &'static str, expected: &str| {
            if part { refuse("diffusion.source", &found, expected) } else { Ok(()) }
        };
        let section = &self.diffusion;
        match section.source {
            DiffusionSource::Precomputed => without(
                section.path.is_none() || section.sha256.is_none(),
                "precomputed",
                "`path`, a file of latents, and `sha256`, its checksum, beside it",
            )?,
            DiffusionSource::StableDiffusion => {
                section.stable_diffusion.validate()?;
                without(
                    section.sha256.is_none()
                        || section.class_names.is_empty()
                        || section.stable_diffusion.folder.is_empty(),
                    "stable-diffusion",
                    "`stable_diffusion.folder`, `sha256` of its U-Net and `class_names` beside it",
                )?;
            }
            DiffusionSource::Random | DiffusionSource::Latent => {}
        }
        if let Some(black) = self.student.black.iter().find(|black| !black.is_finite()) {
            return refuse("student.black", black, "finite numbers");
        }
        Ok(())
    }
}
