//! The same file and seed give the same bytes: for any number of threads, and after a kill in any stage.

mod support;

use support::{SMALL, Sandbox, wait_until};

const GUARDED: [&str; 2] = ["results/small/table.csv", "results/small/scores.parquet"];

fn guarded(sandbox: &Sandbox) -> Vec<Vec<u8>> {
    GUARDED.iter().map(|name| std::fs::read(sandbox.path(name)).expect("the run wrote it")).collect()
}

fn arguments(threads: &str) -> [&str; 8] {
    ["run", "small.yaml", "--store", "store", "--results", "results", "--threads", threads]
}

fn reference() -> Vec<Vec<u8>> {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL);
    sandbox.ok(&arguments("2"));
    guarded(&sandbox)
}

#[test]
fn threads_and_kills_change_no_byte() {
    let expected = reference();
    assert!(expected.iter().all(|bytes| bytes.len() > 100));

    let one = Sandbox::new();
    one.write("small.yaml", SMALL);
    one.ok(&arguments("1"));
    assert!(guarded(&one) == expected, "one thread gives other bytes than two");

    // (stage that must be under way, a stage that must not have begun)
    for (stage, later) in [("encode", "checkpoint"), ("checkpoint", "score"), ("score", "")] {
        let sandbox = Sandbox::new();
        sandbox.write("small.yaml", SMALL);
        let mut child = sandbox.command(&arguments("2")).spawn().expect("the program starts");
        let parts = |stage: &str| {
            let is_part = |path: &std::path::PathBuf| {
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("part-"))
            };
            sandbox.files(&format!("store/artifacts/{stage}")).iter().filter(|path| is_part(path)).count()
        };
        assert!(wait_until(&mut child, || parts(stage) > 0), "{stage} never began");
        child.kill().expect("kill -9");
        child.wait().expect("reaped");
        assert!(later.is_empty() || parts(later) == 0, "killed too late to test {stage}");
        assert!(!sandbox.path(GUARDED[0]).exists(), "the run had ended before it was killed in {stage}");

        let before: Vec<_> = kept(&sandbox);
        assert!(!before.is_empty());
        sandbox.ok(&arguments("2"));
        assert!(guarded(&sandbox) == expected, "killed in {stage}: other bytes after the rerun");
        for (path, modified) in before {
            let now = std::fs::metadata(&path).and_then(|m| m.modified()).ok();
            assert_eq!(now, modified, "{} was computed again", path.display());
        }
        assert_eq!(sandbox.leftovers(), Vec::<std::path::PathBuf>::new(), "killed in {stage}");
    }
}

/// Finished parts with their times (checkpoints apart: newer ones replace them).
fn kept(sandbox: &Sandbox) -> Vec<(std::path::PathBuf, Option<std::time::SystemTime>)> {
    ["encode", "fit", "score"]
        .iter()
        .flat_map(|stage| sandbox.files(&format!("store/artifacts/{stage}")))
        .filter(|path| {
            path.file_name().is_some_and(|name| {
                name.to_string_lossy().starts_with("part-") && !name.to_string_lossy().contains('.')
            })
        })
        .map(|path| {
            let modified = std::fs::metadata(&path).and_then(|m| m.modified()).ok();
            (path, modified)
        })
        .collect()
}

#[test]
fn a_finished_run_computes_nothing_again() {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL);
    sandbox.ok(&arguments("2"));
    let before = kept(&sandbox);
    let plan = sandbox.ok(&["plan", "small.yaml", "--store", "store"]);
    assert!(plan.contains(", 0 left"), "{plan}");
    sandbox.ok(&arguments("2"));
    assert_eq!(kept(&sandbox), before);
    // Another sampling step trains nothing again; other layers encode nothing again.
    let plan = sandbox.ok(&["plan", "small.yaml", "detector.sample.start=10", "--store", "store", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan).expect("JSON");
    let left = |stage: &str| {
        let stages = plan["stages"].as_array().expect("stages");
        stages.iter().filter(|s| s["stage"] == stage && s["parts_done"] != s["parts"]).count()
    };
    assert_eq!((left("encode"), left("fit")), (0, 0));
    assert!(left("score") > 0);
    let plan = sandbox.ok(&["plan", "small.yaml", "features.layers=[4,5]", "--store", "store"]);
    assert!(!plan.lines().any(|line| line.contains("left") && line.contains("encode ")), "{plan}");
}

#[test]
fn a_damaged_part_is_noticed_and_computed_again() {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL);
    sandbox.ok(&arguments("2"));
    let expected = guarded(&sandbox);
    // (what is damaged, what is removed so that it is read again)
    for (stage, behind) in [
        ("encode", &["fit", "score", "evaluate"][..]),
        ("fit", &["score", "evaluate"]),
        ("score", &["evaluate"]),
        ("evaluate", &[]),
    ] {
        for later in behind {
            std::fs::remove_dir_all(sandbox.path(&format!("store/artifacts/{later}"))).expect("a stage");
        }
        std::fs::remove_file(sandbox.path("results/small/complete.json")).expect("results are complete");
        let is_part = |path: &std::path::PathBuf| path.file_name().is_some_and(|name| name == "part-00000");
        let part = sandbox.files(&format!("store/artifacts/{stage}")).into_iter().find(is_part).expect("a part");
        let mut bytes = std::fs::read(&part).expect("readable");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&part, &bytes).expect("writable");
        let output = sandbox.run(&arguments("2"));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{stage}: {told}");
        assert!(told.contains("checksum"), "{stage}: {told}");
        assert!(guarded(&sandbox) == expected, "{stage}");
    }
}
