//! `oodlab metrics`: the numbers of this program for the scores of any other.

mod arguments;
mod input;
mod line;
mod text;

use anyhow::{Context, Result};
use oodlab_evaluation::metrics::bootstrap::{BootstrapConfig, Replicates};
use oodlab_evaluation::metrics::classification::oscr;
use oodlab_evaluation::metrics::compare::{BOOTSTRAPPED, Scored, bootstrap, delong};
use oodlab_evaluation::metrics::{Comparison, Method, correct};
use oodlab_evaluation::{Counts, Metric};

pub use arguments::{HELP, MetricsArguments};
use input::{Detector, Input};
use line::{Line, mean_line};

use super::{print, print_json};
use crate::failure::settings;

/// Prints one line a score column and OOD set, or with `--json` an array with one object each.
pub fn run(arguments: &MetricsArguments, json: bool) -> Result<()> {
    if arguments.against.is_some() && arguments.score_columns().len() < 2 {
        return Err(settings("metrics: --against needs another --score to compare with"));
    }
    let input = input::read(arguments)?;
    let found = evaluate(arguments, &input)?;
    let mut lines: Vec<Line> = found.into_iter().flatten().collect();
    if arguments.against.is_some() {
        let mut rows: Vec<Comparison> = lines.iter().flat_map(|line| line.against.clone()).collect();
        correct(&mut rows);
        let mut rows = rows.into_iter();
        for line in &mut lines {
            line.against = rows.by_ref().take(line.against.len()).collect();
        }
    }
    for line in &lines {
        for warning in &line.warnings {
            tracing::warn!("{}: {warning}", line.name());
        }
    }
    if json { print_json(&lines) } else { print(&text::describe(arguments, &lines)) }
}

/// The lines of every detector, those of its sets in order and their mean.
fn evaluate(arguments: &MetricsArguments, input: &Input) -> Result<Vec<Vec<Line>>> {
    let mut found = Vec::new();
    let mut drawn = Vec::new();
    for detector in &input.detectors {
        let (lines, replicates) = evaluate_detector(arguments, input, detector)?;
        found.push(lines);
        drawn.push(replicates);
    }
    let Some(place) = arguments.against.as_ref().and_then(|name| input.detectors.iter().position(|d| d.name == *name))
    else {
        return Ok(found);
    };
    let reference = found[place].clone();
    for (number, detector) in input.detectors.iter().enumerate().filter(|(number, _)| *number != place) {
        for (at, line) in found[number].iter_mut().enumerate() {
            let replicates = drawn[number].get(at).zip(drawn[place].get(at));
            let set = detector.ood.get(at).zip(input.detectors[place].ood.get(at));
            let scored = set.map(|(ood, other)| {
                (Scored { id: &detector.id, ood }, Scored { id: &input.detectors[place].id, ood: other })
            });
            line.against = compare(line, &reference[at], scored, replicates)?;
        }
    }
    Ok(found)
}

/// Lines and, where any are drawn, replicates of each of them.
fn evaluate_detector(
    arguments: &MetricsArguments,
    input: &Input,
    detector: &Detector,
) -> Result<(Vec<Line>, Vec<Replicates>)> {
    let (rule, recall) = (arguments.convention.rule, arguments.recall);
    let config = BootstrapConfig { replicates: arguments.replicates(), seed: arguments.seed };
    let (mut lines, mut drawn) = (Vec::new(), Vec::new());
    for (set, ood) in input.sets.iter().zip(&detector.ood) {
        let place = || format!("{}: column {:?}{}", arguments.file.display(), detector.name, in_set(&set.name));
        let counts = Counts::new(&detector.id, ood).with_context(place)?;
        let metrics = counts.metrics(rule);
        let mut line = Line::new(arguments, &detector.name, arguments.set.is_some().then_some(set.name.as_str()));
        line.n_id = metrics.n_id;
        line.n_ood = Some(metrics.n_ood);
        line.distinct = Some(metrics.distinct);
        line.values = Metric::OF_SCORES.into_iter().zip(counts.of_scores(recall, rule)).collect();
        line.intervals.insert(Metric::Auroc, [metrics.auroc_low, metrics.auroc_high]);
        line.warnings = metrics.warnings.iter().map(ToString::to_string).collect();
        if let Some(classified) = &input.predictions {
            let predictions = &classified.predictions;
            line.values.insert(Metric::Accuracy, predictions.accuracy().with_context(place)?);
            line.values.insert(Metric::Oscr, oscr(&predictions.correct, &detector.id, ood).with_context(place)?);
            if classified.has_confidence {
                line.values.insert(Metric::CalibrationError, predictions.calibration_error().with_context(place)?);
            }
        }
        if config.replicates > 0 {
            let replicates = match &input.predictions {
                None => Replicates::draw_at(&detector.id, ood, &set.name, recall, rule, config)?,
                Some(of) => {
                    Replicates::draw_classified(&detector.id, ood, &of.predictions, &set.name, recall, rule, config)?
                }
            };
            let told: Vec<Metric> = line.values.keys().copied().filter(|metric| *metric != Metric::Auroc).collect();
            for metric in told {
                line.intervals.extend(replicates.interval(metric).map(|ends| (metric, ends)));
            }
            drawn.push(replicates);
        }
        lines.push(line);
    }
    if lines.len() > 1 {
        let mut line = mean_line(&lines);
        if !drawn.is_empty() {
            let mean = Replicates::mean(&drawn.iter().collect::<Vec<_>>());
            let told = line.values.keys().filter_map(|&metric| Some((metric, mean.interval(metric)?)));
            line.intervals = told.collect();
            drawn.push(mean);
        }
        lines.push(line);
    }
    Ok((lines, drawn))
}

fn in_set(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(", set {name:?}") }
}

/// The tests of one detector against the reference on one set, or on the mean over sets, where there are no scores.
fn compare(
    line: &Line,
    reference: &Line,
    scored: Option<(Scored<'_>, Scored<'_>)>,
    replicates: Option<(&Replicates, &Replicates)>,
) -> Result<Vec<Comparison>> {
    let base = Comparison {
        ood_set: line.set.clone().unwrap_or_default(),
        detector_a: line.detector.clone(),
        detector_b: reference.detector.clone(),
        ..Comparison::default()
    };
    let mut rows = Vec::new();
    if let Some((a, b)) = scored {
        rows.push(base.clone().with_test(Metric::Auroc, Method::DelongPaired, delong(a, b)?));
    }
    let Some((a, b)) = replicates else { return Ok(rows) };
    let of_mean = scored.is_none().then_some(Metric::Auroc);
    for metric in of_mean.into_iter().chain(BOOTSTRAPPED) {
        let test = bootstrap(metric, line.values[&metric], reference.values[&metric], a, b)?;
        rows.push(base.clone().with_test(metric, Method::BootstrapPaired, test));
    }
    Ok(rows)
}
