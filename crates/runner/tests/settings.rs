//! Wrong settings: one clear error with file, place and what to do, before anything starts.

mod support;

use support::{SMALL, Sandbox};

fn refused(text: &str, overrides: &[&str]) -> String {
    let sandbox = Sandbox::new();
    sandbox.write("x.yaml", text);
    let mut arguments = vec!["run", "x.yaml", "--store", "store", "--results", "results"];
    arguments.extend(overrides);
    let errors = sandbox.fails(2, &arguments);
    assert_eq!(sandbox.files("results"), Vec::<std::path::PathBuf>::new(), "something was written: {errors}");
    assert_eq!(errors.lines().filter(|line| line.starts_with("error:")).count(), 1, "{errors}");
    errors
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_known_key() {
    let errors = refused(&SMALL.replace("limit:", "limits:"), &[]);
    assert!(errors.contains("x.yaml:4") && errors.contains("\"limits\"") && errors.contains("\"limit\""), "{errors}");
    let errors = refused(&SMALL.replace("epochs:", "epoch:"), &[]);
    assert!(
        errors.contains("x.yaml:8") && errors.contains("detector.train.epoch") && errors.contains("epochs"),
        "{errors}"
    );
    let errors = refused(&SMALL.replace("network: efficientnet-lite0", "netwrok: efficientnet-lite0"), &[]);
    assert!(errors.contains("x.yaml:3") && errors.contains("netwrok") && errors.contains("network"), "{errors}");
}

#[test]
fn an_unknown_key_on_the_command_line_is_named_with_its_origin() {
    let errors = refused(SMALL, &["detector.sample.strat=3"]);
    assert!(errors.contains("command line") && errors.contains("strat") && errors.contains("start"), "{errors}");
}

#[test]
fn a_wrong_type_is_named_with_its_place() {
    let errors = refused(&SMALL.replace("blocks: 2", "blocks: many"), &[]);
    assert!(errors.contains("x.yaml:7") && errors.contains("many"), "{errors}");
    let errors = refused(&SMALL.replace("[native, matched]", "[native, other]"), &[]);
    assert!(errors.contains("x.yaml:2") && errors.contains("other") && errors.contains("matched"), "{errors}");
    let errors = refused(&SMALL.replace("epochs: 40", "epochs: 0"), &[]);
    assert!(errors.contains("x.yaml:8") && errors.contains("epochs"), "{errors}");
    let errors = refused(&SMALL.replace("limit: {train: 288, id_test: 40, ood: 20}", "limit: [1, 2, 3]"), &[]);
    assert!(errors.contains("x.yaml:4") && errors.contains("a list"), "{errors}");
}

#[test]
fn duplicates_missing_files_and_rubbish_are_refused() {
    let errors = refused(&format!("{SMALL}benchmark: mini\n"), &[]);
    assert!(errors.contains("duplicate") && errors.contains("benchmark"), "{errors}");
    refused("", &[]);
    refused("[1, 2]", &[]);
    let sandbox = Sandbox::new();
    let errors = sandbox.fails(2, &["run", "absent.yaml"]);
    assert!(errors.contains("absent.yaml"), "{errors}");
}

#[test]
fn names_that_do_not_exist_are_answered_with_those_that_do() {
    assert!(refused(&SMALL.replace("mini", "minni"), &[]).contains("mini"));
    assert!(refused(&SMALL.replace("kind: dlsr", "kind: dslr"), &[]).contains("dlsr"));
    assert!(refused(&SMALL.replace("lite0", "lite9"), &[]).contains("efficientnet-lite0"));
    assert!(refused(SMALL, &["scores=[msee]"]).contains("mse"));
    assert!(refused(SMALL, &["controls=[mean]"]).contains("mean-distance"));
    assert!(refused(SMALL, &["controls=[{kind: mean}]"]).contains("mean-distance"));
    assert!(refused(SMALL, &["controls=[{name: wide}]"]).contains("kind"));
    let errors = refused(SMALL, &["controls=[{kind: dlsr, network: {width: 8}}]"]);
    assert!(errors.contains("give this one a `name`"), "{errors}");
    let errors = refused(SMALL, &["controls=[{kind: dlsr, name: a/b}]"]);
    assert!(errors.contains("expected letters"), "{errors}");
    let errors = refused(SMALL, &["controls=[{kind: dlsr, name: a}, {kind: dlsr, name: a}]"]);
    assert!(errors.contains("twice"), "{errors}");
    let errors = refused(SMALL, &["controls=[{kind: dlsr, name: wide, network: {widht: 8}}]"]);
    assert!(errors.contains("did you mean \"width\""), "{errors}");
}

#[test]
fn values_out_of_range_are_refused_before_anything_starts() {
    let errors = refused(SMALL, &["detector.sample.start=100"]);
    assert!(errors.contains("99"), "{errors}");
    refused(SMALL, &["detector.sample.start=0"]);
    refused(SMALL, &["features.layers=[6]"]);
    refused(SMALL, &["features.layers=[]"]);
    refused(SMALL, &["features.layer_weights=[1,1]"]);
    refused(SMALL, &["seeds=[]"]);
    refused(SMALL, &["sweep.grid={}", "protocols=[]"]);
    refused(SMALL, &["limit.train=0"]);
    let errors = refused(SMALL, &["sweep.grid.detector.sample.start=[1, 1]"]);
    assert!(errors.contains("twice"), "{errors}");
    let errors = refused(SMALL, &["sweep.grid={detector.sample.start: [3, 500]}"]);
    assert!(errors.contains("cell detector.sample.start=500") && errors.contains("sweep"), "{errors}");
    let errors = refused(SMALL, &["encoder.resolution=5000"]);
    assert!(errors.contains("resolution"), "{errors}");
    let errors = refused(SMALL, &["features.layers=[5]"]);
    assert!(errors.contains("mfsim"), "{errors}");
    refused(SMALL, &["nonsense"]);
}

#[test]
fn the_environment_and_the_command_line_override_the_file() {
    let sandbox = Sandbox::new();
    sandbox.write("x.yaml", SMALL);
    let output = sandbox
        .command(&["config", "x.yaml", "detector.network.width=32"])
        .env("OODLAB__DETECTOR__SAMPLE__START", "7")
        .env("OODLAB__DETECTOR__TRAIN__LEARNING_RATE", "1e-3")
        .output()
        .expect("the program starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let line = |key: &str| text.lines().find(|line| line.starts_with(key)).map(str::to_owned).unwrap_or_default();
    assert!(
        line("detector.network.width:").contains("32") && line("detector.network.width:").contains("command line"),
        "{text}"
    );
    assert!(
        line("detector.sample.start:").contains('7') && line("detector.sample.start:").contains("environment"),
        "{text}"
    );
    assert!(line("detector.train.epochs:").contains("x.yaml"), "{text}");
    assert!(line("seeds:").contains("default"), "{text}");
    assert!(line("detector.train.learning_rate:").contains("0.001"), "{text}");
    // Settings that the file does not name are shown with their defaults.
    assert!(line("detector.sample.eta:").contains("default"), "{text}");
}

#[test]
fn a_sweep_shares_what_its_cells_have_in_common() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "x.yaml",
        &format!("{SMALL}sweep:\n  grid: {{detector.sample.start: [1, 3], features.layers: [[1, 2], [5, 4]]}}\n"),
    );
    let plan = sandbox.ok(&["plan", "x.yaml", "--store", "store", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan).expect("JSON");
    assert_eq!((plan["cells"].as_u64(), plan["runs"].as_u64()), (Some(4), Some(4)));
    let count = |stage: &str| plan["stages"].as_array().expect("stages").iter().filter(|s| s["stage"] == stage).count();
    // Train, ID test, four generated sets, FashionMNIST at its own size and at 32 x 32.
    assert_eq!(count("encode"), 8);
    // Two layer choices for the detector and for the control; the sampling step trains nothing again.
    assert_eq!(count("fit"), 4);
}

/// No machine has so many GPUs: the error says that there is no such one, or which library is missing.
#[test]
fn a_gpu_that_cannot_be_used_is_refused_before_anything_starts() {
    let sandbox = Sandbox::new();
    sandbox.write("x.yaml", SMALL);
    for command in [&["verify"][..], &["run", "x.yaml"]] {
        let errors = sandbox.fails(2, &[command, &["--device", "cuda:9999"]].concat());
        let named = errors.contains("no GPU 9999") || errors.contains("was not found") && errors.contains("lib");
        assert!(named && errors.contains("--device cuda:9999"), "{errors}");
    }
    for command in [&["bench", "kernels"][..], &["plan", "x.yaml"], &["config", "x.yaml"], &["bench", "data"]] {
        let errors = sandbox.fails(2, &[command, &["--device", "cuda:9999"]].concat());
        assert!(errors.contains("--device cuda:9999"), "{errors}");
    }
    assert!(sandbox.files("store").is_empty() && sandbox.files("results").is_empty());
    let errors = sandbox.fails(2, &["verify", "--device", "gpu"]);
    assert!(errors.contains("cuda:N"), "{errors}");
}

/// Where no GPU can be used, `auto` is the processor: the same stages under the same keys.
#[test]
fn without_a_gpu_auto_is_the_processor() {
    let sandbox = Sandbox::new();
    sandbox.write("x.yaml", SMALL);
    let plan = |device: &[&str]| sandbox.ok(&[&["plan", "x.yaml", "--store", "store", "--json"], device].concat());
    let (auto, unsaid, cpu) = (plan(&["--device", "auto"]), plan(&[]), plan(&["--device", "cpu"]));
    assert_eq!(auto, unsaid);
    let gpu = sandbox.run(&["bench", "kernels", "--values", "1", "--device", "cuda:0"]).status.success();
    assert_eq!(auto == cpu, !gpu, "a GPU has keys of its own");
}

#[test]
fn what_nobody_could_compare_or_draw_is_refused_before_any_work() {
    let errors = refused(&format!("{SMALL}comparisons: [{{a: dlsr/mse, b: mean-distanc}}]\n"), &[]);
    assert!(errors.contains("comparisons") && errors.contains("did you mean \"mean-distance\""), "{errors}");
    let errors =
        refused(&format!("{SMALL}tables: [{{name: t, rows: [score], published: {{table: dlsr-tabel1}}}}]\n"), &[]);
    assert!(errors.contains("tables.0.published") && errors.contains("dlsr-table1"), "{errors}");
    let twice = "figures: [{kind: projection}, {kind: projection, samples: 60}]";
    let errors = refused(&format!("{SMALL}{twice}\n"), &[]);
    assert!(errors.contains("figures.1") && errors.contains("a second projection by pca"), "{errors}");
    let errors = refused(&format!("{SMALL}figures: [{{kind: roc, band: true}}]\n"), &[]);
    assert!(errors.contains("figures.0") && errors.contains("did you mean \"bands\""), "{errors}");
    let errors = refused(&format!("{SMALL}intervals: {{replicates: 5}}\n"), &[]);
    assert!(errors.contains("intervals.replicates") && errors.contains("100"), "{errors}");
}
