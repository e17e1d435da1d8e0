//! What a network does: steps over numbered maps.

use oodlab_kernels::dense_conv::Padding;
use oodlab_kernels::simd::Activation;

use super::unit::Unit;

/// The number of a map. Map 0 holds the normalised image; a step reads some maps and writes one.
pub type Slot = usize;

/// One step of a network. Every backend runs the same list.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A convolution with all that follows it.
    Convolve(Convolution),
    /// EfficientNet's block.
    InvertedResidual(Box<InvertedResidual>),
    /// A batch norm that stands alone, with the activation that follows it.
    Normalise {
        /// A [`super::UnitKind::BatchNorm`].
        norm: Unit,
        /// What follows.
        activation: Activation,
        /// Read.
        from: Slot,
        /// Written.
        to: Slot,
    },
    /// Maximum or average of windows.
    Pool(WindowPool),
    /// The parameter-free shortcut of the CIFAR ResNets (option A): every `stride`-th pixel, zero channels on both sides.
    Subsample {
        /// From one pixel that is kept to the next.
        stride: usize,
        /// Zero channels before, and as many behind.
        around: usize,
        /// Read.
        from: Slot,
        /// Written.
        to: Slot,
    },
    /// Patches to tokens: a class token before them, then a position added to all.
    Tokens {
        /// `[1, 1, width]`.
        class_token: Unit,
        /// `[1, tokens, width]`.
        positions: Unit,
        /// Read.
        from: Slot,
        /// Written, `[tokens, 1, width]`.
        to: Slot,
    },
    /// One block of a vision transformer.
    Transform(Box<TransformerBlock>),
    /// A layer norm of every token.
    NormaliseTokens {
        /// A [`super::UnitKind::LayerNorm`].
        norm: Unit,
        /// Read.
        from: Slot,
        /// Written.
        to: Slot,
    },
    /// A map that becomes columns of the feature vector.
    Tap(Tap),
}

/// `to = activation(convolution(from) + bias + residual)`, batch norm between convolution and the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Convolution {
    /// Weight `[outputs, inputs, size, size]`.
    pub unit: Unit,
    /// From one window to the next.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Padding,
    /// What follows, after the residual.
    pub activation: Activation,
    /// Read.
    pub from: Slot,
    /// Written.
    pub to: Slot,
    /// Added before the activation.
    pub residual: Option<Slot>,
    /// Whether the output becomes further channels of `to`, behind those that are there (a dense block).
    pub append: bool,
}

impl Convolution {
    /// Side of the kernel.
    #[must_use]
    pub fn size(&self) -> usize {
        self.unit.shape.last().copied().unwrap_or(1)
    }

    /// Input channels.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.unit.shape.get(1).copied().unwrap_or(0)
    }
}

/// Expansion, depthwise convolution, gate, projection, shortcut; the activation follows the first two.
#[derive(Debug, Clone, PartialEq)]
pub struct InvertedResidual {
    /// The 1×1 convolution that expands, where there is one.
    pub expand: Option<Unit>,
    /// The depthwise convolution, weight `[channels, 1, size, size]`.
    pub depthwise: Unit,
    /// Stride of the depthwise convolution.
    pub stride: usize,
    /// Zeros around the depthwise convolution's input.
    pub padding: Padding,
    /// Squeeze-excitation: reduction (then SiLU) and expansion (then sigmoid); none in Lite.
    pub gate: Option<(Unit, Unit)>,
    /// The 1×1 convolution that projects; nothing follows it.
    pub project: Unit,
    /// Whether the input is added to the output.
    pub residual: bool,
    /// What follows expansion and depthwise convolution.
    pub activation: Activation,
    /// Read.
    pub from: Slot,
    /// Written.
    pub to: Slot,
}

impl InvertedResidual {
    /// Channels in.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.expand.as_ref().map_or_else(|| self.depthwise.outputs(), |unit| unit.shape[1])
    }

    /// Side of the depthwise kernel.
    #[must_use]
    pub fn size(&self) -> usize {
        self.depthwise.shape.last().copied().unwrap_or(1)
    }
}

/// What a window pool takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolKind {
    /// The largest value; padding does not count.
    Max,
    /// The average; never padded here.
    Average,
}

/// Windows of one map.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowPool {
    /// What is taken.
    pub kind: PoolKind,
    /// Side of a window.
    pub size: usize,
    /// From one window to the next.
    pub stride: usize,
    /// Around the input.
    pub padding: Padding,
    /// Read.
    pub from: Slot,
    /// Written.
    pub to: Slot,
}

/// `x += project(attention(qkv(norm1(x)))); x += contract(gelu(expand(norm2(x))))`, on tokens `[tokens, width]`.
#[derive(Debug, Clone, PartialEq)]
pub struct TransformerBlock {
    /// Layer norm before attention.
    pub norm1: Unit,
    /// Linear, `[3 · width, width]`: queries, keys, values, heads inside each.
    pub qkv: Unit,
    /// Linear after attention.
    pub project: Unit,
    /// Layer norm before the two linear layers.
    pub norm2: Unit,
    /// Linear, followed by GELU (exact).
    pub expand: Unit,
    /// Linear.
    pub contract: Unit,
    /// Number of heads.
    pub heads: usize,
    /// Read and written in place.
    pub map: Slot,
}

/// A named map of which a pooled vector is part of the features.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tap {
    /// `stage1`, `block1`.
    pub name: String,
    /// Its channels.
    pub channels: usize,
    /// How many input pixels lie between two of its pixels.
    pub stride: usize,
    /// The map.
    pub from: Slot,
    /// Leading pixels that are left out: the class token.
    pub skip: usize,
}

impl Step {
    /// The units whose tensors it needs, in the order in which they run.
    #[must_use]
    pub fn units(&self) -> Vec<&Unit> {
        match self {
            Step::Convolve(step) => vec![&step.unit],
            Step::InvertedResidual(step) => {
                let mut units: Vec<&Unit> = step.expand.iter().collect();
                units.push(&step.depthwise);
                if let Some((reduce, expand)) = &step.gate {
                    units.extend([reduce, expand]);
                }
                units.push(&step.project);
                units
            }
            Step::Normalise { norm, .. } | Step::NormaliseTokens { norm, .. } => vec![norm],
            Step::Tokens { class_token, positions, .. } => vec![class_token, positions],
            Step::Transform(step) => {
                vec![&step.norm1, &step.qkv, &step.project, &step.norm2, &step.expand, &step.contract]
            }
            Step::Pool(_) | Step::Subsample { .. } | Step::Tap(_) => Vec::new(),
        }
    }
}

impl Step {
    /// The map that it writes; none for a tap.
    #[must_use]
    pub fn writes(&self) -> Option<Slot> {
        match self {
            Step::Convolve(step) => Some(step.to),
            Step::InvertedResidual(step) => Some(step.to),
            Step::Pool(step) => Some(step.to),
            Step::Transform(step) => Some(step.map),
            Step::Normalise { to, .. }
            | Step::Subsample { to, .. }
            | Step::Tokens { to, .. }
            | Step::NormaliseTokens { to, .. } => Some(*to),
            Step::Tap(_) => None,
        }
    }

    /// The maps that it reads.
    #[must_use]
    pub fn reads(&self) -> Vec<Slot> {
        match self {
            Step::Convolve(step) => std::iter::once(step.from).chain(step.residual).collect(),
            Step::InvertedResidual(step) => vec![step.from],
            Step::Pool(step) => vec![step.from],
            Step::Transform(step) => vec![step.map],
            Step::Normalise { from, .. }
            | Step::Subsample { from, .. }
            | Step::Tokens { from, .. }
            | Step::NormaliseTokens { from, .. } => vec![*from],
            Step::Tap(tap) => vec![tap.from],
        }
    }
}
