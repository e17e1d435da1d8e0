use oodlab_evaluation::{Metric, Row, Table};

use super::compare::{Allowed, Verdict};
use super::*;

fn row(set: &str, auroc: f64) -> Row {
    let n_ood = (!set.starts_with("mean of")).then_some(100);
    Row {
        score: "mse".into(),
        ood_set: set.into(),
        n_id: n_ood,
        n_ood,
        auroc,
        auroc_low: n_ood.map(|_| auroc - 0.02),
        auroc_high: n_ood.map(|_| auroc + 0.02),
        aupr_in: 0.0,
        aupr_out: 0.0,
        fpr95_id: 0.0,
        fpr95_ood: 0.0,
        ..Row::default()
    }
}

fn of(rows: Vec<Row>, numerics: &str) -> Baseline {
    let lists = BTreeSet::from(["list".to_owned()]);
    Baseline::of(&Table::new(rows), &lists, "x", "experiments/x.yaml", numerics.into())
}

fn verdicts(before: f64, after: f64, numerics: &str, rules: &Rules) -> (Verdict, bool) {
    let (before, after) = (of(vec![row("svhn", before)], "a"), of(vec![row("svhn", after)], numerics));
    let comparison = compare(&before, &after, rules).expect("comparable");
    let value = comparison.values.iter().find(|value| value.metric == Metric::Auroc).expect("an AUROC");
    (value.verdict, value.fails)
}

#[test]
fn equal_numerics_are_compared_to_the_bit() {
    let rules = Rules::default();
    assert_eq!(verdicts(0.9, 0.9, "a", &rules), (Verdict::Same, false));
    assert_eq!(verdicts(0.9, 0.9_f64.next_up(), "a", &rules), (Verdict::Better, true));
    assert_eq!(verdicts(0.9, 0.9_f64.next_down(), "a", &rules), (Verdict::Worse, true));
    let never_exact = Rules { never_exact: true, ..Rules::default() };
    assert_eq!(verdicts(0.9, 0.9_f64.next_down(), "a", &never_exact), (Verdict::Within, false));
}

#[test]
fn other_numerics_may_move_by_a_tenth_of_a_point() {
    let rules = Rules::default();
    // A change as large as allowed is allowed, whatever the subtraction rounds to.
    for (before, after) in [(0.9, 0.901), (0.9, 0.899), (0.7, 0.699), (0.3, 0.299)] {
        assert_eq!(verdicts(before, after, "b", &rules), (Verdict::Within, false), "{before} {after}");
    }
    assert_eq!(verdicts(0.9, 0.8985, "b", &rules), (Verdict::Worse, true));
    assert_eq!(verdicts(0.9, 0.9015, "b", &rules), (Verdict::Better, false));
    assert_eq!(verdicts(0.9, 0.9015, "b", &Rules { strict: true, ..Rules::default() }), (Verdict::Better, true));
}

#[test]
fn what_is_no_number_is_worse_whatever_is_allowed() {
    for numerics in ["a", "b"] {
        assert_eq!(verdicts(0.9, f64::NAN, numerics, &Rules::default()), (Verdict::Worse, true));
    }
    let all = BTreeSet::from(["auroc".to_owned()]);
    let error = of(vec![row("svhn", f64::NAN)], "a").guarding(&all, BTreeMap::new(), Exactness::default());
    assert!(error.expect_err("no number").to_string().contains("auroc is NaN"));
}

#[test]
fn a_baseline_is_read_back_to_the_bit() {
    for auroc in [0.975_123_456_789_012_3, 0.1 + 0.2, 1.0 / 3.0, f64::MIN_POSITIVE, 0.979_3] {
        let before = of(vec![row("svhn", auroc)], "a");
        let text = serde_json::to_string_pretty(&before).expect("writes");
        let read: Baseline = serde_json::from_str(&text).expect("reads");
        assert!(read.guards_as(&before) && read == before);
    }
}

#[test]
fn cells_that_come_and_go_are_told_once_each() {
    let cell = |name: &str| ["svhn", "mnist"].map(|set| Row { cell: name.into(), ..row(set, 0.9) });
    let before = of([cell("a=1"), cell("a=2")].concat(), "a");
    let after = of([cell("a=2"), cell("a=3")].concat(), "a");
    let comparison = compare(&before, &after, &Rules::default()).expect("comparable");
    let expected = [Difference::CellMissing { cell: "a=1", rows: 2 }, Difference::CellNew { cell: "a=3", rows: 2 }];
    assert_eq!(comparison.differences, expected);
    assert_eq!((comparison.values.len(), comparison.failures()), (10 + 2 * (before.metrics().len() - 5), 2));
}

/// The mean's interval is within the mean of the ends of those of its sets: they are compared in its place.
#[test]
fn a_mean_without_an_interval_is_compared_by_those_of_its_sets() {
    let rows = |shift: f64| vec![row("svhn", 0.8 + shift), row("mnist", 0.9 + shift), row("mean of 2", 0.85 + shift)];
    let (before, after) = (of(rows(0.0), "a"), of(rows(-0.03), "b"));
    let tolerance = BTreeMap::from([(Metric::Auroc, Tolerance::Interval)]);
    let comparison = compare(&before, &after, &Rules { tolerance, ..Rules::default() }).expect("comparable");
    let mean = comparison.values.iter().find(|value| value.row == 2 && value.metric == Metric::Auroc).expect("a mean");
    let Allowed::Overlap(old, new) = mean.allowed else { panic!("{:?}", mean.allowed) };
    for (end, expected) in [(old[0], 0.83), (old[1], 0.87), (new[0], 0.80), (new[1], 0.84)] {
        assert!((end - expected).abs() < 1e-12, "{old:?} {new:?}");
    }
    assert_eq!(mean.verdict, Verdict::Within);
}
