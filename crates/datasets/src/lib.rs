//! Manifests, import, verification, decoders and resizing: image sets.
//!
//! A data set is a [`manifest`]; its bytes are verified, at import and whenever they are read. A [`Library`] knows all sets
//! over a data root, takes files in ([`import`]), opens splits as [`ImageSet`]s in a fixed order, re-checks them
//! ([`verify`]) and shows them ([`sheet`]). [`resize`] is Pillow's filters to the bit, [`preprocess`] all
//! that happens to a picture before an encoder sees it. [`benchmark`] says which sets
//! are in- and which out-of-distribution. This crate knows no models.

pub mod archive;
pub mod bench;
pub mod benchmark;
mod blob;
mod builtin;
pub mod decode;
mod embedded;
pub mod error;
pub mod fetch;
pub mod golden;
mod hash;
pub mod image;
pub mod import;
pub mod index;
pub mod library;
pub mod manifest;
mod meter;
pub mod preprocess;
pub mod reading;
pub mod resize;
pub mod roles;
pub mod set;
pub mod sheet;
mod source;
pub mod statistics;
pub mod status;
pub mod subset;
mod sums;
pub mod verify;
mod yaml;

pub use benchmark::{Benchmark, Protocol};
pub use error::DatasetError;
pub use fetch::{Downloaded, FetchOptions, FetchPlan, FetchReport, Wanted};
pub use hash::Digest;
pub use image::RgbImage;
pub use import::{ImportAll, ImportOptions, ImportReport};
pub use library::Library;
pub use manifest::Manifest;
pub use preprocess::Preprocess;
pub use reading::Reading;
pub use roles::{Choice, ScoredSplit, TrainingImages, TrainingSplit, TuningSplit};
pub use set::{Fetched, ImageSet};
pub use source::fuzz_inspect;
pub use statistics::Statistics;
pub use status::{Count, State, Status};
pub use subset::Subset;
pub use verify::VerifyReport;
