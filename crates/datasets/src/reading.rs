//! How picture files become RGB: the choices that change pixels.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is done with transparency and with the orientation that a camera wrote. The default is what
/// `Image.open(..).convert("RGB")` of Pillow does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reading {
    /// What becomes of transparency.
    pub alpha: Alpha,
    /// Whether EXIF's orientation is applied.
    pub orientation: Orientation,
}

/// What becomes of transparency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Alpha {
    /// The colours are taken as they are, however transparent.
    #[default]
    Drop,
    /// Composed over white.
    White,
    /// Composed over black.
    Black,
}

/// What becomes of EXIF's orientation tag.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Orientation {
    /// It is not looked at.
    #[default]
    Ignore,
    /// The picture is turned and mirrored as it says.
    Apply,
}
