//! The published numbers: that they were copied rightly, as far as their own arithmetic can tell.

use std::collections::BTreeMap;

use oodlab_evaluation::published::{Entry, Library};

/// A mean as printed, where it is not the mean of the printed values: table, method, metric, printed, and what the values give.
const SLIPS: [(&str, &str, &str, f64, f64); 2] = [
    ("dlsr-table5-cifar100", "MFsim", "fpr95_id", 14.78, 14.7383),
    ("dlsr-table9", "MFsim", "fpr95_id", 27.01, 27.045),
];

#[test]
fn every_file_can_be_read() {
    let library = Library::builtin();
    let counts: Vec<String> = library
        .names()
        .map(|name| {
            let table = library.table(name).unwrap();
            assert!(!table.title.is_empty() && !table.source.reference.is_empty(), "{name}");
            let entries = table.entries(name).unwrap();
            for method in table.methods.keys() {
                assert!(entries.iter().any(|entry| entry.method == *method), "{name}: no numbers of {method}");
            }
            format!("{name} {}", entries.len())
        })
        .collect();
    insta::assert_snapshot!("published_counts", counts.join("\n"));
}

/// The sets of one mean: method, ID set, metric, sweep.
type Line = (String, String, String, String);

#[test]
fn every_published_mean_is_the_mean_of_its_row() {
    let library = Library::builtin();
    let (mut checked, mut slips, mut wrong) = (0, 0, Vec::<String>::new());
    for name in library.names() {
        let mut lines: BTreeMap<Line, (Vec<f64>, Option<f64>)> = BTreeMap::new();
        for Entry { method, id_set, set, metric, value, sweep, .. } in
            library.table(name).unwrap().entries(name).unwrap()
        {
            let key = (method, id_set, metric.name().to_owned(), format!("{sweep:?}"));
            let (values, mean) = lines.entry(key).or_default();
            match set.as_str() {
                "mean" => *mean = Some(value * 100.0),
                set if set.starts_with("mean (") || set == "id" => {}
                _ => values.push(value * 100.0),
            }
        }
        for ((method, id_set, metric, _), (values, mean)) in lines {
            let (Some(mean), false) = (mean, values.is_empty()) else { continue };
            let ours = values.iter().sum::<f64>() / values.len() as f64;
            let slip = SLIPS.iter().find(|slip| (slip.0, slip.1, slip.2) == (name, &method, &metric));
            if let Some((.., printed, given)) = slip {
                assert!((mean - printed).abs() < 1e-9 && (ours - given).abs() < 1e-3, "{name} {method}: {mean} {ours}");
                slips += 1;
                continue;
            }
            // Printed with two decimals, or with one: half a unit of the mean and half a unit of its values.
            let one = values.iter().chain([&mean]).all(|value| (value * 10.0 - (value * 10.0).round()).abs() < 1e-9);
            let tolerance = if one { 0.1001 } else { 0.01001 };
            if (mean - ours).abs() > tolerance {
                wrong.push(format!("{name}, {method} on {id_set}, {metric}: printed {mean}, values give {ours}"));
            }
            checked += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(slips, SLIPS.len());
    insta::assert_snapshot!(checked.to_string(), @"145");
}

/// What a table gives for a method on a set, in percent.
fn printed(table: &str, method: &str, id_set: &str, set: &str, width: &str) -> f64 {
    let entries = Library::builtin().table(table).unwrap().entries(table).unwrap();
    let mut found = entries.iter().filter(|entry| {
        (entry.method.as_str(), entry.id_set.as_str(), entry.set.as_str(), entry.metric.name())
            == (method, id_set, set, "auroc")
            && (table != "dlsr-figure5" || entry.sweep.values().all(|layers| layers.0.len() > 1))
            && (width.is_empty() || entry.sweep.values().flat_map(|choice| &choice.0).eq(["16", width]))
    });
    let value = found.next().unwrap_or_else(|| panic!("{table} {method} {id_set} {set}")).value;
    assert!(found.next().is_none());
    (value * 1e6).round() / 1e4
}

#[test]
fn tables_that_print_the_same_number_agree() {
    for method in ["MSE", "LR", "MFsim"] {
        let in_table3 = |id_set: &str, set: &str| printed(&format!("dlsr-table3-{id_set}"), method, id_set, set, "");
        assert_eq!(printed("dlsr-table4", method, "cifar100", "mean", "1440"), in_table3("cifar100", "mean"));
        assert_eq!(printed("dlsr-figure5", method, "cifar100", "mean", ""), in_table3("cifar100", "mean"));
        let slip = if method == "MFsim" { 0.01 } else { 0.0 };
        let far = printed("dlsr-figure5", method, "cifar10", "mean", "") - in_table3("cifar10", "mean");
        assert!((far - slip).abs() < 1e-9, "{far}");
        let faces = printed("dlsr-table2", method, "celeba", "mean", "");
        assert_eq!(printed("dlsr-figure5", method, "celeba", "mean", ""), faces);
        let near = printed("dlsr-table8", method, "cifar10", "cifar100", "");
        assert_eq!(printed("dlsr-table9", method, "cifar10", "cifar100", ""), near);
        assert_eq!(printed("dlsr-table10", method, "cifar10", "cifar100", ""), near);
        for id_set in ["cifar10", "cifar100"] {
            assert_eq!(printed("dlsr-table10", method, id_set, "svhn", ""), in_table3(id_set, "svhn"));
        }
        let pairs = [("cifar10", "cifar100"), ("cifar10", "svhn"), ("cifar100", "cifar10"), ("cifar100", "svhn")];
        let mean = pairs.map(|(id, set)| printed("dlsr-table10", method, id, set, "")).iter().sum::<f64>() / 4.0;
        assert!((printed("dlsr-table10", method, "all", "mean", "") - mean).abs() < 0.0051, "{mean}");
    }
}

#[test]
fn what_is_known_from_memory_is_marked() {
    let recalled = |name: &str| {
        let entries = Library::builtin().table(name).unwrap().entries(name).unwrap();
        entries.into_iter().filter(|entry| entry.recalled).map(|entry| entry.set).collect::<Vec<_>>()
    };
    assert_eq!(recalled("energy-cifar10").len(), 2 * 6 * 3);
    assert!(!recalled("energy-cifar10").contains(&"mean".to_owned()));
    assert!(recalled("dlsr-table3-cifar10").is_empty());
}

#[test]
fn a_bad_file_says_where() {
    let bad = |cell: &str| {
        format!(
            "{{title: t, source: {{name: n, reference: r, table: t}}, blocks: [{{metrics: [auroc], values: {{A: {{svhn: {cell}}}}}}}]}}"
        )
    };
    let told = |text: &str| Library::builtin().with("mine", text).table("mine").unwrap_err().to_string();
    insta::assert_snapshot!(told(&bad("98.9/1.2")), @r#"mine.yaml, A, svhn: expected a percentage such as 98.9, 98.9±0.1 or -, found "98.9/1.2""#);
    insta::assert_snapshot!(told(&bad("989")), @r#"mine.yaml, A, svhn: expected a percentage such as 98.9, 98.9±0.1 or -, found "989""#);
    assert!(told("title: [").starts_with("mine.yaml: "));
    assert!(Library::builtin().with("mine", &bad("98.9±0.1")).table("mine").is_ok());
}
