//! The section `encoder:`: a network that reads images, or features that another program made of them.

use std::fmt;

use oodlab_encoders::EncoderConfig;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The key that says that features were imported.
pub const IMPORTED: &str = "imported";

/// Where features come from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum EncoderSection {
    /// `encoder: {imported: NAME}`: features of `oodlab features import`; no image and no weights are read.
    Imported {
        /// The name under which they were imported.
        imported: String,
    },
    /// A network of this program.
    Network(EncoderConfig),
}

impl<'de> Deserialize<'de> for EncoderSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EncoderSection, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = EncoderSection;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a network with its settings, or {imported: NAME}")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EncoderSection, A::Error> {
                let (mut imported, mut other) = (None, None);
                let rest = WithoutImported { map, imported: &mut imported, other: &mut other };
                let network = EncoderConfig::deserialize(MapAccessDeserializer::new(rest))?;
                match (imported, other) {
                    (None, _) => Ok(EncoderSection::Network(network)),
                    (Some(imported), None) => Ok(EncoderSection::Imported { imported }),
                    (Some(_), Some(other)) => {
                        Err(A::Error::custom(format!("`{IMPORTED}` stands alone: imported features have no `{other}`")))
                    }
                }
            }
        }
        deserializer.deserialize_map(Either)
    }
}

/// A map whose key `imported` is taken out on the way; the rest goes to the network's own type, so that its errors stay.
struct WithoutImported<'a, A> {
    map: A,
    imported: &'a mut Option<String>,
    /// The first other key.
    other: &'a mut Option<String>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for WithoutImported<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.map.next_key::<String>()? {
            if key == IMPORTED {
                *self.imported = Some(self.map.next_value()?);
                continue;
            }
            self.other.get_or_insert_with(|| key.clone());
            return seed.deserialize(key.into_deserializer()).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<EncoderSection, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn either_is_read_and_written_as_it_was() {
        let imported = EncoderSection::Imported { imported: "resnet".into() };
        assert_eq!(read("{imported: resnet}"), Ok(imported.clone()));
        assert_eq!(serde_yaml::to_string(&imported).expect("writes").trim(), "imported: resnet");
        let Ok(EncoderSection::Network(network)) = read("{network: efficientnet-b4, resolution: 380}") else {
            panic!("expected a network");
        };
        assert_eq!((network.network.as_str(), network.resolution), ("efficientnet-b4", Some(380)));
    }

    #[test]
    fn both_at_once_and_unknown_keys_are_refused() {
        assert!(read("{imported: a, resolution: 224}").is_err_and(|told| told.contains("no `resolution`")));
        assert!(read("{resolution: 224, imported: a}").is_err_and(|told| told.contains("no `resolution`")));
        assert!(read("{netwrk: a}").is_err_and(|told| told.contains("netwrk") && told.contains("resolution")));
        assert!(read("{imported: [3]}").is_err());
        assert!(read("imported").is_err());
    }
}
