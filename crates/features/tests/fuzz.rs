//! Every reader on a corpus and seeded mutations of it: no panic, no runaway allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use oodlab_base::{Seed, Stream};
use oodlab_features::format::{npy, npz, safetensors};

/// Mutations of each file: more when `OODLAB_MUTATIONS` asks for them.
fn mutations() -> u64 {
    std::env::var("OODLAB_MUTATIONS").ok().and_then(|number| number.parse().ok()).unwrap_or(10_000)
}

/// No input of a few kilobytes may make a reader ask for more than this at once.
const LARGEST_ALLOCATION: usize = 1 << 20;

/// Remembers the largest allocation that was asked for.
struct Watching;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator as it came; counting does not touch the memory.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the memory came from `System` with this layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static WATCHING: Watching = Watching;

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/foreign");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let ours = |path: &std::path::PathBuf| path.extension().is_some_and(|e| e != "parquet");
    let mut corpus: Vec<Vec<u8>> =
        paths.iter().filter(|path| ours(path)).map(|path| std::fs::read(path).expect("readable")).collect();
    corpus.push(Vec::new());
    corpus
}

/// Flips, overwrites, cuts, repeats or inserts at random places.
fn mutated(original: &[u8], stream: Stream) -> Vec<u8> {
    let mut bytes = original.to_vec();
    let mut next = 0;
    let mut draw = |bound: usize| {
        next += 1;
        stream.below(bound.max(1) as u64, next) as usize
    };
    for _ in 0..1 + draw(6) {
        let at = draw(bytes.len());
        match draw(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << draw(8),
            1 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff][draw(6)],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, draw(256) as u8),
            // Headers are text: a larger number is the lie that costs most.
            4 if !bytes.is_empty() => bytes[at] = b'0' + draw(10) as u8,
            5 => {
                let end = (at + draw(16)).min(bytes.len());
                let copy = bytes[at.min(end)..end].to_vec();
                bytes.extend(copy);
            }
            _ => bytes.iter_mut().skip(at).take(4).for_each(|byte| *byte = 0xff),
        }
    }
    bytes
}

fn all(bytes: &[u8]) {
    npy::fuzz(bytes);
    npz::fuzz(bytes);
    safetensors::fuzz(bytes);
    // The array itself, which a zip's checksum would keep mutations from.
    if let Some(at) = bytes.windows(6).position(|window| window == b"\x93NUMPY") {
        npy::fuzz(&bytes[at..]);
    }
}

#[test]
fn mutations_of_the_corpus_break_nothing() {
    let (stream, count) = (Seed(0).stream("feature fuzzing"), mutations());
    for (number, original) in corpus().iter().enumerate() {
        all(original);
        for mutation in 0..count {
            all(&mutated(original, stream.child(number as u64).child(mutation)));
            let largest = LARGEST.load(Ordering::Relaxed);
            assert!(largest <= LARGEST_ALLOCATION, "{largest} bytes at once: corpus {number}, mutation {mutation}");
        }
    }
}

#[test]
fn every_prefix_of_the_corpus_breaks_nothing() {
    for original in corpus() {
        for length in 0..original.len() {
            all(&original[..length]);
        }
    }
}

/// A `.npy` array without elements, which announces some.
fn npy_header(descr: &str, shape: &str) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': True, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// A `.npz` file whose only array, packed, announces more elements than follow.
fn packed(name: &str, array: &[u8], announced: u32) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    writer.start_file(format!("{name}.npy"), options).expect("an entry");
    writer.write_all(array).expect("its bytes");
    let mut bytes = writer.finish().expect("a zip file").into_inner();
    let directory = bytes.windows(4).position(|piece| piece == b"PK\x01\x02").expect("a directory");
    bytes[directory + 24..directory + 28].copy_from_slice(&(array.len() as u32 + announced).to_le_bytes());
    bytes
}

/// Headers that announce more than the file can hold, or any number of what takes no bytes.
#[test]
fn lying_shapes_are_refused_before_anything_is_allocated() {
    for shape in ["(99999999999, 9999999)", "(18446744073709551615, 2)", "(4294967296, 4294967296)", "(1000000000,)"] {
        for descr in ["<f4", "<f2", "<U9", "|S0", "<U0"] {
            all(&npy_header(descr, shape));
        }
    }
    for shape in ["(1000000000000000000, 0)", "(0, 1000000000000000000)", "(0,)"] {
        for descr in ["<f4", "<i8", "<U1000000000", "|S4000000000", "<U0"] {
            let array = npy_header(descr, shape);
            all(&array);
            for name in ["features", "layer.a", "ids", "layers"] {
                all(&packed(name, &array, 0));
            }
        }
    }
    for (descr, shape) in
        [("<f4", "(1000000, 4)"), ("<f4", "(1, 4000000)"), ("<U4000000", "(1,)"), ("|S1", "(16000000,)")]
    {
        for elements in [0, 1000] {
            let array = [npy_header(descr, shape), vec![7; elements]].concat();
            for name in ["features", "ids"] {
                all(&packed(name, &array, 16_000_000 - elements as u32));
            }
        }
    }
    for name in ["features", "layer.a"] {
        let header = format!(r#"{{"{name}":{{"dtype":"F32","shape":[1000000000000000000,0],"data_offsets":[0,0]}}}}"#);
        all(&[&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat());
    }
    for shape in ["[9999999999,99]", "[18446744073709551615,2]"] {
        let header = format!(r#"{{"features":{{"dtype":"F32","shape":{shape},"data_offsets":[0,8]}}}}"#);
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend([0; 8]);
        all(&bytes);
    }
    all(&u64::MAX.to_le_bytes());
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(largest <= LARGEST_ALLOCATION, "{largest} bytes at once");
}
