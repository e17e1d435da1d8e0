//! Histograms and densities of a record's scores, and scores by step and by layer.

use super::super::gather::{RunScores, SeriesScores, runs};
use super::super::spec::FigureSpec;
use super::super::spec::Values;
use super::super::{
    DensitySeries, FigureError, HistogramPanel, Span, SpanPanel, density_figure, histogram_figure, layer_figure,
    step_figure,
};
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

/// One figure a run, protocol and score: ID and a line a set.
pub(super) fn densities<'a>(record: &'a Record, spec: &'a FigureSpec) -> Result<Vec<Drawn<'a>>, FigureError> {
    let mut drawn = Vec::new();
    for run in runs(record, &spec.selection) {
        for protocol in run.protocols(&spec.selection) {
            for series in &run.series {
                let id = DensitySeries { name: run.id_set.to_owned(), scores: series.id(protocol) };
                let sets: Vec<DensitySeries> = run
                    .sets(protocol, &spec.selection, record)
                    .into_iter()
                    .map(|set| DensitySeries { name: set.to_owned(), scores: series.ood(protocol, set) })
                    .filter(|set| !set.scores.is_empty())
                    .collect();
                if sets.is_empty() {
                    continue;
                }
                let (label, score) = (&series.label, series.score.to_owned());
                let part = format!("{}-{protocol}{}", label.replace(' ', "-"), run.suffix);
                let part_title = format!("{label}, protocol {protocol}{}", run.which());
                let medians: Vec<String> =
                    sets.iter().map(|set| format!("{} {}", set.name, median(&set.scores))).collect();
                drawn.push(Drawn {
                    name: format!("density-{part}"),
                    part,
                    title: format!("{label}, {} and each set, protocol {protocol}{}", run.id_set, run.which()),
                    part_title,
                    description: format!(
                        "Densities of the score {label} (higher = more out-of-distribution). Medians: {} (in-distribution) {}, {}.",
                        id.name,
                        median(&id.scores),
                        listed(&medians)
                    ),
                    draw: Box::new(move |title| density_figure(title, &score, &id, &sets)),
                });
            }
        }
    }
    Ok(drawn)
}

/// Which places of a score are set side by side.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Places {
    /// Steps of the trajectory: `mse-t10`.
    Steps,
    /// Layers: `mfsim-layer1`.
    Layers,
}

impl Places {
    /// A score's name without its place, and the place.
    fn split(self, score: &str) -> Option<(&str, u32)> {
        let mark = match self {
            Places::Steps => "-t",
            Places::Layers => "-layer",
        };
        let (name, place) = score.rsplit_once(mark)?;
        Some((name, place.parse().ok()?)).filter(|(name, _)| !name.is_empty())
    }
}

/// One figure a run, protocol, detector and score that has places; a panel a set.
pub(super) fn places<'a>(
    record: &'a Record,
    spec: &'a FigureSpec,
    wanted: &Values,
    places: Places,
) -> Result<Vec<Drawn<'a>>, FigureError> {
    let mut drawn = Vec::new();
    for run in runs(record, &spec.selection) {
        for protocol in run.protocols(&spec.selection) {
            for (label, score, members) in families(&run, wanted, places) {
                let spans = |values: &dyn Fn(&SeriesScores<'_>) -> Vec<f64>| -> Vec<Span> {
                    members.iter().filter_map(|(place, series)| Span::of(f64::from(*place), &values(series))).collect()
                };
                let id = spans(&|series| series.id(protocol));
                let panels: Vec<SpanPanel> = run
                    .sets(protocol, &spec.selection, record)
                    .into_iter()
                    .map(|set| (set, spans(&|series| series.ood(protocol, set))))
                    .filter(|(_, ood)| !ood.is_empty())
                    .map(|(set, ood)| SpanPanel { title: set.to_owned(), id: id.clone(), ood })
                    .collect();
                if panels.is_empty() {
                    continue;
                }
                let (kind, each) = match places {
                    Places::Steps => ("steps", "step"),
                    Places::Layers => ("layers", "layer"),
                };
                let part = format!("{}-{protocol}{}", label.replace(' ', "-"), run.suffix);
                drawn.push(Drawn {
                    name: format!("{kind}-{part}"),
                    part,
                    title: format!(
                        "{label} at each {each}, {} against each set, protocol {protocol}{}",
                        run.id_set,
                        run.which()
                    ),
                    part_title: format!("{label}, protocol {protocol}{}", run.which()),
                    description: place_description(&label, each, run.id_set, &panels),
                    draw: Box::new(move |title| match places {
                        Places::Steps => step_figure(title, &score, &panels),
                        Places::Layers => layer_figure(title, &score, &panels),
                    }),
                });
            }
        }
    }
    if drawn.is_empty() {
        let name = wanted.0.first().map_or("mse", String::as_str);
        let (what, hint) = match places {
            Places::Steps => (
                "scores at steps, such as mse-t10",
                format!("add the score `{name}: {{steps: all}}` to the detector's `scores`"),
            ),
            Places::Layers => {
                let name = wanted.0.first().map_or("mfsim", String::as_str);
                (
                    "scores of layers, such as mfsim-layer1",
                    format!("add the score `{name}: {{layers: [1, 2, 3]}}` to the detector's `scores`"),
                )
            }
        };
        return Err(spec.needs(what, &hint));
    }
    Ok(drawn)
}

/// A score with places: label, name, and the places in order with their scores.
type Family<'r, 'a> = (String, String, Vec<(u32, &'r SeriesScores<'a>)>);

fn families<'r, 'a>(run: &'r RunScores<'a>, wanted: &Values, places: Places) -> Vec<Family<'r, 'a>> {
    let mut families: Vec<Family<'r, 'a>> = Vec::new();
    for series in &run.series {
        let Some((name, place)) = places.split(series.score).filter(|(name, _)| wanted.has(name)) else { continue };
        // The label is the score's name, or ends with it.
        let label = format!("{}{name}", series.label.strip_suffix(series.score).unwrap_or_default());
        match families.iter_mut().find(|family| family.0 == label) {
            Some(family) => family.2.push((place, series)),
            None => families.push((label, name.to_owned(), vec![(place, series)])),
        }
    }
    for family in &mut families {
        family.2.sort_by_key(|(place, _)| *place);
    }
    families
}

fn place_description(label: &str, each: &str, id_set: &str, panels: &[SpanPanel]) -> String {
    let medians = |spans: &[Span]| {
        let each = spans.iter().map(|span| format!("{} at {}", super::super::axis::short(span.points[3]), span.place));
        each.collect::<Vec<_>>().join(", ")
    };
    let id = panels.first().map(|panel| medians(&panel.id)).unwrap_or_default();
    let sets: Vec<String> = panels.iter().map(|panel| format!("{}: {}", panel.title, medians(&panel.ood))).collect();
    format!("Medians of {label} at each {each}. {id_set} (in-distribution): {id}; {}.", sets.join("; "))
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
