//! Weight files: torch's two formats and safetensors, told apart by their first bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oodlab_encoders::weights::fuzz(bytes));
