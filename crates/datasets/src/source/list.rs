//! Which images of a folder a list names, and their labels.

use std::collections::BTreeMap;

use super::Part;
use crate::blob::Blob;
use crate::decode::list::{self, List};
use crate::error::DatasetError;
use crate::manifest::{ListSpec, Manifest, Role};

/// A list as a split uses it.
pub(super) struct Listed<'a> {
    /// The file of the list.
    pub part: &'a Part,
    pub list: List,
    /// One a row, where the list or its `labels_from` has them.
    pub labels: Option<Vec<Option<u32>>>,
}

/// Reads a list as every split does that names it, without the other files of the split: see [`super::inspect`].
pub(super) fn inspect(manifest: &Manifest, path: &str, blob: &Blob) -> Result<(), String> {
    let bytes = blob.whole().map_err(|error| error.to_string())?;
    let is_it = |spec: &&ListSpec| spec.file == path || spec.file.strip_suffix(".gz") == Some(path);
    let labels = |spec: &ListSpec, list: &List| list.labels(spec, &manifest.class_names, manifest.class_count());
    for spec in manifest.splits.values().filter_map(|split| split.list.as_ref()) {
        if is_it(&spec) {
            let list = list::read(spec, &bytes)?;
            in_order_of_paths(&list)?;
            if spec.labels_from.is_none() {
                labels(spec, &list)?;
            }
        }
        if let Some(other) = spec.labels_from.as_deref().filter(is_it) {
            labels(other, &list::read(other, &bytes)?)?;
        }
    }
    Ok(())
}

/// The rows of a list in the order of their paths, each of which may be there once.
fn in_order_of_paths(list: &List) -> Result<Vec<usize>, String> {
    let mut by_path: Vec<usize> = (0..list.rows.len()).collect();
    by_path.sort_by(|&a, &b| list.rows[a].path.cmp(&list.rows[b].path));
    // The sort is stable: of equal paths the first line comes first.
    if let Some([a, b]) = by_path.array_windows().find(|[a, b]| list.rows[*a].path == list.rows[*b].path) {
        let (first, again) = (&list.rows[*a], &list.rows[*b]);
        return Err(format!("line {}: {:?} is in line {} already", again.line, again.path, first.line));
    }
    Ok(by_path)
}

/// Reads the list of a split, and the one with its labels.
pub(super) fn read<'a>(manifest: &Manifest, spec: &ListSpec, parts: &'a [Part]) -> Result<Listed<'a>, DatasetError> {
    let (part, list) = open(spec, parts)?;
    let label = |part: &Part, spec: &ListSpec, list: &List| {
        list.labels(spec, &manifest.class_names, manifest.class_count()).map_err(|what| part.error(what))
    };
    let by_path = in_order_of_paths(&list).map_err(|what| part.error(what))?;
    let labels = match (&spec.labels_from, &spec.label) {
        (Some(other), _) => {
            let (from, others) = open(other, parts)?;
            let mut labels = BTreeMap::new();
            for (row, label) in others.rows.iter().zip(label(from, other, &others)?) {
                let wanted = by_path.binary_search_by(|&at| list.rows[at].path.cmp(&row.path));
                if let Ok(wanted) = wanted
                    && labels.insert(by_path[wanted], label).is_some()
                {
                    return Err(from.error(format!("line {}: {:?} has a label already", row.line, row.path)));
                }
            }
            let of_row = |(at, row): (usize, &list::Row)| {
                let missing = || from.error(format!("no label for {:?}, line {} of {}", row.path, row.line, spec.file));
                labels.get(&at).copied().ok_or_else(missing)
            };
            Some(list.rows.iter().enumerate().map(of_row).collect::<Result<_, _>>()?)
        }
        (None, Some(_)) => Some(label(part, spec, &list)?),
        (None, None) => None,
    };
    Ok(Listed { part, list, labels })
}

fn open<'a>(spec: &ListSpec, parts: &'a [Part]) -> Result<(&'a Part, List), DatasetError> {
    let part = parts.iter().find(|part| part.role == Role::List && part.path == spec.file).ok_or_else(|| {
        DatasetError::decode(&spec.file, "the split needs this list, which was not imported; `data import` takes it in")
    })?;
    let list = list::read(spec, &part.load()?).map_err(|what| part.error(what))?;
    Ok((part, list))
}
