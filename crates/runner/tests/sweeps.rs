//! Sweeps: what fails, what is tried again, what is planned and told.

mod support;

use serde_json::Value;
use support::Sandbox;

const SWEEP: &str = "\
benchmark: mini
protocols: [matched]
encoder: {network: efficientnet-lite0, weights: embedded, resolution: 64, pooling: average}
limit: {train: 96, id_test: 20, ood: 8}
detector:
  kind: dlsr
  network: {width: 32, blocks: 1}
  train: {epochs: 2, batch_size: 32, learning_rate: 1.0e-3}
scores: [mse]
intervals: {replicates: 100}
figures: []
";

/// Half of its cells fail.
const BOTH: &str = "{detector.train.learning_rate: [1.0e-3, 1.0e30], detector.sample.start: [1, 3]}";

/// None of its cells fails.
const GOOD: &str = "{detector.sample.start: [1, 3]}";

fn sandbox(grid: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("sweep.yaml", &format!("{SWEEP}sweep: {{grid: {grid}}}\n"));
    sandbox
}

fn run<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["run", "sweep.yaml", "--store", "store", "--results", "results"], more].concat()
}

fn rows(sandbox: &Sandbox) -> usize {
    std::fs::read_to_string(sandbox.path("results/sweep/table.csv")).map_or(0, |text| text.lines().count())
}

#[test]
fn a_failed_cell_is_told_left_out_and_tried_again_when_asked() {
    let sandbox = sandbox(BOTH);
    // One of two trainings diverges: two of four cells are lost with it, and told once each.
    let told = sandbox.fails(1, &run(&[]));
    assert!(told.contains("2 of 4 runs failed") && told.contains("loss"), "{told}");
    let table = std::fs::read_to_string(sandbox.path("results/sweep/table.md")).expect("a table");
    assert_eq!(table.matches("failed: run").count(), 2, "{table}");
    let finished = rows(&sandbox);
    assert!(finished > 2);

    // Again: nothing is computed, and the failure is remembered.
    let told = sandbox.fails(1, &run(&[]));
    assert!(told.contains("--retry-failed") && !told.contains("ERROR"), "{told}");
    assert_eq!(rows(&sandbox), finished);
    let told = sandbox.fails(1, &run(&["--retry-failed"]));
    assert!(!told.contains("earlier run") && told.contains("failed"), "{told}");

    let status: Value =
        serde_json::from_slice(&sandbox.run(&["status", "results/sweep", "--json"]).stdout).expect("JSON");
    assert_eq!((&status["state"], &status["runs"]["failed"]), (&Value::from("failed"), &Value::from(2)), "{status}");
    // Without the cells that fail all is well again, and nothing of the failure stays.
    sandbox.write("sweep.yaml", &format!("{SWEEP}sweep: {{grid: {GOOD}}}\n"));
    sandbox.ok(&run(&[]));
    assert!(!sandbox.path("results/sweep/failed.json").exists());
    assert!(sandbox.ok(&["status", "results/sweep"]).contains("finished"));
}

#[test]
fn fail_fast_leaves_the_rest() {
    let sandbox = sandbox("{detector.train.learning_rate: [1.0e30, 1.0e-3], detector.sample.start: [1, 3]}");
    let told = sandbox.fails(1, &run(&["--fail-fast", "--workers", "1"]));
    assert!(told.contains("failed"), "{told}");
    assert_eq!(rows(&sandbox), 0, "the other training was not begun");
}

#[test]
fn a_run_that_is_out_of_time_says_so_and_goes_on_later() {
    let sandbox = sandbox(GOOD);
    let told = sandbox.fails(3, &run(&["detector.train.epochs=100000", "--max-time", "4s"]));
    assert!(told.contains("--max-time") && told.contains("goes on from here"), "{told}");
    assert!(sandbox.fails(1, &["status", "results/sweep"]).contains("stopped"));
    sandbox.fails(2, &run(&["--max-time", "soon"]));
}

#[test]
fn tables_of_what_is_finished_are_there_while_the_rest_goes_on() {
    let sandbox = sandbox("{detector.train.epochs: [2, 1000000]}");
    let mut child = sandbox.command(&run(&["--workers", "2"])).spawn().expect("the program starts");
    let table = || std::fs::read_to_string(sandbox.path("results/sweep/table.md")).unwrap_or_default();
    assert!(support::wait_until(&mut child, || table().contains("1 of 2 runs are finished")), "{}", table());
    assert!(rows(&sandbox) > 2 && !sandbox.path("results/sweep/record.json").exists());
    let status = sandbox.ok(&["status", "results/sweep"]);
    assert!(status.contains("running") && status.contains("1 done") && status.contains("fit dlsr"), "{status}");
    assert!(sandbox.fails(1, &["report", "results/sweep"]).contains("record.json"));
    child.kill().expect("kill -9");
    child.wait().expect("reaped");
    assert!(sandbox.fails(1, &["status", "results/sweep"]).contains("not running any more"));
}

#[test]
fn a_plan_tells_what_is_left_and_how_long_it_takes() {
    let sandbox = sandbox(GOOD);
    let plan = |more: &[&str]| sandbox.ok(&[&["plan", "sweep.yaml", "--store", "store"], more].concat());
    let before = plan(&[]);
    assert!(before.contains("2 cells, 2 runs") && before.contains("unknown"), "{before}");
    assert!(before.contains("shared by 2 runs"), "{before}");
    sandbox.ok(&run(&[]));
    assert!(plan(&[]).contains(", 0 left"));
    // More of the same work has a known time.
    let more = sandbox.ok(&["plan", "sweep.yaml", "--store", "store", "seeds=[0,1]", "--json"]);
    let more: Value = serde_json::from_str(&more).expect("JSON");
    assert_eq!((&more["runs"], &more["runs_left"]), (&Value::from(4), &Value::from(2)));
    let fits = more["stages"].as_array().expect("stages").iter();
    let left: Vec<&Value> = fits.filter(|s| s["stage"] == "fit" && s["parts_done"] != s["parts"]).collect();
    assert!(
        !left.is_empty() && left.iter().all(|stage| stage["seconds"].as_f64().is_some_and(|s| s > 0.0)),
        "{left:?}"
    );
    let dot = plan(&["--dot"]);
    assert!(dot.starts_with("digraph") && dot.contains(" -> ") && dot.contains("palegreen"), "{dot}");
}

#[test]
fn a_finished_sweep_is_not_touched_again() {
    let sandbox = sandbox(GOOD);
    let first = sandbox.ok(&run(&[]));
    let times = || -> Vec<_> {
        let files = sandbox.files("results").into_iter().chain(sandbox.files("store/artifacts"));
        files.map(|file| (file.clone(), std::fs::metadata(file).and_then(|data| data.modified()).ok())).collect()
    };
    let before = times();
    assert_eq!(sandbox.ok(&run(&[])), first);
    assert_eq!(times(), before);
    // A file that is missing is made again, from what is stored.
    std::fs::remove_file(sandbox.path("results/sweep/table.md")).expect("a table");
    sandbox.ok(&run(&[]));
    assert!(sandbox.path("results/sweep/table.md").exists());
}

#[test]
fn workers_and_memory_change_no_byte() {
    let results = |more: &[&str]| {
        let sandbox = sandbox(GOOD);
        sandbox.ok(&run(more));
        std::fs::read(sandbox.path("results/sweep/table.csv")).expect("a table")
    };
    let expected = results(&["--workers", "1"]);
    assert!(results(&["--workers", "3", "--threads", "2"]) == expected);
    // A limit that is too small for anything lets one job through at a time.
    assert!(results(&["--workers", "2", "--memory", "1M"]) == expected);
}

#[test]
fn a_status_that_is_not_there_or_whose_run_is_gone_is_told() {
    let sandbox = sandbox(GOOD);
    assert!(sandbox.fails(2, &["status", "results/sweep"]).contains("results folder"));
    sandbox.ok(&run(&[]));
    let path = sandbox.path("results/sweep/status.json");
    let mut status: Value = serde_json::from_slice(&std::fs::read(&path).expect("a status")).expect("JSON");
    status["state"] = "running".into();
    std::fs::write(&path, status.to_string()).expect("writes");
    assert!(sandbox.fails(1, &["status", "results/sweep"]).contains("not running any more"));
    std::fs::write(&path, "{").expect("writes");
    assert!(sandbox.fails(1, &["status", "results/sweep"]).contains("status.json"));
}
