//! `oodlab metrics` on score files of other programs.

mod support;

use support::Sandbox;

fn metrics(sandbox: &Sandbox, arguments: &[&str]) -> serde_json::Value {
    let text = sandbox.ok(&[&["metrics"], arguments, &["--json"]].concat());
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn a_csv_of_scores_gives_one_object_a_detector() {
    let sandbox = Sandbox::new();
    sandbox.write("s.csv", "score,other,is_ood\n0.0,3,0\n1.0,2,0\n1.0,1,1\n2.0,0,1\n");
    let found = metrics(&sandbox, &["s.csv"]);
    assert_eq!(found.as_array().map(Vec::len), Some(1));
    assert_eq!(found[0]["auroc"], 0.875);
    assert_eq!(found[0]["fpr95_id"], 0.5);
    assert_eq!((&found[0]["n_id"], &found[0]["n_ood"]), (&2.into(), &2.into()));
    let both = metrics(&sandbox, &["s.csv", "--score", "score", "--score", "other"]);
    assert_eq!(both[1]["auroc"], 0.0);
    assert!(sandbox.ok(&["metrics", "s.csv"]).contains("87.50"));
}

#[test]
fn bad_score_files_give_one_clear_error() {
    let sandbox = Sandbox::new();
    for (name, text, says) in [
        ("missing.csv", "value,is_ood\n1,0\n", "value"),
        ("strings.csv", "score,is_ood\nhigh,0\n1,1\n", "high"),
        ("empty.csv", "score,is_ood\n", "no rows"),
        ("nan.csv", "score,is_ood\nNaN,0\n1,1\n", "NaN"),
        ("one.csv", "score,is_ood\n1,0\n2,0\n", "none of the out-of-distribution class"),
        (
            "signs.csv",
            "score,is_ood\n1,-1\n2,1\n",
            "found -1, 1 in this column; say which of these values mean OOD, as in --ood-value",
        ),
        ("near.csv", "scores,is_ood\n1,0\n2,1\n", "there are: scores, is_ood; did you mean \"scores\"?"),
        ("gap.csv", "score,is_ood\n,0\n2,1\n", "row 1, column \"score\": expected a number, found nothing"),
        ("other.txt", "score,is_ood\n", "*.csv, *.parquet, *.jsonl or *.npz"),
        ("cut.npz", "PK", "not readable as npz"),
    ] {
        sandbox.write(name, text);
        let output = sandbox.run(&["metrics", name]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_ne!(output.status.code(), Some(0), "{name}");
        assert_eq!(told.lines().filter(|line| line.starts_with("error:")).count(), 1, "{name}: {told}");
        assert!(told.contains(says), "{name}: {told}");
    }
}

/// Ten ID rows and two OOD sets of five; `b` ranks the first set worse than `a`.
const SETS: &str = "a,b,kind,set\n\
    0,0,1,id\n1,1,1,id\n2,2,1,id\n3,3,1,id\n4,4,1,id\n5,5,1,id\n6,6,1,id\n7,7,1,id\n8,8,1,id\n9,9,1,id\n\
    8,4,-1,near\n9,5,-1,near\n10,2,-1,near\n11,9,-1,near\n12,3,-1,near\n\
    20,20,-1,far\n21,21,-1,far\n22,22,-1,far\n23,23,-1,far\n24,24,-1,far\n";

#[test]
fn sets_share_the_id_rows_and_have_a_mean() {
    let sandbox = Sandbox::new();
    sandbox.write("s.csv", SETS);
    let common = ["s.csv", "--is-ood", "kind", "--ood-value", "-1", "--set", "set"];
    let found = metrics(&sandbox, &[&common[..], &["--score", "a"]].concat());
    let lines: Vec<_> = found.as_array().unwrap().iter().collect();
    assert_eq!(
        lines.iter().map(|line| line["set"].as_str().unwrap()).collect::<Vec<_>>(),
        ["near", "far", "mean of 2"]
    );
    assert!(lines.iter().all(|line| line["n_id"] == 10));
    assert_eq!((&lines[0]["n_ood"], lines[2].get("n_ood")), (&5.into(), None));
    // 8 ties with 8 and is below 9: 8.5 of 10; 9 ties: 9.5; the other three are above all: 48 of 50.
    assert_eq!((&lines[0]["auroc"], &lines[1]["auroc"], &lines[2]["auroc"]), (&0.96.into(), &1.0.into(), &0.98.into()));
    assert!(lines[2].get("auroc_low").is_none() && lines[2].get("fpr95_id_low").is_none());

    let with = metrics(&sandbox, &[&common[..], &["--score", "a", "--bootstrap", "50"]].concat());
    for metric in
        ["auroc", "aupr_in", "aupr_out", "fpr95_id", "fpr95_ood", "ap_in", "ap_out", "detection_error", "autc"]
    {
        let [low, high] = ["low", "high"].map(|end| with[2][format!("{metric}_{end}")].as_f64().unwrap());
        assert!((0.0..=1.0).contains(&low) && low <= high && high <= 1.0, "{metric}: {low} to {high}");
    }
    assert_eq!(with[1]["fpr95_id_high"], 0.0);
    let other_seed = metrics(&sandbox, &[&common[..], &["--score", "a", "--bootstrap", "50", "--seed", "1"]].concat());
    assert_ne!(with[0]["autc_low"], other_seed[0]["autc_low"]);
}

#[test]
fn a_detector_is_compared_with_another_on_the_same_rows() {
    let sandbox = Sandbox::new();
    sandbox.write("s.csv", SETS);
    let common = ["s.csv", "--is-ood", "kind", "--ood-value", "-1", "--set", "set", "--score", "a", "--against", "b"];
    let found = metrics(&sandbox, &common);
    assert_eq!(found.as_array().map(Vec::len), Some(6));
    let tests = |line: usize| found[line]["against"].as_array().unwrap();
    let near = &tests(0)[0];
    assert_eq!(
        (&near["detector"], &near["metric"], &near["method"]),
        (&"b".into(), &"auroc".into(), &"delong-paired".into())
    );
    assert_eq!(near["sets_in_family"], 2);
    let p = near["p"].as_f64().unwrap();
    assert!(p < 0.05 && near["p_holm"] == 2.0 * p, "{near}");
    // On the far set both are perfect: no difference, and nothing to doubt.
    assert_eq!((&tests(1)[0]["difference"], &tests(1)[0]["p"]), (&0.0.into(), &1.0.into()));
    assert_eq!((&tests(2)[0]["method"], &tests(2)[0]["sets_in_family"]), (&"bootstrap-paired".into(), &1.into()));
    assert!(found[3].get("against").is_none(), "b is compared with nothing");
    let text = sandbox.ok(&[&["metrics"], &common[..]].concat());
    assert!(text.contains("p (Holm)") && text.contains("+45.00 ["), "{text}");
    let alone = sandbox.run(&["metrics", "s.csv", "--score", "b", "--against", "b"]);
    assert_eq!(alone.status.code(), Some(2));
}

#[test]
fn conventions_choose_the_rule_and_say_what_a_system_prints() {
    let sandbox = Sandbox::new();
    // Golden case C: 60 zeros, 30 ones, 10 twos against 5, 15, 20.
    let rows = [(60, "0,0"), (30, "1,0"), (10, "2,0"), (5, "0,1"), (15, "1,1"), (20, "2,1")];
    let rows: String = rows.iter().map(|(count, row)| format!("{row}\n").repeat(*count)).collect();
    sandbox.write("c.csv", &format!("score,is_ood\n{rows}"));
    for (convention, rule, fpr95_id) in [
        ("pytorch-ood", "first-at-least", 1.0),
        ("openood", "first-at-least-sklearn-drop", 1.0),
        ("energy", "nearest", 0.5),
        ("dlsr", "percentile95-strict", 0.5),
        ("odin", "order-stat-strict", 0.5),
        ("nearest", "nearest", 0.5),
    ] {
        let found = metrics(&sandbox, &["c.csv", "--convention", convention]);
        assert_eq!((&found[0]["rule"], &found[0]["convention"]), (&rule.into(), &convention.into()));
        assert_eq!(found[0]["fpr95_id"], fpr95_id, "{convention}");
    }
    let text = sandbox.ok(&["metrics", "c.csv", "--convention", "energy"]);
    assert!(text.contains("convention energy: prints auroc, ap_in, fpr95_id") && text.contains("87.07"), "{text}");
    let at_90 = metrics(&sandbox, &["c.csv", "--recall", "0.9"]);
    assert_eq!(
        (&at_90[0]["fpr90_id"], at_90[0].get("fpr95_id"), &at_90[0]["recall"]),
        (&0.5.into(), None, &0.9.into())
    );
}

#[test]
fn scores_of_the_other_sign_are_negated() {
    let sandbox = Sandbox::new();
    sandbox.write("s.csv", "score,is_ood\n0.0,0\n-1.0,0\n-1.0,1\n-2.0,1\n");
    let found = metrics(&sandbox, &["s.csv", "--lower-is-ood"]);
    assert_eq!((&found[0]["auroc"], &found[0]["negated"]), (&0.875.into(), &true.into()));
    let told = sandbox.run(&["metrics", "s.csv"]);
    assert!(String::from_utf8_lossy(&told.stderr).contains("is the sign right?"));
}

#[test]
fn infinite_scores_are_kept_and_told() {
    let sandbox = Sandbox::new();
    sandbox.write("s.csv", "score,is_ood\n-inf,0\n1,0\n1,1\ninf,1\n");
    let found = metrics(&sandbox, &["s.csv"]);
    assert_eq!(found[0]["auroc"], 0.875);
    assert_eq!(found[0]["warnings"][0], "2 infinite scores");
}

#[test]
fn labels_give_accuracy_oscr_and_calibration_error() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "s.csv",
        "score,is_ood,y,guess,sure,z0,z1\n0,0,0,0,1,9,-700\n1,0,1,1,1,-700,9\n0,0,1,0,0.5,0,0\n1,1,-1,0,0.9,0,1\n2,1,-1,1,0.5,0,1\n",
    );
    for arguments in [&["--prediction", "guess", "--confidence", "sure"][..], &["--logits", "z"]] {
        let found = metrics(&sandbox, &[&["s.csv", "--label", "y"], arguments].concat());
        assert_eq!(found[0]["accuracy"], 2.0 / 3.0);
        // Of six pairs the right ones are 0 < 1, 0 < 2, 1 = 1, 1 < 2.
        assert_eq!(found[0]["oscr"], 3.5 / 6.0);
        assert_eq!(found[0]["calibration_error"], 0.5 / 3.0);
    }
    let without = metrics(&sandbox, &["s.csv", "--label", "y", "--prediction", "guess"]);
    assert!(without[0].get("calibration_error").is_none() && without[0]["accuracy"] == 2.0 / 3.0);
    assert_eq!(sandbox.run(&["metrics", "s.csv", "--label", "y"]).status.code(), Some(2));
}

#[test]
fn the_help_teaches_by_examples() {
    let help = Sandbox::new().ok(&["metrics", "--help"]);
    for word in
        ["--set dataset --convention openood", "--lower-is-ood --is-ood label --ood-value -1", "Holm's correction"]
    {
        assert!(help.contains(word), "{word}");
    }
}

#[test]
fn rows_that_need_no_class_or_set_may_be_without() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "s.csv",
        "score,is_ood,y,l0,l1,ds\n0.0,0,0,2,1,\n0.5,0,1,0,3,\n0.2,0,1,5,1,\n1.0,1,,,,far\n2.0,1,,,,near\n",
    );
    let found = metrics(&sandbox, &["s.csv", "--label", "y", "--logits", "l", "--set", "ds", "--bootstrap", "200"]);
    assert_eq!(found.as_array().map(Vec::len), Some(3), "{found}");
    assert_eq!((&found[0]["set"], &found[0]["accuracy"]), (&"far".into(), &(2.0 / 3.0).into()));
    for metric in ["accuracy", "oscr", "calibration_error"] {
        let [low, high] = ["low", "high"].map(|end| found[0][format!("{metric}_{end}")].as_f64().expect(metric));
        assert!(low < high, "{metric}: {low} to {high}");
    }
    // An ID row without a class is one too few, and the row of the file is named.
    sandbox.write("t.csv", "score,is_ood,y,p\n1,1,,\n0,0,1,1\n0,0,,1\n");
    let output = sandbox.run(&["metrics", "t.csv", "--label", "y", "--prediction", "p"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("row 3, column \"y\"") && told.contains("found nothing"), "{told}");
}

#[test]
fn infinities_are_kept_in_json_lines_and_columns_named_twice_refused() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "s.jsonl",
        "{\"score\": -Infinity, \"is_ood\": 0, \"NaN \\\"Infinity\": 1}\n{\"score\": 0, \"is_ood\": 0}\n\
         {\"score\": \"inf\", \"is_ood\": 1}\n{\"score\": Infinity, \"is_ood\": 1}\n",
    );
    let found = metrics(&sandbox, &["s.jsonl"]);
    assert_eq!((&found[0]["auroc"], &found[0]["n_ood"]), (&1.0.into(), &2.into()));
    for (name, text, says) in [
        ("nan.jsonl", "{\"score\": NaN, \"is_ood\": 0}\n", "row 1, column \"score\": expected a number, found NaN"),
        ("text.jsonl", "{\"score\": \"2\", \"is_ood\": 0}\n", "expected a number"),
        ("twice.csv", "score,score,is_ood\n1,2,0\n3,4,1\n", "two columns are named \"score\""),
    ] {
        sandbox.write(name, text);
        let output = sandbox.run(&["metrics", name]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(says), "{name}: {told}");
    }
}
