//! Feature files of other programs. An array behind a zip's checksum is also read as it stands there.
#![no_main]

use oodlab_features::format::{npy, npz, safetensors};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    npy::fuzz(bytes);
    npz::fuzz(bytes);
    safetensors::fuzz(bytes);
    if let Some(at) = bytes.windows(6).position(|window| window == b"\x93NUMPY") {
        npy::fuzz(&bytes[at..]);
    }
});
