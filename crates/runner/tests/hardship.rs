//! What machines do to long runs: disks that fill, folders that vanish or are read-only, clocks that jump, bits that rot. Nothing finished is
//! lost, no number is wrong, nothing half-written stays, and the user is told.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use support::{SMALL, Sandbox, copy, wait_until};

const RUN: [&str; 8] = ["run", "small.yaml", "--store", "store", "--results", "results", "--threads", "2"];
const GUARDED: [&str; 2] = ["table.csv", "scores.parquet"];

fn small() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL);
    sandbox
}

/// A run to which nothing happened.
fn untroubled() -> &'static Sandbox {
    static RAN: OnceLock<Sandbox> = OnceLock::new();
    RAN.get_or_init(|| {
        let sandbox = small();
        sandbox.ok(&RUN);
        sandbox
    })
}

/// A copy of it, store and all.
fn finished() -> Sandbox {
    let sandbox = small();
    for folder in ["store", "results"] {
        copy(&untroubled().path(folder), &sandbox.path(folder));
    }
    sandbox
}

fn guarded(folder: &Path) -> Vec<Vec<u8>> {
    GUARDED.iter().map(|name| std::fs::read(folder.join(name)).expect("the run wrote it")).collect()
}

fn same_numbers(sandbox: &Sandbox) {
    let expected = guarded(&untroubled().path("results/small"));
    assert!(guarded(&sandbox.path("results/small")) == expected, "other numbers than those of an untroubled run");
    assert_eq!(sandbox.leftovers(), Vec::<PathBuf>::new());
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn one_error(told: &str) {
    assert_eq!(told.lines().filter(|line| line.starts_with("error:")).count(), 1, "{told}");
    assert!(!told.contains("panicked"), "{told}");
}

/// Runs a script in which folders can be mounted without touching this machine; none where the system does not allow it.
fn with_mounts(sandbox: &Sandbox, script: &str) -> Option<Output> {
    let unshared = |script: &str| {
        Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", script])
            .env("OODLAB", env!("CARGO_BIN_EXE_oodlab"))
            .current_dir(sandbox.path(""))
            .stdin(Stdio::null())
            .output()
    };
    let allowed = unshared("mkdir -p mountable && mount -t tmpfs -o size=1m none mountable");
    if !allowed.is_ok_and(|output| output.status.success()) {
        let told = "skipped: this system has no `unshare --map-root-user --mount`, with which a folder is made small or read-only";
        std::io::Write::write_all(&mut std::io::stderr(), format!("{told}\n").as_bytes()).expect("standard error");
        return None;
    }
    Some(unshared(script).expect("sh runs"))
}

/// Bytes below a folder.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}

/// The store's disk is full in the middle of encoding, near its end, and in what comes after: told with what to do about it, what was
/// finished is kept, and with more space the run goes on to the same numbers.
#[test]
fn a_full_disk_below_the_store_costs_only_what_was_under_way() {
    let whole = size(&untroubled().path("store"));
    for share in [20, 60, 95] {
        let sandbox = small();
        let script = format!(
            "mkdir store && mount -t tmpfs -o size={bytes} none store || exit 90\n\
             $OODLAB {run}; code=$?\n\
             find store -type f | grep -c /part- >parts; ls -A store/artifacts/.tmp >temporaries\n\
             mount -o remount,size=1g store || exit 91\n\
             $OODLAB {run} >again 2>&1 || exit 92\n\
             exit $code",
            bytes = whole * share / 100,
            run = RUN.join(" "),
        );
        let Some(output) = with_mounts(&sandbox, &script) else { return };
        let told = text(&output.stderr);
        let again = std::fs::read_to_string(sandbox.path("again")).unwrap_or_default();
        assert_eq!(output.status.code(), Some(1), "{share} %: {told}{again}");
        one_error(&told);
        assert!(told.contains("no space left") && told.contains("--store"), "{share} %: {told}");
        let read = |name: &str| std::fs::read_to_string(sandbox.path(name)).expect("the script wrote it");
        assert_eq!(read("temporaries"), "", "{share} %: something half-written stayed");
        assert!(share == 20 || read("parts").trim() != "0", "{share} %: nothing finished was kept");
        same_numbers(&sandbox);
    }
}

/// The results' disk is full: the error names the file, and what an earlier run wrote can still be read.
#[test]
fn a_full_disk_below_the_results_leaves_the_store_whole() {
    let sandbox = small();
    let script = format!(
        "mkdir results && mount -t tmpfs -o size=200k none results || exit 90\n\
         $OODLAB {run}; code=$?\n\
         find results -name '*.part' >leftovers\n\
         exit $code",
        run = RUN.join(" "),
    );
    let Some(output) = with_mounts(&sandbox, &script) else { return };
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    one_error(&told);
    assert!(told.contains("results/small") && told.to_lowercase().contains("no space left"), "{told}");
    assert_eq!(std::fs::read_to_string(sandbox.path("leftovers")).expect("the script wrote it"), "");
    let plan = sandbox.ok(&["plan", "small.yaml", "--store", "store", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan).expect("JSON");
    let left: Vec<&serde_json::Value> = plan["stages"]
        .as_array()
        .expect("stages")
        .iter()
        .filter(|stage| stage["parts_done"] != stage["parts"])
        .collect();
    assert!(left.is_empty(), "work was lost: {left:?}");
    sandbox.ok(&RUN);
    same_numbers(&sandbox);
}

/// A store on a disk that is unmounted, or a share that is gone: no new store is begun in its place.
#[test]
fn a_store_that_disappears_during_a_run_is_told_and_not_made_anew() {
    for stage in ["encode", "checkpoint"] {
        let sandbox = small();
        let long = [&RUN[..], &["detector.train.epochs=100000"]].concat();
        let command = if stage == "encode" { &RUN[..] } else { &long[..] };
        let mut child = sandbox.command(command).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("starts");
        let parts = |folder: &str| {
            let all = sandbox.files(&format!("{folder}/artifacts/{stage}"));
            all.iter().filter(|path| path.to_string_lossy().contains("/part-")).count()
        };
        assert!(wait_until(&mut child, || parts("store") > 0), "{stage} never began");
        std::fs::rename(sandbox.path("store"), sandbox.path("away")).expect("moved");
        let output = child.wait_with_output().expect("ends");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stage}: {told}");
        one_error(&told);
        assert!(told.contains("disappeared") && told.contains("store"), "{stage}: {told}");
        assert!(!sandbox.path("store").exists(), "{stage}: a new store was begun: {:?}", sandbox.files("store"));
        std::fs::rename(sandbox.path("away"), sandbox.path("store")).expect("moved back");
        assert!(parts("store") > 0);
        sandbox.ok(&RUN);
        same_numbers(&sandbox);
    }
}

/// Sets the time of every file and folder.
fn set_times(folder: &Path, time: SystemTime) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            set_times(&path, time);
        }
        // A file that a living process removes meanwhile has no time.
        if let Ok(file) = std::fs::File::open(&path) {
            file.set_modified(time).expect("its own file");
        }
    }
}

fn jumps() -> [SystemTime; 2] {
    let days = |days: u64| Duration::from_secs(days * 24 * 3600);
    // The clock was ten years ahead and jumped back; or it stood at the epoch.
    [SystemTime::now() + days(3650), SystemTime::UNIX_EPOCH + days(1)]
}

/// What was written when the clock was wrong is as good as the rest.
#[test]
fn times_of_files_decide_nothing() {
    for time in jumps() {
        let sandbox = finished();
        for folder in ["store", "results"] {
            set_times(&sandbox.path(folder), time);
        }
        let plan = sandbox.ok(&["plan", "small.yaml", "--store", "store"]);
        assert!(plan.contains(", 0 left"), "{plan}");
        let before: Vec<(PathBuf, Vec<u8>)> = parts(&sandbox);
        sandbox.ok(&RUN);
        same_numbers(&sandbox);
        assert!(parts(&sandbox) == before);
        sandbox.ok(&["status", "results/small"]);
        // Results that are gone are written again from what is stored.
        std::fs::remove_dir_all(sandbox.path("results")).expect("removed");
        sandbox.ok(&RUN);
        same_numbers(&sandbox);
        let verified = sandbox.ok(&["cache", "verify", "--store", "store"]);
        assert!(!verified.contains("damaged:"), "{verified}");
    }
}

/// Every part in the store with its bytes.
fn parts(sandbox: &Sandbox) -> Vec<(PathBuf, Vec<u8>)> {
    let is_part = |path: &PathBuf| path.to_string_lossy().contains("/part-");
    let all = sandbox.files("store/artifacts").into_iter().filter(is_part);
    all.map(|path| (path.clone(), std::fs::read(&path).expect("readable"))).collect()
}

/// Leases and half-written files of a process that was killed are known to be dead by the process, whatever their times say.
#[test]
fn leases_of_the_dead_are_taken_over_whatever_the_clock_says() {
    for time in jumps() {
        let sandbox = small();
        let mut child = sandbox.command(&RUN).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        let leases = || {
            let is_lease =
                |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lock"));
            sandbox.files("store/artifacts").iter().filter(|path| is_lease(path)).count()
        };
        assert!(wait_until(&mut child, || leases() > 0), "no lease was ever taken");
        child.kill().expect("kill -9");
        child.wait().expect("reaped");
        // Workers end when they find that nobody listens.
        std::thread::sleep(Duration::from_millis(500));
        set_times(&sandbox.path("store"), time);
        let begun = std::time::Instant::now();
        sandbox.ok(&RUN);
        assert!(begun.elapsed() < Duration::from_secs(55), "a dead lease was waited for");
        assert_eq!(leases(), 0);
        same_numbers(&sandbox);
    }
}

/// A results folder that cannot be written is found before anything is computed, and can still be read.
#[test]
fn a_read_only_results_folder_is_named_before_any_work() {
    // A file in its place works for every user; permissions mean nothing to root.
    let sandbox = small();
    sandbox.write("results/small", "a file");
    let told = sandbox.fails(1, &RUN);
    one_error(&told);
    assert!(told.contains("results/small"), "{told}");
    assert_eq!(sandbox.files("store/artifacts/encode"), Vec::<PathBuf>::new());

    let sandbox = small();
    copy(&untroubled().path("results"), &sandbox.path("results"));
    let script = format!(
        "mount --bind results results && mount -o remount,bind,ro results || exit 90\n\
         $OODLAB report results/small results/small -o page.html || exit 91\n\
         exec $OODLAB {run} detector.train.epochs=41",
        run = RUN.join(" "),
    );
    let Some(output) = with_mounts(&sandbox, &script) else { return };
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    one_error(&told);
    assert!(told.contains("results/small") && told.contains("ead-only"), "{told}");
    assert_eq!(sandbox.files("store/artifacts/encode"), Vec::<PathBuf>::new());
    same_numbers(&sandbox);
}

#[test]
fn a_read_only_store_is_named_with_what_to_do() {
    let sandbox = finished();
    let script = format!(
        "mount --bind store store && mount -o remount,bind,ro store || exit 90\n\
         exec $OODLAB {run} detector.train.epochs=41",
        run = RUN.join(" "),
    );
    let Some(output) = with_mounts(&sandbox, &script) else { return };
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    one_error(&told);
    assert!(told.contains("cannot be written") && told.contains("--store"), "{told}");
}

/// A bit flipped in the middle, the end missing, nothing left: in an artifact of every stage, with everything that was made of it gone. The
/// damage is told, what was damaged is computed again, and the numbers are the same.
#[test]
fn a_damaged_artifact_of_any_stage_is_told_and_computed_again() {
    let stages = ["encode", "fit", "score", "evaluate"];
    let damages = [&["a flipped bit"][..], &["half of it"], &["nothing"], &["a flipped bit", "half of it", "nothing"]];
    for (at, (stage, damages)) in stages.iter().zip(damages).enumerate() {
        for damage in damages {
            let sandbox = finished();
            std::fs::remove_dir_all(sandbox.path("results")).expect("removed");
            for later in &stages[at + 1..] {
                std::fs::remove_dir_all(sandbox.path(&format!("store/artifacts/{later}"))).expect("removed");
            }
            let mine = format!("/artifacts/{stage}/");
            let (part, bytes) = parts(&sandbox)
                .into_iter()
                .filter(|(path, _)| path.to_string_lossy().contains(&mine))
                .max_by_key(|(_, bytes)| bytes.len())
                .expect("a part");
            let damaged = match *damage {
                "a flipped bit" => {
                    let mut flipped = bytes.clone();
                    flipped[bytes.len() / 2] ^= 1;
                    flipped
                }
                "half of it" => bytes[..bytes.len() / 2].to_vec(),
                _ => Vec::new(),
            };
            std::fs::write(&part, damaged).expect("writable");
            let output = sandbox.run(&RUN);
            let told = text(&output.stderr);
            assert!(output.status.success(), "{stage}, {damage}: {told}");
            let warned = |line: &&str| line.contains("damaged") || line.contains("not finished as it says");
            let warning =
                told.lines().find(warned).unwrap_or_else(|| panic!("{stage}, {damage}: nothing told: {told}"));
            assert!(warning.contains(&mine) && warning.contains("computed again"), "{stage}, {damage}: {warning}");
            same_numbers(&sandbox);
            let again = std::fs::read(&part).unwrap_or_else(|error| panic!("{stage}, {damage}: {error}"));
            assert!(*stage == "fit" || *stage == "evaluate" || again == bytes, "{stage}, {damage}: not as before");
            sandbox.ok(&["cache", "verify", "--store", "store"]);
        }
    }
}

/// Finished results that were damaged are written again from what is stored.
#[test]
fn damaged_results_are_written_again() {
    for name in ["table.csv", "scores.parquet", "record.json", "complete.json", "status.json", "comparisons.csv"] {
        let sandbox = finished();
        let path = sandbox.path("results/small").join(name);
        let mut bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, &bytes).expect("writable");
        sandbox.ok(&RUN);
        same_numbers(&sandbox);
        let store = sandbox.ok(&["cache", "verify", "--store", "store"]);
        assert!(!store.contains("damaged:"), "{store}");
    }
}
