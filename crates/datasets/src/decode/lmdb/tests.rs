use super::*;
use crate::decode::{picture, tar as tars};
use crate::reading::Reading;
use oodlab_base::Silent;

const LSUN: &[u8] = include_bytes!("../../../tests/fixtures/lmdb/lsun/data.mdb");
const SINGLE: &[u8] = include_bytes!("../../../tests/fixtures/lmdb/single.mdb");

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/lmdb")).join(name)
}

fn convert(path: &Path) -> Result<(u64, Vec<u8>), DatasetError> {
    let mut out = Vec::new();
    let count = to_tar(path, &mut out, &Silent, &Cancel::new())?;
    Ok((count, out))
}

fn in_memory(bytes: &[u8]) -> Result<u64, String> {
    let tree = Tree::open(&Blob::memory(bytes.to_vec()))?;
    write(&tree, &mut io::sink(), &mut || Ok(())).map_err(|failure| match failure {
        Failure::Database(what) => what,
        Failure::Output(error) => error.to_string(),
    })
}

/// Names, and the first pixel of each picture, from the archive that was written.
fn pictures(bytes: &[u8]) -> Vec<(String, [u8; 3])> {
    let blob = Blob::memory(bytes.to_vec());
    let contents = tars::contents(&blob, None).expect("a tar file");
    let first = |entry: &tars::Entry| {
        let bytes = blob.slice(entry.offset, entry.size).expect("inside");
        let image = picture::decode(&bytes, Reading::default()).expect("a picture");
        (entry.name.to_string(), [image.pixels[0], image.pixels[1], image.pixels[2]])
    };
    contents.pictures.iter().map(first).collect()
}

#[test]
fn values_come_in_the_order_of_their_keys() {
    let (count, bytes) = convert(&fixture("lsun")).expect("a database");
    let found = pictures(&bytes);
    assert_eq!((count, found.len()), (6, 6));
    for (index, (name, pixel)) in found.iter().enumerate() {
        let index = index as u8;
        let expected = [20 * index, 10 * index, 255 - 20 * index];
        match index {
            // JPEG is not exact.
            2 => assert!(pixel.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 3), "{name} {pixel:?}"),
            _ => assert_eq!(*pixel, expected, "{name}"),
        }
        let ending = if index == 2 { ".jpg" } else { ".webp" };
        match index {
            5 => assert_eq!(name, "9%20%2f..%ff.png"),
            _ => assert!(name.starts_with(&index.to_string()) && name.ends_with(ending), "{name}"),
        }
    }
    assert!(bytes.len() > 5000, "the value on pages of its own is whole");
    assert_eq!(convert(&fixture("lsun/data.mdb")).expect("the file itself").1, bytes);
}

#[test]
fn the_newest_state_of_several_levels_is_read() {
    let (count, bytes) = convert(&fixture("single.mdb")).expect("a database");
    let found = pictures(&bytes);
    let expected: Vec<String> = (0..80).filter(|&key| key != 7).map(|key| format!("{key:04}.png")).collect();
    assert_eq!((count, found.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()), (79, expected));
    assert_eq!((found[7].1[0], found[8].1[0]), (40, 20), "key 0008 was written again");
}

#[test]
fn what_is_no_database_of_pictures_is_said() {
    for (path, part) in [("named.mdb", "tables inside"), ("make.py", "not an LMDB database"), ("none", "none")] {
        let error = convert(&fixture(path)).expect_err(path).to_string();
        assert!(error.contains(part), "{error}");
    }
    let mut other = LSUN.to_vec();
    let at = other.windows(4).position(|window| window == b"RIFF").expect("a picture");
    other[at] = b'X';
    assert!(in_memory(&other).is_err_and(|what| what.contains("is no picture")));
    let cancel = Cancel::new();
    cancel.cancel();
    let result = to_tar(&fixture("lsun"), &mut io::sink(), &Silent, &cancel);
    assert!(matches!(result, Err(DatasetError::Cancelled(_))));
}

#[test]
fn damaged_databases_are_errors() {
    for length in (0..SINGLE.len()).step_by(97) {
        assert!(in_memory(&SINGLE[..length]).is_err(), "{length}");
    }
    // A branch that leads to itself: the root is the page whose kind is 1 and number is that of the newest description.
    let meta = if SINGLE[144..152] > SINGLE[4096 + 144..4096 + 152] { 0 } else { 4096 };
    let root = usize::from(SINGLE[meta + 128]);
    let mut circle = SINGLE.to_vec();
    let page = 4096 * root;
    let node = page + usize::from(u16::from_le_bytes([circle[page + 16], circle[page + 17]]));
    circle[node..node + 8].copy_from_slice(&[root as u8, 0, 0, 0, 0, 0, 0, 0]);
    assert!(in_memory(&circle).is_err_and(|what| what.contains("kind") || what.contains("again")));
    // A value of 4 GiB, on no pages of its own and on some.
    let leaf =
        (2..9).map(|page| 4096 * page).find(|&page| LSUN[page + 10] == 2 && LSUN[page + 12] > 16).expect("a leaf");
    let node = leaf + usize::from(u16::from_le_bytes([LSUN[leaf + 16], LSUN[leaf + 17]]));
    let mut large = LSUN.to_vec();
    large[node..node + 4].fill(0xff);
    assert!(in_memory(&large).is_err_and(|what| what.contains("larger than the file")));
    let mut outside = LSUN.to_vec();
    outside[node..node + 4].copy_from_slice(&[0xff, 0x0f, 0, 0]);
    assert!(in_memory(&outside).is_err_and(|what| what.contains("outside")));
}

#[test]
fn keys_become_names_that_differ() {
    let names = [b"a b".as_slice(), b"a%20b", b".a", b"a.", b"%2ea", b"\xc3\xa4"].map(name_of);
    assert_eq!(names, ["a%20b", "a%2520b", "%2ea", "a.", "%252ea", "%c3%a4"]);
}
