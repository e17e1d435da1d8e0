//! Weight files in: what torch and safetensors write is read to the bit; cut, damaged and hostile files are errors, with
//! no panic and no memory beyond a small multiple of the file's size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Cursor, Write};

use oodlab_base::Seed;
use oodlab_encoders::weights::{Tensor, WeightError, Weights};

const LEGACY: &[u8] = include_bytes!("fixtures/legacy.th");
const ZIP: &[u8] = include_bytes!("fixtures/zip.pth");

/// The system's allocator, which counts what the present thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; the counters neither allocate nor unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.set(HELD.get().wrapping_add(layout.size()));
        PEAK.set(PEAK.get().max(HELD.get()));
        // SAFETY: the caller's layout, as it is.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get().saturating_sub(layout.size()));
        // SAFETY: the caller's pointer and layout, as they are; `alloc` gave them out by the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Decodes, and gives back the most memory that was held meanwhile.
fn fuzz(bytes: &[u8]) -> (Result<Weights, WeightError>, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = Weights::decode("file", bytes);
    (result, PEAK.get() - before)
}

fn refused(bytes: &[u8]) -> String {
    match fuzz(bytes).0 {
        Ok(weights) => panic!("read {} tensors, an error expected", weights.tensors().len()),
        Err(error) => error.to_string(),
    }
}

/// The i-th element of every tensor in the fixtures.
fn value(index: usize) -> f32 {
    index as f32 / 8.0 - 1.0
}

#[test]
fn both_torch_formats_are_read_to_the_bit() {
    for (name, bytes) in [("legacy", LEGACY), ("zip", ZIP)] {
        let weights = Weights::decode(name, bytes).expect("a sound file");
        let expect = |tensor: &str, shape: &[usize], values: Vec<f32>| {
            let expected = Tensor { shape: shape.to_vec(), values };
            assert_eq!(weights.get(tensor), Some(&expected), "{name}: {tensor}");
        };
        // All names began with `module.`.
        assert_eq!(weights.tensors().len(), 9, "{name}");
        expect("contiguous", &[2, 3, 4], (0..24).map(value).collect());
        expect("transposed", &[4, 3], (0..12).map(|i| value(i / 3 + i % 3 * 4)).collect());
        expect("part", &[2, 2], [5, 8, 13, 16].map(value).to_vec());
        expect("half", &[6], (0..6).map(value).collect());
        expect("brain", &[2, 3], (0..6).map(value).collect());
        expect("double", &[3, 2], (0..6).map(value).collect());
        expect("num_batches_tracked", &[], vec![123_456.0]);
        expect("mask", &[3], vec![1.0, 0.0, 1.0]);
        expect("empty", &[0, 5], Vec::new());
        assert_eq!(weights.key(), oodlab_base::Key::of_bytes(bytes));
    }
}

#[test]
fn every_cut_is_an_error() {
    for bytes in [LEGACY, ZIP] {
        for length in 0..bytes.len() {
            refused(&bytes[..length]);
        }
    }
}

#[test]
fn every_damaged_byte_of_a_zips_data_is_an_error() {
    // The format before zip has no checksums; a zip file has one an entry.
    let at = ZIP.windows(4).position(|window| window == value(3).to_le_bytes()).expect("the floats");
    for place in at..at + 16 {
        let mut damaged = ZIP.to_vec();
        damaged[place] ^= 0x10;
        assert!(refused(&damaged).contains("damaged"));
    }
}

/// Mutations of each file: more when `OODLAB_MUTATIONS` asks for them.
fn mutations() -> u64 {
    std::env::var("OODLAB_MUTATIONS").ok().and_then(|number| number.parse().ok()).unwrap_or(4000)
}

#[test]
fn thousands_of_mutations_neither_panic_nor_ask_for_memory() {
    let safetensors = safetensors_file(r#"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#, &[1; 24]);
    let checkpoint = legacy_file(&checkpoint());
    let count = mutations();
    for (number, corpus) in [LEGACY, ZIP, &safetensors, &checkpoint].into_iter().enumerate() {
        let stream = Seed(7).stream("mutations").child(number as u64);
        let (mut draws, mut sound, mut worst) = (0, 0, 0);
        let mut below = |bound: usize| {
            draws += 1;
            stream.below(bound as u64, draws) as usize
        };
        for _ in 0..count {
            let mut bytes = corpus.to_vec();
            for _ in 0..=below(6) {
                let place = below(bytes.len());
                match below(6) {
                    0 => bytes[place] ^= 1 << below(8),
                    1 => bytes[place] = below(256) as u8,
                    2 => bytes[place] = [0, 0x7f, 0x80, 0xff, b'(', b't', b'R', b'.'][below(8)],
                    3 => drop(bytes.remove(place)),
                    4 => bytes.insert(place, below(256) as u8),
                    // A piece of the file once more, somewhere else.
                    _ => {
                        let end = (place + below(40)).min(bytes.len());
                        let piece = bytes[place..end].to_vec();
                        let to = below(bytes.len());
                        bytes.splice(to..to, piece);
                    }
                }
                if bytes.is_empty() {
                    bytes.push(0);
                }
            }
            let (result, peak) = fuzz(&bytes);
            sound += u64::from(result.is_ok());
            worst = worst.max(peak);
            oodlab_encoders::weights::fuzz(&bytes);
        }
        // Some mutations hit only values, and most of the others are noticed.
        assert!(sound < count * 3 / 4, "corpus {number}: {sound} of {count} were read");
        assert!(worst < 256 * 1024, "corpus {number}: {worst} bytes held for a file of {}", corpus.len());
    }
}

/// A file of the format before zip with one storage `0` of 24 floats, and `description` as its third pickle.
fn legacy_file(description: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.".to_vec();
    bytes.extend_from_slice(description);
    bytes.extend_from_slice(b"\x80\x02](X\x01\x00\x00\x000e.");
    bytes.extend_from_slice(&24_u64.to_le_bytes());
    bytes.extend((0..24).flat_map(|index| value(index).to_le_bytes()));
    bytes
}

/// A description of one tensor `w`: its offset, shape and strides as instructions.
fn tensor(offset: &[u8], shape: &[u8], strides: &[u8], elements: u8) -> Vec<u8> {
    let storage =
        [b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000U\x03cpuK", &[elements][..], b"NtQ"];
    let pieces = [b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor\n(", &storage.concat()[..]];
    [&pieces.concat(), offset, shape, strides, b"tRs."].concat()
}

/// A whole checkpoint as training scripts save it: `{epoch: 7, state_dict: {w: tensor, n: 3}, optimizer: {}, arch: x}`.
fn checkpoint() -> Vec<u8> {
    let text = |text: &str| [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let whole = tensor(b"K\x00", b"(K\x18t", b"(K\x01t", 24);
    // The instructions between the dictionary's name and its `s`: the tensor itself.
    let view = &whole[2 + 1 + 6..whole.len() - 2];
    [
        &b"\x80\x02}("[..],
        &text("epoch"),
        b"K\x07",
        &text("state_dict"),
        b"ccollections\nOrderedDict\n)R(",
        &text("w"),
        view,
        &text("n"),
        b"K\x03u",
        // The attribute that modules leave on their dictionary.
        b"}",
        &text("_metadata"),
        b"}sb",
        &text("optimizer"),
        b"}",
        &text("arch"),
        &text("resnet"),
        b"u.",
    ]
    .concat()
}

#[test]
fn what_a_checkpoint_holds_beside_its_tensors_is_told() {
    let weights = fuzz(&legacy_file(&checkpoint())).0.expect("a sound file");
    assert_eq!(weights.names().collect::<Vec<_>>(), ["w"]);
    assert_eq!(weights.left_out(), ["epoch = 7", "optimizer (a dictionary of 0)", "arch", "n = 3"]);
    let plain = fuzz(&legacy_file(&tensor(b"K\x00", b"(K\x18t", b"(K\x01t", 24))).0.expect("a sound file");
    assert!(plain.left_out().is_empty());
    // A name that comes twice: which of the two is meant, nobody can tell.
    let whole = tensor(b"K\x00", b"(K\x18t", b"(K\x01t", 24);
    let entry = &whole[3..whole.len() - 1];
    let twice = [&b"\x80\x02}"[..], entry, entry, b"."].concat();
    assert!(refused(&legacy_file(&twice)).contains("tensor `w` comes twice"));
}

#[test]
fn views_are_checked_against_their_storage() {
    let read = |description: &[u8]| fuzz(&legacy_file(description)).0;
    let sound = read(&tensor(b"K\x02", b"(K\x03K\x02t", b"(K\x06K\x01t", 24)).expect("a sound view");
    assert_eq!(sound.get("w").map(|tensor| &tensor.values[..]), Some(&[2, 3, 8, 9, 14, 15].map(value)[..]));
    // A stride of an axis of length 1 does not matter, however large.
    let long = b"(\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x01t";
    assert!(read(&tensor(b"K\x00", b"(K\x01K\x18t", long, 24)).is_ok());
    let largest = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f";
    for (description, reason) in [
        (tensor(b"K\x01", b"(K\x18t", b"(K\x01t", 24), "beyond its storage"),
        (tensor(b"K\x00", b"(K\x02t", b"(K\x18t", 24), "beyond its storage"),
        (tensor(largest, b"(K\x02t", b"(K\x01t", 24), "beyond its storage"),
        (tensor(largest, b")", b")", 24), "beyond its storage"),
        (tensor(b"K\x00", b"(K\x02t", b"(J\xff\xff\xff\xfft", 24), "a stride of -1"),
        (tensor(b"J\xff\xff\xff\xff", b")", b")", 24), "an offset of -1"),
        (tensor(b"K\x00", b"(K\x02K\x02t", b"(K\x01t", 24), "2 axes with 1 strides"),
        (tensor(b"K\x00", b"(K\x18t", b"(K\x01t", 25), "holds 24 elements; 25"),
        (tensor(b"K\x00", &[b"(", &largest[..], b"t"].concat(), b"(K\x00t", 24), "more elements than the whole file"),
        (
            tensor(b"K\x00", &[b"(", &[&largest[..]; 3].concat()[..], b"t"].concat(), b"(K\x00K\x00K\x00t", 24),
            "more elements",
        ),
        (
            tensor(
                b"K\x00",
                b"(K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01t",
                b")",
                24,
            ),
            "17 axes",
        ),
    ] {
        let error = read(&description).expect_err(reason).to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn many_views_of_one_storage_are_bounded_by_the_files_size() {
    // 2,000 names for the same 24 elements, by recalling one tensor: four bytes of file or so each.
    let mut description = tensor(b"K\x00", b"(K\x18t", b"(K\x01t", 24);
    description.truncate(description.len() - 2);
    description.extend_from_slice(b"q\x00s(");
    for name in 0..2000_u16 {
        description.extend_from_slice(b"U\x02");
        description.extend_from_slice(&[b'a' + (name / 100) as u8, (name % 100) as u8 + 20]);
        description.extend_from_slice(b"h\x00");
    }
    description.extend_from_slice(b"u.");
    let bytes = legacy_file(&description);
    let (result, peak) = fuzz(&bytes);
    let error = result.expect_err("48,000 elements").to_string();
    assert!(error.contains("more elements than the whole file"), "{error}");
    assert!(peak < 64 * bytes.len(), "{peak} bytes held for a file of {}", bytes.len());
}

#[test]
fn code_is_refused_by_name() {
    for (description, name) in [
        (&b"\x80\x02cos\nsystem\n(X\x02\x00\x00\x00lstR."[..], "os.system"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.", "builtins.eval"),
        (b"\x80\x02ctorch\nload\n.", "torch.load"),
        (b"\x80\x02c__builtin__\ngetattr\n.", "__builtin__.getattr"),
        (b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n.", "numpy.core.multiarray._reconstruct"),
        // A metric of numpy's type in a checkpoint, and a script's arguments.
        (b"\x80\x02cnumpy.core.multiarray\nscalar\n.", "numpy.core.multiarray.scalar"),
        (b"\x80\x02cargparse\nNamespace\n.", "argparse.Namespace"),
    ] {
        let error = fuzz(&legacy_file(description)).0.expect_err("code");
        assert!(matches!(&error, WeightError::ForbiddenGlobal { name: found, .. } if found == name), "{error}");
        let message = error.to_string();
        assert!(message.contains(&format!("asks to run `{name}`; refused")), "{message}");
        assert!(message.contains("Save its `state_dict()` instead"), "{message}");
    }
    // A name with control characters does not reach the terminal as it is.
    let error = refused(&legacy_file(b"\x80\x02c\x1b[31m\nx\r\n."));
    assert!(!error.contains('\x1b') && !error.contains('\r'), "{error:?}");
}

#[test]
fn hostile_pickles_are_errors() {
    let deep = [&b"\x80\x02)"[..], &[0x85].repeat(1_000_000), b"."].concat();
    let long = [&b"\x80\x02"[..], &b"N0".repeat(1_500_000), b"N."].concat();
    for (description, reason) in [
        (&deep[..], "has data and no tensor"),
        (&long, "more than 2000000 instructions"),
        (b"\x80\x02}(K\x01u.", "a key without a value"),
        (b"\x80\x02t.", "a mark expected"),
        (b"\x80\x02(0.", "stack is empty"),
        (b"\x80\x02h\x07.", "before it was remembered"),
        (b"\x80\x02X\xff\xff\xff\xffabc.", "the file ends"),
        (b"\x80\x02N}b.", "no dictionary"),
        (b"\x80\x02K\x01)R.", "no function"),
        (b"\x80\x02i", "instruction 0x69"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "other arguments"),
        (b"\x80\x02K\x01Q.", "a tuple expected"),
    ] {
        let bytes = legacy_file(description);
        let (result, peak) = fuzz(&bytes);
        let error = result.expect_err(reason).to_string();
        assert!(error.contains(reason), "{error}");
        assert!(peak < 100_000 + 128 * bytes.len(), "{reason}: {peak} bytes held for a file of {}", bytes.len());
    }
}

fn zip_file(entries: &[(&str, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, data) in entries {
        writer.start_file(*name, options).expect("an entry");
        writer.write_all(data).expect("its data");
    }
    writer.finish().expect("a zip file").into_inner()
}

#[test]
fn zips_that_torch_would_not_write_are_errors() {
    let stored = zip::CompressionMethod::Stored;
    let description = tensor(b"K\x00", b"(K\x18t", b"(K\x01t", 24);
    let data: Vec<u8> = (0..24).flat_map(|index| value(index).to_le_bytes()).collect();
    let sound = zip_file(&[("x/data.pkl", &description), ("x/data/0", &data)], stored);
    assert!(fuzz(&sound).0.is_ok());
    let deep = [&b"\x80\x02)"[..], &[0x85].repeat(1_000_000), b"."].concat();
    // A dictionary that holds itself.
    let itself = b"\x80\x02}q\x00X\x0a\x00\x00\x00state_dicth\x00s.";
    let bomb = vec![b'}'; 50_000_000];
    for (bytes, reason) in [
        (zip_file(&[("x/other", b"")], stored), "without `data.pkl`"),
        (zip_file(&[("x/data.pkl", &bomb)], zip::CompressionMethod::Deflated), "compressed"),
        (zip_file(&[("x/data.pkl", &description)], stored), "no `x/data/0`"),
        (zip_file(&[("x/data.pkl", &description), ("x/data/0", &data[4..])], stored), "holds 23 elements"),
        (zip_file(&[("x/data.pkl", &description), ("x/byteorder", b"big")], stored), "big-endian"),
        (zip_file(&[("x/data.pkl", &deep)], stored), "no tensors in it"),
        (zip_file(&[("x/data.pkl", itself)], stored), "no tensors in it"),
        (zip_file(&[("x/data.pkl", b"\x80\x02cos\nsystem\n.")], stored), "asks to run `os.system`"),
    ] {
        let (result, peak) = fuzz(&bytes);
        let error = result.expect_err(reason).to_string();
        assert!(error.contains(reason), "{error}");
        assert!(peak < 200_000 + 128 * bytes.len(), "{reason}: {peak} bytes held");
    }
}

fn safetensors_file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn safetensors_are_read_and_lying_ones_refused() {
    let header = r#"{"__metadata__":{"a":"b"},"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}"#;
    let weights = Weights::decode("file", &safetensors_file(header, &[0x80, 0x3f, 0, 0xc0])).expect("a sound file");
    assert_eq!(weights.get("w"), Some(&Tensor { shape: vec![2], values: vec![1.0, -2.0] }));
    assert_eq!(weights.metadata().get("a").map(String::as_str), Some("b"));
    let one = |entry: &str| safetensors_file(&format!("{{\"w\":{entry}}}"), &[0; 8]);
    let two = |a: &str, b: &str| {
        let entry = |offsets: &str| format!(r#"{{"dtype":"F32","shape":[1],"data_offsets":{offsets}}}"#);
        safetensors_file(&format!(r#"{{"a":{},"b":{}}}"#, entry(a), entry(b)), &[0; 8])
    };
    assert!(fuzz(&two("[0,4]", "[4,8]")).0.is_ok());
    let long = |bytes: u64| [&bytes.to_le_bytes()[..], b"{}      "].concat();
    for bytes in [
        // Data that overlap, with a hole, and left over; headers longer than the file, up to the format's limit and beyond.
        two("[0,4]", "[0,4]"),
        two("[0,4]", "[2,6]"),
        two("[4,8]", "[4,8]"),
        one(r#"{"dtype":"F32","shape":[1],"data_offsets":[4,8]}"#),
        one(r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#),
        long(9),
        long(100_000_000),
        long(1 << 62),
        one(&format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000))),
        one(r#"{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#),
        Vec::new(),
        b"plain text, no weights".to_vec(),
        u64::MAX.to_le_bytes().to_vec(),
        one(r#"{"dtype":"F32","shape":[2],"data_offsets":[0,9]}"#),
        one(r#"{"dtype":"F32","shape":[3],"data_offsets":[0,8]}"#),
        one(r#"{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}"#),
        one(r#"{"dtype":"F32","shape":[2],"data_offsets":[8,0]}"#),
        one(r#"{"dtype":"C64","shape":[1],"data_offsets":[0,8]}"#),
        one(r#"{"dtype":"F99","shape":[1],"data_offsets":[0,8]}"#),
    ] {
        let (result, peak) = fuzz(&bytes);
        assert!(matches!(result, Err(WeightError::Malformed { .. })));
        assert!(peak < 20_000 + 4 * bytes.len(), "{peak} bytes held for a file of {}", bytes.len());
    }
}

/// As ImageNet training scripts write it: a number stands as a tensor beside the state dictionary.
#[test]
fn a_tensor_beside_the_state_dictionary_does_not_hide_it() {
    let bytes = include_bytes!("fixtures/checkpoint.pth");
    let weights = Weights::decode("checkpoint.pth", bytes).expect("reads");
    assert_eq!(weights.names().collect::<Vec<_>>(), ["a.bias", "a.weight"]);
    assert_eq!(weights.get("a.weight").expect("there").values, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert!(weights.left_out().iter().any(|name| name.contains("best_acc1")), "{:?}", weights.left_out());
}
