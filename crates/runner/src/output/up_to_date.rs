//! Whether a results folder holds already what a run would write: then nothing is read, computed and drawn again.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use oodlab_base::file::write_atomic;
use oodlab_base::{Key, KeyBuilder};
use oodlab_evaluation::Record;
use serde::{Deserialize, Serialize};

use super::{Outcome, draw};
use crate::config::Source;
use crate::graph::Graph;
use crate::plan::Plan;

/// Raise when what is written changes for the same inputs.
const REVISION: u32 = 1;

/// The file that says what a folder was made of.
const FILE: &str = "complete.json";

/// Everything that tables and figures depend on.
pub struct Inputs(Key);

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Complete {
    inputs: String,
    /// Files below the folder, and their sizes in bytes.
    files: BTreeMap<String, u64>,
}

impl Inputs {
    /// Of a plan: its metrics, its notes, what is wanted of it, and the program.
    pub fn new(source: &Source, plan: &Plan, graph: &Graph) -> Result<Inputs> {
        let mut key = KeyBuilder::new("results", REVISION)
            .text("program", concat!(env!("CARGO_PKG_VERSION"), " ", env!("OODLAB_COMMIT")))
            .text("heading", &source.heading().join("\n"))
            .text("command", &source.command())
            .config("experiment", &source.base()?)?
            .config("notes", &(&plan.notes, &plan.missing))?;
        for (run, &evaluation) in plan.runs.iter().zip(&graph.evaluations) {
            key = key.key("run", &run.key).key("metrics", &graph.nodes[evaluation].key);
        }
        Ok(Inputs(key.finish()))
    }
}

/// What an earlier run of the same inputs left, when all of it is still there.
pub fn known_outcome(plan: &Plan, folder: &Path, inputs: &Inputs) -> Result<Option<Outcome>> {
    let Ok(text) = fs_err::read(folder.join(FILE)) else { return Ok(None) };
    let Ok(complete) = serde_json::from_slice::<Complete>(&text) else { return Ok(None) };
    let there = |(name, size): (&String, &u64)| {
        fs_err::metadata(folder.join(name)).is_ok_and(|found| found.is_file() && found.len() == *size)
    };
    if complete.inputs != inputs.0.hex() || !complete.files.iter().all(there) {
        return Ok(None);
    }
    // A damaged record is made anew.
    let Ok(record) = Record::read(folder) else { return Ok(None) };
    let tables = draw::arranged(&record, &mut Vec::new())?;
    Ok(Some(Outcome {
        name: plan.name.clone(),
        table: record.table,
        folder: folder.to_owned(),
        notes: record.about.notes,
        missing: plan.missing.clone(),
        unfinished: Vec::new(),
        failures: BTreeMap::new(),
        drawn: draw::Drawn { tables: tables.iter().map(|table| table.to_terminal()).collect(), undrawn: Vec::new() },
        runs: plan.runs.len(),
    }))
}

/// Notes that the folder is complete, and of what it was made.
pub fn remember(folder: &Path, inputs: &Inputs) -> Result<()> {
    let mut files = BTreeMap::new();
    for below in ["", "figures", "tables"] {
        for entry in fs_err::read_dir(folder.join(below))? {
            let entry = entry?;
            let data = entry.metadata()?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // The log and the status go on changing.
            let own = [FILE, crate::work::status::FILE, crate::work::LOG].contains(&name.as_str());
            if data.is_file() && !own {
                files.insert(if below.is_empty() { name } else { format!("{below}/{name}") }, data.len());
            }
        }
    }
    let complete = Complete { inputs: inputs.0.hex(), files };
    let text = format!("{}\n", serde_json::to_string_pretty(&complete)?);
    Ok(write_atomic(&folder.join(FILE), text.as_bytes())?)
}
