//! The observed sign of the likelihood regret: paper and released code contradict each other, so a table says what was seen.

use std::collections::{BTreeMap, BTreeSet};

use oodlab_evaluation::Row;

/// How scores that are a likelihood regret begin.
const REGRET: &str = "likelihood_regret";

/// One sentence for each detector's regret: in how many sets it was larger out of distribution, as the released code has it.
pub fn notes<'a>(rows: impl Iterator<Item = &'a Row>) -> BTreeSet<String> {
    let mut seen: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
    for row in rows.filter(|row| row.score.starts_with(REGRET) && row.mean_of().is_none()) {
        let (larger, all) = seen.entry((&row.detector, &row.score)).or_default();
        *larger += usize::from(row.auroc > 0.5);
        *all += 1;
    }
    seen.into_iter()
        .map(|((detector, score), (larger, all))| {
            format!(
                "sign of {detector} / {score}: error of the first-epoch model minus that of the last, as in the released code; \
                 observed larger out of distribution (AUROC above one half) in {larger} of {all} comparisons \
                 (the paper's text argues that it is smaller there)"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_are_counted_by_detector_and_score() {
        let row = |score: &str, auroc: f64| Row {
            detector: "dlsr".into(),
            score: score.into(),
            ood_set: "svhn".into(),
            auroc,
            ..Row::default()
        };
        let rows = [row("likelihood_regret", 0.7), row("likelihood_regret", 0.3), row("mse", 0.9)];
        let found: Vec<String> = notes(rows.iter()).into_iter().collect();
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("in 1 of 2 comparisons"), "{found:?}");
    }
}
