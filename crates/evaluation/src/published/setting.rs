//! In what our set-up differs from the published one, as far as both are known.

use std::collections::BTreeMap;

use crate::metrics::Metric;
use crate::record::About;
use crate::table::{Row, same_value};

use super::PublishedTable;

/// The layers that detectors see, and what they are when none are chosen.
const LAYERS: &str = "features.layers";
const ALL_LAYERS: &str = "all";

/// What is known of our experiment.
pub(super) struct Facts<'a> {
    about: &'a About,
    config: serde_yaml::Value,
}

impl<'a> Facts<'a> {
    pub fn of(about: &'a About) -> Facts<'a> {
        // A record without a readable configuration has no facts, which is no error of its numbers.
        Facts { about, config: serde_yaml::from_str(&about.config).unwrap_or_default() }
    }

    /// A setting by its path: the row's own where it is swept, else the configuration's.
    pub fn value(&self, row: &Row, path: &str) -> Option<String> {
        if let Some(swept) = row.sweep.get(path) {
            return Some(swept.clone());
        }
        let mut at = &self.config;
        for part in path.split('.') {
            at = at.get(part)?;
        }
        match at {
            serde_yaml::Value::Bool(value) => Some(value.to_string()),
            serde_yaml::Value::Number(value) => Some(value.to_string()),
            serde_yaml::Value::String(value) => Some(value.clone()),
            // As a sweep's cell says it: `[1,2,3]`.
            serde_yaml::Value::Sequence(_) => serde_json::to_string(at).ok(),
            serde_yaml::Value::Null if path == LAYERS => Some(ALL_LAYERS.to_owned()),
            _ => None,
        }
    }

    fn is_control(&self, detector: &str) -> bool {
        self.about.runs.iter().flat_map(|run| &run.detectors).any(|known| known.name == detector && known.control)
    }

    fn train_images(&self) -> Vec<u64> {
        let train = self.about.runs.iter().flat_map(|run| &run.sets).filter(|set| set.role == "train");
        let mut counts: Vec<u64> = train.map(|set| set.images as u64).collect();
        counts.sort_unstable();
        counts.dedup();
        counts
    }
}

/// The reasons, in a fixed order: settings, images, protocol, rule, runs. Of the rows, the first have a published counterpart; the second
/// stand beside published numbers at all.
pub(super) fn differences(
    published: &PublishedTable,
    facts: &Facts<'_>,
    [matched, rows]: [&[&Row]; 2],
    metrics: &[Metric],
    set: impl Fn(&str) -> String,
) -> Vec<String> {
    let setting = &published.setting;
    let mut reasons = Vec::new();
    for (path, theirs) in &setting.config {
        // A control has settings of its own, which the configuration keeps elsewhere.
        let of_detector = path.starts_with("detector.");
        let compared = if of_detector { matched } else { rows };
        let own = compared.iter().filter(|row| !(of_detector && facts.is_control(&row.detector)));
        let mut ours: Vec<String> = own.filter_map(|row| facts.value(row, path)).collect();
        ours.retain(|ours| !theirs.0.iter().any(|theirs| same_value(ours, theirs)));
        let mut once: Vec<String> = Vec::new();
        for value in ours {
            if !once.contains(&value) {
                once.push(value);
            }
        }
        if !once.is_empty() {
            reasons.push(format!("{path} {} here, {} there", once.join(" or "), theirs.0.join(" or ")));
        }
    }
    let counted = |what: &str, ours: &[u64], theirs: Option<u64>| -> Option<String> {
        let theirs = theirs.filter(|theirs| ours.iter().any(|ours| ours != theirs))?;
        let ours: Vec<String> = ours.iter().map(u64::to_string).collect();
        Some(format!("{what} {} here, {theirs} there", ours.join(" or ")))
    };
    reasons.extend(counted("training images", &facts.train_images(), setting.train_images));
    let mut id: Vec<u64> = rows.iter().filter_map(|row| row.n_id).collect();
    id.sort_unstable();
    id.dedup();
    reasons.extend(counted("ID test images", &id, setting.id_images));
    let mut sets: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for row in rows {
        if let Some(count) = row.n_ood {
            let counts = sets.entry(set(&row.ood_set)).or_default();
            if !counts.contains(&count) {
                counts.push(count);
            }
        }
    }
    for (set, counts) in &sets {
        reasons.extend(counted(&format!("images of {set}"), counts, setting.images.get(set).copied()));
    }
    let others = |ours: Vec<&str>, theirs: &str| -> String {
        let mut other: Vec<&str> = ours.into_iter().filter(|ours| *ours != theirs).collect();
        other.sort_unstable();
        other.dedup();
        other.join(" or ")
    };
    if let Some(theirs) = &setting.protocol {
        let ours = others(rows.iter().map(|row| row.protocol.as_str()).collect(), theirs);
        if !ours.is_empty() {
            reasons.push(format!("protocol {ours} here, {theirs} there"));
        }
    }
    let fpr = metrics.iter().any(|metric| matches!(metric, Metric::Fpr95Id | Metric::Fpr95Ood));
    if let Some(theirs) = published.convention.rule.filter(|_| fpr) {
        let ours = others(rows.iter().map(|row| row.rule.as_str()).collect(), theirs.name());
        if !ours.is_empty() {
            reasons.push(format!("operating point of FPR95 {ours} here, {theirs} there"));
        }
    }
    if let Some(theirs) = published.seeds {
        let mut seeds: Vec<u64> = rows.iter().map(|row| row.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        if seeds.len() != theirs {
            reasons.push(format!("{} here, {} there", runs(seeds.len()), runs(theirs)));
        }
    }
    reasons
}

fn runs(count: usize) -> String {
    if count == 1 { "1 run".to_owned() } else { format!("{count} runs") }
}
