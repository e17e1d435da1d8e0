//! What products are computed with.

use crate::simd::InstructionSet;

/// Instruction set and precision of products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    set: InstructionSet,
    half: bool,
}

impl Numbers {
    /// Single precision.
    #[must_use]
    pub fn single(set: InstructionSet) -> Numbers {
        Numbers { set, half: false }
    }

    /// Factors rounded to bfloat16 (8 bits), sums in single precision; none where the processor has no fast products of
    /// them ([`crate::simd::has_bf16`]).
    #[must_use]
    pub fn half() -> Option<Numbers> {
        crate::simd::has_bf16().then(|| Numbers { set: InstructionSet::detect(), half: true })
    }

    /// The instructions for everything but products.
    #[must_use]
    pub fn set(self) -> InstructionSet {
        self.set
    }

    /// Whether factors are rounded.
    #[must_use]
    pub fn is_half(self) -> bool {
        self.half
    }
}
