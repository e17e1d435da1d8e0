//! One tree: samples are split at random until each is alone, all in a leaf are equal, or the tree is as deep as it may be.

use oodlab_base::Stream;

/// A leaf's feature.
pub(super) const LEAF: f64 = -1.0;

/// The nodes of some trees, each before its left child, which is the next node.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    /// The column that is asked, or [`LEAF`].
    pub feature: Vec<f64>,
    /// Samples up to it go left.
    pub threshold: Vec<f64>,
    /// The right child; 0 for a leaf.
    pub right: Vec<f64>,
    /// Of a leaf: steps from the root, and those that its samples would still need.
    pub length: Vec<f64>,
}

/// Steps in a search tree of so many samples until one that is not among them is known to be missing: c(n) of Liu et al.
pub(super) fn average_length(samples: usize) -> f64 {
    /// Euler's constant.
    const GAMMA: f64 = 0.577_215_664_901_532_9;
    let n = samples as f64;
    match samples {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => 2.0 * ((n - 1.0).ln() + GAMMA) - 2.0 * (n - 1.0) / n,
    }
}

impl Nodes {
    fn push(&mut self, feature: f64, threshold: f64, length: f64) -> usize {
        self.feature.push(feature);
        self.threshold.push(threshold);
        self.right.push(0.0);
        self.length.push(length);
        self.feature.len() - 1
    }

    /// Puts a tree behind the others.
    pub fn append(&mut self, mut other: Nodes) {
        let first = self.feature.len() as f64;
        let moved = other.right.iter().zip(&other.feature);
        self.right.extend(moved.map(|(right, feature)| if *feature == LEAF { 0.0 } else { right + first }));
        self.feature.append(&mut other.feature);
        self.threshold.append(&mut other.threshold);
        self.length.append(&mut other.length);
    }
}

/// What a tree is grown of.
pub(super) struct Grower<'a> {
    pub values: &'a [f32],
    pub width: usize,
    /// Levels below the root.
    pub deepest: usize,
    /// Two draws a node.
    pub stream: Stream,
    pub nodes: Nodes,
}

impl Grower<'_> {
    /// Adds the node of these samples, which is `depth` below the root, and all below it.
    pub fn grow(&mut self, rows: &mut [usize], depth: usize) {
        let varying = if rows.len() > 1 && depth < self.deepest { self.varying(rows) } else { Vec::new() };
        if varying.is_empty() {
            self.nodes.push(LEAF, 0.0, depth as f64 + average_length(rows.len()));
            return;
        }
        let draw = 2 * self.nodes.feature.len() as u64;
        let (feature, low, high) = varying[self.stream.below(varying.len() as u64, draw) as usize];
        // 53 bits, as many as a number in double precision has.
        let share = self.stream.below(1 << 53, draw + 1) as f64 / (1u64 << 53) as f64;
        let (low, high) = (f64::from(low), f64::from(high));
        let between = low + share * (high - low);
        // Rounding up to the highest would leave nothing on the right.
        let threshold = if between < high { between } else { low };
        let node = self.nodes.push(feature as f64, threshold, 0.0);
        let (values, width) = (self.values, self.width);
        // In order on both sides, so that the tree depends on the samples alone.
        rows.sort_by_key(|row| f64::from(values[row * width + feature]) > threshold);
        let split = rows.partition_point(|row| f64::from(values[row * width + feature]) <= threshold);
        let (left, right) = rows.split_at_mut(split);
        self.grow(left, depth + 1);
        self.nodes.right[node] = self.nodes.feature.len() as f64;
        self.grow(right, depth + 1);
    }

    /// The columns in which samples differ, with the smallest and largest value.
    fn varying(&self, rows: &[usize]) -> Vec<(usize, f32, f32)> {
        let row = |row: usize| &self.values[row * self.width..(row + 1) * self.width];
        let (mut low, mut high) = (row(rows[0]).to_vec(), row(rows[0]).to_vec());
        for &other in &rows[1..] {
            for ((low, high), &x) in low.iter_mut().zip(&mut high).zip(row(other)) {
                *low = low.min(x);
                *high = high.max(x);
            }
        }
        let ranges = low.into_iter().zip(high).enumerate().map(|(feature, (low, high))| (feature, low, high));
        ranges.filter(|(_, low, high)| low < high).collect()
    }
}

#[cfg(test)]
mod tests {
    use oodlab_base::Seed;

    use super::*;

    #[test]
    fn a_tree_isolates_every_sample() {
        let values: Vec<f32> = (0..32).flat_map(|i| [i as f32, (i * 7 % 5) as f32]).collect();
        let stream = Seed(1).stream("tree");
        let mut grower = Grower { values: &values, width: 2, deepest: 40, stream, nodes: Nodes::default() };
        grower.grow(&mut (0..32).collect::<Vec<_>>(), 0);
        let leaves = grower.nodes.feature.iter().filter(|&&feature| feature == LEAF).count();
        assert_eq!((leaves, grower.nodes.feature.len()), (32, 63));
        // Samples that are all the same make one leaf.
        let same = [1.0f32; 8];
        let mut grower = Grower { values: &same, width: 1, deepest: 40, stream, nodes: Nodes::default() };
        grower.grow(&mut (0..8).collect::<Vec<_>>(), 0);
        assert_eq!(grower.nodes.length, [average_length(8)]);
    }

    /// scikit-learn's `_average_path_length`.
    #[test]
    fn the_average_length_is_that_of_the_paper() {
        for (samples, expected) in [(1, 0.0), (2, 1.0), (3, 1.207_392_357_589_656), (256, 10.244_770_920_119_57)] {
            assert!((average_length(samples) - expected).abs() < 1e-5, "{samples}: {}", average_length(samples));
        }
    }
}
