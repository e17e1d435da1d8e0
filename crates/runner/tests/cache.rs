//! The store as its users see it: shards, equal work of several processes, and `oodlab cache`.

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use support::{Sandbox, wait_until};

/// Two sets of two and one parts, and nothing to train.
const TWO_SETS: &str = "\
benchmark: mini
protocols: [native]
encoder: {network: efficientnet-lite0, weights: embedded, resolution: 64, pooling: average}
limit: {train: 1000, id_test: 300, ood: 40}
detector: {kind: mean-distance}
";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("two.yaml", TWO_SETS);
    sandbox
}

fn run<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["run", "two.yaml", "--store", "store", "--results", "results"], more].concat()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("one JSON value")
}

/// Parts of a stage with the times at which they were written.
fn parts(sandbox: &Sandbox, stage: &str) -> Vec<(PathBuf, SystemTime)> {
    let is_part = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("part-"));
    let files = sandbox.files(&format!("store/artifacts/{stage}"));
    files.into_iter().filter(is_part).map(|path| (path.clone(), modified(&path))).collect()
}

fn modified(path: &Path) -> SystemTime {
    std::fs::metadata(path).and_then(|data| data.modified()).expect("a file")
}

/// The bytes of all encoded parts, by path below the store.
fn encoded(sandbox: &Sandbox) -> Vec<(PathBuf, Vec<u8>)> {
    let root = sandbox.path("");
    let below = |path: &Path| path.strip_prefix(&root).expect("inside").to_owned();
    parts(sandbox, "encode").iter().map(|(path, _)| (below(path), std::fs::read(path).expect("a part"))).collect()
}

fn table(sandbox: &Sandbox) -> Vec<u8> {
    std::fs::read(sandbox.path("results/two/table.csv")).expect("the run wrote it")
}

#[test]
fn shards_share_the_work_and_a_plain_run_merges_them() {
    let whole = sandbox();
    whole.ok(&run(&[]));

    let shards = sandbox();
    // At the same time, as on two machines with one store folder.
    let children: Vec<_> = ["1/2", "2/2"]
        .iter()
        .map(|shard| {
            let mut command = shards.command(&run(&["--shard", shard, "--json"]));
            command.stdout(std::process::Stdio::piped()).spawn().expect("the program starts")
        })
        .collect();
    let mut computed = 0;
    let mut shares = Vec::new();
    for child in children {
        let output = child.wait_with_output().expect("its end");
        assert!(output.status.success());
        let report = json(&String::from_utf8(output.stdout).expect("UTF-8"));
        computed += report["parts_computed"].as_u64().expect("a number");
        shares.push(report["parts_of_shard"].as_u64().expect("a number"));
        assert_eq!(report["parts_computed"], report["parts_of_shard"], "{report}");
    }
    let before = parts(&shards, "encode");
    assert_eq!(computed as usize, before.len(), "each part was computed once");
    assert!(shares[0].abs_diff(shares[1]) <= 1, "{shares:?}");
    assert!(!shards.path("results").exists(), "a shard writes no results");
    assert!(parts(&shards, "fit").is_empty());

    // A shard that is done costs nothing and says so; the plain run computes no part again.
    let again = json(&shards.ok(&run(&["--shard", "1/2", "--json"])));
    assert_eq!((&again["parts_computed"], &again["finished"]), (&Value::from(0), &Value::from(true)));
    let told = shards.ok(&run(&["--shard", "2/3"]));
    assert!(told.contains("0 of its") && told.contains("oodlab run two.yaml"), "{told}");
    shards.ok(&run(&[]));
    assert_eq!(parts(&shards, "encode"), before);
    assert!(encoded(&shards) == encoded(&whole) && table(&shards) == table(&whole), "shards give other bytes");
}

#[test]
fn a_wrong_shard_is_refused_before_anything_starts() {
    let sandbox = sandbox();
    for wrong in ["0/2", "3/2", "1", "x/y", "1/0"] {
        let told = sandbox.fails(2, &run(&["--shard", wrong]));
        assert!(told.contains("2/4"), "{told}");
    }
    assert!(!sandbox.path("store").exists());
}

#[test]
fn processes_with_the_same_work_do_it_once() {
    let sandbox = sandbox();
    let spawn = |more: &[&str]| {
        let mut command = sandbox.command(&run(&[more, &["--json"]].concat()));
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().expect("a process")
    };
    // The same shard twice, and a plain run beside them.
    let twins = [spawn(&["--shard", "1/2"]), spawn(&["--shard", "1/2"])];
    let plain = spawn(&["--log", "oodlab=debug"]);
    let mut by_shards = 0;
    for child in twins {
        let output = child.wait_with_output().expect("its end");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        by_shards +=
            json(&String::from_utf8(output.stdout).expect("UTF-8"))["parts_computed"].as_u64().expect("a number");
    }
    let output = plain.wait_with_output().expect("its end");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{log}");
    let by_plain: u64 = log
        .lines()
        .filter(|line| line.contains("encoded parts"))
        .filter_map(|line| line.split("computed=").nth(1)?.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    assert_eq!((by_shards + by_plain) as usize, parts(&sandbox, "encode").len(), "{by_shards} and {by_plain}\n{log}");
    assert!(!sandbox.files("store/artifacts").iter().any(|path| path.to_string_lossy().contains("lock")));
}

#[test]
fn a_killed_shard_goes_on_where_it_stopped() {
    let whole = sandbox();
    whole.ok(&run(&["--shard", "1/1"]));
    let killed = sandbox();
    let mut child = killed.command(&run(&["--shard", "1/1", "--threads", "1"])).spawn().expect("the program starts");
    assert!(wait_until(&mut child, || !parts(&killed, "encode").is_empty()), "it never began");
    child.kill().expect("kill -9");
    child.wait().expect("reaped");
    let before = parts(&killed, "encode");
    let all = parts(&whole, "encode").len();
    assert!(!before.is_empty() && before.len() < all, "killed too late to test: {} of {all}", before.len());
    let report = json(&killed.ok(&run(&["--shard", "1/1", "--json"])));
    assert_eq!(report["parts_computed"], Value::from(all - before.len()), "{report}");
    for (path, written) in before {
        assert_eq!(modified(&path), written, "{} was computed again", path.display());
    }
    assert!(encoded(&killed) == encoded(&whole), "other bytes after the kill");
    assert_eq!(killed.leftovers(), Vec::<PathBuf>::new());
}

#[test]
fn a_damaged_part_is_found_named_and_removed() {
    let sandbox = sandbox();
    sandbox.ok(&run(&[]));
    let list = json(&sandbox.ok(&["cache", "list", "--json", "--store", "store"]));
    let entries = list.as_array().expect("a list");
    let stages: Vec<&str> = entries.iter().filter_map(|entry| entry["stage"].as_str()).collect();
    assert!(["encode", "fit", "score"].iter().all(|stage| stages.contains(stage)), "{stages:?}");
    assert!(entries.iter().all(|entry| entry["finished"] == true && entry["label"].as_str() != Some("")), "{list}");
    let told = sandbox.ok(&["cache", "list", "--store", "store"]);
    assert!(told.contains("encode cifar10-mini train") && told.contains("finished"), "{told}");

    let verify = ["cache", "verify", "--store", "store"];
    assert!(sandbox.ok(&verify).contains("artifacts"));
    let expected = (encoded(&sandbox), table(&sandbox));
    let (part, _) = parts(&sandbox, "encode").remove(1);
    let mut bytes = std::fs::read(&part).expect("a part");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&part, &bytes).expect("writable");
    let output = sandbox.run(&verify);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains(part.file_name().expect("a name").to_string_lossy().as_ref()), "{told}");
    assert!(part.exists(), "nothing is removed unasked");
    sandbox.fails(1, &["cache", "verify", "--remove", "--store", "store"]);
    assert!(!part.exists());
    sandbox.ok(&verify);
    // What finished metrics were made of is not looked at again: only whoever needs the features computes them.
    std::fs::remove_dir_all(sandbox.path("store/artifacts/evaluate")).expect("metrics");
    std::fs::remove_dir_all(sandbox.path("store/artifacts/score")).expect("scores");
    sandbox.ok(&run(&[]));
    assert!((encoded(&sandbox), table(&sandbox)) == expected);
}

#[test]
fn collecting_spares_what_is_needed_imported_or_in_use() {
    let sandbox = sandbox();
    sandbox.ok(&run(&[]));
    sandbox.write("other.yaml", &TWO_SETS.replace("resolution: 64", "resolution: 32"));
    sandbox.ok(&["run", "other.yaml", "--store", "store", "--results", "results"]);
    for kept in ["data/mine/files/a.png", "weights/mine.safetensors", "features/mine/test.safetensors"] {
        sandbox.write(&format!("store/{kept}"), "imported");
    }
    let all = sandbox.files("store");
    let collect = |more: &[&str]| sandbox.ok(&[&["cache", "collect", "--store", "store", "--json"], more].concat());

    // Nothing is unfinished, and without --keep nothing finished goes.
    let found = json(&collect(&["--yes"]));
    assert_eq!((found["artifacts"].as_array().map(Vec::len), &found["bytes"]), (Some(0), &Value::from(0)), "{found}");
    assert_eq!(sandbox.files("store"), all);

    // A dry run says what would go and touches nothing.
    let found = json(&collect(&["--keep", "two.yaml"]));
    let going = found["artifacts"].as_array().map(Vec::len).expect("a list");
    assert!(going > 0 && found["bytes"].as_u64() > Some(0) && found["deleted"] == false, "{found}");
    assert_eq!(sandbox.files("store"), all);
    let told = sandbox.ok(&["cache", "collect", "--store", "store", "--keep", "two.yaml"]);
    assert!(told.contains("would delete") && told.contains("--yes"), "{told}");
    // Both kept: nothing goes. A file that cannot be read costs nothing.
    let both = json(&collect(&["--keep", "two.yaml", "--keep", "other.yaml", "--yes"]));
    assert_eq!(both["artifacts"].as_array().map(Vec::len), Some(0), "{both}");
    let collect_absent =
        ["cache", "collect", "--store", "store", "--keep", "two.yaml", "--keep", "absent.yaml", "--yes"];
    assert!(!sandbox.run(&collect_absent).status.success());
    assert_eq!(sandbox.files("store"), all);

    let found = json(&collect(&["--keep", "two.yaml", "--yes"]));
    assert_eq!(found["artifacts"].as_array().map(Vec::len), Some(going), "{found}");
    let left = sandbox.files("store");
    assert!(left.len() < all.len() && left.iter().all(|path| all.contains(path)));
    assert!(
        left.iter()
            .filter(|path| ["data", "features", "weights"]
                .iter()
                .any(|kept| path.starts_with(sandbox.path("store").join(kept))))
            .count()
            == 3,
        "{left:?}"
    );
    let before = parts(&sandbox, "encode");
    sandbox.ok(&run(&[]));
    assert_eq!(parts(&sandbox, "encode"), before, "what was kept is not computed again");
}

#[test]
fn collecting_spares_the_checkpoints_of_a_fit_under_way() {
    let sandbox = sandbox();
    let store = oodlab_store::Store::open(&sandbox.path("store/artifacts")).expect("a store");
    let key = oodlab_base::Key::of_bytes(b"a fit that no experiment needs");
    let lease = store.artifact("fit", &key).lease(&oodlab_base::Cancel::new()).expect("a lease");
    store.artifact("checkpoint", &key).write_part(3, b"weights").expect("writing");
    let collect = ["cache", "collect", "--store", "store", "--json", "--keep", "two.yaml", "--yes"];
    let found = json(&sandbox.ok(&collect));
    assert_eq!(found["in_use"].as_array().map(Vec::len), Some(2), "{found}");
    assert_eq!(parts(&sandbox, "checkpoint").len(), 1);
    drop(lease);
    let found = json(&sandbox.ok(&collect));
    assert_eq!(found["artifacts"].as_array().map(Vec::len), Some(2), "{found}");
    assert!(sandbox.files("store/artifacts").is_empty());
}

#[test]
fn collecting_leaves_work_under_way_alone_and_takes_what_nobody_finishes() {
    // Larger than elsewhere: it must not come to its end while this looks.
    let sandbox = Sandbox::new();
    sandbox.write("two.yaml", &TWO_SETS.replace("resolution: 64", "resolution: 224"));
    sandbox.write("other.yaml", TWO_SETS);
    let mut child = sandbox.command(&run(&["--shard", "1/1", "--threads", "1"])).spawn().expect("the program starts");
    assert!(wait_until(&mut child, || !parts(&sandbox, "encode").is_empty()), "it never began");
    let collect = ["cache", "collect", "--store", "store", "--json", "--keep", "other.yaml", "--yes"];
    let found = json(&sandbox.ok(&collect));
    let alive = child.try_wait().expect("a child").is_none();
    assert!(alive, "it ended before it could be tested");
    assert_eq!(found["in_use"].as_array().map(Vec::len), Some(1), "{found}");
    child.kill().expect("kill -9");
    child.wait().expect("reaped");
    // Its leases are those of a dead process now: they go alone, while the work is young ..
    let young = json(&sandbox.ok(&["cache", "collect", "--store", "store", "--json", "--yes"]));
    assert!(young["dead_leases"].as_u64() >= Some(1), "{young}");
    assert!(!parts(&sandbox, "encode").is_empty());
    // .. and with it when it is old: nobody has touched it for longer than allowed.
    std::thread::sleep(Duration::from_millis(1100));
    let old = json(&sandbox.ok(&["cache", "collect", "--store", "store", "--json", "--yes", "--unfinished-days", "0"]));
    assert_eq!(old["artifacts"].as_array().map(Vec::len), Some(1), "{old}");
    assert!(parts(&sandbox, "encode").is_empty());
}
