//! `oodlab weights`: weight files known, at hand, fetched, imported and converted.

use std::path::Path;

use anyhow::Result;
use oodlab_encoders::network::Normalisation;
use oodlab_encoders::weights::{
    ConvertOptions, ImportReport, Imported, OwnWeights, Presence, WeightEntry, WeightFile, Weights, convert, manifests,
};
use oodlab_fetch::Fetcher;
use serde::Serialize;

use super::{print, print_json};
use crate::cli::WeightsCommand;
use crate::failure::settings;
use crate::lab::Lab;

/// Runs one of the weight commands.
pub fn run(lab: &Lab, command: &WeightsCommand, json: bool) -> Result<()> {
    match command {
        WeightsCommand::List => list(lab, json),
        WeightsCommand::Fetch { names, mirror } => fetch(lab, names, mirror.as_deref(), json),
        WeightsCommand::Import { file: Some(file), network: Some(network), name, mean, deviation, .. } => {
            let normalisation = match (mean, deviation) {
                (Some(mean), Some(deviation)) => Some(Normalisation { mean: *mean, deviation: *deviation }),
                _ => None,
            };
            if normalisation.is_some_and(|given| !given.is_sound()) {
                return Err(settings(
                    "weights import: mean and deviation of pixels in 0..1 expected (divide those of 0..255 by 255), deviations above zero",
                ));
            }
            import_own(lab, file, OwnWeights { name: name.as_deref(), network, normalisation }, json)
        }
        WeightsCommand::Import { file: Some(file), .. } => import(lab, file, json),
        WeightsCommand::Import { file: None, from: Some(folder), .. } => import_all(lab, folder, json),
        WeightsCommand::Import { file: None, from: None, .. } => {
            Err(settings("weights import: give a file, or --all --from DIR"))
        }
        WeightsCommand::Accuracy(arguments) => super::accuracy::run(lab, arguments, json),
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
    files: Vec<WeightFile>,
    licence: String,
    normalisation: Option<Normalisation>,
    own: bool,
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
            let place = l.path.clone().unwrap_or_else(|| {
                let files: Vec<&str> = l.files.iter().map(|file| file.file.as_str()).collect();
                let fetched = l.files.iter().any(|file| !file.addresses.is_empty());
                format!("{} {}", if fetched { "fetch" } else { "file" }, files.join(" or "))
            });
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
        files: entry.manifest.files,
        normalisation: entry.manifest.normalisation,
        own: entry.own,
        name: entry.manifest.name,
        network: entry.manifest.network,
        licence: entry.manifest.licence,
    }
}

fn import(lab: &Lab, file: &Path, json: bool) -> Result<()> {
    let imported = lab.weights()?.import(file)?;
    report(&ImportReport { imported: vec![imported], ..ImportReport::default() }, json)
}

fn import_own(lab: &Lab, file: &Path, own: OwnWeights<'_>, json: bool) -> Result<()> {
    let imported = lab.weights()?.import_own(file, own)?;
    report(&ImportReport { imported: vec![imported], ..ImportReport::default() }, json)
}

fn fetch(lab: &Lab, names: &[String], mirror: Option<&str>, json: bool) -> Result<()> {
    let library = lab.weights()?;
    // A wrong name is told before anything is downloaded.
    if let Some(name) = names.iter().find(|name| library.manifest(name).is_none()) {
        let known: Vec<String> = library.list().into_iter().map(|entry| entry.manifest.name).collect();
        return Err(settings(format!("no weights named `{name}`; known: {}", known.join(", "))));
    }
    let fetcher = Fetcher::new()?;
    let mut found = ImportReport::default();
    for name in names {
        found.imported.push(library.fetch(name, mirror, &fetcher, &lab.bars, &lab.cancel)?);
    }
    report(&found, json)
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
        let imported: Vec<_> = found.imported.iter().map(described).collect();
        let failed: Vec<String> = found.failed.iter().map(ToString::to_string).collect();
        return print_json(&serde_json::json!({ "imported": imported, "unknown": found.unknown, "failed": failed }));
    }
    let mut text = String::new();
    for one in &found.imported {
        let how = if one.copied { "imported" } else { "had already" };
        text.push_str(&format!("{how}  {}  {}\n", one.name, one.to.display()));
        for note in &one.notes {
            text.push_str(&format!("          {note}\n"));
        }
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

fn described(one: &Imported) -> serde_json::Value {
    serde_json::json!({ "name": one.name, "network": one.network, "from": one.from, "to": one.to,
        "sha256": one.sha256, "copied": one.copied, "notes": one.notes })
}

fn converted(input: &Path, output: &Path, network: Option<&str>, options: ConvertOptions, json: bool) -> Result<()> {
    let network = match network {
        Some(network) => network.to_owned(),
        None => network_of(input)?,
    };
    if output.extension().is_none_or(|suffix| suffix != "safetensors") {
        return Err(settings(format!("{}: the output is a safetensors file; name it so", output.display())));
    }
    let place = |path: &Path| fs_err::canonicalize(path).ok();
    if place(output).is_some_and(|output| place(input) == Some(output)) {
        return Err(settings(format!("{}: this is the input, which is not written over", output.display())));
    }
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
