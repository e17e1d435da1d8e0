//! The other decoders of data sets, and what an import does with a file.
#![no_main]

use oodlab_datasets::decode;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    decode::cifar::fuzz(bytes);
    decode::gzip::fuzz(bytes);
    decode::idx::fuzz(bytes);
    decode::mat::fuzz(bytes);
    decode::numpy::fuzz(bytes);
    decode::pickle::fuzz(bytes);
    decode::zip::fuzz(bytes);
    decode::list::fuzz(bytes);
    decode::lmdb::fuzz(bytes);
    decode::parquet::fuzz(bytes);
    decode::tar::fuzz(bytes);
    oodlab_datasets::fuzz_inspect(bytes);
});
