//! Metrics of a record against a swept value.

use std::collections::BTreeSet;

use super::super::spec::{FigureSpec, SweepSpec};
use super::super::{FigureError, LineChart, LinePoint, LineSeries, line_figure};
use super::Drawn;
use super::rows::{
    Measured, axis_label, by_subject, convention, distinct, interval_note, key_label, measured, numbers, said, scores,
};
use crate::metrics::Metric;
use crate::record::Record;
use crate::table::Row;

/// One figure a metric and subject: a group's mean, or a set.
pub(super) fn sweeps<'a>(
    record: &'a Record,
    spec: &'a FigureSpec,
    kind: &'a SweepSpec,
) -> Result<Vec<Drawn<'a>>, FigureError> {
    let keys = &record.table.sweep_keys;
    let known = || if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
    let key = match (&kind.key, keys.as_slice()) {
        (Some(key), _) if keys.contains(key) => key,
        (Some(key), _) => {
            return Err(spec.needs(&format!("the swept key {key:?}"), &format!("swept are: {}", known())));
        }
        (None, [key]) => key,
        (None, _) => {
            return Err(spec.needs("one swept key", &format!("say which is meant with `key` (swept: {})", known())));
        }
    };
    let mut drawn = Vec::new();
    for (subject, rows) in by_subject(record, spec, kind.of) {
        for &metric in &kind.metrics {
            let (chart, said) = chart(&rows, key, metric);
            if chart.series.is_empty() {
                continue;
            }
            let part = format!("{metric}-{}", subject.stem());
            drawn.push(Drawn {
                name: format!("sweep-{part}"),
                part,
                title: subject.title(),
                part_title: format!("{}, {}", metric.label(), subject.title()),
                description: format!("{} in percent against {key}, {}. {said}.", metric.label(), subject.title()),
                draw: Box::new(move |title| line_figure(&LineChart { title: title.to_owned(), ..chart })),
            });
        }
    }
    if drawn.is_empty() && !kind.metrics.is_empty() {
        let metrics: Vec<&str> = kind.metrics.iter().map(|metric| metric.name()).collect();
        return Err(
            spec.needs(&format!("rows that `where` leaves and that have {}", metrics.join(", ")), "see table.csv")
        );
    }
    Ok(drawn)
}

/// One series a score, and other swept values where they vary, over the swept values; values that are no numbers are numbered in order
/// and named. Second: the same in words.
fn chart(rows: &[&Row], key: &str, metric: Metric) -> (LineChart, String) {
    let text = |row: &Row| row.sweep.get(key).cloned().unwrap_or_default();
    let names = distinct(rows.iter().map(|row| text(row)));
    let places = numbers(&names);
    let varying: BTreeSet<&String> = rows
        .iter()
        .flat_map(|row| row.sweep.keys())
        .filter(|other| *other != key && rows.iter().any(|row| row.sweep.get(*other) != rows[0].sweep.get(*other)))
        .collect();
    let others = |row: &Row| {
        varying
            .iter()
            .map(|other| format!(", {}={}", key_label(other), row.sweep.get(*other).map_or("", String::as_str)))
            .collect::<String>()
    };
    let mut series = Vec::new();
    let mut all: Vec<Measured> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    for (detector, score, label) in scores(rows) {
        let own = || rows.iter().filter(|row| (row.detector.as_str(), row.score.as_str()) == (detector, score));
        for other in distinct(own().map(|row| others(row))) {
            let mut points = Vec::new();
            let mut said_points = Vec::new();
            for (at, name) in names.iter().enumerate() {
                let here = own().filter(|row| text(row) == *name && others(row) == other).copied();
                let Some(measured) = measured(here, metric) else { continue };
                let x = places.as_ref().map_or(at as f64, |places| places[at]);
                points.push(LinePoint { x, y: measured.value, interval: measured.interval });
                said_points.push(format!("{} at {name}", said(&measured)));
                all.push(measured);
            }
            if !points.is_empty() {
                let name = format!("{label}{other}");
                words.push(format!("{name}: {}", said_points.join(", ")));
                series.push(LineSeries { name, points });
            }
        }
    }
    let chart = LineChart {
        title: String::new(),
        x_label: key_label(key).to_owned(),
        y_label: axis_label(metric),
        series,
        x_names: if places.is_some() { Vec::new() } else { names },
        y_limits: Some((0.0, 100.0)),
        note: format!("{}{}", convention(metric, rows), interval_note(all, metric)),
    };
    (chart, words.join("; "))
}
