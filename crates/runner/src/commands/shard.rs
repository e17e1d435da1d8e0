//! `oodlab run --shard i/n`: one process's share of the encoding of an experiment.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use anyhow::Result;
use serde::Serialize;

use super::{print, print_json};
use crate::cli::Target;
use crate::config::Source;
use crate::lab::Lab;
use crate::plan::Plan;
use crate::stages::source::FeatureSource;

/// Which of how many equal shares, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    number: usize,
    count: usize,
}

impl Shard {
    /// Whether the part with this place in the list of all parts of a plan belongs to the shard. Shares differ by one part at
    /// most.
    fn has(self, place: usize) -> bool {
        place % self.count == self.number - 1
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let wrong = || format!("expected i/n with i from 1 to n, as in 2/4, found {text:?}");
        let (number, count) = text.split_once('/').ok_or_else(wrong)?;
        let read = |text: &str| text.parse::<u32>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
        match (read(number), read(count)) {
            (Some(number), Some(count)) if (1..=count).contains(&number) => {
                Ok(Shard { number: number as usize, count: count as usize })
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

/// One encoding of the plan.
#[derive(Serialize)]
struct Share {
    label: String,
    key: String,
    /// Parts in all, those of this shard, and of them those that this process computed.
    parts: usize,
    of_shard: usize,
    computed: usize,
    /// Parts in all that are stored now, by whatever process.
    stored: usize,
}

#[derive(Serialize)]
struct Report {
    experiment: String,
    shard: String,
    parts_of_shard: usize,
    parts_computed: usize,
    parts_stored: usize,
    parts: usize,
    finished: bool,
    stages: Vec<Share>,
}

/// Computes the parts of one shard of every encoding that an experiment needs, and says what is done.
///
/// Parts are dealt out in turn over all encodings of the plan, so that shares are equal also where sets are small. Nothing else
/// of the experiment is computed and no results are written.
pub fn run(lab: &Lab, target: &Target, shard: Shard, json: bool) -> Result<()> {
    let source = Source::open(&target.request()?)?;
    let plan = Plan::new(lab, &source)?;
    for (set, how) in &plan.missing {
        tracing::warn!("{set} is not at hand and is left out: {how}");
    }
    let mut seen = BTreeSet::new();
    let mut place = 0;
    let mut stages = Vec::new();
    for encode in plan.runs.iter().flat_map(|run| run.sets.encodes()).filter_map(FeatureSource::encoding) {
        if !seen.insert(encode.key()) {
            continue;
        }
        let parts = encode.parts();
        let own: Vec<usize> = (0..parts).filter(|part| shard.has(place + part)).collect();
        place += parts;
        let computed = encode.ensure_parts(lab, &own)?;
        let (of_shard, key) = (own.len(), encode.key().short());
        stages.push((encode, Share { label: encode.label(), key, parts, of_shard, computed, stored: 0 }));
    }
    // Counted at the end: other shards have gone on meanwhile.
    for (encode, share) in &mut stages {
        share.stored = encode.state(lab)?.0;
    }
    let stages: Vec<Share> = stages.into_iter().map(|(_, share)| share).collect();
    let sum = |of: fn(&Share) -> usize| stages.iter().map(of).sum::<usize>();
    let (parts, parts_stored) = (sum(|s| s.parts), sum(|s| s.stored));
    let report = Report {
        experiment: source.name.clone(),
        shard: shard.to_string(),
        parts_of_shard: sum(|s| s.of_shard),
        parts_computed: sum(|s| s.computed),
        parts_stored,
        parts,
        finished: parts_stored == parts,
        stages,
    };
    if json { print_json(&report) } else { print(&describe(&report, &source)) }
}

fn describe(report: &Report, source: &Source) -> String {
    let Report { experiment, shard, parts_of_shard, parts_computed, parts_stored, parts, .. } = report;
    let mut text = format!(
        "{experiment} shard {shard}: {parts_computed} of its {parts_of_shard} parts computed, {} were there\n",
        parts_of_shard - parts_computed
    );
    for Share { label, key, parts, of_shard, computed, stored } in &report.stages {
        text.push_str(&format!(
            "  {key}  {label}: {computed} of {of_shard} computed; of all {parts} parts {stored} are stored\n"
        ));
    }
    let command = source.command();
    text.push_str(&if report.finished {
        format!("all {parts} parts are stored: `{command}` goes on from here\n")
    } else {
        format!("{parts_stored} of {parts} parts are stored; run the other shards, or `{command}`\n")
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_read_and_nonsense_is_refused() {
        let read = |text: &str| text.parse::<Shard>();
        assert_eq!(read("2/4"), Ok(Shard { number: 2, count: 4 }));
        assert_eq!(read("1/1").map(|shard| shard.to_string()).as_deref(), Ok("1/1"));
        for wrong in
            ["", "1", "0/4", "5/4", "1/0", "0/0", "-1/4", "+1/4", "1/4/2", "a/b", "1/99999999999", " 1/4", "1/"]
        {
            assert!(read(wrong).is_err_and(|told| told.contains("2/4")), "{wrong}");
        }
    }

    #[test]
    fn every_part_belongs_to_one_shard_and_shares_are_equal() {
        for count in 1..6 {
            let shards: Vec<Shard> = (1..=count).map(|number| Shard { number, count }).collect();
            let owners = |place: usize| shards.iter().filter(|shard| shard.has(place)).count();
            assert!((0..50).all(|place| owners(place) == 1));
            let shares: Vec<usize> = shards.iter().map(|shard| (0..50).filter(|&p| shard.has(p)).count()).collect();
            assert!(shares.iter().max().zip(shares.iter().min()).is_some_and(|(most, least)| most - least <= 1));
        }
    }
}
