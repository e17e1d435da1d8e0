//! Leases and leftovers between processes: the test binary starts itself again as a child.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oodlab_base::{Cancel, Key};
use oodlab_store::{Artifact, Store};

const FOLDER: &str = "OODLAB_STORE_TEST_FOLDER";
const TASK: &str = "OODLAB_STORE_TEST_TASK";

fn artifact(folder: &Path) -> Artifact {
    Store::open(folder).expect("a store").artifact("stage", &Key::of_bytes(b"key"))
}

/// Starts `the_child` of this file in a process of its own and waits until it says that it is ready.
fn start(folder: &Path, task: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "the_child", "--nocapture"])
        .env(FOLDER, folder)
        .env(TASK, task)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child process");
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    let ready = (&mut output).lines().map_while(Result::ok).any(|line| line.contains("ready"));
    // Kept open: the child's test harness fails when it cannot print.
    child.stdout = Some(output.into_inner());
    assert!(ready, "the child ended early");
    child
}

/// Does nothing but in a process that `start` started.
#[test]
fn the_child() {
    let (Ok(folder), Ok(task)) = (std::env::var(FOLDER), std::env::var(TASK)) else { return };
    let folder = Path::new(&folder);
    let artifact = artifact(folder);
    match task.as_str() {
        "hold" => {
            let _lease = artifact.lease(&Cancel::new()).expect("a lease");
            println!("ready");
            std::thread::sleep(Duration::from_secs(60));
        }
        "write" => {
            println!("ready");
            for round in 0.. {
                artifact.write_part(round % 3, &vec![9; 300_000]).expect("writing");
            }
        }
        // Adds one to a number in a file, many times; without exclusion some would be lost.
        "count" => {
            println!("ready");
            let file = folder.join("number");
            for _ in 0..25 {
                let _lease = artifact.lease(&Cancel::new()).expect("a lease");
                let number: u64 = fs_err::read_to_string(&file).expect("the number").parse().expect("a number");
                std::thread::sleep(Duration::from_micros(300));
                fs_err::write(&file, (number + 1).to_string()).expect("the number");
            }
        }
        other => panic!("unknown task {other}"),
    }
}

#[test]
fn a_lease_excludes_other_processes_and_a_killed_holder_is_replaced_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut child = start(folder.path(), "hold");
    let artifact = artifact(folder.path());
    let holding = artifact.try_lease().expect("a look at the lease").expect_err("the child holds it");
    assert_eq!(holding.pid, child.id());
    child.kill().expect("killing the child");
    child.wait().expect("the child's end");
    let begun = Instant::now();
    let lease = artifact.lease(&Cancel::new()).expect("a lease");
    assert!(begun.elapsed() < Duration::from_secs(5), "taken over after {:?}", begun.elapsed());
    drop(lease);
    assert_eq!(fs_err::read_dir(artifact.folder()).expect("the folder").count(), 0);
}

#[test]
fn processes_hold_it_one_after_the_other() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs_err::write(folder.path().join("number"), "0").expect("the number");
    let children: Vec<Child> = (0..4).map(|_| start(folder.path(), "count")).collect();
    for mut child in children {
        assert!(child.wait().expect("the child's end").success());
    }
    assert_eq!(fs_err::read_to_string(folder.path().join("number")).expect("the number"), "100");
}

#[test]
fn a_writer_killed_at_any_moment_leaves_whole_parts_and_nothing_after_the_next_opening() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut leftovers = 0;
    for round in 0..12 {
        let mut child = start(folder.path(), "write");
        std::thread::sleep(Duration::from_millis(3 + 7 * round));
        child.kill().expect("killing the child");
        child.wait().expect("the child's end");
        leftovers += fs_err::read_dir(folder.path().join(".tmp")).expect("the folder").count();
        let artifact = artifact(folder.path());
        assert_eq!(fs_err::read_dir(folder.path().join(".tmp")).expect("the folder").count(), 0);
        for index in artifact.parts().expect("listing") {
            let payload = artifact.read_part(index).expect("reading").expect("a whole part");
            assert!(payload == vec![9; 300_000]);
        }
    }
    // The kills hit a write now and then, or this test would show nothing: a write takes most of each round.
    assert!(leftovers > 0, "no kill fell into a write");
}
