//! A figure that an experiment file asks for.

mod kinds;
mod read;
mod schema;
mod selection;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use kinds::{
    BarsSpec, ContactSheetSpec, DensitySpec, Direction, Facet, HeatmapSpec, HistogramSpec, LayersSpec, LossSpec, Over,
    PrSpec, ProjectionSpec, RocSpec, StepsSpec, SweepSpec, View,
};
pub use selection::{Selection, Values};

/// One entry of `figures:`.
///
/// `kind` says what it shows; the other keys are those of the kind and, of every kind, `name`, `title` and `where`. One entry draws one
/// figure for every run, protocol and score that it leaves open.
///
/// ```
/// use oodlab_evaluation::figures::FigureSpec;
/// let spec: FigureSpec = serde_json::from_str(r#"{"kind": "roc", "bands": true, "where": {"protocol": "native"}}"#)?;
/// assert_eq!(spec.kind.name(), "roc");
/// let error = serde_json::from_str::<FigureSpec>(r#"{"kind": "roc", "band": true}"#).unwrap_err();
/// assert!(error.to_string().starts_with("figure roc: unknown key `band`; did you mean \"bands\"?"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct FigureSpec {
    /// File stem, in place of the kind's own; what tells several figures of one entry apart is appended.
    pub name: Option<String>,
    /// Title; what tells several figures of one entry apart is appended. The kind's own when absent.
    pub title: Option<String>,
    /// Which part of the record it shows; all of it when absent.
    pub selection: Selection,
    /// What it shows.
    pub kind: FigureKind,
}

/// What a figure shows, with the keys of that kind.
#[derive(Debug, Clone, PartialEq)]
pub enum FigureKind {
    /// Receiver operating characteristics: a panel a set, a curve a score.
    Roc(RocSpec),
    /// Precision against recall: a panel a set, a curve a score.
    Pr(PrSpec),
    /// Histograms of one score: a panel a set.
    Histogram(HistogramSpec),
    /// Densities of one score: ID filled, a line a set.
    Density(DensitySpec),
    /// A metric against a swept value: a line a score.
    Sweep(SweepSpec),
    /// A metric over two swept keys, written in coloured cells.
    Heatmap(HeatmapSpec),
    /// A metric as grouped bars.
    Bars(BarsSpec),
    /// Curves that training left behind.
    Loss(LossSpec),
    /// A score at each step of the trajectory: mean and middle 80 % of ID and a set.
    Steps(StepsSpec),
    /// A score of each layer: quartiles of ID and a set.
    Layers(LayersSpec),
    /// Samples in two dimensions.
    Projection(ProjectionSpec),
    /// The most and least OOD images of each set.
    ContactSheet(ContactSheetSpec),
}

impl FigureKind {
    /// The words that `kind` knows.
    pub const NAMES: [&'static str; 12] = [
        "roc",
        "pr",
        "histogram",
        "density",
        "sweep",
        "heatmap",
        "bars",
        "loss",
        "steps",
        "layers",
        "projection",
        "contact-sheet",
    ];

    /// The word of this kind: `roc`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        FigureKind::NAMES[match self {
            FigureKind::Roc(_) => 0,
            FigureKind::Pr(_) => 1,
            FigureKind::Histogram(_) => 2,
            FigureKind::Density(_) => 3,
            FigureKind::Sweep(_) => 4,
            FigureKind::Heatmap(_) => 5,
            FigureKind::Bars(_) => 6,
            FigureKind::Loss(_) => 7,
            FigureKind::Steps(_) => 8,
            FigureKind::Layers(_) => 9,
            FigureKind::Projection(_) => 10,
            FigureKind::ContactSheet(_) => 11,
        }]
    }
}

impl From<FigureKind> for FigureSpec {
    /// The figure of that kind over the whole record.
    fn from(kind: FigureKind) -> FigureSpec {
        FigureSpec { name: None, title: None, selection: Selection::default(), kind }
    }
}
