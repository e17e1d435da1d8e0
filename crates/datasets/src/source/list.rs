//! Which images of a folder a list names, and their labels.

use std::collections::BTreeMap;

use super::Part;
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

/// Reads the list of a split, and the one with its labels.
pub(super) fn read<'a>(manifest: &Manifest, spec: &ListSpec, parts: &'a [Part]) -> Result<Listed<'a>, DatasetError> {
    let (part, list) = open(spec, parts)?;
    let label = |part: &Part, spec: &ListSpec, list: &List| {
        list.labels(spec, &manifest.class_names, manifest.class_count()).map_err(|what| part.error(what))
    };
    let mut by_path: Vec<usize> = (0..list.rows.len()).collect();
    by_path.sort_by(|&a, &b| list.rows[a].path.cmp(&list.rows[b].path));
    // The sort is stable: of equal paths the first line comes first.
    if let Some([a, b]) = by_path.array_windows().find(|[a, b]| list.rows[*a].path == list.rows[*b].path) {
        let (first, again) = (&list.rows[*a], &list.rows[*b]);
        return Err(part.error(format!("line {}: {:?} is in line {} already", again.line, again.path, first.line)));
    }
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
