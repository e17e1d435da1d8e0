//! The tensors of a network: names and shapes as in its published state dictionary.

/// What a tensor of the state dictionary is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A convolution's or linear layer's weight, or any other trained tensor of several axes.
    Weight,
    /// A convolution's or linear layer's bias.
    Bias,
    /// A norm's factor.
    NormWeight,
    /// A norm's shift.
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

/// What a unit holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitKind {
    /// A convolution or linear layer with a bias of its own.
    Biased,
    /// A convolution without a bias, followed by the batch norm of this name.
    Normed(String),
    /// A convolution with neither.
    Biasless,
    /// A batch norm that stands alone, because an activation lies between it and the convolution before it.
    BatchNorm,
    /// A layer norm.
    LayerNorm,
    /// A single tensor, whose name is the unit's.
    Tensor,
}

/// Tensors that belong together: a layer with the batch norm that follows it, a norm, or a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Name of the layer: `_blocks.3._expand_conv`.
    pub name: String,
    /// Shape of its weight, output channels first.
    pub shape: Vec<usize>,
    /// What it is.
    pub kind: UnitKind,
}

impl Unit {
    /// A layer with a bias.
    pub(super) fn biased(name: impl Into<String>, shape: &[usize]) -> Unit {
        Unit { name: name.into(), shape: shape.to_vec(), kind: UnitKind::Biased }
    }

    /// A layer followed by a batch norm.
    pub(super) fn normed(name: impl Into<String>, shape: &[usize], norm: impl Into<String>) -> Unit {
        Unit { name: name.into(), shape: shape.to_vec(), kind: UnitKind::Normed(norm.into()) }
    }

    /// A convolution with neither bias nor batch norm.
    pub(super) fn biasless(name: impl Into<String>, shape: &[usize]) -> Unit {
        Unit { name: name.into(), shape: shape.to_vec(), kind: UnitKind::Biasless }
    }

    /// A batch norm that stands alone.
    pub(super) fn batch_norm(name: impl Into<String>, channels: usize) -> Unit {
        Unit { name: name.into(), shape: vec![channels], kind: UnitKind::BatchNorm }
    }

    /// A layer norm.
    pub(super) fn layer_norm(name: impl Into<String>, channels: usize) -> Unit {
        Unit { name: name.into(), shape: vec![channels], kind: UnitKind::LayerNorm }
    }

    /// A tensor.
    pub(super) fn tensor(name: impl Into<String>, shape: &[usize]) -> Unit {
        Unit { name: name.into(), shape: shape.to_vec(), kind: UnitKind::Tensor }
    }

    /// Output channels.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// The name of its batch norm, alone or after a convolution.
    #[must_use]
    pub fn norm(&self) -> Option<&str> {
        match &self.kind {
            UnitKind::Normed(norm) => Some(norm),
            UnitKind::BatchNorm => Some(&self.name),
            UnitKind::Biased | UnitKind::Biasless | UnitKind::LayerNorm | UnitKind::Tensor => None,
        }
    }

    /// Its tensors as a network in training holds them.
    #[must_use]
    pub fn state(&self) -> Vec<Parameter> {
        let mut all = Vec::new();
        let mut add = |name: String, shape: &[usize], role| all.push(Parameter { name, shape: shape.to_vec(), role });
        let channels = [self.outputs()];
        match &self.kind {
            UnitKind::Biased => {
                add(format!("{}.weight", self.name), &self.shape, Role::Weight);
                add(format!("{}.bias", self.name), &channels, Role::Bias);
            }
            UnitKind::Normed(_) | UnitKind::Biasless => {
                add(format!("{}.weight", self.name), &self.shape, Role::Weight);
            }
            UnitKind::LayerNorm => {
                add(format!("{}.weight", self.name), &channels, Role::NormWeight);
                add(format!("{}.bias", self.name), &channels, Role::NormBias);
            }
            UnitKind::Tensor => add(self.name.clone(), &self.shape, Role::Weight),
            UnitKind::BatchNorm => {}
        }
        if let Some(norm) = self.norm() {
            add(format!("{norm}.weight"), &channels, Role::NormWeight);
            add(format!("{norm}.bias"), &channels, Role::NormBias);
            add(format!("{norm}.running_mean"), &channels, Role::RunningMean);
            add(format!("{norm}.running_var"), &channels, Role::RunningVariance);
            add(format!("{norm}.num_batches_tracked"), &[], Role::Counter);
        }
        all
    }

    /// Its tensors once batch norms are folded: a weight and a bias (of a batch norm alone: a factor and a shift).
    #[must_use]
    pub fn folded(&self) -> Vec<Parameter> {
        match self.kind {
            UnitKind::Normed(_) | UnitKind::Biasless => Unit { kind: UnitKind::Biased, ..self.clone() }.state(),
            UnitKind::BatchNorm => Unit { kind: UnitKind::LayerNorm, ..self.clone() }.state(),
            UnitKind::Biased | UnitKind::LayerNorm | UnitKind::Tensor => self.state(),
        }
    }
}
