//! Features in two dimensions, for the figures that ask for them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use oodlab_base::{Progress, Seed};
use oodlab_evaluation::Record;
use oodlab_evaluation::figures::{FigureKind, FigureSpec, ProjectionSpec, View};
use oodlab_evaluation::record::PointCloud;
use oodlab_features::Features;
use oodlab_features::projection::{self, TsneConfig};
use oodlab_kernels::zscore;

use crate::lab::Lab;
use crate::plan::Run;
use crate::stages::evaluate::Evaluated;
use crate::stages::source::FeatureSource;

/// Rows read at once.
const ROWS: usize = 1024;

/// One cloud a view, run and protocol that a figure shows; the first figure that asks for it says how.
pub fn gather(lab: &Lab, record: &Record, finished: &[(&Run, Evaluated)]) -> Result<Vec<PointCloud>> {
    let specs = record.about.figures.as_deref().unwrap_or_default();
    let wanted = specs.iter().filter_map(|spec| match &spec.kind {
        FigureKind::Projection(projection) => Some((spec, projection)),
        _ => None,
    });
    let mut clouds = BTreeMap::new();
    for (spec, projection) in wanted {
        let shown = |run: &&(&Run, Evaluated)| spec.selection.has_run(&run.0.cell.name, &run.0.cell.values, run.0.seed);
        for (run, _) in finished.iter().filter(shown) {
            let protocols: BTreeSet<&str> = run.sets.outliers.iter().map(|outlier| outlier.protocol.name()).collect();
            for protocol in protocols.into_iter().filter(|name| spec.selection.protocol.has(name)) {
                let key = (projection.view, run.key.short(), protocol);
                if let Entry::Vacant(place) = clouds.entry(key) {
                    place.insert(cloud(lab, run, run.sets.id_test.set(), spec, projection, protocol)?);
                }
            }
        }
    }
    Ok(clouds.into_values().collect())
}

fn cloud(
    lab: &Lab,
    run: &Run,
    id_set: &str,
    spec: &FigureSpec,
    wanted: &ProjectionSpec,
    protocol: &str,
) -> Result<PointCloud> {
    let mut sources: Vec<(&str, bool, &FeatureSource)> = vec![(id_set, false, &run.sets.id_test)];
    let shown = run.sets.outliers.iter().filter(|outlier| outlier.protocol.name() == protocol);
    let shown =
        shown.filter(|outlier| spec.selection.set.has(&outlier.name) && spec.selection.group.has(&outlier.group));
    sources.extend(shown.map(|outlier| (outlier.name.as_str(), true, &outlier.encode)));
    let share = wanted.samples / sources.len();
    let mut cloud = PointCloud {
        view: wanted.view.name().to_owned(),
        run: run.key.short(),
        protocol: protocol.to_owned(),
        ..PointCloud::default()
    };
    let mut values = Vec::new();
    for (set, is_ood, source) in sources {
        let chosen = choose(source.len(), share, wanted.seed, set);
        for part in chosen.chunk_by(|a, b| a / ROWS == b / ROWS) {
            let first = part[0] / ROWS * ROWS;
            let features = source.rows(lab, first..(first + ROWS).min(source.len()), &run.layers)?;
            for &at in part {
                values.extend(standardised(&features, at - first)?);
            }
        }
        cloud.sets.extend(std::iter::repeat_n(set.to_owned(), chosen.len()));
        cloud.is_ood.extend(std::iter::repeat_n(is_ood, chosen.len()));
    }
    let width = values.len() / cloud.sets.len().max(1);
    let label = format!("{} of {} samples, {protocol}", cloud.view, cloud.sets.len());
    let task = lab.bars.task(&label, "views", 1, 0);
    (cloud.axes, cloud.points) = project(lab, wanted, &values, width).with_context(|| label.clone())?;
    task.advance(1);
    Ok(cloud)
}

/// What the axes are, and where each sample lies.
fn project(lab: &Lab, wanted: &ProjectionSpec, values: &[f32], width: usize) -> Result<([String; 2], Vec<[f64; 2]>)> {
    match wanted.view {
        View::Pca => {
            let found = projection::pca(values, width, 2, &lab.cancel)?;
            let share = |at: usize| 100.0 * found.shares.get(at).copied().unwrap_or(0.0);
            let axes = [
                format!("first component, {:.0} % of the variance", share(0)),
                format!("second component, {:.0} % of the variance", share(1)),
            ];
            // One column has no second component: its samples lie on a line.
            let place = |of: &[f64]| [of[0], of.get(1).copied().unwrap_or(0.0)];
            Ok((axes, found.points.chunks(found.shares.len().max(1)).map(place).collect()))
        }
        View::Tsne => {
            let config = TsneConfig { perplexity: wanted.perplexity, seed: wanted.seed, ..TsneConfig::default() };
            let found = projection::tsne(values, width, &config, &lab.cancel)?;
            let axis = |name: &str| format!("t-SNE {name}, perplexity {}", found.perplexity);
            Ok(([axis("first axis"), axis("second axis")], found.points))
        }
    }
}

/// A sample as the detectors see it: every layer with mean 0 and deviation 1 over its channels, so that no layer drowns the others. A
/// layer of one channel stays as it is.
fn standardised(features: &Features, row: usize) -> Result<Vec<f32>> {
    let raw = features.row(row);
    let mut out = raw.to_vec();
    for span in features.spans().into_iter().filter(|span| span.len() > 1) {
        let layer = 0..span.len();
        zscore::run(&raw[span.clone()], std::slice::from_ref(&layer), &mut out[span])?;
    }
    Ok(out)
}

/// `count` of `len` samples, ascending, none twice; the same ones whatever the run.
fn choose(len: usize, count: usize, seed: u64, set: &str) -> Vec<usize> {
    let mut chosen = Seed(seed).stream(&format!("projection of {set}")).permutation(len);
    chosen.truncate(count);
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_chosen_once_each_and_the_same_every_time() {
        let chosen = choose(1000, 50, 0, "svhn");
        assert_eq!(chosen.len(), 50);
        assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]) && chosen[49] < 1000);
        assert_eq!(chosen, choose(1000, 50, 0, "svhn"));
        assert_ne!(chosen, choose(1000, 50, 1, "svhn"));
        assert_eq!(choose(3, 50, 0, "svhn"), [0, 1, 2]);
    }
}
