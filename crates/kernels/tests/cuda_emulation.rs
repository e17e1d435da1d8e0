//! All checks of the GPU's kernels, with their own text run on the processor.

#[path = "../cuda-emulation/machine.rs"]
mod machine;

use std::path::Path;

use oodlab_base::golden::Outcome;
use oodlab_kernels::cuda::checks;

#[test]
fn every_kernel_agrees_with_the_processor() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels-emulation");
    for (order, gpu) in machine::gpus(&folder) {
        for (name, outcome) in checks::run(&gpu) {
            match outcome {
                Ok(Outcome::Pass(comparison)) => {
                    println!("{name}, threads {order:?}: worst {:.1e} of {}", comparison.worst, comparison.count);
                }
                other => panic!("{name}, threads {order:?}: {other:?}"),
            }
        }
    }
}

/// What is measured runs, on buffers that are checked; the figures mean nothing here.
#[test]
fn every_kernel_can_be_measured() {
    use oodlab_kernels::bench::{BenchConfig, run};
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels-emulation");
    let Some((_, gpu)) = machine::gpus(&folder).pop() else { return };
    let report = run(Some(&gpu), BenchConfig { values: 1 << 12, seconds: 0.0 }).expect("all kernels run");
    assert!(report.kernels.len() >= 35 && report.device == "emulation", "{}", report.kernels.len());
    for rate in report.kernels {
        assert!(rate.bytes > 0 && rate.seconds > 0.0 && rate.share_of_copy > 0.0, "{rate:?}");
    }
}
