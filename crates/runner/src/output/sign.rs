//! The observed sign of the likelihood regret: paper and released code contradict each other, so a table says what was seen.

use std::collections::BTreeMap;

use oodlab_evaluation::Row;

/// How scores that are a likelihood regret begin.
const REGRET: &str = "likelihood_regret";

/// One sentence: in how many sets each detector's regret was larger out of distribution, as the released code has it. A score that says
/// nothing (AUROC of exactly one half) is not counted.
pub fn note<'a>(rows: impl Iterator<Item = &'a Row>) -> Option<String> {
    let mut seen: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let told = |row: &&Row| row.score.starts_with(REGRET) && row.mean_of().is_none() && row.auroc != 0.5;
    for row in rows.filter(told) {
        let (larger, all) = seen.entry(format!("{} / {}", row.detector, row.score)).or_default();
        *larger += usize::from(row.auroc > 0.5);
        *all += 1;
    }
    if seen.is_empty() {
        return None;
    }
    let counts: Vec<String> =
        seen.into_iter().map(|(name, (larger, all))| format!("{name} in {larger} of {all} comparisons")).collect();
    Some(format!(
        "sign of the likelihood regret: error of the first-epoch model minus that of the last, as in the released code (the paper's text \
         argues for the other); observed larger out of distribution (AUROC above one half): {}",
        counts.join(", ")
    ))
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
        let regret = |auroc| row("likelihood_regret", auroc);
        let rows = [regret(0.7), regret(0.3), regret(0.5), row("mse", 0.9)];
        let found = note(rows.iter()).expect("a regret");
        assert!(found.ends_with("dlsr / likelihood_regret in 1 of 2 comparisons"), "{found}");
        assert_eq!(note([row("mse", 0.9)].iter()), None);
    }
}
