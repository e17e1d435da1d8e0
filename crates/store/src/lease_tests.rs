use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use fs_err as fs;
use oodlab_base::Key;

use super::*;
use crate::Store;
use crate::holder::{Process, mark};
use crate::place::{CLAIM, remove_dead};

/// A minute in a fraction of a second.
const FAST: Timing =
    Timing { beat: Duration::from_millis(20), silence: Duration::from_millis(400), poll: Duration::from_millis(5) };

fn artifact(folder: &Path) -> Artifact {
    Store::open(folder).expect("a store").artifact("stage", &Key::of_bytes(b"key"))
}

/// Writes a lease's file as another process would have.
fn place(artifact: &Artifact, process: Process) -> Holder {
    let holder = Holder { process, ..Holder::new() };
    fs::create_dir_all(&artifact.folder).expect("the artifact's folder");
    fs::write(artifact.folder.join(LOCK), holder.encode()).expect("a lease's file");
    holder
}

/// A process that this machine knows to be dead: of this number, but begun at another time.
fn dead() -> Process {
    let this = Process::this();
    Process { started: this.started + 1, ..this.clone() }
}

fn elsewhere() -> Process {
    Process { host: "elsewhere".to_owned(), table: "another".to_owned(), pid: 1, started: 1 }
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn threads_hold_it_one_after_the_other_and_leave_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let artifact = artifact(folder.path());
    let (inside, count) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let lease = artifact.lease_with(LOCK, &Cancel::new(), FAST).expect("a lease");
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
                    count.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_micros(200));
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(lease);
                }
            });
        }
    });
    assert_eq!(count.into_inner(), 80);
    assert_eq!(files(&artifact.folder), Vec::<String>::new());
    assert_eq!(files(&folder.path().join(".tmp")), Vec::<String>::new());
}

#[test]
fn of_many_that_find_a_dead_holder_one_at_a_time_gets_in() {
    if Process::this().table.is_empty() {
        return; // This system does not tell which processes live; the test of silence covers it.
    }
    for round in 0..20 {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let artifact = artifact(folder.path());
        let holder = place(&artifact, dead());
        if round % 2 == 1 {
            // One that died while it took over, after it had the claim.
            let claim = Holder { process: dead(), ..Holder::new() };
            let path = artifact.folder.join(format!("{CLAIM}{}", holder.token));
            fs::write(path, claim.encode()).expect("a claim's file");
        }
        let (inside, count) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let lease = artifact.lease_with(LOCK, &Cancel::new(), FAST).expect("a lease");
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
                    count.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_micros(500));
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(lease);
                });
            }
        });
        assert_eq!(count.into_inner(), 16);
        assert_eq!(files(&artifact.folder), Vec::<String>::new());
    }
}

#[test]
fn a_silent_holder_elsewhere_is_taken_over_and_one_that_beats_is_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let artifact = artifact(folder.path());
    let mut holder = place(&artifact, elsewhere());
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| artifact.lease_with(LOCK, &Cancel::new(), FAST).expect("a lease"));
        // Beats three times as long as a silent one would have been left in peace.
        for count in 0..60 {
            holder.beat = Holder::beat(count);
            let aside = artifact.folder.join("beat");
            fs::write(&aside, holder.encode()).expect("a beat");
            fs::rename(&aside, artifact.folder.join(LOCK)).expect("a beat");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(!waiter.is_finished(), "a living holder was robbed");
        let last = Instant::now();
        let lease = waiter.join().expect("the waiter");
        assert!(last.elapsed() >= FAST.silence / 2, "taken over after {:?}", last.elapsed());
        drop(lease);
    });
    assert!(begun.elapsed() >= Duration::from_millis(1200));
}

#[test]
fn an_unreadable_file_is_taken_over_after_the_silence() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let artifact = artifact(folder.path());
    for content in [&b""[..], b"not json", b"{\"token\": \"../..\"}"] {
        fs::create_dir_all(&artifact.folder).expect("the artifact's folder");
        fs::write(artifact.folder.join(LOCK), content).expect("a lease's file");
        let begun = Instant::now();
        drop(artifact.lease_with(LOCK, &Cancel::new(), FAST).expect("a lease"));
        assert!(begun.elapsed() >= FAST.silence);
        assert_eq!(files(&artifact.folder), Vec::<String>::new());
    }
}

#[test]
fn waiting_can_be_cancelled_and_the_holder_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let artifact = artifact(folder.path());
    let _lease = artifact.lease(&Cancel::new()).expect("a lease");
    let holding = artifact.try_lease().expect("a look at the lease").expect_err("it is held");
    assert_eq!(holding.pid, std::process::id());
    let cancel = Cancel::new();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| artifact.lease(&cancel));
        std::thread::sleep(Duration::from_millis(50));
        cancel.cancel();
        assert!(matches!(waiter.join().expect("the waiter"), Err(StoreError::Cancelled(_))));
    });
}

#[test]
fn a_robbed_holder_notices_and_leaves_its_successor_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let artifact = artifact(folder.path());
    let lease = artifact.lease_with(LOCK, &Cancel::new(), FAST).expect("a lease");
    assert!(!lease.is_lost());
    // As a taker elsewhere does when this process was suspended for a minute.
    let successor = Holder { process: elsewhere(), ..Holder::new() };
    let aside = artifact.folder.join("aside");
    fs::write(&aside, successor.encode()).expect("the successor's file");
    fs::rename(&aside, artifact.folder.join(LOCK)).expect("the successor's file");
    let begun = Instant::now();
    while !lease.is_lost() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(lease.is_lost());
    drop(lease);
    let bytes = fs::read(artifact.folder.join(LOCK)).expect("the successor's file");
    assert_eq!(Holder::decode(&bytes), Some(successor));
}

#[test]
fn a_holder_gives_signs_of_life() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let artifact = artifact(folder.path());
    let lease = artifact.lease_with(LOCK, &Cancel::new(), FAST).expect("a lease");
    let first = fs::read(artifact.folder.join(LOCK)).expect("the lease's file");
    let begun = Instant::now();
    let mut later = first.clone();
    while later == first && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
        later = fs::read(artifact.folder.join(LOCK)).expect("the lease's file");
    }
    assert_ne!(later, first);
    assert_eq!(mark(&later), mark(&first));
    drop(lease);
}

#[test]
fn leases_on_parts_stand_beside_one_another() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let artifact = artifact(folder.path());
    let first = artifact.try_lease_part(0).expect("a look").expect("it is free");
    let second = artifact.lease_part(1, &Cancel::new()).expect("another part");
    let holding = artifact.try_lease_part(0).expect("a look").expect_err("it is held");
    assert_eq!(holding.pid, std::process::id());
    drop(first);
    drop(artifact.try_lease_part(0).expect("a look").expect("it is free again"));
    drop(second);
    assert_eq!(files(&artifact.folder), Vec::<String>::new());
}

#[test]
fn the_lease_of_a_dead_holder_is_removed_and_that_of_a_successor_stays() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let artifact = artifact(folder.path());
    place(&artifact, dead());
    let path = artifact.folder.join(LOCK);
    let dead = fs::read(&path).expect("the dead holder's file");
    assert!(remove_dead(&artifact.root, &path, &dead).expect("removable"));
    assert_eq!(files(&artifact.folder), Vec::<String>::new());
    let lease = artifact.lease(&Cancel::new()).expect("a lease");
    assert!(!remove_dead(&artifact.root, &path, &dead).expect("a look"));
    assert!(path.exists());
    drop(lease);
}

/// The only artifact of a store that has a dead lease, as a survey finds it.
fn surveyed(store: &Store) -> crate::Stored {
    let mut all = store.survey().expect("a survey");
    assert!(all.len() == 1 && all[0].in_use.is_none() && all[0].dead_leases.len() == 1, "{all:?}");
    all.remove(0)
}

#[test]
fn what_stands_in_a_dead_holders_place_since_the_survey_is_spared() {
    if Process::this().table.is_empty() {
        return; // This system does not tell which processes live.
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(folder.path()).expect("a store");
    let artifact = store.artifact("stage", &Key::of_bytes(b"key"));
    artifact.write_part(0, b"a part").expect("writing");
    let path = artifact.folder.join(LOCK);
    let spared = |stored: &crate::Stored, holder: &Holder| {
        assert!(store.delete(stored).expect("a look").is_err());
        assert_eq!(store.remove_dead_leases(stored).expect("a look"), 0);
        assert_eq!(Holder::decode(&fs::read(&path).expect("still there")), Some(holder.clone()));
        assert_eq!(artifact.parts().expect("listing"), [0]);
    };
    place(&artifact, dead());
    let stored = surveyed(&store);
    spared(&stored, &place(&artifact, elsewhere()));
    // Silent for hours when it was looked at; then it goes on (a machine that slept).
    let silent = fs::OpenOptions::new().write(true).open(&path).expect("the lease's file");
    let hours_ago = std::time::SystemTime::now() - Duration::from_secs(3 * 3600);
    silent.file().set_modified(hours_ago).expect("its own file");
    let stored = surveyed(&store);
    let holder = Holder::decode(&stored.dead_leases[0].bytes).expect("a holder");
    let awake = Holder { beat: Holder::beat(1), ..holder };
    fs::write(&path, awake.encode()).expect("a beat");
    spared(&stored, &awake);
    // And where nothing changed, it goes.
    silent.file().set_modified(hours_ago).expect("its own file");
    assert_eq!(store.delete(&surveyed(&store)).expect("deleting"), Ok(()));
    assert!(!artifact.folder.exists());
}

#[test]
fn a_dead_claim_is_removed_and_that_of_a_successor_stays() {
    if Process::this().table.is_empty() {
        return; // This system does not tell which processes live.
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(folder.path()).expect("a store");
    let artifact = store.artifact("stage", &Key::of_bytes(b"key"));
    fs::create_dir_all(&artifact.folder).expect("the artifact's folder");
    let path = artifact.folder.join(format!("{CLAIM}{}", Holder::new().token));
    let claim = |process| fs::write(&path, Holder { process, ..Holder::new() }.encode()).expect("a claim's file");
    claim(dead());
    let stored = surveyed(&store);
    for successor in [Process::this().clone(), elsewhere()] {
        claim(successor);
        assert_eq!(store.remove_dead_leases(&stored).expect("a look"), 0);
        assert!(path.exists());
    }
    claim(dead());
    assert_eq!(store.remove_dead_leases(&surveyed(&store)).expect("removing"), 1);
    assert_eq!(files(&artifact.folder), Vec::<String>::new());
    // The first lease of a process on a part takes dead claims away too, and leaves others alone.
    claim(dead());
    drop(artifact.try_lease_part(0).expect("a look").expect("it is free"));
    assert_eq!(files(&artifact.folder), Vec::<String>::new());
    let store = Store::open(folder.path()).expect("a store opened anew");
    claim(elsewhere());
    let again = store.artifact("stage", &Key::of_bytes(b"key"));
    drop(again.try_lease_part(0).expect("a look").expect("it is free"));
    assert!(path.exists());
}
