//! Which job is next: the order of the work, what waits for what, and what a failure takes with it. Nothing here runs anything.

use std::collections::{BTreeMap, BTreeSet};

use super::job::{Share, Step};
use crate::graph::{Graph, Stage};

/// A node of the graph while the work goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// So many inputs are not there yet.
    Waits(usize),
    /// So many of its jobs are not finished.
    Open(usize),
    Done,
    /// Why it cannot be had: the node that failed, and its error.
    Failed(usize, String),
}

/// A job to be given out: one node, or a share of an encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// The node.
    pub node: usize,
    /// What is to be done.
    pub step: Step,
}

/// The jobs of a graph.
pub struct Schedule {
    states: Vec<State>,
    dependents: Vec<Vec<usize>>,
    tasks: Vec<Task>,
    /// Jobs of each node that is left.
    jobs: BTreeMap<usize, Vec<usize>>,
    /// Jobs that can be done now. All encodings first: an unreadable image is found before hours of training. Then run by run, so that the
    /// first cells are finished early.
    ready: BTreeSet<(bool, usize, usize)>,
    stages: Vec<(Stage, usize)>,
}

impl Schedule {
    /// Everything that is left of a graph. An encoding is cut into as many shares as there are workers. `failed` names nodes that failed before
    /// and are not to be tried again, each with its error.
    pub fn new(graph: &Graph, workers: usize, failed: &BTreeMap<usize, String>) -> Schedule {
        let nodes = &graph.nodes;
        let mut schedule = Schedule {
            states: vec![State::Done; nodes.len()],
            dependents: vec![Vec::new(); nodes.len()],
            tasks: Vec::new(),
            jobs: BTreeMap::new(),
            ready: BTreeSet::new(),
            stages: nodes.iter().map(|node| (node.stage, node.run)).collect(),
        };
        for (at, node) in nodes.iter().enumerate().filter(|(_, node)| node.left) {
            let waits = node.inputs.iter().collect::<BTreeSet<_>>().into_iter().filter(|&&input| nodes[input].left);
            let mut waiting = 0;
            for &input in waits {
                schedule.dependents[input].push(at);
                waiting += 1;
            }
            let shares = if node.stage == Stage::Encode { workers.min(node.parts_left()).max(1) } else { 1 };
            let steps = (0..shares).map(|number| match node.step {
                Step::Encode { set, .. } if shares > 1 => {
                    Step::Encode { set, share: Some(Share { number, of: shares }) }
                }
                step => step,
            });
            let first = schedule.tasks.len();
            schedule.tasks.extend(steps.map(|step| Task { node: at, step }));
            schedule.jobs.insert(at, (first..schedule.tasks.len()).collect());
            schedule.states[at] = State::Waits(waiting);
        }
        for at in 0..nodes.len() {
            if schedule.states[at] == State::Waits(0) {
                schedule.open(at);
            }
        }
        for (&at, why) in failed {
            if nodes[at].left {
                schedule.fail(at, why);
            }
        }
        schedule
    }

    /// A job by its number.
    pub fn task(&self, job: usize) -> Task {
        self.tasks[job]
    }

    /// Takes the next job that `fits`.
    pub fn next(&mut self, fits: impl Fn(Task) -> bool) -> Option<usize> {
        let found = *self.ready.iter().find(|(_, _, job)| fits(self.tasks[*job]))?;
        self.ready.remove(&found);
        Some(found.2)
    }

    /// Gives a job back that was not done.
    pub fn give_back(&mut self, job: usize) {
        let node = self.tasks[job].node;
        if matches!(self.states[node], State::Open(_)) {
            self.ready.insert(self.rank(job));
        }
    }

    /// Whether a job could be given out.
    #[cfg(test)]
    fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// A job is done; returns its node when that is finished now.
    pub fn done(&mut self, job: usize) -> Option<usize> {
        let node = self.tasks[job].node;
        let State::Open(open) = &mut self.states[node] else { return None };
        *open -= 1;
        if *open > 0 {
            return None;
        }
        self.states[node] = State::Done;
        for dependent in self.dependents[node].clone() {
            if let State::Waits(waiting) = &mut self.states[dependent] {
                *waiting -= 1;
                if *waiting == 0 {
                    self.open(dependent);
                }
            }
        }
        Some(node)
    }

    /// A node failed, and with it all that needs it; returns all of them.
    pub fn fail(&mut self, node: usize, why: &str) -> Vec<usize> {
        let (mut lost, mut open) = (Vec::new(), vec![node]);
        while let Some(at) = open.pop() {
            if matches!(self.states[at], State::Failed(..) | State::Done) {
                continue;
            }
            self.states[at] = State::Failed(node, why.to_owned());
            for job in self.jobs.get(&at).cloned().unwrap_or_default() {
                self.ready.remove(&self.rank(job));
            }
            lost.push(at);
            open.extend(&self.dependents[at]);
        }
        lost
    }

    /// Why a node cannot be had: the node that failed, and its error.
    pub fn failure(&self, node: usize) -> Option<(usize, &str)> {
        match &self.states[node] {
            State::Failed(first, why) => Some((*first, why)),
            _ => None,
        }
    }

    /// Whether a node's result is in the store.
    pub fn is_done(&self, node: usize) -> bool {
        self.states[node] == State::Done
    }

    fn open(&mut self, node: usize) {
        let jobs = self.jobs.get(&node).cloned().unwrap_or_default();
        self.states[node] = State::Open(jobs.len());
        for job in jobs {
            self.ready.insert(self.rank(job));
        }
    }

    fn rank(&self, job: usize) -> (bool, usize, usize) {
        let (stage, run) = self.stages[self.tasks[job].node];
        (stage != Stage::Encode, run, job)
    }
}

#[cfg(test)]
mod tests {
    use oodlab_base::Key;

    use super::*;
    use crate::graph::Node;

    /// Two runs that share an encoding of four parts: 0 encode, 1 and 2 fit, 3 and 4 evaluate.
    fn graph() -> Graph {
        let node = |stage, run, step, inputs: Vec<usize>, parts| Node {
            stage,
            key: Key::of_bytes(format!("{stage:?}{run}").as_bytes()),
            run,
            step,
            inputs,
            used_by: 1,
            parts: (0, parts),
            left: true,
            units: 1,
        };
        let fit = Step::Fit { contender: 0 };
        Graph {
            nodes: vec![
                node(Stage::Encode, 0, Step::Encode { set: 0, share: None }, vec![], 4),
                node(Stage::Fit, 0, fit, vec![0], 1),
                node(Stage::Fit, 1, fit, vec![0, 0], 1),
                node(Stage::Evaluate, 0, Step::Evaluate, vec![1], 1),
                node(Stage::Evaluate, 1, Step::Evaluate, vec![2], 1),
            ],
            evaluations: vec![3, 4],
        }
    }

    fn nodes(schedule: &mut Schedule) -> Vec<usize> {
        std::iter::from_fn(|| schedule.next(|_| true).map(|job| schedule.task(job).node)).collect()
    }

    #[test]
    fn encodings_are_shared_out_and_all_shares_are_waited_for() {
        let mut schedule = Schedule::new(&graph(), 3, &BTreeMap::new());
        let shares: Vec<usize> = std::iter::from_fn(|| schedule.next(|_| true)).collect();
        assert_eq!(shares.len(), 3);
        assert!(shares.iter().all(|&job| matches!(schedule.task(job).step, Step::Encode { share: Some(_), .. })));
        assert_eq!((schedule.done(shares[0]), schedule.done(shares[2])), (None, None));
        assert!(!schedule.has_ready());
        assert_eq!(schedule.done(shares[1]), Some(0));
        assert_eq!(nodes(&mut schedule), [1, 2]);
    }

    #[test]
    fn a_failure_takes_what_needs_it_and_nothing_else() {
        let mut schedule = Schedule::new(&graph(), 1, &BTreeMap::new());
        let encode = schedule.next(|_| true).expect("a job");
        schedule.done(encode);
        assert_eq!(schedule.fail(1, "diverged"), [1, 3]);
        assert_eq!(schedule.failure(3), Some((1, "diverged")));
        assert_eq!(nodes(&mut schedule), [2]);
        assert!(schedule.failure(4).is_none());
    }

    #[test]
    fn what_failed_before_is_not_tried() {
        let mut schedule = Schedule::new(&graph(), 1, &BTreeMap::from([(0, "unreadable".to_owned())]));
        assert!(!schedule.has_ready() && nodes(&mut schedule).is_empty());
        assert_eq!(schedule.failure(4), Some((0, "unreadable")));
    }

    #[test]
    fn a_job_that_was_given_back_comes_again() {
        let mut schedule = Schedule::new(&graph(), 1, &BTreeMap::new());
        let job = schedule.next(|_| true).expect("a job");
        assert!(!schedule.has_ready());
        schedule.give_back(job);
        assert_eq!(schedule.next(|_| true), Some(job));
        assert_eq!(schedule.next(|_| true), None);
    }

    #[test]
    fn what_is_stored_is_not_done_again() {
        let mut graph = graph();
        graph.nodes[0].left = false;
        graph.nodes[1].left = false;
        graph.nodes[3].left = false;
        let mut schedule = Schedule::new(&graph, 2, &BTreeMap::new());
        assert!(schedule.is_done(3));
        assert_eq!(nodes(&mut schedule), [2]);
    }
}
