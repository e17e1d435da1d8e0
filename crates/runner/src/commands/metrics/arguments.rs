//! The command line of `oodlab metrics`.

use std::path::PathBuf;

use clap::Args;
use oodlab_evaluation::Recall;
use oodlab_evaluation::metrics::Convention;
use oodlab_evaluation::metrics::bootstrap::BootstrapConfig;

/// What to read and what to compute.
#[derive(Debug, Clone, Args)]
pub struct MetricsArguments {
    /// The score file: .csv, .parquet, .jsonl (one object a line) or .npz (one array a column)
    pub file: PathBuf,
    /// Column of scores, higher = more out-of-distribution; may be given several times, one detector each
    #[arg(long = "score", value_name = "COLUMN", default_value = "score")]
    pub scores: Vec<String>,
    /// In this file higher means more in-distribution: negate every score
    #[arg(long)]
    pub lower_is_ood: bool,
    /// Column that tells OOD from ID: true or 1 for OOD, false or 0 for ID
    #[arg(long, value_name = "COLUMN", default_value = "is_ood")]
    pub is_ood: String,
    /// Value of that column that means OOD, all others ID; may be given several times
    #[arg(long = "ood-value", value_name = "VALUE", allow_hyphen_values = true)]
    pub ood_values: Vec<String>,
    /// Column that names the OOD set of each row: one line a set, and their mean. ID rows are shared by all sets
    #[arg(long, value_name = "COLUMN")]
    pub set: Option<String>,
    /// Whose FPR95: a published system (openood, openood-1.0, oal, pytorch-ood, dlsr, energy, outlier-exposure, hendrycks,
    /// odin) or a rule by its name
    #[arg(long, value_name = "NAME", default_value = "first-at-least", value_parser = convention)]
    pub convention: Convention,
    /// Recall of the false positive rates; they are named after it, as in fpr80_id
    #[arg(long, value_name = "R", default_value = "0.95")]
    pub recall: Recall,
    /// Bootstrap replicates for 95 % intervals of all metrics; 0 for none. 1000 with --against, otherwise 0
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(0..=BootstrapConfig::LIMIT as u64))]
    pub bootstrap: Option<usize>,
    /// Seed of the bootstrap
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// Compare every other score with this one on the same images
    #[arg(long, value_name = "COLUMN")]
    pub against: Option<String>,
    /// Column of true classes, for accuracy, OSCR and calibration error of the ID rows
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
    /// Column of predicted classes
    #[arg(long, value_name = "COLUMN", requires = "label", conflicts_with = "logits")]
    pub prediction: Option<String>,
    /// Column of the classifier's confidence, 0..1, for the calibration error
    #[arg(long, value_name = "COLUMN", requires = "prediction")]
    pub confidence: Option<String>,
    /// Columns of logits, PREFIX and the class's number (or a two-dimensional array): predictions and confidence follow
    #[arg(long, value_name = "PREFIX", requires = "label")]
    pub logits: Option<String>,
}

impl MetricsArguments {
    /// Score columns, the one compared against included, each once.
    pub fn score_columns(&self) -> Vec<String> {
        let mut columns: Vec<String> = Vec::new();
        for column in self.scores.iter().chain(&self.against) {
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
        columns
    }

    /// Replicates to draw.
    pub fn replicates(&self) -> usize {
        self.bootstrap.unwrap_or(if self.against.is_some() { BootstrapConfig::default().replicates } else { 0 })
    }
}

fn convention(text: &str) -> Result<Convention, String> {
    text.parse().map_err(|error: oodlab_evaluation::metrics::UnknownConvention| error.to_string())
}

/// Behind the options.
pub const HELP: &str = "\
Examples:
  oodlab metrics scores.csv
  oodlab metrics scores.npz --score energy --score knn --json
  oodlab metrics scores.csv --set dataset --convention openood
      one line an OOD set, and their unweighted mean; fpr95_ood is what OpenOOD 1.5 prints
  oodlab metrics scores.csv --score conf --lower-is-ood --is-ood label --ood-value -1
      scores of a program where higher means in-distribution, and where -1 marks OOD
  oodlab metrics scores.parquet --score mse --score knn --against knn --set dataset
      is mse different from knn? paired DeLong test and paired bootstrap, Holm's correction over the sets
  oodlab metrics scores.csv --label y --logits logit_ --bootstrap 1000
      accuracy, OSCR and calibration error too, and intervals of everything that is of scores

fpr95_id:  share of OOD accepted when 95 % of ID is accepted (DLSR, energy, ODIN).
fpr95_ood: share of ID rejected when 95 % of OOD is caught (OpenOOD 1.5, pytorch-ood).
They are different quantities; docs/conventions.md says which system prints which, and by what rule.";
