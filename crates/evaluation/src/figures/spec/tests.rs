use serde_json::{Value, json};

use super::super::{Facet, FigureKind, FigureSpec};

fn read(value: &Value) -> Result<FigureSpec, String> {
    serde_json::from_value(value.clone()).map_err(|error| error.to_string())
}

#[test]
fn every_kind_is_read_by_its_name_and_comes_back() {
    for kind in FigureKind::NAMES {
        let spec = read(&json!({ "kind": kind })).expect(kind);
        assert_eq!(spec.kind.name(), kind);
        let written = serde_json::to_value(&spec).expect(kind);
        assert_eq!(read(&written), Ok(spec), "{written}");
    }
}

#[test]
fn all_keys_come_back() {
    let given = json!({
        "kind": "bars", "name": "figure-5", "title": "Layers", "x": "sweep.layers", "series": "set", "metrics": ["fpr95_id"],
        "where": {"protocol": "native", "sweep": {"width": [8, 16]}, "seed": 0, "score": ["mse"], "set": ["a", "b"]},
    });
    let spec = read(&given).expect("a figure");
    let FigureKind::Bars(bars) = &spec.kind else { panic!("{spec:?}") };
    assert_eq!((&bars.x, &bars.series), (&Facet::Sweep("layers".into()), &Facet::Set));
    assert_eq!(read(&serde_json::to_value(&spec).expect("a section")), Ok(spec));
}

#[test]
fn what_is_wrong_is_named() {
    for (given, expected) in [
        (json!({}), "a figure without `kind`"),
        (json!({"kind": 3}), "`kind` of a figure: expected one of roc"),
        (json!({"kind": "rok"}), "unknown kind of figure \"rok\"; did you mean \"roc\"?"),
        (json!({"kind": "roc", "wher": {}}), "figure roc: unknown key `wher`; did you mean \"where\"?"),
        (json!({"kind": "pr", "positive": "odd"}), "figure pr: `positive`: unknown variant `odd`"),
        (json!({"kind": "roc", "bands": "yes"}), "figure roc: `bands`: invalid type"),
        (
            json!({"kind": "roc", "where": {"sets": "a"}}),
            "figure roc: `where`: unknown key `sets`; did you mean \"set\"?",
        ),
        (json!({"kind": "roc", "where": {"set": []}}), "figure roc: `where`: `set`: expected at least one value"),
        (json!({"kind": "roc", "name": "../x"}), "figure roc: `name`: expected 1 to 64 letters"),
        (json!({"kind": "sweep", "metrics": ["auc"]}), "figure sweep: `metrics`: unknown variant `auc`"),
        (json!({"kind": "sweep", "metrics": []}), "figure sweep: `metrics`: expected at least one metric"),
        (json!({"kind": "bars", "x": "sets"}), "figure bars: `x`: expected set, group"),
        (json!({"kind": "bars", "x": "score"}), "figure bars: `x` and `series`: expected two"),
        (json!({"kind": "contact-sheet", "most": 13}), "figure contact-sheet: `most`: expected 0 to 12, found 13"),
        (json!({"kind": "contact-sheet", "most": 0, "least": 0}), "figure contact-sheet: `most + least`"),
        (json!({"kind": "projection", "samples": 3001}), "figure projection: `samples`: expected 3 to 3000"),
        (json!({"kind": "projection", "perplexity": 1.0}), "figure projection: `perplexity`: expected 2 or more"),
    ] {
        let error = read(&given).expect_err(&given.to_string());
        assert!(error.contains(expected), "{given}: {error}");
    }
}

#[test]
fn numbers_are_compared_as_numbers() {
    let spec =
        read(&json!({"kind": "roc", "where": {"seed": 1, "sweep": {"rate": [0.10, "wide"]}}})).expect("a figure");
    let sweep = |rate: &str| [("rate".to_owned(), rate.to_owned())].into_iter().collect();
    assert!(spec.selection.has_run("", &sweep("1e-1"), 1) && spec.selection.has_run("", &sweep("wide"), 1));
    assert!(!spec.selection.has_run("", &sweep("0.2"), 1) && !spec.selection.has_run("", &sweep("0.1"), 2));
    assert!(!spec.selection.has_run("", &std::collections::BTreeMap::new(), 1));
}
