//! How long work takes and how much memory it needs: from what equal work took before.
//!
//! A class of work (an encoder, a detector with its settings) has a rate in seconds a unit, kept in the store beside the artifacts. It is a
//! measurement, never an input: results do not depend on it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use oodlab_base::Key;
use oodlab_base::file::{remove_leftovers, write_atomic};
use serde::{Deserialize, Serialize};

use super::message::Outcome;
use super::schedule::Schedule;
use crate::graph::{Graph, Node, Stage};
use crate::lab::Lab;
use crate::plan::{Plan, Run};

/// Where rates lie in the store.
const FOLDER: &str = "rates";

/// Memory of a process that has loaded a network and little else.
const PROCESS_BYTES: u64 = 200 << 20;

/// Copies of the training features that a fit may hold at once.
const FIT_COPIES: u64 = 3;

/// What equal work took.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rate {
    /// What was measured, for people.
    class: String,
    /// Images, training samples.
    units: usize,
    seconds: f64,
    threads: usize,
    peak_bytes: Option<u64>,
}

/// What is known of the time and memory of a plan's work.
#[derive(Debug, Default)]
pub struct Estimate {
    /// Class of each node of the graph; none of finished ones, nor of any where the store knows no rates yet.
    classes: Vec<Option<Key>>,
    rates: BTreeMap<Key, Rate>,
}

/// What a job measures, as it travels to the process that does it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// The class of its work.
    class: String,
    /// Images, training samples.
    units: usize,
}

/// Time that is left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Left {
    /// Of one worker, as far as rates are known.
    pub seconds: f64,
    /// Jobs of which nothing is known.
    pub unknown: usize,
}

impl Estimate {
    /// What the store knows of the classes of a graph's work. Who will [`Estimate::learn`] needs the classes also where it knows nothing yet.
    pub fn read(lab: &Lab, plan: &Plan, graph: &Graph, learns: bool) -> Result<Estimate> {
        let mut estimate = Estimate::default();
        let folder = lab.root.join(FOLDER);
        let known = learns || folder.is_dir();
        // What a process left that was killed while it kept a rate. A folder that cannot be read holds no rates.
        if learns && let Err(error) = remove_leftovers(&folder) {
            tracing::debug!(%error, "no rates");
        }
        for node in &graph.nodes {
            let class = match known && node.left {
                true => Some(Key::of_bytes(class_of(&plan.runs[node.run], node)?.as_bytes())),
                false => None,
            };
            estimate.classes.push(class);
            if let Some(key) = class.filter(|key| !estimate.rates.contains_key(key)) {
                let read = fs_err::read(path(lab, &key)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
                estimate.rates.extend(read.map(|rate: Rate| (key, rate)));
            }
        }
        Ok(estimate)
    }

    /// Remembers what a job took.
    pub fn learn(&mut self, lab: &Lab, plan: &Plan, graph: &Graph, node: usize, outcome: &Outcome, threads: usize) {
        let of = &graph.nodes[node];
        let Ok(class) = class_of(&plan.runs[of.run], of) else { return };
        let key = Key::of_bytes(class.as_bytes());
        // Work of the same class is known from now on.
        self.classes[node] = Some(key);
        let (left, all) = (of.parts_left(), of.parts.1.max(1));
        let units = of.units * left / all;
        // A share of an encoding is not told apart from the whole: the shares add up.
        let before = self.rates.remove(&key).filter(|_| of.stage == Stage::Encode);
        let rate = match before {
            Some(before) if before.units == units => Rate { seconds: before.seconds + outcome.seconds, ..before },
            _ => Rate { class, units, seconds: outcome.seconds, threads, peak_bytes: outcome.peak_bytes },
        };
        rate.keep(lab, &key);
        self.rates.insert(key, rate);
    }

    /// Seconds that a node will take one worker of so many threads; none where no equal work was measured.
    pub fn seconds(&self, graph: &Graph, node: usize, threads: usize) -> Option<f64> {
        let rate = self.rates.get(&self.classes[node]?)?;
        let of = &graph.nodes[node];
        let units = (of.units * of.parts_left()) as f64 / of.parts.1.max(1) as f64;
        let speed = threads.max(1) as f64 / rate.threads.max(1) as f64;
        Some(rate.seconds / rate.units.max(1) as f64 * units / speed)
    }

    /// Time for everything that is left.
    pub fn left(&self, graph: &Graph, schedule: Option<&Schedule>, threads: usize) -> Left {
        let open = |at: usize| schedule.is_none_or(|s| !s.is_done(at) && s.failure(at).is_none());
        let mut left = Left { seconds: 0.0, unknown: 0 };
        for at in (0..graph.nodes.len()).filter(|&at| graph.nodes[at].left && open(at)) {
            match self.seconds(graph, at, threads) {
                Some(seconds) => left.seconds += seconds,
                None => left.unknown += 1,
            }
        }
        left
    }

    /// Memory that a node's job may take, in bytes: what equal work took, or a guess from the sizes.
    pub fn bytes(&self, plan: &Plan, graph: &Graph, node: usize) -> u64 {
        if let Some(peak) = self.classes[node].and_then(|class| self.rates.get(&class)?.peak_bytes) {
            return peak;
        }
        let run = &plan.runs[graph.nodes[node].run];
        let features = match graph.nodes[node].stage {
            Stage::Fit => run.sets.train.source().len() as u64 * columns(run) * 4 * FIT_COPIES,
            Stage::Encode | Stage::Score | Stage::Evaluate => 0,
        };
        PROCESS_BYTES + features
    }
}

/// What one of so many equal shares of a node's work measures; none for work of which nothing is known.
pub fn measure(plan: &Plan, node: &Node, shares: usize) -> Option<Measure> {
    let class = class_of(&plan.runs[node.run], node).ok()?;
    Some(Measure { class, units: node.units * node.parts_left() / node.parts.1.max(1) / shares.max(1) })
}

/// Remembers what a job took that was done elsewhere than the plan was made.
pub fn remember(lab: &Lab, measure: Measure, outcome: &Outcome, threads: usize) {
    let Measure { class, units } = measure;
    let key = Key::of_bytes(class.as_bytes());
    Rate { class, units, seconds: outcome.seconds, threads, peak_bytes: outcome.peak_bytes }.keep(lab, &key);
}

impl Rate {
    /// A measurement that cannot be kept costs an estimate, not the run.
    fn keep(&self, lab: &Lab, class: &Key) {
        let path = path(lab, class);
        let folder = path.parent().map(std::path::Path::to_owned).unwrap_or_default();
        let written = fs_err::create_dir_all(folder)
            .and_then(|()| write_atomic(&path, &serde_json::to_vec(self).unwrap_or_default()));
        if let Err(error) = written {
            tracing::debug!(%error, "a rate cannot be kept");
        }
    }
}

/// Columns of the chosen layers.
fn columns(run: &Run) -> u64 {
    let layers = run.layers.iter().filter_map(|number| run.sets.layers.get(number.checked_sub(1)?));
    layers.map(|layer| (layer.end - layer.start) as u64).sum()
}

/// Work that takes the same time a unit.
fn class_of(run: &Run, node: &Node) -> Result<String> {
    use super::job::Step;
    Ok(match node.step {
        Step::Encode { .. } => {
            let network = run.sets.backbone.key().map(|key| key.short()).unwrap_or_default();
            let size = run.sets.backbone.network().map(|network| network.resolution()).unwrap_or_default();
            format!("encode {network} {size}")
        }
        Step::Fit { contender } => {
            let detector = run.contenders[contender].fit.detector();
            format!("fit {} {} {}", detector.kind(), detector.fit_config(), columns(run))
        }
        Step::Score { contender } => {
            let detector = run.contenders[contender].fit.detector();
            let (fit, score) = (detector.fit_config(), detector.score_config());
            format!("score {} {fit} {score} {}", detector.kind(), columns(run))
        }
        Step::Evaluate => {
            let intervals = serde_json::to_string(&run.experiment.intervals)?;
            let scores: usize = run.contenders.iter().map(|of| of.fit.detector().score_names().len()).sum();
            format!("evaluate {scores} scores {intervals}")
        }
    })
}

fn path(lab: &Lab, class: &Key) -> PathBuf {
    lab.root.join(FOLDER).join(format!("{}.json", class.short()))
}
