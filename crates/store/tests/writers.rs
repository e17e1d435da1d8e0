//! A store shared by the tasks of a cluster: 32 processes write overlapping keys at once, some are killed. The test binary
//! starts itself again as a child.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oodlab_base::{Cancel, Key};
use oodlab_store::{Artifact, Store, StoreError};

const FOLDER: &str = "OODLAB_STORE_TEST_FOLDER";
const NUMBER: &str = "OODLAB_STORE_TEST_NUMBER";

const WRITERS: usize = 32;
const KILLED: usize = 8;
const ARTIFACTS: usize = 5;
const PARTS: usize = 30;

fn artifact(store: &Store, number: usize) -> Artifact {
    store.artifact("shared", &Key::of_bytes(&number.to_le_bytes()))
}

/// What part `part` of artifact `number` must hold: of a size and content of its own.
fn payload(number: usize, part: usize) -> Vec<u8> {
    let length = 20_000 + 7_919 * ((number * PARTS + part) % 13);
    (0..length).map(|at| (at * (2 * part + 3) + number * 31 + at / 251) as u8).collect()
}

/// Does nothing but in a process that a test started: works through all parts, from a place of its own, as a stage does.
#[test]
fn the_writer() {
    let (Ok(folder), Ok(own)) = (std::env::var(FOLDER), std::env::var(NUMBER)) else { return };
    let (folder, own) = (Path::new(&folder), own.parse::<usize>().expect("a number"));
    let store = Store::open(&folder.join("store")).expect("the store");
    let tally = fs_err::OpenOptions::new().append(true).create(true).open(folder.join(format!("tally-{own}")));
    let mut tally = tally.expect("the tally");
    let everything = ARTIFACTS * PARTS;
    // Five starting places for 32 writers: several always want the same part.
    let first = own % 5 * everything / 5;
    for at in (0..everything).map(|at| (first + at) % everything) {
        let (number, part) = (at / PARTS, at % PARTS);
        let artifact = artifact(&store, number);
        if artifact.has_part(part).expect("a look") {
            let read = artifact.read_part(part).expect("reading").expect("a part that was there is still there");
            assert!(read == payload(number, part), "part {part} of {number} reads wrong");
            continue;
        }
        let lease = artifact.lease_part(part, &Cancel::new()).expect("a lease");
        if !artifact.has_part(part).expect("a second look") {
            writeln!(tally, "{number} {part}").expect("the tally");
            std::thread::sleep(Duration::from_millis(4));
            artifact.write_part(part, &payload(number, part)).expect("writing");
        }
        drop(lease);
        if artifact.parts().expect("listing").len() == PARTS && artifact.finished().expect("a look").is_none() {
            artifact.finish(PARTS, &BTreeMap::new()).expect("finishing");
        }
    }
}

fn start(folder: &Path, number: usize) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "the_writer", "--nocapture"])
        .env(FOLDER, folder)
        .env(NUMBER, number.to_string())
        .stdout(Stdio::null())
        .spawn()
        .expect("a child process")
}

fn stored(store: &Store) -> usize {
    (0..ARTIFACTS).map(|number| artifact(store, number).parts().expect("listing").len()).sum()
}

/// How often each part was computed, over all writers.
fn computed(folder: &Path) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for number in 0..WRITERS {
        // One that was killed at once has none.
        let text = fs_err::read_to_string(folder.join(format!("tally-{number}"))).unwrap_or_default();
        for line in text.lines() {
            *counts.entry(line.to_owned()).or_default() += 1;
        }
    }
    counts
}

#[test]
fn thirty_two_writers_of_overlapping_keys_lose_and_damage_nothing_though_some_are_killed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(&folder.path().join("store")).expect("the store");
    let mut writers: Vec<Child> = (0..WRITERS).map(|number| start(folder.path(), number)).collect();
    // Killed one after the other, each when so many more parts are there: spread over the whole work.
    let begun = Instant::now();
    let mut killed_at_work = 0;
    for (place, writer) in writers.iter_mut().step_by(WRITERS / KILLED).enumerate() {
        let parts = (place + 1) * ARTIFACTS * PARTS / (KILLED + 1);
        while stored(&store) < parts {
            assert!(begun.elapsed() < Duration::from_secs(300), "the writers stand still");
            std::thread::sleep(Duration::from_millis(1));
        }
        killed_at_work += usize::from(writer.try_wait().expect("the child's state").is_none());
        writer.kill().expect("killing a writer");
    }
    for (number, writer) in writers.iter_mut().enumerate() {
        let end = writer.wait().expect("the writer's end");
        assert!(end.success() || number % (WRITERS / KILLED) == 0, "writer {number}: {end}");
    }
    assert_eq!(killed_at_work, KILLED, "writers that were to be killed had ended before");

    // The end of a shared store is that of a store that one process filled.
    let store = Store::open(&folder.path().join("store")).expect("the store");
    for number in 0..ARTIFACTS {
        let artifact = artifact(&store, number);
        // A writer that was killed behind the last part may have been the one to note the end.
        if artifact.finished().expect("a look").is_none() {
            artifact.finish(PARTS, &BTreeMap::new()).expect("finishing");
        }
        assert_eq!(artifact.finished().expect("a look").map(|finished| finished.parts), Some(PARTS));
        for part in 0..PARTS {
            let read = artifact.read_part(part).expect("reading").expect("a part that was written");
            assert!(read == payload(number, part), "part {part} of {number} reads wrong");
        }
        assert!(matches!(artifact.finish(PARTS + 1, &BTreeMap::new()), Err(StoreError::MissingParts { .. })));
    }
    let surveyed = store.survey().expect("a survey");
    assert_eq!(surveyed.len(), ARTIFACTS);
    for stored in &surveyed {
        assert_eq!(stored.in_use, None, "a lease of the living is left");
        assert!(stored.verify(&|_| ()).expect("verifying").is_empty());
        // A killed writer's lease on a part that it had written is nobody's: it goes with the next collection.
        store.remove_dead_leases(stored).expect("removing dead leases");
        assert_eq!(fs_err::read_dir(&stored.folder).expect("the folder").count(), PARTS + 1, "something is left");
    }
    assert_eq!(fs_err::read_dir(store.root().join(".tmp")).expect("the folder").count(), 0);

    // Each part was computed; twice at most those that a killed writer had begun.
    let computed = computed(folder.path());
    assert_eq!(computed.len(), ARTIFACTS * PARTS);
    let all: usize = computed.values().sum();
    assert!(all <= ARTIFACTS * PARTS + KILLED, "{all} parts computed for {} and {KILLED} kills", ARTIFACTS * PARTS);
}
