//! The figures of an experiment: ROC curves and score histograms of each run, losses, and metrics against a swept key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use oodlab_base::file::write_atomic;
use oodlab_evaluation::figures::{
    Figure, HistogramPanel, LineChart, LinePoint, LineSeries, RocPanel, RocSeries, histogram_figure, line_figure,
    loss_figure_with, roc_figure,
};
use oodlab_evaluation::{Counts, Row, Table};

use super::ScoredRun;

/// Up to so many runs each get figures of their own; a larger sweep gets those of the sweep alone.
const RUNS_DRAWN: usize = 6;

/// PNG pixels per SVG unit: sharp in print at column width.
const PNG_SCALE: f32 = 2.0;

/// Draws everything that the scores and rows allow, and removes the figures of an earlier run that this one does not have.
pub fn write(folder: &Path, table: &Table, scored: &[ScoredRun]) -> Result<()> {
    let mut folder = Folder { path: folder, written: BTreeSet::new() };
    draw(&mut folder, table, scored)?;
    for entry in fs_err::read_dir(folder.path)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let drawn = path.extension().is_some_and(|kind| kind == "svg" || kind == "png");
        if drawn && !folder.written.contains(&name) {
            fs_err::remove_file(path)?;
        }
    }
    Ok(())
}

/// The folder of figures and what was written into it.
struct Folder<'a> {
    path: &'a Path,
    written: BTreeSet<String>,
}

fn draw(folder: &mut Folder<'_>, table: &Table, scored: &[ScoredRun]) -> Result<()> {
    if scored.len() <= RUNS_DRAWN {
        for run in scored {
            let suffix = if scored.len() == 1 {
                String::new()
            } else {
                format!("-{}", run.rows.first().map_or("", |row| &row.run))
            };
            run_figures(folder, run, &suffix)?;
        }
    } else {
        tracing::info!("{} runs: ROC curves and histograms are drawn for at most {RUNS_DRAWN}", scored.len());
    }
    if let [key] = table.sweep_keys.as_slice() {
        sweep_figures(folder, table, key)?;
    }
    Ok(())
}

fn run_figures(folder: &mut Folder<'_>, run: &ScoredRun, suffix: &str) -> Result<()> {
    let which = if suffix.is_empty() { String::new() } else { format!(", {}", run.name) };
    let protocols: BTreeSet<&String> = run.sets.iter().map(|(protocol, _)| protocol).collect();
    for protocol in protocols {
        let sets = || run.sets.iter().enumerate().filter(|(_, (of, _))| of == protocol);
        let mut panels = Vec::new();
        for (at, (_, set)) in sets() {
            let mut series = Vec::new();
            for contender in &run.contenders {
                for name in &contender.id.test.names {
                    let (id, ood) = columns(run, contender, name, at)?;
                    let curve = RocSeries::new(run.label(contender, name), &Counts::new(&id, ood)?);
                    series.push(if contender.control { curve.control() } else { curve });
                }
            }
            panels.push(RocPanel { title: set.clone(), series });
        }
        let title = format!("ROC, {} against each set, protocol {protocol}{which}", run.id_set);
        save(folder, &format!("roc-{protocol}{suffix}"), &roc_figure(&title, &panels)?)?;
        for contender in &run.contenders {
            for name in &contender.id.test.names {
                let mut panels = Vec::new();
                for (at, (_, set)) in sets() {
                    let (id, ood) = columns(run, contender, name, at)?;
                    panels.push(HistogramPanel { title: set.clone(), id, ood: ood.to_vec() });
                }
                let label = run.label(contender, name);
                let title = format!("{label}, {} against each set, protocol {protocol}{which}", run.id_set);
                let file = format!("histogram-{}-{protocol}{suffix}", label.replace(' ', "-"));
                save(folder, &file, &histogram_figure(&title, name, &panels)?)?;
            }
        }
    }
    for contender in &run.contenders {
        for curve in &contender.curves {
            let named = [(format!("{} {}", contender.detector, curve.name), curve.points.clone())];
            let title = format!("{} {}{which}", contender.detector, curve.name);
            let figure = loss_figure_with(&title, &curve.x_label, &curve.y_label, &named)?;
            save(folder, &format!("{}-{}{suffix}", curve.name, contender.detector), &figure)?;
        }
    }
    Ok(())
}

impl ScoredRun {
    /// A score's name in figures: with its detector where another one has a score of that name.
    fn label(&self, contender: &super::ScoredContender, score: &str) -> String {
        let has = |other: &&super::ScoredContender| other.id.test.names.iter().any(|name| name == score);
        if self.contenders.iter().filter(has).count() > 1 {
            format!("{} {score}", contender.detector)
        } else {
            score.to_owned()
        }
    }
}

/// One score of the in-distribution images, shifted ones included, and of an out-of-distribution set.
fn columns<'a>(
    run: &ScoredRun,
    contender: &'a super::ScoredContender,
    name: &str,
    at: usize,
) -> Result<(Vec<f64>, &'a [f64])> {
    let missing = || format!("no score {name:?}");
    let same = |(_, (protocol, _)): &(usize, &(String, String))| *protocol == run.sets[at].0;
    let shifted: Vec<usize> = run.shifted.iter().enumerate().filter(same).map(|(at, _)| at).collect();
    let id = contender.id.column(name, &shifted)?;
    let ood = contender.outliers[at].column(name).with_context(missing)?;
    Ok((id, ood))
}

/// Mean AUROC and FPR95 of each group against the swept key, one figure a protocol, group and metric.
fn sweep_figures(folder: &mut Folder<'_>, table: &Table, key: &str) -> Result<()> {
    let mut charts: BTreeMap<(&str, &str, &str, usize), Vec<&Row>> = BTreeMap::new();
    for row in &table.rows {
        if let Some(sets) = row.mean_of() {
            charts.entry((&row.benchmark, &row.protocol, &row.group, sets)).or_default().push(row);
        }
    }
    for ((benchmark, protocol, group, sets), rows) in charts {
        for (metric, label, value) in [
            ("auroc", "AUROC, %", (|row| row.auroc) as fn(&Row) -> f64),
            ("fpr95_id", "FPR95, % of OOD accepted at 95 % of ID accepted", |row| row.fpr95_id),
        ] {
            let chart = sweep_chart(&rows, key, value);
            let (x_names, series) = chart;
            let title = format!("{benchmark}, {group} sets (mean of {sets}), protocol {protocol}");
            let seeds: BTreeSet<u64> = rows.iter().map(|row| row.seed).collect();
            let note = match seeds.len() {
                1 => "one seed".to_owned(),
                seeds => format!("bars: standard deviation over {seeds} seeds"),
            };
            let chart = LineChart {
                title,
                x_label: key.to_owned(),
                y_label: label.to_owned(),
                series,
                x_names,
                y_limits: None,
                note,
            };
            save(folder, &format!("sweep-{metric}-{benchmark}-{group}-of-{sets}-{protocol}"), &line_figure(&chart)?)?;
        }
    }
    Ok(())
}

/// One series a score over the swept values; values that are no numbers are numbered in order and named.
fn sweep_chart(rows: &[&Row], key: &str, value: fn(&Row) -> f64) -> (Vec<String>, Vec<LineSeries>) {
    let text = |row: &Row| row.sweep.get(key).cloned().unwrap_or_default();
    let mut names: Vec<String> = Vec::new();
    for row in rows {
        if !names.contains(&text(row)) {
            names.push(text(row));
        }
    }
    let numeric = names.iter().all(|name| name.parse::<f64>().is_ok_and(f64::is_finite));
    let mut scores: Vec<(&str, &str)> = Vec::new();
    for row in rows {
        if !scores.contains(&(row.detector.as_str(), row.score.as_str())) {
            scores.push((&row.detector, &row.score));
        }
    }
    let series = scores
        .iter()
        .map(|&(detector, score)| {
            let shared = scores.iter().filter(|(_, other)| *other == score).count() > 1;
            let name = if shared { format!("{detector} {score}") } else { score.to_owned() };
            let mut points: Vec<LinePoint> = names
                .iter()
                .enumerate()
                .filter_map(|(at, value_name)| {
                    let over_seeds: Vec<f64> = rows
                        .iter()
                        .filter(|row| {
                            (row.detector.as_str(), row.score.as_str()) == (detector, score) && text(row) == *value_name
                        })
                        .map(|row| 100.0 * value(row))
                        .collect();
                    let x = if numeric { value_name.parse().ok()? } else { at as f64 };
                    point(x, &over_seeds)
                })
                .collect();
            points.sort_by(|a, b| a.x.total_cmp(&b.x));
            LineSeries { name, points }
        })
        .collect();
    (if numeric { Vec::new() } else { names }, series)
}

fn point(x: f64, values: &[f64]) -> Option<LinePoint> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
    let interval = (values.len() > 1).then_some((mean - deviation, mean + deviation));
    (!values.is_empty()).then_some(LinePoint { x, y: mean, interval })
}

fn save(folder: &mut Folder<'_>, name: &str, figure: &Figure) -> Result<()> {
    let (svg, png) = (format!("{name}.svg"), format!("{name}.png"));
    write_atomic(&folder.path.join(&svg), figure.svg.as_bytes())?;
    write_atomic(&folder.path.join(&png), &figure.to_png(PNG_SCALE)?)?;
    folder.written.extend([svg, png]);
    Ok(())
}
