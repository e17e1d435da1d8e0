//! Pictures of every format.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oodlab_datasets::decode::picture::fuzz(bytes));
