//! The encoders against the golden files, as `oodlab verify` runs them.

use oodlab_base::golden::{GoldenFile, Outcome};
use oodlab_encoders::golden;
use oodlab_encoders::weights::Weights;

fn outcome(stem: &str, find: &dyn Fn(&str) -> Option<Weights>) -> Outcome {
    let (_, bytes) = golden::embedded().into_iter().find(|(name, _)| *name == stem).expect("an embedded file");
    let file = GoldenFile::parse(stem, bytes).expect("a readable file");
    golden::check(&file, find).expect("a kind of this crate").expect("the check can run")
}

fn assert_pass(stem: &str, find: &dyn Fn(&str) -> Option<Weights>) {
    let outcome = outcome(stem, find);
    println!("{stem}: {outcome:?}");
    assert!(matches!(outcome, Outcome::Pass(_)), "{stem}: {outcome:?}");
}

/// Every family, without its checkpoint.
#[test]
fn formula_networks() {
    let formula: Vec<_> = golden::embedded().into_iter().filter(|(stem, _)| stem.starts_with("formula_")).collect();
    assert_eq!(formula.len(), 16);
    for (stem, bytes) in formula {
        assert_pass(stem, &|_| None);
        // `resnet18` came without, and has a second file; a transformer has no released neck.
        let released = GoldenFile::parse(stem, bytes).expect("a readable file").tensor("tap1_released").is_ok();
        assert_eq!(released, !["formula_resnet18", "formula_vit-b16"].contains(&stem), "{stem}");
    }
}

#[test]
fn embedded_lite0() {
    assert_pass("efficientnet-lite0", &|name| Weights::embedded(name)?.ok());
}

#[test]
fn what_is_not_at_hand_is_skipped_and_other_kinds_are_none() {
    let skipped = outcome("efficientnet-lite0", &|_| None);
    assert!(matches!(&skipped, Outcome::Skipped { needs } if needs.contains("efficientnet-lite0")), "{skipped:?}");
    let (_, bytes) = golden::embedded()[0];
    for stem in ["formula_resnet19", "schedule", "formula_", ""] {
        let file = GoldenFile::parse(stem, bytes).expect("a readable file");
        assert!(golden::check(&file, &|_| None).is_none(), "{stem}");
    }
}

/// A golden file with numbers of another network fails, and does not panic.
#[test]
fn wrong_numbers_fail() {
    let (_, bytes) = golden::embedded().into_iter().find(|(name, _)| name.ends_with("b2")).expect("embedded");
    let file = GoldenFile::parse("formula_efficientnet-b0", bytes).expect("a readable file");
    let outcome = golden::check(&file, &|_| None).expect("a known kind").expect("the check can run");
    assert!(matches!(outcome, Outcome::Fail { .. }), "{outcome:?}");
}
