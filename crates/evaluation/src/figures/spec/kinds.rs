//! The keys of each kind of figure.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Values;
use crate::metrics::{Metric, Positive};

/// `kind: roc`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RocSpec {
    /// Whether each curve gets its pointwise 95 % band: of the share of OOD caught at each share of ID rejected, by 400 stratified
    /// bootstrap replicates.
    pub bands: bool,
}

/// `kind: pr`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrSpec {
    /// Which class is positive: `ood`, `id` or `both` (two figures), the default.
    pub positive: Direction,
    /// Whether each curve gets its pointwise 95 % band: of the precision at each recall, by 400 stratified bootstrap replicates.
    pub bands: bool,
}

/// Which class is positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Out-of-distribution.
    Ood,
    /// In-distribution.
    Id,
    /// Each in a figure of its own.
    #[default]
    Both,
}

impl Direction {
    pub(in crate::figures) fn classes(self) -> &'static [Positive] {
        match self {
            Direction::Ood => &[Positive::Ood],
            Direction::Id => &[Positive::Id],
            Direction::Both => &[Positive::Ood, Positive::Id],
        }
    }
}

/// `kind: histogram`: no keys of its own.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HistogramSpec {}

/// `kind: density`: no keys of its own.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DensitySpec {}

/// `kind: sweep`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SweepSpec {
    /// The swept key on the horizontal axis, without `sweep.`; the only one when absent.
    pub key: Option<String>,
    /// Metrics, a figure each; AUROC and FPR95 (ID positive) when absent.
    pub metrics: Vec<Metric>,
    /// Means over groups of sets (the default), or each set.
    pub of: Over,
}

impl Default for SweepSpec {
    fn default() -> SweepSpec {
        SweepSpec { key: None, metrics: vec![Metric::Auroc, Metric::Fpr95Id], of: Over::default() }
    }
}

/// Which rows of the table are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    /// Means over groups of sets.
    #[default]
    Groups,
    /// Single sets.
    Sets,
}

/// `kind: heatmap`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeatmapSpec {
    /// The swept key along the horizontal axis; the first of two when absent.
    pub x: Option<String>,
    /// The swept key along the vertical axis; the other of two when absent.
    pub y: Option<String>,
    /// Metrics, a figure each; AUROC when absent.
    pub metrics: Vec<Metric>,
    /// Means over groups of sets (the default), or each set.
    pub of: Over,
}

impl Default for HeatmapSpec {
    fn default() -> HeatmapSpec {
        HeatmapSpec { x: None, y: None, metrics: vec![Metric::Auroc], of: Over::default() }
    }
}

/// `kind: bars`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BarsSpec {
    /// What stands along the axis; sets when absent.
    pub x: Facet,
    /// What the bars side by side are; scores when absent.
    pub series: Facet,
    /// Metrics, a figure each; AUROC when absent.
    pub metrics: Vec<Metric>,
}

impl Default for BarsSpec {
    fn default() -> BarsSpec {
        BarsSpec { x: Facet::Set, series: Facet::Score, metrics: vec![Metric::Auroc] }
    }
}

/// A property of a row of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub enum Facet {
    /// Its OOD set.
    Set,
    /// Its group of OOD sets; the rows are then means.
    Group,
    /// Its score, with its detector where two share the name.
    Score,
    /// Its detector.
    Detector,
    /// Its protocol.
    Protocol,
    /// Its value of a swept key.
    Sweep(String),
}

impl Facet {
    /// The swept key, without `sweep.`.
    pub(in crate::figures) fn swept_key(&self) -> Option<&str> {
        if let Facet::Sweep(key) = self { Some(key) } else { None }
    }
}

impl FromStr for Facet {
    type Err = String;

    fn from_str(text: &str) -> Result<Facet, String> {
        const WORDS: [(&str, Facet); 5] = [
            ("set", Facet::Set),
            ("group", Facet::Group),
            ("score", Facet::Score),
            ("detector", Facet::Detector),
            ("protocol", Facet::Protocol),
        ];
        if let Some(key) = text.strip_prefix(crate::table::SWEEP_PREFIX).filter(|key| !key.is_empty()) {
            return Ok(Facet::Sweep(key.to_owned()));
        }
        WORDS.into_iter().find(|(word, _)| *word == text).map(|(_, facet)| facet).ok_or_else(|| {
            let hint = oodlab_base::text::hint(text, WORDS.iter().map(|(word, _)| *word));
            format!("expected set, group, score, detector, protocol or sweep.<key>, found {text:?}{hint}")
        })
    }
}

impl TryFrom<String> for Facet {
    type Error = String;

    fn try_from(text: String) -> Result<Facet, String> {
        text.parse()
    }
}

impl fmt::Display for Facet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Facet::Set => f.write_str("set"),
            Facet::Group => f.write_str("group"),
            Facet::Score => f.write_str("score"),
            Facet::Detector => f.write_str("detector"),
            Facet::Protocol => f.write_str("protocol"),
            Facet::Sweep(key) => write!(f, "{}{key}", crate::table::SWEEP_PREFIX),
        }
    }
}

impl From<Facet> for String {
    fn from(facet: Facet) -> String {
        facet.to_string()
    }
}

/// `kind: loss`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LossSpec {
    /// Names of the curves, such as `loss`; all when absent.
    pub curve: Values,
}

/// `kind: steps`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StepsSpec {
    /// The score without its step, such as `mse` for `mse-t10`, `mse-t20`, a figure each; every one that there is when absent.
    pub score: Values,
}

/// `kind: layers`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LayersSpec {
    /// The score without its layer, such as `mfsim` for `mfsim-layer1`, `mfsim-layer2`, a figure each; every one that there is when absent.
    pub score: Values,
}

/// `kind: projection`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectionSpec {
    /// `pca` (the default) or `tsne`.
    pub view: View,
    /// Most samples in all, 3 to 3000: ID and the sets share them evenly, each set the samples that its seed chooses.
    pub samples: usize,
    /// Perplexity of t-SNE, 2 or more.
    pub perplexity: f64,
    /// Seed of the choice of samples.
    pub seed: u64,
}

impl Default for ProjectionSpec {
    fn default() -> ProjectionSpec {
        ProjectionSpec { view: View::Pca, samples: 1500, perplexity: 30.0, seed: 0 }
    }
}

/// How samples come into two dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum View {
    /// The first two principal components.
    #[default]
    Pca,
    /// t-distributed stochastic neighbour embedding.
    Tsne,
}

impl View {
    /// The word in files: `pca`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            View::Pca => "pca",
            View::Tsne => "tsne",
        }
    }
}

/// `kind: contact-sheet`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContactSheetSpec {
    /// Images of each set with the highest scores.
    pub most: usize,
    /// Images of each set with the lowest scores.
    pub least: usize,
}

impl Default for ContactSheetSpec {
    fn default() -> ContactSheetSpec {
        ContactSheetSpec { most: 6, least: 6 }
    }
}
