//! Decoders of bytes that nobody vouches for: no panic, no allocation beyond a bound set by the size of the input.
//!
//! Each has a function `fuzz` that runs it on arbitrary bytes; tests run them over a corpus and seeded mutations of it.

pub mod cifar;
pub mod gzip;
pub mod idx;
pub mod list;
pub mod lmdb;
pub mod mat;
pub mod numpy;
pub mod parquet;
pub mod pickle;
pub mod picture;
pub mod tar;
pub mod zip;
