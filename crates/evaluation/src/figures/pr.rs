//! Precision against recall.

use super::axis::Axis;
use super::curves::{Curve, CurveFigure, CurvePanel, RATIO_BAND};
use super::{Figure, FigureError};
use crate::metrics::{Counts, Positive};

/// One curve.
#[derive(Debug, Clone, PartialEq)]
pub struct PrSeries {
    /// Name in the legend; series of one name look alike in every panel.
    pub name: String,
    /// (recall, precision), recall rising from 0.
    pub points: Vec<(f64, f64)>,
    /// Area under it by trapezoids, 0..1, printed in the panel.
    pub aupr: f64,
    /// Whether it is a control, which is drawn apart from the scores.
    pub control: bool,
    /// Its 95 % band, (recall, lower and upper end of the precision), recall rising; empty without one.
    pub band: Vec<(f64, f64, f64)>,
}

impl PrSeries {
    /// The curve of these counts.
    #[must_use]
    pub fn new(name: impl Into<String>, counts: &Counts, positive: Positive) -> PrSeries {
        let (points, aupr) = (counts.precision_recall(positive), counts.aupr(positive));
        PrSeries { name: name.into(), points, aupr, control: false, band: Vec::new() }
    }
}

impl Counts {
    /// The precision-recall curve: points (recall, precision) from (0, 1), one a distinct score, recall rising; [`Counts::aupr`] is the area under
    /// it.
    #[must_use]
    pub fn precision_recall(&self, positive: Positive) -> Vec<(f64, f64)> {
        // The shares of ROC, with the classes' sizes.
        let (n_id, n_ood) = (self.n_id() as f64, self.n_ood() as f64);
        let point = |id: f64, ood: f64| match positive {
            Positive::Ood => (ood / n_ood, ood / (ood + id)),
            Positive::Id => (1.0 - id / n_id, (n_id - id) / ((n_id - id) + (n_ood - ood))),
        };
        let mut points: Vec<(f64, f64)> = self
            .roc()
            .into_iter()
            .map(|(id, ood)| point((id * n_id).round(), (ood * n_ood).round()))
            .filter(|(_, precision)| precision.is_finite())
            .collect();
        if positive == Positive::Id {
            points.reverse();
        }
        points.insert(0, (0.0, 1.0));
        points
    }
}

/// One panel: the curves of one OOD set.
#[derive(Debug, Clone, PartialEq)]
pub struct PrPanel {
    /// Title, usually the OOD set's name.
    pub title: String,
    /// Share of the positive class, 0..1: the precision of chance.
    pub base_rate: f64,
    /// Its curves.
    pub series: Vec<PrSeries>,
}

/// One panel a set, sharing a legend: precision against recall with `positive` positive. The AUPR (trapezoids) of each series stands in the panel,
/// in percent; the dashed line is the precision of chance, which is the share of the positive class. Controls are drawn last.
///
/// # Errors
/// When there is no panel with a curve.
pub fn pr_figure(title: &str, positive: Positive, panels: &[PrPanel]) -> Result<Figure, FigureError> {
    let class = if positive == Positive::Ood { "OOD" } else { "ID" };
    let mut notes = vec![
        format!("{class} positive; numbers: AUPR by trapezoids in percent"),
        "dashed: chance, the share of the positive class".to_owned(),
    ];
    if panels.iter().flat_map(|panel| &panel.series).any(|series| !series.band.is_empty()) {
        notes.push(RATIO_BAND.to_owned());
    }
    let curve = |series: &PrSeries| Curve {
        name: series.name.clone(),
        control: series.control,
        points: series.points.clone(),
        band: series.band.clone(),
        area: series.aupr,
    };
    CurveFigure {
        title,
        panels: panels
            .iter()
            .map(|panel| CurvePanel {
                title: &panel.title,
                rule: vec![(0.0, panel.base_rate), (1.0, panel.base_rate)],
                curves: panel.series.iter().map(curve).collect(),
            })
            .collect(),
        x: Axis::linear(0.0, 1.0, 5),
        x_label: if positive == Positive::Ood { "recall (OOD caught)" } else { "recall (ID accepted)" },
        y_label: "precision",
        notes,
    }
    .draw()
}
