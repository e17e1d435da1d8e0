//! The specification.

use crate::shape::{ShapeError, expect};

/// Which row of a table each row of a batch takes, checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepIndex {
    index: Vec<u32>,
    /// Rows by their step; those of step s lie at `starts[s] .. starts[s + 1]`.
    order: Vec<u32>,
    starts: Vec<u32>,
}

impl StepIndex {
    /// Checks that every index is below `steps`.
    ///
    /// # Errors
    /// When one is not, or there are more than 2^31 rows.
    pub fn new(index: &[u32], steps: usize) -> Result<StepIndex, ShapeError> {
        const KERNEL: &str = "step_rows";
        let rows = index.len().min(i32::MAX as usize);
        expect(KERNEL, "index", rows, index.len())?;
        let mut starts = vec![0u32; steps + 1];
        for &step in index {
            let past = starts.get_mut(step as usize + 1);
            *past.ok_or(ShapeError {
                kernel: KERNEL,
                buffer: "table",
                expected: step as usize + 1,
                found: steps,
            })? += 1;
        }
        for step in 0..steps {
            starts[step + 1] += starts[step];
        }
        let mut order: Vec<u32> = (0..index.len() as u32).collect();
        // Stable: rows of one step stay in order.
        order.sort_by_key(|&row| index[row as usize]);
        Ok(StepIndex { index: index.to_vec(), order, starts })
    }

    /// Rows of the batch.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.index.len()
    }

    /// Rows of the table.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The row of the table that each row takes.
    #[must_use]
    pub fn index(&self) -> &[u32] {
        &self.index
    }

    pub(super) fn lists(&self) -> [&[u32]; 3] {
        [&self.index, &self.order, &self.starts]
    }
}

/// The table's row of every row.
///
/// # Errors
/// When the lengths do not agree.
pub fn gather(index: &StepIndex, table: &[f32], columns: usize, out: &mut [f32]) -> Result<(), ShapeError> {
    expect("step_rows::gather", "table", index.steps() * columns, table.len())?;
    expect("step_rows::gather", "out", index.rows() * columns, out.len())?;
    if columns > 0 {
        for (out, &step) in out.chunks_exact_mut(columns).zip(&index.index) {
            out.copy_from_slice(&table[step as usize * columns..][..columns]);
        }
    }
    Ok(())
}

/// The sum of the rows of every step; zero for a step without rows.
///
/// # Errors
/// When the lengths do not agree.
pub fn sums(index: &StepIndex, values: &[f32], columns: usize, out: &mut [f32]) -> Result<(), ShapeError> {
    expect("step_rows::sums", "values", index.rows() * columns, values.len())?;
    expect("step_rows::sums", "out", index.steps() * columns, out.len())?;
    out.fill(0.0);
    if columns > 0 {
        for (row, &step) in values.chunks_exact(columns).zip(&index.index) {
            out[step as usize * columns..][..columns].iter_mut().zip(row).for_each(|(out, x)| *out += x);
        }
    }
    Ok(())
}
