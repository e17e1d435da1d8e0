//! ROC and PR curves of a record.

use super::super::band::Ranked;
use super::super::gather::{RunScores, runs};
use super::super::spec::{FigureSpec, PrSpec, RocSpec};
use super::super::{FigureError, PrPanel, PrSeries, RocPanel, RocSeries, pr_figure, roc_figure};
use super::{Drawn, listed};
use crate::metrics::{Counts, Positive};
use crate::record::Record;

/// One figure a run and protocol, a panel a set.
pub(super) fn roc<'a>(record: &'a Record, spec: &'a FigureSpec, kind: &RocSpec) -> Result<Vec<Drawn<'a>>, FigureError> {
    let mut drawn = Vec::new();
    for run in runs(record, &spec.selection) {
        for protocol in run.protocols(&spec.selection) {
            let mut panels = Vec::new();
            for (set, scores) in scores(record, spec, &run, protocol)? {
                let series = scores.into_iter().map(|score| RocSeries {
                    control: score.control,
                    band: if kind.bands { score.ranked(Positive::Ood).roc_band() } else { Vec::new() },
                    ..RocSeries::new(score.label, &score.counts)
                });
                panels.push(RocPanel { title: set.to_owned(), series: series.collect() });
            }
            if panels.is_empty() {
                continue;
            }
            let part = format!("{protocol}{}", run.suffix);
            drawn.push(Drawn {
                name: format!("roc-{part}"),
                part,
                title: format!("ROC, {} against each set, protocol {protocol}{}", run.id_set, run.which()),
                part_title: format!("protocol {protocol}{}", run.which()),
                description: roc_description(run.id_set, &panels),
                draw: Box::new(move |title| roc_figure(title, &panels)),
            });
        }
    }
    Ok(drawn)
}

/// One figure a run, protocol and direction, a panel a set.
pub(super) fn pr<'a>(record: &'a Record, spec: &'a FigureSpec, kind: &PrSpec) -> Result<Vec<Drawn<'a>>, FigureError> {
    let mut drawn = Vec::new();
    for run in runs(record, &spec.selection) {
        for protocol in run.protocols(&spec.selection) {
            let sets = scores(record, spec, &run, protocol)?;
            if sets.is_empty() {
                continue;
            }
            for &positive in kind.positive.classes() {
                let panels: Vec<PrPanel> =
                    sets.iter().map(|(set, scores)| pr_panel(set, scores, positive, kind)).collect();
                let direction = if positive == Positive::Ood { "out" } else { "in" };
                let class = if positive == Positive::Ood { "OOD" } else { "ID" };
                let part = format!("{direction}-{protocol}{}", run.suffix);
                let which = format!("{class} positive, protocol {protocol}{}", run.which());
                drawn.push(Drawn {
                    name: format!("pr-{part}"),
                    part,
                    title: format!("Precision and recall, {} against each set, {which}", run.id_set),
                    part_title: which,
                    description: pr_description(run.id_set, class, &panels),
                    draw: Box::new(move |title| pr_figure(title, positive, &panels)),
                });
            }
        }
    }
    Ok(drawn)
}

fn pr_panel(set: &str, scores: &[Scored], positive: Positive, kind: &PrSpec) -> PrPanel {
    let base_rate = scores.first().map_or(0.0, |score| {
        let (id, ood) = (score.counts.n_id() as f64, score.counts.n_ood() as f64);
        if positive == Positive::Ood { ood / (id + ood) } else { id / (id + ood) }
    });
    let series = scores.iter().map(|score| PrSeries {
        control: score.control,
        band: if kind.bands { score.ranked(positive).pr_band() } else { Vec::new() },
        ..PrSeries::new(score.label.clone(), &score.counts, positive)
    });
    PrPanel { title: set.to_owned(), base_rate, series: series.collect() }
}

/// A score on one set.
struct Scored {
    label: String,
    control: bool,
    counts: Counts,
    id: Vec<f64>,
    ood: Vec<f64>,
}

impl Scored {
    fn ranked(&self, positive: Positive) -> Ranked {
        Ranked::new(&self.id, &self.ood, positive)
    }
}

/// Each set that is left, with each score that is left.
fn scores<'a>(
    record: &Record,
    spec: &FigureSpec,
    run: &RunScores<'a>,
    protocol: &str,
) -> Result<Vec<(&'a str, Vec<Scored>)>, FigureError> {
    let ids: Vec<Vec<f64>> = run.series.iter().map(|series| series.id(protocol)).collect();
    let mut sets = Vec::new();
    for set in run.sets(protocol, &spec.selection, record) {
        let mut of_set = Vec::new();
        for (series, id) in run.series.iter().zip(&ids) {
            let ood = series.ood(protocol, set);
            if ood.is_empty() {
                continue;
            }
            let error = |error| FigureError::Scores { score: series.label.clone(), set: set.to_owned(), error };
            let counts = Counts::new(id, &ood).map_err(error)?;
            of_set.push(Scored { label: series.label.clone(), control: series.control, counts, id: id.clone(), ood });
        }
        sets.push((set, of_set));
    }
    Ok(sets)
}

fn pr_description(id_set: &str, class: &str, panels: &[PrPanel]) -> String {
    let areas = panels.iter().map(|panel| {
        let series = panel.series.iter().map(|series| format!("{} {:.2}", series.name, 100.0 * series.aupr));
        format!("{}: {}", panel.title, series.collect::<Vec<_>>().join(", "))
    });
    let areas = areas.collect::<Vec<_>>().join("; ");
    format!(
        "Precision against recall of {id_set} (in-distribution) against each set, {class} positive. AUPR in percent: {areas}."
    )
}

fn roc_description(id_set: &str, panels: &[RocPanel]) -> String {
    let sets = panels.iter().map(|panel| {
        let series = panel.series.iter().map(|series| format!("{} {:.2}", series.name, 100.0 * series.auroc));
        format!("{}: {}", panel.title, series.collect::<Vec<_>>().join(", "))
    });
    let names: Vec<&str> = panels.iter().map(|panel| panel.title.as_str()).collect();
    format!(
        "Receiver operating characteristics of {id_set} (in-distribution) against {}, OOD positive. AUROC in percent: {}.",
        listed(&names),
        sets.collect::<Vec<_>>().join("; ")
    )
}
