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
        ("one.csv", "score,is_ood\n1,0\n2,0\n", "out-of-distribution"),
    ] {
        sandbox.write(name, text);
        let output = sandbox.run(&["metrics", name]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_ne!(output.status.code(), Some(0), "{name}");
        assert_eq!(told.lines().filter(|line| line.starts_with("error:")).count(), 1, "{name}: {told}");
        assert!(told.contains(says), "{name}: {told}");
    }
}
