//! The method fitted and scored on a GPU that is none: the kernels' own text run on the processor, against the processor's own.

#[path = "../../kernels/cuda-emulation/machine.rs"]
mod machine;

use std::path::Path;

use oodlab_base::{Cancel, Seed, Silent, Tolerance};
use oodlab_detectors::{Detector, FitContext, NoParts, ScoreContext, Unlabeled, build};
use oodlab_diffusion::{Compute, NoCheckpoints};
use oodlab_features::{Features, Layer};

const LAYERS: [(&str, usize); 3] = [("stage1", 4), ("stage2", 5), ("stage3", 6)];

fn features(name: &str, rows: usize) -> Features {
    let layers = Layer::consecutive(LAYERS);
    let width = layers.last().map_or(0, |layer| layer.end);
    let stream = Seed(2).stream(name);
    let values = (0..(rows * width) as u64).map(|at| stream.normal(at)).collect();
    let ids = (0..rows).map(|row| format!("{name} {row}")).collect();
    Features::new(layers, ids, values).expect("lengths agree")
}

fn scores(detector: &dyn Detector, compute: &Compute) -> Vec<Vec<f64>> {
    let (train, given) = (features("train", 24), features("given", 11));
    let mut context = FitContext {
        seed: Seed(4),
        progress: &Silent,
        cancel: &Cancel::new(),
        checkpoints: &mut NoCheckpoints,
        checkpoint_every: 0,
        checkpoint_every_steps: 0,
        compute,
        validation: None,
        parts: &mut NoParts,
    };
    let fitted = detector.fit(&Unlabeled::new(&train), &mut context).expect("fits");
    // As an experiment does: what is scored with was read from its bytes.
    let fitted = detector.load(&fitted.to_bytes().expect("bytes")).expect("its own bytes");
    let context = ScoreContext { first_index: 0, cancel: &Cancel::new(), task: &Silent, compute };
    fitted.score(&Unlabeled::new(&given), &context).expect("scores")
}

#[test]
fn fits_and_scores_are_those_of_the_processor() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("detectors-emulation");
    let settings = serde_json::json!({
        "network": {"width": 12, "blocks": 1},
        "train": {"epochs": 2, "batch_size": 8, "learning_rate": 1e-3},
    });
    let detector = build("dlsr", settings, &[]).expect("good settings");
    for (_, gpu) in machine::gpus(&folder) {
        let (want, got) =
            (scores(detector.as_ref(), &Compute::processor()), scores(detector.as_ref(), &Compute::gpu(gpu)));
        assert!(!want.is_empty() && want.len() == got.len());
        for (want, got) in want.into_iter().zip(got) {
            let found = Tolerance::mixed("1e-4", 1e-4, 1e-4).compare(got, want);
            assert!(found.failed == 0 && found.count == 11, "{found}");
        }
    }
}
