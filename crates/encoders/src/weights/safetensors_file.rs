//! Safetensors files in.

use std::collections::BTreeMap;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};

use super::{Tensor, WeightError};

type Contents = (BTreeMap<String, Tensor>, BTreeMap<String, String>);

/// Reads all tensors and the metadata. The crate's parser checks every offset against the bytes at hand, so a lying
/// header costs no more memory than the header's own length.
pub(super) fn decode(file: &str, bytes: &[u8]) -> Result<Contents, WeightError> {
    let malformed = |error: safetensors::SafeTensorError| {
        WeightError::malformed(file, format!("expected safetensors or a torch file ({error})"))
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(malformed)?;
    let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    let view = SafeTensors::deserialize(bytes).map_err(malformed)?;
    let mut tensors = BTreeMap::new();
    for (name, tensor) in view.tensors() {
        let values = values(tensor.dtype(), tensor.data()).ok_or_else(|| {
            WeightError::malformed(
                file,
                format!("tensor `{name}` has the type {:?}, which weights do not use", tensor.dtype()),
            )
        })?;
        tensors.insert(name, Tensor { shape: tensor.shape().to_vec(), values });
    }
    Ok((tensors, metadata))
}

/// The elements as f32; none for a type that is not read.
fn values(dtype: Dtype, data: &[u8]) -> Option<Vec<f32>> {
    Some(match dtype {
        Dtype::F32 => each(data, f32::from_le_bytes),
        Dtype::F16 => each(data, |bytes| f16::from_le_bytes(bytes).to_f32()),
        Dtype::BF16 => each(data, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        Dtype::F64 => each(data, |bytes| f64::from_le_bytes(bytes) as f32),
        Dtype::I64 => each(data, |bytes| i64::from_le_bytes(bytes) as f32),
        Dtype::I32 => each(data, |bytes| i32::from_le_bytes(bytes) as f32),
        Dtype::I16 => each(data, |bytes| f32::from(i16::from_le_bytes(bytes))),
        Dtype::I8 => each(data, |bytes| f32::from(i8::from_le_bytes(bytes))),
        Dtype::U8 | Dtype::BOOL => each(data, |[byte]| f32::from(byte)),
        _ => return None,
    })
}

/// Converts each run of `N` bytes.
fn each<const N: usize>(data: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    data.as_chunks::<N>().0.iter().map(|bytes| convert(*bytes)).collect()
}
