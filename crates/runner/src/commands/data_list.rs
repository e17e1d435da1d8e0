//! `oodlab data list`: what is at hand, and how to get what is not.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use oodlab_datasets::{Benchmark, FetchOptions, Library, State, Status};
use serde::Serialize;

use super::data::counts;
use super::{print, print_json};
use crate::lab::Lab;

/// A set, and how to get what is missing of it.
#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    status: Status,
    /// What a benchmark uses it for, split by split; empty where none was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    uses: Vec<Use>,
    /// `data fetch` can bring all that is missing.
    fetchable: bool,
    /// Bytes that it would download, as far as published.
    fetch_bytes: u64,
    /// What to do; nothing where nothing is missing.
    how_to_get: Option<String>,
}

#[derive(Serialize)]
struct Use {
    role: String,
    split: String,
    found: usize,
    expected: Option<usize>,
}

pub fn list(lab: &Lab, benchmark: Option<&str>, json: bool) -> Result<()> {
    let library = lab.library()?;
    let lines = match benchmark {
        None => {
            let all = library.list()?.into_iter().map(|status| line(&library, status, Vec::new()));
            all.collect::<Result<Vec<Line>>>()?
        }
        Some(name) => of_benchmark(&library, &library.benchmark(name)?)?,
    };
    if json {
        return print_json(&lines);
    }
    let name = lines.iter().map(|l| l.status.name.len()).max().unwrap_or(0);
    let number = lines.iter().map(|l| counts(&l.status).len()).max().unwrap_or(0).min(48);
    let mut text = String::new();
    for Line { status, uses, how_to_get, .. } in &lines {
        let Status { state, origin, licence, .. } = status;
        let state = state.to_string();
        let shown = counts(status);
        text.push_str(&format!("{:name$}  {state:<8} {origin:<9} {shown:<number$}  {licence}\n", status.name));
        for Use { role, split, found, .. } in uses {
            let missing = if *found == 0 { ": missing" } else { "" };
            text.push_str(&format!("{:name$}    {role}: split {split}, {found} images{missing}\n", ""));
        }
        if let Some(how) = how_to_get {
            text.push_str(&format!("{:name$}    {how}\n", ""));
        }
    }
    if benchmark.is_some() {
        let lacking = lines.iter().filter(|line| line.uses.iter().any(|one| one.found == 0)).count();
        let all = lines.len();
        text.push_str(&match lacking {
            0 => format!("all {all} sets are at hand\n"),
            _ if lines.first().is_some_and(|id| id.uses.iter().any(|one| one.found == 0)) => {
                format!("{lacking} of {all} sets are missing, the in-distribution one among them: it cannot run\n")
            }
            _ => format!("{lacking} of {all} sets are missing: it runs without them and says so\n"),
        });
    }
    print(&text)
}

fn line(library: &Library, status: Status, uses: Vec<Use>) -> Result<Line> {
    let splits: Vec<String> = uses.iter().map(|one| one.split.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    // Only what is used: further splits may be a hundred times as large.
    let some = splits.iter().map(|split| format!(" --split {split}")).collect::<String>();
    let plan = library.fetch_plan(&status.name, &FetchOptions { splits, ..FetchOptions::default() })?;
    let fetchable = !plan.wanted.is_empty() && plan.unavailable.is_empty();
    let name = &status.name;
    let enough = if uses.is_empty() { status.state == State::Present } else { plan.complete };
    let how_to_get = match (enough, plan.wanted.is_empty()) {
        (true, _) => None,
        (false, false) if fetchable => Some(format!("oodlab data fetch {name}{some}   ({})", plan.size())),
        (false, false) => {
            let rest = plan.unavailable.join(", ");
            Some(format!(
                "oodlab data fetch {name}{some}   ({}, without {rest}: {})",
                plan.size(),
                library.how_to_get(name)?
            ))
        }
        (false, true) => Some(library.how_to_get(name)?),
    };
    Ok(Line { status, uses, fetchable, fetch_bytes: plan.bytes, how_to_get })
}

/// The sets of a benchmark with what it uses them for, the in-distribution one first.
fn of_benchmark(library: &Library, benchmark: &Benchmark) -> Result<Vec<Line>> {
    let mut uses: BTreeMap<String, Vec<Use>> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    for (role, set, split) in parts(benchmark) {
        let status = library.status(&set)?;
        let count = status.splits.get(&split);
        let one = Use {
            role,
            found: count.map_or(0, |count| count.found),
            expected: count.and_then(|count| count.expected),
            split,
        };
        if !order.contains(&set) {
            order.push(set.clone());
        }
        uses.entry(set).or_default().push(one);
    }
    let lines = order.iter().map(|set| line(library, library.status(set)?, uses.remove(set).unwrap_or_default()));
    lines.collect()
}

/// Role, set and split of everything that a benchmark reads.
pub(super) fn parts(benchmark: &Benchmark) -> Vec<(String, String, String)> {
    let id = &benchmark.id;
    let mut parts = vec![
        ("in-distribution, to learn from".to_owned(), id.set.clone(), id.train_split.clone()),
        ("in-distribution, scored".to_owned(), id.set.clone(), id.test_split.clone()),
    ];
    let shifted = id.shifted.iter().map(|one| ("shifted, scored".to_owned(), one.set.clone(), one.split().to_owned()));
    parts.extend(shifted);
    let scored = benchmark.members();
    parts.extend(scored.map(|(group, one)| (format!("{group}, scored"), one.set.clone(), one.split().to_owned())));
    if let Some(validation) = &benchmark.validation {
        let all = std::iter::once(&validation.id).chain(&validation.ood);
        parts.extend(all.map(|one| ("to choose settings".to_owned(), one.set.clone(), one.split().to_owned())));
    }
    parts
}
