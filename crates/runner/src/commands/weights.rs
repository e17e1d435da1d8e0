//! `oodlab weights`: weight files known, at hand, imported and converted.

use std::path::Path;

use anyhow::Result;
use oodlab_encoders::weights::{ConvertOptions, ImportReport, Presence, WeightEntry, Weights, convert, manifests};
use serde::Serialize;

use super::{print, print_json};
use crate::cli::WeightsCommand;
use crate::failure::settings;
use crate::lab::Lab;

/// Runs one of the weight commands.
pub fn run(lab: &Lab, command: &WeightsCommand, json: bool) -> Result<()> {
    match command {
        WeightsCommand::List => list(lab, json),
        WeightsCommand::Import { file: Some(file), .. } => import(lab, file, json),
        WeightsCommand::Import { file: None, from: Some(folder), .. } => import_all(lab, folder, json),
        WeightsCommand::Import { file: None, from: None, .. } => {
            Err(settings("weights import: give a file, or --all --from DIR"))
        }
        WeightsCommand::Convert { input, output, network, fold, half, trunk } => {
            let options = ConvertOptions { fold: *fold, half: *half, trunk_only: *trunk };
            converted(input, output, network.as_deref(), options, json)
        }
    }
}

/// Files that hold no known weights: so many are named.
const UNKNOWN_SHOWN: usize = 5;

#[derive(Serialize)]
struct Line {
    name: String,
    network: String,
    state: &'static str,
    path: Option<String>,
    runs_in_this_build: bool,
    files: Vec<String>,
    licence: String,
}

fn list(lab: &Lab, json: bool) -> Result<()> {
    let lines: Vec<Line> = lab.weights()?.list().into_iter().map(line).collect();
    if json {
        return print_json(&lines);
    }
    let width = |get: fn(&Line) -> usize| lines.iter().map(get).max().unwrap_or(0);
    let (name, network) = (width(|l| l.name.len()), width(|l| l.network.len()));
    let text: String = lines
        .iter()
        .map(|l| {
            let place = l.path.clone().unwrap_or_else(|| format!("file {}", l.files.join(" or ")));
            let build = if l.runs_in_this_build { "" } else { "; this build cannot run the network" };
            format!("{:name$}  {:network$}  {:<8}  {}  {place}{build}\n", l.name, l.network, l.state, l.licence)
        })
        .collect();
    print(&text)
}

fn line(entry: WeightEntry) -> Line {
    let (state, path) = match entry.presence {
        Presence::Imported(path) => ("present", Some(path.display().to_string())),
        Presence::Embedded => ("embedded", Some("inside the program, without classifier".to_owned())),
        Presence::Absent => ("absent", None),
    };
    Line {
        state,
        path,
        runs_in_this_build: entry.network_in_build,
        files: entry.manifest.files.iter().map(|file| file.file.clone()).collect(),
        name: entry.manifest.name,
        network: entry.manifest.network,
        licence: entry.manifest.licence,
    }
}

fn import(lab: &Lab, file: &Path, json: bool) -> Result<()> {
    let imported = lab.weights()?.import(file)?;
    report(&ImportReport { imported: vec![imported], ..ImportReport::default() }, json)
}

fn import_all(lab: &Lab, folder: &Path, json: bool) -> Result<()> {
    let found = lab.weights()?.import_all(folder)?;
    report(&found, json)?;
    anyhow::ensure!(found.failed.is_empty(), "{} weight files could not be imported", found.failed.len());
    anyhow::ensure!(!found.imported.is_empty(), "no known weight file below {}", folder.display());
    Ok(())
}

fn report(found: &ImportReport, json: bool) -> Result<()> {
    if json {
        let imported: Vec<_> = found
            .imported
            .iter()
            .map(|i| serde_json::json!({ "name": i.name, "from": i.from, "to": i.to, "copied": i.copied }))
            .collect();
        let failed: Vec<String> = found.failed.iter().map(ToString::to_string).collect();
        return print_json(&serde_json::json!({ "imported": imported, "unknown": found.unknown, "failed": failed }));
    }
    let mut text = String::new();
    for one in &found.imported {
        let how = if one.copied { "imported" } else { "had already" };
        text.push_str(&format!("{how}  {}  {}\n", one.name, one.to.display()));
    }
    for path in found.unknown.iter().take(UNKNOWN_SHOWN) {
        text.push_str(&format!("unknown   {}\n", path.display()));
    }
    if found.unknown.len() > UNKNOWN_SHOWN {
        text.push_str(&format!("unknown   and {} more\n", found.unknown.len() - UNKNOWN_SHOWN));
    }
    for error in &found.failed {
        text.push_str(&format!("failed    {error}\n"));
    }
    print(&text)
}

fn converted(input: &Path, output: &Path, network: Option<&str>, options: ConvertOptions, json: bool) -> Result<()> {
    let network = match network {
        Some(network) => network.to_owned(),
        None => network_of(input)?,
    };
    let weights = Weights::read(input)?;
    let done = convert(&weights, &network, output, options)?;
    if json {
        let file = output.display().to_string();
        return print_json(&serde_json::json!({ "file": file, "network": network, "tensors": done.tensors,
            "elements": done.elements, "size_bytes": done.size_bytes, "sha256": done.sha256 }));
    }
    let (tensors, elements, bytes) = (done.tensors, done.elements, done.size_bytes);
    print(&format!(
        "{}: {network}, {tensors} tensors, {elements} elements, {bytes} bytes, SHA-256 {}\n",
        output.display(),
        done.sha256
    ))
}

/// The network of a known file, by its name.
fn network_of(input: &Path) -> Result<String> {
    let file = input.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let known = manifests()?.into_iter().find(|m| m.files.iter().any(|f| f.file == file) || m.aliases.contains(&file));
    known.map(|manifest| manifest.network).ok_or_else(|| {
        settings(format!(
            "{file} is not a known weight file: name its network with --network, as in --network efficientnet-b4"
        ))
    })
}
