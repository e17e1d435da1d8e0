//! Several models of one network in one safetensors file, with a header of the caller's own.

use std::collections::HashMap;

use safetensors::tensor::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::{DiffusionError, LfdnConfig, Parameters};

const HEADER: &str = "oodlab-models";

/// One metadata entry, not two: safetensors writes several in random order, and equal models must give equal bytes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    network: LfdnConfig,
    header: String,
}

/// Writes models under their names (tensors `<name>.<published name>`), with a header text.
///
/// # Errors
/// When there is no model, or they have different sizes.
pub fn write(header: &str, models: &[(&str, &Parameters)]) -> Result<Vec<u8>, DiffusionError> {
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
    Ok(safetensors::serialize(views, Some(HashMap::from([(HEADER.to_owned(), header)])))?)
}

/// Reads the models of these names, and the header.
///
/// # Errors
/// When it is not such a file, or a tensor is missing or has another shape or type.
pub fn read(bytes: &[u8], names: &[&str]) -> Result<(String, Vec<Parameters>), DiffusionError> {
    let broken = |what: &str| DiffusionError::Checkpoint(what.to_owned());
    let (_, metadata) = SafeTensors::read_metadata(bytes)?;
    let header = metadata.metadata().as_ref().and_then(|map| map.get(HEADER));
    let header = header.ok_or_else(|| broken("no header: this is another kind of file"))?;
    let Header { network, header } = serde_json::from_str(header).map_err(|error| broken(&error.to_string()))?;
    let file = SafeTensors::deserialize(bytes)?;
    let models = names.iter().map(|name| Parameters::from_views(network, &file, &format!("{name}.")));
    Ok((header, models.collect::<Result<Vec<_>, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use oodlab_base::Seed;

    #[test]
    fn models_come_back_and_foreign_files_do_not() {
        let config = LfdnConfig::new(4, 6, 1);
        let [a, b] = [1, 2].map(|seed| Parameters::initialise(config, Seed(seed)).expect("small sizes"));
        let bytes = write("{}", &[("a", &a), ("b", &b)]).expect("one size");
        assert!(bytes == write("{}", &[("a", &a), ("b", &b)]).expect("one size"), "equal models, equal bytes");
        let (header, models) = read(&bytes, &["b", "a"]).expect("its own file");
        assert_eq!((header.as_str(), models), ("{}", vec![b.clone(), a.clone()]));
        assert!(read(&bytes, &["c"]).is_err());
        assert!(read(&a.to_bytes().expect("a file"), &["a"]).is_err());
        assert!(read(&bytes[..bytes.len() - 1], &["a"]).is_err());
        let other = Parameters::zeros(LfdnConfig { dim: 5, ..config }).expect("small sizes");
        assert!(write("", &[("a", &a), ("b", &other)]).is_err() && write("", &[]).is_err());
    }
}
