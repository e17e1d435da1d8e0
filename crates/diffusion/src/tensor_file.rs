//! Named tensors with a header of the caller's own in one safetensors file: stored detectors, checkpoints of small networks.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::DiffusionError;
use crate::parameters::little_endian;

const HEADER: &str = "oodlab-tensors";

/// The values of a tensor to be written, row-major.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// Double precision.
    F64(&'a [f64]),
}

impl<'a> Values<'a> {
    fn bytes(self) -> (Dtype, &'a [u8]) {
        match self {
            Values::F32(values) => (Dtype::F32, little_endian(values)),
            Values::F64(values) => {
                // SAFETY: every byte of an f64 is an initialised u8, u8 has alignment 1, and the length is that of the same memory.
                let bytes =
                    unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), std::mem::size_of_val(values)) };
                (Dtype::F64, bytes)
            }
        }
    }
}

/// Writes tensors (name, shape, values) with a header; equal contents give equal bytes.
///
/// # Errors
/// When a shape does not fit its values, or the header cannot be written as JSON.
pub fn write(header: &impl Serialize, tensors: &[(String, Vec<usize>, Values<'_>)]) -> Result<Vec<u8>, DiffusionError> {
    let header = serde_json::to_string(header).map_err(|error| DiffusionError::Checkpoint(error.to_string()))?;
    let mut views = Vec::with_capacity(tensors.len());
    for (name, shape, values) in tensors {
        let (dtype, bytes) = values.bytes();
        views.push((name.clone(), TensorView::new(dtype, shape.clone(), bytes)?));
    }
    // One metadata entry: safetensors writes several in random order.
    Ok(safetensors::serialize(views, Some(HashMap::from([(HEADER.to_owned(), header)])))?)
}

/// A file that was read; its tensors are taken by name.
pub struct TensorFile<'a>(SafeTensors<'a>);

impl<'a> TensorFile<'a> {
    /// Reads a file and its header. Nothing larger than the bytes is allocated.
    ///
    /// # Errors
    /// When it is not safetensors, or the header is absent or another.
    pub fn read<H: DeserializeOwned>(bytes: &'a [u8]) -> Result<(H, TensorFile<'a>), DiffusionError> {
        let broken = |what: &str| DiffusionError::Checkpoint(what.to_owned());
        let (_, metadata) = SafeTensors::read_metadata(bytes)?;
        let header = metadata.metadata().as_ref().and_then(|map| map.get(HEADER));
        let header = header.ok_or_else(|| broken("no header: this is another kind of file"))?;
        let header = serde_json::from_str(header).map_err(|error| broken(&error.to_string()))?;
        Ok((header, TensorFile(SafeTensors::deserialize(bytes)?)))
    }

    /// The values of an f32 tensor of that shape.
    ///
    /// # Errors
    /// When it is missing, has another shape or type, or holds a value that is not finite.
    pub fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, DiffusionError> {
        let data = self.data(name, shape, Dtype::F32, "F32")?;
        let values = data.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
        finite(name, values.collect(), |value| value.is_finite())
    }

    /// The values of an f64 tensor of that shape.
    ///
    /// # Errors
    /// As [`TensorFile::f32`].
    pub fn f64(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>, DiffusionError> {
        let data = self.data(name, shape, Dtype::F64, "F64")?;
        let values = data.as_chunks::<8>().0.iter().map(|&bytes| f64::from_le_bytes(bytes));
        finite(name, values.collect(), |value| value.is_finite())
    }

    fn data(
        &self,
        name: &str,
        shape: &[usize],
        dtype: Dtype,
        expected: &'static str,
    ) -> Result<&'a [u8], DiffusionError> {
        let name = name.to_owned();
        let Ok(view) = self.0.tensor(&name) else {
            return Err(DiffusionError::MissingParameter { name, expected: shape.to_vec() });
        };
        if view.shape() != shape {
            let (expected, found) = (shape.to_vec(), view.shape().to_vec());
            return Err(DiffusionError::ParameterShape { name, expected, found });
        }
        if view.dtype() != dtype {
            return Err(DiffusionError::ParameterType { name, expected, found: format!("{:?}", view.dtype()) });
        }
        Ok(view.data())
    }
}

fn finite<T>(name: &str, values: Vec<T>, is_finite: impl Fn(&T) -> bool) -> Result<Vec<T>, DiffusionError> {
    if values.iter().all(is_finite) {
        return Ok(values);
    }
    Err(DiffusionError::Checkpoint(format!("tensor {name:?} holds a value that is not finite")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_come_back_and_what_does_not_fit_is_refused() {
        let tensors = [
            ("a".to_owned(), vec![2, 2], Values::F32(&[1.0, -2.0, 0.5, 4.0])),
            ("b".to_owned(), vec![2], Values::F64(&[0.1, 1e300])),
            ("bad".to_owned(), vec![1], Values::F32(&[f32::NAN])),
        ];
        let bytes = write(&"header", &tensors).expect("shapes fit");
        assert!(bytes == write(&"header", &tensors).expect("shapes fit"), "equal contents, equal bytes");
        let (header, file) = TensorFile::read::<String>(&bytes).expect("its own file");
        assert_eq!(header, "header");
        assert_eq!(file.f32("a", &[2, 2]).expect("there"), [1.0, -2.0, 0.5, 4.0]);
        assert_eq!(file.f64("b", &[2]).expect("there"), [0.1, 1e300]);
        assert!(matches!(file.f32("c", &[2]), Err(DiffusionError::MissingParameter { .. })));
        assert!(matches!(file.f32("a", &[4]), Err(DiffusionError::ParameterShape { .. })));
        assert!(matches!(file.f32("b", &[2]), Err(DiffusionError::ParameterType { .. })));
        assert!(file.f32("bad", &[1]).expect_err("a NaN").to_string().contains("\"bad\""));
        assert!(TensorFile::read::<u64>(&bytes).is_err(), "another header");
        for cut in [0, 7, 30, bytes.len() - 1] {
            assert!(TensorFile::read::<String>(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert!(write(&0, &[("a".to_owned(), vec![3], Values::F32(&[1.0]))]).is_err());
    }
}
