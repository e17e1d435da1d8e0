//! Imported features in a store.

use super::*;
use crate::Labels;

fn table(rows: usize) -> FeatureTable {
    let ids = (0..rows).map(|row| format!("image {row}")).collect();
    let values = (0..rows * 3).map(|at| (at as f32).sin()).collect();
    let features = Features::new(Layer::consecutive([("a", 1), ("b", 2)]), ids, values).expect("valid");
    let logits = Logits { classes: 2, values: (0..rows * 2).map(|at| (at as f32).cos()).collect() };
    FeatureTable::new(features.with_logits(logits).expect("fits"), Some(Labels(vec![1; rows]))).expect("valid")
}

fn place(set: &str, split: &str, protocol: &str) -> Place {
    let [encoder, set, split, protocol] = ["mine", set, split, protocol].map(str::to_owned);
    Place { encoder, set, split, protocol }
}

#[test]
fn rows_are_read_alone_and_the_whole_is_verified() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = FeatureLibrary::open(folder.path());
    let stored = library.store(&place("x", "test", "native"), table(1000), "x.npz", "00").expect("stores");
    assert_eq!(library.find(&stored.place).expect("readable"), Some(stored.clone()));
    let ids = stored.ids().expect("readable");
    stored.verify(&ids).expect("as it was stored");
    assert_eq!(stored.rows(&ids, 990..1000).expect("readable"), table(1000).features().slice(990..1000));
    assert!(stored.rows(&ids, 990..1001).is_err());
    let read = stored.read().expect("readable");
    assert_eq!((read.labels(), read.content()), (table(1000).labels(), table(1000).content()));
    let mut bytes = std::fs::read(&stored.path).expect("readable");
    let at = bytes.iter().position(|&byte| byte == b'}').expect("a header") + 9000;
    bytes[at] ^= 1;
    std::fs::write(&stored.path, bytes).expect("writes");
    for told in [stored.verify(&ids), stored.read().map(|_| ())] {
        assert!(told.expect_err("altered").to_string().contains("import it again"));
    }
}

#[test]
fn features_imported_meanwhile_are_not_taken_for_those_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = FeatureLibrary::open(folder.path());
    let before = library.store(&place("x", "test", "native"), table(9), "x.npz", "00").expect("stores");
    let ids = before.ids().expect("readable");
    // As many rows under the same names.
    let layers = before.layers.clone();
    let other = Features::new(layers, ids.clone(), vec![0.5; 27]).expect("valid");
    let other = FeatureTable::new(other, None).expect("valid");
    let after = library.store(&before.place, other.clone(), "y.npz", "00").expect("takes its place");
    let told = |result: Result<(), FeatureError>| result.expect_err("another file").to_string();
    for told in [
        told(before.ids().map(|_| ())),
        told(before.rows(&ids, 0..9).map(|_| ())),
        told(before.verify(&ids)),
        told(before.read().map(|_| ())),
    ] {
        assert!(told.contains("x-test.safetensors") && told.contains(&after.content), "{told}");
    }
    assert_eq!(after.rows(&ids, 0..9).expect("readable").values(), other.features().values());
}

/// As the JSON of the layers stands in the header, whose text it is.
fn quoted(text: &str) -> String {
    text.replace('"', r#"\""#)
}

#[test]
fn headers_that_lie_are_listed_as_damaged() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = FeatureLibrary::open(folder.path());
    let stored = library.store(&place("x", "test", "native"), table(4), "x.npz", "00").expect("stores");
    let sound = std::fs::read(&stored.path).expect("readable");
    for (from, to, part) in [
        (quoted(r#""start":0,"end":1"#), quoted(r#""start":1,"end":0"#), "spans columns 1..0"),
        (quoted(r#""start":1,"end":3"#), quoted(r#""start":2,"end":3"#), "spans columns 2..3"),
        (quoted(r#""start":1,"end":3"#), quoted(r#""start":1,"end":9"#), "cover 9 columns, its features have 3"),
        (r#""shape":[4,2]"#.into(), r#""shape":[2,4]"#.into(), "its logits have shape [2, 4]"),
    ] {
        let at = sound.windows(from.len()).position(|piece| piece == from.as_bytes()).expect(part);
        let mut lying = sound.clone();
        lying[at..at + to.len()].copy_from_slice(to.as_bytes());
        std::fs::write(&stored.path, lying).expect("writes");
        let told = library.list().expect("listed").remove(0).expect_err(part).to_string();
        assert!(told.contains(part), "{told}");
        assert!(library.find(&stored.place).is_err(), "{part}");
    }
}

#[test]
fn names_that_leave_the_folder_and_files_of_one_name_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = FeatureLibrary::open(folder.path());
    for wrong in ["..", "a/b", "", ".a", "a\\b", &"a".repeat(81)] {
        assert!(library.store(&place(wrong, "test", "native"), table(2), "x", "00").is_err(), "{wrong}");
        assert!(library.find(&place("x", wrong, "native")).is_err(), "{wrong}");
    }
    library.store(&place("a-b", "c", "native"), table(2), "x", "00").expect("stores");
    let told = library.store(&place("a", "b-c", "native"), table(2), "x", "00").expect_err("the same file");
    assert!(told.to_string().contains("a-b c"), "{told}");
    assert_eq!(library.find(&place("a", "b-c", "native")).expect("readable"), None);
    library.store(&place("a-b", "c", "native"), table(3), "y", "00").expect("takes its own place");
    assert_eq!(library.list().expect("readable").len(), 1);
}
