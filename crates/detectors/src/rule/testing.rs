//! What the tests of all rules share.

use oodlab_base::{Cancel, Seed, Silent};
use oodlab_diffusion::{Compute, NoCheckpoints};
use oodlab_features::{Features, Head, Labels, Layer, Logits};

use crate::{
    Detector, DetectorError, FitContext, FittedDetector, Labeled, NoParts, ScoreContext, Unlabeled, Validation,
};

const CLASSES: usize = 3;

/// Samples with everything a rule may ask for: two layers, a penultimate vector, the head that makes the logits of it, labels. Classes lie
/// apart; samples that are not inside lie elsewhere.
pub(crate) struct Samples {
    /// Two layers, 4 and 6 columns, with logits.
    pub features: Features,
    /// One layer of 8 columns, all above zero as behind a ReLU.
    pub penultimate: Features,
    /// Of the penultimate vector.
    pub head: Head,
    /// 0, 1, 2, 0, ..
    pub labels: Labels,
    /// What a probe read: 6 columns.
    pub probed: Features,
}

impl Samples {
    /// A fixed set of so many; `inside` says whether they are of the training distribution.
    pub fn new(rows: usize, inside: bool) -> Samples {
        let stream = Seed(if inside { 11 } else { 12 }).stream("samples");
        let mut noise = vec![0.0f32; rows * 32];
        oodlab_kernels::normal::fill(stream, 0, &mut noise);
        let centre = |row: usize, column: usize| {
            let class = row % CLASSES;
            if inside {
                if column % CLASSES == class { 2.0 } else { 0.3 }
            } else {
                1.1 + 0.4 * (column as f32 * 1.7).sin()
            }
        };
        let values = |width: usize, first: usize, positive: bool| -> Vec<f32> {
            let value = |i: usize| {
                let (row, column) = (i / width, i % width);
                let value = centre(row, column) + 0.4 * noise[row * 32 + first + column];
                if positive { value.max(0.0) } else { value }
            };
            (0..rows * width).map(value).collect()
        };
        let ids: Vec<String> = (0..rows).map(|row| format!("sample{row}")).collect();
        let weight: Vec<f32> = (0..CLASSES * 8)
            .map(|i| if i % 8 % CLASSES == i / 8 { 1.3 } else { -0.4 } + 0.05 * (i as f32).sin())
            .collect();
        let head = Head::new(8, weight, vec![0.1, -0.2, 0.05]).expect("fits");
        let penultimate = values(8, 12, true);
        let logits = penultimate
            .chunks(8)
            .flat_map(|row| head.logits(&row.iter().map(|&x| f64::from(x)).collect::<Vec<_>>()))
            .map(|x| x as f32)
            .collect();
        let of = |layers: Vec<Layer>, values| Features::new(layers, ids.clone(), values).expect("valid features");
        let features = of(Layer::consecutive([("one", 4), ("two", 6)]), values(10, 0, false))
            .with_logits(Logits { classes: CLASSES, values: logits })
            .expect("one row a sample");
        Samples {
            features,
            penultimate: of(Layer::consecutive([("penultimate", 8)]), penultimate),
            head,
            labels: Labels((0..rows).map(|row| (row % CLASSES) as u32).collect()),
            probed: of(Layer::consecutive([("probed", 6)]), values(6, 22, false)),
        }
    }

    /// All of it but the labels.
    pub fn given(&self) -> Unlabeled<'_> {
        Unlabeled::new(&self.features)
            .with_penultimate(Some(&self.penultimate))
            .with_probed(std::slice::from_ref(&self.probed))
            .with_head(Some(&self.head))
    }

    /// A part of the rows.
    pub fn slice(&self, rows: std::ops::Range<usize>) -> Samples {
        Samples {
            features: self.features.slice(rows.clone()),
            penultimate: self.penultimate.slice(rows.clone()),
            head: self.head.clone(),
            labels: Labels(self.labels.0[rows.clone()].to_vec()),
            probed: self.probed.slice(rows),
        }
    }
}

/// Features of one column with these logits.
pub(crate) fn with_logits(rows: &[&[f32]]) -> Features {
    let ids = (0..rows.len()).map(|row| format!("sample{row}")).collect();
    let features = Features::new(Layer::consecutive([("one", 1)]), ids, vec![0.0; rows.len()]).expect("valid features");
    let logits = Logits { classes: rows[0].len(), values: rows.concat() };
    features.with_logits(logits).expect("one row a sample")
}

/// Fits a detector that sees no label to just what is given.
pub(crate) fn fit_given(
    detector: &dyn Detector,
    train: &Unlabeled<'_>,
    validation: Option<Validation<'_>>,
) -> Result<Box<dyn FittedDetector>, DetectorError> {
    detector
        .fit(train, &mut context(&Cancel::new(), &Compute::processor(), validation, &mut NoCheckpoints, &mut NoParts))
}

fn context<'a>(
    cancel: &'a Cancel,
    compute: &'a Compute,
    validation: Option<Validation<'a>>,
    checkpoints: &'a mut NoCheckpoints,
    parts: &'a mut NoParts,
) -> FitContext<'a> {
    FitContext {
        seed: Seed(5),
        progress: &Silent,
        cancel,
        checkpoints,
        checkpoint_every: 0,
        checkpoint_every_steps: 0,
        compute,
        validation,
        parts,
    }
}

/// Fits with labels where the detector sees them, and with validation samples.
pub(crate) fn fit(detector: &dyn Detector, train: &Samples) -> Result<Box<dyn FittedDetector>, DetectorError> {
    fit_with(detector, train, &Samples::new(30, true), &Samples::new(30, false))
}

/// The same with these validation samples.
pub(crate) fn fit_with(
    detector: &dyn Detector,
    train: &Samples,
    id: &Samples,
    ood: &Samples,
) -> Result<Box<dyn FittedDetector>, DetectorError> {
    let separation = |id: &[f64], ood: &[f64]| {
        let wins: usize = id.iter().map(|a| ood.iter().filter(|b| *b > a).count()).sum();
        wins as f64 / (id.len() * ood.len()) as f64
    };
    let others = [ood.given()];
    let validation = Some(Validation { id: id.given(), ood: &others, separation: &separation });
    let (cancel, compute) = (Cancel::new(), Compute::processor());
    let (mut checkpoints, mut parts) = (NoCheckpoints, NoParts);
    let mut context = context(&cancel, &compute, validation, &mut checkpoints, &mut parts);
    match detector.supervised() {
        Some(supervised) => {
            let labeled = Labeled {
                given: train.given(),
                labels: &train.labels,
                classes: train.head.classes(),
                validation: Some(&id.labels),
                teacher: Some(train.given()),
            };
            supervised.fit_labeled(&labeled, &mut context)
        }
        None => detector.fit(&train.given(), &mut context),
    }
}

/// Scores all of the samples, the first of which stands at `first_index` of its set.
pub(crate) fn score(fitted: &dyn FittedDetector, given: &Samples, first_index: u64) -> Result<Vec<f64>, DetectorError> {
    let compute = Compute::processor();
    let context = ScoreContext { first_index, cancel: &Cancel::new(), task: &Silent, compute: &compute };
    Ok(fitted.score(&given.given(), &context)?.swap_remove(0))
}

/// What every rule promises ([`check_promises`]), and that samples from elsewhere score higher on average.
pub(crate) fn check_contract(detector: &dyn Detector) {
    check_promises(detector);
    let fitted = fit(detector, &Samples::new(90, true)).expect("fits");
    let mean = |inside: bool| {
        let scores = score(fitted.as_ref(), &Samples::new(40, inside), 0).expect("scores");
        scores.iter().sum::<f64>() / scores.len() as f64
    };
    let (inside, outside) = (mean(true), mean(false));
    assert!(outside > inside, "{}: outside {outside} must exceed inside {inside}", detector.kind());
}

/// Equal bytes and scores for any number of threads and any cut of the samples, a stored detector that scores the same, and one error for
/// what cannot be used. (Samples from elsewhere lie between the classes: a model of one mode takes them for typical.)
pub(crate) fn check_promises(detector: &dyn Detector) {
    let (train, inside) = (Samples::new(90, true), Samples::new(40, true));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let fitted = fit(detector, &train).expect("fits");
            (fitted.to_bytes().expect("bytes"), score(fitted.as_ref(), &inside, 0).expect("scores"))
        })
    };
    let (bytes, scores) = run(1);
    assert!((bytes.clone(), scores.clone()) == run(2), "two threads");
    assert!((bytes.clone(), scores.clone()) == run(3), "three threads");

    let loaded = detector.load(&bytes).expect("its own bytes");
    assert!(loaded.to_bytes().expect("bytes") == bytes);
    assert_eq!(loaded.score_names(), detector.score_names());
    let mut parts = score(loaded.as_ref(), &inside.slice(0..13), 0).expect("scores");
    parts.extend(score(loaded.as_ref(), &inside.slice(13..39), 13).expect("scores"));
    parts.extend(score(loaded.as_ref(), &inside.slice(39..40), 39).expect("scores"));
    assert!(parts == scores, "scores must not depend on the cut");

    for cut in [0, 4, 8, bytes.len() / 3, bytes.len() - 1] {
        assert!(matches!(detector.load(&bytes[..cut]), Err(DetectorError::Stored { .. })), "cut at {cut}");
    }
    // The header's length and text, one byte at a time: refused, or harmless.
    for at in 0..bytes.len().min(700) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x15;
        if let Ok(found) = detector.load(&damaged) {
            let _ = score(found.as_ref(), &inside, 0);
        }
    }
    assert!(matches!(fit(detector, &train.slice(0..0)), Err(DetectorError::NoSamples(_))));
    broken_logits_are_named(detector, loaded.as_ref(), &inside);
}

/// That penultimate vectors far from all training samples score higher than all of those.
pub(crate) fn check_distant(detector: &dyn Detector) {
    let mut samples = Samples::new(90, true);
    let fitted = fit(detector, &samples).expect("fits");
    let near = score(fitted.as_ref(), &samples, 0).expect("scores");
    let away = samples.penultimate.values().iter().map(|x| x + 3.0).collect();
    let (layers, ids) = (samples.penultimate.layers().to_vec(), samples.penultimate.ids().to_vec());
    samples.penultimate = Features::new(layers, ids, away).expect("valid features");
    let far = score(fitted.as_ref(), &samples, 0).expect("scores");
    let (highest, lowest) = (near.into_iter().fold(f64::MIN, f64::max), far.into_iter().fold(f64::MAX, f64::min));
    assert!(lowest > highest, "{}: {lowest} far away, {highest} near", detector.kind());
}

fn broken_logits_are_named(detector: &dyn Detector, fitted: &dyn FittedDetector, inside: &Samples) {
    let mut bad = inside.slice(0..40);
    let logits = bad.features.logits().expect("logits").clone();
    let mut values = logits.values;
    values[CLASSES + 1] = f32::NAN;
    let plain =
        Features::new(bad.features.layers().to_vec(), bad.features.ids().to_vec(), bad.features.values().to_vec());
    let with = plain.expect("valid features").with_logits(Logits { classes: CLASSES, values });
    bad.features = with.expect("one row a sample");
    for message in
        [fit(detector, &bad).expect_err("a NaN").to_string(), score(fitted, &bad, 0).expect_err("a NaN").to_string()]
    {
        assert!(message.contains("\"sample1\""), "{message}");
    }
}
