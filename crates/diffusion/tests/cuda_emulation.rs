//! The network on a GPU that is none: the kernels' own text run on the processor, against golden files and the plain engine.

#[path = "../../kernels/cuda-emulation/machine.rs"]
mod machine;

use std::path::Path;

use oodlab_base::golden::{GoldenFile, Outcome};
use oodlab_base::{Cancel, Seed, Silent, Tolerance};
use oodlab_diffusion::{
    AdamW, Batch, Compute, Cuda, DiffusionError, Hide, LfdnConfig, LfdnEngine, NoCheckpoints, Objective, Parameters,
    Plain, Precision, SampleConfig, Sampler, Schedule, StreamNoise, TrainConfig, TrainContext, TrainState, Training,
    golden,
};
use oodlab_kernels::cuda::Gpu;

/// Sizes that fill neither vectors nor blocks of threads.
const SMALL: LfdnConfig = LfdnConfig::new(5, 7, 2);
/// Sums in another order, over at most a few hundred values.
const NEAR: Tolerance = Tolerance::mixed("1e-5", 1e-5, 1e-5);

fn gpus() -> Vec<Gpu> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("diffusion-emulation");
    machine::gpus(&folder).into_iter().map(|(_, gpu)| gpu).collect()
}

fn engine(gpu: &Gpu) -> Cuda {
    Cuda::new(gpu, Precision::F32).expect("there is memory")
}

fn numbers(name: &str, count: usize) -> Vec<f32> {
    let stream = Seed(5).stream(name);
    (0..count as u64).map(|index| stream.normal(index)).collect()
}

/// Parameters of which none is zero, so that every gradient counts.
fn parameters(config: LfdnConfig) -> Parameters {
    let mut parameters = Parameters::zeros(config).expect("small sizes");
    let stream = Seed(9).stream("parameters");
    for (at, value) in parameters.values_mut().iter_mut().enumerate() {
        *value = 0.3 * stream.normal(at as u64);
    }
    parameters
}

struct Samples {
    x: Vec<f32>,
    t: Vec<u32>,
    target: Vec<f32>,
}

impl Samples {
    fn new(name: &str, config: LfdnConfig, rows: usize) -> Samples {
        let t = (0..rows as u32).map(|row| [40, 3, 99, 3, 0][row as usize % 5]).collect();
        let [x, target] = ["x", "target"].map(|part| numbers(&format!("{name} {part}"), rows * config.dim));
        Samples { x, t, target }
    }

    fn batch(&self) -> Batch<'_> {
        Batch { x: &self.x, t: &self.t, target: &self.target }
    }
}

fn assert_near(what: &str, got: &[f32], want: &[f32]) {
    let found = NEAR.compare_f32(got, want);
    assert_eq!(found.failed, 0, "{what}: {found}");
}

#[test]
fn golden_files() {
    for gpu in gpus() {
        for (stem, bytes) in golden::embedded() {
            let file = GoldenFile::parse(stem, bytes).expect("an embedded file");
            let outcome = golden::check_with(&file, &mut engine(&gpu)).expect("a kind of this crate");
            assert!(matches!(outcome, Ok(Outcome::Pass(_))), "{stem}: {outcome:?}");
        }
    }
}

/// Also with rows in several parts of the sums, and with sizes that change between calls.
#[test]
fn predictions_and_gradients_are_those_of_the_plain_engine() {
    let without = LfdnConfig { time_embedding: false, ..SMALL };
    for gpu in gpus() {
        let mut cuda = engine(&gpu);
        for (config, rows) in [(SMALL, 1), (SMALL, 20), (without, 3), (LfdnConfig::new(130, 140, 1), 2), (SMALL, 4)] {
            let (model, samples) = (parameters(config), Samples::new("samples", config, rows));
            let [mut got, mut want] = [vec![0.0; samples.x.len()], vec![0.0; samples.x.len()]];
            Plain::new().predict(&model, &samples.x, &samples.t, &mut want).expect("lengths agree");
            cuda.predict(&model, &samples.x, &samples.t, &mut got).expect("lengths agree");
            assert_near("prediction", &got, &want);
            let [mut got, mut want] = [0; 2].map(|_| Parameters::zeros(config).expect("small sizes"));
            let of_plain = Plain::new().gradients(&model, &samples.batch(), &mut want).expect("lengths agree");
            let of_cuda = cuda.gradients(&model, &samples.batch(), &mut got).expect("lengths agree");
            assert!((of_plain - of_cuda).abs() < 1e-5 * of_plain, "{of_cuda} instead of {of_plain}");
            for entry in got.entries().to_vec() {
                assert_near(&entry.name, &got.values()[entry.span.clone()], &want.values()[entry.span]);
            }
        }
    }
}

/// Accumulated parts, clipping, no average, no time embedding; all of the state after several steps.
#[test]
fn training_steps_are_those_of_the_plain_engine() {
    let base = TrainConfig { learning_rate: 1e-2, weight_decay: 0.1, epsilon: 1e-4, ..TrainConfig::default() };
    let without = LfdnConfig { time_embedding: false, ..SMALL };
    let cases = [
        (SMALL, base),
        (SMALL, TrainConfig { clip_norm: Some(0.05), ..base }),
        (SMALL, TrainConfig { ema: false, clip_norm: Some(1e6), ..base }),
        (without, base),
    ];
    for gpu in gpus() {
        for (config, settings) in cases {
            let optimiser = AdamW::new(&settings);
            let [mut plain, mut cuda]: [Box<dyn LfdnEngine>; 2] = [Box::new(Plain::new()), Box::new(engine(&gpu))];
            let [mut want, mut got] = [0; 2].map(|_| TrainState::new(parameters(config)));
            for step in 0..4 {
                let parts = [4, 2].map(|rows| Samples::new(&format!("step {step}"), config, rows));
                let batches = [parts[0].batch(), parts[1].batch()];
                let parts = if step % 2 == 0 { &batches[..1] } else { &batches[..] };
                let rate = 1e-2 / f64::from(step + 1);
                let of_plain = plain.train_step(&mut want, &optimiser, rate, parts).expect("lengths agree");
                let of_cuda = cuda.train_step(&mut got, &optimiser, rate, parts).expect("lengths agree");
                assert!((of_plain - of_cuda).abs() < 1e-5 * of_plain, "{of_cuda} instead of {of_plain}");
            }
            cuda.synchronise(&mut got).expect("reads back");
            assert_eq!(got.updates, want.updates);
            assert_near("parameters", got.parameters.values(), want.parameters.values());
            assert_near("average", got.ema.values(), want.ema.values());
            assert_near("first moment", &got.first_moment, &want.first_moment);
            assert_near("second moment", &got.second_moment, &want.second_moment);
        }
    }
}

#[test]
fn a_loss_that_is_not_finite_changes_nothing() {
    let Some(gpu) = gpus().pop() else { return };
    let (mut cuda, optimiser) = (engine(&gpu), AdamW::new(&TrainConfig::default()));
    let mut state = TrainState::new(parameters(SMALL));
    let (before, mut samples) = (state.clone(), Samples::new("samples", SMALL, 3));
    samples.target[4] = f32::NAN;
    let loss = cuda.train_step(&mut state, &optimiser, 1e-2, &[samples.batch()]).expect("lengths agree");
    cuda.synchronise(&mut state).expect("reads back");
    assert!(loss.is_nan() && state == before);
    // Nor does it spoil the next step.
    let good = Samples::new("good", SMALL, 3);
    assert!(cuda.train_step(&mut state, &optimiser, 1e-2, &[good.batch()]).expect("trains").is_finite());
    cuda.synchronise(&mut state).expect("reads back");
    assert!(state.updates == 1 && state.parameters.values().iter().all(|value| value.is_finite()));
}

/// Two trainings in turn: each must be read back before the other begins, and then goes on where it was.
#[test]
fn a_state_that_was_left_behind_is_refused() {
    let Some(gpu) = gpus().pop() else { return };
    let (mut cuda, optimiser) = (engine(&gpu), AdamW::new(&TrainConfig::default()));
    let samples = Samples::new("samples", SMALL, 3);
    let step = |cuda: &mut Cuda, state: &mut TrainState| cuda.train_step(state, &optimiser, 1e-2, &[samples.batch()]);
    let first = || TrainState::new(parameters(SMALL));
    let mut alone = first();
    for _ in 0..3 {
        step(&mut cuda, &mut alone).expect("trains");
    }
    cuda.synchronise(&mut alone).expect("reads back");
    let (mut a, mut b) = (first(), first());
    for _ in 0..3 {
        for state in [&mut a, &mut b] {
            step(&mut cuda, state).expect("trains");
            cuda.synchronise(state).expect("reads back");
        }
    }
    assert!(a == b && a == alone);
    step(&mut cuda, &mut a).expect("trains");
    step(&mut cuda, &mut b).expect("trains");
    assert!(matches!(step(&mut cuda, &mut a), Err(DiffusionError::LeftBehind)));
    assert!(matches!(cuda.synchronise(&mut a), Err(DiffusionError::LeftBehind)));
    assert!(cuda.synchronise(&mut b).is_ok());
}

/// Three sets of parameters in turn, of which two are kept; a changed set is not the one that was copied.
#[test]
fn predictions_are_of_the_parameters_as_they_are() {
    let Some(gpu) = gpus().pop() else { return };
    let (mut cuda, samples) = (engine(&gpu), Samples::new("samples", SMALL, 3));
    let mut models = [1.0, 0.5, -0.7].map(|factor| {
        let mut model = parameters(SMALL);
        model.values_mut().iter_mut().for_each(|value| *value *= factor);
        model
    });
    for round in 0..3 {
        for model in &mut models {
            let [mut got, mut want] = [vec![0.0; samples.x.len()], vec![0.0; samples.x.len()]];
            Plain::new().predict(model, &samples.x, &samples.t, &mut want).expect("lengths agree");
            for _ in 0..2 {
                cuda.predict(model, &samples.x, &samples.t, &mut got).expect("lengths agree");
                assert_near(&format!("round {round}"), &got, &want);
            }
            model.values_mut()[0] += 0.25;
        }
    }
}

/// A whole training and reconstruction through [`Compute`], as an experiment runs them.
#[test]
fn a_training_and_its_reconstructions_are_those_of_the_processor() {
    let Some(gpu) = gpus().pop() else { return };
    let (config, rows) = (LfdnConfig::new(6, 10, 1), 24);
    let (z, schedule) = (numbers("z", rows * config.dim), Schedule::published());
    let settings = TrainConfig { epochs: 3, batch_size: 8, learning_rate: 3e-3, ..TrainConfig::default() };
    let objective = Objective::Denoise { schedule: &schedule, hide: Hide::Nothing };
    let run = |engine: &mut dyn LfdnEngine| {
        let training = Training { network: config, config: &settings, objective, z: &z, seed: Seed(3) };
        let mut checkpoints = NoCheckpoints;
        let cancel = Cancel::new();
        let mut context = TrainContext {
            progress: &Silent,
            cancel: &cancel,
            checkpoints: &mut checkpoints,
            checkpoint_every: 0,
            checkpoint_every_steps: 0,
        };
        let trained = training.run(engine, &mut context).expect("trains");
        let sampler = Sampler::new(&SampleConfig::default(), &schedule).expect("the default");
        let models = [&trained.ema, &trained.first.ema];
        let noise = StreamNoise::new(Seed(3), 0);
        let task = oodlab_base::Progress::task(&Silent, "scoring", "features", rows as u64, 0);
        let made = sampler.reconstruct(engine, &models, &z, 8, &noise, &cancel, &*task).expect("reconstructs");
        (trained, made)
    };
    let (want, made) = run(&mut Plain::new());
    let mut cuda = Compute::gpu(gpu).engine(Precision::F32).expect("there is memory");
    assert_eq!(cuda.name(), "cuda");
    let (got, made_on_gpu) = run(&mut *cuda);
    assert_near("parameters", got.parameters.values(), want.parameters.values());
    assert_near("first epoch", got.first.ema.values(), want.first.ema.values());
    for (losses, of_plain) in got.losses.iter().zip(&want.losses) {
        assert!((losses - of_plain).abs() < 1e-5);
    }
    for (got, want) in made_on_gpu.iter().zip(&made) {
        assert_near("reconstruction", got, want);
    }
}

/// Rounded factors change a little, and only a little.
#[test]
fn bf16_rounds_the_factors() {
    let Some(gpu) = gpus().pop() else { return };
    let (model, samples) = (parameters(SMALL), Samples::new("samples", SMALL, 3));
    let of = |precision| {
        let mut out = vec![0.0; samples.x.len()];
        let mut engine = Cuda::new(&gpu, precision).expect("there is memory");
        engine.predict(&model, &samples.x, &samples.t, &mut out).expect("lengths agree");
        out
    };
    let (full, rounded) = (of(Precision::F32), of(Precision::Bf16));
    assert_ne!(full, rounded);
    assert_eq!(Tolerance::absolute("bf16", 5e-2).compare_f32(&rounded, &full).failed, 0);
}

/// What is measured on a GPU runs on one; the figures mean nothing here.
#[test]
fn the_network_can_be_measured() {
    use oodlab_diffusion::bench::{BenchConfig, run};
    let Some(gpu) = gpus().pop() else { return };
    let precision = Precision::F32;
    let config = BenchConfig { network: SMALL, batch: 3, threads: 1, precision, plain: false, seconds: 0 };
    let report = run(&config, &Compute::gpu(gpu)).expect("small sizes");
    assert!(report.engine == "cuda" && report.train_features_per_s > 0.0 && report.score_features_per_s > 0.0);
}
