//! The network's tensors: names and shapes as in EfficientNet-PyTorch's state dictionary.

use super::{Network, STEM_SIZE};

/// What a tensor of the state dictionary is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A convolution's or linear layer's weight.
    Weight,
    /// A convolution's or linear layer's bias.
    Bias,
    /// A batch norm's factor.
    NormWeight,
    /// A batch norm's shift.
    NormBias,
    /// A batch norm's running mean.
    RunningMean,
    /// A batch norm's running variance.
    RunningVariance,
    /// A batch norm's step counter, which inference does not read.
    Counter,
}

impl Role {
    /// Whether training changes it by its gradient.
    #[must_use]
    pub fn is_trained(self) -> bool {
        matches!(self, Role::Weight | Role::Bias | Role::NormWeight | Role::NormBias)
    }
}

/// One tensor of the state dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its shape; empty for a counter.
    pub shape: Vec<usize>,
    /// What it is.
    pub role: Role,
}

impl Parameter {
    /// Number of elements.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A convolution or linear layer with the batch norm that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Name of the convolution: `_blocks.3._expand_conv`.
    pub name: String,
    /// Shape of its weight, output channels first.
    pub shape: Vec<usize>,
    /// Name of its batch norm; a unit without one has a bias of its own.
    pub norm: Option<String>,
}

impl Unit {
    fn new(name: String, shape: &[usize], norm: Option<String>) -> Unit {
        Unit { name, shape: shape.to_vec(), norm }
    }

    /// Its tensors as a network in training holds them.
    #[must_use]
    pub fn state(&self) -> Vec<Parameter> {
        let channels = self.shape.first().copied().unwrap_or(0);
        let parameter = |name: &str, suffix: &str, shape: &[usize], role| Parameter {
            name: format!("{name}.{suffix}"),
            shape: shape.to_vec(),
            role,
        };
        let mut all = vec![parameter(&self.name, "weight", &self.shape, Role::Weight)];
        match &self.norm {
            None => all.push(parameter(&self.name, "bias", &[channels], Role::Bias)),
            Some(norm) => all.extend([
                parameter(norm, "weight", &[channels], Role::NormWeight),
                parameter(norm, "bias", &[channels], Role::NormBias),
                parameter(norm, "running_mean", &[channels], Role::RunningMean),
                parameter(norm, "running_var", &[channels], Role::RunningVariance),
                parameter(norm, "num_batches_tracked", &[], Role::Counter),
            ]),
        }
        all
    }

    /// Its tensors once the batch norm is folded: a weight and a bias.
    #[must_use]
    pub fn folded(&self) -> Vec<Parameter> {
        Unit { norm: None, ..self.clone() }.state()
    }
}

impl Network {
    /// All units of the trunk, in the order in which they run.
    #[must_use]
    pub fn units(&self) -> Vec<Unit> {
        let stem = [self.stem, 3, STEM_SIZE, STEM_SIZE];
        let mut units = vec![Unit::new("_conv_stem".into(), &stem, Some("_bn0".into()))];
        for (index, block) in self.blocks.iter().enumerate() {
            let name = |part: &str| format!("_blocks.{index}.{part}");
            let expanded = block.expanded;
            if block.expands() {
                units.push(Unit::new(name("_expand_conv"), &[expanded, block.inputs, 1, 1], Some(name("_bn0"))));
            }
            let depthwise = [expanded, 1, block.size, block.size];
            units.push(Unit::new(name("_depthwise_conv"), &depthwise, Some(name("_bn1"))));
            if let Some(squeezed) = block.squeezed {
                units.push(Unit::new(name("_se_reduce"), &[squeezed, expanded, 1, 1], None));
                units.push(Unit::new(name("_se_expand"), &[expanded, squeezed, 1, 1], None));
            }
            units.push(Unit::new(name("_project_conv"), &[block.outputs, expanded, 1, 1], Some(name("_bn2"))));
        }
        units
    }

    /// The units of the head, for a number of classes.
    #[must_use]
    pub fn head_units(&self, classes: usize) -> Vec<Unit> {
        let trunk = self.blocks.last().map_or(self.stem, |block| block.outputs);
        vec![
            Unit::new("_conv_head".into(), &[self.head, trunk, 1, 1], Some("_bn1".into())),
            Unit::new("_fc".into(), &[classes, self.head], None),
        ]
    }
}
