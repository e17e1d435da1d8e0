//! The manifests, benchmarks and files of checksums that are compiled in: (stem, text), collected by `build.rs`.

include!(concat!(env!("OUT_DIR"), "/builtin.rs"));
