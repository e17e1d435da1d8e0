//! ROC curves of a record.

use super::super::gather::{RunScores, runs};
use super::super::spec::{FigureSpec, RocSpec};
use super::super::{FigureError, RocPanel, RocSeries, roc_figure};
use super::{Drawn, listed};
use crate::metrics::Counts;
use crate::record::Record;

/// One figure a run and protocol, a panel a set.
pub(super) fn roc<'a>(
    record: &'a Record,
    spec: &'a FigureSpec,
    _kind: &RocSpec,
) -> Result<Vec<Drawn<'a>>, FigureError> {
    let mut drawn = Vec::new();
    for run in runs(record, &spec.selection) {
        for protocol in run.protocols(&spec.selection) {
            let mut panels = Vec::new();
            for (set, counts) in counts(record, spec, &run, protocol)? {
                let series = counts.into_iter().map(|(label, control, counts)| {
                    let curve = RocSeries::new(label, &counts);
                    if control { curve.control() } else { curve }
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
                description: description(run.id_set, &panels),
                draw: Box::new(move |title| roc_figure(title, &panels)),
            });
        }
    }
    Ok(drawn)
}

/// Of each set that is left: label, whether it is a control, and counts of each score that is left.
type SetCounts<'a> = (&'a str, Vec<(String, bool, Counts)>);

fn counts<'a>(
    record: &Record,
    spec: &FigureSpec,
    run: &RunScores<'a>,
    protocol: &str,
) -> Result<Vec<SetCounts<'a>>, FigureError> {
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
            of_set.push((series.label.clone(), series.control, Counts::new(id, &ood).map_err(error)?));
        }
        sets.push((set, of_set));
    }
    Ok(sets)
}

fn description(id_set: &str, panels: &[RocPanel]) -> String {
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
