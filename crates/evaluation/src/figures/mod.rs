//! Figures as SVG, and PNG rendered from the same SVG with one embedded font.
//!
//! The same data give the same bytes for any number of threads: no system font is looked at, and text is measured with the embedded
//! font's own widths.

mod axis;
mod band;
mod bars;
mod canvas;
mod contact_sheet;
mod curves;
mod density;
mod draw;
mod gather;
mod heatmap;
mod histogram;
mod histogram_range;
mod lines;
mod panel;
mod png;
mod pr;
mod roc;
mod scatter;
mod sheet;
mod spans;
mod spec;
mod style;
mod text;

pub use bars::{Bar, BarChart, BarSeries, bar_figure};
pub use contact_sheet::{ContactPicture, ContactRow, contact_sheet_figure};
pub use density::{DensitySeries, density_figure};
pub use draw::{Drawings, NamedFigure, contact_sheet_samples, draw};
pub use heatmap::{HeatmapChart, heatmap_figure};
pub use histogram::{HistogramPanel, histogram_figure};
pub use lines::{LineChart, LinePoint, LineSeries, line_figure, loss_figure, loss_figure_with};
pub use pr::{PrPanel, PrSeries, pr_figure};
pub use roc::{RocPanel, RocSeries, roc_figure};
pub use scatter::{ScatterChart, ScatterSeries, scatter_figure};
pub use spans::{Span, SpanPanel, layer_figure, step_figure};
pub use spec::{
    BarsSpec, ContactSheetSpec, DensitySpec, Direction, Facet, FigureKind, FigureSpec, HeatmapSpec, HistogramSpec,
    LayersSpec, LossSpec, Over, PrSpec, ProjectionSpec, RocSpec, Selection, StepsSpec, SweepSpec, Values, View,
};

use crate::metrics::MetricError;

/// A finished figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// The SVG document. It asks for DejaVu Sans and falls back to Verdana, Arial, sans-serif.
    pub svg: String,
}

/// A figure that cannot be drawn.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FigureError {
    /// Nothing to draw.
    #[error("{figure}: expected at least one {what} with finite values, found none")]
    Empty {
        /// Title of the figure.
        figure: String,
        /// What is missing.
        what: &'static str,
    },
    /// The record does not hold what a figure shows.
    #[error("figure {kind}: the record has not got {what}{hint}")]
    Missing {
        /// Kind of the figure.
        kind: &'static str,
        /// What is missing.
        what: String,
        /// What to do about it; begins with a semicolon, or is empty.
        hint: String,
    },
    /// An entry that comes to more figures than anybody looks at.
    #[error("figure {kind}: expected at most {most} figures of one entry, found {found}; narrow it with `where`")]
    TooMany {
        /// Kind of the figure.
        kind: &'static str,
        /// How many it comes to.
        found: usize,
        /// How many it may come to.
        most: usize,
    },
    /// Scores that nothing can be counted of.
    #[error("score {score:?} on {set}: {error}")]
    Scores {
        /// The score.
        score: String,
        /// The set.
        set: String,
        /// What is wrong with them.
        error: MetricError,
    },
    /// The drawing library refused.
    #[error("cannot draw the figure: {0}")]
    Draw(String),
    /// The SVG cannot be rendered.
    #[error("cannot render the figure as PNG: {0}")]
    Render(String),
    /// A scale that is no scale, or that gives an absurdly large picture.
    #[error("expected a scale above 0 and a picture of at most {} pixels a side, found scale {scale}", png::MAX_SIDE)]
    Scale {
        /// The scale.
        scale: f32,
    },
}
