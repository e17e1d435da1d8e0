use oodlab_base::{Cancel, Seed, Silent};

use super::*;
use crate::small::{
    SmallNetwork, SmallParameters, SmallTrainConfig, SmallTrained, SmallTraining, tests::check_gradients,
};
use crate::{NoCheckpoints, TrainContext};

fn network() -> Ddpm {
    Ddpm::new(8, 8).expect("valid sizes")
}

/// Stripes of some phase.
fn images(count: usize) -> Vec<f32> {
    (0..count * 192).map(|i| ((i % 8) as f32 * 0.8 + (i / 192) as f32 * 0.4).sin() * 0.8).collect()
}

fn train(epochs: usize) -> SmallTrained {
    let config = SmallTrainConfig { epochs, batch_size: 16, learning_rate: 3e-3, ..SmallTrainConfig::default() };
    let (network, samples) = (network(), images(32));
    let training =
        SmallTraining { network: &network, config: &config, samples: &samples, seed: Seed(3), unit: "images" };
    let mut context = TrainContext {
        progress: &Silent,
        cancel: &Cancel::new(),
        checkpoints: &mut NoCheckpoints,
        checkpoint_every: 0,
        checkpoint_every_steps: 0,
    };
    training.run(&mut context).expect("trains")
}

fn reconstruct(trained: &SmallTrained, x: &[f32], first: u64) -> Vec<f32> {
    let config = PixelSampleConfig { start: 200, steps: 4 };
    let work = (&Cancel::new(), &Silent as &dyn oodlab_base::Task);
    network().reconstruct(&trained.parameters, x, (8, &config), (Seed(1), first), work).expect("reconstructs")
}

#[test]
fn gradients_are_those_of_the_loss() {
    check_gradients(&network(), 3e-2);
}

#[test]
fn bits_do_not_depend_on_threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let trained = train(2);
            let made = reconstruct(&trained, &images(10), 0);
            (trained.parameters, trained.losses, made)
        })
    };
    let one = run(1);
    assert!(one == run(2) && one == run(3));
}

#[test]
fn what_was_learned_comes_back_and_other_images_do_not() {
    let trained = train(60);
    assert!(trained.losses[59] < 0.4 * trained.losses[0], "{:?}", trained.losses);
    let inside = images(12);
    let whole = reconstruct(&trained, &inside, 0);
    let part = reconstruct(&trained, &inside[192 * 5..192 * 9], 5);
    assert!(whole[192 * 5..192 * 9] == part, "neither batch nor company changes a sample");
    assert!(part != reconstruct(&trained, &inside[192 * 5..192 * 9], 6), "noise follows the place");
    assert!(whole.iter().all(|x| (-1.0..=1.0).contains(x)));
    let mut outside = vec![0.0; inside.len()];
    oodlab_kernels::uniform::fill(Seed(2).stream("outside"), 0, &mut outside);
    outside.iter_mut().for_each(|x| *x = 2.0 * x.round() - 1.0);
    let error = |x: &[f32], made: &[f32]| x.iter().zip(made).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
    let (near, far) = (error(&inside, &whole), error(&outside, &reconstruct(&trained, &outside, 0)));
    assert!(far > 2.0 * near, "inside {near}, outside {far}");
}

#[test]
fn senseless_sizes_are_named_and_the_stated_ones_hold() {
    let told = |side, channels| Ddpm::new(side, channels).expect_err("must be refused").to_string();
    assert!(told(30, 16).starts_with("side of the images"));
    assert!(told(32, 12).starts_with("network.channels"));
    assert!(told(32, 0).starts_with("network.channels"));
    let bad = |start, steps| PixelSampleConfig { start, steps }.validate().expect_err("must be refused").to_string();
    assert!(bad(1000, 10).starts_with("sample.start") && bad(0, 1).starts_with("sample.start"));
    assert!(bad(5, 6).starts_with("sample.steps") && bad(5, 0).starts_with("sample.steps"));
    // What the documentation says of their size.
    let count = |channels| Ddpm::new(32, channels).expect("valid").parameter_count();
    assert_eq!([count(16), count(32)], [276_051, 1_098_403]);
    assert_eq!(network().dim(), 192);
}

#[test]
fn the_schedule_is_that_of_ho_et_al() {
    // What is left of the signal's variance after the first, the middle and the last step (numpy, cumulative product of 1 - beta).
    for (step, want) in [(0, 0.9999), (499, 0.07858724288177824), (999, 4.035829765375676e-05)] {
        let (signal, noise) = network().level(step);
        assert!((signal * signal / want - 1.0).abs() < 1e-9, "step {step}: {}", signal * signal);
        assert!((signal * signal + noise * noise - 1.0).abs() < 1e-12);
    }
}

/// Where no noise is predicted, the clean image is the noised one over its factor, and every later step keeps it.
#[test]
fn without_predicted_noise_the_noised_image_is_scaled_back() {
    let network = network();
    let mut parameters = SmallParameters::initialise("test", network.layout(), Seed(8)).expect("small");
    parameters.values_mut().fill(0.0);
    let x = images(3);
    let work = (&Cancel::new(), &Silent as &dyn oodlab_base::Task);
    let stream = Seed(1).stream("pixel ddpm reconstruction noise");
    let mut noise = vec![0.0; x.len()];
    for (row, noise) in noise.chunks_exact_mut(192).enumerate() {
        oodlab_kernels::normal::fill(stream.child(7 + row as u64), 0, noise);
    }
    for (start, steps) in [(200, 1), (200, 4), (40, 3)] {
        let config = PixelSampleConfig { start, steps };
        let made = network.reconstruct(&parameters, &x, (2, &config), (Seed(1), 7), work).expect("reconstructs");
        let left: f64 = (0..=start).map(|step| 1.0 - (1e-4 + (0.02 - 1e-4) * step as f64 / 999.0)).product();
        let ratio = ((1.0 - left) / left).sqrt();
        let mut inside = 0;
        for (at, made) in made.iter().enumerate() {
            let want = (f64::from(x[at]) + ratio * f64::from(noise[at])).clamp(-1.0, 1.0);
            assert!((f64::from(*made) - want).abs() < 1e-5, "start {start}, value {at}: {made} instead of {want}");
            inside += usize::from(want.abs() < 1.0);
        }
        assert!(inside > 100 && inside < x.len(), "{inside} values within the bounds");
    }
}
