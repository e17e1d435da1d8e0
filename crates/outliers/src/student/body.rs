//! The student itself: what turns samples into features and class scores.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use oodlab_base::Seed;
use oodlab_diffusion::tensor_file::TensorFile;
use oodlab_encoders::EncoderConfig;
use oodlab_encoders::network::{Network, Role};
use oodlab_encoders::plain::{Mode, PlainNetwork};
use oodlab_encoders::weights::{self, Weights};
use serde::{Deserialize, Serialize};

use super::StudentNetwork;
use crate::OutlierError;
use crate::parameters::{Linear, Maker, Parameter};

/// Name, shape and values of a tensor.
pub(super) type Named = (String, Vec<usize>, Vec<f32>);

/// The sizes of a student.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shape {
    pub network: StudentNetwork,
    /// Values of a sample as the body reads it: of features, or of an image after resizing.
    pub dim: usize,
    /// `head`: width of the feature.
    pub hidden: usize,
    pub classes: usize,
}

/// A student with its weights.
pub(super) struct Body {
    shape: Shape,
    kind: Kind,
    trained: Vec<Parameter>,
}

enum Kind {
    Head { feature: Linear, classifier: Linear },
    Network(Box<PlainNetwork>),
}

impl Body {
    /// As it begins: a head as torch's linear layers, a network as torchvision's (He et al., 2015, by fan-out).
    pub fn new(shape: Shape, seed: Seed, dtype: DType) -> Result<Body, OutlierError> {
        match shape.network.name() {
            None => {
                let mut make = Maker::new(seed, dtype);
                let feature = Linear::new(&mut make, "feature", shape.dim, shape.hidden)?;
                let classifier = Linear::new(&mut make, "classifier", shape.hidden, shape.classes)?;
                Ok(Body { shape, kind: Kind::Head { feature, classifier }, trained: make.finish() })
            }
            Some(name) => Body::of_network(shape, name, &initial_weights(name, shape.classes, seed)),
        }
    }

    fn of_network(shape: Shape, name: &str, weights: &Weights) -> Result<Body, OutlierError> {
        let config = EncoderConfig { network: name.to_owned(), ..EncoderConfig::default() };
        let network = PlainNetwork::trainable(&config, weights)?;
        let trained = network.parameters().into_iter().map(|(name, var)| Parameter { name, var }).collect();
        Ok(Body { shape, kind: Kind::Network(Box::new(network)), trained })
    }

    /// With the values that [`Body::state`] gave, under names with a prefix.
    pub fn read(shape: Shape, file: &TensorFile<'_>, prefix: &str) -> Result<Body, OutlierError> {
        let fresh = Body::new(shape, Seed(0), DType::F32)?;
        let mut values = Vec::new();
        for (name, shape, _) in fresh.state()? {
            let found = file.f32(&format!("{prefix}{name}"), &shape)?;
            values.push((name, shape, found));
        }
        fresh.with_state(values)
    }

    /// With other values of the same names and shapes.
    pub fn with_state(self, values: Vec<Named>) -> Result<Body, OutlierError> {
        match self.shape.network.name() {
            None => {
                for (parameter, (_, _, values)) in self.trained.iter().zip(&values) {
                    parameter.set(values)?;
                }
                Ok(self)
            }
            Some(name) => {
                let tensor = |(name, shape, values)| (name, weights::Tensor { shape, values });
                let tensors: BTreeMap<_, _> = values.into_iter().map(tensor).collect();
                Body::of_network(self.shape, name, &Weights::from_tensors(tensors).with_source("a stored student"))
            }
        }
    }

    /// Everything that its answers depend on, in a fixed order.
    pub fn state(&self) -> Result<Vec<Named>, OutlierError> {
        match &self.kind {
            Kind::Head { .. } => {
                let one = |p: &Parameter| Ok((p.name.clone(), p.var.dims().to_vec(), p.values()?));
                self.trained.iter().map(one).collect()
            }
            Kind::Network(network) => {
                let weights = network.to_weights()?;
                let one = |(name, tensor): (&String, &weights::Tensor)| {
                    (name.clone(), tensor.shape.clone(), tensor.values.clone())
                };
                Ok(weights.tensors().iter().map(one).collect())
            }
        }
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Width of its feature.
    pub fn width(&self) -> usize {
        match self.shape.network.name().and_then(Network::named) {
            Some(network) => network.penultimate(),
            None => self.shape.hidden,
        }
    }

    /// What the optimiser changes.
    pub fn trained(&self) -> &[Parameter] {
        &self.trained
    }

    /// Features `[rows, width]` and class scores `[rows, classes]` of `x` `[rows, dim]`.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<(Tensor, Tensor), OutlierError> {
        match &self.kind {
            Kind::Head { feature, classifier } => {
                let features = feature.forward(x)?.relu()?;
                let logits = classifier.forward(&features)?;
                Ok((features, logits))
            }
            Kind::Network(network) => {
                let side = ((self.shape.dim / 3) as f64).sqrt().round() as usize;
                let output = network.forward(&x.reshape((x.dim(0)?, 3, side, side))?, mode)?;
                match (output.penultimate, output.logits) {
                    (Some(features), Some(logits)) => Ok((features, logits)),
                    _ => Err(OutlierError::Stored { what: "student", problem: "no classifier".to_owned() }),
                }
            }
        }
    }

    /// Weight `[classes, width]` and bias `[classes]` of the classifier.
    pub fn classifier(&self) -> Result<(Vec<f32>, Vec<f32>), OutlierError> {
        let name = match self.shape.network.name().and_then(Network::named) {
            Some(network) => network.classifier.name.clone(),
            None => "classifier".to_owned(),
        };
        let find = |part: &str| {
            let name = format!("{name}.{part}");
            let found = self.trained.iter().find(|parameter| parameter.name == name);
            found
                .ok_or_else(|| OutlierError::Stored { what: "student", problem: format!("no tensor {name:?}") })?
                .values()
                .map_err(OutlierError::from)
        };
        Ok((find("weight")?, find("bias")?))
    }
}

/// The state dictionary of a network that has learned nothing yet.
fn initial_weights(name: &str, classes: usize, seed: Seed) -> Weights {
    let mut tensors = BTreeMap::new();
    let network = Network::named(name);
    let head = network.iter().flat_map(|network| network.head_units(classes)).map(|unit| unit.name).collect::<Vec<_>>();
    let units = network.iter().flat_map(|network| network.units().into_iter().chain(network.head_units(classes)));
    for parameter in units.flat_map(|unit| unit.state()) {
        let mut values = vec![0.0; parameter.elements()];
        let stream = seed.stream(&format!("initialisation {}", parameter.name));
        let in_head = head.iter().any(|unit| parameter.name.starts_with(unit.as_str()));
        match parameter.role {
            Role::Weight | Role::Bias if in_head => {
                let inputs = network.as_ref().map_or(1, Network::penultimate) as f32;
                oodlab_kernels::uniform::fill(stream, 0, &mut values);
                values.iter_mut().for_each(|x| *x = (2.0 * *x - 1.0) / inputs.sqrt());
            }
            Role::Weight => {
                // Outputs times the window: the fan-out.
                let window: usize = parameter.shape.iter().skip(2).product();
                let fan_out = parameter.shape.first().copied().unwrap_or(1) * window;
                let deviation = (2.0 / fan_out.max(1) as f32).sqrt();
                oodlab_kernels::normal::fill(stream, 0, &mut values);
                values.iter_mut().for_each(|x| *x *= deviation);
            }
            Role::NormWeight | Role::RunningVariance => values.fill(1.0),
            Role::Bias | Role::NormBias | Role::RunningMean | Role::Counter => {}
        }
        tensors.insert(parameter.name, weights::Tensor { shape: parameter.shape, values });
    }
    Weights::from_tensors(tensors).with_source("a new student")
}

/// Rows as a tensor.
pub(super) fn matrix(values: Vec<f32>, width: usize, dtype: DType) -> Result<Tensor, OutlierError> {
    let rows = values.len() / width.max(1);
    Ok(Tensor::from_vec(values, (rows, width), &Device::Cpu)?.to_dtype(dtype)?)
}
