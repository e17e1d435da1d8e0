use super::*;

fn fixture(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/arrays").join(name);
    std::fs::read(path).expect("a fixture")
}

fn refused(bytes: Vec<u8>) -> String {
    match read(&Blob::memory(bytes), &["pictures", "labels"]) {
        Ok(arrays) => panic!("read {arrays:?}"),
        Err(what) => what,
    }
}

#[test]
fn values_of_every_type_are_read_in_both_byte_orders() {
    let kinds: [(u32, &[u8], f64); 10] = [
        (1, &[0xfe], -2.0),
        (2, &[0xfe], 254.0),
        (3, &[0x01, 0x80], -32767.0),
        (4, &[0x01, 0x80], 32769.0),
        (5, &[1, 0, 0, 0x80], -2_147_483_647.0),
        (6, &[1, 0, 0, 0x80], 2_147_483_649.0),
        (7, &[0, 0, 0x20, 0x41], 10.0),
        (9, &[0, 0, 0, 0, 0, 0, 0x24, 0x40], 10.0),
        (12, &[0xff; 8], -1.0),
        (13, &[1, 0, 0, 0, 0, 0, 0, 0x80], 9_223_372_036_854_775_808.0),
    ];
    for (number, little, expected) in kinds {
        let kind =
            Tag::read(&mut [number.to_le_bytes(), [0; 4]].concat().as_slice(), ByteOrder::Little).expect("a tag").kind;
        assert_eq!(kind.size(), little.len() as u64);
        let big: Vec<u8> = little.iter().rev().copied().collect();
        assert_eq!((kind.value(little, ByteOrder::Little), kind.value(&big, ByteOrder::Big)), (expected, expected));
    }
}

#[test]
fn every_cut_is_seen() {
    for name in ["oblong.mat", "oblong_big.mat", "oblong_small.mat"] {
        let whole = fixture(name);
        let both = |bytes: &[u8]| {
            let arrays = read(&Blob::memory(bytes.to_vec()), &["pictures", "labels"]);
            arrays.is_ok_and(|arrays| arrays.iter().all(Option::is_some))
        };
        assert!(both(&whole));
        let shortest = (0..whole.len()).find(|&length| both(&whole[..length]));
        // Padding behind the last value may be missing, and nothing else.
        assert!(shortest.is_none_or(|shortest| whole.len() - shortest < 8), "{name}: {shortest:?} of {}", whole.len());
    }
}

#[test]
fn damage_behind_a_packed_header_is_seen() {
    let whole = fixture("svhn_packed.mat");
    for at in [2000, 5000, 9000] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        assert!(read(&Blob::memory(damaged), &["X", "y"]).is_err(), "byte {at}");
    }
}

#[test]
fn lying_headers_allocate_nothing() {
    let whole = fixture("oblong_big.mat");
    // The dimensions of the first array: 128 of the header, its tag, the flags' element, a tag.
    let dimensions = 128 + 8 + 16 + 8;
    assert_eq!(whole[dimensions..dimensions + 8], [0, 0, 0, 5, 0, 0, 0, 4]);
    for (offset, bytes, what) in [
        (dimensions, [0x7f, 0xff, 0xff, 0xff], "an array of shape [2147483647, 4, 3, 3]"),
        (dimensions, [0xff; 4], "negative"),
        (dimensions, [0, 0, 0, 6], "an array of shape [6, 4, 3, 3] with 180 bytes"),
        (128 + 4, [0x7f, 0, 0, 0], "cut off"),
        (128 + 8 + 8, [0, 0, 8, 9], "complex"),
        (128 + 8 + 8, [0, 0, 0, 4], "of class 4, expected numbers"),
        (124, [2, 0, b'M', b'I'], "version 0x0200"),
        (124, [1, 0, b'M', b'X'], "not a MAT-file"),
    ] {
        let mut lying = whole.clone();
        lying[offset..offset + 4].copy_from_slice(&bytes);
        let found = refused(lying);
        assert!(found.contains(what), "{found}");
    }
    let twice = [whole.as_slice(), &whole[128..]].concat();
    assert!(refused(twice).contains("a second array \"pictures\""));
    assert!(refused(fixture("v73.mat")).contains("-v7"));
    assert!(refused(b"short".to_vec()).contains("too short"));
}

#[test]
fn values_that_are_no_labels_are_named() {
    let array = |values: [f64; 2]| {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let (kind, order) = (Kind::F64, ByteOrder::Little);
        Array { shape: vec![2, 1], class: "double", kind, order, bytes: Blob::memory(bytes), offset: 0, count: 2 }
    };
    assert_eq!(array([3.0, 4_294_967_295.0]).integers(), Ok(vec![3, u32::MAX]));
    for wrong in [-1.0, 0.5, f64::NAN, f64::INFINITY, 4_294_967_296.0] {
        let what = array([0.0, wrong]).integers().expect_err("no label");
        assert!(what.contains(&format!("value 1 is {wrong}")), "{what}");
    }
}
