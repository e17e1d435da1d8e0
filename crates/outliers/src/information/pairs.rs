//! A perceptron of one hidden layer asked about every pair of a batch, without holding the pairs' hidden layers: of 128 rows and 256 units those
//! are 17 MB, read and written a dozen times for each gradient; this reads 0.3 MB.

use candle_core::{CpuStorage, CustomOp3, Error, Layout, Result, Shape, Tensor, WithDType};
use rayon::prelude::*;

/// Sums side by side.
const LANES: usize = 16;

/// `[n, m]`: entry (i, j) is `Σ_h v_h relu(y_ih + x_jh)`, of `y` `[n, hidden]`, `x` `[m, hidden]`, `v` `[hidden]`, all f32 or all f64. Sums run in
/// an order of their own, which depends on no number of threads.
pub(super) fn scores(y: &Tensor, x: &Tensor, v: &Tensor) -> Result<Tensor> {
    y.contiguous()?.apply_op3(&x.contiguous()?, &v.contiguous()?, Pairs)
}

struct Pairs;

impl CustomOp3 for Pairs {
    fn name(&self) -> &'static str {
        "critic of pairs"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((rows, hidden), (columns, of_x)) = (l1.shape().dims2()?, l2.shape().dims2()?);
        if (of_x, l3.shape().dims1()?) != (hidden, hidden) {
            return Err(Error::msg("the hidden layers of a pair are of one width"));
        }
        let storage = match s1 {
            CpuStorage::F64(_) => forward::<f64>((s1, l1), (s2, l2), (s3, l3), [columns, hidden])?,
            _ => forward::<f32>((s1, l1), (s2, l2), (s3, l3), [columns, hidden])?,
        };
        Ok((storage, Shape::from((rows, columns))))
    }

    fn bwd(
        &self,
        y: &Tensor,
        x: &Tensor,
        v: &Tensor,
        _scores: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [of_y, of_x, of_v] = match y.dtype() {
            candle_core::DType::F64 => backward::<f64>(y, x, v, gradient)?,
            _ => backward::<f32>(y, x, v, gradient)?,
        };
        Ok((Some(of_y), Some(of_x), Some(of_v)))
    }
}

fn forward<T: WithDType>(
    y: (&CpuStorage, &Layout),
    x: (&CpuStorage, &Layout),
    v: (&CpuStorage, &Layout),
    [columns, hidden]: [usize; 2],
) -> Result<CpuStorage> {
    let (y, x, v) = (slice::<T>(y)?, slice::<T>(x)?, slice::<T>(v)?);
    let mut scores = vec![T::zero(); y.len() / hidden.max(1) * columns];
    scores.par_chunks_mut(columns.max(1)).zip(y.par_chunks(hidden.max(1))).for_each(|(scores, y)| {
        for (score, x) in scores.iter_mut().zip(x.chunks_exact(hidden)) {
            *score = weighed(y, x, v);
        }
    });
    Ok(T::to_cpu_storage_owned(scores))
}

fn slice<'a, T: WithDType>((storage, layout): (&'a CpuStorage, &Layout)) -> Result<&'a [T]> {
    let (start, end) = layout.contiguous_offsets().ok_or_else(|| Error::msg("expected a contiguous tensor"))?;
    storage.as_slice::<T>()?.get(start..end).ok_or_else(|| Error::msg("a tensor ends before its layout"))
}

/// `Σ_h v_h relu(y_h + x_h)`.
fn weighed<T: WithDType>(y: &[T], x: &[T], v: &[T]) -> T {
    let ((y, y_rest), (x, x_rest), (v, v_rest)) =
        (y.as_chunks::<LANES>(), x.as_chunks::<LANES>(), v.as_chunks::<LANES>());
    let mut sums = [T::zero(); LANES];
    for ((y, x), v) in y.iter().zip(x).zip(v) {
        for lane in 0..LANES {
            sums[lane] += v[lane] * relu(y[lane] + x[lane]);
        }
    }
    let mut sum = T::zero();
    for part in sums {
        sum += part;
    }
    for ((&y, &x), &v) in y_rest.iter().zip(x_rest).zip(v_rest) {
        sum += v * relu(y + x);
    }
    sum
}

fn relu<T: WithDType>(x: T) -> T {
    if x > T::zero() { x } else { T::zero() }
}

fn backward<T: WithDType>(y: &Tensor, x: &Tensor, v: &Tensor, gradient: &Tensor) -> Result<[Tensor; 3]> {
    let ((rows, hidden), columns) = (y.dims2()?, x.dim(0)?);
    let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<T>();
    let (ys, xs, vs, slopes) = (values(y)?, values(x)?, values(v)?, values(gradient)?);
    let row = |of: &[T], at: usize| of[at * hidden..(at + 1) * hidden].to_vec();

    // One row of either side belongs to one thread; what they say of v is summed in order.
    let mut of_y = vec![T::zero(); rows * hidden];
    let each: Vec<Vec<T>> = of_y
        .par_chunks_mut(hidden.max(1))
        .enumerate()
        .map(|(i, sums)| {
            let (y, mut of_v) = (row(&ys, i), vec![T::zero(); hidden]);
            for (x, &slope) in xs.chunks_exact(hidden).zip(&slopes[i * columns..]) {
                for (((sum, of_v), &x), &y) in sums.iter_mut().zip(&mut of_v).zip(x).zip(&y) {
                    let unit = y + x;
                    let slope = if unit > T::zero() { slope } else { T::zero() };
                    *sum += slope;
                    *of_v += slope * unit;
                }
            }
            sums.iter_mut().zip(&vs).for_each(|(sum, &v)| *sum *= v);
            of_v
        })
        .collect();
    let mut of_v = vec![T::zero(); hidden];
    for each in &each {
        of_v.iter_mut().zip(each).for_each(|(sum, &part)| *sum += part);
    }
    let mut of_x = vec![T::zero(); columns * hidden];
    of_x.par_chunks_mut(hidden.max(1)).enumerate().for_each(|(j, sums)| {
        let x = row(&xs, j);
        for (y, slopes) in ys.chunks_exact(hidden).zip(slopes.chunks_exact(columns)) {
            for ((sum, &x), &y) in sums.iter_mut().zip(&x).zip(y) {
                *sum += if y + x > T::zero() { slopes[j] } else { T::zero() };
            }
        }
        sums.iter_mut().zip(&vs).for_each(|(sum, &v)| *sum *= v);
    });
    let device = y.device();
    Ok([
        Tensor::from_vec(of_y, (rows, hidden), device)?,
        Tensor::from_vec(of_x, (columns, hidden), device)?,
        Tensor::from_vec(of_v, hidden, device)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// The pairs' hidden layers written out, and their gradients, on widths with and without a rest.
    #[test]
    fn scores_and_gradients_are_those_of_candle() {
        for (rows, columns, hidden) in [(5, 7, 37), (3, 3, 32), (1, 4, 3)] {
            let inputs = [
                testing::normals("y", &[rows, hidden]),
                testing::normals("x", &[columns, hidden]),
                testing::normals("v", &[hidden]),
            ]
            .map(|tensor| candle_core::Var::from_tensor(&tensor).expect("a variable"));
            let [y, x, v] = &inputs;
            let written_out = || -> Result<Tensor> {
                let units = y.unsqueeze(1)?.broadcast_add(&x.unsqueeze(0)?)?.relu()?;
                units.broadcast_mul(v)?.sum(2)
            };
            let found = scores(y, x, v).expect("scores");
            let expected = written_out().expect("scores");
            assert_eq!(found.dims(), [rows, columns]);
            let near = |found: &Tensor, expected: &Tensor| {
                for (a, b) in testing::flat(found).iter().zip(testing::flat(expected)) {
                    assert!((a - b).abs() < 1e-12 * b.abs().max(1.0), "{a} {b}");
                }
            };
            near(&found, &expected);
            let slopes = |scores: Result<Tensor>| {
                let weights = testing::normals("weights", &[rows, columns]);
                scores.and_then(|scores| (scores * weights)?.sum_all()?.backward()).expect("a gradient")
            };
            let (found, expected) = (slopes(Ok(found)), slopes(Ok(expected)));
            for input in &inputs {
                near(found.get(input).expect("reached"), expected.get(input).expect("reached"));
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads_and_other_widths_are_refused() {
        let single = |name: &str, shape: &[usize]| testing::normals(name, shape).to_dtype(candle_core::DType::F32);
        let make = |name: &str, shape: &[usize]| candle_core::Var::from_tensor(&single(name, shape).expect("f32"));
        let [y, x, v] = [("y", &[33, 50][..]), ("x", &[21, 50]), ("v", &[50])]
            .map(|(name, shape)| make(name, shape).expect("a variable"));
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            pool.install(|| {
                let gradients = scores(&y, &x, &v).and_then(|scores| scores.sqr()?.sum_all()?.backward());
                let gradients = gradients.expect("a gradient");
                [&y, &x, &v].map(|input| testing::flat(gradients.get(input).expect("reached")))
            })
        };
        assert!(run(1) == run(2) && run(1) == run(5));
        assert!(scores(&y, &x, &make("w", &[49]).expect("a variable")).is_err());
    }
}
