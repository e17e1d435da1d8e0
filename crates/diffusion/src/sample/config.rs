//! Settings of a reconstruction.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::DiffusionError;

/// Most draws.
const MOST_DRAWS: usize = 10_000;

/// Which reading of the sampler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// The paper's equations.
    #[default]
    Paper,
    /// The released program, one index behind.
    Released,
}

/// How the state goes from one step to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Song et al. 2021, equation 12, with `eta`.
    #[default]
    Ddim,
    /// Ancestral: drawn from the posterior q(z_t' | z_t, z_0) of Ho et al. 2020, equations 6 and 7, around the predicted z_0, with the
    /// posterior's variance. In the `paper` reading it is DDIM with eta 1; in the `released` one it takes the state to be at the level
    /// that the step starts from, where DDIM recovers the noise one index ahead.
    Ddpm,
}

/// Steps that one step of the sampler goes down: a number of 1 or more, or `random`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stride {
    /// Always as many.
    Every(usize),
    /// The paper's "randomly selected from {1, .., t}", read so: a stride for each trajectory, drawn evenly from 1 to its start step and
    /// kept to its end. It is a function of the seed, the sample's index and the draw, so that a score depends on no batch.
    Random,
}

impl Default for Stride {
    fn default() -> Stride {
        Stride::Every(1)
    }
}

impl Serialize for Stride {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Stride::Every(stride) => stride.serialize(serializer),
            Stride::Random => serializer.serialize_str("random"),
        }
    }
}

impl JsonSchema for Stride {
    fn schema_name() -> Cow<'static, str> {
        "Stride".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1 }, { "const": "random" }],
            "description": "Steps that one step of the sampler goes down, or `random`." })
    }
}

impl<'de> Deserialize<'de> for Stride {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Stride, D::Error> {
        struct NumberOrWord;
        impl Visitor<'_> for NumberOrWord {
            type Value = Stride;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of steps or \"random\"")
            }

            fn visit_u64<E: de::Error>(self, stride: u64) -> Result<Stride, E> {
                Ok(Stride::Every(usize::try_from(stride).unwrap_or(usize::MAX)))
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Stride, E> {
                if word == "random" {
                    return Ok(Stride::Random);
                }
                Err(E::invalid_value(de::Unexpected::Str(word), &self))
            }
        }
        deserializer.deserialize_any(NumberOrWord)
    }
}

/// How a sample is reconstructed. The defaults are the released program's, with the paper's equations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SampleConfig {
    /// Step to which the sample is noised, 1 to T - 1. Default 3.
    pub start: usize,
    /// Steps that one step goes down, 1 or more, or `random`. Default 1.
    pub stride: Stride,
    /// Share of fresh noise in DDIM, 0 (deterministic) to 1. Default 1, which DDPM's always is.
    pub eta: f64,
    /// Which reading of the sampler. Default `paper`.
    pub variant: Variant,
    /// How the state goes from step to step. Default `ddim`.
    pub method: Method,
    /// Independent draws of all noise, 1 to 10000: a sample is reconstructed as often. Default 1.
    pub draws: usize,
    /// Number of the first draw, 0 to 9999: draws of other numbers are other noise for the same trained network, so that a sweep of it shows
    /// what noise alone does to a metric. Default 0.
    pub first_draw: usize,
}

impl Default for SampleConfig {
    fn default() -> SampleConfig {
        SampleConfig {
            start: 3,
            stride: Stride::default(),
            eta: 1.0,
            variant: Variant::Paper,
            method: Method::Ddim,
            draws: 1,
            first_draw: 0,
        }
    }
}

impl SampleConfig {
    /// Checks all but the start step, which the schedule limits.
    pub(super) fn validate(&self) -> Result<(), DiffusionError> {
        let refuse = |name, found: &dyn ToString, expected: &str| {
            Err(DiffusionError::Setting { name, found: found.to_string(), expected: expected.to_owned() })
        };
        if self.stride == Stride::Every(0) {
            return refuse("sample.stride", &0, "at least 1, or random");
        }
        if !(0.0..=1.0).contains(&self.eta) {
            return refuse("sample.eta", &self.eta, "a number from 0 to 1");
        }
        if self.method == Method::Ddpm && self.eta != 1.0 {
            return refuse("sample.eta", &self.eta, "1 with sample.method ddpm, whose noise is the posterior's");
        }
        if !(1..=MOST_DRAWS).contains(&self.draws) {
            return refuse("sample.draws", &self.draws, "1 to 10000");
        }
        if self.first_draw >= MOST_DRAWS {
            return refuse("sample.first_draw", &self.first_draw, "0 to 9999");
        }
        Ok(())
    }
}
