//! Small pictures of the samples that contact sheets show, read from the data sets while they are at hand.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use oodlab_datasets::sheet;
use oodlab_evaluation::Record;
use oodlab_evaluation::figures::contact_sheet_samples;
use oodlab_evaluation::record::Thumbnail;

use crate::plan::Run;
use crate::stages::evaluate::Evaluated;
use crate::stages::source::FeatureSource;

/// Longest side in pixels: what a contact sheet shows at twice its size in print.
const SIDE: u32 = 96;

/// The pictures that the record's figures ask for. Imported features have none: their sheets say so.
pub fn gather(record: &Record, finished: &[(&Run, Evaluated)]) -> Result<Vec<Thumbnail>> {
    let specs = record.about.figures.as_deref().unwrap_or_default();
    let mut sources: BTreeMap<&str, &FeatureSource> = BTreeMap::new();
    for (run, _) in finished {
        sources.insert(run.sets.id_test.set(), &run.sets.id_test);
        sources.extend(run.sets.shifted.iter().map(|other| (other.encode.set(), &other.encode)));
        sources.extend(run.sets.outliers.iter().map(|other| (other.name.as_str(), &other.encode)));
    }
    let mut found = Vec::new();
    let mut wanted: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for (set, indices) in specs.iter().flat_map(|spec| contact_sheet_samples(record, spec)) {
        wanted.entry(set).or_default().extend(indices);
    }
    for (set, indices) in wanted {
        let Some(images) = sources.get(set.as_str()).and_then(|source| source.images()) else { continue };
        for index in indices {
            let png = sheet::thumbnail(&images.read(index as usize)?, SIDE)?.to_png()?;
            found.push(Thumbnail { set: set.clone(), index, png });
        }
    }
    Ok(found)
}
