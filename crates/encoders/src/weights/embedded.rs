//! The weights inside the program.

use super::{WeightError, Weights};

/// Names and files; `weights/LICENCE.md` says where they come from and how they were made.
const EMBEDDED: [(&str, &[u8]); 1] =
    [("efficientnet-lite0", include_bytes!("../../weights/efficientnet-lite0.safetensors"))];

/// Whether the program carries these weights.
pub(super) fn is_embedded(name: &str) -> bool {
    EMBEDDED.iter().any(|(known, _)| *known == name)
}

impl Weights {
    /// The weights of that name that the program carries, if it does: a trunk (no classifier), batch norms folded, f16.
    #[must_use]
    pub fn embedded(name: &str) -> Option<Result<Weights, WeightError>> {
        let (name, bytes) = EMBEDDED.iter().find(|(known, _)| *known == name)?;
        Some(Weights::decode(&format!("embedded {name}"), bytes))
    }
}
