//! Settings of a student.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::OutlierError;
use crate::information::InformationConfig;

/// What the student is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StudentNetwork {
    /// Linear, ReLU, classifier on frozen features, which are standardised by the training set's mean and deviation. What runs on a
    /// processor in minutes.
    #[default]
    Head,
    /// torchvision's ResNet-18 on images: the published student, at 224 px.
    #[serde(rename = "resnet18")]
    Resnet18,
    /// OpenOOD's ResNet-18 for 32 px: a 3×3 stem, no pool.
    #[serde(rename = "resnet18-32")]
    Resnet18Small,
    /// torchvision's ResNet-50 on images.
    #[serde(rename = "resnet50")]
    Resnet50,
}

impl StudentNetwork {
    /// The network of [`oodlab_encoders::network::Network`] that it is; none for the head.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            StudentNetwork::Head => None,
            StudentNetwork::Resnet18 => Some("resnet18"),
            StudentNetwork::Resnet18Small => Some("resnet18-32"),
            StudentNetwork::Resnet50 => Some("resnet50"),
        }
    }
}

/// Weights of the loss's terms; 0 leaves a term out. Defaults are the published ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Terms {
    /// Cross-entropy with the labels. Default 1.
    pub cross_entropy: f64,
    /// Divergence from the teacher's logits. Default 4.
    pub logits: f64,
    /// Divergence from the teacher's features, which pass a projector trained along. Default 8.
    pub features: f64,
    /// Mutual information with boundary outliers. Default 0.1.
    pub boundary: f64,
    /// Mutual information with diffusion outliers. Default 0.2.
    pub diffusion: f64,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms { cross_entropy: 1.0, logits: 4.0, features: 8.0, boundary: 0.1, diffusion: 0.2 }
    }
}

impl Terms {
    /// Cross-entropy alone: the control, and how pretraining is done.
    #[must_use]
    pub fn cross_entropy_only() -> Terms {
        Terms { cross_entropy: 1.0, logits: 0.0, features: 0.0, boundary: 0.0, diffusion: 0.0 }
    }

    /// Names and weights, in the order in which they are summed.
    #[must_use]
    pub fn named(&self) -> [(&'static str, f64); 5] {
        [
            ("cross_entropy", self.cross_entropy),
            ("logits", self.logits),
            ("features", self.features),
            ("boundary", self.boundary),
            ("diffusion", self.diffusion),
        ]
    }
}

/// Which weights are kept at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Those after the last epoch.
    #[default]
    Last,
    /// Those of the epoch with the best accuracy on in-distribution validation samples, the first of equal ones. As published.
    Best,
}

/// Settings of a student's training: SGD with Nesterov momentum, and a learning rate that falls with every step along a cosine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StudentTrainConfig {
    /// Epochs with all terms, 1 to 100,000. Default 100, as published.
    pub epochs: usize,
    /// Epochs with cross-entropy alone before them. Default 0; published: 100.
    pub pretrain_epochs: usize,
    /// Samples of a step, 2 to 1,048,576. The last step of an epoch takes what is left. Default 128, as published.
    pub batch_size: usize,
    /// Learning rate at the beginning. Default 0.005, as published for a pretrained student.
    pub learning_rate: f64,
    /// Learning rate at the beginning of pretraining. Default 0.1, as published.
    pub pretrain_rate: f64,
    /// Learning rate of the teacher's projector at the beginning. Default 0.01, as published.
    pub projector_rate: f64,
    /// Learning rate that the cosine falls to. Default 1e-8, as published.
    pub last_rate: f64,
    /// Momentum, from 0 to below 1. Default 0.9.
    pub momentum: f64,
    /// Weight decay, added to the gradient of every parameter. Default 5e-4.
    pub weight_decay: f64,
    /// Whether images are flipped, and cropped after 4 black pixels were put around them, at random. A head's features are not changed.
    pub augment: bool,
    /// Which weights are kept.
    pub keep: Keep,
}

impl Default for StudentTrainConfig {
    fn default() -> StudentTrainConfig {
        StudentTrainConfig {
            epochs: 100,
            pretrain_epochs: 0,
            batch_size: 128,
            learning_rate: 0.005,
            pretrain_rate: 0.1,
            projector_rate: 0.01,
            last_rate: 1e-8,
            momentum: 0.9,
            weight_decay: 5e-4,
            augment: true,
            keep: Keep::Last,
        }
    }
}

/// Settings of a student.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StudentConfig {
    /// What the student is.
    pub network: StudentNetwork,
    /// `head`: width of its feature, 1 to 65,536. Default 512, that of a ResNet-18.
    pub hidden: usize,
    /// Others: side in pixels to which images are enlarged or shrunk, 32 to 512. None: as they are given. Published: 224.
    pub resolution: Option<u32>,
    /// Weights of the terms.
    pub terms: Terms,
    /// The terms of mutual information.
    pub information: InformationConfig,
    /// The training.
    pub train: StudentTrainConfig,
}

impl Default for StudentConfig {
    fn default() -> StudentConfig {
        StudentConfig {
            network: StudentNetwork::Head,
            hidden: 512,
            resolution: None,
            terms: Terms::default(),
            information: InformationConfig::default(),
            train: StudentTrainConfig::default(),
        }
    }
}

impl StudentConfig {
    /// Checks every setting's range.
    ///
    /// # Errors
    /// Names the first setting that is out of its range.
    pub fn validate(&self) -> Result<(), OutlierError> {
        let refuse =
            |name, found: &dyn ToString, expected: &str| Err(OutlierError::setting(name, found.to_string(), expected));
        if !(1..=65_536).contains(&self.hidden) {
            return refuse("student.hidden", &self.hidden, "1 to 65536");
        }
        if let Some(side) = self.resolution {
            if self.network == StudentNetwork::Head {
                return refuse("student.resolution", &side, "nothing: a head reads features, not images");
            }
            if !(32..=512).contains(&side) {
                return refuse("student.resolution", &side, "32 to 512");
            }
        }
        let weights = [
            ("terms.cross_entropy", self.terms.cross_entropy),
            ("terms.logits", self.terms.logits),
            ("terms.features", self.terms.features),
            ("terms.boundary", self.terms.boundary),
            ("terms.diffusion", self.terms.diffusion),
            ("train.weight_decay", self.train.weight_decay),
        ];
        for (name, found) in weights {
            if !(found >= 0.0 && found.is_finite()) {
                return refuse(name, &found, "zero or a positive number");
            }
        }
        if self.terms.named().iter().all(|(_, weight)| *weight == 0.0) {
            return refuse("terms", &"all zero", "a positive weight for one of them at least");
        }
        self.information.validate()?;
        self.train.validate()
    }
}

impl StudentTrainConfig {
    fn validate(&self) -> Result<(), OutlierError> {
        let refuse =
            |name, found: &dyn ToString, expected: &str| Err(OutlierError::setting(name, found.to_string(), expected));
        if !(1..=100_000).contains(&self.epochs) {
            return refuse("train.epochs", &self.epochs, "1 to 100000");
        }
        if self.pretrain_epochs > 100_000 {
            return refuse("train.pretrain_epochs", &self.pretrain_epochs, "0 to 100000");
        }
        if !(2..=1 << 20).contains(&self.batch_size) {
            return refuse("train.batch_size", &self.batch_size, "2 to 1048576");
        }
        let rates = [
            ("train.learning_rate", self.learning_rate),
            ("train.pretrain_rate", self.pretrain_rate),
            ("train.projector_rate", self.projector_rate),
            ("train.last_rate", self.last_rate),
        ];
        for (name, found) in rates {
            if !(found > 0.0 && found.is_finite()) {
                return refuse(name, &found, "a positive number");
            }
        }
        if self.last_rate > self.learning_rate || self.last_rate > self.pretrain_rate {
            return refuse("train.last_rate", &self.last_rate, "at most the learning rates at the beginning");
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return refuse("train.momentum", &self.momentum, "a number from 0 to below 1");
        }
        Ok(())
    }
}
