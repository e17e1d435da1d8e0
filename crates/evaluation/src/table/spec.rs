//! A table that an experiment file asks for.

use serde::{Deserialize, Serialize};

/// One entry of `tables:`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    /// Its name: the files `tables/<name>.md`, `.tex`, `.csv`.
    pub name: String,
}

impl TableSpec {
    /// Refuses what no data could satisfy.
    ///
    /// # Errors
    /// What was expected and found, with the key.
    pub fn check(&self) -> Result<(), String> {
        Ok(())
    }
}
