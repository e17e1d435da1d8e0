//! Paired comparisons of detectors: the tests against their definitions, the rows as CSV and Markdown.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use oodlab_evaluation::metrics::compare::{Scored, delong, holm};
use oodlab_evaluation::metrics::{
    COMPARISON_COLUMNS, Comparison, Method, comparisons_from_csv, comparisons_to_csv, comparisons_to_markdown, correct,
};
use oodlab_evaluation::{Counts, Metric};
use proptest::prelude::*;

/// Scores of two detectors for the images of a class, with many ties.
fn pairs() -> impl Strategy<Value = Vec<(f64, f64)>> {
    prop::collection::vec(((-4i8..4).prop_map(f64::from), (-9i8..9).prop_map(f64::from)), 2..40)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn covariance(x: &[f64], y: &[f64]) -> f64 {
    let (mean_x, mean_y) = (mean(x), mean(y));
    x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>() / (x.len() - 1) as f64
}

/// The variance of the difference from the whole covariance matrix, each placement by looking at each pair.
fn variance_of_difference(id: &[(f64, f64)], ood: &[(f64, f64)]) -> f64 {
    let psi = |i: f64, o: f64| {
        if o > i {
            1.0
        } else if o == i {
            0.5
        } else {
            0.0
        }
    };
    let of_ood = |get: fn(&(f64, f64)) -> f64| -> Vec<f64> {
        ood.iter().map(|o| mean(&id.iter().map(|i| psi(get(i), get(o))).collect::<Vec<_>>())).collect()
    };
    let of_id = |get: fn(&(f64, f64)) -> f64| -> Vec<f64> {
        id.iter().map(|i| mean(&ood.iter().map(|o| psi(get(i), get(o))).collect::<Vec<_>>())).collect()
    };
    let part = |a: &[f64], b: &[f64]| (covariance(a, a) + covariance(b, b) - 2.0 * covariance(a, b)) / a.len() as f64;
    part(&of_ood(|s| s.0), &of_ood(|s| s.1)) + part(&of_id(|s| s.0), &of_id(|s| s.1))
}

fn columns(pairs: &[(f64, f64)]) -> (Vec<f64>, Vec<f64>) {
    pairs.iter().copied().unzip()
}

proptest! {
    #[test]
    fn paired_delong_is_its_definition(id in pairs(), ood in pairs()) {
        let ((id_a, id_b), (ood_a, ood_b)) = (columns(&id), columns(&ood));
        let (a, b) = (Scored { id: &id_a, ood: &ood_a }, Scored { id: &id_b, ood: &ood_b });
        let test = delong(a, b).unwrap();
        prop_assert_eq!(test.a, Counts::new(&id_a, &ood_a).unwrap().auroc());
        prop_assert_eq!(test.b, Counts::new(&id_b, &ood_b).unwrap().auroc());
        prop_assert!((test.difference - (test.a - test.b)).abs() < 1e-15);
        let deviation = variance_of_difference(&id, &ood).max(0.0).sqrt();
        let want = [test.difference - 1.959_963_984_540_054 * deviation, test.difference + 1.959_963_984_540_054 * deviation];
        // The root of a rounded zero is 1e-8.
        prop_assert!((test.low - want[0].max(-1.0)).abs() < 1e-7, "{:?} {:?}", test, want);
        prop_assert!((test.high - want[1].min(1.0)).abs() < 1e-7, "{:?} {:?}", test, want);
        // The interval leaves zero out where p is below 5 %.
        if let Some(p) = test.p && (p - 0.05).abs() > 1e-9 {
            prop_assert!((0.0..=1.0).contains(&p));
            prop_assert_eq!(p < 0.05, test.low > 0.0 || test.high < 0.0);
        }
    }

    #[test]
    fn paired_delong_is_antisymmetric(id in pairs(), ood in pairs()) {
        let ((id_a, id_b), (ood_a, ood_b)) = (columns(&id), columns(&ood));
        let (a, b) = (Scored { id: &id_a, ood: &ood_a }, Scored { id: &id_b, ood: &ood_b });
        let (forth, back) = (delong(a, b).unwrap(), delong(b, a).unwrap());
        prop_assert_eq!((forth.difference, forth.low, forth.high, forth.p), (-back.difference, -back.high, -back.low, back.p));
    }

    #[test]
    fn paired_delong_ignores_increasing_functions_and_the_order_of_images(id in pairs(), ood in pairs(), turn in 0usize..40) {
        let scored = |id: &[(f64, f64)], ood: &[(f64, f64)]| {
            let ((id_a, id_b), (ood_a, ood_b)) = (columns(id), columns(ood));
            delong(Scored { id: &id_a, ood: &ood_a }, Scored { id: &id_b, ood: &ood_b }).unwrap()
        };
        let other = |pairs: &[(f64, f64)]| {
            let mut pairs: Vec<_> = pairs.iter().map(|(a, b)| (a * a * a + a, 3.0 * b)).collect();
            let middle = turn % pairs.len();
            pairs.rotate_left(middle);
            pairs
        };
        prop_assert_eq!(scored(&id, &ood), scored(&other(&id), &other(&ood)));
    }

    #[test]
    fn holm_keeps_the_order_and_only_raises(p in prop::collection::vec(0.0..=1.0f64, 0..20)) {
        let corrected = holm(&p);
        for (index, (&raw, &value)) in p.iter().zip(&corrected).enumerate() {
            prop_assert!(raw <= value && value <= (raw * p.len() as f64).min(1.0));
            for (&other, &other_value) in p.iter().zip(&corrected).skip(index) {
                prop_assert!(raw > other || value <= other_value);
                prop_assert!(raw < other || value >= other_value);
            }
        }
    }
}

fn rows() -> Vec<Comparison> {
    let base = Comparison {
        benchmark: "quickstart".into(),
        protocol: "native".into(),
        id_set: "cifar10".into(),
        detector_a: "dlsr".into(),
        score_a: "mse".into(),
        detector_b: "knn".into(),
        score_b: "knn".into(),
        run: "0123".into(),
        ..Comparison::default()
    };
    let row = |ood_set: &str, method, difference: f64, p| Comparison {
        group: "far".into(),
        ood_set: ood_set.into(),
        method,
        a: 0.9 + difference,
        b: 0.9,
        difference,
        low: difference - 0.015_625,
        high: difference + 0.015_625,
        p,
        ..base.clone()
    };
    let mut rows = vec![
        row("mnist", Method::DelongPaired, 0.03125, Some(0.000_1)),
        row("svhn|x", Method::DelongPaired, -0.01, Some(0.03)),
        row("noise", Method::DelongPaired, 0.0, None),
        row("mean of 3", Method::BootstrapPaired, 0.0078125, Some(0.02)),
    ];
    rows.push(Comparison { metric: Metric::Fpr95Id, seed: 1, cell: "a=1,b".into(), ..rows[3].clone() });
    correct(&mut rows);
    rows
}

#[test]
fn families_are_all_sets_of_one_pair() {
    let rows = rows();
    let found: Vec<_> = rows.iter().map(|row| (row.p_holm, row.sets_in_family)).collect();
    // Of three sets one has no answer, and is counted.
    assert_eq!(found, [(Some(3.0 * 0.000_1), 3), (Some(0.06), 3), (None, 3), (Some(0.02), 1), (Some(0.02), 1)]);
}

#[test]
fn csv_comes_back_to_the_bit() {
    let rows = rows();
    let csv = comparisons_to_csv(&rows).unwrap();
    assert_eq!(std::str::from_utf8(&csv).unwrap().lines().next(), Some(COMPARISON_COLUMNS.join(",").as_str()));
    assert_eq!(comparisons_from_csv(&csv).unwrap(), rows);
    let none = comparisons_to_csv(&[]).unwrap();
    assert_eq!(comparisons_from_csv(&none).unwrap(), []);
}

#[test]
fn bad_csv_names_row_and_column() {
    let csv = String::from_utf8(comparisons_to_csv(&rows()).unwrap()).unwrap();
    let error = |text: String| comparisons_from_csv(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(error(csv.replacen("auroc", "area", 1)), "row 1, column \"metric\": expected a metric, found \"area\"");
    assert!(error(csv.replace("p_holm", "p_other")).contains("no column \"p_holm\""));
    let method = error(csv.replacen("delong-paired", "t-test", 1));
    assert_eq!(method, "row 1, column \"method\": expected delong-paired or bootstrap-paired, found \"t-test\"");
}

#[test]
fn markdown_says_what_was_tested() {
    insta::assert_snapshot!(comparisons_to_markdown(&rows()));
    assert_eq!(comparisons_to_markdown(&[]), "");
    let mut named = rows();
    named[0].ood_set = "a|b<c\\\nd".into();
    let markdown = comparisons_to_markdown(&named);
    assert!(markdown.contains("| a\\|b&lt;c\\\\ d |"), "{markdown}");
}
