//! What must hold of the metrics of any scores.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use oodlab_evaluation::metrics::bootstrap::{BootstrapConfig, Replicates};
use oodlab_evaluation::metrics::classification::{accuracy, oscr};
use oodlab_evaluation::{Counts, FprRule, Metric, MetricError, Metrics, Positive, Recall, Warning, evaluate};
use proptest::prelude::*;

/// Scores with many ties, some infinite.
fn tied() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(
        prop_oneof![12 => (-6i8..6).prop_map(f64::from), 1 => Just(f64::INFINITY), 1 => Just(f64::NEG_INFINITY), 1 => Just(-0.0)],
        1..60,
    )
}

/// Scores of any size, ties rare.
fn spread() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-1e6..1e6f64, 1..60)
}

fn scores() -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
    prop_oneof![(tied(), tied()), (spread(), spread())]
}

/// Twice the AUROC times the number of pairs, by looking at each pair.
fn half_pairs(id: &[f64], ood: &[f64]) -> u64 {
    let count = |i: f64, o: f64| if o > i { 2 } else { u64::from(o == i) };
    id.iter().map(|&i| ood.iter().map(|&o| count(i, o)).sum::<u64>()).sum()
}

fn unbiased_variance(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (values.len() - 1) as f64
}

proptest! {
    #[test]
    fn auroc_is_the_share_of_ordered_pairs((id, ood) in scores()) {
        let pairs = 2 * id.len() * ood.len();
        prop_assert_eq!(Counts::new(&id, &ood).unwrap().auroc(), half_pairs(&id, &ood) as f64 / pairs as f64);
    }

    #[test]
    fn delong_variance_is_its_definition((id, ood) in scores()) {
        let psi = |i: f64, o: f64| if o > i { 1.0 } else if o == i { 0.5 } else { 0.0 };
        let of_ood: Vec<f64> = ood.iter().map(|&o| id.iter().map(|&i| psi(i, o)).sum::<f64>() / id.len() as f64).collect();
        let of_id: Vec<f64> = id.iter().map(|&i| ood.iter().map(|&o| psi(i, o)).sum::<f64>() / ood.len() as f64).collect();
        match Counts::new(&id, &ood).unwrap().auroc_variance() {
            None => prop_assert!(id.len() == 1 || ood.len() == 1),
            Some(variance) => {
                let want = unbiased_variance(&of_ood) / ood.len() as f64 + unbiased_variance(&of_id) / id.len() as f64;
                prop_assert!((variance - want).abs() <= 1e-14, "{} against {}", variance, want);
            }
        }
    }

    #[test]
    fn increasing_functions_change_nothing((id, ood) in scores()) {
        let increase = |x: &f64| if x.is_infinite() { *x } else { x * x * x + 5.0 * x };
        let other: (Vec<f64>, Vec<f64>) = (id.iter().map(increase).collect(), ood.iter().map(increase).collect());
        // AUTC is about distances of scores, not their order.
        let ordinal = |id: &[f64], ood: &[f64], rule| Metrics { autc: 0.0, ..evaluate(id, ood, rule).unwrap() };
        for rule in FprRule::ALL {
            // Interpolating between scores is not invariant: that is a property of the rule.
            if rule != FprRule::Percentile95Strict {
                prop_assert_eq!(ordinal(&id, &ood, rule), ordinal(&other.0, &other.1, rule));
            }
        }
    }

    #[test]
    fn order_of_samples_does_not_matter((id, ood) in scores(), turn in 0usize..60) {
        let shuffled = |values: &[f64]| {
            let mut values = values.to_vec();
            let middle = turn % values.len();
            values.rotate_left(middle);
            values[middle..].reverse();
            values
        };
        for rule in FprRule::ALL {
            prop_assert_eq!(evaluate(&id, &ood, rule), evaluate(&shuffled(&id), &shuffled(&ood), rule));
        }
    }

    #[test]
    fn classes_and_signs_mirror((id, ood) in scores()) {
        let negated = |values: &[f64]| values.iter().map(|x| -x).collect::<Vec<f64>>();
        let counts = Counts::new(&id, &ood).unwrap();
        let swapped = Counts::new(&ood, &id).unwrap();
        prop_assert!((counts.auroc() + swapped.auroc() - 1.0).abs() < 1e-15);
        let mirrored = Counts::new(&negated(&ood), &negated(&id)).unwrap();
        prop_assert_eq!(counts.auroc(), mirrored.auroc());
        prop_assert_eq!(counts.detection_error(), mirrored.detection_error());
        prop_assert!((counts.autc() - mirrored.autc()).abs() < 1e-12);
        for positive in [Positive::Id, Positive::Ood] {
            prop_assert_eq!(counts.aupr(positive), mirrored.aupr(positive.other()));
            prop_assert_eq!(counts.average_precision(positive), mirrored.average_precision(positive.other()));
            for rule in FprRule::ALL {
                prop_assert_eq!(counts.fpr95(positive, rule), mirrored.fpr95(positive.other(), rule), "{}", rule);
            }
        }
    }

    #[test]
    fn everything_is_a_fraction((id, ood) in scores()) {
        for rule in FprRule::ALL {
            let m = evaluate(&id, &ood, rule).unwrap();
            let values = Metric::OF_SCORES.into_iter().filter_map(|metric| m.value(metric));
            for value in values.chain([m.auroc_low, m.auroc_high]) {
                prop_assert!((0.0..=1.0 + 1e-15).contains(&value), "{:?}", m);
            }
            prop_assert!(m.auroc_low <= m.auroc && m.auroc <= m.auroc_high);
        }
        prop_assert!(Counts::new(&id, &ood).unwrap().detection_error() <= 0.5);
    }

    #[test]
    fn fpr_rises_with_recall((id, ood) in scores(), low in 1u32..=1000, high in 1u32..=1000) {
        let counts = Counts::new(&id, &ood).unwrap();
        let recall = |thousandths: u32| Recall::new(f64::from(thousandths) / 1000.0).unwrap();
        let (low, high) = (recall(low.min(high)), recall(low.max(high)));
        for positive in [Positive::Id, Positive::Ood] {
            for rule in FprRule::ALL {
                let (at_low, at_high) = (counts.fpr_at(positive, low, rule), counts.fpr_at(positive, high, rule));
                prop_assert!(0.0 <= at_low && at_low <= at_high && at_high <= 1.0, "{}: {} {}", rule, at_low, at_high);
            }
        }
    }

    #[test]
    fn bootstrap_values_are_fractions_and_intervals_lie_within_them((id, ood) in scores(), seed in 0u64..1000) {
        let config = BootstrapConfig { replicates: 25, seed };
        for rule in FprRule::ALL {
            let replicates = Replicates::draw(&id, &ood, "set", rule, config).unwrap();
            for metric in Metric::OF_SCORES {
                let values = replicates.values(metric);
                prop_assert!(values.iter().all(|value| (0.0..=1.0 + 1e-15).contains(value)), "{} {:?}", metric, values);
                let [low, high] = replicates.interval(metric).unwrap();
                let (least, most) = values.iter().fold((2.0f64, -1.0f64), |(a, b), &x| (a.min(x), b.max(x)));
                prop_assert!(least <= low && low <= high && high <= most);
            }
        }
    }

    #[test]
    fn shifted_scores_draw_the_same_images((id, ood) in scores()) {
        // A detector that ranks alike has the same replicates: images are drawn, not scores.
        let config = BootstrapConfig { replicates: 10, seed: 7 };
        let draw = |scale: f64| {
            let of = |values: &[f64]| values.iter().map(|x| scale * x).collect::<Vec<f64>>();
            Replicates::draw(&of(&id), &of(&ood), "set", FprRule::FirstAtLeast, config).unwrap()
        };
        let difference = Replicates::difference(&draw(1.0), &draw(4.0));
        prop_assert!(difference.values(Metric::Auroc).iter().all(|&value| value == 0.0));
        prop_assert!(difference.values(Metric::Fpr95Id).iter().all(|&value| value == 0.0));
    }

    #[test]
    fn oscr_is_the_share_of_right_pairs_in_order((id, ood) in scores(), right in prop::collection::vec(any::<bool>(), 60)) {
        let correct = &right[..id.len()];
        let rightly: Vec<f64> = id.iter().zip(correct).filter(|(_, right)| **right).map(|(&score, _)| score).collect();
        let want = half_pairs(&rightly, &ood) as f64 / (2 * id.len() * ood.len()) as f64;
        prop_assert_eq!(oscr(correct, &id, &ood).unwrap(), want);
        prop_assert!(want <= accuracy(correct).unwrap());
        prop_assert_eq!(oscr(&vec![true; id.len()], &id, &ood).unwrap(), Counts::new(&id, &ood).unwrap().auroc());
    }

    #[test]
    fn the_curve_encloses_the_auroc((id, ood) in scores()) {
        let counts = Counts::new(&id, &ood).unwrap();
        let curve = counts.roc();
        prop_assert_eq!((curve[0], curve[curve.len() - 1]), ((0.0, 0.0), (1.0, 1.0)));
        let area: f64 = curve.windows(2).map(|w| (w[1].0 - w[0].0) * (w[0].1 + w[1].1) / 2.0).sum();
        prop_assert!((area - counts.auroc()).abs() < 1e-13);
    }

    #[test]
    fn first_at_least_is_its_definition((id, ood) in scores()) {
        // The smallest threshold t among the scores with 95 % of ID at most t.
        let mut all: Vec<f64> = id.iter().chain(&ood).copied().collect();
        all.sort_by(f64::total_cmp);
        let accepted = |values: &[f64], t: f64| values.iter().filter(|&&x| x <= t).count();
        let t = all.iter().copied().find(|&t| 20 * accepted(&id, t) >= 19 * id.len()).unwrap();
        let want = accepted(&ood, t) as f64 / ood.len() as f64;
        prop_assert_eq!(Counts::new(&id, &ood).unwrap().fpr95(Positive::Id, FprRule::FirstAtLeast), want);
    }
}

#[test]
fn ninety_five_percent_is_met_exactly() {
    // 0.95 * 20 rounds to 19 in floating point only by luck; 19 of 20 must be enough, whatever the size.
    for n in (20..=2000).step_by(20) {
        let id: Vec<f64> = (0..n).map(f64::from).collect();
        let ood: Vec<f64> = (0..n).map(|k| f64::from(k) + 0.5).collect();
        let counts = Counts::new(&id, &ood).unwrap();
        let accepted = f64::from(n * 19 / 20 - 1) / f64::from(n);
        assert_eq!(counts.fpr95(Positive::Id, FprRule::FirstAtLeast), accepted, "{n}");
    }
}

#[test]
fn suspicious_scores_are_warned_of() {
    let warnings = |id: &[f64], ood: &[f64]| evaluate(id, ood, FprRule::FirstAtLeast).unwrap().warnings;
    assert_eq!(warnings(&[1.0, 2.0], &[2.5, 3.0]), []);
    assert_eq!(warnings(&[1.0, 1.0], &[1.0, 1.0]), [Warning::Constant]);
    assert_eq!(warnings(&[3.0, 4.0], &[1.0, 2.0]), [Warning::Inverted { auroc: 0.0 }]);
    assert_eq!(warnings(&[0.0; 20], &[1.0; 20]), [Warning::HeavyTies { distinct: 2, total: 40 }]);
    assert_eq!(warnings(&[f64::NEG_INFINITY, 0.0], &[f64::INFINITY, f64::INFINITY]), [Warning::Infinite { count: 3 }]);
    assert_eq!(warnings(&[0.0, 1.0], &[2.0]), [Warning::SingleScore { class: Positive::Ood }]);
    let message = Warning::Inverted { auroc: 0.12 }.to_string();
    assert_eq!(message, "AUROC is 12.00 %, far below one half: is the sign right? higher must mean more OOD");
}

#[test]
fn intervals_without_variance_say_what_is_known() {
    let point = evaluate(&[0.0, 1.0], &[2.0, 3.0], FprRule::FirstAtLeast).unwrap();
    assert_eq!((point.auroc_low, point.auroc, point.auroc_high), (1.0, 1.0, 1.0));
    let unknown = evaluate(&[0.0, 1.0], &[2.0], FprRule::FirstAtLeast).unwrap();
    assert_eq!((unknown.auroc_low, unknown.auroc_high), (0.0, 1.0));
}

#[test]
fn nan_and_one_class_are_refused() {
    for rule in FprRule::ALL {
        assert_eq!(evaluate(&[], &[1.0], rule), Err(MetricError::Empty { class: Positive::Id }));
        let nan = MetricError::Nan { class: Positive::Id, index: 2, count: 1 };
        assert_eq!(evaluate(&[0.0, 1.0, f64::NAN], &[1.0], rule), Err(nan));
    }
}

#[test]
fn rules_have_names() {
    for rule in FprRule::ALL {
        assert_eq!(rule.name().parse(), Ok(rule));
        assert_eq!(serde_json::to_string(&rule).unwrap(), format!("{:?}", rule.name()));
    }
    assert!("first".parse::<FprRule>().unwrap_err().to_string().contains("first-at-least"));
}
