//! `oodlab data fetch`: published files, downloaded, proven and imported.

use std::collections::BTreeMap;

use anyhow::Result;
use oodlab_datasets::{FetchOptions, FetchPlan, FetchReport, Library};
use oodlab_fetch::Fetcher;

use super::data::describe;
use super::data_list::parts;
use super::{print, print_json};
use crate::lab::Lab;

pub fn fetch(lab: &Lab, names: &[String], benchmark: Option<&str>, options: &FetchOptions, json: bool) -> Result<()> {
    let library = lab.library()?;
    // Wrong names are told before anything is downloaded; so are licences and sizes.
    let wanted = wanted(&library, names, benchmark, options)?;
    let mut plans = Vec::new();
    for (name, options) in &wanted {
        let plan = library.fetch_plan(name, options)?;
        if !json {
            print(&announce(&plan))?;
        }
        plans.push(plan);
    }
    let fetcher = Fetcher::new()?;
    let (mut reports, mut failed) = (Vec::new(), Vec::new());
    for ((name, options), plan) in wanted.iter().zip(&plans) {
        if plan.wanted.is_empty() && plan.complete {
            continue;
        }
        match library.fetch(name, options, &fetcher, &lab.bars, &lab.cancel) {
            Ok(report) => {
                if !json {
                    print(&told(&library, &report)?)?;
                }
                if !report.complete {
                    failed.push(format!("{name} is not complete"));
                }
                reports.push(report);
            }
            Err(error @ oodlab_datasets::DatasetError::Cancelled(_)) => return Err(error.into()),
            // One that fails does not stop the others.
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    if json {
        print_json(&serde_json::json!({ "plans": plans, "fetched": reports, "failed": failed }))?;
    } else if !failed.is_empty() {
        let lines: String = failed.iter().map(|line| format!("failed  {line}\n")).collect();
        print(&lines)?;
    }
    anyhow::ensure!(failed.is_empty(), "{} of {} sets are not all there", failed.len(), wanted.len());
    Ok(())
}

/// Every set once, with the splits that are wanted of it.
fn wanted(
    library: &Library,
    names: &[String],
    benchmark: Option<&str>,
    options: &FetchOptions,
) -> Result<Vec<(String, FetchOptions)>> {
    let Some(benchmark) = benchmark else {
        return Ok(names.iter().map(|name| (name.clone(), options.clone())).collect());
    };
    let mut splits: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, set, split) in parts(&library.benchmark(benchmark)?) {
        splits.entry(set).or_default().push(split);
    }
    Ok(splits.into_iter().map(|(set, splits)| (set, FetchOptions { splits, ..options.clone() })).collect())
}

fn announce(plan: &FetchPlan) -> String {
    let FetchPlan { name, licence, wanted, .. } = plan;
    if plan.complete {
        return format!("{name}: all there, nothing to download\n");
    }
    if wanted.is_empty() {
        return format!("{name}: nothing of it can be downloaded; licence: {licence}\n");
    }
    let files: Vec<&str> = wanted.iter().map(|file| file.path.as_str()).collect();
    let first = files.iter().take(4).copied().collect::<Vec<_>>().join(", ");
    let more = if files.len() > 4 { format!(" and {} more", files.len() - 4) } else { String::new() };
    format!("{name}: {} to download ({first}{more}); licence: {licence}\n", plan.size())
}

fn told(library: &Library, report: &FetchReport) -> Result<String> {
    let mut text = String::new();
    for file in &report.downloaded {
        let from = file.address.as_deref().unwrap_or("an earlier download");
        let proof = file.proven_by.map_or("not proven".to_owned(), |what| format!("{what} right"));
        text.push_str(&format!("{}: {} from {from}, {proof}\n", report.name, file.file));
    }
    for warning in &report.warnings {
        text.push_str(&format!("  warning: {warning}\n"));
    }
    text.extend(report.imported.iter().map(describe));
    if !report.complete {
        let what = if report.unavailable.is_empty() { "a part".to_owned() } else { report.unavailable.join(", ") };
        text.push_str(&format!("{}: {what} is missing; {}\n", report.name, library.how_to_get(&report.name)?));
    }
    Ok(text)
}
