//! Wall time of all metrics of a million scores: `cargo run --release -p oodlab-evaluation --example measure_metrics`.

use std::time::Instant;

use oodlab_evaluation::{Counts, FprRule};

fn main() -> Result<(), oodlab_evaluation::MetricError> {
    let mut state = 1u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let id: Vec<f64> = (0..500_000).map(|_| uniform()).collect();
    let ood: Vec<f64> = (0..500_000).map(|_| uniform() + 0.3).collect();
    for _ in 0..5 {
        let start = Instant::now();
        let counts = Counts::new(&id, &ood)?;
        let counted = start.elapsed().as_secs_f64() * 1e3;
        let metrics = counts.metrics(FprRule::FirstAtLeast);
        let all = start.elapsed().as_secs_f64() * 1e3;
        println!("{all:.1} ms, of which counting {counted:.1} ms; AUROC {:.6}", metrics.auroc);
    }
    Ok(())
}
