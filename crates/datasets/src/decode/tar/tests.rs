use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/fixtures/tar/", $name)).as_slice()
    };
}

/// An archive in memory; types are those of the header, `0` a file.
fn archive(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, bytes) in entries {
        let mut header = tar::Header::new_ustar();
        // Past the check of `set_path`, which refuses what is tested here.
        header.as_ustar_mut().expect("ustar").name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, *bytes).expect("into memory");
    }
    builder.into_inner().expect("into memory")
}

fn list(bytes: &[u8], label: Option<&str>) -> Result<Contents, String> {
    contents(&Blob::memory(bytes.to_vec()), label)
}

#[test]
fn every_form_lists_the_same_pictures_and_labels() {
    for bytes in [fixture!("ustar.tar"), fixture!("pax.tar"), fixture!("gnu.tar")] {
        let found = list(bytes, Some("cls")).expect("valid");
        assert_eq!((found.pictures.len(), found.links), (5, 2));
        assert_eq!(found.labels.iter().map(|label| &**label).collect::<Vec<_>>(), ["0", "1", "2", "0", "1"]);
        for entry in &found.pictures {
            assert_eq!(&bytes[entry.offset as usize..][1..4], b"PNG", "{}", entry.name);
        }
        for length in (0..bytes.len()).step_by(101) {
            // What follows the first end block is padding.
            let whole = length >= bytes.len() - 9 * 1024 && list(&bytes[..length], None).is_ok();
            assert!(whole || list(&bytes[..length], None).is_err(), "{length} of {}", bytes.len());
            assert!(!whole || list(&bytes[..length], None) == list(bytes, None));
        }
    }
    let packed = unpacked(&Blob::memory(fixture!("packed.tar.gz"))).expect("gzip");
    assert_eq!(contents(&packed, Some("cls")), list(fixture!("ustar.tar"), Some("cls")));
    let packed = fixture!("packed.tar.gz");
    assert!(unpacked(&Blob::memory(&packed[..packed.len() - 9])).is_err());
    assert!(list(fixture!("sparse.tar"), None).is_err_and(|what| what.contains("sparse")));
}

#[test]
fn what_cannot_be_right_is_refused() {
    let file = EntryType::Regular;
    for (entries, part) in [
        (vec![("../a.png", file, b"x".as_slice())], "leaves the archive"),
        (vec![("/a.png", file, b"x")], "leaves the archive"),
        (vec![("a.png", file, b"x"), ("./a.png", file, b"y")], "\"a.png\" is there twice"),
        (vec![("a.heic", file, b"x")], "heic are not read"),
        (vec![("a.png", EntryType::GNUSparse, b"x")], "sparse"),
    ] {
        let message = list(&archive(&entries), None).expect_err(part);
        assert!(message.contains(part), "{message}");
    }
    let labelled = |label: &[u8]| archive(&[("a.b.png", file, b"x"), ("a.cls", file, label)]);
    assert_eq!(list(&labelled(b" 7\n"), Some("cls")).expect("valid").labels, [Box::from("7")]);
    assert!(list(&labelled(&[b'7'; 300]), Some("cls")).is_err_and(|what| what.contains("no label")));
    assert!(list(&labelled(b"7"), Some("txt")).is_err_and(|what| what.contains("no a.txt beside it")));
    let passed =
        [("a.png", EntryType::Symlink, b"".as_slice()), ("b", EntryType::Directory, b""), (".c.png", file, b"x")];
    let found = list(&archive(&passed), None).expect("nothing in it");
    assert_eq!((found.pictures.len(), found.links), (0, 1));
}

#[test]
fn archives_without_an_end_are_truncated() {
    let whole = archive(&[("a.png", EntryType::Regular, &[7; 700]), ("b.png", EntryType::Regular, &[8; 512])]);
    assert!(list(&whole, None).is_ok_and(|found| found.pictures.len() == 2));
    // Cut between two files, within one, within its padding, and right before the end mark.
    for length in [0, 512, 1000, 1300, 1536, 2048, 2559, 2560, 2700] {
        assert!(list(&whole[..length], None).is_err(), "{length}");
    }
    // A size that the file does not have.
    let mut lying = whole.clone();
    lying[124..135].copy_from_slice(b"77777777777");
    lying[148..156].fill(b' ');
    let sum: u32 = lying[..512].iter().map(|&byte| u32::from(byte)).sum();
    lying[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    assert!(list(&lying, None).is_err_and(|what| what.contains("not all there")));
}

#[test]
fn long_names_and_much_gzip_are_refused_before_they_are_read() {
    let long =
        archive(&[("././@LongLink", EntryType::GNULongName, &[b'n'; 70_000]), ("a.png", EntryType::Regular, b"x")]);
    assert!(list(&long, None).is_err_and(|what| what.contains("a header of names of 70000 bytes, at most 65536")));
    let pax = archive(&[("pax", EntryType::XHeader, &[b'n'; 70_000]), ("a.png", EntryType::Regular, b"x")]);
    assert!(list(&pax, None).is_err_and(|what| what.contains("at most 65536")));
    // An announced name without end is not looked for.
    let lying = archive(&[("././@LongLink", EntryType::GNULongName, &[b'n'; 60_000])]);
    assert!(list(&lying[..4096], None).is_err_and(|what| what.contains("truncated")));
    let picture = vec![0; 20 << 20];
    let packed = gzip::pack(&archive(&[("a.png", EntryType::Regular, &picture)])).expect("into memory");
    let message = unpacked(&Blob::memory(packed)).expect_err("a thousand bytes of one");
    assert!(message.contains("more than the 16777216 bytes allowed"), "{message}");
}
