//! The other decoders of data sets.
#![no_main]

use oodlab_datasets::decode;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    decode::cifar::fuzz(bytes);
    decode::gzip::fuzz(bytes);
    decode::idx::fuzz(bytes);
    decode::zip::fuzz(bytes);
});
