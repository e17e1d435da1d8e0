//! The published numbers: that they were copied rightly, as far as their own arithmetic can tell.

use std::collections::BTreeMap;

use oodlab_evaluation::published::{Entry, Library};

/// A mean as printed, where it is not the mean of the printed values: table, method, metric, printed, and what the values give.
const SLIPS: [(&str, &str, &str, f64, f64); 1] = [("dlsr-table9", "MFsim", "fpr95_id", 27.01, 27.045)];

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
    let (mut checked, mut slips, mut wrong) = (0, 0, Vec::new());
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
            assert!(
                (mean - ours).abs() <= tolerance,
                "{name}, {method} on {id_set}, {metric}: printed {mean}, values give {ours}"
            );
            checked += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(slips, SLIPS.len());
    insta::assert_snapshot!(checked.to_string(), @"");
}
