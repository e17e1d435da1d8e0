//! Histograms of a record's scores.

use super::super::gather::runs;
use super::super::spec::FigureSpec;
use super::super::{FigureError, HistogramPanel, histogram_figure};
use super::{Drawn, listed};
use crate::record::Record;

/// One figure a run, protocol and score, a panel a set.
pub(super) fn histograms<'a>(record: &'a Record, spec: &'a FigureSpec) -> Result<Vec<Drawn<'a>>, FigureError> {
    let mut drawn = Vec::new();
    for run in runs(record, &spec.selection) {
        for protocol in run.protocols(&spec.selection) {
            for series in &run.series {
                let id = series.id(protocol);
                let panels: Vec<HistogramPanel> = run
                    .sets(protocol, &spec.selection, record)
                    .into_iter()
                    .map(|set| (set, series.ood(protocol, set)))
                    .filter(|(_, ood)| !ood.is_empty())
                    .map(|(set, ood)| HistogramPanel { title: set.to_owned(), id: id.clone(), ood })
                    .collect();
                if panels.is_empty() {
                    continue;
                }
                let (label, score) = (&series.label, series.score.to_owned());
                let part = format!("{}-{protocol}{}", label.replace(' ', "-"), run.suffix);
                let part_title = format!("{label}, protocol {protocol}{}", run.which());
                drawn.push(Drawn {
                    name: format!("histogram-{part}"),
                    part,
                    title: format!("{label}, {} against each set, protocol {protocol}{}", run.id_set, run.which()),
                    part_title,
                    description: description(label, run.id_set, &panels),
                    draw: Box::new(move |title| histogram_figure(title, &score, &panels)),
                });
            }
        }
    }
    Ok(drawn)
}

fn description(label: &str, id_set: &str, panels: &[HistogramPanel]) -> String {
    let id = panels.first().map(|panel| median(&panel.id)).unwrap_or_default();
    let medians: Vec<String> = panels.iter().map(|panel| format!("{} {}", panel.title, median(&panel.ood))).collect();
    format!(
        "Histograms of the score {label} (higher = more out-of-distribution). Medians: {id_set} (in-distribution) {id}, {}.",
        listed(&medians)
    )
}

/// The lower median, in few characters.
pub(super) fn median(values: &[f64]) -> String {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.get(sorted.len().saturating_sub(1) / 2);
    middle.map_or_else(|| "none".to_owned(), |value| super::super::axis::short(*value))
}
