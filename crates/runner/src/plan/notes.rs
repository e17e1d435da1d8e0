//! What a reader must know of the sets of a run, beside the numbers.

use std::collections::BTreeSet;

use oodlab_datasets::{Benchmark, ImageSet};

use super::{Outlier, Planner};
use crate::config::Experiment;
use crate::stages::source::FeatureSource;

impl Planner<'_> {
    /// Tells by which rule images were chosen.
    pub(super) fn note_rule(&mut self, images: &ImageSet) {
        if let Some(rule) = images.rule() {
            self.notes.insert(format!("subset: {} {}: {rule}", images.name(), images.split()));
        }
    }

    /// Tells of another number of images than the publication scored.
    pub(super) fn note_published(&mut self, published: Option<usize>, encode: &FeatureSource) {
        if let Some(published) = published.filter(|&published| published != encode.len()) {
            let (set, split, scored) = (encode.set(), encode.split(), encode.len());
            self.notes
                .insert(format!("{set} {split}: {scored} {} scored, {published} in the publication", encode.unit()));
        }
    }

    /// Tells under which protocol a benchmark was published.
    pub(super) fn note_protocol(&mut self, benchmark: &Benchmark, experiment: &Experiment) {
        let Some(published) = benchmark.protocol else { return };
        let (name, protocol) = (&benchmark.name, published.name());
        let other = if experiment.protocols.contains(&published) { "other rows are" } else { "these rows are" };
        self.notes
            .insert(format!("{name} was published under protocol {protocol}; {other} not to be compared with it"));
    }

    /// Tells of a group whose mean is not the benchmark's, because sets are missing.
    pub(super) fn note_groups(&mut self, benchmark: &Benchmark, outliers: &[Outlier]) {
        for (group, members) in &benchmark.groups {
            let of_group = outliers.iter().filter(|outlier| outlier.group == *group);
            let there: BTreeSet<&String> = of_group.map(|outlier| &outlier.name).collect();
            if there.len() < members.len() {
                let (there, all, name) = (there.len(), members.len(), &benchmark.name);
                self.notes.insert(format!(
                    "{group}: {there} of the {all} sets of {name}; a mean is over those, not over all"
                ));
            }
        }
    }
}
