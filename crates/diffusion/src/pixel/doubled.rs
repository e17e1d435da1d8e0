//! Maps with twice as many rows and columns (nearest) as a candle operation with gradients: candle copies broadcast pixels one index at a
//! time.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::convolution::{slice, values};

/// Every pixel four times. `x`: `[images, channels, height, width]`.
pub(super) fn doubled(x: &Tensor) -> Result<Tensor> {
    let (images, channels, height, width) = x.dims4()?;
    x.contiguous()?.apply_op1(Doubled { images, channels, height, width })
}

struct Doubled {
    images: usize,
    channels: usize,
    height: usize,
    width: usize,
}

impl Doubled {
    fn plane(&self) -> usize {
        (self.height * self.width).max(1)
    }
}

impl CustomOp1 for Doubled {
    fn name(&self) -> &'static str {
        "doubled"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = slice(storage, layout)?;
        let mut out = vec![0.0; 4 * x.len()];
        out.par_chunks_mut(4 * self.plane()).zip(x.par_chunks(self.plane())).for_each(|(out, x)| {
            for (rows, x) in out.chunks_exact_mut(4 * self.width).zip(x.chunks_exact(self.width)) {
                let (upper, lower) = rows.split_at_mut(2 * self.width);
                for (pair, &x) in upper.as_chunks_mut::<2>().0.iter_mut().zip(x) {
                    *pair = [x; 2];
                }
                lower.copy_from_slice(upper);
            }
        });
        Ok((CpuStorage::F32(out), Shape::from((self.images, self.channels, 2 * self.height, 2 * self.width))))
    }

    fn bwd(&self, x: &Tensor, _out: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = values(gradient)?;
        let mut slope = vec![0.0f32; x.elem_count()];
        slope.par_chunks_mut(self.plane()).zip(gradient.par_chunks(4 * self.plane())).for_each(|(slope, gradient)| {
            for (slope, rows) in slope.chunks_exact_mut(self.width).zip(gradient.chunks_exact(4 * self.width)) {
                let (upper, lower) = rows.split_at(2 * self.width);
                let pairs = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
                for (slope, (a, b)) in slope.iter_mut().zip(pairs) {
                    *slope = (a[0] + a[1]) + (b[0] + b[1]);
                }
            }
        });
        Ok(Some(Tensor::from_vec(slope, x.dims(), x.device())?))
    }
}
