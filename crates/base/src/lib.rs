//! Ground floor of oodlab: what every other crate may use, and nothing heavy.
//!
//! * [`philox`], [`seed`]: randomness as a function of (seed, stream, index), never of call order;
//! * [`key`]: content keys of stages;
//! * [`progress`], [`cancel`]: how long work speaks to the person who waits for it;
//! * [`tolerance`], [`golden`]: how numbers are compared, and the files that they are compared with;
//! * [`device`]: where the work runs; [`mod@file`]: files that appear whole or not at all; [`text`]: the word that was meant.

pub mod cancel;
pub mod device;
pub mod file;
pub mod golden;
pub mod key;
pub mod philox;
pub mod progress;
pub mod seed;
pub mod text;
pub mod tolerance;

pub use cancel::{Cancel, Cancelled};
pub use device::Device;
pub use key::{Key, KeyBuilder};
pub use progress::{Progress, Silent, Task};
pub use seed::{Seed, Stream};
pub use tolerance::Tolerance;
