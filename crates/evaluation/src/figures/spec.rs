//! A figure that an experiment file asks for.

use serde::{Deserialize, Serialize};

/// One entry of `figures:`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FigureSpec {
    /// What it shows.
    pub kind: String,
}

impl FigureSpec {
    /// Refuses what no data could satisfy.
    ///
    /// # Errors
    /// What was expected and found, with the key.
    pub fn check(&self) -> Result<(), String> {
        Ok(())
    }
}
