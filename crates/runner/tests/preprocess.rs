//! The section `preprocess:`: its defaults, its mistakes, and that what it changes is computed anew and written down.

mod support;

use support::{SMALL, Sandbox};

/// A run of a few images at 64 pixels, with these overrides; gives its provenance.
fn run(sandbox: &Sandbox, results: &str, overrides: &[&str]) -> serde_json::Value {
    let limit = "limit={train: 40, id_test: 8, ood: 8}";
    let mut arguments = vec!["run", "x.yaml", "--store", "store", "--results", results, limit];
    arguments.extend(["encoder.resolution=64", "detector.train.epochs=1", "scores=[mse]", "protocols=[native]"]);
    arguments.extend(overrides);
    sandbox.ok(&arguments);
    let files = sandbox.files(results);
    let provenance = files.iter().find(|path| path.ends_with("provenance.json")).expect("the run wrote it");
    serde_json::from_str(&std::fs::read_to_string(provenance).expect("readable")).expect("JSON")
}

fn features(provenance: &serde_json::Value) -> Vec<String> {
    let sets = provenance["sets"].as_array().expect("sets");
    sets.iter().map(|set| set["features"].as_str().expect("a key").to_owned()).collect()
}

#[test]
fn another_filter_makes_other_features_and_is_written_down() {
    let sandbox = Sandbox::new();
    sandbox.write("x.yaml", SMALL);
    let usual = run(&sandbox, "usual", &[]);
    let input = &usual["encoder"]["input"];
    for (key, value) in [
        ("resolution", serde_json::json!(64)),
        ("resize", "squash".into()),
        ("crop", "none".into()),
        ("filter", "bilinear".into()),
        ("antialias", true.into()),
        ("alpha", "drop".into()),
        ("orientation", "ignore".into()),
    ] {
        assert_eq!(input[key], value, "{key} of {input}");
    }
    assert_eq!(input["mean"].as_array().map(Vec::len), Some(3), "{input}");
    assert_eq!(input["deviation"].as_array().map(Vec::len), Some(3), "{input}");

    let spelt = run(&sandbox, "spelt", &["preprocess={resize: squash, filter: bilinear, crop: none, alpha: drop}"]);
    assert_eq!(features(&spelt), features(&usual), "the defaults, written out, are the defaults");

    let bicubic = run(&sandbox, "bicubic", &["preprocess.filter=bicubic"]);
    assert_eq!(bicubic["encoder"]["input"]["filter"], "bicubic");
    assert!(features(&bicubic).iter().zip(features(&usual)).all(|(a, b)| *a != b), "every set has other features");
    let scores = |results: &str| {
        let files = sandbox.files(results);
        let file = files.iter().find(|path| path.ends_with("scores.parquet")).expect("the run wrote it");
        std::fs::read(file).expect("readable")
    };
    assert!(scores("bicubic") != scores("usual"), "the scores did not change");
    assert!(scores("spelt") != scores("bicubic"));

    let cropped = run(&sandbox, "cropped", &["preprocess={resize: short-side, short_side: 72, crop: centre}"]);
    assert_eq!(cropped["encoder"]["input"]["short_side"], 72);
    assert!(features(&cropped).iter().zip(features(&usual)).all(|(a, b)| *a != b));
}

#[test]
fn the_resolved_configuration_shows_what_a_picture_goes_through() {
    let sandbox = Sandbox::new();
    sandbox.write("x.yaml", &SMALL.replace(", resolution: 224", ""));
    let text = sandbox.ok(&["config", "x.yaml", "preprocess.crop=centre"]);
    for (key, value, origin) in [
        ("encoder.resolution:", "224", "default"),
        ("preprocess.resize:", "squash", "default"),
        ("preprocess.filter:", "bilinear", "default"),
        ("preprocess.crop:", "centre", "command line"),
        ("preprocess.alpha:", "drop", "default"),
        ("preprocess.orientation:", "ignore", "default"),
    ] {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        assert!(line.contains(value) && line.contains(origin), "{key} {value} {origin}: {text}");
    }
}

#[test]
fn mistakes_are_named_with_their_place() {
    let refused = |section: &str| {
        let sandbox = Sandbox::new();
        sandbox.write("x.yaml", &format!("{SMALL}preprocess: {section}\n"));
        sandbox.fails(2, &["run", "x.yaml", "--store", "store", "--results", "results"])
    };
    let errors = refused("{fliter: bicubic}");
    assert!(
        errors.contains("x.yaml:10") && errors.contains("preprocess.fliter") && errors.contains("\"filter\""),
        "{errors}"
    );
    let errors = refused("{filter: bicubik}");
    assert!(errors.contains("bicubik") && errors.contains("lanczos"), "{errors}");
    for (section, key) in [
        ("{short_side: 256}", "preprocess.short_side"),
        ("{resize: short-side}", "preprocess.crop"),
        ("{filter: box, antialias: false}", "preprocess.antialias"),
        ("bicubic", "preprocess"),
    ] {
        let errors = refused(section);
        assert!(errors.contains(key) && errors.contains("x.yaml:10"), "{section}: {errors}");
    }
}
