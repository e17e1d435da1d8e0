//! Which vector of a sample a detector works on.

use std::borrow::Cow;

use oodlab_features::Features;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rule::Sizes;
use crate::{DetectorError, Needs, Unlabeled};

/// Which vector of a sample a detector works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Space {
    /// The vector that the classifier reads, as OpenOOD.
    #[default]
    Penultimate,
    /// The pooled vectors of the chosen layers, one behind the other.
    Layers,
}

impl Space {
    /// What it takes.
    pub(crate) fn needs(self) -> Needs {
        match self {
            Space::Penultimate => Needs { penultimate: true, ..Needs::default() },
            Space::Layers => Needs { features: true, ..Needs::default() },
        }
    }

    /// The vectors.
    pub(crate) fn of<'a>(self, given: &Unlabeled<'a>, who: &'static str) -> Result<&'a Features, DetectorError> {
        match self {
            Space::Penultimate => given.penultimate(who),
            Space::Layers => Ok(given.features()),
        }
    }

    /// The vectors of density models, `[rows, width]`: those of layers z-scored by sample and layer, the penultimate one as it is.
    pub(crate) fn normalised<'a>(
        self,
        given: &Unlabeled<'a>,
        who: &'static str,
    ) -> Result<Cow<'a, [f32]>, DetectorError> {
        match self {
            Space::Penultimate => Ok(given.penultimate(who)?.values().into()),
            Space::Layers => Ok(given.z_scored(who)?.into()),
        }
    }

    /// Length of a vector.
    pub(crate) fn width(self, sizes: &Sizes) -> usize {
        match self {
            Space::Penultimate => sizes.penultimate,
            Space::Layers => sizes.width(),
        }
    }
}
