//! Projections and contact sheets of a record.

use std::collections::{BTreeMap, BTreeSet};

use super::super::FigureError;
use super::super::axis::short;
use super::super::contact_sheet::{ContactPicture, ContactRow, contact_sheet_figure};
use super::super::gather::{RunScores, SeriesScores, runs};
use super::super::scatter::{ScatterChart, ScatterSeries, scatter_figure};
use super::super::spec::{ContactSheetSpec, FigureKind, FigureSpec, ProjectionSpec, View};
use super::{Drawn, listed};
use crate::record::{PointCloud, Record};

/// One figure a cloud of points of that view.
pub(super) fn projections<'a>(
    record: &'a Record,
    spec: &'a FigureSpec,
    kind: &ProjectionSpec,
) -> Result<Vec<Drawn<'a>>, FigureError> {
    let selection = &spec.selection;
    let about = |cloud: &PointCloud| record.about.runs.iter().find(|run| run.run == cloud.run);
    let alone = record.about.runs.len() <= 1;
    let mut drawn = Vec::new();
    let clouds = record.points.iter().filter(|c| c.view == kind.view.name() && selection.protocol.has(&c.protocol));
    for cloud in clouds {
        let run = about(cloud);
        if run.is_some_and(|run| !selection.has_run(&run.cell, &run.sweep, run.seed)) {
            continue;
        }
        let series = series(cloud, |set| selection.set.has(set));
        let suffix = if alone { String::new() } else { format!("-{}", cloud.run) };
        let which =
            if alone { String::new() } else { run.map_or_else(String::new, |run| format!(", {}", run.title())) };
        let protocol = if cloud.protocol.is_empty() { String::new() } else { format!("-{}", cloud.protocol) };
        let in_words = if cloud.protocol.is_empty() { String::new() } else { format!(", protocol {}", cloud.protocol) };
        let part = format!("{}{protocol}{suffix}", kind.view.name());
        let what = match kind.view {
            View::Pca => "Principal components of the features",
            View::Tsne => "t-SNE of the features",
        };
        let sizes: Vec<String> = series.iter().map(|s| format!("{} {}", s.points.len(), s.name)).collect();
        let title = format!("{what}{in_words}{which}");
        let chart = ScatterChart {
            title: String::new(),
            axes: cloud.axes.clone(),
            series,
            scaled: kind.view == View::Pca,
            note: match kind.view {
                View::Pca => String::new(),
                View::Tsne => "near points are alike; distances between groups mean little".to_owned(),
            },
        };
        drawn.push(Drawn {
            name: format!("projection-{part}"),
            part,
            part_title: title.clone(),
            description: format!("{title}: {}, a point a sample.", listed(&sizes)),
            title,
            draw: Box::new(move |title| scatter_figure(&ScatterChart { title: title.to_owned(), ..chart })),
        });
    }
    if drawn.is_empty() {
        let what = format!("points of the view {:?} that `where` leaves", kind.view.name());
        return Err(spec.needs(&what, "a run writes them when its experiment file has this figure: run it again"));
    }
    Ok(drawn)
}

/// Points by set: ID first, then in the order of the cloud.
fn series(cloud: &PointCloud, wanted: impl Fn(&str) -> bool) -> Vec<ScatterSeries> {
    let mut series: Vec<ScatterSeries> = Vec::new();
    for ((name, is_ood), point) in cloud.sets.iter().zip(&cloud.is_ood).zip(&cloud.points) {
        if *is_ood && !wanted(name) {
            continue;
        }
        match series.iter_mut().find(|series| series.name == *name && series.id != *is_ood) {
            Some(series) => series.points.push(*point),
            None => series.push(ScatterSeries { name: name.clone(), id: !is_ood, points: vec![*point] }),
        }
    }
    series.sort_by_key(|series| !series.id);
    series
}

/// One figure a run, protocol and score.
pub(super) fn contact_sheets<'a>(
    record: &'a Record,
    spec: &'a FigureSpec,
    kind: &'a ContactSheetSpec,
) -> Result<Vec<Drawn<'a>>, FigureError> {
    if record.thumbnails.is_empty() {
        let hint = "a run writes them when its experiment file has this figure: run it again";
        return Err(spec.needs("pictures of the samples", hint));
    }
    let pictures: BTreeMap<(&str, u32), &[u8]> = record
        .thumbnails
        .iter()
        .map(|picture| ((picture.set.as_str(), picture.index), picture.png.as_slice()))
        .collect();
    let mut drawn = Vec::new();
    for run in runs(record, &spec.selection) {
        for protocol in run.protocols(&spec.selection) {
            for series in &run.series {
                let sets = extremes(record, spec, kind, &run, series, protocol);
                let rows: Vec<ContactRow> = sets
                    .iter()
                    .map(|extremes| {
                        let row = |samples: &[(u32, f64)]| {
                            let png = |index: u32| pictures.get(&(extremes.set, index)).map(|png| png.to_vec());
                            samples.iter().map(|&(index, score)| ContactPicture { png: png(index), score }).collect()
                        };
                        let class = if extremes.is_ood { "" } else { " (in-distribution)" };
                        let name = format!("{}{class}", extremes.set);
                        ContactRow { name, least: row(&extremes.least), most: row(&extremes.most) }
                    })
                    .collect();
                let pictured = rows.iter().flat_map(|row| row.least.iter().chain(&row.most)).any(|p| p.png.is_some());
                if !pictured {
                    continue;
                }
                let (label, score) = (&series.label, series.score.to_owned());
                let part = format!("{}-{protocol}{}", label.replace(' ', "-"), run.suffix);
                let part_title = format!("{label}, protocol {protocol}{}", run.which());
                let ranges: Vec<String> = sets.iter().filter_map(Extremes::range).collect();
                drawn.push(Drawn {
                    name: format!("contact-sheet-{part}"),
                    part,
                    title: format!("Least and most OOD images by {part_title}"),
                    part_title,
                    description: format!(
                        "The images of each set with the lowest and highest {label}: {}.",
                        listed(&ranges)
                    ),
                    draw: Box::new(move |title| contact_sheet_figure(title, &score, &rows)),
                });
            }
        }
    }
    if drawn.is_empty() {
        let hint = "a run writes them when its experiment file has this figure: run it again";
        return Err(spec.needs("pictures of these samples", hint));
    }
    Ok(drawn)
}

/// The samples that a contact sheet shows, by set: what thumbnails a run has to write. Nothing for figures of other kinds.
#[must_use]
pub fn contact_sheet_samples(record: &Record, spec: &FigureSpec) -> BTreeMap<String, BTreeSet<u32>> {
    let mut samples: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    let FigureKind::ContactSheet(kind) = &spec.kind else { return samples };
    for run in runs(record, &spec.selection) {
        for protocol in run.protocols(&spec.selection) {
            for series in &run.series {
                for extremes in extremes(record, spec, kind, &run, series, protocol) {
                    let indices = extremes.least.iter().chain(&extremes.most).map(|(index, _)| *index);
                    samples.entry(extremes.set.to_owned()).or_default().extend(indices);
                }
            }
        }
    }
    samples
}

/// The samples of a set at both ends, scores rising.
struct Extremes<'a> {
    set: &'a str,
    is_ood: bool,
    least: Vec<(u32, f64)>,
    most: Vec<(u32, f64)>,
}

impl Extremes<'_> {
    fn range(&self) -> Option<String> {
        let (first, last) = (self.least.first().or(self.most.first())?, self.most.last().or(self.least.last())?);
        Some(format!("{} from {} to {}", self.set, short(first.1), short(last.1)))
    }
}

/// Of the in-distribution sets first, then of the out-of-distribution sets that are left. A sample stands at one end only.
fn extremes<'a>(
    record: &Record,
    spec: &FigureSpec,
    kind: &ContactSheetSpec,
    run: &RunScores<'a>,
    series: &SeriesScores<'a>,
    protocol: &str,
) -> Vec<Extremes<'a>> {
    let sets = run.sets(protocol, &spec.selection, record);
    let under = |of: &str| of.is_empty() || of == protocol;
    let mut blocks: Vec<_> = series
        .blocks()
        .iter()
        .filter(|block| {
            if block.is_ood { block.protocol == protocol && sets.contains(&block.set) } else { under(block.protocol) }
        })
        .collect();
    blocks.sort_by_key(|block| block.is_ood);
    blocks
        .into_iter()
        .map(|block| {
            let mut samples: Vec<(u32, f64)> =
                block.indices.iter().copied().zip(block.values.iter().copied()).filter(|(_, x)| !x.is_nan()).collect();
            samples.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
            let least = kind.least.min(samples.len().saturating_sub(kind.most).max(samples.len() / 2));
            let most = kind.most.min(samples.len() - least.min(samples.len()));
            let most = samples.split_off(samples.len() - most);
            samples.truncate(least);
            Extremes { set: block.set, is_ood: block.is_ood, least: samples, most }
        })
        .collect()
}
