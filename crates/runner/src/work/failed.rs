//! `failed.json` beside the results: work that failed by itself, and would again, is not tried again until it is asked for.

use std::collections::BTreeMap;
use std::io::ErrorKind as Io;
use std::path::Path;

use anyhow::Result;
use oodlab_base::file::write_atomic;
use serde::{Deserialize, Serialize};

use super::message::{ErrorKind, JobError};
use crate::graph::Graph;
use crate::plan::Plan;

/// The file's name.
const FILE: &str = "failed.json";

/// What failed in earlier runs, by the key of its stage.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Failed(BTreeMap<String, Entry>);

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    label: String,
    error: String,
}

impl Failed {
    /// Those of a graph that are still left, by position.
    pub fn of(&self, graph: &Graph) -> BTreeMap<usize, String> {
        if self.0.is_empty() {
            return BTreeMap::new();
        }
        let left = graph.nodes.iter().enumerate().filter(|(_, node)| node.left);
        left.filter_map(|(at, node)| Some((at, self.0.get(&node.key.hex())?.error.clone()))).collect()
    }
}

/// The error of an earlier run.
pub fn error(text: &str) -> JobError {
    JobError { text: text.to_owned(), kind: ErrorKind::Lasting }
}

/// Reads the file; one that is absent or of another build says nothing.
pub fn read(folder: &Path) -> Result<Failed> {
    match fs_err::read(folder.join(FILE)) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
        Err(error) if error.kind() == Io::NotFound => Ok(Failed::default()),
        Err(error) => Err(error.into()),
    }
}

/// Keeps the errors that would come again; removes the file when there are none. A plan of one run tells its error and is tried again.
pub fn write(folder: &Path, graph: &Graph, plan: &Plan, errors: &BTreeMap<usize, JobError>) -> Result<()> {
    let lasting = errors.iter().filter(|(_, error)| error.kind == ErrorKind::Lasting && plan.runs.len() > 1);
    let failed: BTreeMap<String, Entry> = lasting
        .map(|(&at, error)| {
            let node = &graph.nodes[at];
            (node.key.hex(), Entry { label: node.label(plan), error: error.text.clone() })
        })
        .collect();
    let path = folder.join(FILE);
    if !failed.is_empty() {
        return Ok(write_atomic(&path, format!("{}\n", serde_json::to_string_pretty(&Failed(failed))?).as_bytes())?);
    }
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != Io::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
