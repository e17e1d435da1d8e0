//! `docs/conventions.md`: its worked example, its table of systems and its other numbers are what this crate computes.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use oodlab_evaluation::metrics::Convention;
use oodlab_evaluation::{Counts, FprRule, Metric, Positive, evaluate};

const GUIDE: &str = include_str!("../../../docs/conventions.md");

/// The cells of the table that begins with this heading, row by row, without signs of code.
fn table(first: &str) -> Vec<Vec<String>> {
    let lines = GUIDE.lines().skip_while(|line| !line.starts_with(first)).skip(2);
    let rows: Vec<Vec<String>> = lines
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect())
        .collect();
    assert!(!rows.is_empty(), "{first}");
    rows
}

/// The samples of the worked example, as its first table counts them.
fn example() -> (Vec<f64>, Vec<f64>) {
    let rows = table("| score | 0 | 1 | 2 |");
    let scores = |row: &[String]| -> Vec<f64> {
        let counts = row[1..].iter().map(|count| count.parse::<usize>().unwrap());
        (0..).zip(counts).flat_map(|(score, count)| std::iter::repeat_n(f64::from(score), count)).collect()
    };
    let (id, ood) = (scores(&rows[0]), scores(&rows[1]));
    assert_eq!((id.len(), ood.len()), (100, 40));
    (id, ood)
}

#[test]
fn the_worked_example_is_right() {
    let (id, ood) = example();
    let metrics = evaluate(&id, &ood, FprRule::FirstAtLeast).unwrap();
    let rows = table("| column | value |");
    assert_eq!(rows.len(), 9);
    for row in rows {
        let want: f64 = row[1].parse().unwrap();
        let found = match row[0].as_str() {
            "auroc_low" => metrics.auroc_low,
            "auroc_high" => metrics.auroc_high,
            name => metrics.value(name.parse().unwrap()).unwrap(),
        };
        assert!((found - want).abs() < 6e-11, "{}: {found}", row[0]);
    }
    // The sums in words.
    assert_eq!(5 * 30 + 15 * 75 + 20 * 95, 3175);
    assert_eq!(metrics.auroc, 3175.0 / 4000.0);
    assert!((0.5 * 20.0 / 30.0 + 0.375 * 35.0 / 75.0 + 0.125 * 40.0 / 140.0 - metrics.ap_out).abs() < 1e-15);
    assert_eq!((metrics.detection_error, metrics.autc), ((0.4 + 0.125) / 2.0, (0.25 + (1.0 - 0.6875)) / 2.0));
}

#[test]
fn the_rules_of_the_worked_example_are_right() {
    let (id, ood) = example();
    let counts = Counts::new(&id, &ood).unwrap();
    let rows = table("| rule | `fpr95_id` | `fpr95_ood` | why |");
    assert_eq!(rows.len(), FprRule::ALL.len());
    for (row, rule) in rows.iter().zip(FprRule::ALL) {
        assert_eq!(row[0], rule.name());
        assert_eq!(row[1].parse(), Ok(counts.fpr95(Positive::Id, rule)), "{rule}");
        assert_eq!(row[2].parse(), Ok(counts.fpr95(Positive::Ood, rule)), "{rule}");
    }
}

#[test]
fn every_column_is_explained() {
    let explained: Vec<String> = table("| column | meaning | better |")
        .iter()
        .flat_map(|row| row[0].split(", ").map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let mut expected: Vec<&str> = Metric::ALL.map(Metric::name).to_vec();
    let mut found: Vec<&str> = explained.iter().map(String::as_str).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    for row in table("| column | meaning | better |") {
        for name in row[0].split(", ") {
            let metric: Metric = name.parse().unwrap();
            assert_eq!(row[2] == "higher", metric.higher_is_better(), "{name}");
        }
    }
}

#[test]
fn the_table_of_systems_is_that_of_the_program() {
    let rows = table("| convention | rule | prints | to know |");
    let systems = Convention::ALL.into_iter().filter(|convention| convention.name != convention.rule.name());
    let systems: Vec<Convention> = systems.collect();
    assert_eq!(rows.len(), systems.len());
    for (row, system) in rows.iter().zip(systems) {
        let prints: Vec<&str> = system.prints.iter().map(|metric| metric.name()).collect();
        assert_eq!(row[..3], [system.name, system.rule.name(), &prints.join(", ")], "{}", system.name);
    }
    for rule in FprRule::ALL {
        assert!(GUIDE.contains(&format!("* **`{rule}`**")), "{rule} is not explained");
    }
}

#[test]
fn a_sigmoid_in_single_precision_does_that() {
    let id: Vec<f64> = (0..40).map(|i| f64::from((37 * i) % 101) / 101.0).collect();
    let ood: Vec<f64> = (0..30).map(|j| 0.35 + f64::from((53 * j) % 97) / 97.0).collect();
    for row in table("| added | AUROC | distinct scores |") {
        let added: f64 = row[0].parse().unwrap();
        let squashed = |scores: &[f64]| -> Vec<f64> {
            scores.iter().map(|score| f64::from((1.0 / (1.0 + libm::exp(-(score + added)))) as f32)).collect()
        };
        let counts = Counts::new(&squashed(&id), &squashed(&ood)).unwrap();
        assert_eq!(format!("{:.4}", counts.auroc()), row[1], "{added}");
        assert_eq!(counts.thresholds().len().to_string(), row[2], "{added}");
    }
}

#[test]
fn dropped_vertices_do_that() {
    let hundredths: Vec<f64> = (0..100).map(|k| f64::from(k) / 100.0).collect();
    let counts = Counts::new(&hundredths, &hundredths).unwrap();
    assert_eq!(counts.fpr95(Positive::Id, FprRule::FirstAtLeast), 0.95);
    assert_eq!(counts.fpr95(Positive::Id, FprRule::FirstAtLeastSklearnDrop), 1.0);
}
