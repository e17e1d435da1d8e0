//! What a store promises of its artifacts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use oodlab_base::{Cancel, Key};
use oodlab_store::{Artifact, Store, StoreError};

fn artifact(folder: &Path) -> Artifact {
    Store::open(folder).expect("a store").artifact("encode", &Key::of_bytes(b"key"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn note() -> BTreeMap<String, String> {
    BTreeMap::from([("images".to_owned(), "300".to_owned())])
}

#[test]
fn parts_come_back_and_lie_where_the_key_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let artifact = artifact(folder.path());
    assert_eq!(artifact.read_part(0).expect("reading"), None);
    assert_eq!(artifact.parts().expect("listing"), Vec::<usize>::new());
    for index in [0, 2, 100_000] {
        artifact.write_part(index, format!("part {index}").as_bytes()).expect("writing");
    }
    artifact.write_part(2, b"").expect("writing it anew");
    assert_eq!(artifact.parts().expect("listing"), [0, 2, 100_000]);
    assert_eq!(artifact.read_part(100_000).expect("reading").as_deref(), Some(&b"part 100000"[..]));
    assert_eq!(artifact.read_part(2).expect("reading").as_deref(), Some(&b""[..]));
    let hex = artifact.key().hex();
    let root = fs_err::canonicalize(folder.path()).expect("the root");
    assert_eq!(artifact.folder(), root.join("encode").join(&hex[..2]).join(&hex));
    assert_eq!(files(&root.join(".tmp")), Vec::<PathBuf>::new());
    artifact.remove_part(2).expect("removing");
    artifact.remove_part(2).expect("removing what is not there");
    assert_eq!(artifact.parts().expect("listing"), [0, 100_000]);
}

#[test]
fn names_of_stages_cannot_leave_the_store() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(folder.path()).expect("a store");
    for stage in ["../../outside", "/etc", "..", ".", "", ".tmp", "a\0b"] {
        let artifact = store.artifact(stage, &Key::of_bytes(b"key"));
        let below = artifact.folder().strip_prefix(store.root()).expect("a folder below the root").to_owned();
        assert_eq!(below.components().count(), 3, "{stage:?}: {}", below.display());
        assert!(!below.starts_with(".tmp"));
        artifact.write_part(0, b"x").expect("writing");
    }
}

#[test]
fn a_damaged_part_is_absent_and_unfinishes_the_artifact() {
    for damage in ["cut", "flip", "empty", "longer"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let artifact = artifact(folder.path());
        artifact.write_part(0, &[7; 1000]).expect("writing");
        artifact.write_part(1, &[8; 1000]).expect("writing");
        artifact.finish(2, &note()).expect("finishing");
        let path = artifact.folder().join("part-00001");
        let mut bytes = fs_err::read(&path).expect("the part");
        match damage {
            "cut" => bytes.truncate(500),
            "flip" => bytes[123] ^= 4,
            "empty" => bytes.clear(),
            _ => bytes.push(0),
        }
        fs_err::write(&path, &bytes).expect("damaging the part");
        assert_eq!(artifact.read_part(1).expect("reading"), None, "{damage}");
        assert_eq!(artifact.finished().expect("asking"), None, "{damage}");
        assert_eq!(artifact.parts().expect("listing"), [0], "{damage}");
        assert!(artifact.read_part(0).expect("reading").is_some());
        artifact.write_part(1, &[8; 1000]).expect("writing it again");
        artifact.finish(2, &note()).expect("finishing again");
        assert!(artifact.finished().expect("asking").is_some());
    }
}

#[test]
fn finished_means_all_parts_as_they_were() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let artifact = artifact(folder.path());
    assert_eq!(artifact.finished().expect("asking"), None);
    artifact.write_part(1, b"one").expect("writing");
    let error = artifact.finish(3, &note()).expect_err("two parts are missing");
    assert!(matches!(&error, StoreError::MissingParts { missing, parts: 3, .. } if missing == &[0, 2]), "{error}");
    assert_eq!(artifact.finished().expect("asking"), None, "a refused finish left a note");
    artifact.write_part(0, b"zero").expect("writing");
    artifact.finish(2, &note()).expect("finishing");
    let finished = artifact.finished().expect("asking").expect("finished");
    assert_eq!((finished.parts, finished.note), (2, note()));

    let done = artifact.folder().join("done.json");
    let sound = fs_err::read(&done).expect("the note");
    // Removed, of another artifact, cut off, or over other parts: not finished, never an error.
    artifact.remove_part(0).expect("removing");
    assert_eq!(artifact.finished().expect("asking"), None);
    assert!(!done.exists(), "a note that does not fit stays");
    artifact.write_part(0, b"other").expect("writing");
    fs_err::write(&done, &sound).expect("the note of before");
    assert_eq!(artifact.finished().expect("asking"), None);
    artifact.write_part(0, b"zero").expect("writing");
    fs_err::write(&done, &sound[..sound.len() / 2]).expect("half a note");
    assert_eq!(artifact.finished().expect("asking"), None);
    let foreign = Store::open(folder.path()).expect("a store").artifact("encode", &Key::of_bytes(b"another"));
    foreign.write_part(0, b"zero").expect("writing");
    foreign.write_part(1, b"one").expect("writing");
    fs_err::write(foreign.folder().join("done.json"), &sound).expect("a note of another artifact");
    assert_eq!(foreign.finished().expect("asking"), None);
    fs_err::write(&done, &sound).expect("the note of before");
    assert!(artifact.finished().expect("asking").is_some());
}

#[test]
fn equal_writers_and_readers_at_once_see_only_whole_parts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let artifact = artifact(folder.path());
    let payload = |index: usize| vec![u8::try_from(index).expect("small") + 1; 20_000 + index];
    let written = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !written.load(Ordering::SeqCst) {
                for index in 0..4 {
                    if let Some(bytes) = artifact.read_part(index).expect("reading") {
                        assert_eq!(bytes, payload(index));
                        seen += 1;
                    }
                }
            }
            seen
        });
        let writers: Vec<_> = (0..32)
            .map(|writer| {
                let (artifact, payload) = (&artifact, &payload);
                scope.spawn(move || {
                    for step in 0..8 {
                        let index = (writer + step) % 4;
                        artifact.write_part(index, &payload(index)).expect("writing");
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().expect("a writer");
        }
        written.store(true, Ordering::SeqCst);
        assert!(reader.join().expect("the reader") > 0);
    });
    artifact.finish(4, &note()).expect("finishing");
    assert_eq!(files(&folder.path().join(".tmp")), Vec::<PathBuf>::new());
    assert_eq!(files(artifact.folder()).len(), 5);
}

#[test]
fn opening_removes_what_dead_writers_left_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path();
    let part = artifact(root);
    part.write_part(0, b"kept").expect("writing");
    // Files of machines whose processes cannot be asked after; those of this machine are in `processes.rs`.
    let (young, old) = (root.join(".tmp/elsewhere-1-1-aa"), root.join(".tmp/elsewhere-1-1-bb"));
    for path in [&young, &old] {
        fs_err::write(path, b"half").expect("a leftover");
    }
    let month_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(30 * 24 * 3600);
    let file = fs_err::OpenOptions::new().write(true).open(&old).expect("a leftover");
    file.file().set_modified(month_ago).expect("an old time stamp");
    let again = artifact(root);
    assert!(young.exists() && !old.exists());
    assert_eq!(again.read_part(0).expect("reading").as_deref(), Some(&b"kept"[..]));
}

#[test]
fn a_folder_that_cannot_be_written_is_one_clear_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    fs_err::write(&file, b"").expect("a file");
    let mut refused = vec![file.join("store"), file];
    // The kernel's own tree takes no folders, not even from the superuser, who may write to read-only folders.
    if cfg!(target_os = "linux") {
        refused.push(PathBuf::from("/sys/oodlab-store"));
    }
    for root in refused {
        let error = Store::open(&root).expect_err("it cannot be a store");
        assert!(matches!(&error, StoreError::NotWritable { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains(&root.display().to_string()) && message.contains("--store"), "{message}");
    }
}

#[test]
fn a_store_that_disappears_is_said_to_and_not_made_anew() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("store");
    let artifact = artifact(&root);
    artifact.write_part(0, b"zero").expect("writing");
    let lease = artifact.lease(&Cancel::new()).expect("a lease");
    fs_err::remove_dir_all(&root).expect("removing the store");
    let error = artifact.write_part(1, b"one").expect_err("the store is gone");
    assert!(matches!(&error, StoreError::Gone { .. }), "{error}");
    let error = artifact.lease(&Cancel::new()).expect_err("the store is gone");
    assert!(matches!(&error, StoreError::Gone { .. }), "{error}");
    assert_eq!(artifact.read_part(0).expect("reading"), None);
    assert_eq!(artifact.finished().expect("asking"), None);
    drop(lease);
    assert!(!root.exists());
    // Only the folder for unfinished files is gone: it is made again.
    let artifact = self::artifact(&root);
    fs_err::remove_dir(root.join(".tmp")).expect("removing the folder");
    artifact.write_part(1, b"one").expect("writing");
}
