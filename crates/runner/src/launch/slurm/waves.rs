//! From what is left of a graph to waves of tasks: which jobs one task does, one after the other.

use std::collections::BTreeMap;

use super::section::{SlurmSection, Wave};
use crate::graph::{Graph, Stage};
use crate::work::job::{Share, Step};

/// Tasks of equal length at most so many times as a pack is long, where an array may not have more elements.
const MOST_STRETCH: u64 = 1 << 20;

/// Jobs of which nothing is known: so many to a pack, so that a large sweep does not become as many tasks.
const UNKNOWN_PER_PACK: u64 = 4;

/// One job of a task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Piece {
    /// The node of the graph.
    pub node: usize,
    /// What is to be done of it.
    pub step: Step,
}

/// The tasks of a wave: the jobs of each.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedWave {
    /// Which.
    pub wave: Wave,
    /// The tasks, none empty.
    pub tasks: Vec<Vec<Piece>>,
}

impl PackedWave {
    /// Jobs of all tasks.
    pub fn jobs(&self) -> usize {
        self.tasks.iter().map(Vec::len).sum()
    }
}

/// Whatever is left of a graph and can be done, as waves; those that have nothing to do are left out. `failed` are nodes that are not to
/// be tried, `seconds` tells how long a node takes a task of a wave, where that is known.
pub fn pack(
    graph: &Graph,
    section: &SlurmSection,
    failed: &BTreeMap<usize, String>,
    max_array: usize,
    seconds: impl Fn(Wave, usize) -> Option<f64>,
) -> Vec<PackedWave> {
    let mut hopeless = vec![false; graph.nodes.len()];
    let mut pieces: BTreeMap<Wave, Vec<(Piece, Option<f64>)>> = BTreeMap::new();
    for (at, node) in graph.nodes.iter().enumerate().filter(|(_, node)| node.left) {
        // Inputs stand before what needs them.
        hopeless[at] = failed.contains_key(&at) || node.inputs.iter().any(|&input| hopeless[input]);
        if hopeless[at] {
            continue;
        }
        let wave = wave_of(node.stage);
        let known = seconds(wave, at);
        let mut add = |wave, step, seconds| pieces.entry(wave).or_default().push((Piece { node: at, step }, seconds));
        match node.step {
            Step::Encode { set, .. } => {
                let of = shares(section, node.parts_left(), known);
                if of == 1 {
                    add(wave, Step::Encode { set, share: None }, known);
                } else {
                    for number in 0..of {
                        let share = Some(Share { number, of });
                        add(wave, Step::Encode { set, share }, known.map(|all| all / of as f64));
                    }
                    // What a share that was killed left; else only read and noted.
                    add(Wave::Merge, Step::Encode { set, share: None }, None);
                }
            }
            step => add(wave, step, known),
        }
    }
    let packed = |(wave, pieces): (Wave, Vec<_>)| {
        let pack_seconds = section.resources(wave).pack_seconds;
        PackedWave { wave, tasks: fill(&pieces, pack_seconds, max_array) }
    };
    pieces.into_iter().map(packed).collect()
}

fn wave_of(stage: Stage) -> Wave {
    match stage {
        Stage::Encode => Wave::Encode,
        Stage::Fit => Wave::Fit,
        Stage::Score => Wave::Score,
        Stage::Evaluate => Wave::Evaluate,
    }
}

/// Into how many tasks the encoding of a set is dealt: as many packs as it takes, within bounds.
fn shares(section: &SlurmSection, parts_left: usize, seconds: Option<f64>) -> usize {
    let most = section.shards().min(parts_left).max(1);
    let pack = section.resources(Wave::Encode).pack_seconds as f64;
    seconds.map_or(most, |seconds| ((seconds / pack).ceil() as usize).clamp(1, most))
}

/// Fills tasks in order, each until its pack is full; packs grow when there would be more tasks than an array may have.
fn fill(pieces: &[(Piece, Option<f64>)], pack_seconds: u64, max_array: usize) -> Vec<Vec<Piece>> {
    let mut stretch = 1;
    loop {
        let pack = (pack_seconds * stretch) as f64;
        let unknown = (pack_seconds / UNKNOWN_PER_PACK).max(1) as f64;
        let mut tasks: Vec<Vec<Piece>> = Vec::new();
        let mut filled = f64::INFINITY;
        for (piece, seconds) in pieces {
            let seconds = seconds.unwrap_or(unknown);
            match tasks.last_mut() {
                Some(task) if filled + seconds <= pack => {
                    filled += seconds;
                    task.push(*piece);
                }
                _ => {
                    filled = seconds;
                    tasks.push(vec![*piece]);
                }
            }
        }
        if tasks.len() <= max_array.max(1) {
            return tasks;
        }
        if stretch >= MOST_STRETCH {
            // Single jobs longer than any pack: dealt out evenly.
            let each = pieces.len().div_ceil(max_array.max(1));
            return pieces.chunks(each).map(|chunk| chunk.iter().map(|(piece, _)| *piece).collect()).collect();
        }
        stretch *= 2;
    }
}

#[cfg(test)]
mod tests {
    use oodlab_base::Key;

    use super::*;
    use crate::graph::Node;

    fn node(stage: Stage, step: Step, inputs: &[usize], parts: usize) -> Node {
        let key = Key::of_bytes(format!("{stage:?} {step:?}").as_bytes());
        Node {
            stage,
            key,
            run: 0,
            step,
            inputs: inputs.to_vec(),
            used_by: 1,
            parts: (0, parts),
            left: true,
            units: 100,
        }
    }

    /// One set of so many parts, and two fits with what follows.
    fn graph(parts: usize) -> Graph {
        let fit = |contender| Step::Fit { contender };
        let score = |contender| Step::Score { contender };
        let nodes = vec![
            node(Stage::Encode, Step::Encode { set: 0, share: None }, &[], parts),
            node(Stage::Fit, fit(0), &[0], 1),
            node(Stage::Score, score(0), &[1, 0], 1),
            node(Stage::Fit, fit(1), &[0], 1),
            node(Stage::Score, score(1), &[3, 0], 1),
            node(Stage::Evaluate, Step::Evaluate, &[2, 4], 1),
        ];
        Graph { nodes, evaluations: vec![5] }
    }

    fn section(yaml: &str) -> SlurmSection {
        serde_yaml::from_str(yaml).expect("a section")
    }

    fn names(waves: &[PackedWave]) -> Vec<(&'static str, usize, usize)> {
        waves.iter().map(|wave| (wave.wave.name(), wave.tasks.len(), wave.jobs())).collect()
    }

    #[test]
    fn sets_are_dealt_out_and_merged_and_small_jobs_share_a_task() {
        let unknown = pack(&graph(5), &section("{shards: 3}"), &BTreeMap::new(), 100, |_, _| None);
        assert_eq!(
            names(&unknown),
            [("encode", 1, 3), ("merge", 1, 1), ("fit", 1, 2), ("score", 1, 2), ("evaluate", 1, 1)]
        );
        let long = pack(&graph(5), &section("{pack: 1}"), &BTreeMap::new(), 100, |_, _| Some(61.0));
        assert_eq!(
            names(&long),
            [("encode", 2, 2), ("merge", 1, 1), ("fit", 2, 2), ("score", 2, 2), ("evaluate", 1, 1)]
        );
        let one_part = pack(&graph(1), &section("{}"), &BTreeMap::new(), 100, |_, _| None);
        assert_eq!(names(&one_part)[..2], [("encode", 1, 1), ("fit", 1, 2)]);
        let known = pack(&graph(5), &section("{pack: 1}"), &BTreeMap::new(), 100, |_, _| Some(25.0));
        assert_eq!(names(&known), [("encode", 1, 1), ("fit", 1, 2), ("score", 1, 2), ("evaluate", 1, 1)]);
    }

    #[test]
    fn what_failed_and_what_needs_it_are_left_out() {
        let failed = BTreeMap::from([(1, "no".to_owned())]);
        let waves = pack(&graph(1), &section("{}"), &failed, 100, |_, _| None);
        assert_eq!(names(&waves), [("encode", 1, 1), ("fit", 1, 1), ("score", 1, 1)]);
        assert_eq!(waves[1].tasks, [[Piece { node: 3, step: Step::Fit { contender: 1 } }]]);
    }

    #[test]
    fn nothing_left_is_no_wave() {
        let mut graph = graph(3);
        for node in &mut graph.nodes {
            node.left = false;
        }
        assert_eq!(pack(&graph, &section("{}"), &BTreeMap::new(), 100, |_, _| None), []);
    }

    #[test]
    fn an_array_is_never_longer_than_it_may_be_and_no_job_is_lost() {
        let piece = |at| Piece { node: at, step: Step::Evaluate };
        for (seconds, most) in [(Some(50.0), 7), (Some(1e12), 7), (None, 1), (Some(0.0), 3)] {
            let pieces: Vec<(Piece, Option<f64>)> = (0..100).map(|at| (piece(at), seconds)).collect();
            let tasks = fill(&pieces, 60, most);
            assert!(tasks.len() <= most && tasks.iter().all(|task| !task.is_empty()), "{seconds:?}");
            let jobs: Vec<usize> = tasks.iter().flatten().map(|piece| piece.node).collect();
            assert_eq!(jobs, (0..100).collect::<Vec<_>>());
        }
    }
}
