use oodlab_base::golden::GoldenFile;

use super::*;
use crate::rule::{golden, testing};

#[test]
fn it_keeps_the_contract() {
    for settings in [json!({}), json!({"on": "penultimate", "trees": 7, "max_samples": 40})] {
        testing::check_promises(crate::build(IsolationForest::KIND, settings, &[]).expect("valid settings").as_ref());
    }
    let detector = crate::build(IsolationForest::KIND, json!({"on": "penultimate"}), &[]).expect("valid settings");
    testing::check_distant(detector.as_ref());
    assert!(crate::build(IsolationForest::KIND, json!({"trees": 0}), &[]).is_err());
}

#[test]
fn a_damaged_tree_is_refused() {
    let rule = IsolationForest { on: Space::Penultimate, ..IsolationForest::default() };
    let sizes = Sizes { penultimate: 3, ..Sizes::default() };
    let of = |feature: f64, right: f64| {
        let nodes = Nodes {
            feature: vec![feature, LEAF, LEAF],
            threshold: vec![0.5; 3],
            right: vec![right, 0.0, 0.0],
            length: vec![0.0, 1.0, 1.0],
        };
        rule.check_arrays(&arrays(vec![0.0], nodes, 2), &sizes)
    };
    assert_eq!(of(2.0, 2.0), Ok(()));
    for (feature, right) in [(3.0, 2.0), (0.5, 2.0), (-2.0, 2.0), (f64::NAN, 2.0), (2.0, 0.0), (2.0, 1.0), (2.0, 3.0)] {
        assert!(of(feature, right).is_err(), "{feature} {right}");
    }
}

/// Reads a forest that scikit-learn grew, and scores as it does.
#[test]
fn the_same_trees_give_the_scores_of_scikit_learn() {
    let file = GoldenFile::parse("density", golden::DENSITY).expect("a golden file");
    let tensor = |name: &str| &file.tensor(name).expect("a tensor").values;
    let (feature, right, samples) = (tensor("forest.feature"), tensor("forest.right"), tensor("forest.samples"));
    let mut nodes = Nodes { threshold: tensor("forest.threshold").clone(), ..Nodes::default() };
    let roots = tensor("forest.roots").clone();
    // A leaf's depth: one more than its parent's.
    let mut depth = vec![0usize; feature.len()];
    for node in 0..feature.len() {
        // The recipe writes 255 for a leaf.
        let leaf = feature[node] == 255.0;
        if !leaf {
            depth[node + 1] = depth[node] + 1;
            depth[right[node] as usize] = depth[node] + 1;
        }
        nodes.feature.push(if leaf { LEAF } else { feature[node] });
        nodes.right.push(if leaf { 0.0 } else { right[node] });
        nodes.length.push(depth[node] as f64 + average_length(samples[node] as usize));
    }
    let rule = IsolationForest { on: Space::Penultimate, ..IsolationForest::default() };
    let given = golden::samples(&file, "given");
    let arrays = arrays(roots, nodes, file.setting("forest_max_samples").expect("a number"));
    rule.check_arrays(&arrays, &Sizes { penultimate: given.penultimate.width(), ..Sizes::default() }).expect("trees");
    let found = rule.score(&arrays, &given.given()).expect("scores");
    golden::assert_near("isolation forest", &found, tensor("forest.scores"), golden::TOLERANCE);
}

/// Trees of its own score as those of scikit-learn on average.
#[test]
fn a_forest_scores_as_one_of_scikit_learn() {
    let file = GoldenFile::parse("density", golden::DENSITY).expect("a golden file");
    let settings = json!({"on": "penultimate", "trees": 1000, "max_samples": 64});
    let detector = crate::build(IsolationForest::KIND, settings, &[]).expect("valid settings");
    let fitted = testing::fit(detector.as_ref(), &golden::samples(&file, "train")).expect("fits");
    let found = testing::score(fitted.as_ref(), &golden::samples(&file, "given"), 0).expect("scores");
    let expected = &file.tensor("forest.many").expect("scores").values;
    // Five forests of scikit-learn with 1000 trees each differ by up to 0.014 in a score and 0.002 on average.
    golden::assert_near("isolation forest", &found, expected, 0.03);
    let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
    assert!((mean(&found) - mean(expected)).abs() < 0.005, "{} {}", mean(&found), mean(expected));
}
