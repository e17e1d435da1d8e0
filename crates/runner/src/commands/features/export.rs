//! `oodlab features export`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use oodlab_datasets::ImageSet;
use oodlab_features::format::Format;
use oodlab_features::library::Place;
use oodlab_features::{FeatureTable, Labels};

use super::{ExportArguments, print, print_json, told, told_any};
use crate::config::{Environment, Protocol, Request, Source};
use crate::failure::settings;
use crate::feature_files;
use crate::lab::Lab;
use crate::plan::Plan;
use crate::stages::source::FeatureSource;

/// Set, split and protocol.
type What = (String, String, Protocol);

/// Writes one file, or with `--all` one a set, split and protocol.
pub fn run(lab: &Lab, arguments: &ExportArguments, json: bool) -> Result<()> {
    let wanted = match (&arguments.set, &arguments.split) {
        (Some(set), Some(split)) => Some((set.clone(), split.clone(), arguments.protocol.protocol())),
        _ => None,
    };
    if wanted.is_some() && Format::of(&arguments.output).map_err(told)? == Format::Npy {
        return Err(settings("an npy file holds features alone; write *.npz, *.safetensors or *.parquet"));
    }
    let mut tables = match (&arguments.experiment, &arguments.encoder) {
        (Some(experiment), _) => of_experiment(lab, experiment, &arguments.overrides)?,
        (None, Some(encoder)) => of_encoder(lab, encoder)?,
        (None, None) => return Err(settings("features export: name an experiment file, or --encoder NAME")),
    };
    if let Some(wanted) = &wanted {
        let known = tables.keys().map(name).collect::<Vec<_>>().join(", ");
        tables.retain(|what, _| what == wanted);
        if tables.is_empty() {
            return Err(settings(format!("there are no features of {}; there are: {known}", name(wanted))));
        }
    }
    let mut written = Vec::new();
    for (what, table) in tables {
        lab.cancel.check()?;
        let path = if wanted.is_some() {
            arguments.output.clone()
        } else {
            file_in(&arguments.output, &what, &arguments.format)?
        };
        let table = table(lab).with_context(|| name(&what))?;
        feature_files::write(&path, &table).map_err(told_any)?;
        let features = table.features();
        let (rows, columns) = (features.rows(), features.width());
        if !json {
            print(&format!("{}: {}, {rows} x {columns}\n", path.display(), name(&what)))?;
        }
        let (set, split, protocol) = what;
        written.push(serde_json::json!({ "file": path.display().to_string(), "set": set, "split": split,
            "protocol": protocol.name(), "rows": rows, "columns": columns, "labels": table.labels().is_some(),
            "classes": features.logits().map(|logits| logits.classes), "content": table.content().hex() }));
    }
    if json { print_json(&written) } else { Ok(()) }
}

/// A table that is read or computed when it is written.
type Later = Box<dyn FnOnce(&Lab) -> Result<FeatureTable>>;

/// Every set of an experiment that is at hand.
fn of_experiment(lab: &Lab, file: &Path, overrides: &[String]) -> Result<BTreeMap<What, Later>> {
    let request = Request { overrides: overrides.to_vec(), ..Request::of_file(file, Environment::Read) };
    let source = Source::open(&request)?;
    let plan = Plan::new(lab, &source)?;
    let mut found: BTreeMap<What, (FeatureSource, usize)> = BTreeMap::new();
    for run in &plan.runs {
        let layers = run.sets.backbone.layers();
        let inliers = [run.sets.train.source(), &run.sets.id_test].map(|source| (Protocol::Native, source));
        let shifted = run.sets.shifted.iter().map(|shifted| (shifted.protocol, &shifted.encode));
        let outliers = run.sets.outliers.iter().map(|outlier| (outlier.protocol, &outlier.encode));
        for (protocol, source) in inliers.into_iter().chain(shifted).chain(outliers) {
            let what = (source.set().to_owned(), source.split().to_owned(), protocol);
            let (known, _) = found.entry(what.clone()).or_insert_with(|| (source.clone(), layers));
            if known.key() != source.key() {
                return Err(settings(format!(
                    "the experiment's cells have different features of {}; choose one by overrides, as in encoder.resolution=224",
                    name(&what)
                )));
            }
        }
    }
    Ok(found.into_iter().map(|(what, (source, layers))| (what, later(source, layers))).collect())
}

fn later(source: FeatureSource, layers: usize) -> Later {
    Box::new(move |lab| match &source {
        FeatureSource::Images(encode) => {
            let all: Vec<usize> = (1..=layers).collect();
            encode.ensure(lab)?;
            let features = encode.rows(lab, 0..encode.images().len(), &all)?;
            Ok(FeatureTable::new(features, labels(encode.images()))?)
        }
        FeatureSource::Imported(imported) => imported.table(),
    })
}

/// The labels of all images, where each has one.
fn labels(images: &ImageSet) -> Option<Labels> {
    (0..images.len()).map(|index| images.label(index)).collect::<Option<Vec<u32>>>().map(Labels)
}

fn of_encoder(lab: &Lab, encoder: &str) -> Result<BTreeMap<What, Later>> {
    let known = lab.features().encoders()?;
    if !known.iter().any(|name| name == encoder) {
        let hint = oodlab_base::text::hint(encoder, known.iter().map(String::as_str));
        return Err(settings(format!(
            "no features were imported as {encoder:?}{hint} (imported: {})",
            known.join(", ")
        )));
    }
    let mut found: BTreeMap<What, Later> = BTreeMap::new();
    for stored in lab.features().list()?.into_iter().filter_map(Result::ok) {
        let Place { set, split, .. } = &stored.place;
        let protocol = [Protocol::Native, Protocol::Matched].into_iter().find(|p| p.name() == stored.place.protocol);
        if let (true, Some(protocol)) = (stored.place.encoder == encoder, protocol) {
            found.insert((set.clone(), split.clone(), protocol), Box::new(move |_| Ok(stored.read()?)));
        }
    }
    Ok(found)
}

/// `FOLDER/cifar10-test-matched.npz`; the folder is made.
fn file_in(folder: &Path, (set, split, protocol): &What, ending: &str) -> Result<PathBuf> {
    fs_err::create_dir_all(folder)?;
    let suffix = if *protocol == Protocol::Native { "" } else { "-matched" };
    Ok(folder.join(format!("{set}-{split}{suffix}.{ending}")))
}

fn name((set, split, protocol): &What) -> String {
    let suffix = if *protocol == Protocol::Native { "" } else { " (matched)" };
    format!("{set} {split}{suffix}")
}
