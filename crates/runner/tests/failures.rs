//! Bad luck in the middle of a run: one clear error, nothing finished lost, nothing half-written.

mod support;

use std::path::PathBuf;
use std::process::Command;

use support::{SMALL, Sandbox, wait_until};

const RUN: [&str; 6] = ["run", "small.yaml", "--store", "store", "--results", "results"];

fn small() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL);
    sandbox
}

fn one_error(text: &str) {
    assert_eq!(text.lines().filter(|line| line.starts_with("error:")).count(), 1, "{text}");
    assert!(!text.contains("panicked"), "{text}");
}

/// Encoded parts in the store.
fn parts(sandbox: &Sandbox) -> usize {
    let is_part = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("part-"));
    sandbox.files("store/artifacts/encode").iter().filter(|path| is_part(path)).count()
}

#[test]
fn ctrl_c_keeps_finished_parts_and_says_so() {
    let sandbox = small();
    let mut child = sandbox.command(&RUN).stderr(std::process::Stdio::piped()).spawn().expect("the program starts");
    assert!(wait_until(&mut child, || parts(&sandbox) > 0), "encoding never began");
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    let output = child.wait_with_output().expect("the program ends");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{told}");
    one_error(&told);
    assert!(told.contains("finished parts are kept"), "{told}");
    assert!(parts(&sandbox) > 0);
    assert_eq!(sandbox.leftovers(), Vec::<std::path::PathBuf>::new());
    sandbox.ok(&RUN);
}

/// Sends Ctrl-C, and once it was noticed again.
fn stop_at_once(child: &mut std::process::Child) -> String {
    use std::io::{BufRead, Read};
    let interrupt = |child: &std::process::Child| {
        let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    };
    interrupt(child);
    let mut errors = std::io::BufReader::new(child.stderr.take().expect("a pipe"));
    let mut told = String::new();
    while !told.contains("again to stop at once") {
        assert!(errors.read_line(&mut told).expect("reads") > 0, "{told}");
    }
    interrupt(child);
    errors.read_to_string(&mut told).expect("reads");
    assert_eq!(child.wait().expect("the program ends").code(), Some(130), "{told}");
    told
}

#[test]
fn ctrl_c_twice_does_not_wait_for_the_part_under_way() {
    let sandbox = small();
    // Large images: a part takes far longer than one of them.
    let slow = [&RUN[..], &["encoder.resolution=1024", "--threads", "1"]].concat();
    let mut child = sandbox.command(&slow).stderr(std::process::Stdio::piped()).spawn().expect("the program starts");
    let begun = || !sandbox.files("store/artifacts/encode").is_empty();
    assert!(wait_until(&mut child, begun), "encoding never began");
    let told = stop_at_once(&mut child);
    one_error(&told);
    assert_eq!(parts(&sandbox), 0, "all of a part was computed first");
    assert!(!begun(), "a lease was left: {:?}", sandbox.files("store/artifacts/encode"));
}

#[test]
fn a_stop_in_training_leaves_the_results_of_an_earlier_run_as_they_were() {
    let sandbox = small();
    sandbox.ok(&RUN);
    let read = || {
        ["table.csv", "table.md", "scores.parquet"].map(|name| std::fs::read(sandbox.path("results/small").join(name)))
    };
    let before = read().map(|bytes| bytes.expect("the first run wrote it"));
    // Other training, long enough to be stopped in: everything is encoded already.
    let longer = [&RUN[..], &["detector.train.epochs=100000"]].concat();
    let mut child = sandbox.command(&longer).stderr(std::process::Stdio::piped()).spawn().expect("the program starts");
    let checkpoints = || {
        sandbox
            .files("store/artifacts/checkpoint")
            .iter()
            .filter(|path| path.ends_with("part-00001") || path.to_string_lossy().contains("part-"))
            .count()
    };
    assert!(wait_until(&mut child, || checkpoints() > 0), "training never began");
    let told = stop_at_once(&mut child);
    one_error(&told);
    assert!(read().map(|bytes| bytes.expect("still there")) == before, "a stopped run changed the results");
}

#[test]
fn when_every_run_fails_the_results_of_an_earlier_run_stay() {
    let sandbox = small();
    sandbox.ok(&RUN);
    let before = std::fs::read(sandbox.path("results/small/table.csv")).expect("a table");
    let told = sandbox.fails(1, &[&RUN[..], &["detector.train.learning_rate=1e30", "seeds=[0,1]"]].concat());
    assert!(told.contains("loss") && told.contains("nothing was written"), "{told}");
    assert!(std::fs::read(sandbox.path("results/small/table.csv")).expect("still there") == before);
    // One of two fails: the table holds the other and says so.
    let half = [&RUN[..], &["sweep.grid={detector.train.learning_rate: [1e-3, 1e30]}"]].concat();
    sandbox.fails(1, &half);
    let table = std::fs::read_to_string(sandbox.path("results/small/table.md")).expect("a table");
    assert!(table.contains("failed: run") && table.contains("1e"), "{table}");
}

/// Standard error that nobody reads is no reason to stop.
#[test]
fn a_closed_standard_error_does_not_stop_a_run() {
    let sandbox = small();
    let script = format!("{} {} 2>/dev/full", env!("CARGO_BIN_EXE_oodlab"), RUN.join(" "));
    let status = Command::new("sh").args(["-c", &script]).current_dir(sandbox.path("")).status().expect("sh runs");
    assert!(status.success());
}

/// A limit on the size of files stands for a disk that is full: the write of the first part fails half-way.
#[test]
fn a_write_that_fails_half_way_leaves_nothing_behind() {
    let sandbox = small();
    let script = format!("ulimit -f 8; trap '' XFSZ; exec {} {}", env!("CARGO_BIN_EXE_oodlab"), RUN.join(" "));
    let output = Command::new("sh").args(["-c", &script]).current_dir(sandbox.path("")).output().expect("sh runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    one_error(&told);
    assert!(told.contains("part-00000") || told.contains("artifacts"), "{told}");
    assert_eq!(sandbox.leftovers(), Vec::<std::path::PathBuf>::new());
    sandbox.ok(&RUN);
}

#[test]
fn a_store_or_results_folder_that_cannot_be_is_named() {
    let sandbox = small();
    sandbox.write("occupied", "a file");
    for arguments in [
        ["run", "small.yaml", "--store", "occupied", "--results", "results"],
        ["run", "small.yaml", "--store", "store", "--results", "occupied"],
    ] {
        let told = sandbox.fails(1, &arguments);
        one_error(&told);
        assert!(told.contains("occupied"), "{told}");
    }
}

#[test]
fn converting_weights_never_writes_over_them() {
    let sandbox = small();
    let embedded = include_bytes!("../../encoders/weights/efficientnet-lite0.safetensors");
    std::fs::write(sandbox.path("mine.safetensors"), embedded).expect("writes");
    for output in ["mine.safetensors", "./mine.safetensors", "mine.pth"] {
        let network = ["--network", "efficientnet-lite0"];
        let told = sandbox.fails(2, &[&["weights", "convert", "mine.safetensors", output][..], &network].concat());
        one_error(&told);
    }
    assert_eq!(std::fs::read(sandbox.path("mine.safetensors")).expect("reads"), embedded);
}

#[test]
fn weights_of_another_network_say_whose_they_are() {
    let sandbox = small();
    let embedded = concat!(env!("CARGO_MANIFEST_DIR"), "/../encoders/weights/efficientnet-lite0.safetensors");
    let told = sandbox.fails(
        2,
        &[&RUN[..], &["encoder.network=efficientnet-lite2", &format!("encoder.weights={embedded}")]].concat(),
    );
    one_error(&told);
    assert!(told.contains("weights of `efficientnet-lite0`, not of `efficientnet-lite2`"), "{told}");
}

#[test]
fn a_nan_weight_stops_the_run_before_training() {
    let sandbox = small();
    let embedded = concat!(env!("CARGO_MANIFEST_DIR"), "/../encoders/weights/efficientnet-lite0.safetensors");
    let mut bytes = std::fs::read(embedded).expect("the embedded weights");
    // The last two bytes belong to the last f16 tensor: make its last value a NaN.
    let end = bytes.len();
    bytes[end - 2..].copy_from_slice(&[0xff, 0x7f]);
    std::fs::write(sandbox.path("broken.safetensors"), bytes).expect("writes");
    let told = sandbox.fails(2, &[&RUN[..], &["encoder.weights=broken.safetensors"]].concat());
    one_error(&told);
    assert!(told.contains("NaN") || told.contains("finite"), "{told}");
    assert_eq!(sandbox.files("store/artifacts/fit"), Vec::<std::path::PathBuf>::new());
}

#[test]
fn two_runs_at_once_share_the_work_and_agree() {
    let sandbox = small();
    let start =
        || sandbox.command(&RUN).stderr(std::process::Stdio::null()).stdout(std::process::Stdio::null()).spawn();
    let (mut a, mut b) = (start().expect("starts"), start().expect("starts"));
    assert!(a.wait().expect("ends").success() && b.wait().expect("ends").success());
    let together = std::fs::read(sandbox.path("results/small/table.csv")).expect("a table");
    let alone = small();
    alone.ok(&RUN);
    assert!(together == std::fs::read(alone.path("results/small/table.csv")).expect("a table"));
    assert_eq!(sandbox.leftovers(), Vec::<std::path::PathBuf>::new());
}
