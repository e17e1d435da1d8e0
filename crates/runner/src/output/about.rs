//! What is known of an experiment beside its numbers: `record.json`.

use std::collections::BTreeMap;

use anyhow::Result;
use oodlab_evaluation::record::{About, CurveAbout, DetectorAbout, RunAbout, SetAbout};

use super::rows;
use crate::config::Source;
use crate::lab::Lab;
use crate::numerics;
use crate::plan::{Contender, Plan, Run};
use crate::stages::evaluate::Evaluated;
use crate::stages::source::FeatureSource;

/// Of the whole experiment.
pub fn of_experiment(
    lab: &Lab,
    source: &Source,
    plan: &Plan,
    runs: Vec<RunAbout>,
    notes: Vec<String>,
    failures: BTreeMap<String, String>,
) -> Result<About> {
    let base = source.base()?;
    Ok(About {
        experiment: plan.name.clone(),
        heading: source.heading(),
        file: source.path.display().to_string(),
        command: source.command(),
        config: serde_yaml::to_string(&base.resolved()?)?,
        program: format!("oodlab {} ({})", env!("CARGO_PKG_VERSION"), env!("OODLAB_COMMIT")),
        numerics: numerics::describe(lab.gpu.as_ref()),
        notes,
        missing: plan.missing.clone(),
        failures,
        runs,
        intervals: base.intervals,
        comparisons: base.comparisons,
        tables: base.tables,
        figures: base.figures,
    })
}

/// Of one detector.
pub fn of_contender(contender: &Contender) -> DetectorAbout {
    let detector = contender.fit.detector();
    DetectorAbout {
        name: contender.name.clone(),
        kind: detector.kind().to_owned(),
        control: contender.control,
        scores: detector.score_names(),
    }
}

/// Of one run.
pub fn of_run(run: &Run, done: &Evaluated) -> RunAbout {
    let from = &run.sets;
    let set = |role: String, encode: &FeatureSource| SetAbout {
        role,
        set: encode.set().to_owned(),
        split: encode.split().to_owned(),
        images: encode.len(),
        list: encode.list_key().hex(),
        features: encode.key().hex(),
    };
    let sets = std::iter::once(set("train".into(), from.train.source()))
        .chain([set("id".into(), &from.id_test)])
        .chain(from.shifted.iter().map(|other| set(format!("{} id, shifted", other.protocol.name()), &other.encode)))
        .chain(
            from.outliers.iter().map(|other| set(format!("{} {}", other.protocol.name(), other.group), &other.encode)),
        );
    RunAbout {
        run: run.key.short(),
        cell: run.cell.name.clone(),
        sweep: run.cell.values.clone(),
        seed: run.seed,
        id_set: from.id_test.set().to_owned(),
        weights: from.backbone.weights(),
        detectors: run.contenders.iter().map(AsRef::as_ref).map(of_contender).collect(),
        curves: done
            .curves
            .iter()
            .filter_map(|curve| {
                Some(CurveAbout {
                    detector: run.contenders.get(curve.contender)?.name.clone(),
                    name: curve.name.clone(),
                    x_label: curve.x_label.clone(),
                    y_label: curve.y_label.clone(),
                    points: curve.points.clone(),
                })
            })
            .collect(),
        sets: sets.collect(),
        stages: done.stages.all().to_vec(),
        warnings: rows::warnings(run, done).collect(),
    }
}
