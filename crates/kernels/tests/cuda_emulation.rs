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
