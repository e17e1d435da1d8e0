//! `oodlab schema`: the JSON schema of experiment files.

use anyhow::Result;

use super::print;
use crate::config::schema;

/// Prints the schema, as `experiments/schema.json` holds it.
pub fn run() -> Result<()> {
    print(&schema::text()?)
}
