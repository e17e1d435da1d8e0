//! Networks on a GPU that is none: the kernels' own text run on the processor, against golden files and the fused backend.

#[path = "../../kernels/cuda-emulation/machine.rs"]
mod machine;

use std::path::Path;

use oodlab_base::golden::{GoldenFile, Outcome};
use oodlab_encoders::cuda::golden::{agreement, check};
use oodlab_encoders::weights::Weights;
use oodlab_encoders::{EncoderConfig, Pooling, formula, golden};
use oodlab_kernels::cuda::Gpu;

fn gpu() -> Option<Gpu> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("encoders-emulation");
    machine::gpus(&folder).into_iter().next().map(|(_, gpu)| gpu)
}

fn assert_pass(what: &str, outcome: &Outcome) {
    println!("{what}: {outcome:?}");
    assert!(matches!(outcome, Outcome::Pass(_)), "{what}: {outcome:?}");
}

/// One network of each family, all poolings; the large ones (ViT, ResNet-50 and up, B2 and up) only where
/// `OODLAB_REQUIRE_EMULATION` is set, since they take minutes.
#[test]
fn golden_networks() {
    let Some(gpu) = gpu() else { return };
    let small = [
        "efficientnet-lite0",
        "formula_densenet100",
        "formula_efficientnet-b0",
        "formula_resnet18-32",
        "formula_resnet20",
        "formula_wrn-40-2",
    ];
    let all = std::env::var_os("OODLAB_REQUIRE_EMULATION").is_some();
    let mut checked = 0;
    for (stem, bytes) in golden::embedded() {
        if all || small.contains(&stem) {
            let file = GoldenFile::parse(stem, bytes).expect("a readable file");
            let outcome = check(&gpu, &file, &|name| Weights::embedded(name)?.ok()).expect("a kind of this crate");
            assert_pass(stem, &outcome.expect("the check can run"));
            checked += 1;
        }
    }
    assert!(checked >= small.len());
}

/// Poolings that no golden file has, batches that are not full.
#[test]
fn poolings_agree_with_the_processor() {
    let Some(gpu) = gpu() else { return };
    for pooling in [Pooling::Max, Pooling::Std] {
        let network = "resnet20".to_owned();
        let config = EncoderConfig { network, pooling, ..EncoderConfig::default() };
        let weights = formula::weights(&config.network).expect("a known network");
        let outcome = agreement(&gpu, &config, &weights, 3).expect("both run");
        assert_pass(&format!("{pooling:?}"), &outcome);
    }
}
