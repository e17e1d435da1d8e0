//! The same on a GPU.

use super::StepIndex;
use crate::cuda::{Buffer, CudaError, Gpu, Grid, Kernel, Source, narrow, parameters};

const KERNEL: &str = "rows of a step (GPU)";
pub(crate) const SOURCE: Source = Source { name: "step_rows", text: include_str!("kernel.cu") };

parameters!(GatherParameters, 32, { table, index, output } { threads: u32, columns: u32 });
parameters!(StepSumsParameters, 40, { values, order, starts, output } { threads: u32, columns: u32 });

/// A [`StepIndex`] on a GPU: what lies there was checked, so that kernels may follow it.
#[derive(Debug)]
pub struct CudaStepIndex {
    gpu: Gpu,
    lists: [Buffer<u32>; 3],
    rows: usize,
    steps: usize,
}

impl CudaStepIndex {
    /// Copies an index to the GPU.
    ///
    /// # Errors
    /// When the GPU refuses.
    pub fn new(gpu: &Gpu, index: &StepIndex) -> Result<CudaStepIndex, CudaError> {
        let lists = [gpu.zeros(0)?, gpu.zeros(0)?, gpu.zeros(0)?];
        let mut on_gpu = CudaStepIndex { gpu: gpu.clone(), lists, rows: 0, steps: 0 };
        on_gpu.write(index)?;
        Ok(on_gpu)
    }

    /// Copies another index into the same memory, which grows as needed.
    ///
    /// # Errors
    /// When the GPU refuses; then there is no row.
    pub fn write(&mut self, index: &StepIndex) -> Result<(), CudaError> {
        (self.rows, self.steps) = (0, 0);
        for (buffer, list) in self.lists.iter_mut().zip(index.lists()) {
            buffer.reserve(list.len())?;
            buffer.write(list)?;
        }
        (self.rows, self.steps) = (index.rows(), index.steps());
        Ok(())
    }

    /// Rows of the batch.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Rows of the table.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The address of the rows' indices, each below [`CudaStepIndex::steps`], for a kernel of another folder.
    pub(crate) fn index_address(&self, gpu: &Gpu, kernel: &'static str) -> Result<u64, CudaError> {
        gpu.address(kernel, "index of the steps", &self.lists[0], self.rows)
    }

    /// The table's row of every row.
    ///
    /// # Shapes
    /// `table`: at least `[steps, columns]`; `out`: at least `[rows, columns]`.
    ///
    /// # Errors
    /// When a buffer is too short, or the GPU refuses.
    pub fn gather(&self, table: &Buffer<f32>, columns: usize, out: &mut Buffer<f32>) -> Result<(), CudaError> {
        let (of_table, length) = (self.steps.saturating_mul(columns), self.rows.saturating_mul(columns));
        narrow(KERNEL, "length of the table", of_table)?;
        let parameters = GatherParameters {
            table: self.gpu.address(KERNEL, "length of the table", table, of_table)?,
            index: self.index_address(&self.gpu, KERNEL)?,
            output: self.gpu.address(KERNEL, "length of the output", out, length)?,
            threads: narrow(KERNEL, "length of the output", length)?,
            columns: narrow(KERNEL, "columns", columns)?,
        };
        let grid = Grid::Each(parameters.threads);
        // SAFETY: each thread writes one of `length` elements; indices are below `steps`, as checked when they were made.
        unsafe { self.gpu.launch(Kernel { source: SOURCE, name: "gather_steps" }, grid, &parameters) }
    }

    /// The sum of the rows of every step.
    ///
    /// # Shapes
    /// `values`: at least `[rows, columns]`; `out`: at least `[steps, columns]`.
    ///
    /// # Errors
    /// When a buffer is too short, or the GPU refuses.
    pub fn sums(&self, values: &Buffer<f32>, columns: usize, out: &mut Buffer<f32>) -> Result<(), CudaError> {
        let (of_table, length) = (self.steps.saturating_mul(columns), self.rows.saturating_mul(columns));
        narrow(KERNEL, "length of the values", length)?;
        let parameters = StepSumsParameters {
            values: self.gpu.address(KERNEL, "length of the values", values, length)?,
            order: self.gpu.address(KERNEL, "order of the rows", &self.lists[1], self.rows)?,
            starts: self.gpu.address(KERNEL, "starts of the steps", &self.lists[2], self.steps + 1)?,
            output: self.gpu.address(KERNEL, "length of the output", out, of_table)?,
            threads: narrow(KERNEL, "length of the output", of_table)?,
            columns: narrow(KERNEL, "columns", columns)?,
        };
        let grid = Grid::Each(parameters.threads);
        // SAFETY: each thread writes one of `of_table` elements and reads rows below `rows`, as the lists say, which were
        // made from checked indices.
        unsafe { self.gpu.launch(Kernel { source: SOURCE, name: "step_sums" }, grid, &parameters) }
    }
}
