//! `oodlab cache`: what the store holds, whether it is sound, and what may go.
//!
//! Only finished work is touched (`STORE/artifacts`). Imported data, weights and features lie beside it and are never looked at.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Subcommand;
use oodlab_base::Progress;
use oodlab_store::{Store, Stored};
use serde::Serialize;

use super::{print, print_json};
use crate::config::{Environment, Request, Source};
use crate::lab::Lab;
use crate::plan::Plan;
use crate::stages::evaluate::Evaluate;
use crate::work::steps::score_stage;

#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Every artifact: stage, key, parts, size, age, what it is
    List,
    /// Read every part and compare its checksum; exit code 1 when one is damaged
    Verify {
        /// Delete damaged parts: the next run that needs them computes them again
        #[arg(long)]
        remove: bool,
    },
    /// Show what nothing needs, and how large it is; --yes deletes it
    #[command(
        after_help = "Always: what writers left half-written, leases of dead processes, unfinished artifacts that nobody has touched\n\
        for N days. With --keep also every artifact that none of the named experiments needs, as they are now: with the data\n\
        sets at hand, and on a machine like this one (keys name the instruction set, fits the whole processor).\n\
        Never: imported data, weights and features, and what somebody is working on.\n\n\
        Examples:\n  oodlab cache collect\n  oodlab cache collect --keep experiments/quickstart.yaml --keep experiments/cifar10_far.yaml --yes"
    )]
    Collect {
        /// Keep what this experiment needs, and nothing that no named experiment needs; may be given several times
        #[arg(long, value_name = "EXPERIMENT")]
        keep: Vec<PathBuf>,
        /// Age in days after which unfinished work goes
        #[arg(long, value_name = "N", default_value_t = 7)]
        unfinished_days: u16,
        /// Delete; without it nothing is touched
        #[arg(long)]
        yes: bool,
    },
}

/// Runs a subcommand.
pub fn run(lab: &Lab, command: &CacheCommand, json: bool) -> Result<()> {
    match command {
        CacheCommand::List => list(lab, json),
        CacheCommand::Verify { remove } => verify(lab, *remove, json),
        CacheCommand::Collect { keep, unfinished_days, yes } => {
            collect(lab, keep, Duration::from_secs(u64::from(*unfinished_days) * 24 * 3600), *yes, json)
        }
    }
}

/// One artifact, as told.
#[derive(Serialize)]
struct Entry {
    stage: String,
    key: String,
    parts: usize,
    finished: bool,
    in_use: bool,
    size_bytes: u64,
    age_s: u64,
    /// What the stage called its work; empty where it is not finished, or an earlier version wrote it.
    label: String,
}

impl Entry {
    fn of(stored: &Stored) -> Entry {
        let label = stored.note.as_ref().and_then(|note| note.get("label"));
        Entry {
            stage: stored.stage.clone(),
            key: stored.key.clone(),
            parts: stored.parts.len(),
            finished: stored.note.is_some(),
            in_use: stored.in_use.is_some(),
            size_bytes: stored.size_bytes,
            age_s: stored.age.as_secs(),
            label: label.cloned().unwrap_or_default(),
        }
    }

    fn line(&self) -> String {
        let state = match (self.in_use, self.finished) {
            (true, _) => "in use",
            (false, true) => "finished",
            (false, false) => "unfinished",
        };
        let (key, parts, size, age) = (&self.key[..12], self.parts, bytes(self.size_bytes), age(self.age_s));
        format!("  {key}  {state:<10} {parts:>6} parts {size:>10} {age:>7}  {}\n", self.label)
    }
}

fn list(lab: &Lab, json: bool) -> Result<()> {
    let entries: Vec<Entry> = lab.store()?.survey()?.iter().map(Entry::of).collect();
    if json {
        return print_json(&entries);
    }
    let mut stages: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in &entries {
        stages.entry(&entry.stage).or_default().push(entry);
    }
    let total = |entries: &[&Entry]| bytes(entries.iter().map(|entry| entry.size_bytes).sum());
    let mut text = String::new();
    for (stage, entries) in &stages {
        text.push_str(&format!("{stage}: {} artifacts, {}\n", entries.len(), total(entries)));
        entries.iter().for_each(|entry| text.push_str(&entry.line()));
    }
    let all: Vec<&Entry> = entries.iter().collect();
    text.push_str(&format!("{} artifacts, {} in {}\n", all.len(), total(&all), lab.store()?.root().display()));
    print(&text)
}

/// One damaged file.
#[derive(Serialize)]
struct Damaged {
    stage: String,
    key: String,
    path: PathBuf,
    reason: String,
}

fn verify(lab: &Lab, remove: bool, json: bool) -> Result<()> {
    let all = lab.store()?.survey()?;
    let total = all.iter().map(|stored| stored.size_bytes).sum();
    let task = lab.bars.task("verify", "bytes", total, 0);
    let read = Cell::new(0);
    let mut damaged = Vec::new();
    for stored in &all {
        lab.cancel.check()?;
        let damages = stored.verify(&|bytes| {
            read.set(read.get() + bytes);
            task.advance(bytes);
        })?;
        if remove {
            stored.remove(&damages)?;
        }
        let (stage, key) = (&stored.stage, &stored.key);
        damaged.extend(damages.into_iter().map(|damage| Damaged {
            stage: stage.clone(),
            key: key.clone(),
            path: damage.path,
            reason: damage.reason,
        }));
    }
    drop(task);
    let parts: usize = all.iter().map(|stored| stored.parts.len()).sum();
    if json {
        print_json(&serde_json::json!({
            "artifacts": all.len(), "parts": parts, "bytes": read.get(), "damaged": damaged, "removed": remove
        }))?;
    } else {
        for damage in &damaged {
            print(&format!("damaged: {}: {}\n", damage.path.display(), damage.reason))?;
        }
        print(&format!("{} artifacts, {parts} parts, {} read\n", all.len(), bytes(read.get())))?;
    }
    let hint = if remove {
        "removed; the next run that needs them computes them again"
    } else {
        "`oodlab cache verify --remove` deletes them, and the next run computes them again"
    };
    anyhow::ensure!(damaged.is_empty(), "{} damaged files in the store: {hint}", damaged.len());
    Ok(())
}

/// Something that may go.
#[derive(Serialize)]
struct Candidate {
    reason: &'static str,
    #[serde(flatten)]
    entry: Entry,
}

#[derive(Serialize)]
struct Collected {
    /// Whether it was deleted, or only looked for.
    deleted: bool,
    artifacts: Vec<Candidate>,
    /// Artifacts that would go, but that somebody works on.
    in_use: Vec<Entry>,
    leftovers: usize,
    dead_leases: usize,
    bytes: u64,
    /// Data sets of the experiments to keep that are not at hand: their features are not known to be needed.
    missing: BTreeSet<String>,
}

fn collect(lab: &Lab, keep: &[PathBuf], unfinished: Duration, yes: bool, json: bool) -> Result<()> {
    // Before anything is looked at: an experiment that cannot be read must not cost its artifacts.
    let (needed, missing) = needed(lab, keep)?;
    let store = lab.store()?;
    let all = store.survey()?;
    let mut found = Collected {
        deleted: yes,
        artifacts: Vec::new(),
        in_use: Vec::new(),
        leftovers: 0,
        dead_leases: 0,
        bytes: 0,
        missing,
    };
    // The checkpoints of a fit lie under its key and have no lease of their own.
    let busy: BTreeSet<&str> = all.iter().filter(|s| s.in_use.is_some()).map(|stored| stored.key.as_str()).collect();
    for stored in &all {
        lab.cancel.check()?;
        let is_needed = needed.contains(&(stored.stage.clone(), stored.key.clone()));
        let reason = if !keep.is_empty() && !is_needed {
            "no experiment that is kept needs it"
        } else if stored.note.is_none() && stored.age > unfinished && !is_needed {
            "unfinished"
        } else {
            found.dead_leases += dead_leases(store, stored, yes)?;
            continue;
        };
        let goes = !busy.contains(stored.key.as_str()) && (!yes || store.delete(stored)?.is_ok());
        if goes {
            found.bytes += stored.size_bytes;
            found.artifacts.push(Candidate { reason, entry: Entry::of(stored) });
        } else {
            found.in_use.push(Entry { in_use: true, ..Entry::of(stored) });
        }
    }
    for leftover in store.leftovers(unfinished)? {
        if yes {
            store.delete_leftover(&leftover)?;
        }
        found.bytes += leftover.size_bytes;
        found.leftovers += 1;
    }
    if json { print_json(&found) } else { print(&describe(&found)) }
}

fn dead_leases(store: &Store, stored: &Stored, yes: bool) -> Result<usize> {
    if yes { Ok(store.remove_dead_leases(stored)?) } else { Ok(stored.dead_leases.len()) }
}

fn describe(found: &Collected) -> String {
    let verb = if found.deleted { "deleted" } else { "would delete" };
    let mut text = String::new();
    for Candidate { reason, entry } in &found.artifacts {
        text.push_str(&format!("{verb} {} ({reason}):\n{}", entry.stage, entry.line()));
    }
    for entry in &found.in_use {
        text.push_str(&format!("left alone, in use: {}\n{}", entry.stage, entry.line()));
    }
    for set in &found.missing {
        text.push_str(&format!("{set} is not at hand: its features do not count as needed\n"));
    }
    let (artifacts, size) = (found.artifacts.len(), bytes(found.bytes));
    let (leftovers, leases) = (found.leftovers, found.dead_leases);
    text.push_str(&format!(
        "{verb} {artifacts} artifacts, {leftovers} half-written files, {leases} leases of dead processes: {size}\n"
    ));
    if !found.deleted && artifacts + leftovers + leases > 0 {
        text.push_str("nothing was touched; --yes deletes\n");
    }
    text
}

/// (Stage, key) of all artifacts that the plans of experiments reach, and the sets that they name and that are not at hand.
#[expect(clippy::type_complexity, reason = "two plain sets, named above")]
fn needed(lab: &Lab, keep: &[PathBuf]) -> Result<(BTreeSet<(String, String)>, BTreeSet<String>)> {
    let (mut needed, mut missing) = (BTreeSet::new(), BTreeSet::new());
    for file in keep {
        let source = Source::open(&Request::of_file(file, Environment::Read))?;
        let plan = Plan::new(lab, &source).with_context(|| format!("--keep {}", file.display()))?;
        missing.extend(plan.missing.into_keys());
        for run in &plan.runs {
            for encode in run.sets.encodes() {
                needed.insert(("encode".to_owned(), encode.key().hex()));
            }
            needed.insert(("evaluate".to_owned(), Evaluate::new(run)?.key().hex()));
            for contender in &run.contenders {
                let fit = contender.fit.key().hex();
                needed.insert(("checkpoint".to_owned(), fit.clone()));
                needed.insert(("fit".to_owned(), fit));
                for encode in run.sets.scored() {
                    needed.insert(("score".to_owned(), score_stage(contender, encode)?.key().hex()));
                }
            }
        }
    }
    Ok((needed, missing))
}

/// `12.3 MB`.
fn bytes(count: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// `3 days`.
fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_short() {
        let told = [0, 999, 1000, 999_949, 999_950, 12_345_678, 3_000_000_000_000_000].map(bytes);
        assert_eq!(told, ["0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "12.3 MB", "3000.0 TB"]);
        assert_eq!([0, 119, 120, 7200, 172_800].map(age), ["0 s", "119 s", "2 min", "2 h", "2 days"]);
    }
}
