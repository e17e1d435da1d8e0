//! Pointwise convolution of planes (NCHW) and its two gradients: three matrix products, each on the calling thread.
//!
//! With pixels as the columns of a matrix, `output = weight · input`, so
//! `input' = weightᵀ · output'` and `weight' = output' · inputᵀ` (a prime marks the gradient of the loss). A dense
//! convolution is the same with unfolded windows for `input`: see [`crate::dense_conv::backward`].
//!
//! The `gemm` crate picks its order of summation by the shapes and this machine's caches: equal calls give equal bits.

use crate::simd::{SizeError, at_least, equal};

const KERNEL: &str = "pointwise convolution of planes";

/// A matrix inside a slice: row r is `values[r · stride ..][.. length]`.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// At least `(count - 1) · stride + length` values, f32.
    pub values: &'a [f32],
    /// Rows.
    pub count: usize,
    /// Columns.
    pub length: usize,
    /// From one row to the next.
    pub stride: usize,
}

impl<'a> Rows<'a> {
    /// Rows that follow each other without a gap.
    #[must_use]
    pub fn dense(values: &'a [f32], count: usize, length: usize) -> Rows<'a> {
        Rows { values, count, length, stride: length }
    }

    fn factor(&self) -> Factor {
        let Rows { values, count, length, stride } = *self;
        Factor { values: values.as_ptr(), rows: count, columns: length, row_stride: stride, column_stride: 1 }
    }

    fn check(&self, what: &'static str) -> Result<(), SizeError> {
        check(what, self.values.len(), self.count, self.length, self.stride)
    }
}

/// A matrix that is written; as [`Rows`].
#[derive(Debug)]
pub struct RowsMut<'a> {
    /// At least `(count - 1) · stride + length` values, f32; what lies between two rows is left alone.
    pub values: &'a mut [f32],
    /// Rows.
    pub count: usize,
    /// Columns.
    pub length: usize,
    /// From one row to the next.
    pub stride: usize,
}

impl<'a> RowsMut<'a> {
    /// Rows that follow each other without a gap.
    #[must_use]
    pub fn dense(values: &'a mut [f32], count: usize, length: usize) -> RowsMut<'a> {
        RowsMut { values, count, length, stride: length }
    }
}

/// Whether a product replaces what its output held or is added to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// The old values are not read.
    Replace,
    /// The product is added.
    Add,
}

/// `output = weight · input`, or that added to `output`.
///
/// # Shapes
/// `weight` `[outputs, inputs]`, `input` `[inputs, pixels]`, `output` `[outputs, pixels]`.
///
/// # Errors
/// When the shapes do not fit, or a slice is too short.
pub fn forward(weight: Rows<'_>, input: Rows<'_>, output: &mut RowsMut<'_>, write: Write) -> Result<(), SizeError> {
    weight.check("length of the weight")?;
    input.check("length of the input")?;
    product(weight.factor(), input.factor(), output, write)
}

/// `input_gradient = weightᵀ · output_gradient`.
///
/// # Shapes
/// As [`forward`].
///
/// # Errors
/// When the shapes do not fit, or a slice is too short.
pub fn input_gradient(
    weight: Rows<'_>,
    output_gradient: Rows<'_>,
    input_gradient: &mut RowsMut<'_>,
) -> Result<(), SizeError> {
    weight.check("length of the weight")?;
    output_gradient.check("length of the output's gradient")?;
    product(weight.factor().transposed(), output_gradient.factor(), input_gradient, Write::Replace)
}

/// `weight_gradient = output_gradient · inputᵀ`, or that added to `weight_gradient`.
///
/// # Shapes
/// As [`forward`].
///
/// # Errors
/// When the shapes do not fit, or a slice is too short.
pub fn weight_gradient(
    input: Rows<'_>,
    output_gradient: Rows<'_>,
    weight_gradient: &mut RowsMut<'_>,
    write: Write,
) -> Result<(), SizeError> {
    input.check("length of the input")?;
    output_gradient.check("length of the output's gradient")?;
    product(output_gradient.factor(), input.factor().transposed(), weight_gradient, write)
}

/// One side of a product, its length checked.
struct Factor {
    values: *const f32,
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl Factor {
    fn transposed(self) -> Factor {
        Factor {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

fn check(what: &'static str, found: usize, count: usize, length: usize, stride: usize) -> Result<(), SizeError> {
    if count > 1 {
        at_least(KERNEL, "stride of the rows", stride, length)?;
    }
    let last = count.saturating_sub(1).saturating_mul(stride);
    at_least(KERNEL, what, found, if count == 0 { 0 } else { last.saturating_add(length) })
}

fn product(left: Factor, right: Factor, output: &mut RowsMut<'_>, write: Write) -> Result<(), SizeError> {
    equal(KERNEL, "rows of the second factor", right.rows, left.columns)?;
    equal(KERNEL, "rows of the product", output.count, left.rows)?;
    equal(KERNEL, "columns of the product", output.length, right.columns)?;
    check("length of the product", output.values.len(), output.count, output.length, output.stride)?;
    // SAFETY: both factors and the output hold all rows that their strides reach, as checked here and by the callers;
    // the output is borrowed mutably, so it overlaps neither factor. A slice's length fits in isize.
    unsafe {
        gemm::gemm(
            output.count,
            output.length,
            left.columns,
            output.values.as_mut_ptr(),
            1,
            output.stride as isize,
            write == Write::Add,
            left.values,
            left.column_stride as isize,
            left.row_stride as isize,
            right.values,
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Rows, RowsMut, Write, forward, input_gradient, weight_gradient};
    use crate::simd::testing::{TOLERANCE, numbers};

    /// `[count, length]` in the first columns of wider rows; the gaps hold NaN.
    fn spread(name: &str, count: usize, length: usize, stride: usize) -> Vec<f32> {
        let mut values = vec![f32::NAN; count * stride];
        for (to, from) in values.chunks_exact_mut(stride).zip(numbers(name, count * length).chunks_exact(length)) {
            to[..length].copy_from_slice(from);
        }
        values
    }

    #[test]
    fn products_of_strided_rows_agree_with_their_sums() {
        for (outputs, inputs, pixels) in [(1, 1, 1), (3, 5, 7), (17, 33, 1), (1, 40, 65), (64, 48, 49), (5, 2, 300)] {
            let (weight, input) = (spread("w", outputs, inputs, inputs + 3), spread("x", inputs, pixels, pixels + 2));
            let gradient = spread("g", outputs, pixels, pixels + 1);
            let weight_rows = Rows { values: &weight, count: outputs, length: inputs, stride: inputs + 3 };
            let input_rows = Rows { values: &input, count: inputs, length: pixels, stride: pixels + 2 };
            let gradient_rows = Rows { values: &gradient, count: outputs, length: pixels, stride: pixels + 1 };
            let w = |o: usize, i: usize| f64::from(weight[o * (inputs + 3) + i]);
            let x = |i: usize, p: usize| f64::from(input[i * (pixels + 2) + p]);
            let g = |o: usize, p: usize| f64::from(gradient[o * (pixels + 1) + p]);
            let label = format!("{outputs} × {inputs} × {pixels}");

            let mut output = vec![0.25; outputs * pixels];
            forward(weight_rows, input_rows, &mut RowsMut::dense(&mut output, outputs, pixels), Write::Add)
                .expect("fits");
            let want = (0..outputs * pixels)
                .map(|at| 0.25 + (0..inputs).map(|i| w(at / pixels, i) * x(i, at % pixels)).sum::<f64>());
            TOLERANCE.compare(output.iter().map(|&v| f64::from(v)), want).assert(&label);

            let mut back = vec![f32::NAN; inputs * pixels];
            input_gradient(weight_rows, gradient_rows, &mut RowsMut::dense(&mut back, inputs, pixels)).expect("fits");
            let want =
                (0..inputs * pixels).map(|at| (0..outputs).map(|o| w(o, at / pixels) * g(o, at % pixels)).sum::<f64>());
            TOLERANCE.compare(back.iter().map(|&v| f64::from(v)), want).assert(&label);

            let mut slope = vec![f32::NAN; outputs * inputs];
            let mut rows = RowsMut::dense(&mut slope, outputs, inputs);
            weight_gradient(input_rows, gradient_rows, &mut rows, Write::Replace).expect("fits");
            let want =
                (0..outputs * inputs).map(|at| (0..pixels).map(|p| g(at / inputs, p) * x(at % inputs, p)).sum::<f64>());
            TOLERANCE.compare(slope.iter().map(|&v| f64::from(v)), want).assert(&label);
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        let values = [0.0; 12];
        let rows = |count, length, stride| Rows { values: &values, count, length, stride };
        let run = |weight, input, count, length| {
            forward(weight, input, &mut RowsMut::dense(&mut [0.0; 8], count, length), Write::Replace)
        };
        assert!(run(rows(2, 3, 3), rows(3, 4, 4), 2, 4).is_ok());
        assert!(run(rows(2, 3, 3), rows(2, 4, 4), 2, 4).is_err());
        assert!(run(rows(2, 3, 3), rows(3, 4, 5), 2, 4).is_err());
        assert!(run(rows(2, 3, 2), rows(3, 4, 4), 2, 4).is_err());
        assert!(run(rows(2, 3, 3), rows(3, 4, 4), 3, 4).is_err());
        assert!(run(rows(3, 3, 3), rows(3, 4, 4), 3, 4).is_err());
        assert!(run(rows(2, usize::MAX, usize::MAX), rows(usize::MAX, 4, 4), 2, 4).is_err());
    }
}
