//! `oodlab features`: features of other programs, imported, listed and exported.

mod export;
mod import;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use oodlab_features::FeatureError;
use oodlab_features::library::StoredFeatures;
use serde::Serialize;

use super::{print, print_json};
use crate::config::Protocol;
use crate::failure::settings;
use crate::lab::Lab;

#[derive(Debug, Subcommand)]
pub enum FeaturesCommand {
    /// Every imported file: rows, layers, logits, labels
    List,
    /// Take features that any other program made, so that an experiment needs neither images nor a network
    #[command(after_help = IMPORT_HELP)]
    Import(ImportArguments),
    /// Write features as safetensors, npz or parquet, in the form that `import` reads
    #[command(after_help = EXPORT_HELP)]
    Export(ExportArguments),
}

const IMPORT_HELP: &str = "\
Files: .safetensors, .npz, .parquet, and .npy for features alone. Their arrays:
  features    [rows, columns], f16, bf16, f32 or f64: all layers side by side
  layers      a text, stage1=64,stage2=128; or --layers; one layer when absent
              (npz: an array that holds the text; safetensors: metadata)
  layer.NAME  [rows, width]: one array a layer, instead of features and layers
  ids         [rows], texts or whole numbers, each once; 0, 1, .. when absent
  labels      [rows], whole numbers; -1 in every row means none, as OpenOOD marks outliers
  logits      [rows, classes]
Parquet: columns id and label, and either lists (features, layer.NAME, logits) or one column a
number (layer.NAME.0, .., logits.0, ..; of one layer also f0, f1, .. or 0, 1, ..).
Layers stand in the order of --layers, else of the file; in safetensors, of their names.
Read Parquet files of your own only: one that was made to do harm can exhaust memory. The other
formats are read safely whoever wrote them.
Values are kept as f32. NaN, infinite values, ids that come twice and parts of different
lengths are refused. Labels are kept apart: only supervised detectors are handed them.

In Python:
  np.savez(\"cifar10-test.npz\", features=f, labels=y, layers=\"layer3=256,layer4=512\")
  safetensors.torch.save_file({\"features\": f, \"logits\": z}, \"svhn-test.safetensors\")
Then:
  oodlab features import cifar10-test.npz --encoder mine --set cifar10 --split test
  oodlab features import a.npz --names features=feat_list,labels=label_list \\
      --encoder mine --set svhn --split test
  oodlab features import FOLDER --encoder mine     every SET-SPLIT[-matched].ENDING in it
  oodlab run experiments/cifar10_far.yaml encoder.imported=mine";

const EXPORT_HELP: &str = "\
Examples:
  oodlab features export experiments/quickstart.yaml --set cifar10-mini --split test -o test.npz
  oodlab features export experiments/quickstart.yaml --all -o FOLDER --format parquet
  oodlab features export --encoder timm-resnet18 --set cifar10 --split test -o test.safetensors
What was not encoded yet is encoded. An export that is imported again gives the same features to the bit.";

/// What `features import` is told.
#[derive(Debug, Args)]
pub struct ImportArguments {
    /// The file; or a folder of files named SET-SPLIT.ENDING and SET-SPLIT-matched.ENDING
    pub file: PathBuf,
    /// The name under which an experiment finds the features: `encoder: {imported: NAME}`
    #[arg(long, value_name = "NAME")]
    pub encoder: String,
    /// The data set whose samples they are
    #[arg(long, requires = "split", value_name = "SET")]
    pub set: Option<String>,
    /// Its split
    #[arg(long, requires = "set", value_name = "SPLIT")]
    pub split: Option<String>,
    /// How images reached the network: `native` from their own size, `matched` squashed to the ID set's size first, `both`
    /// where that is the same
    #[arg(long, value_enum, default_value = "native", requires = "set", value_name = "PROTOCOL")]
    pub protocol: Protocols,
    /// Layers and their widths in column order, as in stage1=64,stage2=128
    #[arg(long, value_name = "NAME=WIDTH,..")]
    pub layers: Option<String>,
    /// The file's own names, as in features=feat_list,labels=label_list,layer.stage1=block1
    #[arg(long, value_name = "OURS=THEIRS,..")]
    pub names: Option<String>,
    /// Name the rows as the set names its images (which must be at hand), in its order: ids of the file are dropped
    #[arg(long)]
    pub normal_ids: bool,
}

/// What `features export` is told.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// An experiment file; or --encoder
    #[arg(required_unless_present = "encoder", conflicts_with = "encoder")]
    pub experiment: Option<PathBuf>,
    /// Overrides, as in encoder.resolution=260 or limit.train=500
    #[arg(value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// The name of imported features
    #[arg(long, value_name = "NAME")]
    pub encoder: Option<String>,
    /// The data set
    #[arg(long, required_unless_present = "all", conflicts_with = "all", requires = "split", value_name = "SET")]
    pub set: Option<String>,
    /// Its split
    #[arg(long, requires = "set", value_name = "SPLIT")]
    pub split: Option<String>,
    /// How images reach the network
    #[arg(long, value_enum, default_value = "native", conflicts_with = "all", value_name = "PROTOCOL")]
    pub protocol: OneProtocol,
    /// Every set, split and protocol: -o is then a folder of files named SET-SPLIT.ENDING and SET-SPLIT-matched.ENDING
    #[arg(long)]
    pub all: bool,
    /// The format of --all: safetensors, npz or parquet
    #[arg(long, requires = "all", default_value = "safetensors", value_name = "ENDING",
          value_parser = ["safetensors", "npz", "parquet"])]
    pub format: String,
    /// The file to write, named *.safetensors, *.npz or *.parquet
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
}

/// Protocols of a file that is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocols {
    /// From the images' own size.
    Native,
    /// Squashed to the in-distribution set's size first.
    Matched,
    /// The images have that size.
    Both,
}

/// The protocol of a file that is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OneProtocol {
    /// From the images' own size.
    Native,
    /// Squashed to the in-distribution set's size first.
    Matched,
}

impl Protocols {
    fn each(self) -> &'static [Protocol] {
        match self {
            Protocols::Native => &[Protocol::Native],
            Protocols::Matched => &[Protocol::Matched],
            Protocols::Both => &[Protocol::Native, Protocol::Matched],
        }
    }
}

impl OneProtocol {
    fn protocol(self) -> Protocol {
        match self {
            OneProtocol::Native => Protocol::Native,
            OneProtocol::Matched => Protocol::Matched,
        }
    }
}

/// Runs one of the feature commands.
pub fn run(lab: &Lab, command: &FeaturesCommand, json: bool) -> Result<()> {
    match command {
        FeaturesCommand::List => list(lab, json),
        FeaturesCommand::Import(arguments) => import::run(lab, arguments, json),
        FeaturesCommand::Export(arguments) => export::run(lab, arguments, json),
    }
}

/// One file, for people and programs.
#[derive(Serialize)]
struct Line {
    encoder: String,
    set: String,
    split: String,
    protocol: String,
    rows: usize,
    columns: usize,
    layers: Vec<String>,
    classes: Option<usize>,
    labels: bool,
    content: String,
    source: String,
    sha256: String,
    path: String,
}

impl Line {
    fn of(stored: &StoredFeatures) -> Line {
        Line {
            encoder: stored.place.encoder.clone(),
            set: stored.place.set.clone(),
            split: stored.place.split.clone(),
            protocol: stored.place.protocol.clone(),
            rows: stored.rows,
            columns: stored.layers.last().map_or(0, |layer| layer.end),
            layers: stored.layers.iter().map(|layer| format!("{}={}", layer.name, layer.width())).collect(),
            classes: stored.classes,
            labels: stored.labels,
            content: stored.content.clone(),
            source: stored.source.clone(),
            sha256: stored.sha256.clone(),
            path: stored.path.display().to_string(),
        }
    }

    fn text(&self) -> String {
        let logits = self.classes.map(|classes| format!(", {classes} logits")).unwrap_or_default();
        let labels = if self.labels { ", labels" } else { "" };
        let Line { encoder, set, split, protocol, rows, columns, source, .. } = self;
        let layers = self.layers.join(" ");
        format!("{encoder}  {set} {split} {protocol}  {rows} x {columns}{logits}{labels}  {layers}  from {source}\n")
    }
}

fn list(lab: &Lab, json: bool) -> Result<()> {
    let (mut lines, mut damaged) = (Vec::new(), Vec::new());
    for found in lab.features().list()? {
        match found {
            Ok(stored) => lines.push(Line::of(&stored)),
            Err(error) => damaged.push(error.to_string()),
        }
    }
    if json {
        return print_json(&serde_json::json!({ "features": lines, "damaged": damaged }));
    }
    if lines.is_empty() && damaged.is_empty() {
        return print("nothing was imported; see oodlab features import --help\n");
    }
    let damaged: String = damaged.iter().map(|error| format!("damaged: {error}\n")).collect();
    print(&format!("{}{damaged}", lines.iter().map(Line::text).collect::<String>()))
}

/// What the user said of a file is a matter of settings; what is in the file is not.
fn told(error: FeatureError) -> anyhow::Error {
    match &error {
        FeatureError::Options(what) => settings(what.clone()),
        FeatureError::UnknownFormat => settings(error.to_string()),
        FeatureError::File { path, source } => match source.as_ref() {
            FeatureError::Options(_) | FeatureError::UnknownFormat => settings(format!("{}: {source}", path.display())),
            _ => error.into(),
        },
        _ => error.into(),
    }
}

/// The same for an error on its way.
fn told_any(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<FeatureError>() {
        Ok(error) => told(error),
        Err(other) => other,
    }
}
