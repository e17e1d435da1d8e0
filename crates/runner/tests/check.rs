//! `oodlab check`: metrics against their committed baselines.

mod support;

use std::path::Path;
use std::sync::OnceLock;

use serde_json::{Value, json};
use support::{SMALL, Sandbox, copy};

const BASELINE: &str = "results/baselines/small.json";
/// AUROC and FPR95 of this row are neither 0 nor 1, so that they can move both ways.
const ROW: usize = 0;

/// An experiment that ran once, with a baseline of it.
fn ran() -> &'static Sandbox {
    static RAN: OnceLock<Sandbox> = OnceLock::new();
    RAN.get_or_init(|| {
        let sandbox = Sandbox::new();
        sandbox.write("experiments/small.yaml", SMALL);
        let told = sandbox.ok(&["--log", "error", "check", "--store", "store", "--update", BASELINE]);
        assert_eq!(told, "small: baseline written: 60 rows\n");
        sandbox
    })
}

/// A copy of it, without the store: nothing can be computed.
fn finished() -> Sandbox {
    let sandbox = Sandbox::new();
    for folder in ["experiments", "results"] {
        copy(&ran().path(folder), &sandbox.path(folder));
    }
    sandbox
}

fn baseline(sandbox: &Sandbox) -> Value {
    serde_json::from_slice(&std::fs::read(sandbox.path(BASELINE)).expect("a baseline")).expect("JSON")
}

/// Changes the baseline.
fn edit(sandbox: &Sandbox, change: impl FnOnce(&mut Value)) {
    let mut value = baseline(sandbox);
    change(&mut value);
    sandbox.write(BASELINE, &serde_json::to_string_pretty(&value).expect("JSON"));
}

/// Moves what the baseline says of a metric, in points.
fn shift(value: &mut Value, row: usize, metric: &str, points: f64) {
    let metric = &mut value["rows"][row]["metrics"][metric];
    let shifted = metric.as_f64().expect("a number") + points / 100.0;
    assert!((0.0..=1.0).contains(&shifted), "{shifted} is no fraction: take another row");
    *metric = json!(shifted);
}

fn other_numerics(value: &mut Value) {
    value["numerics"] = json!("another processor");
}

fn read(sandbox: &Sandbox, flags: &[&str]) -> (i32, String, String) {
    let output = sandbox.run(&[&["check", "--read", BASELINE][..], flags].concat());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("ended"), text(output.stdout), text(output.stderr))
}

fn read_json(sandbox: &Sandbox, flags: &[&str]) -> (i32, Value) {
    let (code, out, errors) = read(sandbox, &[flags, &["--json"]].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{errors}")))
}

#[test]
fn the_same_experiment_is_equal_to_the_bit_run_or_read() {
    let told = ran().ok(&["--log", "error", "check", "--store", "store", BASELINE]);
    assert_eq!(told, "small: ok: 300 metrics, same numerics: 300 equal\n");
    let (code, told, _) = read(&finished(), &[]);
    assert_eq!((code, told.as_str()), (0, "small: ok: 300 metrics, same numerics: 300 equal\n"));
}

#[test]
fn on_the_same_numerics_a_millionth_of_a_point_fails_either_way() {
    for points in [1e-6, -1e-6] {
        let sandbox = finished();
        edit(&sandbox, |value| shift(value, ROW, "auroc", points));
        let (code, told, errors) = read(&sandbox, &[]);
        assert_eq!(code, 1, "{told}");
        assert!(told.contains("e-6") && told.contains(if points > 0.0 { "1 worse" } else { "1 better" }), "{told}");
        assert!(errors.contains("left the baseline"), "{errors}");
        assert_eq!(read(&sandbox, &["--no-exact"]).0, 0);
        assert_eq!(read(&sandbox, &["--tolerance", "auroc=0.1"]).0, 0);
        assert_eq!(read(&sandbox, &["--tolerance", "aupr_in=0.1"]).0, 1);
    }
}

#[test]
fn on_other_numerics_only_what_got_worse_by_more_than_the_tolerance_fails() {
    let sandbox = finished();
    edit(&sandbox, |value| {
        other_numerics(value);
        shift(value, ROW, "auroc", -0.5);
        shift(value, ROW, "aupr_in", 0.05);
    });
    let (code, told, _) = read(&sandbox, &[]);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("+0.50     0.10  better") && told.contains("--update"), "{told}");
    assert!(told.contains("1 better, 1 moved within tolerance, 298 equal"), "{told}");
    assert_eq!(read(&sandbox, &["--strict"]).0, 1);
    assert_eq!(read(&sandbox, &["--strict", "--tolerance", "auroc=0.5"]).0, 0);
    assert_eq!(read(&sandbox, &["--tolerance", "aupr_in=exact"]).0, 1);
    assert_eq!(read(&sandbox, &["--tolerance", "aupr_in=0.04"]).0, 1);
    // What falls for AUROC is worse, what falls for FPR95 is better.
    edit(&sandbox, |value| shift(value, ROW, "auroc", 1.0));
    assert_eq!(read(&sandbox, &[]).0, 1);
    assert_eq!(read(&sandbox, &["--tolerance", "auroc=0.5"]).0, 0);
}

#[test]
fn a_tolerance_of_the_file_holds_and_the_command_line_has_the_last_word() {
    let sandbox = finished();
    edit(&sandbox, |value| {
        other_numerics(value);
        shift(value, ROW, "auroc", 0.5);
        value["tolerance"] = json!({ "auroc": { "points": 0.6 }, "fpr95_id": { "images": 3, "points": 0.1 } });
    });
    assert_eq!(read(&sandbox, &[]).0, 0);
    assert_eq!(read(&sandbox, &["--tolerance", "auroc=0.4"]).0, 1);
    // On the baseline's own machine bits must be equal all the same, unless the file says otherwise.
    let numerics = baseline(ran())["numerics"].clone();
    edit(&sandbox, |value| value["numerics"] = numerics);
    assert_eq!(read(&sandbox, &[]).0, 1);
    edit(&sandbox, |value| value["exact"] = json!("never"));
    assert_eq!(read(&sandbox, &[]).0, 0);
}

/// 20 OOD images: one is 5 points.
#[test]
fn fpr95_may_move_by_two_images_and_its_mean_with_it() {
    let sandbox = finished();
    let mean = baseline(&sandbox)["rows"].as_array().expect("rows").iter().position(|row| row["n_ood"].is_null());
    let mean = mean.expect("a mean");
    edit(&sandbox, other_numerics);
    let before = baseline(&sandbox)["rows"][mean]["metrics"]["fpr95_id"].as_f64().expect("a number");
    let down = |points: f64| {
        edit(&sandbox, |value| {
            value["rows"][mean]["metrics"]["fpr95_id"] = json!((before + points / 100.0).clamp(0.0, 1.0))
        });
        read_json(&sandbox, &["--strict"])
    };
    assert!(before < 0.8, "{before}: take another row");
    assert_eq!(down(9.9).0, 0);
    let (code, told) = down(10.1);
    assert_eq!(code, 1);
    let by = told["baselines"][0]["moved"][0]["allowed"]["by"].as_f64().expect("a fraction");
    assert!((by - 0.1).abs() < 1e-12, "{by}");
}

#[test]
fn intervals_that_overlap_are_no_move() {
    let sandbox = finished();
    // The file has no intervals before an update asks for them.
    edit(&sandbox, other_numerics);
    let (code, _, errors) = read(&sandbox, &["--tolerance", "auroc=interval"]);
    assert_eq!(code, 2, "{errors}");
    assert!(
        errors.contains("no interval of auroc") && errors.contains("--update --tolerance auroc=interval"),
        "{errors}"
    );
    let (code, told, errors) = read(&sandbox, &["--tolerance", "auroc=interval", "--update"]);
    assert_eq!((code, told.contains("baseline rewritten")), (0, true), "{told}{errors}");
    let ends = baseline(&sandbox)["rows"][ROW]["intervals"]["auroc"].clone();
    let width = ends[1].as_f64().expect("an end") - ends[0].as_f64().expect("an end");
    assert!(width > 0.01, "{ends}: take another row");
    assert!(baseline(&sandbox)["rows"][ROW]["intervals"].get("fpr95_id").is_none());

    edit(&sandbox, |value| {
        other_numerics(value);
        for end in 0..2 {
            let moved =
                (value["rows"][ROW]["intervals"]["auroc"][end].as_f64().expect("an end") - 0.9 * width).max(0.0);
            value["rows"][ROW]["intervals"]["auroc"][end] = json!(moved);
        }
        shift(value, ROW, "auroc", -90.0 * width);
    });
    let (code, told) = read_json(&sandbox, &["--strict"]);
    assert_eq!((code, &told["baselines"][0]["counts"]["within"]), (0, &json!(1)), "{told}");
    edit(&sandbox, |value| {
        for end in 0..2 {
            let moved =
                (value["rows"][ROW]["intervals"]["auroc"][end].as_f64().expect("an end") - 0.2 * width).max(0.0);
            value["rows"][ROW]["intervals"]["auroc"][end] = json!(moved);
        }
    });
    let (code, told) = read_json(&sandbox, &["--strict"]);
    assert_eq!((code, &told["baselines"][0]["counts"]["better"]), (1, &json!(1)), "{told}");
    assert!(told["baselines"][0]["moved"][0]["allowed"]["overlap"].is_array(), "{told}");
}

/// Values in percent, which another processor may change a little, as `##.##`; changes and tolerances stay.
fn masked(text: &str) -> String {
    let numeric = |c: char| c.is_ascii_digit() || "+-.".contains(c);
    let is_percent = |word: &str| {
        let digits = |text: &str| text.len() == 2 && text.chars().all(|c| c.is_ascii_digit());
        word.split_once('.').is_some_and(|(before, after)| digits(before) && digits(after))
    };
    text.split_inclusive(|c: char| !numeric(c))
        .map(|word| {
            let number = word.trim_end_matches(|c: char| !numeric(c));
            if is_percent(number) { word.replacen(number, "##.##", 1) } else { word.to_owned() }
        })
        .collect()
}

/// A baseline that differs in every way that there is.
fn different() -> Sandbox {
    let sandbox = finished();
    edit(&sandbox, |value| {
        other_numerics(value);
        shift(value, ROW, "auroc", 1.5);
        shift(value, ROW, "aupr_out", 2.5);
        shift(value, ROW, "aupr_in", -0.7);
        shift(value, ROW, "fpr95_ood", 0.2);
        value["rows"][5]["ood_list"] = json!("elsewhere");
        value["rows"][6]["score"] = json!("gone");
        value["rows"][7]["cell"] = json!("a=<1>|2");
        value["rows"][8]["metrics"]["accuracy"] = json!(0.5);
        value["train_lists"] = json!(["elsewhere"]);
    });
    sandbox
}

#[test]
fn moves_are_told_by_size_and_other_differences_by_kind() {
    let sandbox = different();
    let (code, told) = read_json(&sandbox, &[]);
    assert_eq!((code, &told["passed"]), (1, &json!(false)));
    let told = &told["baselines"][0];
    let moved: Vec<(&str, &str, bool)> = told["moved"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| {
            (one["metric"].as_str().expect("a name"), one["verdict"].as_str().expect("a word"), one["fails"] == true)
        })
        .collect();
    // What fails stands first; 0.2 points of 40 ID images are less than two images.
    let expected = [
        ("aupr_out", "worse", true),
        ("auroc", "worse", true),
        ("aupr_in", "better", false),
        ("fpr95_ood", "within", false),
    ];
    assert_eq!(moved, expected);
    let kinds: Vec<&str> = told["differences"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["kind"].as_str().expect("a word"))
        .collect();
    let expected = ["training-images", "cell-missing", "images", "row-missing", "metric-missing", "row-new", "row-new"];
    assert_eq!(kinds, expected);
    assert_eq!(told["same_numerics"], json!(false));
    let (_, text, errors) = read(&sandbox, &[]);
    insta::assert_snapshot!("check_terminal", masked(&text));
    assert_eq!(errors, "error: 9 metrics or rows left the baseline results/baselines/small.json\n");
}

#[test]
fn junit_has_a_case_a_row_and_metric_and_every_failure_in_it() {
    let sandbox = different();
    sandbox.write("out/metrics.xml", "an older one");
    assert_eq!(read(&sandbox, &["--junit", "out/metrics.xml"]).0, 1);
    let text = std::fs::read_to_string(sandbox.path("out/metrics.xml")).expect("written");
    let document = roxmltree::Document::parse(&text).expect("XML");
    let attribute =
        |node: roxmltree::Node<'_, '_>, name: &str| node.attribute(name).map(str::to_owned).expect("an attribute");
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "testsuites");
    let suites: Vec<_> = root.children().filter(roxmltree::Node::is_element).collect();
    assert_eq!(suites.len(), 1);
    let suite = suites[0];
    assert_eq!((suite.tag_name().name(), suite.attribute("name")), ("testsuite", Some("small")));
    let cases: Vec<_> = suite.children().filter(roxmltree::Node::is_element).collect();
    let mut failures = 0;
    for case in &cases {
        assert_eq!(case.tag_name().name(), "testcase");
        assert!(attribute(*case, "name").len() > 3 && attribute(*case, "classname").starts_with("small"));
        attribute(*case, "time").parse::<f64>().expect("seconds");
        let inside: Vec<_> = case.children().filter(roxmltree::Node::is_element).collect();
        assert!(inside.len() <= 1);
        for inside in inside {
            match inside.tag_name().name() {
                "failure" => {
                    failures += 1;
                    assert!(!attribute(inside, "message").is_empty() && !attribute(inside, "type").is_empty());
                }
                other => assert_eq!(other, "system-out"),
            }
        }
    }
    for node in [root, suite] {
        assert_eq!(attribute(node, "tests"), cases.len().to_string());
        assert_eq!((attribute(node, "failures"), attribute(node, "errors")), (failures.to_string(), "0".to_owned()));
        assert!(attribute(node, "time").parse::<f64>().expect("seconds") > 0.0);
    }
    assert_eq!(failures, 9);
    // 60 rows, three of which are not compared, of five metrics; seven differences; the experiment itself.
    assert_eq!(cases.len(), 57 * 5 + 7 + 1);
    let names: std::collections::BTreeSet<(String, String)> =
        cases.iter().map(|case| (attribute(*case, "classname"), attribute(*case, "name"))).collect();
    assert_eq!(names.len(), cases.len(), "two cases of one name");
    assert!(cases.iter().any(|case| case.attribute("name") == Some("cell a=<1>|2: cell-missing")), "{text}");
    let fell = cases
        .iter()
        .find(|case| case.attribute("name").is_some_and(|name| name.ends_with("fashion-mnist-mini: auroc")));
    let message = fell.and_then(|case| case.first_element_child()).map(|failure| attribute(failure, "message"));
    assert!(message.expect("a failure").contains("(-1.50 points, 0.10 allowed)"), "{text}");
}

#[test]
fn markdown_is_a_table_that_can_be_appended() {
    let sandbox = different();
    let markdown = || std::fs::read_to_string(sandbox.path("summary.md")).expect("written");
    assert_eq!(read(&sandbox, &["--markdown", "summary.md"]).0, 1);
    let alone = markdown();
    // The last column is the time that it took.
    let timeless = |line: &str| match line.strip_prefix("| small |").and_then(|_| line.rsplit_once(" | ")) {
        Some((cells, _)) => format!("{cells} | SECONDS |"),
        None => line.to_owned(),
    };
    insta::assert_snapshot!("check_markdown", masked(&alone.lines().map(timeless).collect::<Vec<_>>().join("\n")));
    sandbox.write("summary.md", "What another step wrote.\n\n");
    assert_eq!(read(&sandbox, &["--markdown", "summary.md", "--append"]).0, 1);
    assert!(markdown().starts_with("What another step wrote.\n\n## Metrics against"), "{}", markdown());
    assert_eq!(read(&sandbox, &["--append"]).0, 2);
}

#[test]
fn a_long_list_is_cut_with_a_count_but_not_in_json() {
    let sandbox = finished();
    edit(&sandbox, |value| {
        for row in value["rows"].as_array_mut().expect("rows") {
            row["metrics"]["auroc"] = json!(0.5);
        }
    });
    let (code, told, _) = read(&sandbox, &[]);
    assert_eq!(code, 1);
    assert_eq!(told.lines().filter(|line| line.contains("auroc")).count(), 20, "{told}");
    let more = told.lines().find(|line| line.contains(" more metrics; --json prints all")).expect("a count");
    let more: usize = more.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number");
    let (_, told) = read_json(&sandbox, &[]);
    assert_eq!(told["baselines"][0]["moved"].as_array().expect("a list").len(), 20 + more);
}

#[test]
fn an_update_tells_what_moved_and_keeps_tolerances_and_metrics() {
    let sandbox = different();
    edit(&sandbox, |value| value["tolerance"] = json!({ "auroc": { "points": 0.6 } }));
    edit(&sandbox, |value| {
        value["rows"][8]["metrics"].as_object_mut().expect("metrics").remove("accuracy");
    });
    let (code, told, errors) = read(&sandbox, &["--update"]);
    assert_eq!(code, 0, "{errors}");
    insta::assert_snapshot!("check_update", masked(&told));
    let mut expected = baseline(ran());
    expected["tolerance"] = json!({ "auroc": { "points": 0.6 } });
    assert_eq!(baseline(&sandbox), expected);
    assert_eq!(read(&sandbox, &[]).0, 0);
}

#[test]
fn an_unchanged_baseline_is_not_rewritten() {
    let sandbox = finished();
    // Equal bits on another machine are no news either.
    edit(&sandbox, other_numerics);
    let before = [BASELINE, "results/baselines/small.md"].map(|name| std::fs::read(sandbox.path(name)).expect("there"));
    let (code, told, _) = read(&sandbox, &["--update"]);
    assert_eq!((code, told.as_str()), (0, "small: baseline unchanged, not rewritten\n"));
    let after = [BASELINE, "results/baselines/small.md"].map(|name| std::fs::read(sandbox.path(name)).expect("there"));
    assert!(before == after);
}

#[test]
fn other_metrics_are_guarded_on_wish() {
    let sandbox = finished();
    let (code, _, errors) = read(&sandbox, &["--update", "--metrics", "auroc,autc"]);
    assert_eq!(code, 0, "{errors}");
    let metrics: Vec<String> =
        baseline(&sandbox)["rows"][ROW]["metrics"].as_object().expect("metrics").keys().cloned().collect();
    assert_eq!(metrics, ["auroc", "autc"]);
    assert!(read(&sandbox, &[]).1.contains("120 metrics"));
    // A later update keeps them.
    edit(&sandbox, |value| shift(value, ROW, "auroc", 1.0));
    assert_eq!(read(&sandbox, &["--update"]).0, 0);
    assert!(read(&sandbox, &[]).1.contains("120 metrics"));
    let (code, _, errors) = read(&sandbox, &["--update", "--metrics", "accuracy"]);
    assert_eq!(code, 2);
    assert!(errors.contains("no row has the metric accuracy"), "{errors}");
}

#[test]
fn results_of_other_settings_are_no_results_of_the_file() {
    let sandbox = finished();
    sandbox.write("experiments/small.yaml", &SMALL.replace("epochs: 40", "epochs: 41"));
    let (code, told) = read_json(&sandbox, &[]);
    assert_eq!(code, 1);
    let expected = json!({ "kind": "settings", "key": "detector.train.epochs", "file": "41", "results": "40" });
    assert_eq!(told["baselines"][0]["differences"][0], expected, "{told}");
    let (code, _, errors) = read(&sandbox, &["--update"]);
    assert_eq!(code, 2);
    assert!(errors.contains("detector.train.epochs is 41 in the experiment file, 40 in the results"), "{errors}");
    // What is drawn is no setting.
    sandbox.write("experiments/small.yaml", &format!("{SMALL}figures: [{{kind: roc}}]\n"));
    assert_eq!(read(&sandbox, &[]).0, 0);
}

#[test]
fn several_baselines_are_checked_and_one_that_cannot_be_does_not_hide_the_others() {
    let sandbox = finished();
    sandbox.write("experiments/deep/other.yaml", SMALL);
    let mut other = baseline(&sandbox);
    other["experiment"] = json!("deep/other");
    other["file"] = json!("experiments/deep/other.yaml");
    sandbox.write("results/baselines/deep/other.json", &other.to_string());
    // No results of the second: said, and the first is checked all the same.
    let output = sandbox.run(&["check", "--all", "--read", "--json", "--junit", "x.xml"]);
    assert_eq!(output.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let states: Vec<(&Value, &Value)> =
        told["baselines"].as_array().expect("a list").iter().map(|one| (&one["experiment"], &one["state"])).collect();
    assert_eq!(states, [(&json!("deep/other"), &json!("failed")), (&json!("small"), &json!("compared"))]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("1 of 2 experiments could not be checked") && errors.contains("deep/other"), "{errors}");
    let text = std::fs::read_to_string(sandbox.path("x.xml")).expect("written");
    let document = roxmltree::Document::parse(&text).expect("XML");
    assert_eq!(document.root_element().attribute("errors"), Some("1"));
    assert_eq!(document.descendants().filter(|node| node.has_tag_name("error")).count(), 1);
    // In a folder of its own they are those of another experiment.
    let errors = sandbox.fails(2, &["check", "results/baselines/deep/other.json", "--read=results/small"]);
    assert!(errors.contains("expected results of the experiment \"deep/other\", found those of \"small\""), "{errors}");
    sandbox.fails(2, &["check", "--all", "--read=results/small"]);
    sandbox.fails(2, &["check", "--all", BASELINE]);
    sandbox.fails(2, &["check"]);
}

#[test]
fn a_malformed_baseline_gives_one_error_with_its_place() {
    let whole = std::fs::read_to_string(ran().path(BASELINE)).expect("a baseline");
    let told = |text: &[u8]| {
        let sandbox = finished();
        std::fs::write(sandbox.path(BASELINE), text).expect("writes");
        let (code, out, errors) = read(&sandbox, &["--junit", "x.xml"]);
        assert_eq!((code, out.as_str()), (2, ""), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.starts_with("error: results/baselines/small.json is not a baseline: "), "{errors}");
        assert!(!sandbox.path("x.xml").exists());
        errors
    };
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_str(&whole).expect("JSON");
        change(&mut value);
        told(serde_json::to_string_pretty(&value).expect("JSON").as_bytes())
    };
    let check = |errors: String, parts: &[&str]| {
        for part in parts {
            assert!(errors.contains(part), "no {part:?} in: {errors}");
        }
    };
    check(told(b""), &["EOF", "line 1"]);
    check(told(&whole.as_bytes()[..whole.len() / 2]), &["rows[", "EOF", "line "]);
    check(told(whole.replacen("\"auroc\": 0", "\"auroc\": NaN0", 1).as_bytes()), &["rows[0].metrics", "line "]);
    check(told(format!("{whole}]").as_bytes()), &["trailing characters"]);
    check(told(&[whole.as_bytes(), &[0xff]].concat()), &["UTF-8", "at byte"]);
    check(told(whole.replacen("  \"rows\"", "<<<<<<< HEAD\n  \"rows\"", 1).as_bytes()), &["line 8", "merge conflict"]);
    check(
        changed(&|value| value["rows"][1]["metrics"]["auroc"] = Value::Null),
        &["rows[1].metrics.auroc", "null", "line "],
    );
    check(
        changed(&|value| value["rows"][1]["metrics"]["auroc"] = json!(97.9)),
        &["rows[1].metrics.auroc", "0 to 1", "97.9"],
    );
    check(
        changed(&|value| value["rows"][1]["metrics"]["aurok"] = json!(0.9)),
        &["rows[1].metrics", "aurok", "mean \"auroc\""],
    );
    check(changed(&|value| value["rows"][1]["seed"] = json!("zero")), &["rows[1].seed", "zero", "line "]);
    check(changed(&|value| value["rowz"] = json!([])), &["unknown field `rowz`", "expected one of"]);
    check(changed(&|value| value["rows"][2] = value["rows"][1].clone()), &["rows[2]", "twice"]);
    check(
        changed(&|value| value["tolerance"] = json!({ "auroc": 0.1 })),
        &["tolerance.auroc", "expected a tolerance", "0.1"],
    );
    check(
        changed(&|value| value["tolerance"] = json!({ "roc": "exact" })),
        &["tolerance", "expected a metric", "\"roc\""],
    );
    check(
        changed(&|value| value["tolerance"] = json!({ "auroc": { "images": 2 } })),
        &["tolerance.auroc", "counts no images"],
    );
    check(
        changed(&|value| value["rows"][0]["intervals"] = json!({ "auroc": [0.9, 0.1] })),
        &["rows[0].intervals.auroc", "lower end first"],
    );
    check(told("[".repeat(100_000).as_bytes()), &["line 1"]);
    let huge = finished();
    std::fs::File::options().write(true).open(huge.path(BASELINE)).expect("opens").set_len(1 << 40).expect("a hole");
    check(read(&huge, &[]).2, &["is not a baseline", "at most"]);
}

#[test]
fn wrong_settings_are_told_before_anything_runs() {
    let sandbox = finished();
    let errors = sandbox.fails(2, &["check", "results/baselines/absent.json"]);
    assert!(errors.contains("no baseline results/baselines/absent.json") && errors.contains("--update"), "{errors}");
    let errors = sandbox.fails(2, &["check", "--update", "elsewhere.json"]);
    assert!(errors.contains("below results/baselines/"), "{errors}");
    edit(&sandbox, |value| value["experiment"] = json!("large"));
    let errors = sandbox.fails(2, &["check", BASELINE]);
    assert!(errors.contains("\"large\"") && errors.contains("experiments/small.yaml"), "{errors}");
    edit(&sandbox, |value| {
        value["experiment"] = json!("small");
        value["file"] = json!("experiments/gone.yaml");
    });
    let errors = sandbox.fails(2, &["check", BASELINE]);
    assert!(errors.contains("experiments/gone.yaml") && errors.contains(BASELINE), "{errors}");
    let sandbox = finished();
    sandbox.write("occupied", "a file");
    let errors = sandbox.fails(2, &["check", "--read", BASELINE, "--junit", "occupied/x.xml"]);
    assert!(errors.contains("cannot write occupied/x.xml"), "{errors}");
    for tolerance in ["auroc", "auroc=a lot", "aurok=1", "auroc=-1", "auroc=2images"] {
        sandbox.fails(2, &["check", BASELINE, "--tolerance", tolerance]);
    }
    std::fs::remove_dir_all(sandbox.path("results/small")).expect("removed");
    let errors = sandbox.fails(1, &["check", "--read", BASELINE]);
    assert!(errors.contains("results/small") && errors.contains("oodlab run"), "{errors}");
    assert!(!sandbox.path(".oodlab").exists(), "something was computed");
    let empty = Sandbox::new();
    let errors = empty.fails(2, &["check", "--all"]);
    assert!(errors.contains("no baseline below results/baselines"), "{errors}");
}

/// Every committed baseline can be read, and belongs to its experiment file: what is missing is only the results.
#[test]
fn committed_baselines_belong_to_their_experiments() {
    let sandbox = Sandbox::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = sandbox
        .command(&["check", "--all", "--read", "--json", "--results"])
        .arg(sandbox.path("nothing"))
        .current_dir(root)
        .output()
        .expect("the program starts");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let baselines = told["baselines"].as_array().expect("a list");
    assert!(baselines.iter().any(|one| one["experiment"] == "quickstart"), "{told}");
    for one in baselines {
        assert!(one["error"].as_str().is_some_and(|error| error.contains("found nothing")), "{one}");
    }
}

/// The workflow that docs/ci.md shows is the one that runs, and every file that it names is there.
#[test]
fn the_documented_workflow_is_the_one_of_the_repository() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = |name: &str| std::fs::read_to_string(root.join(name)).expect(name);
    let (workflow, page) = (text(".github/workflows/ci.yml"), text("docs/ci.md"));
    let shown = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of YAML");
    assert!(shown == workflow, "docs/ci.md and .github/workflows/ci.yml differ");

    let parsed: serde_yaml::Value = serde_yaml::from_str(&workflow).expect("YAML");
    let jobs = parsed["jobs"].as_mapping().expect("jobs");
    let steps = |job: &str| parsed["jobs"][job]["steps"].as_sequence().expect("steps").clone();
    let commands = |job: &str| -> Vec<String> {
        steps(job).iter().filter_map(|step| step["run"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(jobs.len(), 2);
    assert_eq!(commands("test"), [".ci/run"]);
    assert!(root.join(".ci/run").exists());
    for baseline in parsed["env"]["BASELINES"].as_str().expect("baselines").split_whitespace() {
        assert!(root.join(baseline).exists(), "{baseline}");
    }
    for step in jobs.keys().filter_map(serde_yaml::Value::as_str).flat_map(steps) {
        let action = step["uses"].as_str();
        assert!(action.is_none_or(|action| action.starts_with("actions/")), "{action:?} is no action of GitHub's own");
        assert!(action.is_some() != step["run"].as_str().is_some(), "a step either uses or runs: {step:?}");
    }
    // The command line of the check is one that the program takes: it fails only for want of a baseline.
    let check = commands("metrics").into_iter().find(|command| command.contains(" check ")).expect("a check");
    let summary =
        check.replace("\"$GITHUB_STEP_SUMMARY\"", "summary.md").replace("$BASELINES", "results/baselines/none.json");
    let errors = Sandbox::new().fails(2, &summary.split_whitespace().skip(1).collect::<Vec<_>>());
    assert!(errors.contains("there is no baseline results/baselines/none.json"), "{errors}");
}
