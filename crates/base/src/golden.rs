//! Golden files: expected numbers, written by independent programs, as safetensors with their settings as metadata.

use std::collections::BTreeMap;

use safetensors::tensor::Dtype;

use crate::tolerance::Comparison;

/// One golden file in memory. Its name's stem says its kind.
#[derive(Debug, Clone)]
pub struct GoldenFile {
    /// File name without folder and extension.
    pub stem: String,
    /// Settings; values are JSON texts.
    pub metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, GoldenTensor>,
}

/// A tensor of a golden file, widened to f64.
#[derive(Debug, Clone, PartialEq)]
pub struct GoldenTensor {
    /// Extent of each axis; row-major.
    pub shape: Vec<usize>,
    /// Values.
    pub values: Vec<f64>,
}

impl GoldenTensor {
    /// The values as f32, the type in which most are stored.
    #[must_use]
    pub fn f32(&self) -> Vec<f32> {
        self.values.iter().map(|&x| x as f32).collect()
    }
}

/// A golden file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// Not a safetensors file.
    #[error("{stem}: not a readable safetensors file: {source}")]
    Format {
        /// File stem.
        stem: String,
        /// What the parser said.
        source: safetensors::SafeTensorError,
    },
    /// A tensor that the check needs is absent.
    #[error("{stem}: no tensor {name:?}")]
    Missing {
        /// File stem.
        stem: String,
        /// Tensor name.
        name: String,
    },
    /// Metadata absent or not of the expected form.
    #[error("{stem}: metadata {name:?} is missing or malformed")]
    Metadata {
        /// File stem.
        stem: String,
        /// Metadata name.
        name: String,
    },
    /// A dtype that no golden file uses.
    #[error("{stem}: tensor {name:?} has unsupported type {dtype}")]
    Dtype {
        /// File stem.
        stem: String,
        /// Tensor name.
        name: String,
        /// Its type.
        dtype: String,
    },
}

impl GoldenFile {
    /// Reads a safetensors file.
    ///
    /// # Errors
    /// When the bytes are not safetensors, or hold a type other than F32, F64, I64 or U8.
    pub fn parse(stem: &str, bytes: &[u8]) -> Result<GoldenFile, GoldenError> {
        let format = |source| GoldenError::Format { stem: stem.to_owned(), source };
        let (_, header) = safetensors::SafeTensors::read_metadata(bytes).map_err(format)?;
        let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        let file = safetensors::SafeTensors::deserialize(bytes).map_err(format)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            let data = view.data();
            let values = match view.dtype() {
                Dtype::F32 => words(data).map(|b| f64::from(f32::from_le_bytes(b))).collect(),
                Dtype::F64 => words(data).map(f64::from_le_bytes).collect(),
                Dtype::I64 => words(data).map(|b| i64::from_le_bytes(b) as f64).collect(),
                Dtype::U8 => data.iter().map(|&b| f64::from(b)).collect(),
                other => {
                    return Err(GoldenError::Dtype { stem: stem.to_owned(), name, dtype: format!("{other:?}") });
                }
            };
            tensors.insert(name, GoldenTensor { shape: view.shape().to_vec(), values });
        }
        Ok(GoldenFile { stem: stem.to_owned(), metadata, tensors })
    }

    /// The tensor of that name.
    ///
    /// # Errors
    /// When it is absent.
    pub fn tensor(&self, name: &str) -> Result<&GoldenTensor, GoldenError> {
        self.tensors.get(name).ok_or_else(|| GoldenError::Missing { stem: self.stem.clone(), name: name.to_owned() })
    }

    /// All tensors whose names begin with `prefix`, the prefix cut off, in byte order.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a GoldenTensor)> {
        self.tensors.iter().filter_map(move |(name, tensor)| Some((name.strip_prefix(prefix)?, tensor)))
    }

    /// A setting, parsed from its JSON text.
    ///
    /// # Errors
    /// When it is absent or of another type.
    pub fn setting<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, GoldenError> {
        self.metadata
            .get(name)
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| GoldenError::Metadata { stem: self.stem.clone(), name: name.to_owned() })
    }
}

fn words<const N: usize>(data: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    data.as_chunks::<N>().0.iter().copied()
}

/// One line of `oodlab verify`.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Within the tolerance.
    Pass(Comparison),
    /// Outside it; `what` names the quantity.
    Fail {
        /// The quantity that failed.
        what: String,
        /// The comparison that failed.
        comparison: Comparison,
    },
    /// Not run: what it needs is not at hand.
    Skipped {
        /// What is needed.
        needs: String,
    },
}

/// Collects the comparisons of one golden file into its outcome: the first failure, or the comparison nearest to failing.
#[derive(Debug, Default)]
pub struct Findings(Vec<(String, Comparison)>);

impl Findings {
    /// Nothing compared yet.
    #[must_use]
    pub fn new() -> Findings {
        Findings::default()
    }

    /// Adds one comparison.
    pub fn add(&mut self, what: impl Into<String>, comparison: Comparison) {
        self.0.push((what.into(), comparison));
    }

    /// The outcome; a file of which nothing was compared is skipped.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        let share = |c: &Comparison| {
            c.worst / (c.tolerance.absolute + c.tolerance.relative * c.want.abs()).max(f64::MIN_POSITIVE)
        };
        let mut nearest: Option<Comparison> = None;
        for (what, comparison) in self.0 {
            if !comparison.pass {
                return Outcome::Fail { what, comparison };
            }
            if nearest.is_none_or(|best| share(&comparison) > share(&best)) {
                nearest = Some(comparison);
            }
        }
        nearest.map_or(Outcome::Skipped { needs: "a tensor to compare".into() }, Outcome::Pass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tolerance;

    #[test]
    fn rubbish_is_an_error() {
        for bytes in [&b""[..], b"rubbish", &[255; 64]] {
            assert!(matches!(GoldenFile::parse("x", bytes), Err(GoldenError::Format { .. })));
        }
    }

    #[test]
    fn the_outcome_is_the_failure_or_the_tightest_pass() {
        let mut findings = Findings::new();
        findings.add("near", Tolerance::SINGLE.compare_f32(&[9e-6], &[0.0]));
        findings.add("far", Tolerance::absolute("1e-1", 1e-1).compare_f32(&[1e-3], &[0.0]));
        assert!(matches!(findings.outcome(), Outcome::Pass(c) if c.tolerance.name == "1e-5"));
        let mut findings = Findings::new();
        findings.add("bad", Tolerance::EXACT.compare_f32(&[1.0], &[2.0]));
        assert!(matches!(findings.outcome(), Outcome::Fail { what, .. } if what == "bad"));
        assert!(matches!(Findings::new().outcome(), Outcome::Skipped { .. }));
    }
}
