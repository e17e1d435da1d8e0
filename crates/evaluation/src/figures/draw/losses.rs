//! What training left behind.

use super::super::spec::{FigureSpec, LossSpec};
use super::super::{FigureError, loss_figure_with};
use super::{Drawn, listed};
use crate::record::Record;

/// One figure a run and curve.
pub(super) fn losses<'a>(
    record: &'a Record,
    spec: &'a FigureSpec,
    kind: &LossSpec,
) -> Result<Vec<Drawn<'a>>, FigureError> {
    if record.about.runs.iter().all(|run| run.curves.is_empty()) {
        return Err(spec.needs("the curve of a fit", "only detectors that are trained have one, such as dlsr"));
    }
    let alone = record.about.runs.len() == 1;
    let selection = &spec.selection;
    let mut drawn = Vec::new();
    for run in record.about.runs.iter().filter(|run| selection.has_run(&run.cell, &run.sweep, run.seed)) {
        let suffix = if alone { String::new() } else { format!("-{}", run.run) };
        let which = if alone { String::new() } else { format!(", {}", run.title()) };
        for curve in run.curves.iter().filter(|c| kind.curve.has(&c.name) && selection.detector.has(&c.detector)) {
            let named = format!("{} {}", curve.detector, curve.name);
            let ends: Vec<String> = [curve.points.first(), curve.points.last()]
                .into_iter()
                .flatten()
                .map(|(x, y)| format!("{} at {} {x}", super::super::axis::short(*y), curve.x_label))
                .collect();
            drawn.push(Drawn {
                name: format!("{}-{}{suffix}", curve.name, curve.detector),
                part: format!("{}-{}{suffix}", curve.name, curve.detector),
                title: format!("{named}{which}"),
                part_title: format!("{named}{which}"),
                description: format!("{} of {}: {}.", curve.y_label, curve.detector, listed(&ends)),
                draw: Box::new(move |title| {
                    let series = [(named, curve.points.clone())];
                    loss_figure_with(title, &curve.x_label, &curve.y_label, &series)
                }),
            });
        }
    }
    Ok(drawn)
}
