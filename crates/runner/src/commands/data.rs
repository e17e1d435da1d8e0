//! `oodlab data`: image sets known, at hand, imported, verified and looked at.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use oodlab_base::file::write_atomic;
use oodlab_datasets::sheet::{choose, contact_sheet};
use oodlab_datasets::{FetchOptions, ImportOptions, ImportReport, Statistics, Status};

use super::{print, print_json};
use crate::cli::DataCommand;
use crate::lab::Lab;

/// Runs one of the data commands.
pub fn run(lab: &Lab, command: &DataCommand, json: bool) -> Result<()> {
    match command {
        DataCommand::List { benchmark } => super::data_list::list(lab, benchmark.as_deref(), json),
        DataCommand::Fetch { names, benchmark, split, mirror, keep_archives, allow_unreadable } => {
            let options = FetchOptions {
                splits: split.clone(),
                mirror: mirror.clone(),
                keep_archives: *keep_archives,
                allow_unreadable: *allow_unreadable,
            };
            super::data_fetch::fetch(lab, names, benchmark.as_deref(), &options, json)
        }
        DataCommand::Import { name, from, allow_unreadable, link, .. } => {
            let options = ImportOptions { allow_unreadable: *allow_unreadable, link: *link };
            match name {
                Some(name) => import(lab, name, from, options, json),
                None => import_all(lab, from, options, json),
            }
        }
        DataCommand::Verify { names } => verify(lab, names, json),
        DataCommand::Show { name, split, count, all, output } => {
            let shown = Shown { name, split: split.as_deref(), count: *count, all: *all };
            show(lab, shown, output.clone(), json)
        }
    }
}

/// Of more splits only the sum is shown.
const SPLITS_SHOWN: usize = 5;

/// `train 10000 of 50000, test 10000`
pub(super) fn counts(status: &Status) -> String {
    let one = |(split, count): (&String, &oodlab_datasets::Count)| match count.expected {
        Some(expected) if expected != count.found => format!("{split} {} of {expected}", count.found),
        _ => format!("{split} {}", count.found),
    };
    if status.splits.len() > SPLITS_SHOWN {
        let found: usize = status.splits.values().map(|count| count.found).sum();
        let expected: Option<usize> = status.splits.values().map(|count| count.expected).sum();
        let of = expected.filter(|&n| n != found).map_or(String::new(), |expected| format!(" of {expected}"));
        return format!("{} splits, together {found}{of}", status.splits.len());
    }
    let unreadable =
        if status.unreadable > 0 { format!(", {} unreadable left out", status.unreadable) } else { String::new() };
    format!("{}{unreadable}", status.splits.iter().map(one).collect::<Vec<_>>().join(", "))
}

pub(super) fn describe(report: &ImportReport) -> String {
    let ImportReport { name, added, kept, bytes, unreadable, notes, status } = report;
    let mut text = format!(
        "{name}: {}; {} ({added} files added, {:.1} MB; {kept} were there)\n",
        status.state,
        counts(status),
        *bytes as f64 / 1e6
    );
    for (path, reason) in unreadable {
        text.push_str(&format!("  left out: {path}: {reason}\n"));
    }
    for note in notes {
        text.push_str(&format!("  note: {note}\n"));
    }
    text
}

fn import(lab: &Lab, name: &str, from: &Path, options: ImportOptions, json: bool) -> Result<()> {
    let report = lab.library()?.import(name, from, options, &lab.bars, &lab.cancel)?;
    if json { print_json(&report) } else { print(&describe(&report)) }
}

fn import_all(lab: &Lab, from: &Path, options: ImportOptions, json: bool) -> Result<()> {
    let all = lab.library()?.import_all(from, options, &lab.bars, &lab.cancel)?;
    let sets = all.sets.iter().filter_map(|(name, result)| Some(format!("{name}: {}", result.as_ref().err()?)));
    let failed: Vec<String> = sets.chain(all.damaged.iter().cloned()).collect();
    let done: Vec<&ImportReport> = all.sets.iter().filter_map(|(_, result)| result.as_ref().ok()).collect();
    if json {
        print_json(&serde_json::json!({ "imported": done, "failed": failed, "unrecognised": all.unrecognised }))?;
    } else {
        let mut text: String = done.iter().map(|report| describe(report)).collect();
        for error in &failed {
            text.push_str(&format!("failed  {error}\n"));
        }
        if all.unrecognised > 0 {
            let first = all.unrecognised_first.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
            text.push_str(&format!("{} files belong to no known set: {first}, ..\n", all.unrecognised));
        }
        print(&text)?;
    }
    anyhow::ensure!(failed.is_empty(), "{} sets or files could not be imported; the others were", failed.len());
    anyhow::ensure!(!done.is_empty(), "no file of a known set below {}", from.display());
    Ok(())
}

fn verify(lab: &Lab, names: &[String], json: bool) -> Result<()> {
    let library = lab.library()?;
    let names: Vec<String> = if names.is_empty() {
        let at_hand = |s: &Status| s.state != oodlab_datasets::State::Absent;
        library.list()?.into_iter().filter(at_hand).map(|status| status.name).collect()
    } else {
        names.to_vec()
    };
    let mut reports = Vec::new();
    for name in &names {
        reports.push(library.verify(name, &lab.bars, &lab.cancel)?);
    }
    if json {
        print_json(&reports)?;
    } else {
        let mut text = String::new();
        for report in &reports {
            let verdict = if report.problems.is_empty() { "good" } else { "bad" };
            text.push_str(&format!(
                "{}: {verdict}, {} files, {} images read; {}\n",
                report.name,
                report.files,
                report.images,
                counts(&report.status)
            ));
            for problem in &report.problems {
                text.push_str(&format!("  {problem}\n"));
            }
        }
        print(&text)?;
    }
    let bad: Vec<&str> = reports.iter().filter(|r| !r.problems.is_empty()).map(|r| r.name.as_str()).collect();
    anyhow::ensure!(bad.is_empty(), "{} of {} sets are damaged: {}", bad.len(), reports.len(), bad.join(", "));
    Ok(())
}

/// What is shown.
struct Shown<'a> {
    name: &'a str,
    split: Option<&'a str>,
    count: usize,
    all: bool,
}

fn show(lab: &Lab, shown: Shown<'_>, output: Option<PathBuf>, json: bool) -> Result<()> {
    let Shown { name, split, count, all } = shown;
    let library = lab.library()?;
    let manifest = library.manifest(name)?;
    let split = split.or(manifest.evaluation_split()).or(manifest.splits.keys().next().map(String::as_str));
    let split = split.context("the set has no split")?.to_owned();
    let output = output.unwrap_or_else(|| PathBuf::from(format!("{name}-{split}.png")));
    let set = library.open_set(name, &split, None)?;
    let sheet = contact_sheet(&set, count)?;
    let measured = if all { (0..set.len()).collect() } else { choose(&set, count) };
    let statistics = Statistics::of(&set, &measured, &lab.bars, &lab.cancel)?;
    write_atomic(&output, &sheet.to_png()?)?;
    let (width, height) = (sheet.width, sheet.height);
    if json {
        return print_json(&serde_json::json!({ "file": output, "width": width, "height": height, "set": name,
            "split": split, "expected": set.expected(), "class_names": set.class_names(), "statistics": statistics }));
    }
    let mut text = format!("{}: {width} x {height} pixels\n", output.display());
    text.push_str(&numbers(&set, &statistics));
    if let (Some(mean), Some(deviation)) = (manifest.mean, manifest.deviation) {
        let triple = |values: [f64; 3]| values.map(|value| format!("{value:.4}")).join(", ");
        text.push_str(&format!(
            "  training images, as stated: mean {}, deviation {}\n",
            triple(mean),
            triple(deviation)
        ));
    }
    print(&text)
}

/// The numbers of a split for people.
fn numbers(set: &oodlab_datasets::ImageSet, numbers: &Statistics) -> String {
    let Statistics { images, classes, measured, mean, deviation, width, height } = numbers;
    let expected = set.expected().filter(|expected| expected != images);
    let of = expected.map_or(String::new(), |expected| format!(" of {expected}"));
    let mut text = format!("{} {}: {images} images{of}\n", set.name(), set.split());
    let triple = |values: &[f64; 3]| values.map(|value| format!("{value:.4}")).join(", ");
    let over = if measured == images { "all".to_owned() } else { format!("the {measured} shown") };
    text.push_str(&format!("  channels over {over}: mean {}, deviation {}\n", triple(mean), triple(deviation)));
    let sides = |sides: &[u32; 3]| match sides {
        [least, _, most] if least == most => least.to_string(),
        [least, median, most] => format!("{least} to {most}, median {median}"),
    };
    text.push_str(&format!("  width {}; height {}\n", sides(width), sides(height)));
    for (&label, count) in classes {
        let name = set.class_names().get(label as usize).map_or("", String::as_str);
        text.push_str(&format!("  class {label:>4} {name:<24} {count:>8}\n"));
    }
    text
}
