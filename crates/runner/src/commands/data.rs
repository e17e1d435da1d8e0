//! `oodlab data`: image sets known, at hand, imported, verified and looked at.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use oodlab_base::file::write_atomic;
use oodlab_datasets::{ImportOptions, ImportReport, Status};

use super::{print, print_json};
use crate::cli::DataCommand;
use crate::lab::Lab;

/// Runs one of the data commands.
pub fn run(lab: &Lab, command: &DataCommand, json: bool) -> Result<()> {
    match command {
        DataCommand::List => list(lab, json),
        DataCommand::Import { name, from, allow_unreadable, .. } => {
            let options = ImportOptions { allow_unreadable: *allow_unreadable };
            match name {
                Some(name) => import(lab, name, from, options, json),
                None => import_all(lab, from, options, json),
            }
        }
        DataCommand::Verify { names } => verify(lab, names, json),
        DataCommand::Show { name, split, count, output } => {
            show(lab, name, split.as_deref(), *count, output.clone(), json)
        }
    }
}

/// `train 10000 of 50000, test 10000`
fn counts(status: &Status) -> String {
    let one = |(split, count): (&String, &oodlab_datasets::Count)| match count.expected {
        Some(expected) if expected != count.found => format!("{split} {} of {expected}", count.found),
        _ => format!("{split} {}", count.found),
    };
    let unreadable =
        if status.unreadable > 0 { format!(", {} unreadable left out", status.unreadable) } else { String::new() };
    format!("{}{unreadable}", status.splits.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn list(lab: &Lab, json: bool) -> Result<()> {
    let sets = lab.library()?.list()?;
    if json {
        return print_json(&sets);
    }
    let name = sets.iter().map(|s| s.name.len()).max().unwrap_or(0);
    let number = sets.iter().map(|s| counts(s).len()).max().unwrap_or(0);
    let line = |s: &Status| {
        let (state, shown) = (s.state.to_string(), counts(s));
        format!("{:name$}  {state:<8} {:<9} {shown:<number$}  {}\n", s.name, s.origin, s.licence)
    };
    print(&sets.iter().map(line).collect::<String>())
}

fn describe(report: &ImportReport) -> String {
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

fn show(lab: &Lab, name: &str, split: Option<&str>, count: usize, output: Option<PathBuf>, json: bool) -> Result<()> {
    let library = lab.library()?;
    let manifest = library.manifest(name)?;
    let split = split.or(manifest.evaluation_split()).or(manifest.splits.keys().next().map(String::as_str));
    let split = split.context("the set has no split")?.to_owned();
    let output = output.unwrap_or_else(|| PathBuf::from(format!("{name}-{split}.png")));
    let sheet = library.show(name, &split, count)?;
    write_atomic(&output, &sheet.to_png()?)?;
    let (width, height) = (sheet.width, sheet.height);
    if json {
        return print_json(&serde_json::json!({ "file": output, "width": width, "height": height }));
    }
    print(&format!("{}: {width} x {height} pixels\n", output.display()))
}
