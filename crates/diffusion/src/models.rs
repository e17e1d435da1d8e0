//! Several models of one network in one safetensors file, with a header of the caller's own.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::checkpoint::flat;
use crate::parameters::little_endian;
use crate::{DiffusionError, LfdnConfig, Parameters};

const HEADER: &str = "oodlab-models";

/// One metadata entry, not two: safetensors writes several in random order, and equal models must give equal bytes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    network: LfdnConfig,
    header: String,
}

/// Writes models under their names (tensors `<name>.<published name>`), flat vectors under theirs, and a header text.
///
/// # Errors
/// When there is no model, or they have different sizes.
pub fn write(
    header: &str,
    models: &[(&str, &Parameters)],
    vectors: &[(&str, &[f32])],
) -> Result<Vec<u8>, DiffusionError> {
    let broken = |what: &str| DiffusionError::Checkpoint(what.to_owned());
    let (_, first) = models.first().ok_or_else(|| broken("no model to write"))?;
    let config = first.config();
    if models.iter().any(|(_, model)| model.config() != config) {
        return Err(broken("models of different sizes in one file"));
    }
    let header = Header { network: config, header: header.to_owned() };
    let header = serde_json::to_string(&header).map_err(|error| broken(&error.to_string()))?;
    let mut views = Vec::new();
    for (name, model) in models {
        views.extend(model.views(&format!("{name}."))?);
    }
    for (name, values) in vectors {
        let view = TensorView::new(Dtype::F32, vec![values.len()], little_endian(values))?;
        views.push(((*name).to_owned(), view));
    }
    Ok(safetensors::serialize(views, Some(HashMap::from([(HEADER.to_owned(), header)])))?)
}

/// What a file of models holds: header, models and flat vectors, each in the order in which they were asked for.
pub type Found = (String, Vec<Parameters>, Vec<Vec<f32>>);

/// Reads the header, and the models and flat vectors of these names.
///
/// # Errors
/// When it is not such a file, or a tensor is missing or has another shape or type.
pub fn read(bytes: &[u8], names: &[&str], vectors: &[&str]) -> Result<Found, DiffusionError> {
    let broken = |what: &str| DiffusionError::Checkpoint(what.to_owned());
    let (_, metadata) = SafeTensors::read_metadata(bytes)?;
    let header = metadata.metadata().as_ref().and_then(|map| map.get(HEADER));
    let header = header.ok_or_else(|| broken("no header: this is another kind of file"))?;
    let Header { network, header } = serde_json::from_str(header).map_err(|error| broken(&error.to_string()))?;
    let file = SafeTensors::deserialize(bytes)?;
    let models = names.iter().map(|name| Parameters::from_views(network, &file, &format!("{name}.")));
    let models = models.collect::<Result<Vec<_>, _>>()?;
    let vectors = vectors.iter().map(|name| flat(&file, name)).collect::<Result<Vec<_>, _>>()?;
    Ok((header, models, vectors))
}

#[cfg(test)]
mod tests {
    use super::*;
    use oodlab_base::Seed;

    #[test]
    fn models_come_back_and_foreign_files_do_not() {
        let config = LfdnConfig::new(4, 6, 1);
        let [a, b] = [1, 2].map(|seed| Parameters::initialise(config, Seed(seed)).expect("small sizes"));
        let vector = [1.0, -0.5, f32::MIN_POSITIVE];
        let written = || write("{}", &[("a", &a), ("b", &b)], &[("extra", &vector)]).expect("one size");
        let bytes = written();
        assert!(bytes == written(), "equal models, equal bytes");
        let (header, models, vectors) = read(&bytes, &["b", "a"], &["extra"]).expect("its own file");
        assert_eq!((header.as_str(), models), ("{}", vec![b.clone(), a.clone()]));
        assert_eq!(vectors, [vector]);
        assert!(read(&bytes, &["c"], &[]).is_err() && read(&bytes, &["a"], &["other"]).is_err());
        assert!(read(&a.to_bytes().expect("a file"), &["a"], &[]).is_err());
        assert!(read(&bytes[..bytes.len() - 1], &["a"], &[]).is_err());
        let other = Parameters::zeros(LfdnConfig { dim: 5, ..config }).expect("small sizes");
        assert!(write("", &[("a", &a), ("b", &other)], &[]).is_err() && write("", &[], &[]).is_err());
    }
}
