//! Heat maps and bars of a record's table.

use std::collections::BTreeMap;

use super::super::FigureError;
use super::super::bars::{Bar, BarChart, BarSeries, bar_figure};
use super::super::heatmap::{HeatmapChart, heatmap_figure};
use super::super::spec::{BarsSpec, Facet, FigureSpec, HeatmapSpec, Over};
use super::Drawn;
use super::rows::{
    Measured, Source, axis_label, by_subject, convention, distinct, interval_note, key_label, key_labels, measured,
    rows_over, said, scores,
};
use crate::metrics::Metric;
use crate::record::Record;
use crate::table::Row;

/// One figure a metric, subject and score.
pub(super) fn heatmaps<'a>(
    record: &'a Record,
    spec: &'a FigureSpec,
    kind: &'a HeatmapSpec,
) -> Result<Vec<Drawn<'a>>, FigureError> {
    let [x, y] = heatmap_keys(record, spec, kind)?;
    let [x_label, y_label] = key_labels([x, y]);
    let mut drawn = Vec::new();
    for (subject, rows) in by_subject(record, spec, kind.of) {
        let x_names = distinct(rows.iter().map(|row| swept(row, x)));
        let y_names = distinct(rows.iter().map(|row| swept(row, y)));
        for (detector, score, label) in scores(&rows) {
            let own: Vec<&Row> = rows
                .iter()
                .filter(|row| (row.detector.as_str(), row.score.as_str()) == (detector, score))
                .copied()
                .collect();
            one_cell_a_place(spec, &own, &[x, y])?;
            for &metric in &kind.metrics {
                let cells: Vec<Option<Measured>> = y_names
                    .iter()
                    .flat_map(|y_name| x_names.iter().map(move |x_name| (x_name, y_name)))
                    .map(|(x_name, y_name)| {
                        let here = own.iter().filter(|row| swept(row, x) == x_name && swept(row, y) == y_name);
                        measured(here.copied(), metric)
                    })
                    .collect();
                let best = best(&cells, metric);
                let Some((at, value)) = best else { continue };
                let part = format!("{metric}-{}-{}", label.replace(' ', "-"), subject.stem());
                let note = match cells.iter().flatten().map(|cell| cell.source).max() {
                    Some(Source::Seeds(seeds)) => format!("means over {seeds} seeds"),
                    _ => "one seed".to_owned(),
                };
                let chart = HeatmapChart {
                    title: String::new(),
                    x_label: x_label.to_owned(),
                    y_label: y_label.to_owned(),
                    value_label: format!("{}, %", metric.label()),
                    values: cells.iter().map(|cell| cell.map(|cell| cell.value)).collect(),
                    x_names: x_names.clone(),
                    y_names: y_names.clone(),
                    note: format!("{}{note}", convention(metric, &own)),
                };
                let described = format!(
                    "{} of {label} in percent over {x} and {y}, {}. Best: {} at {x} {}, {y} {}.",
                    metric.label(),
                    subject.title(),
                    said(&value),
                    x_names[at % x_names.len()],
                    y_names[at / x_names.len()],
                );
                drawn.push(Drawn {
                    name: format!("heatmap-{part}"),
                    part,
                    title: format!("{} of {label}, {}", metric.label(), subject.title()),
                    part_title: format!("{} of {label}, {}", metric.label(), subject.title()),
                    description: described,
                    draw: Box::new(move |title| heatmap_figure(&HeatmapChart { title: title.to_owned(), ..chart })),
                });
            }
        }
    }
    if drawn.is_empty() {
        return Err(spec.needs("rows that `where` leaves and that have these metrics", "see table.csv"));
    }
    Ok(drawn)
}

fn heatmap_keys<'a>(record: &'a Record, spec: &FigureSpec, kind: &'a HeatmapSpec) -> Result<[&'a str; 2], FigureError> {
    let keys = &record.table.sweep_keys;
    let swept = || format!("swept are: {}", if keys.is_empty() { "none".to_owned() } else { keys.join(", ") });
    if let Some(key) = [&kind.x, &kind.y].into_iter().flatten().find(|key| !keys.contains(key)) {
        return Err(spec.needs(&format!("the swept key {key:?}"), &swept()));
    }
    let other = |known: &String| {
        let mut rest = keys.iter().filter(|key| *key != known);
        rest.next().filter(|_| keys.len() == 2)
    };
    match (&kind.x, &kind.y, keys.as_slice()) {
        (Some(x), Some(y), _) => Some([x.as_str(), y.as_str()]),
        (Some(x), None, _) => other(x).map(|y| [x.as_str(), y.as_str()]),
        (None, Some(y), _) => other(y).map(|x| [x.as_str(), y.as_str()]),
        (None, None, [x, y]) => Some([x.as_str(), y.as_str()]),
        _ => None,
    }
    .ok_or_else(|| spec.needs("two swept keys", &format!("say which are meant with `x` and `y` ({})", swept())))
}

fn swept<'a>(row: &'a Row, key: &str) -> &'a str {
    row.sweep.get(key).map_or("", String::as_str)
}

/// Refuses rows of one place that differ in another swept key: a mean over them would mean nothing.
fn one_cell_a_place(spec: &FigureSpec, rows: &[&Row], keys: &[&str]) -> Result<(), FigureError> {
    let Some(first) = rows.first() else { return Ok(()) };
    let differs = |key: &&String| rows.iter().any(|row| row.sweep.get(*key) != first.sweep.get(*key));
    match rows.iter().flat_map(|row| row.sweep.keys()).find(|key| !keys.contains(&key.as_str()) && differs(key)) {
        None => Ok(()),
        Some(key) => {
            let hint = format!("choose one with `where: {{sweep: {{{key}: ..}}}}`");
            Err(spec.needs(&format!("one value of the swept key {key:?} for each place"), &hint))
        }
    }
}

fn best(cells: &[Option<Measured>], metric: Metric) -> Option<(usize, Measured)> {
    let sign = if metric.higher_is_better() { 1.0 } else { -1.0 };
    let cells = cells.iter().enumerate().filter_map(|(at, cell)| Some((at, (*cell)?)));
    // The first of equals.
    cells.fold(None, |best: Option<(usize, Measured)>, cell| match best {
        Some(best) if sign * cell.1.value <= sign * best.1.value => Some(best),
        _ => Some(cell),
    })
}

/// One figure a metric and whatever neither `x` nor `series` says.
pub(super) fn bars<'a>(
    record: &'a Record,
    spec: &'a FigureSpec,
    kind: &'a BarsSpec,
) -> Result<Vec<Drawn<'a>>, FigureError> {
    for facet in [&kind.x, &kind.series] {
        if let Facet::Sweep(key) = facet
            && !record.table.sweep_keys.contains(key)
        {
            let hint = format!("swept are: {}", record.table.sweep_keys.join(", "));
            return Err(spec.needs(&format!("the swept key {key:?}"), &hint));
        }
    }
    let facets = [&kind.x, &kind.series];
    let over = if facets.contains(&&Facet::Set) { Over::Sets } else { Over::Groups };
    let rows: Vec<&Row> = rows_over(record, spec, over).collect();
    let labels = scores(&rows);
    let value = |row: &Row, facet: &Facet| match facet {
        Facet::Set => row.ood_set.clone(),
        Facet::Group => format!("{} ({})", row.group, row.ood_set),
        Facet::Detector => row.detector.clone(),
        Facet::Protocol => row.protocol.clone(),
        Facet::Sweep(key) => swept(row, key).to_owned(),
        // Where the detector is shown, a score need not tell it.
        Facet::Score if facets.contains(&&Facet::Detector) => row.score.clone(),
        Facet::Score => labels
            .iter()
            .find(|(detector, score, _)| (*detector, *score) == (row.detector.as_str(), row.score.as_str()))
            .map_or_else(|| row.score.clone(), |(_, _, label)| label.clone()),
    };
    let keys: Vec<&str> = facets.into_iter().filter_map(Facet::swept_key).collect();
    let by = if keys.is_empty() { String::new() } else { format!(", by {}", keys.join(" and ")) };
    // What is neither along the axis nor side by side, nor told by what is, makes figures of its own.
    let untold: Vec<&String> =
        record.table.sweep_keys.iter().filter(|key| !is_told(key, &rows, &facets, &value)).collect();
    let mut figures: BTreeMap<Vec<(String, String)>, Vec<&Row>> = BTreeMap::new();
    for row in &rows {
        figures.entry(rest(row, &facets, &untold, &rows, &value)).or_default().push(row);
    }
    let mut drawn = Vec::new();
    for (rest, rows) in figures {
        let groups = distinct(rows.iter().map(|row| value(row, &kind.x)));
        let names = distinct(rows.iter().map(|row| value(row, &kind.series)));
        for &metric in &kind.metrics {
            let mut all: Vec<Measured> = Vec::new();
            let mut words = Vec::new();
            let mut series = Vec::new();
            for name in &names {
                let mut bars = Vec::new();
                for group in &groups {
                    let here =
                        rows.iter().filter(|row| value(row, &kind.x) == *group && value(row, &kind.series) == *name);
                    let measured = measured(here.copied(), metric);
                    words.extend(measured.map(|measured| format!("{group}, {name}: {}", said(&measured))));
                    all.extend(measured);
                    bars.push(measured.map(|m| Bar { value: m.value, interval: m.interval }));
                }
                series.push(BarSeries { name: name.clone(), bars });
            }
            if all.is_empty() {
                continue;
            }
            let said: Vec<String> =
                rest.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| format!("{k} {v}").trim().to_owned()).collect();
            let stem: Vec<&str> =
                rest.iter().map(|(_, value)| value.as_str()).filter(|value| !value.is_empty()).collect();
            let part = [metric.name()].into_iter().chain(stem).collect::<Vec<_>>().join("-");
            let about = [metric.label().to_owned()].into_iter().chain(said).collect::<Vec<_>>().join(", ");
            let chart = BarChart {
                title: String::new(),
                x_label: facet_label(&kind.x),
                series_label: if matches!(kind.series, Facet::Sweep(_)) {
                    facet_label(&kind.series)
                } else {
                    String::new()
                },
                y_label: axis_label(metric),
                groups: groups.clone(),
                series,
                most: Some(100.0),
                note: format!(
                    "{}{}",
                    convention(metric, &rows),
                    interval_note(all, metric).replace("bars:", "whiskers:")
                ),
            };
            drawn.push(Drawn {
                name: format!("bars-{part}"),
                part,
                title: about.clone(),
                part_title: about.clone(),
                description: format!("{about}, in percent{by}. {}.", words.join("; ")),
                draw: Box::new(move |title| bar_figure(&BarChart { title: title.to_owned(), ..chart })),
            });
        }
    }
    if drawn.is_empty() {
        return Err(spec.needs("rows that `where` leaves and that have these metrics", "see table.csv"));
    }
    Ok(drawn)
}

/// What an axis or a legend is of.
fn facet_label(facet: &Facet) -> String {
    facet.swept_key().map_or_else(|| facet.to_string(), |key| key_label(key).to_owned())
}

/// Whether the place of a bar says which value a swept key has: each cell of a list that names its detector, say.
fn is_told(key: &str, rows: &[&Row], facets: &[&Facet; 2], value: &impl Fn(&Row, &Facet) -> String) -> bool {
    let mut known: BTreeMap<[String; 2], &str> = BTreeMap::new();
    rows.iter()
        .all(|row| *known.entry(facets.map(|facet| value(row, facet))).or_insert(swept(row, key)) == swept(row, key))
}

/// Properties of a row that no facet covers: name and value, where rows differ in it.
fn rest(
    row: &Row,
    facets: &[&Facet; 2],
    swept_keys: &[&String],
    rows: &[&Row],
    value: &impl Fn(&Row, &Facet) -> String,
) -> Vec<(String, String)> {
    let mut rest = vec![("".to_owned(), row.benchmark.clone())];
    let mut add = |name: String, facet: &Facet, always: bool| {
        let differs = rows.iter().any(|other| value(other, facet) != value(row, facet));
        if !facets.contains(&facet) && (always || differs) {
            rest.push((name, value(row, facet)));
        }
    };
    for &key in swept_keys {
        add(key.clone(), &Facet::Sweep(key.clone()), false);
    }
    // A score tells its detector.
    if !facets.contains(&&Facet::Score) {
        add("score".to_owned(), &Facet::Score, facets.contains(&&Facet::Detector));
    }
    if !facets.contains(&&Facet::Set) && !facets.contains(&&Facet::Group) {
        add("group".to_owned(), &Facet::Group, true);
    }
    add("protocol".to_owned(), &Facet::Protocol, true);
    rest
}
