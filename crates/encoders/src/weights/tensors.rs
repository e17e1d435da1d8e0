//! Named tensors, whatever file they came from.

use std::collections::BTreeMap;

use oodlab_base::{Key, KeyBuilder};

/// One named tensor of a weight file.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// The length of each axis, outermost first (PyTorch's order); empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements in row-major order. f16, bf16, f64 and integers were converted to f32 (integers beyond 2^24 are
    /// rounded: no network reads such a tensor, they are counters like `num_batches_tracked`).
    pub values: Vec<f32>,
}

/// All tensors of one weight file, with where they came from.
#[derive(Debug, Clone)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
    metadata: BTreeMap<String, String>,
    source: String,
    key: Key,
    sha256: Option<String>,
    left_out: Vec<String>,
}

impl Weights {
    /// Weights from tensors at hand. Their key is the hash of all names, shapes and values.
    #[must_use]
    pub fn from_tensors(tensors: BTreeMap<String, Tensor>) -> Weights {
        let mut builder = KeyBuilder::new("weights", 1);
        for (name, tensor) in &tensors {
            builder = builder.text("name", name);
            for &length in &tensor.shape {
                builder = builder.number("length", length as u64);
            }
            let bytes: Vec<u8> = tensor.values.iter().flat_map(|value| value.to_bits().to_le_bytes()).collect();
            builder = builder.bytes("values", &bytes);
        }
        let key = builder.finish();
        Weights {
            tensors,
            metadata: BTreeMap::new(),
            source: "memory".to_owned(),
            key,
            sha256: None,
            left_out: Vec::new(),
        }
    }

    /// No tensors at all: what the encoder [`crate::PIXELS`] has.
    #[must_use]
    pub fn none() -> Weights {
        Weights::from_tensors(BTreeMap::new()).with_source("none (pixels)")
    }

    /// Weights that were decoded from a file's bytes: the key is the hash of the bytes.
    pub(crate) fn from_file(
        tensors: BTreeMap<String, Tensor>,
        metadata: BTreeMap<String, String>,
        source: String,
        bytes: &[u8],
    ) -> Weights {
        let sha256 = Some(super::sha256_hex(bytes));
        Weights { tensors, metadata, source, key: Key::of_bytes(bytes), sha256, left_out: Vec::new() }
    }

    /// Says what else was in the file.
    pub(crate) fn leaving_out(mut self, left_out: Vec<String>) -> Weights {
        self.left_out = left_out;
        self
    }

    /// The same weights under other names.
    pub(crate) fn renamed(&self, renamed: super::names::Renamed) -> Weights {
        let mut metadata = self.metadata.clone();
        metadata.insert("names".to_owned(), renamed.scheme.name().to_owned());
        let mut left_out = self.left_out.clone();
        left_out.extend(renamed.left_out);
        let (source, sha256) = (self.source.clone(), self.sha256.clone());
        Weights { tensors: renamed.tensors, metadata, source, key: self.key, sha256, left_out }
    }

    /// Names the origin of weights that were made in memory.
    #[must_use]
    pub fn with_source(mut self, source: &str) -> Weights {
        source.clone_into(&mut self.source);
        self
    }

    /// Replaces the metadata: facts about the weights, not part of the key.
    #[must_use]
    pub fn with_metadata(mut self, metadata: BTreeMap<String, String>) -> Weights {
        self.metadata = metadata;
        self
    }

    /// The tensor of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// All names in byte order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// All tensors in byte order of their names.
    #[must_use]
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// The content key: of the file's bytes, or of the tensors when they were made in memory.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// Where the weights came from, for messages and provenance: a path, `embedded NAME`, or `memory`.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The SHA-256 of the file, in hexadecimal; none for weights made in memory.
    #[must_use]
    pub fn sha256(&self) -> Option<&str> {
        self.sha256.as_deref()
    }

    /// What was in the file and is not among the tensors: a checkpoint's `epoch`, `optimizer` and so on, told for
    /// people.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// What the file says about itself: the metadata of a safetensors file, empty for a torch file.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(name: &str, shape: &[usize], values: &[f32]) -> Weights {
        let tensor = Tensor { shape: shape.to_vec(), values: values.to_vec() };
        Weights::from_tensors(BTreeMap::from([(name.to_owned(), tensor)]))
    }

    #[test]
    fn the_key_follows_names_shapes_and_values() {
        let base = weights("a", &[2, 3], &[0.0; 6]);
        assert_eq!(base.key(), weights("a", &[2, 3], &[0.0; 6]).key());
        assert_ne!(base.key(), weights("b", &[2, 3], &[0.0; 6]).key());
        assert_ne!(base.key(), weights("a", &[3, 2], &[0.0; 6]).key());
        assert_ne!(base.key(), weights("a", &[2, 3], &[0.0, 0.0, 0.0, 0.0, 0.0, 1.0]).key());
    }
}
