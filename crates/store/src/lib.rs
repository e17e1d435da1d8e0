//! Content-addressed artifacts in checksummed parts, written atomically under a lease.
//!
//! A stage keeps its output as an [`Artifact`]: numbered parts of bytes in the folder
//! `<root>/<stage>/<first two digits of the key>/<key>`, and `done.json`, written last. The store does not know what
//! the bytes mean.
//!
//! * A part appears by one rename, with its length and checksum inside it: half a part is never visible, and a damaged
//!   one is noticed when it is read, reported, and counted as absent, so that it is computed again.
//! * Any number of processes on any number of machines may write the same part at once: stages are deterministic, so
//!   the bytes are equal, and the last rename wins.
//! * A [`Lease`] keeps them from doing the same work twice. It needs no file locking of the system (shared file systems
//!   often have none) and compares no clocks. What is stored does not depend on it for being right.
//!
//! ```
//! use oodlab_base::{Cancel, Key};
//! use oodlab_store::Store;
//! # let folder = tempfile::tempdir()?;
//! let store = Store::open(folder.path())?;
//! let artifact = store.artifact("features", &Key::of_bytes(b"inputs and configuration"));
//! let lease = artifact.lease(&Cancel::new())?;
//! artifact.write_part(0, b"first shard")?;
//! artifact.finish(1, &Default::default())?;
//! drop(lease);
//! assert_eq!(artifact.read_part(0)?.as_deref(), Some(&b"first shard"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod artifact;
mod collect;
mod error;
mod file;
mod holder;
mod lease;
mod part;
mod place;
mod root;
mod survey;
mod token;

pub use artifact::{Artifact, Finished};
pub use collect::Leftover;
pub use error::StoreError;
pub use holder::Process;
pub use lease::{Holding, Lease};
pub use root::Store;
pub use survey::{Damage, DeadLease, Stored};
