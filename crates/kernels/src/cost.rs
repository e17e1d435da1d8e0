//! What a kernel moves and computes: by this its time is judged.

/// Bytes and operations of one run of a kernel.
///
/// Bytes are those that must cross the memory at least once: every input read, every output written, nothing twice.
/// Operations are multiplications and additions, each counted; an exponential or a root counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Bytes read and written.
    pub bytes: u64,
    /// Floating-point operations.
    pub operations: u64,
}

impl Cost {
    /// `elements` times (4-byte values read and written, operations) of an element.
    #[must_use]
    pub fn elements(elements: usize, values: u64, operations: u64) -> Cost {
        let elements = elements as u64;
        Cost { bytes: elements.saturating_mul(4 * values), operations: elements.saturating_mul(operations) }
    }

    /// A product of `[rows, depth]` and `[depth, columns]` in f32.
    #[must_use]
    pub fn product(rows: usize, columns: usize, depth: usize) -> Cost {
        let [rows, columns, depth] = [rows, columns, depth].map(|size| size as u64);
        let values = rows * depth + depth * columns + rows * columns;
        Cost { bytes: 4 * values, operations: 2 * rows * columns * depth }
    }

    /// Both, one after the other.
    #[must_use]
    pub fn and(self, other: Cost) -> Cost {
        Cost { bytes: self.bytes + other.bytes, operations: self.operations + other.operations }
    }
}
