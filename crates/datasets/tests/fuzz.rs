//! Every decoder on a corpus and seeded mutations of it: no panic, no runaway allocation.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{png, records, zip};
use oodlab_base::{Seed, Stream};
use oodlab_datasets::decode::{cifar, gzip, idx, list, lmdb, mat, numpy, parquet, pickle, picture, tar, zip as zips};
use oodlab_datasets::fuzz_inspect;

/// Mutations of each file: more when `OODLAB_MUTATIONS` asks for them.
fn mutations() -> u64 {
    std::env::var("OODLAB_MUTATIONS").ok().and_then(|number| number.parse().ok()).unwrap_or(20_000)
}

/// Every so many mutations are also looked at as at files that are imported: as each format, which takes several times as long.
const INSPECTED: u64 = 4;

/// No input of a few kilobytes may make a decoder ask for more than this at once. A partition of a lossy WebP states its length in
/// 24 bits, and room for that is made at once; all others stay below half of it.
const LARGEST_ALLOCATION: usize = 17 << 20;

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

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("fixtures/", $name)).to_vec()
    };
}

fn corpus() -> Vec<Vec<u8>> {
    let mut jpeg = Vec::new();
    let pixels: Vec<u8> = (0..24 * 24 * 3).map(|i| (i * 11 % 253) as u8).collect();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 80)
        .encode(&pixels, 24, 24, image::ExtendedColorType::Rgb8)
        .expect("into memory");
    let table = idx::write(&[3, 2, 2], &[7; 12]);
    vec![
        records(0, 4),
        gzip::pack(&records(0, 4)).expect("into memory"),
        gzip::pack(&table).expect("into memory"),
        table,
        idx::write(&[5], &[1, 2, 3, 4, 5]),
        png(7, 5, 90),
        jpeg,
        zip(&[("a/1.png", png(3, 3, 8)), ("a/2.png", png(4, 4, 200))]),
        Vec::new(),
        b"2\npath label\na/1.png 0\n\"b\"\t/2.png -1\n,,\r\n\xef\xbb\xbf".to_vec(),
        fixture!("parquet/list.parquet"),
        fixture!("parquet/pictures.parquet"),
        fixture!("parquet/delta.parquet"),
        [&fixture!("tar/ustar.tar")[..11 * 512], &[0; 1024]].concat(),
        fixture!("tar/packed.tar.gz"),
        fixture!("lmdb/lsun/data.mdb"),
        fixture!("arrays/oblong.mat"),
        fixture!("arrays/oblong_big.mat"),
        fixture!("arrays/oblong_small.mat"),
        fixture!("arrays/nhwc_columns.npy"),
        fixture!("arrays/both.npz"),
        fixture!("arrays/both_packed.npz"),
        fixture!("arrays/tiny_python2.pickle"),
        fixture!("arrays/tiny_protocol2.pickle"),
        fixture!("arrays/tiny_protocol5.pickle"),
    ]
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
        match draw(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << draw(8),
            1 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff][draw(6)],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, draw(256) as u8),
            4 => {
                let end = (at + draw(16)).min(bytes.len());
                let copy = bytes[at.min(end)..end].to_vec();
                bytes.extend(copy);
            }
            _ => {
                for byte in bytes.iter_mut().skip(at).take(4) {
                    *byte = 0xff;
                }
            }
        }
    }
    bytes
}

/// A PNG with the checksums of its chunks made right again, so that damage reaches what lies behind them.
fn with_checksums(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut at = 8;
    while let Some(length) = bytes.get(at..at + 4).and_then(|length| length.first_chunk::<4>()) {
        let end = at + 8 + u32::from_be_bytes(*length) as usize;
        if end + 4 > bytes.len() {
            break;
        }
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[at + 4..end]);
        bytes[end..end + 4].copy_from_slice(&crc.sum().to_be_bytes());
        at = end + 4;
    }
    bytes
}

fn all(bytes: &[u8]) {
    cifar::fuzz(bytes);
    gzip::fuzz(bytes);
    idx::fuzz(bytes);
    mat::fuzz(bytes);
    numpy::fuzz(bytes);
    pickle::fuzz(bytes);
    picture::fuzz(bytes);
    zips::fuzz(bytes);
    lmdb::fuzz(bytes);
    parquet::fuzz(bytes);
    tar::fuzz(bytes);
    if bytes.len() < 1024 {
        list::fuzz(bytes);
    }
}

#[test]
fn mutations_of_the_corpus_break_nothing() {
    let (stream, count) = (Seed(0).stream("decoder fuzzing"), mutations());
    for (number, original) in corpus().iter().enumerate() {
        all(original);
        fuzz_inspect(original);
        for mutation in 0..count {
            let bytes = mutated(original, stream.child(number as u64).child(mutation));
            all(&bytes);
            if mutation.is_multiple_of(INSPECTED) {
                fuzz_inspect(&bytes);
            }
            if original.starts_with(b"\x89PNG") {
                picture::fuzz(&with_checksums(bytes));
            }
            let largest = LARGEST.load(Ordering::Relaxed);
            assert!(largest <= LARGEST_ALLOCATION, "{largest} bytes at once: corpus {number}, mutation {mutation}");
        }
    }
}

/// Pictures of every format, as another program writes them.
#[test]
fn mutations_of_pictures_break_nothing() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pictures");
    let (stream, count) = (Seed(0).stream("picture fuzzing"), mutations() / 4);
    let names = "progressive-420.jpg restarts-411.jpg ycck.jpg exif6.jpg lossy.webp alpha.webp animated.webp animated.gif \
                 palette.bmp grey.pgm bits.pbm exif6.png";
    for (number, name) in names.split_whitespace().enumerate() {
        let original = fs_err::read(format!("{folder}/{name}")).expect("a fixture");
        for length in 0..original.len() {
            picture::fuzz(&original[..length]);
        }
        for mutation in 0..count {
            picture::fuzz(&mutated(&original, stream.child(number as u64).child(mutation)));
            let largest = LARGEST.load(Ordering::Relaxed);
            assert!(largest <= LARGEST_ALLOCATION, "{largest} bytes at once: {name}, mutation {mutation}");
        }
    }
}

#[test]
fn every_prefix_of_the_corpus_breaks_nothing() {
    for original in corpus() {
        for length in 0..original.len() {
            all(&original[..length]);
            if (length as u64).is_multiple_of(INSPECTED) {
                fuzz_inspect(&original[..length]);
            }
        }
    }
}
