//! Weights of the user's own, in an experiment.

mod support;

use oodlab_encoders::formula;
use oodlab_encoders::weights::{ConvertOptions, convert};
use serde_json::Value;
use support::Sandbox;

#[test]
fn what_own_weights_were_trained_with_holds_however_they_are_asked_for() {
    let (sandbox, network) = (Sandbox::new(), "wrn-40-2");
    let weights = formula::weights(network).expect("a known network");
    let file = sandbox.path("mine.safetensors");
    convert(&weights, network, &file, ConvertOptions::default()).expect("a file");
    // The stages' keys, in which the normalisation is.
    let keys = |encoder: &str| -> Vec<String> {
        let text = format!(
            "benchmark: mini\nencoder: {{network: {network}{encoder}}}\nlimit: {{train: 2, id_test: 2, ood: 2}}\n\
             detector: {{kind: mean-distance}}\n"
        );
        sandbox.write("x.yaml", &text);
        let plan: Value =
            serde_json::from_str(&sandbox.ok(&["plan", "x.yaml", "--store", "store", "--json"])).expect("one value");
        let stages = plan["stages"].as_array().expect("a list").iter();
        stages.map(|stage| stage["key"].as_str().expect("a key").to_owned()).collect()
    };
    let usual = keys(", weights: mine.safetensors");
    let import = ["weights", "import", "mine.safetensors", "--network", network, "--name", "mine", "--store", "store"];
    sandbox.ok(&[&import[..], &["--mean", "0.5,0.5,0.5", "--deviation", "0.25,0.25,0.25"]].concat());
    let given = keys(", weights: mine, normalisation: {mean: [0.5, 0.5, 0.5], deviation: [0.25, 0.25, 0.25]}");
    assert_ne!(usual, given);
    for encoder in ["", ", weights: mine", ", weights: mine.safetensors", ", weights: store/weights/mine.safetensors"] {
        assert_eq!(keys(encoder), given, "{encoder:?}");
    }
}
