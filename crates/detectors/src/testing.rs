//! What the detectors' tests share: fitting and scoring without progress or checkpoints.

use oodlab_base::{Cancel, Seed, Silent};
use oodlab_diffusion::{Compute, NoCheckpoints};
use oodlab_features::Features;

use crate::{Detector, DetectorError, FitContext, FittedDetector, NoParts, ScoreContext, Unlabeled};

/// Fits on the processor.
pub(crate) fn fit(
    detector: &dyn Detector,
    train: &Features,
    seed: u64,
) -> Result<Box<dyn FittedDetector>, DetectorError> {
    let mut context = FitContext {
        seed: Seed(seed),
        progress: &Silent,
        cancel: &Cancel::new(),
        checkpoints: &mut NoCheckpoints,
        checkpoint_every: 0,
        checkpoint_every_steps: 0,
        compute: &Compute::processor(),
        validation: None,
        parts: &mut NoParts,
    };
    detector.fit(&Unlabeled::new(train), &mut context)
}

/// Scores on the processor.
pub(crate) fn score(
    fitted: &dyn FittedDetector,
    given: &Features,
    first_index: u64,
    cancel: &Cancel,
) -> Result<Vec<Vec<f64>>, DetectorError> {
    let context = ScoreContext { first_index, cancel, task: &Silent, compute: &Compute::processor() };
    fitted.score(&Unlabeled::new(given), &context)
}

/// What every detector promises: equal bytes and scores for any number of threads and any cut of the samples, a stored detector that scores
/// the same, and one error for bytes, features and requests that cannot be used.
pub(crate) fn check_contract(detector: &dyn Detector, train: &Features, given: &Features) {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let fitted = fit(detector, train, 5).expect("fits");
            (fitted.to_bytes().expect("bytes"), score(fitted.as_ref(), given, 0, &Cancel::new()).expect("scores"))
        })
    };
    let (bytes, scores) = run(1);
    assert!((bytes.clone(), scores.clone()) == run(2), "two threads");
    assert!((bytes.clone(), scores.clone()) == run(3), "three threads");
    assert_eq!(scores.len(), detector.score_names().len());
    assert!(scores.iter().all(|values| values.len() == given.rows()));

    let fitted = fit(detector, train, 5).expect("fits");
    let loaded = detector.load(&bytes).expect("its own bytes");
    assert!(loaded.to_bytes().expect("bytes") == bytes);
    assert_eq!(loaded.curves(), fitted.curves());
    assert_eq!(loaded.score_names(), detector.score_names());
    let cut = given.rows() / 3;
    let whole = &given.slice(0..given.rows());
    let mut parts = score(loaded.as_ref(), &whole.slice(0..cut), 0, &Cancel::new()).expect("scores");
    let rest = score(loaded.as_ref(), &whole.slice(cut..given.rows()), cut as u64, &Cancel::new()).expect("scores");
    parts.iter_mut().zip(rest).for_each(|(part, rest)| part.extend(rest));
    assert!(parts == scores, "scores must not depend on the cut");

    for cut in [0, 4, 8, bytes.len() / 3, bytes.len() - 1] {
        assert!(matches!(detector.load(&bytes[..cut]), Err(DetectorError::Stored { .. })), "cut at {cut}");
    }
    // The header's length and text, one byte at a time: refused, or harmless.
    for at in 0..bytes.len().min(600) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x15;
        if let Ok(found) = detector.load(&damaged) {
            let _ = score(found.as_ref(), given, 0, &Cancel::new());
        }
    }
    let mut values = given.values().to_vec();
    values[given.width() + 1] = f32::NAN;
    let bad = Features::new(given.layers().to_vec(), given.ids().to_vec(), values).expect("valid features");
    let (id, layer) = (&given.ids()[1], &given.layers()[0].name);
    for message in [
        fit(detector, &bad, 5).expect_err("a NaN").to_string(),
        score(fitted.as_ref(), &bad, 0, &Cancel::new()).expect_err("a NaN").to_string(),
    ] {
        assert!(message.contains(&format!("{id:?}")) && message.contains(&format!("{layer:?}")), "{message}");
    }
    assert!(matches!(fit(detector, &train.slice(0..0), 5), Err(DetectorError::NoSamples(_))));
    let renamed = Features::new(
        oodlab_features::Layer::consecutive([("other", given.width())]),
        given.ids().to_vec(),
        given.values().to_vec(),
    );
    let found = score(fitted.as_ref(), &renamed.expect("valid features"), 0, &Cancel::new());
    assert!(matches!(found, Err(DetectorError::OtherLayers { .. })));
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(matches!(score(fitted.as_ref(), given, 0, &cancel), Err(DetectorError::Cancelled(_))));
    let mut context = FitContext {
        seed: Seed(5),
        progress: &Silent,
        cancel: &cancel,
        checkpoints: &mut NoCheckpoints,
        checkpoint_every: 0,
        checkpoint_every_steps: 0,
        compute: &Compute::processor(),
        validation: None,
        parts: &mut NoParts,
    };
    let found = detector.fit(&Unlabeled::new(train), &mut context);
    assert!(matches!(found, Err(DetectorError::Cancelled(_))));
}

/// Features of two layers, 4 and 8 columns: those inside lie on a curve, the others do not.
pub(crate) fn curve(rows: usize, inside: bool) -> Features {
    let value = |row: usize, channel: usize| {
        let phase = if inside { row as f32 * 0.7 } else { (row * row) as f32 * 3.1 + (channel * channel) as f32 };
        (phase + channel as f32 * 0.9).sin() + 0.1 * channel as f32
    };
    let values = (0..rows * 12).map(|i| value(i / 12, i % 12)).collect();
    let ids = (0..rows).map(|row| format!("sample{row}")).collect();
    Features::new(oodlab_features::Layer::consecutive([("one", 4), ("two", 8)]), ids, values).expect("valid features")
}

/// The mean of each score over the samples.
pub(crate) fn mean_scores(fitted: &dyn FittedDetector, given: &Features) -> Vec<f64> {
    let scores = score(fitted, given, 0, &Cancel::new()).expect("scores");
    scores.into_iter().map(|values| values.iter().sum::<f64>() / given.rows() as f64).collect()
}

/// Pixels of 8 × 8 images in -1..1: stripes of some phase inside, noise outside.
pub(crate) fn stripes(images: usize, inside: bool) -> Features {
    let value = |i: usize| {
        let smooth = ((i % 8) as f32 * 0.8 + (i / 192) as f32 * 0.4).sin() * 0.8;
        if inside { smooth } else { ((i * i % 9973) as f32 * 12.9898).sin().signum() }
    };
    let ids = (0..images).map(|image| format!("sample{image}")).collect();
    let values = (0..images * 192).map(value).collect();
    Features::new(oodlab_features::Layer::consecutive([("pixels", 192)]), ids, values).expect("valid features")
}
