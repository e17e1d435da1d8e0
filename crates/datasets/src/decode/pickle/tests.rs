use super::*;
use crate::decode::gzip;

const CIFAR10: Layout = Layout { labels: 1, label: 0, width: 32, height: 32, classes: Some(10) };
const CIFAR100: Layout = Layout { labels: 2, label: 1, classes: Some(100), ..CIFAR10 };

fn fixture(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/arrays").join(name);
    std::fs::read(path).expect("a fixture")
}

/// The first five records of the published `test_batch.bin`.
fn published() -> Vec<u8> {
    let packed = crate::embedded::file("sample/cifar10_test.bin.gz").expect("embedded");
    let mut records = gzip::unpack(packed, u64::MAX).expect("valid");
    records.truncate(5 * CIFAR10.record());
    records
}

fn refused(pickle: &[u8]) -> String {
    match to_cifar_binary(pickle, Layout { width: 1, height: 1, ..CIFAR10 }) {
        Ok(records) => panic!("read {records:?}"),
        Err(what) => what,
    }
}

#[test]
fn batches_of_every_writer_become_the_published_records() {
    for name in ["python2", "protocol2", "protocol3", "protocol4", "protocol5"] {
        let records = to_cifar_binary(&fixture(&format!("{name}.pickle")), CIFAR10);
        assert!(records.expect(name) == published(), "{name}");
    }
}

#[test]
fn both_labels_of_cifar100_stand_in_front_coarse_first() {
    let records = to_cifar_binary(&fixture("cifar100.pickle"), CIFAR100).expect("valid");
    let expected: Vec<u8> = published()
        .chunks_exact(CIFAR10.record())
        .flat_map(|record| [&[u8::from((2..=7).contains(&record[0]))], record].concat())
        .collect();
    assert!(records == expected);
    for (name, layout, what) in [
        ("cifar100.pickle", CIFAR10, "no `labels` in it"),
        ("python2.pickle", CIFAR100, "no `coarse_labels` in it"),
        ("python2.pickle", Layout { width: 16, ..CIFAR10 }, "`data` of shape [5, 3072], expected [n, 1536]"),
        ("python2.pickle", Layout { classes: Some(3), ..CIFAR10 }, "expected one below 3"),
    ] {
        let found = to_cifar_binary(&fixture(name), layout).expect_err(what);
        assert!(found.contains(what), "{found}");
    }
}

/// A batch of one image of one pixel, written by hand; `data` follows the array's type.
fn batch(shape: &[u8], order: &[u8], data: &[u8], labels: &[u8]) -> Vec<u8> {
    [
        &b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01"[..],
        shape,
        b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
        order,
        data,
        b"tbU\x06labels",
        labels,
        b"u.",
    ]
    .concat()
}

#[test]
fn parts_that_do_not_fit_are_named() {
    let layout = Layout { width: 1, height: 1, ..CIFAR10 };
    let (shape, data, labels) = (b"K\x01K\x03\x86", b"U\x03abc", b"](K\x07e");
    assert_eq!(to_cifar_binary(&batch(shape, b"\x89", data, labels), layout), Ok(b"\x07abc".to_vec()));
    for (pickle, what) in [
        (batch(b"K\x02K\x03\x86", b"\x89", data, labels), "shape [2, 3]"),
        (batch(b"K\x01\x85", b"\x89", data, labels), "shape [1]"),
        (batch(b"J\xff\xff\xff\xffK\x03\x86", b"\x89", data, labels), "an axis of length -1"),
        (batch(b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x03\x86", b"\x89", data, labels), "expected [n, 3]"),
        (batch(shape, b"\x88", data, labels), "column-major"),
        (batch(shape, b"\x89", b"]", labels), "as bytes"),
        (batch(shape, b"\x89", data, b"](K\x07K\x07e"), "2 `labels` for 1 images"),
        (batch(shape, b"\x89", data, b"](Ne"), "`labels`: label 0 is no integer"),
        (batch(shape, b"\x89", data, b"](M\x00\x01e"), "label 0 is 256"),
        (batch(shape, b"\x89", data, b"](K\x0ae"), "label 10"),
        (b"\x80\x02cos\nsystem\n(U\x02lstR.".to_vec(), "asks to run `os.system`; refused"),
        (b"\x80\x02}.".to_vec(), "no array `data`"),
        (b"\x80\x02].".to_vec(), "a dictionary expected"),
        (b"\x80\x02K\x01Q.".to_vec(), "kept outside"),
    ] {
        let found = refused(&pickle);
        assert!(found.contains(what), "{found}");
    }
}

#[test]
fn bytes_are_not_made_again_and_again() {
    let once = b"c_codecs\nencode\n(h\x00X\x06\x00\x00\x00latin1tR0".to_vec();
    let long = [&b"\x80\x02X\x00\x10\x00\x00"[..], &[b'x'; 4096], b"q\x000", &once.repeat(3), b"}."].concat();
    assert!(refused(&long).contains("more bytes encoded than the file has"));
}
