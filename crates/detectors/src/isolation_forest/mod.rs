//! Isolation forest (Liu, Ting and Zhou, ICDM 2008), without labels: trees split a few samples at random; what is isolated after few splits
//! lies apart. The score is `2^(-h / c(n))` with the mean length `h` of the sample's paths and the length `c(n)` of a search that fails, above
//! 0 to 1: the negative of scikit-learn's `score_samples`. With `on: layers` vectors are z-scored by sample and layer first.
//!
//! As in scikit-learn, columns are drawn among those in which the samples of a node differ, thresholds evenly between their smallest and largest
//! value, and no tree is deeper than log2 of its samples, rounded up.

mod tree;

#[cfg(test)]
mod tests;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::tree::{Grower, LEAF, Nodes, average_length};
use crate::rule::{Arrays, FitsUnlabeled, Rule, Sizes, refuse};
use crate::space::Space;
use crate::{DetectorError, FitContext, Needs, Unlabeled};

/// Settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IsolationForest {
    /// The vector: the chosen `layers`, z-scored (the default), or `penultimate`.
    pub on: Space,
    /// Trees: 100.
    pub trees: usize,
    /// Training samples that a tree is grown of, drawn without replacement: 256, or all where there are fewer.
    pub max_samples: usize,
}

impl Default for IsolationForest {
    fn default() -> IsolationForest {
        IsolationForest { on: Space::Layers, trees: 100, max_samples: 256 }
    }
}

/// A stored number as an index below a bound.
fn index(value: f64, bound: usize) -> Option<usize> {
    (value >= 0.0 && value < bound as f64 && value.fract() == 0.0).then_some(value as usize)
}

/// The nodes as arrays; `roots` are the trees' first.
fn arrays(roots: Vec<f64>, nodes: Nodes, samples: usize) -> Arrays {
    Arrays::default()
        .with_list("roots", roots)
        .with_list("feature", nodes.feature)
        .with_list("threshold", nodes.threshold)
        .with_list("right", nodes.right)
        .with_list("length", nodes.length)
        .with_list("usual length", vec![average_length(samples)])
}

impl Rule for IsolationForest {
    const KIND: &'static str = "isolation-forest";

    fn check(&self) -> Result<(), DetectorError> {
        if self.trees == 0 {
            return Err(refuse("trees", 0, "at least 1"));
        }
        if self.max_samples < 2 { Err(refuse("max_samples", self.max_samples, "at least 2")) } else { Ok(()) }
    }

    fn needs(&self) -> Needs {
        self.on.needs()
    }

    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        vec![("max_samples", vec![json!(256), json!(1024)]), ("trees", vec![json!(100), json!(300)])]
    }

    fn check_arrays(&self, arrays: &Arrays, sizes: &Sizes) -> Result<(), String> {
        let (nodes, roots) = (arrays.f64("feature").len(), arrays.f64("roots").len());
        if nodes == 0 || roots == 0 {
            return Err("no trees".to_owned());
        }
        arrays.expect("roots", &[roots], true)?;
        arrays.expect("usual length", &[1], true)?;
        for name in ["feature", "threshold", "right", "length"] {
            arrays.expect(name, &[nodes], true)?;
        }
        if let Some(root) = arrays.f64("roots").iter().find(|root| index(**root, nodes).is_none()) {
            return Err(format!("root {root}, expected a node below {nodes}"));
        }
        let width = self.on.width(sizes);
        for (node, (&feature, &right)) in arrays.f64("feature").iter().zip(arrays.f64("right")).enumerate() {
            // Both children stand behind their parent, so every path ends.
            let inner = index(feature, width).is_some() && index(right, nodes).is_some_and(|right| right > node + 1);
            if feature != LEAF && !inner {
                return Err(format!("node {node} asks column {feature} and has the right child {right}"));
            }
        }
        Ok(())
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let values = self.on.normalised(given, Self::KIND)?;
        let width = self.on.of(given, Self::KIND)?.width();
        let (feature, threshold, right) = (arrays.f64("feature"), arrays.f64("threshold"), arrays.f64("right"));
        let (roots, length) = (arrays.f64("roots"), arrays.f64("length"));
        let path = |row: &[f32], root: f64| {
            let mut node = root as usize;
            while feature[node] != LEAF {
                let left = f64::from(row[feature[node] as usize]) <= threshold[node];
                node = if left { node + 1 } else { right[node] as usize };
            }
            length[node]
        };
        // A forest of one sample isolates everything at once.
        let usual = arrays.number("usual length");
        let usual = if usual > 0.0 { usual } else { 1.0 };
        let of = |row: &[f32]| {
            let mean = roots.iter().map(|&root| path(row, root)).sum::<f64>() / roots.len() as f64;
            (-mean / usual).exp2()
        };
        Ok(values.par_chunks_exact(width).map(of).collect())
    }
}

impl FitsUnlabeled for IsolationForest {
    fn fit(&self, train: &Unlabeled<'_>, context: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        let values = self.on.normalised(train, Self::KIND)?;
        let width = self.on.of(train, Self::KIND)?.width();
        let samples = self.max_samples.min(train.rows());
        let deepest = samples.next_power_of_two().trailing_zeros() as usize;
        let (stream, cancel) = (context.seed.stream("isolation forest"), context.cancel);
        let grow = |tree: usize| -> Result<Nodes, DetectorError> {
            cancel.check()?;
            let stream = stream.child(tree as u64);
            let mut rows = stream.child(0).permutation(train.rows());
            rows.truncate(samples);
            let mut grower =
                Grower { values: &values, width, deepest, stream: stream.child(1), nodes: Nodes::default() };
            grower.grow(&mut rows, 0);
            Ok(grower.nodes)
        };
        let trees = (0..self.trees).into_par_iter().map(grow).collect::<Result<Vec<_>, _>>()?;
        let (mut roots, mut nodes) = (Vec::new(), Nodes::default());
        for tree in trees {
            roots.push(nodes.feature.len() as f64);
            nodes.append(tree);
        }
        Ok(arrays(roots, nodes, samples))
    }
}
