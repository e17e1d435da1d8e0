//! The one error that most kernels share: buffers whose lengths do not fit together.

/// A buffer whose length does not fit the others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kernel}: {buffer} must hold {expected} values, but holds {found}")]
pub struct ShapeError {
    /// The kernel that refused.
    pub kernel: &'static str,
    /// The buffer in question.
    pub buffer: &'static str,
    /// Its length as the other buffers imply it.
    pub expected: usize,
    /// Its length.
    pub found: usize,
}

/// Refuses a buffer of another length than expected.
///
/// # Errors
/// When `found` differs from `expected`.
pub fn expect(kernel: &'static str, buffer: &'static str, expected: usize, found: usize) -> Result<(), ShapeError> {
    if expected == found { Ok(()) } else { Err(ShapeError { kernel, buffer, expected, found }) }
}
