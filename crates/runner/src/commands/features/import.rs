//! `oodlab features import`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use oodlab_datasets::Library;
use oodlab_features::FeatureTable;
use oodlab_features::format::{Format, Options};
use oodlab_features::library::{Place, StoredFeatures, sha256};

use super::{ImportArguments, Line, Protocols, print, print_json, told, told_any};
use crate::failure::settings;
use crate::feature_files;
use crate::lab::Lab;

/// One file and what its samples are.
struct Given {
    file: PathBuf,
    set: String,
    split: String,
    protocols: Protocols,
}

/// Imports a file, or every file of a folder.
pub fn run(lab: &Lab, arguments: &ImportArguments, json: bool) -> Result<()> {
    let library = lab.library()?;
    let options = Options::parse(arguments.names.as_deref(), arguments.layers.as_deref()).map_err(told)?;
    let mut done = Vec::new();
    for given in given(&library, arguments)? {
        lab.cancel.check()?;
        let (stored, left_out) = import(lab, &library, arguments, &given, &options)?;
        for stored in stored {
            if !json {
                print(&format!("imported  {}", Line::of(&stored).text()))?;
            }
            let mut line = serde_json::to_value(Line::of(&stored))?;
            line["left_out"] = serde_json::json!(left_out);
            done.push(line);
        }
        if !json && !left_out.is_empty() {
            print(&format!("left out  {}: arrays without a meaning here\n", left_out.join(", ")))?;
        }
    }
    if json { print_json(&done) } else { Ok(()) }
}

fn import(
    lab: &Lab,
    library: &Library,
    arguments: &ImportArguments,
    given: &Given,
    options: &Options,
) -> Result<(Vec<StoredFeatures>, Vec<String>)> {
    let Given { file, set, split, protocols } = given;
    let expected = library.manifest(set)?.split(split)?.images;
    let read = feature_files::read(file, options).map_err(told_any)?;
    let rows = read.table.features().rows();
    if let Some(expected) = expected.filter(|&expected| rows > expected) {
        let file = file.display();
        anyhow::bail!("{file}: {rows} rows, but {set} {split} has {expected} images; is it another split?");
    }
    let table = if arguments.normal_ids { named_as_images(library, set, split, read.table)? } else { read.table };
    let source = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let sum = sha256(file)?;
    let mut stored = Vec::new();
    let mut table = Some(table);
    let protocols = protocols.each();
    for (at, protocol) in protocols.iter().enumerate() {
        let place = Place {
            encoder: arguments.encoder.clone(),
            set: set.clone(),
            split: split.clone(),
            protocol: protocol.name().to_owned(),
        };
        // The last one needs no copy.
        let table = if at + 1 == protocols.len() { table.take() } else { table.clone() };
        let table = table.context("no features")?;
        stored.push(lab.features().store(&place, table, &source, &sum).map_err(told)?);
    }
    Ok((stored, read.left_out))
}

fn named_as_images(library: &Library, set: &str, split: &str, table: FeatureTable) -> Result<FeatureTable> {
    let images = library.open_set(set, split, None)?;
    let (rows, found) = (table.features().rows(), images.len());
    anyhow::ensure!(rows <= found, "--normal-ids: {rows} rows, but {found} images of {set} {split} are at hand");
    Ok(table.with_ids((0..rows).map(|row| images.id(row)).collect())?)
}

/// The one file with its set, or those of a folder by their names.
fn given(library: &Library, arguments: &ImportArguments) -> Result<Vec<Given>> {
    let ImportArguments { file, set, split, protocol, .. } = arguments;
    if !file.is_dir() {
        let (Some(set), Some(split)) = (set, split) else {
            return Err(settings("features import: name the data set and its split, as in --set cifar10 --split test"));
        };
        return Ok(vec![Given { file: file.clone(), set: set.clone(), split: split.clone(), protocols: *protocol }]);
    }
    if set.is_some() {
        return Err(settings("features import: of a folder, the files' names say set and split; leave --set out"));
    }
    let mut files: Vec<PathBuf> = fs_err::read_dir(file)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>, std::io::Error>>()?
        .into_iter()
        .filter(|path| path.is_file() && Format::of(path).is_ok())
        .collect();
    files.sort();
    anyhow::ensure!(!files.is_empty(), "{}: no file named *.safetensors, *.npz, *.parquet or *.npy", file.display());
    files.into_iter().map(|file| by_name(library, file)).collect()
}

/// `cifar10-test-matched.npz`: what set and split a file's name says.
fn by_name(library: &Library, file: PathBuf) -> Result<Given> {
    let stem = Path::new(&file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut found = Vec::new();
    for manifest in library.manifests() {
        for split in manifest.splits.keys() {
            let native = format!("{}-{split}", manifest.name);
            let protocols = match stem.strip_prefix(&native) {
                Some("") => Protocols::Native,
                Some("-matched") => Protocols::Matched,
                _ => continue,
            };
            found.push((manifest.name.clone(), split.clone(), protocols));
        }
    }
    match found.as_slice() {
        [(set, split, protocols)] => Ok(Given { set: set.clone(), split: split.clone(), protocols: *protocols, file }),
        [] => Err(settings(format!(
            "{}: its name is not SET-SPLIT or SET-SPLIT-matched of a known set (oodlab data list); import it alone with --set",
            file.display()
        ))),
        _ => Err(settings(format!("{}: its name fits several sets; import it alone with --set", file.display()))),
    }
}
