use candle_core::DType;
use oodlab_base::{Cancel, Seed, Silent};
use oodlab_diffusion::{Checkpoints, KeeperError, NoCheckpoints, TrainContext};
use oodlab_encoders::plain::Mode;

use super::body::{Body, Shape, matrix};
use super::objective::Objective;
use super::*;
use crate::information::{Bound, InformationConfig, Variant};
use crate::parameters::Parameter;
use crate::{OutlierError, Outliers, testing};

const CLASSES: usize = 3;
const DIM: usize = 5;

/// Everything that a lesson may hold. Classes lie around centres of their own; the teacher sees the noiseless centre.
struct Samples {
    samples: Vec<f32>,
    labels: Vec<u32>,
    teacher: Vec<f32>,
    teacher_logits: Vec<f32>,
    boundary: Outliers,
    diffusion: Outliers,
    held: Vec<f32>,
    held_labels: Vec<u32>,
}

fn draw(name: &str, count: usize) -> Vec<f32> {
    let mut values = vec![0.0; count];
    oodlab_kernels::normal::fill(Seed(21).stream(name), 0, &mut values);
    values
}

impl Samples {
    fn new(rows: usize) -> Samples {
        let set = |name: &str, rows: usize| {
            let labels: Vec<u32> = (0..rows).map(|row| (row % CLASSES) as u32).collect();
            let mut samples = draw(name, rows * DIM);
            for (sample, label) in samples.chunks_exact_mut(DIM).zip(&labels) {
                sample[*label as usize] += 3.0;
                sample[DIM - 1] = 10.0;
            }
            (samples, labels)
        };
        let ((samples, labels), (held, held_labels)) = (set("samples", rows), set("held", 30));
        let teacher_logits =
            labels.iter().flat_map(|label| (0..CLASSES).map(move |c| if c == *label as usize { 4.0 } else { 0.0 }));
        let outliers = |name: &str, width: usize| {
            let classes = (0..24).map(|row| row % CLASSES as u32).collect();
            Outliers::new(width, draw(name, 24 * width), Some(classes)).expect("outliers")
        };
        Samples {
            teacher_logits: teacher_logits.collect(),
            teacher: samples.iter().zip(draw("teacher", rows * DIM)).map(|(x, e)| x + 0.1 * e).collect(),
            samples,
            labels,
            boundary: outliers("boundary", DIM),
            diffusion: outliers("diffusion", 4),
            held,
            held_labels,
        }
    }

    fn lesson(&self) -> Lesson<'_> {
        Lesson {
            samples: &self.samples,
            rows: self.labels.len(),
            dim: DIM,
            labels: &self.labels,
            classes: CLASSES,
            pixels: None,
            teacher: Some(TeacherView { features: &self.teacher, width: DIM, logits: Some(&self.teacher_logits) }),
            boundary: Some(&self.boundary),
            diffusion: Some(&self.diffusion),
            validation: Some(HeldOut { samples: &self.held, labels: &self.held_labels }),
        }
    }
}

fn small(variant: Variant, bound: Bound) -> StudentConfig {
    StudentConfig {
        hidden: 6,
        information: InformationConfig { variant, bound, samples: 4, ..InformationConfig::default() },
        train: StudentTrainConfig {
            epochs: 2,
            pretrain_epochs: 1,
            batch_size: 6,
            learning_rate: 0.02,
            keep: Keep::Best,
            ..StudentTrainConfig::default()
        },
        ..StudentConfig::default()
    }
}

/// Keeps the latest checkpoint, and raises the flag once that many steps are saved: a kill at that place.
#[derive(Default)]
struct Keeper {
    latest: Option<Vec<u8>>,
    kill_at: Option<(u64, Cancel)>,
}

impl Checkpoints for Keeper {
    fn latest(&mut self) -> Result<Option<Vec<u8>>, KeeperError> {
        Ok(self.latest.clone())
    }

    fn save(&mut self, steps: u64, bytes: &[u8]) -> Result<(), KeeperError> {
        self.latest = Some(bytes.to_vec());
        if let Some((at, cancel)) = &self.kill_at
            && *at == steps
        {
            cancel.cancel();
        }
        Ok(())
    }
}

fn train(
    config: &StudentConfig,
    lesson: &Lesson<'_>,
    checkpoints: &mut dyn Checkpoints,
    cancel: &Cancel,
) -> Result<TrainedStudent, OutlierError> {
    let mut context =
        TrainContext { progress: &Silent, cancel, checkpoints, checkpoint_every: 1, checkpoint_every_steps: 1 };
    Student::train(config, lesson, Seed(3), &mut context)
}

fn trained(config: &StudentConfig, lesson: &Lesson<'_>) -> TrainedStudent {
    train(config, lesson, &mut NoCheckpoints, &Cancel::new()).expect("trains")
}

fn all_ways() -> [StudentConfig; 3] {
    [(Variant::Corrected, Bound::Club), (Variant::Released, Bound::Club), (Variant::Corrected, Bound::InfoNce)]
        .map(|(variant, bound)| small(variant, bound))
}

#[test]
fn a_killed_and_resumed_training_equals_an_uninterrupted_one() {
    let samples = Samples::new(16);
    for config in all_ways() {
        let whole = trained(&config, &samples.lesson()).to_bytes().expect("bytes");
        // Three steps an epoch; three epochs end with step 9, after which nothing is kept.
        for kill_at in 1..9 {
            let cancel = Cancel::new();
            let mut keeper = Keeper { kill_at: Some((kill_at, cancel.clone())), ..Keeper::default() };
            let killed = train(&config, &samples.lesson(), &mut keeper, &cancel);
            assert!(matches!(killed, Err(OutlierError::Cancelled(_))), "killed after step {kill_at}");
            keeper.kill_at = None;
            let resumed = train(&config, &samples.lesson(), &mut keeper, &Cancel::new()).expect("resumes");
            assert!(whole == resumed.to_bytes().expect("bytes"), "killed after step {kill_at}");
        }
    }
    // A checkpoint of other settings, or a damaged one, is passed over.
    let [config, ..] = all_ways();
    let mut keeper = Keeper::default();
    train(&config, &samples.lesson(), &mut keeper, &Cancel::new()).expect("trains");
    let kept = keeper.latest.expect("saved");
    let other = StudentConfig { hidden: 7, ..config };
    let fresh = trained(&other, &samples.lesson()).to_bytes().expect("bytes");
    for latest in [kept.clone(), kept[..kept.len() / 2].to_vec(), vec![0; 3]] {
        let mut keeper = Keeper { latest: Some(latest), ..Keeper::default() };
        let found = train(&other, &samples.lesson(), &mut keeper, &Cancel::new()).expect("trains anew");
        assert!(found.to_bytes().expect("bytes") == fresh);
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let samples = Samples::new(40);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| all_ways().map(|config| trained(&config, &samples.lesson()).to_bytes().expect("bytes")))
    };
    let one = run(1);
    assert!(one == run(2) && one == run(3));
    assert!(one[0] != one[1] && one[0] != one[2], "the settings make a difference");
}

/// The whole loss of a small student in f64, against central differences, for every parameter that any term reaches.
#[test]
fn the_gradient_of_the_whole_loss_is_that_of_its_differences() {
    let samples = Samples::new(12);
    for config in all_ways() {
        let lesson = samples.lesson();
        let shape = Shape { network: StudentNetwork::Head, dim: DIM, hidden: 6, classes: CLASSES };
        let body = Body::new(shape, Seed(3), DType::F64).expect("a body");
        let objective = Objective::new(&config, &lesson, 6, Seed(3), DType::F64).expect("an objective");
        let rows = [0, 4, 8, 1, 5, 9, 2];
        let draws = |term: u64| Seed(3).stream("outliers").child(term);
        let pairs = objective.measures().iter().zip(0..);
        let paired: Vec<_> =
            pairs.map(|(measure, term)| objective.outliers(measure, &rows, draws(term)).expect("pairs")).collect();
        assert_eq!(paired.iter().map(|x| x.dims().to_vec()).collect::<Vec<_>>(), [[4, DIM], [4, 4]]);
        let values = rows.iter().flat_map(|row| &samples.samples[row * DIM..(row + 1) * DIM]).copied().collect();
        let x = matrix(values, DIM, DType::F64).expect("a batch");
        let loss = || {
            let (features, logits) = body.forward(&x, Mode::Train).expect("answers");
            objective.loss(&rows, (&features, &logits), &paired, false).expect("a loss")
        };
        let names: Vec<&str> = loss().terms.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["cross_entropy", "logits", "features", "boundary", "diffusion"]);
        let weighted: f64 = loss()
            .terms
            .into_iter()
            .zip(Terms::default().named())
            .map(|((_, term), (_, weight))| weight * testing::scalar(Ok(term)))
            .sum();
        assert!((weighted - testing::scalar(Ok(loss().total))).abs() < 1e-9);
        let measures = objective.measures().iter().flat_map(|measure| &measure.parameters);
        let all: Vec<Parameter> = body.trained().iter().chain(objective.projector()).chain(measures).cloned().collect();
        assert!(all.len() >= 4 + 6 + 6);
        testing::check_parameters(&all, || Ok(loss().total));
    }
}

#[test]
fn outliers_are_paired_by_class_or_at_random_without_repetition() {
    let samples = Samples::new(12);
    let lesson = samples.lesson();
    let rows = [0, 1, 2, 3];
    let chosen = |variant: Variant, draw: u64| -> Vec<usize> {
        let objective =
            Objective::new(&small(variant, Bound::Club), &lesson, 6, Seed(3), DType::F64).expect("an objective");
        let measure = &objective.measures()[0];
        let found = objective.outliers(measure, &rows, Seed(3).stream("draws").child(draw)).expect("pairs");
        let found = testing::flat(&found);
        let row =
            |x: &[f64]| (0..24).find(|row| samples.boundary.row(*row).iter().zip(x).all(|(a, b)| f64::from(*a) == *b));
        found.chunks(DIM).map(|x| row(x).expect("one of the outliers")).collect()
    };
    let mut classes_differ = false;
    for draw in 0..30 {
        let matched = chosen(Variant::Corrected, draw);
        assert!(matched.iter().zip(rows).all(|(outlier, row)| outlier % CLASSES == row % CLASSES));
        let mut random = chosen(Variant::Released, draw);
        classes_differ |= random.iter().zip(rows).any(|(outlier, row)| outlier % CLASSES != row % CLASSES);
        random.sort_unstable();
        random.dedup();
        assert_eq!(random.len(), 4);
    }
    assert!(classes_differ);
}

#[test]
fn every_term_alone_or_with_labels_learns_the_classes() {
    let samples = Samples::new(90);
    let none = Terms { cross_entropy: 0.0, logits: 0.0, features: 0.0, boundary: 0.0, diffusion: 0.0 };
    let with = |terms: Terms, lesson: &Lesson<'_>| {
        let training =
            StudentTrainConfig { epochs: 25, batch_size: 16, learning_rate: 0.05, ..StudentTrainConfig::default() };
        let config = StudentConfig { hidden: 16, terms, train: training, ..StudentConfig::default() };
        let student = trained(&config, lesson);
        let output = student.predict(&samples.held).expect("predicts");
        assert_eq!(
            student.curves().last("validation_accuracy"),
            lesson.validation.map(|_| output.accuracy(&samples.held_labels))
        );
        let names: Vec<&str> = student.curves().all().iter().map(|curve| curve.name.as_str()).collect();
        let measured = terms.named().into_iter().filter(|(_, weight)| *weight > 0.0);
        assert!(measured.clone().all(|(name, _)| names.contains(&name)));
        output.accuracy(&samples.held_labels)
    };
    // Cross-entropy alone needs nothing else, and the teacher's logits no labels.
    let bare = Lesson { teacher: None, boundary: None, diffusion: None, validation: None, ..samples.lesson() };
    assert!(with(Terms::cross_entropy_only(), &bare) > 0.9);
    assert!(with(Terms { logits: 4.0, ..none }, &samples.lesson()) > 0.9);
    assert!(with(Terms::default(), &samples.lesson()) > 0.9);
    // Outliers of a class tell the class: a student that is to say little of them loses a little of it.
    let terms = Terms { boundary: 0.1, diffusion: 0.2, ..Terms::cross_entropy_only() };
    assert!(with(terms, &samples.lesson()) > 0.85);
}

#[test]
fn answers_do_not_depend_on_company_and_a_stored_student_gives_the_same() {
    let samples = Samples::new(100);
    let student = trained(&small(Variant::Corrected, Bound::Club), &samples.lesson());
    let all = student.predict(&samples.samples).expect("predicts");
    assert_eq!((all.width, all.classes, all.features.len()), (6, CLASSES, 600));
    let part = student.predict(&samples.samples[37 * DIM..90 * DIM]).expect("predicts");
    assert!(part.features == all.features[37 * 6..90 * 6] && part.logits == all.logits[37 * CLASSES..90 * CLASSES]);
    let bytes = student.to_bytes().expect("bytes");
    let stored = TrainedStudent::from_bytes(&bytes).expect("its own bytes");
    assert!(stored.to_bytes().expect("bytes") == bytes && stored.curves() == student.curves());
    assert!(stored.predict(&samples.samples).expect("predicts") == all);
    // The head is what makes logits of features.
    let head = stored.head().expect("a classifier");
    let first: Vec<f64> = all.features[..6].iter().map(|&x| f64::from(x)).collect();
    let logits = head.logits(&first);
    assert!(logits.iter().zip(&all.logits).all(|(a, b)| (a - f64::from(*b)).abs() < 1e-4));
    // One byte of the header at a time: refused, or harmless.
    for at in 0..bytes.len().min(900) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x15;
        if let Ok(found) = TrainedStudent::from_bytes(&damaged) {
            let _ = found.predict(&samples.samples[..DIM]);
        }
    }
    for cut in [0, 9, bytes.len() / 2, bytes.len() - 1] {
        assert!(TrainedStudent::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

/// The published network for 32 px, on images of 8 px to save time: the same promises, running statistics and augmentation included.
#[test]
fn a_convolutional_student_learns_resumes_and_does_not_depend_on_threads() {
    let (rows, dim) = (8, 3 * 64);
    let images = draw("images", rows * dim);
    let labels: Vec<u32> = (0..rows as u32).map(|row| row % 2).collect();
    let lesson = Lesson {
        samples: &images,
        rows,
        dim,
        labels: &labels,
        classes: 2,
        pixels: Some(Pixels { side: 8, black: [-1.0; 3] }),
        teacher: None,
        boundary: None,
        diffusion: None,
        validation: None,
    };
    let training =
        StudentTrainConfig { epochs: 2, batch_size: 4, learning_rate: 0.01, ..StudentTrainConfig::default() };
    let config = StudentConfig {
        network: StudentNetwork::Resnet18Small,
        terms: Terms::cross_entropy_only(),
        train: training,
        ..StudentConfig::default()
    };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| trained(&config, &lesson))
    };
    let whole = run(1);
    let bytes = whole.to_bytes().expect("bytes");
    assert!(bytes == run(2).to_bytes().expect("bytes"));
    let cancel = Cancel::new();
    let mut keeper = Keeper { kill_at: Some((3, cancel.clone())), ..Keeper::default() };
    assert!(matches!(train(&config, &lesson, &mut keeper, &cancel), Err(OutlierError::Cancelled(_))));
    keeper.kill_at = None;
    let resumed = train(&config, &lesson, &mut keeper, &Cancel::new()).expect("resumes");
    assert!(bytes == resumed.to_bytes().expect("bytes"));
    assert_eq!((whole.width(), whole.classes(), whole.dim()), (512, 2, dim));
    let stored = TrainedStudent::from_bytes(&bytes).expect("its own bytes");
    let (all, one) =
        (whole.predict(&images).expect("predicts"), stored.predict(&images[dim..2 * dim]).expect("predicts"));
    assert!(all.features[512..1024] == one.features && all.logits[2..4] == one.logits);
    let without = StudentConfig { train: StudentTrainConfig { augment: false, ..training }, ..config };
    assert!(trained(&without, &lesson).to_bytes().expect("bytes") != bytes);
}

#[test]
fn what_does_not_fit_or_is_missing_is_named() {
    let samples = Samples::new(12);
    let good = small(Variant::Corrected, Bound::Club);
    let told = |config: StudentConfig, lesson: Lesson<'_>| {
        train(&config, &lesson, &mut NoCheckpoints, &Cancel::new()).expect_err("must be refused").to_string()
    };
    let lesson = samples.lesson();
    assert!(told(good, Lesson { teacher: None, ..lesson }).starts_with("teacher missing: terms.logits"));
    let blind = TeacherView { logits: None, ..lesson.teacher.expect("a teacher") };
    assert!(told(good, Lesson { teacher: Some(blind), ..lesson }).contains("a teacher with a classifier"));
    assert!(told(good, Lesson { boundary: None, ..lesson }).contains("terms.boundary is above 0"));
    assert!(told(good, Lesson { validation: None, ..lesson }).contains("train.keep is best"));
    let nobody = Outliers { classes: None, ..samples.diffusion.clone() };
    assert!(told(good, Lesson { diffusion: Some(&nobody), ..lesson }).contains("set it to released"));
    let others = Outliers { classes: Some(vec![0; 24]), ..samples.diffusion.clone() };
    assert!(told(good, Lesson { diffusion: Some(&others), ..lesson }).contains("class 1 has none"));
    let labels = [0, 1, 2, 3, 0, 1, 2, 0, 1, 2, 0, 1];
    assert!(
        told(good, Lesson { labels: &labels, ..lesson })
            .contains("row 3 (counted from 0) has class 3, expected 0 to 2")
    );
    assert!(told(good, Lesson { samples: &samples.samples[1..], ..lesson }).contains("expected 60 values, found 59"));
    let pixels = StudentConfig { network: StudentNetwork::Resnet18, ..good };
    assert!(told(pixels, lesson).contains("reads images"));
    assert!(told(StudentConfig { resolution: Some(64), ..good }, lesson).starts_with("student.resolution"));
    assert!(
        told(StudentConfig { terms: Terms { logits: -1.0, ..Terms::default() }, ..good }, lesson)
            .starts_with("terms.logits")
    );
    let wild = StudentTrainConfig { learning_rate: 1e30, pretrain_rate: 1e30, projector_rate: 1e30, ..good.train };
    let message = told(StudentConfig { train: wild, ..good }, lesson);
    assert!(message.contains("epoch 1") && (message.contains("step 2") || message.contains("not finite")), "{message}");
}
