//! What makes the features of a run: a network with its weights, or another program.

use std::sync::Arc;

use anyhow::Result;
use oodlab_base::{Key, text};
use oodlab_detectors::{Detector, FittedDetector};
use oodlab_encoders::cuda::{CudaEncoderError, CudaNetwork};
use oodlab_encoders::plain::PlainNetwork;
use oodlab_encoders::probe::{Probe, ProbedNetwork};
use oodlab_encoders::weights::Weights;
use oodlab_encoders::{Encoder, EncoderConfig, EncoderError, PIXELS};

use super::Planner;
use crate::config::EncoderSection;
use crate::failure::at;

/// What makes the features of a run.
#[derive(Clone)]
pub enum Backbone {
    /// A network, and where its weights come from.
    Network(Arc<Encoder>, String),
    /// Features under this name, made by another program.
    Imported(String),
}

impl Backbone {
    /// The network's key.
    pub fn key(&self) -> Option<Key> {
        match self {
            Backbone::Network(encoder, _) => Some(encoder.key()),
            Backbone::Imported(_) => None,
        }
    }

    /// The network; none for imported features.
    pub fn network(&self) -> Option<&Encoder> {
        match self {
            Backbone::Network(encoder, _) => Some(encoder),
            Backbone::Imported(_) => None,
        }
    }

    /// How many layers a network of this program has.
    pub fn layers(&self) -> usize {
        match self {
            Backbone::Network(encoder, _) => encoder.layers().len(),
            Backbone::Imported(_) => 0,
        }
    }

    /// Where its weights come from, for people.
    pub fn weights(&self) -> String {
        match self {
            Backbone::Network(_, weights) => weights.clone(),
            Backbone::Imported(name) => format!("imported features {name}"),
        }
    }
}

impl Planner<'_> {
    /// The network that a section names, built once however many runs use it, or the imported features.
    pub(super) fn backbone(&mut self, section: &EncoderSection) -> Result<Backbone> {
        match section {
            EncoderSection::Network(config) => {
                let (encoder, weights) = self.encoder(config)?;
                Ok(Backbone::Network(encoder, weights))
            }
            EncoderSection::Imported { imported } => {
                let known = self.lab.features().encoders()?;
                if known.contains(imported) {
                    return Ok(Backbone::Imported(imported.clone()));
                }
                let hint = text::hint(imported, known.iter().map(String::as_str));
                let how = format!("oodlab features import FILE --encoder {imported} --set SET --split SPLIT");
                let known = if known.is_empty() { "nothing yet".to_owned() } else { known.join(", ") };
                let what = format!("no features were imported as {imported:?}{hint} (imported: {known}); run: {how}");
                Err(at("encoder.imported", &what))
            }
        }
    }

    /// Builds the network on the GPU too, where there is one; what the GPU cannot run stays on the processor.
    fn bring_to_gpu(&mut self, encoder: &Encoder, config: &EncoderConfig, weights: &Weights) -> Result<()> {
        let Some(gpu) = self.lab.gpu.as_ref().filter(|_| config.network != PIXELS) else { return Ok(()) };
        match CudaNetwork::new(gpu, config, weights, None) {
            Ok(network) => {
                self.on_gpu.insert(encoder.key(), Arc::new(network));
            }
            Err(CudaEncoderError::Encoder(error)) => {
                tracing::warn!("{} is encoded on the CPU: {error}", config.network);
            }
            Err(error @ CudaEncoderError::Cuda(_)) => return Err(error.into()),
        }
        Ok(())
    }

    /// The network of a section on the processor, and where its weights come from.
    pub(super) fn encoder(&mut self, config: &EncoderConfig) -> Result<(Arc<Encoder>, String)> {
        let identity = serde_json::to_string(config)?;
        if let Some(known) = self.encoders.get(&identity) {
            return Ok(known.clone());
        }
        let (config, weights) = self.weights_of(config)?;
        let encoder = Encoder::new(&config, &weights).map_err(|error| match error {
            EncoderError::Resolution { .. } => at("encoder.resolution", &error.to_string()),
            EncoderError::Pooling { .. } => at("encoder.pooling", &error.to_string()),
            EncoderError::PixelSetting { setting } => at(&format!("encoder.{setting}"), &error.to_string()),
            EncoderError::Precision => at("encoder.precision", &error.to_string()),
            EncoderError::Normalisation(_) => at("encoder.normalisation", &error.to_string()),
            other => at("encoder.weights", &other.to_string()),
        })?;
        self.bring_to_gpu(&encoder, &config, &weights)?;
        let encoder = Arc::new(encoder);
        let known = (encoder, weights.source().to_owned());
        self.encoders.insert(identity, known.clone());
        Ok(known)
    }

    /// A section with its weights, and with the normalisation that they were trained with.
    fn weights_of(&self, config: &EncoderConfig) -> Result<(EncoderConfig, Weights)> {
        let names = oodlab_encoders::names();
        if !names.contains(&config.network.as_str()) {
            let hint = text::hint(&config.network, names.iter().copied());
            let known = names.join(", ");
            return Err(at("encoder.network", &format!("unknown network {:?}{hint} (known: {known})", config.network)));
        }
        let mut config = config.clone();
        let weights = match config.weights.as_deref() {
            Some("embedded") => Weights::embedded(&config.network).ok_or_else(|| {
                at("encoder.weights", &format!("the program carries no weights of {}", config.network))
            })??,
            named => {
                let (library, name) = (self.lab.weights()?, named.unwrap_or(&config.network));
                let (found, known) =
                    library.find_known(name).map_err(|error| at("encoder.weights", &error.to_string()))?;
                // What the weights were trained with, unless the experiment says otherwise.
                let trained = known.and_then(|manifest| manifest.normalisation);
                config.normalisation = config.normalisation.or(trained);
                found
            }
        };
        Ok((config, weights))
    }

    /// The network of a section, ready to be looked into; built once however many runs use it.
    pub(super) fn probed(&mut self, probe: &Probe, section: &EncoderSection) -> Result<Option<Arc<ProbedNetwork>>> {
        let EncoderSection::Network(config) = section else { return Ok(None) };
        let section = serde_json::to_string(config)?;
        let identity = format!("{section} {}", serde_json::to_string(probe)?);
        if let Some(known) = self.probes.get(&identity) {
            return Ok(Some(known.clone()));
        }
        let (encoder, _) = self.encoder(config)?;
        let refused = |error: EncoderError| at("detector", &error.to_string());
        let plain = match self.plain.get(&section) {
            Some(plain) => plain.clone(),
            None => {
                let (config, weights) = self.weights_of(config)?;
                let plain = Arc::new(PlainNetwork::new(&config, &weights).map_err(refused)?);
                self.plain.insert(section, plain.clone());
                plain
            }
        };
        let network = Arc::new(ProbedNetwork::new(probe, &encoder, plain).map_err(refused)?);
        self.probes.insert(identity, network.clone());
        Ok(Some(network))
    }

    /// The network of a section on the processor, and the hash of its weights.
    pub fn network(&mut self, config: &EncoderConfig) -> Result<(Arc<Encoder>, Key)> {
        let (_, weights) = self.weights_of(config)?;
        Ok((self.encoder(config)?.0, weights.key()))
    }

    /// The network that a fitted detector looks into, where it does.
    pub fn probe_of(
        &mut self,
        detector: &dyn Detector,
        fitted: &dyn FittedDetector,
        config: &EncoderConfig,
    ) -> Result<Option<Arc<ProbedNetwork>>> {
        match detector.probes().get(fitted.probe()) {
            Some(probe) => self.probed(probe, &EncoderSection::Network(config.clone())),
            None => Ok(None),
        }
    }
}
