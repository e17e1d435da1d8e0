//! Manifests, import, verification, decoders and resizing: image sets.
//!
//! A data set is a [`manifest`]; its bytes are verified, at import and whenever they are read. A [`Library`] knows all sets
//! over a data root, takes files in ([`import`]), opens splits as [`ImageSet`]s in a fixed order, re-checks them
//! ([`verify`]) and shows them ([`sheet`]). [`resize`] is Pillow's bilinear filter to the bit. [`benchmark`] says which sets
//! are in- and which out-of-distribution. This crate knows no models.

pub mod benchmark;
mod builtin;
pub mod decode;
mod embedded;
pub mod error;
pub mod golden;
mod hash;
pub mod image;
pub mod import;
pub mod index;
pub mod library;
pub mod manifest;
pub mod resize;
pub mod set;
pub mod sheet;
mod source;
pub mod status;
mod sums;
pub mod verify;
mod yaml;

pub use benchmark::Benchmark;
pub use error::DatasetError;
pub use hash::Digest;
pub use image::RgbImage;
pub use import::{ImportAll, ImportOptions, ImportReport};
pub use library::Library;
pub use manifest::Manifest;
pub use set::{Fetched, ImageSet};
pub use status::{Count, State, Status};
pub use verify::VerifyReport;
