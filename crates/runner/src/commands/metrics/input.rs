//! The columns of a score file as detectors, OOD sets and predictions.

use std::collections::BTreeMap;

use anyhow::Result;
use oodlab_evaluation::metrics::classification::{PredictionError, Predictions};
use oodlab_evaluation::scores::{ScoreError, ScoreFile, number_behind};

use super::arguments::MetricsArguments;
use crate::failure::settings;

/// What a file holds, sorted by what it is for.
pub struct Input {
    /// In the order of the command line.
    pub detectors: Vec<Detector>,
    /// In the order of the file; a single one without a name when no column names them.
    pub sets: Vec<OodSet>,
    /// Of the ID rows.
    pub predictions: Option<Classified>,
}

/// Scores of one column, higher = more out-of-distribution.
pub struct Detector {
    pub name: String,
    pub id: Vec<f64>,
    /// Of each set of [`Input::sets`].
    pub ood: Vec<Vec<f64>>,
}

/// An OOD set: its name, empty without a column that names sets.
pub struct OodSet {
    pub name: String,
}

/// Predictions of the ID rows; the confidence may be unknown.
pub struct Classified {
    pub predictions: Predictions,
    pub has_confidence: bool,
}

/// Reads what the arguments name.
pub fn read(arguments: &MetricsArguments) -> Result<Input> {
    let columns = arguments.score_columns();
    let named = [Some(&arguments.is_ood), arguments.set.as_ref(), arguments.label.as_ref()].into_iter().chain([
        arguments.prediction.as_ref(),
        arguments.confidence.as_ref(),
        arguments.logits.as_ref(),
    ]);
    let named: Vec<&String> = named.flatten().chain(&columns).collect();
    let wanted = |name: &str| {
        let is_logit = arguments.logits.as_ref().is_some_and(|prefix| number_behind(prefix, name).is_some());
        is_logit || named.iter().any(|wanted| *wanted == name)
    };
    let file = ScoreFile::open(&arguments.file, &wanted)?;
    let is_ood = file.flags(&arguments.is_ood, &arguments.ood_values).map_err(advised)?;
    let rows = |ood: bool| -> Vec<usize> { (0..is_ood.len()).filter(|&row| is_ood[row] == ood).collect() };
    let (id_rows, ood_rows) = (rows(false), rows(true));
    let mut sets = Vec::new();
    let mut rows_of_sets: Vec<Vec<usize>> = Vec::new();
    match &arguments.set {
        None => {
            sets.push(OodSet { name: String::new() });
            rows_of_sets.push(ood_rows);
        }
        Some(column) => {
            let names = file.texts_in(column, &ood_rows)?;
            let mut places: BTreeMap<String, usize> = BTreeMap::new();
            for (row, name) in ood_rows.into_iter().zip(names) {
                let place = *places.entry(name).or_insert_with_key(|name| {
                    sets.push(OodSet { name: name.clone() });
                    rows_of_sets.push(Vec::new());
                    sets.len() - 1
                });
                rows_of_sets[place].push(row);
            }
            // Without OOD rows there is no set to evaluate, and that is told as for a file without sets.
            if sets.is_empty() {
                sets.push(OodSet { name: String::new() });
                rows_of_sets.push(Vec::new());
            }
        }
    }
    let take = |values: &[f64], rows: &[usize]| -> Vec<f64> { rows.iter().map(|&row| values[row]).collect() };
    let mut detectors = Vec::new();
    for name in columns {
        let mut values = file.numbers(&name)?;
        if arguments.lower_is_ood {
            values.iter_mut().for_each(|value| *value = -*value);
        }
        let ood = rows_of_sets.iter().map(|rows| take(&values, rows)).collect();
        detectors.push(Detector { id: take(&values, &id_rows), ood, name });
    }
    let predictions = match &arguments.label {
        None => None,
        Some(label) => Some(predictions(&file, arguments, label, &id_rows)?),
    };
    Ok(Input { detectors, sets, predictions })
}

/// An error of the column that tells OOD from ID, with what to do.
fn advised(error: ScoreError) -> anyhow::Error {
    let hint = match &error {
        ScoreError::Flags { .. } => Some("say which of these values mean OOD, as in --ood-value -1"),
        ScoreError::NoOodValue { .. } => Some("name a value that is there with --ood-value"),
        _ => None,
    };
    match hint {
        None => error.into(),
        Some(hint) => anyhow::anyhow!("{error}; {hint}"),
    }
}

fn predictions(file: &ScoreFile, arguments: &MetricsArguments, label: &str, id_rows: &[usize]) -> Result<Classified> {
    let place = |error: PredictionError| anyhow::Error::new(error).context(format!("{}", arguments.file.display()));
    if let Some(prefix) = &arguments.logits {
        let (classes, logits) = file.matrix(prefix, id_rows)?;
        let labels = file.numbers_in(label, id_rows)?;
        let mut id_labels = Vec::with_capacity(id_rows.len());
        for (&row, &value) in id_rows.iter().zip(&labels) {
            let whole = value >= 0.0 && value.fract() == 0.0 && value <= f64::from(u32::MAX);
            anyhow::ensure!(
                whole,
                "{}: row {}, column {label:?}: expected the number of a class, from 0, found {value}",
                arguments.file.display(),
                row + 1,
            );
            id_labels.push(value as u32);
        }
        let predictions = Predictions::from_logits(&id_labels, &logits, classes).map_err(place)?;
        return Ok(Classified { predictions, has_confidence: true });
    }
    let Some(prediction) = &arguments.prediction else {
        return Err(settings("metrics: --label needs --prediction COLUMN or --logits PREFIX beside it"));
    };
    let correct = match (file.numbers_in(label, id_rows), file.numbers_in(prediction, id_rows)) {
        (Ok(labels), Ok(predicted)) => labels.iter().zip(&predicted).map(|(label, class)| label == class).collect(),
        // Classes may have names.
        _ => {
            let (labels, predicted) = (file.texts_in(label, id_rows)?, file.texts_in(prediction, id_rows)?);
            labels.iter().zip(&predicted).map(|(label, class)| label.trim() == class.trim()).collect()
        }
    };
    let confidence = match &arguments.confidence {
        // Whoever draws replicates needs one; nothing is told of it.
        None => vec![1.0; id_rows.len()],
        Some(column) => file.numbers_in(column, id_rows)?,
    };
    Ok(Classified { predictions: Predictions { correct, confidence }, has_confidence: arguments.confidence.is_some() })
}
