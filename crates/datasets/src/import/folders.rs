//! The folders of a scan, and the images below them.

use std::collections::BTreeSet;

use super::scan::{Found, Scan};
use crate::decode::zip::{foreign_image_ending, is_image_name};

/// Every folder that holds files, directly or deeper, in byte order; the scanned one is empty.
pub(super) fn folders_of(scan: &Scan) -> BTreeSet<String> {
    let mut folders = BTreeSet::from([String::new()]);
    for file in &scan.files {
        let mut path = file.relative.as_str();
        while let Some((folder, _)) = path.rsplit_once('/') {
            if !folders.insert(folder.to_owned()) {
                break;
            }
            path = folder;
        }
    }
    folders
}

/// The visible images below a folder, of foreign formats too, in byte order of their paths.
pub(super) fn images_below<'s>(scan: &'s Scan, folder: &str) -> impl Iterator<Item = (usize, &'s Found)> + use<'s> {
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let start = scan.files.partition_point(|file| file.relative.as_bytes() < prefix.as_bytes());
    let below = move |file: &Found| file.relative.strip_prefix(&prefix).map(is_visible_image);
    let all =
        scan.files.iter().enumerate().skip(start).map_while(move |(index, file)| Some((index, file, below(file)?)));
    all.filter(|&(_, _, visible)| visible).map(|(index, file, _)| (index, file))
}

fn is_visible_image(path: &str) -> bool {
    (is_image_name(path) || foreign_image_ending(path).is_some()) && !path.split('/').any(|part| part.starts_with('.'))
}

pub(super) fn join(folder: &str, below: &str) -> String {
    match (folder, below) {
        (folder, ".") => folder.to_owned(),
        ("", below) => below.to_owned(),
        (folder, below) => format!("{folder}/{below}"),
    }
}

pub(super) fn dot(folder: &str) -> &str {
    if folder.is_empty() { "." } else { folder }
}
