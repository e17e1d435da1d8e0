//! The stages of all runs of a plan as a graph in which equal stages are one node, and what of it is left to do.
//!
//! encode ─▶ fit ─▶ score ─▶ evaluate, one node a set, a fitted detector, a detector on all sets of a run, and a run's metrics. Only what
//! unfinished runs need is looked up in the store: planning ten thousand finished cells reads one small file each.

pub mod dot;

use std::collections::BTreeMap;

use anyhow::Result;
use oodlab_base::{Key, KeyBuilder};

use crate::lab::Lab;
use crate::plan::{Contender, Plan, Run};
use crate::stages::evaluate::Evaluate;
use crate::stages::source::FeatureSource;
use crate::work::job::Step;
use crate::work::steps::score_stage;

/// The kinds of stages, in the order of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Images to features.
    Encode,
    /// Features to a fitted detector.
    Fit,
    /// Features and a fitted detector to scores, of every set of a run.
    Score,
    /// Scores to metrics.
    Evaluate,
}

impl Stage {
    /// All of them, in the order of the work.
    pub const ALL: [Stage; 4] = [Stage::Encode, Stage::Fit, Stage::Score, Stage::Evaluate];

    /// `encode`, `fit`, `score`, `evaluate`.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Encode => "encode",
            Stage::Fit => "fit",
            Stage::Score => "score",
            Stage::Evaluate => "evaluate",
        }
    }
}

/// One piece of work, however many runs need it.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its kind.
    pub stage: Stage,
    /// Equal work has equal keys.
    pub key: Key,
    /// The first run that needs it, by position in the plan.
    pub run: usize,
    /// What it is of that run.
    pub step: Step,
    /// What it reads, by position in the graph: always before this one.
    pub inputs: Vec<usize>,
    /// How many runs need it.
    pub used_by: usize,
    /// Parts in the store, and in all.
    pub parts: (usize, usize),
    /// Whether something has to be done, for it or for what needs it.
    pub left: bool,
    /// What the time that it takes grows with: images, training samples.
    pub units: usize,
}

impl Node {
    /// What a person calls it: `encode mnist test at 32x32`, `fit dlsr, seed 0`.
    pub fn label(&self, plan: &Plan) -> String {
        let run = &plan.runs[self.run];
        let name = |contender: usize| run.contenders[contender].name.as_str();
        match self.step {
            Step::Encode { set, .. } => {
                run.sets.encodes().nth(set).map_or_else(|| "encode".to_owned(), FeatureSource::label)
            }
            Step::Fit { contender } => format!("fit {} seed {}", name(contender), run.seed),
            Step::Score { contender } => format!("score with {} seed {}", name(contender), run.seed),
            Step::Evaluate => format!("evaluate {}", run.name()),
        }
    }

    /// How many parts are missing; one at least where something is left.
    pub fn parts_left(&self) -> usize {
        if self.left { (self.parts.1 - self.parts.0.min(self.parts.1)).max(1) } else { 0 }
    }
}

/// All stages of a plan, each behind what it reads.
pub struct Graph {
    /// The stages.
    pub nodes: Vec<Node>,
    /// The metrics of each run of the plan, by position in the graph.
    pub evaluations: Vec<usize>,
}

impl Graph {
    /// The graph of a plan with what the store has of it. With `with_scores` the scores of finished runs must be there too, as for writing
    /// them into the results.
    pub fn new(lab: &Lab, plan: &Plan, with_scores: bool) -> Result<Graph> {
        let mut builder = Builder::default();
        let evaluations =
            plan.runs.iter().enumerate().map(|(at, run)| builder.add_run(at, run)).collect::<Result<Vec<_>>>()?;
        let mut graph = Graph { nodes: builder.nodes, evaluations };
        graph.look_up(lab, plan, with_scores)?;
        Ok(graph)
    }

    /// Whether the metrics of a run are stored.
    pub fn is_finished(&self, run: usize) -> bool {
        !self.nodes[self.evaluations[run]].left
    }

    /// Asks the store from the results back to the images: what a stored result was made of is not looked at.
    fn look_up(&mut self, lab: &Lab, plan: &Plan, with_scores: bool) -> Result<()> {
        let mut needed = vec![false; self.nodes.len()];
        let mut fits: BTreeMap<Key, bool> = BTreeMap::new();
        for at in (0..self.nodes.len()).rev() {
            let node = &self.nodes[at];
            let run = &plan.runs[node.run];
            let asked = needed[at] || node.stage == Stage::Evaluate || (with_scores && node.stage == Stage::Score);
            if !asked {
                continue;
            }
            // Without its fit a detector has no scores: most of an unfinished sweep needs no look at the store.
            let unfitted = match node.step {
                Step::Score { contender } => {
                    let fit = &run.contenders[contender].fit;
                    match fits.get(&fit.key()) {
                        Some(done) => !done,
                        None => {
                            let done = fit.is_done(lab)?;
                            fits.insert(fit.key(), done);
                            !done
                        }
                    }
                }
                _ => false,
            };
            let parts = if unfitted { (0, node.parts.1) } else { stored(lab, run, node)? };
            let node = &mut self.nodes[at];
            node.parts = parts;
            node.left = parts.0 < parts.1;
            if node.left {
                for input in node.inputs.clone() {
                    needed[input] = true;
                }
            }
        }
        for node in &mut self.nodes {
            // What was not asked for is not needed: as good as done.
            if !node.left {
                node.parts.0 = node.parts.1;
            }
        }
        Ok(())
    }
}

/// (parts in the store, parts in all) of one node.
fn stored(lab: &Lab, run: &Run, node: &Node) -> Result<(usize, usize)> {
    match node.step {
        Step::Encode { set, .. } => run.sets.encodes().nth(set).map_or(Ok((0, 1)), |source| source.state(lab)),
        Step::Fit { contender } => Ok((usize::from(run.contenders[contender].fit.is_done(lab)?), 1)),
        Step::Score { contender } => {
            let (mut there, mut all) = (0, 0);
            for source in run.sets.scored() {
                let (done, parts) = score_stage(&run.contenders[contender], source)?.state(lab)?;
                (there, all) = (there + done, all + parts);
            }
            Ok((there, all))
        }
        Step::Evaluate => Ok((usize::from(Evaluate::is_done(lab, &node.key)?), 1)),
    }
}

#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    known: BTreeMap<(Stage, Key), usize>,
    /// The encodings of sets that were seen, in their order.
    encodes: BTreeMap<Key, Vec<usize>>,
}

impl Builder {
    /// Adds what is new of a run; returns the place of its metrics.
    fn add_run(&mut self, at: usize, run: &Run) -> Result<usize> {
        let encodes = self.add_encodes(at, run);
        let mut scores = Vec::new();
        for (place, contender) in run.contenders.iter().enumerate() {
            let fit = &contender.fit;
            let step = Step::Fit { contender: place };
            let fit = self.add(Stage::Fit, fit.key(), at, step, 1, run.sets.train.source().len(), || vec![encodes[0]]);
            let step = Step::Score { contender: place };
            let images = run.sets.scored().map(FeatureSource::len).sum();
            let inputs = || std::iter::once(fit).chain(encodes[1..].iter().copied()).collect();
            scores.push(self.add(Stage::Score, scores_key(run, contender), at, step, 1, images, inputs));
        }
        let images = run.sets.scored().map(FeatureSource::len).sum();
        Ok(self.add(Stage::Evaluate, Evaluate::new(run)?.key(), at, Step::Evaluate, 1, images, || scores))
    }

    /// The encodings of a run, the training images first; looked through once for all runs that share them.
    fn add_encodes(&mut self, at: usize, run: &Run) -> Vec<usize> {
        if let Some(known) = self.encodes.get(&run.sets.key).cloned() {
            let unique: std::collections::BTreeSet<usize> = known.iter().copied().collect();
            for node in unique {
                self.nodes[node].used_by += 1;
            }
            return known;
        }
        let mut found = Vec::new();
        for (set, source) in run.sets.encodes().enumerate() {
            let parts = source.encoding().map_or(1, |encode| encode.parts());
            let before = self.nodes.len();
            let step = Step::Encode { set, share: None };
            let node = self.add(Stage::Encode, source.key(), at, step, parts, source.len(), Vec::new);
            // The same set twice in one run is used by one run.
            if node < before && found.contains(&node) {
                self.nodes[node].used_by -= 1;
            }
            found.push(node);
        }
        self.encodes.insert(run.sets.key, found.clone());
        found
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a node")]
    fn add(
        &mut self,
        stage: Stage,
        key: Key,
        run: usize,
        step: Step,
        parts: usize,
        units: usize,
        inputs: impl FnOnce() -> Vec<usize>,
    ) -> usize {
        if let Some(&known) = self.known.get(&(stage, key)) {
            self.nodes[known].used_by += 1;
            return known;
        }
        let inputs = inputs();
        self.nodes.push(Node { stage, key, run, step, inputs, used_by: 1, parts: (0, parts), left: false, units });
        self.known.insert((stage, key), self.nodes.len() - 1);
        self.nodes.len() - 1
    }
}

/// Equal where one detector scores the same sets in the same way.
fn scores_key(run: &Run, contender: &Contender) -> Key {
    KeyBuilder::new("scores", 1).key("scoring", &contender.scoring).key("sets", &run.sets.key).finish()
}
