//! Weight files: reading (safetensors, torch), the weights known to this build and the user's own, importing, fetching
//! and converting them; tensor names of other programs ([`names`]).

mod convert;
mod embedded;
mod error;
mod fetch;
mod import;
mod library;
mod manifest;
pub mod names;
mod own;
mod pickle;
mod pickle_value;
mod safetensors_file;
mod tensors;
mod torch_file;

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest, Sha256};

pub use convert::{CONVERTER_REVISION, ConvertOptions, Converted, convert};
pub use error::WeightError;
pub use import::{ImportReport, Imported};
pub use library::{Presence, WeightEntry, WeightLibrary};
pub use manifest::{WeightFile, WeightManifest, manifests};
pub use own::OwnWeights;
pub use tensors::{Tensor, Weights};

/// The largest weight file that is read: far above any network here, far below the memory of a laptop.
const LARGEST_FILE_BYTES: u64 = 4 << 30;

/// What wraps every name of a network that was trained on several devices.
const PARALLEL: &str = "module.";

impl Weights {
    /// Reads a weight file; its format is known by its first bytes, not by its name.
    ///
    /// # Errors
    /// When the file cannot be read, or is not a weight file, or is damaged.
    pub fn read(path: &Path) -> Result<Weights, WeightError> {
        let size_bytes = fs_err::metadata(path).map_err(WeightError::io("reading weights"))?.len();
        if size_bytes > LARGEST_FILE_BYTES {
            let reason = format!("it has {size_bytes} bytes, at most {LARGEST_FILE_BYTES} are read");
            return Err(WeightError::malformed(&path.display().to_string(), reason));
        }
        let bytes = fs_err::read(path).map_err(WeightError::io("reading weights"))?;
        Weights::decode(&path.display().to_string(), &bytes)
    }

    /// Decodes a weight file's bytes; `file` names them in messages.
    ///
    /// # Errors
    /// When the bytes are not a weight file, or are damaged.
    pub fn decode(file: &str, bytes: &[u8]) -> Result<Weights, WeightError> {
        let (tensors, metadata, left_out) = if torch_file::is_torch(bytes) {
            let (tensors, left_out) = torch_file::decode(file, bytes)?;
            (tensors, BTreeMap::new(), left_out)
        } else {
            let (tensors, metadata) = safetensors_file::decode(file, bytes)?;
            (tensors, metadata, Vec::new())
        };
        let tensors = without_prefix(tensors);
        Ok(Weights::from_file(tensors, metadata, file.to_owned(), bytes).leaving_out(left_out))
    }
}

/// Runs the decoders on arbitrary bytes, and the renaming of whatever they read.
pub fn fuzz(bytes: &[u8]) {
    if let Ok(weights) = Weights::decode("file", bytes) {
        for network in ["efficientnet-b0", "resnet50", "resnet18-32", "vit-b16"] {
            let _ = weights.for_network(network);
        }
    }
}

/// Takes `module.` off all names when all have it: `DataParallel` puts it there, and it says nothing of the network.
fn without_prefix(tensors: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    if !tensors.keys().all(|name| name.len() > PARALLEL.len() && name.starts_with(PARALLEL)) {
        return tensors;
    }
    tensors.into_iter().map(|(name, tensor)| (name[PARALLEL.len()..].to_owned(), tensor)).collect()
}

/// The SHA-256 of bytes, in lower-case hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
