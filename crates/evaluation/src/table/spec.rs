//! A table that an experiment file asks for.

use serde::{Deserialize, Serialize};

/// One entry of `tables:`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    /// Its name: the files `tables/<name>.md`, `.tex`, `.csv`.
    pub name: String,
}
