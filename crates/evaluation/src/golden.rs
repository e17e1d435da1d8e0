//! The five golden cases on which the published conventions part ways, under every rule.
//!
//! The expected values come from an independent pure-Python reference that imitates each published system.

use oodlab_base::golden::{Findings, Outcome};
use oodlab_base::tolerance::Tolerance;

use crate::metrics::{Counts, FprRule, Positive};

/// The values are kept to ten decimals.
const TEN_DECIMALS: Tolerance = Tolerance::absolute("1e-10", 1e-10);

struct Case {
    name: &'static str,
    id: Vec<f64>,
    ood: Vec<f64>,
    auroc: f64,
    /// FPR95 with OOD positive under the rules of `OOD_RULES`.
    ood_positive: [f64; 3],
    /// FPR95 with ID positive under `FprRule::ALL`.
    id_positive: [f64; 5],
    aupr_out: f64,
    aupr_in: f64,
    average_precision_out: f64,
    average_precision_in: f64,
    detection_error: f64,
    autc: f64,
}

const OOD_RULES: [FprRule; 3] = [FprRule::FirstAtLeast, FprRule::FirstAtLeastSklearnDrop, FprRule::Nearest];

fn repeated(groups: &[(usize, f64)]) -> Vec<f64> {
    groups.iter().flat_map(|&(count, value)| std::iter::repeat_n(value, count)).collect()
}

fn cases() -> [Case; 5] {
    let hundredths: Vec<f64> = (0..100).map(|k| f64::from(k) / 100.0).collect();
    [
        Case {
            name: "metrics A (distinct scores)",
            id: (0..40).map(|i| f64::from((37 * i) % 101) / 101.0).collect(),
            ood: (0..30).map(|j| 0.35 + f64::from((53 * j) % 97) / 97.0).collect(),
            auroc: 0.761_666_666_7,
            ood_positive: [0.625; 3],
            id_positive: [0.633_333_333_3; 5],
            aupr_out: 0.745_157_122_8,
            aupr_in: 0.826_839_193_2,
            average_precision_out: 0.749_088_528_1,
            average_precision_in: 0.829_174_186_5,
            detection_error: 0.316_666_666_7,
            autc: 0.377_742_675_4,
        },
        Case {
            name: "metrics B (equal classes)",
            id: hundredths.clone(),
            ood: hundredths,
            auroc: 0.5,
            ood_positive: [0.95, 1.0, 0.95],
            id_positive: [0.95, 1.0, 0.95, 0.95, 0.94],
            aupr_out: 0.5025,
            aupr_in: 0.5025,
            average_precision_out: 0.5,
            average_precision_in: 0.5,
            detection_error: 0.5,
            autc: 0.5,
        },
        Case {
            name: "metrics C (heavy ties)",
            id: repeated(&[(60, 0.0), (30, 1.0), (10, 2.0)]),
            ood: repeated(&[(5, 0.0), (15, 1.0), (20, 2.0)]),
            auroc: 0.79375,
            ood_positive: [1.0; 3],
            id_positive: [1.0, 1.0, 0.5, 0.5, 0.5],
            aupr_out: 0.676_190_476_2,
            aupr_in: 0.914_735_264_7,
            average_precision_out: 0.544_047_619_0,
            average_precision_in: 0.870_729_270_7,
            detection_error: 0.2625,
            autc: 0.28125,
        },
        Case {
            name: "metrics D (constant scores)",
            id: vec![0.5; 10],
            ood: vec![0.5; 7],
            auroc: 0.5,
            ood_positive: [1.0; 3],
            id_positive: [1.0, 1.0, 1.0, 0.0, 0.0],
            aupr_out: 0.705_882_352_9,
            aupr_in: 0.794_117_647_1,
            average_precision_out: 0.411_764_705_9,
            average_precision_in: 0.588_235_294_1,
            detection_error: 0.5,
            autc: 0.5,
        },
        Case {
            name: "metrics E (perfect separation)",
            id: (0..10).map(|i| 0.1 * f64::from(i)).collect(),
            ood: (0..10).map(|i| 2.0 + 0.1 * f64::from(i)).collect(),
            auroc: 1.0,
            ood_positive: [0.0; 3],
            id_positive: [0.0; 5],
            aupr_out: 1.0,
            aupr_in: 1.0,
            average_precision_out: 1.0,
            average_precision_in: 1.0,
            detection_error: 0.0,
            autc: 0.155_172_413_8,
        },
    ]
}

/// Evaluates the golden cases under every rule: one outcome a case, for `oodlab verify`.
#[must_use]
pub fn self_check() -> Vec<(String, Outcome)> {
    cases().iter().map(|case| (case.name.to_owned(), check(case))).collect()
}

fn check(case: &Case) -> Outcome {
    let counts = match Counts::new(&case.id, &case.ood) {
        Ok(counts) => counts,
        // The cases are constants; a refusal is a defect, and shows as a comparison that fails.
        Err(error) => {
            return Outcome::Fail {
                what: error.to_string(),
                comparison: Tolerance::EXACT.compare([f64::NAN], [case.auroc]),
            };
        }
    };
    let mut findings = Findings::new();
    let mut add = |what: String, got: f64, want: f64| findings.add(what, TEN_DECIMALS.compare([got], [want]));
    add("AUROC".into(), counts.auroc(), case.auroc);
    for (rule, want) in OOD_RULES.into_iter().zip(case.ood_positive) {
        add(format!("FPR95, OOD positive, {rule}"), counts.fpr95(Positive::Ood, rule), want);
    }
    for (rule, want) in FprRule::ALL.into_iter().zip(case.id_positive) {
        add(format!("FPR95, ID positive, {rule}"), counts.fpr95(Positive::Id, rule), want);
    }
    add("AUPR, OOD positive".into(), counts.aupr(Positive::Ood), case.aupr_out);
    add("AUPR, ID positive".into(), counts.aupr(Positive::Id), case.aupr_in);
    add("average precision, OOD positive".into(), counts.average_precision(Positive::Ood), case.average_precision_out);
    add("average precision, ID positive".into(), counts.average_precision(Positive::Id), case.average_precision_in);
    add("detection error".into(), counts.detection_error(), case.detection_error);
    add("AUTC".into(), counts.autc(), case.autc);
    findings.outcome()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_golden_case_passes() {
        let outcomes = self_check();
        assert_eq!(outcomes.len(), 5);
        for (name, outcome) in outcomes {
            assert!(matches!(outcome, Outcome::Pass(_)), "{name}: {outcome:?}");
        }
    }

    #[test]
    fn a_wrong_value_fails() {
        for mut case in cases() {
            case.detection_error += 1e-9;
            assert!(matches!(check(&case), Outcome::Fail { what, .. } if what == "detection error"));
        }
    }
}
