//! Feature files: safetensors with a tensor `features` [N, D] f32, optionally `logits` [N, C] f32, and `ids`,
//! the sample ids as the UTF-8 bytes of one JSON array. Metadata `layers` is the JSON of the layer spans, `provenance` that of
//! the provenance. A file from another program needs only `features`: one layer and numbered ids are assumed.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::{FeatureError, Features, Layer, Logits};

/// Writes features as safetensors bytes; the same features give the same bytes.
///
/// # Errors
/// When the format refuses a tensor (never for valid features).
pub fn to_bytes(features: &Features) -> Result<Vec<u8>, FeatureError> {
    let format = |error: &dyn std::fmt::Display| FeatureError::Format(error.to_string());
    let bytes_of = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let values = bytes_of(features.values());
    let ids = serde_json::to_vec(features.ids()).map_err(|e| format(&e))?;
    let logits = features.logits().map(|logits| (logits.classes, bytes_of(&logits.values)));
    let rows = features.rows();
    let mut views: BTreeMap<&str, TensorView<'_>> = BTreeMap::new();
    let view =
        |dtype, shape, data| TensorView::new(dtype, shape, data).map_err(|e| FeatureError::Format(e.to_string()));
    views.insert("features", view(Dtype::F32, vec![rows, features.width()], &values)?);
    views.insert("ids", view(Dtype::U8, vec![ids.len()], &ids)?);
    if let Some((classes, values)) = &logits {
        views.insert("logits", view(Dtype::F32, vec![rows, *classes], values)?);
    }
    let layers = serde_json::to_string(features.layers()).map_err(|e| format(&e))?;
    let provenance = serde_json::to_string(&features.provenance).map_err(|e| format(&e))?;
    // One entry only: the format's metadata is a hash map, whose order would reach the bytes.
    let about = serde_json::json!({ "layers": layers, "provenance": provenance }).to_string();
    let metadata = [("oodlab".to_owned(), about)].into_iter().collect();
    safetensors::serialize(views, Some(metadata)).map_err(|e| format(&e))
}

/// Reads features from safetensors bytes.
///
/// # Errors
/// When the bytes are not safetensors, a tensor has another type or shape, or the parts do not fit together.
pub fn from_bytes(bytes: &[u8]) -> Result<Features, FeatureError> {
    let format = |error: &dyn std::fmt::Display| FeatureError::Format(error.to_string());
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| format(&e))?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| format(&e))?;
    let (rows, width, values) = matrix(&file, "features")?;
    let about: BTreeMap<String, String> = match header.metadata().as_ref().and_then(|m| m.get("oodlab")) {
        Some(text) => serde_json::from_str(text).map_err(|e| format(&e))?,
        None => BTreeMap::new(),
    };
    let layers = match about.get("layers") {
        Some(text) => serde_json::from_str(text).map_err(|e| format(&e))?,
        None => Layer::consecutive([("feature", width)]),
    };
    let ids: Vec<String> = match file.tensor("ids") {
        Ok(view) => serde_json::from_slice(view.data()).map_err(|e| format(&e))?,
        Err(_) => (0..rows).map(|row| row.to_string()).collect(),
    };
    if ids.len() != rows {
        return Err(FeatureError::Format(format!("{} ids for {rows} rows", ids.len())));
    }
    let mut features = Features::new(layers, ids, values)?;
    if let Some(text) = about.get("provenance") {
        features.provenance = serde_json::from_str(text).map_err(|e| format(&e))?;
    }
    if file.names().contains(&"logits") {
        let (_, classes, values) = matrix(&file, "logits")?;
        features = features.with_logits(Logits { classes, values })?;
    }
    Ok(features)
}

fn matrix(file: &SafeTensors<'_>, name: &str) -> Result<(usize, usize, Vec<f32>), FeatureError> {
    let view = file.tensor(name).map_err(|_| FeatureError::Format(format!("no tensor {name:?}")))?;
    let &[rows, width] = view.shape() else {
        return Err(FeatureError::Format(format!("{name:?} has shape {:?}, expected [rows, columns]", view.shape())));
    };
    // Such rows take no bytes: their number is not bounded by the file.
    if width == 0 {
        return Err(FeatureError::Format(format!("{name:?} has shape {:?}, expected columns", view.shape())));
    }
    if view.dtype() != Dtype::F32 {
        return Err(FeatureError::Format(format!("{name:?} has type {:?}, expected F32", view.dtype())));
    }
    let values = view.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    Ok((rows, width, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Features {
        let layers = Layer::consecutive([("a", 1), ("b", 1)]);
        let mut features =
            Features::new(layers, vec!["line\nbreak".into(), "ö".into()], vec![1., -0., f32::MIN_POSITIVE, 4.])
                .expect("valid features");
        features.provenance.insert("encoder".into(), "efficientnet-lite0".into());
        features.provenance.insert("pooling".into(), "average".into());
        features.with_logits(Logits { classes: 3, values: vec![0.; 6] }).expect("fits")
    }

    #[test]
    fn a_round_trip_keeps_everything_and_the_bytes_are_stable() {
        let bytes = to_bytes(&sample()).expect("writes");
        assert_eq!(bytes, to_bytes(&sample()).expect("writes"));
        assert_eq!(from_bytes(&bytes).expect("reads"), sample());
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = to_bytes(&sample()).expect("writes");
        for length in 0..bytes.len() {
            assert!(from_bytes(&bytes[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn another_programs_file_needs_only_the_features() {
        let values: Vec<u8> = [1f32, 2.].iter().flat_map(|v| v.to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F32, vec![2, 1], &values).expect("valid view");
        let bytes = safetensors::serialize([("features", view)], None).expect("writes");
        let read = from_bytes(&bytes).expect("reads");
        assert_eq!((read.rows(), read.width(), read.ids()[1].as_str()), (2, 1, "1"));
        let view = TensorView::new(Dtype::F32, vec![1 << 60, 0], &[]).expect("valid view");
        let bytes = safetensors::serialize([("features", view)], None).expect("writes");
        assert!(from_bytes(&bytes).expect_err("no columns").to_string().contains("expected columns"));
    }
}
