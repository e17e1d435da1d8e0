use candle_core::{Device, Tensor};
use oodlab_base::{Cancel, Seed, Silent};

use super::train::gradient;
use super::*;
use crate::{Checkpoints, KeeperError, TrainContext};

fn dense() -> Vae {
    Vae::new(VaeBody::Dense { dim: 6, width: 10 }, 3, 0.05).expect("valid sizes")
}

fn images() -> Vae {
    Vae::new(VaeBody::Images { side: 8, channels: 2 }, 3, 0.1).expect("valid sizes")
}

fn samples(rows: usize, dim: usize) -> Vec<f32> {
    (0..rows * dim).map(|i| ((i % dim) as f32 * 0.7 + (i / dim) as f32 * 0.9).sin()).collect()
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

pub(crate) fn config() -> SmallTrainConfig {
    SmallTrainConfig { epochs: 4, batch_size: 5, learning_rate: 3e-3, ema_decay: 0.9, ..SmallTrainConfig::default() }
}

fn train(
    network: &dyn SmallNetwork,
    samples: &[f32],
    config: &SmallTrainConfig,
    keeper: &mut Keeper,
    cancel: &Cancel,
) -> Result<SmallTrained, DiffusionError> {
    let training = SmallTraining { network, config, samples, seed: Seed(3), unit: "features" };
    training.run(&mut TrainContext {
        progress: &Silent,
        cancel,
        checkpoints: keeper,
        checkpoint_every: 1,
        checkpoint_every_steps: 1,
    })
}

fn bits(trained: &SmallTrained) -> (Vec<u32>, Vec<u64>) {
    let values = trained.parameters.values().iter().map(|x| x.to_bits()).collect();
    (values, trained.losses.iter().map(|x| x.to_bits()).collect())
}

/// Gradients against central differences of the loss, each parameter along a random direction of that length.
pub(crate) fn check_gradients(network: &dyn SmallNetwork, length: f32) {
    let dim = network.dim();
    let x = Tensor::from_vec(samples(4, dim), (4, dim), &Device::Cpu).expect("a batch");
    let mut parameters = SmallParameters::initialise("test", network.layout(), Seed(8)).expect("small");
    // Nothing may be zero: a gradient behind a layer of zeros would be zero too.
    let mut jitter = vec![0.0; parameters.values().len()];
    oodlab_kernels::normal::fill(Seed(4).stream("jitter"), 0, &mut jitter);
    parameters.values_mut().iter_mut().zip(&jitter).for_each(|(p, j)| *p += 0.05 * j);
    let draws = Seed(5).stream("draws");
    let (_, found) = gradient(network, &parameters, &x, draws).expect("a gradient");
    let mut direction = vec![0.0; found.len()];
    oodlab_kernels::normal::fill(Seed(6).stream("direction"), 0, &mut direction);
    let entries = parameters.entries().to_vec();
    for entry in entries {
        let norm = direction[entry.span.clone()].iter().map(|d| d * d).sum::<f32>().sqrt();
        let step = length / norm;
        let at = |sign: f32| {
            let mut moved = parameters.clone();
            for i in entry.span.clone() {
                moved.values_mut()[i] += sign * step * direction[i];
            }
            gradient(network, &moved, &x, draws).expect("a loss").0
        };
        let numeric = (at(1.0) - at(-1.0)) / (2.0 * f64::from(step));
        let span = entry.span.clone();
        let analytic: f64 = span.map(|i| f64::from(found[i]) * f64::from(direction[i])).sum();
        let scale = numeric.abs().max(analytic.abs()).max(1e-2);
        assert!((numeric - analytic).abs() < 0.03 * scale, "{}: {numeric} against {analytic}", entry.name);
    }
}

#[test]
fn gradients_are_those_of_the_loss() {
    // A short way: ReLU has kinks.
    check_gradients(&dense(), 4e-3);
    check_gradients(&images(), 4e-3);
}

/// A network that answers its last biases whatever it is given: a posterior of mean (1, -2) and log-variance (0, ln 4), decoded to (1, 1).
#[test]
fn the_loss_of_known_answers_is_the_one_computed_by_hand() {
    let network = Vae::new(VaeBody::Dense { dim: 2, width: 3 }, 2, 0.05).expect("valid sizes");
    let mut parameters = SmallParameters::initialise("test", network.layout(), Seed(8)).expect("small");
    parameters.values_mut().fill(0.0);
    // The log-variance is 8 tanh(answer / 8).
    let answer = (8.0 * (4f64.ln() / 8.0).atanh()) as f32;
    let biases: [(&str, &[f32]); 2] = [("encoder.4.bias", &[1.0, -2.0, 0.0, answer]), ("decoder.7.bias", &[1.0, 1.0])];
    for (name, values) in biases {
        let entry = parameters.entries().iter().find(|entry| entry.name == name).expect("a last bias");
        let span = entry.span.clone();
        parameters.values_mut()[span].copy_from_slice(values);
    }
    let x = vec![3.0, -1.0, 0.5, 2.0];
    let made = network.reconstruct(&parameters, &x, 2, (&Cancel::new(), &Silent)).expect("reconstructs");
    assert_eq!(made.reconstruction, [1.0; 4]);
    // 1/2 ((1 + 1 - 1 - 0) + (4 + 4 - 1 - ln 4)) = 4 - ln 2.
    for divergence in made.divergence {
        assert!((divergence - 3.306_852_8).abs() < 1e-5, "{divergence}");
    }
    // Squared errors 8 and 1.25: ((4 + 0.625) / 2 + 0.05 * 3.306853) / 2.
    let x = Tensor::from_vec(x, (2, 2), &Device::Cpu).expect("a batch");
    let (loss, _) = gradient(&network, &parameters, &x, Seed(5).stream("draws")).expect("a loss");
    assert!((loss - 1.238_921_32).abs() < 1e-6, "{loss}");
}

#[test]
fn a_killed_and_resumed_training_equals_an_uninterrupted_one() {
    let (network, samples) = (dense(), samples(12, 6));
    let whole = train(&network, &samples, &config(), &mut Keeper::default(), &Cancel::new()).expect("trains");
    assert_eq!(whole.losses.len(), 4);
    // Three steps an epoch; four epochs end with step 12, after which nothing is kept.
    for kill_at in 1..12 {
        let cancel = Cancel::new();
        let mut keeper = Keeper { kill_at: Some((kill_at, cancel.clone())), ..Keeper::default() };
        let killed = train(&network, &samples, &config(), &mut keeper, &cancel);
        assert!(matches!(killed, Err(DiffusionError::Cancelled(_))));
        keeper.kill_at = None;
        let resumed = train(&network, &samples, &config(), &mut keeper, &Cancel::new()).expect("resumes");
        assert!(bits(&whole) == bits(&resumed), "killed after step {kill_at}");
    }
    // A checkpoint of other settings, or a damaged one, is passed over.
    let mut keeper = Keeper::default();
    train(&network, &samples, &config(), &mut keeper, &Cancel::new()).expect("trains");
    let kept = keeper.latest.expect("saved");
    let other = SmallTrainConfig { learning_rate: 1e-3, ..config() };
    let fresh = train(&network, &samples, &other, &mut Keeper::default(), &Cancel::new()).expect("trains");
    for latest in [kept.clone(), kept[..kept.len() / 2].to_vec(), vec![0; 3]] {
        let mut keeper = Keeper { latest: Some(latest), ..Keeper::default() };
        let found = train(&network, &samples, &other, &mut keeper, &Cancel::new()).expect("trains anew");
        assert!(bits(&found) == bits(&fresh));
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let all: [(Vae, usize); 2] = [(dense(), 6), (images(), 192)];
            all.map(|(network, dim)| {
                let samples = samples(12, dim);
                let found = train(&network, &samples, &config(), &mut Keeper::default(), &Cancel::new());
                let found = found.expect("trains");
                let made = network.reconstruct(&found.parameters, &samples, 5, (&Cancel::new(), &Silent));
                let made = made.expect("reconstructs");
                let made: Vec<u32> = made.reconstruction.iter().chain(&made.divergence).map(|x| x.to_bits()).collect();
                (bits(&found), made)
            })
        })
    };
    let one = run(1);
    assert!(one == run(2) && one == run(3));
}

#[test]
fn a_sample_is_reconstructed_alike_in_any_company_and_better_after_training() {
    for network in [dense(), images()] {
        let dim = network.dim();
        let samples = samples(40, dim);
        let settings = SmallTrainConfig { epochs: 120, ..config() };
        let trained = train(&network, &samples, &settings, &mut Keeper::default(), &Cancel::new()).expect("trains");
        let work = (&Cancel::new(), &Silent as &dyn Task);
        let whole = network.reconstruct(&trained.parameters, &samples, 7, work).expect("reconstructs");
        let part = network.reconstruct(&trained.parameters, &samples[3 * dim..9 * dim], 7, work).expect("a part");
        assert!(whole.reconstruction[3 * dim..9 * dim] == part.reconstruction);
        assert!(whole.divergence[3..9] == part.divergence);
        assert!(whole.divergence.iter().all(|d| *d >= 0.0));
        let error = |made: &[f32]| made.iter().zip(&samples).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
        let zero = vec![0.0; samples.len()];
        assert!(
            error(&whole.reconstruction) < 0.3 * error(&zero),
            "{} of {}",
            error(&whole.reconstruction),
            error(&zero)
        );
    }
}

#[test]
fn senseless_sizes_and_settings_are_named() {
    let dense = |width, latent, beta| Vae::new(VaeBody::Dense { dim: 4, width }, latent, beta);
    let told = |found: Result<Vae, DiffusionError>| found.expect_err("must be refused").to_string();
    assert!(told(dense(0, 2, 1.0)).starts_with("network.width"));
    assert!(told(dense(2, 0, 1.0)).starts_with("network.latent"));
    assert!(told(dense(2, 2, 0.0)).starts_with("beta"));
    assert!(told(Vae::new(VaeBody::Images { side: 12, channels: 2 }, 2, 1.0)).contains("multiple of 8"));
    assert!(told(Vae::new(VaeBody::Images { side: 32, channels: 0 }, 2, 1.0)).starts_with("network.channels"));
    let bad = SmallTrainConfig { ema_decay: 1.0, ..config() };
    assert!(bad.validate().expect_err("must be refused").to_string().starts_with("train.ema_decay"));
    let found = train(&images(), &samples(2, 100), &config(), &mut Keeper::default(), &Cancel::new());
    assert!(matches!(found, Err(DiffusionError::Length { .. })));
}

/// Trains without checkpoints.
pub(crate) fn train_quietly(network: &dyn SmallNetwork, samples: &[f32], config: &SmallTrainConfig) -> SmallTrained {
    train(network, samples, config, &mut Keeper::default(), &Cancel::new()).expect("trains")
}
