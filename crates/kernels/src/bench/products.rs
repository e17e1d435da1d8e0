//! The fastest that this machine multiplies matrices.

use std::time::Instant;

use rayon::prelude::*;

/// GFLOP/s of products of 512 x 512 x 512 in f32, one on every thread at the same time; the best of several rounds. What other
/// benchmarks are a share of.
#[must_use]
pub fn product_peak() -> f64 {
    const SIDE: usize = 512;
    const REPEATS: usize = 4;
    let threads = rayon::current_num_threads();
    let mut best = 0.0f64;
    for _ in 0..6 {
        let start = Instant::now();
        (0..threads).into_par_iter().with_max_len(1).for_each(|_| {
            let (left, right) = (vec![0.5f32; SIDE * SIDE], vec![0.25f32; SIDE * SIDE]);
            let mut product = vec![0.0f32; SIDE * SIDE];
            for _ in 0..REPEATS {
                let n = SIDE as isize;
                // SAFETY: three square matrices of SIDE × SIDE elements, row-major; the product is not aliased.
                unsafe {
                    gemm::gemm(
                        SIDE,
                        SIDE,
                        SIDE,
                        product.as_mut_ptr(),
                        1,
                        n,
                        false,
                        left.as_ptr(),
                        1,
                        n,
                        right.as_ptr(),
                        1,
                        n,
                        0.0,
                        1.0,
                        false,
                        false,
                        false,
                        gemm::Parallelism::None,
                    );
                }
            }
            std::hint::black_box(&product);
        });
        let operations = (2 * SIDE * SIDE * SIDE * REPEATS * threads) as f64;
        best = best.max(operations / start.elapsed().as_secs_f64() / 1e9);
    }
    best
}
