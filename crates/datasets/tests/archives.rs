//! Archives that mean no good, and good ones: see `hostile/make.py`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use oodlab_base::{Cancel, Progress, Silent, Task};
use oodlab_datasets::archive::{Bounds, Unpacked, fuzz, unpack};
use oodlab_datasets::{DatasetError, archive};

/// A folder to unpack into, with a file beside it that must stay as it is.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("outside.txt"), b"mine").expect("writable");
        Place(folder)
    }

    fn target(&self) -> PathBuf {
        self.0.path().join("into")
    }

    fn put(&self, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join("archive");
        std::fs::write(&path, bytes).expect("writable");
        path
    }

    fn unpack(&self, archive: &Path, name: &str, bounds: &Bounds) -> Result<Unpacked, DatasetError> {
        let result = unpack(archive, name, &self.target(), bounds, &Silent, &Cancel::new());
        assert_eq!(std::fs::read(self.0.path().join("outside.txt")).expect("still there"), b"mine");
        let beside = std::fs::read_dir(self.0.path()).expect("readable").count();
        assert!(beside <= 3, "{name} wrote beside its folder");
        assert_eq!(self.target().exists(), result.is_ok(), "{name}: a failure leaves nothing");
        result
    }

    fn refused(&self, archive: &Path, name: &str) -> String {
        self.unpack(archive, name, &Bounds::default()).expect_err(name).to_string()
    }

    /// What was unpacked, by path.
    fn content(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        list(&self.target(), &self.target(), &mut found);
        found
    }
}

fn list(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("an entry").path();
        let kind = path.symlink_metadata().expect("there").file_type();
        if kind.is_dir() {
            list(root, &path, found);
        } else {
            assert!(kind.is_file(), "{} is neither file nor folder", path.display());
            let name = path.strip_prefix(root).expect("below").to_string_lossy().into_owned();
            found.insert(name, std::fs::read(&path).expect("readable"));
        }
    }
}

fn hostile(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile").join(name)
}

#[test]
fn hostile_archives_are_refused_by_name_and_leave_nothing() {
    for (name, part) in [
        ("parent.tgz", "\"../outside.txt\" leaves"),
        ("parent-deep.tgz", "leaves"),
        ("absolute.tgz", "\"/outside.txt\" is an absolute path"),
        ("drive.tgz", "absolute"),
        ("drive-stroke.tgz", "absolute"),
        ("link-out.tgz", "\"a\" is a link to \"../outside\", outside"),
        ("link-absolute.tgz", "link to \"/etc/passwd\", outside"),
        ("through-link.tgz", "two entries are named \"a\""),
        ("through-link-out.tgz", "\"a\" is a link to \"..\", outside"),
        ("over-link.tgz", "two entries are named \"a\""),
        ("hard-out.tgz", "outside"),
        ("hard-absolute.tgz", "outside"),
        ("hard-missing.tgz", "\"later.txt\", which is no file"),
        ("fifo.tgz", "\"a\" is a device or a pipe"),
        ("device.tgz", "device"),
        ("twice.tgz", "two entries are named \"first.txt\""),
        ("file-and-folder.tgz", "two entries"),
        ("folder-and-file.tgz", "two entries"),
        ("bomb.tgz", "\"zeros\": unpacks to more than the 16777216 bytes"),
        ("sparse-name.tgz", "too long"),
        ("parent.zip", "leaves"),
        ("absolute.zip", "absolute"),
        ("drive.zip", "absolute"),
        ("link-out.zip", "outside"),
        ("through-link.zip", "outside"),
        ("fifo.zip", "device"),
        ("file-and-folder.zip", "two entries"),
        ("bomb.zip", "more than the 16777216 bytes"),
        ("twice.zip", "same name"),
    ] {
        let place = Place::new();
        let message = place.refused(&hostile(name), name);
        assert!(message.contains(part) && message.contains(name), "{name}: {message}");
    }
}

#[test]
fn good_archives_are_unpacked_without_links_and_permissions() {
    let long = ["a-folder-with-a-long-name"; 8].join("/") + "/file.txt";
    for name in ["good.tgz", "good-pax.tgz", "good.zip"] {
        let place = Place::new();
        let done = place.unpack(&hostile(name), name, &Bounds::default()).expect(name);
        let content = place.content();
        assert_eq!(content["top/plain.txt"], b"content", "{name}");
        assert_eq!(content["top/Plain.txt"], b"other case", "{name}");
        assert_eq!(content["top/empty.txt"], b"", "{name}");
        if name.ends_with(".zip") {
            assert_eq!(content["top/link.txt"], b"content");
        } else {
            let deep = [&long, "top/link.txt", "top/chain.txt"].map(|path| content[path].as_slice());
            assert_eq!(deep, [b"deep"; 3], "links are copies");
            assert_eq!(content["top/hard.txt"], b"content");
            assert_eq!(content["top/inner.tar"], b"not entered");
        }
        assert_eq!(done.files, content.len() as u64);
        assert_eq!(done.bytes, content.values().map(|bytes| bytes.len() as u64).sum::<u64>());
        let notes = done.notes.join("; ");
        assert!(
            notes.contains("nowhere -> top/nothing") && notes.contains("differ from others only in case"),
            "{notes}"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let mode = std::fs::metadata(place.target().join("top/setuid.txt")).expect("there").mode();
            assert_eq!(mode & 0o7111, 0, "{name}: no setuid bit, not to be run: {mode:o}");
        }
    }
    let place = Place::new();
    assert_eq!(place.unpack(&hostile("stored.zip"), "x.zip", &Bounds::default()).map(|done| done.files).ok(), Some(1));
    let again = unpack(&hostile("stored.zip"), "x.zip", &place.target(), &Bounds::default(), &Silent, &Cancel::new());
    assert!(again.expect_err("not empty").to_string().contains("empty folder"));
}

#[test]
fn bounds_hold_for_entries_bytes_and_ratio() {
    let place = Place::new();
    let bounds = |entries, bytes, ratio| Bounds { entries, bytes, ratio };
    for name in ["good.tgz", "good.zip"] {
        for (bounds, part) in [(bounds(3, 1 << 20, 200), "entries"), (bounds(100, 20, 200), "20 bytes")] {
            let message = place.unpack(&hostile(name), name, &bounds).expect_err("too much").to_string();
            assert!(message.contains(part), "{name}: {message}");
        }
    }
    // What a generous ratio allows is unpacked.
    let done = place.unpack(&hostile("bomb.tgz"), "bomb.tgz", &bounds(100, 1 << 30, 2000)).expect("allowed");
    assert_eq!(done.bytes, (40 << 20) + 7);
}

#[test]
fn damage_is_found_wherever_it_is() {
    let zip = std::fs::read(hostile("stored.zip")).expect("a fixture");
    let at = zip.windows(7).position(|seven| seven == b"content").expect("stored as it is");
    let mut wrong = zip.clone();
    wrong[at] ^= 1;
    let place = Place::new();
    let message = place.refused(&place.put(&wrong), "x.zip");
    assert!(message.contains("plain.txt") && message.to_lowercase().contains("checksum"), "{message}");
    for (fixture, name) in [("good.tgz", "x.tgz"), ("good.zip", "x.zip"), ("good.tar", "x.tar")] {
        let bytes = if fixture == "good.tar" {
            let packed = std::fs::read(hostile("good.tgz")).expect("a fixture");
            oodlab_datasets::decode::gzip::unpack(&packed, 1 << 20).expect("packed well")
        } else {
            std::fs::read(hostile(fixture)).expect("a fixture")
        };
        let place = Place::new();
        assert!(place.unpack(&place.put(&bytes), name, &Bounds::default()).is_ok(), "{name}");
        let step = (bytes.len() / 60).max(1);
        // The two closing blocks and what fills a tar file up may be cut: the first zero block ends it.
        let end =
            if fixture == "good.tar" { bytes.iter().rposition(|&byte| byte != 0).unwrap_or(0) } else { bytes.len() };
        for length in (0..end).step_by(step) {
            let place = Place::new();
            place.refused(&place.put(&bytes[..length]), name);
        }
    }
    let place = Place::new();
    assert!(place.refused(&place.put(b"<!DOCTYPE html>"), "x.zip").contains("zip"));
    assert!(place.refused(&place.put(&[b'x'; 600]), "x.tar").contains("not a tar file"));
    assert!(
        unpack(&hostile("good.zip"), "x.rar", &place.target(), &Bounds::default(), &Silent, &Cancel::new()).is_err()
    );
}

#[test]
fn claimed_entries_are_not_believed() {
    // An end record that claims ten million entries, in 100 kB; then the same in the record for large archives.
    let end = |count: u16| {
        let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
        end.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
        end.extend([0; 10]);
        end
    };
    let mut small = vec![0; 100_000];
    small.extend(end(50_000));
    let mut large = vec![0; 100_000];
    let mut record = b"PK\x06\x06".to_vec();
    record.extend(44u64.to_le_bytes());
    record.extend([0; 12]);
    record.extend([10_000_000u64.to_le_bytes(), 10_000_000u64.to_le_bytes()].concat());
    record.extend([0; 16]);
    large.extend(&record);
    large.extend(b"PK\x06\x07\0\0\0\0");
    large.extend(100_000u64.to_le_bytes());
    large.extend([1, 0, 0, 0]);
    large.extend(end(u16::MAX));
    for (bytes, claimed) in [(small, "50000"), (large, "10000000")] {
        let place = Place::new();
        let message = place.refused(&place.put(&bytes), "x.zip");
        assert!(message.contains(&format!("claims {claimed} entries")), "{message}");
    }
}

/// Asks to stop after the first bytes.
struct Stopper(Cancel);

impl Progress for Stopper {
    fn task(&self, _: &str, unit: &'static str, _: u64, _: u64) -> Box<dyn Task> {
        assert_eq!(unit, "KiB");
        Box::new(Stopper(self.0.clone()))
    }
}

impl Task for Stopper {
    fn advance(&self, _: u64) {
        self.0.cancel();
    }
    fn remark(&self, _: &str) {}
}

#[test]
fn a_request_to_stop_leaves_nothing() {
    let place = Place::new();
    let cancel = Cancel::new();
    let bounds = Bounds { ratio: 10_000, ..Bounds::default() };
    let stopper = Stopper(cancel.clone());
    let result = unpack(&hostile("bomb.tgz"), "bomb.tgz", &place.target(), &bounds, &stopper, &cancel);
    assert!(matches!(result, Err(DatasetError::Cancelled(_))), "{result:?}");
    assert!(!place.target().exists());
}

#[test]
fn arbitrary_bytes_never_leave_the_folder() {
    let stream = oodlab_base::Seed(5).stream("hostile");
    let mut draw = 0;
    let mut below = |bound: usize| {
        draw += 1;
        stream.below(bound as u64, draw) as usize
    };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(hostile("")).expect("the fixtures").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    for path in files.iter().filter(|path| path.metadata().is_ok_and(|data| data.len() < 20_000)) {
        let bytes = std::fs::read(path).expect("a fixture");
        archive::fuzz(&bytes);
        // Packed data hides what is inside: mutated before it is packed again.
        let tar = oodlab_datasets::decode::gzip::unpack(&bytes, 1 << 20).unwrap_or_default();
        for source in [&bytes, &tar] {
            for _ in 0..6 {
                let mut changed = source.clone();
                if changed.is_empty() {
                    continue;
                }
                for _ in 0..1 + below(4) {
                    let at = below(changed.len());
                    changed[at] = below(256) as u8;
                }
                changed.truncate(changed.len() - below(changed.len().min(700)));
                fix_sums(&mut changed);
                fuzz(&changed);
            }
        }
    }
}

/// Makes the headers' checksums of a tar file right again, so that changed headers are looked at.
fn fix_sums(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}
