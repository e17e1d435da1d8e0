//! Looking through a store, checking it, and taking things out of it while others work.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use oodlab_base::{Cancel, Key};
use oodlab_store::{Artifact, Store, Stored};

fn finished(store: &Store, name: &str, parts: usize) -> Artifact {
    let artifact = store.artifact("encode", &Key::of_bytes(name.as_bytes()));
    for index in 0..parts {
        artifact.write_part(index, &vec![index as u8; 1000]).expect("writing");
    }
    artifact.finish(parts, &BTreeMap::from([("label".to_owned(), name.to_owned())])).expect("finishing");
    artifact
}

fn only(store: &Store) -> Stored {
    let mut all = store.survey().expect("a survey");
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn flip(path: &Path) {
    let mut bytes = fs_err::read(path).expect("a part");
    bytes[500] ^= 1;
    fs_err::write(path, bytes).expect("writable");
}

#[test]
fn a_survey_tells_what_lies_there_and_ignores_what_is_not_the_stores() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(folder.path()).expect("a store");
    let done = finished(&store, "done", 3);
    let begun = store.artifact("fit", &Key::of_bytes(b"begun"));
    begun.write_part(7, b"x").expect("writing");
    for foreign in ["photos/2024/summer", "encode/zz/holiday", "encode/ab/cd"] {
        fs_err::create_dir_all(folder.path().join(foreign)).expect("a folder");
        fs_err::write(folder.path().join(foreign).join("part-00000"), b"mine").expect("writable");
    }
    let all = store.survey().expect("a survey");
    let told: Vec<_> = all.iter().map(|s| (s.stage.as_str(), s.key.as_str(), s.parts.as_slice())).collect();
    let (first, second) = (done.key().hex(), begun.key().hex());
    assert_eq!(told, [("encode", first.as_str(), &[0, 1, 2][..]), ("fit", second.as_str(), &[7][..])]);
    assert_eq!(all[0].note.as_ref().and_then(|note| note.get("label")).map(String::as_str), Some("done"));
    assert!(all[0].size_bytes > 3000 && all[0].in_use.is_none() && all[1].note.is_none());
}

#[test]
fn damage_is_named_and_removed_so_that_it_is_computed_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(folder.path()).expect("a store");
    let artifact = finished(&store, "a", 3);
    assert_eq!(only(&store).verify(&|_| ()).expect("verifying"), []);
    let part = artifact.folder().join("part-00001");
    flip(&part);
    let stored = only(&store);
    let damages = stored.verify(&|_| ()).expect("verifying");
    assert_eq!(damages.len(), 2, "the part, and the note that names it: {damages:?}");
    assert!(damages[0].path == part && damages[0].reason.contains("checksum"), "{damages:?}");
    stored.remove(&damages).expect("removing");
    assert_eq!(artifact.parts().expect("listing"), [0, 2]);
    assert_eq!(artifact.finished().expect("a look"), None);
    assert_eq!(only(&store).verify(&|_| ()).expect("verifying"), [], "what is missing and not promised is no damage");
    // A part that the note promises and that is gone.
    artifact.write_part(1, b"again").expect("writing");
    artifact.finish(3, &BTreeMap::new()).expect("finishing");
    artifact.remove_part(2).expect("removing");
    let damages = only(&store).verify(&|_| ()).expect("verifying");
    assert!(matches!(damages.as_slice(), [one] if one.reason.contains("part 2")), "{damages:?}");
}

#[test]
fn deleting_spares_what_is_in_use_and_leaves_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(folder.path()).expect("a store");
    let artifact = finished(&store, "a", 2);
    for lease in [artifact.lease(&Cancel::new()), artifact.lease_part(5, &Cancel::new())] {
        let lease = lease.expect("a lease");
        let stored = only(&store);
        assert!(stored.in_use.is_some());
        let holding = store.delete(&stored).expect("a look").expect_err("it is in use");
        assert_eq!(holding.pid, std::process::id());
        // Begun after the survey: seen too.
        let earlier = Stored { in_use: None, ..stored };
        assert!(store.delete(&earlier).expect("a look").is_err());
        drop(lease);
    }
    let stored = only(&store);
    assert_eq!(store.delete(&stored).expect("deleting"), Ok(()));
    assert_eq!(store.delete(&stored).expect("deleting what is gone"), Ok(()));
    assert!(!artifact.folder().exists());
    assert!(store.survey().expect("a survey").is_empty());
    assert_eq!(fs_err::read_dir(folder.path().join(".tmp")).expect("a folder").count(), 0);
}

#[test]
fn what_a_killed_collector_left_goes_when_the_store_is_opened() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(folder.path()).expect("a store");
    let artifact = finished(&store, "a", 2);
    // As a collector of this machine that died between its two steps: its process number is free again.
    let mut child = std::process::Command::new("true").spawn().expect("a child");
    child.wait().expect("its end");
    let own = fs_err::read_dir(folder.path().join(".tmp")).expect("a folder").count();
    assert_eq!(own, 0);
    let table = tag_table(&store);
    let aside = folder.path().join(".tmp").join(format!("{table}-{}-1-x", child.id()));
    fs_err::rename(artifact.folder(), &aside).expect("moving");
    assert_eq!(store.leftovers(Duration::from_secs(3600)).expect("a look").len(), 1);
    let again = Store::open(folder.path()).expect("opened anew");
    assert!(!aside.exists());
    assert!(again.leftovers(Duration::ZERO).expect("a look").is_empty());
    // Of a machine that cannot be asked: by age.
    let foreign = folder.path().join(".tmp").join("0123456789abcdef-7-7-y");
    fs_err::write(&foreign, b"half").expect("writable");
    assert!(again.leftovers(Duration::from_secs(3600)).expect("a look").is_empty());
    std::thread::sleep(Duration::from_millis(50));
    let found = again.leftovers(Duration::ZERO).expect("a look");
    assert_eq!(found.len(), 1);
    again.delete_leftover(&found[0]).expect("deleting");
    assert!(!foreign.exists());
}

/// The first field of the names of this process's temporary files, read from the lease that it holds.
fn tag_table(store: &Store) -> String {
    let artifact = store.artifact("probe", &Key::of_bytes(b"probe"));
    let lease = artifact.lease(&Cancel::new()).expect("a lease");
    let text = fs_err::read_to_string(artifact.folder().join("lock")).expect("the lease's file");
    drop(lease);
    let (_, rest) = text.split_once("\"table\":\"").expect("a table");
    rest.split('"').next().expect("its text").to_owned()
}
