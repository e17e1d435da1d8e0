use oodlab_base::{Cancel, Seed, Silent};
use oodlab_diffusion::small::SmallTrainConfig;
use oodlab_diffusion::{NoCheckpoints, TrainContext};

use super::*;

const WIDTH: usize = 5;
const CLASSES: usize = 3;

fn config(drive: Drive) -> LatentConfig {
    let train = SmallTrainConfig { epochs: 40, batch_size: 30, learning_rate: 3e-3, ..SmallTrainConfig::default() };
    LatentConfig { drive, steps: 20, network: LatentNetwork { width: 32, blocks: 2 }, train, ..LatentConfig::default() }
}

fn centre(class: usize, i: usize) -> f32 {
    if i % CLASSES == class { 6.0 } else { 1.0 }
}

fn training() -> (Vec<f32>, Vec<u32>) {
    let rows = 240;
    let mut values = vec![0.0; rows * WIDTH];
    oodlab_kernels::normal::fill(Seed(2).stream("vectors"), 0, &mut values);
    let at = |(place, noise): (usize, &f32)| centre(place / WIDTH % CLASSES, place % WIDTH) + 0.3 * noise;
    (values.iter().enumerate().map(at).collect(), (0..rows).map(|row| (row % CLASSES) as u32).collect())
}

fn train(drive: Drive) -> LatentGenerator {
    let (vectors, labels) = training();
    let mut context = TrainContext {
        progress: &Silent,
        cancel: &Cancel::new(),
        checkpoints: &mut NoCheckpoints,
        checkpoint_every: 0,
        checkpoint_every_steps: 0,
    };
    LatentGenerator::train(&config(drive), (&vectors, WIDTH), (&labels, CLASSES), Seed(4), &mut context)
        .expect("trains")
}

fn generate(generator: &LatentGenerator, boundary: Option<&Outliers>, rows: usize) -> Outliers {
    let request = Request { rows, boundary, seed: Seed(8) };
    generator.generate(&request, (&Cancel::new(), &Silent)).expect("outliers")
}

fn distances(row: &[f32]) -> Vec<f32> {
    let to = |class: usize| row.iter().enumerate().map(|(i, x)| (x - centre(class, i)).powi(2)).sum::<f32>().sqrt();
    (0..CLASSES).map(to).collect()
}

fn smallest(values: &[f32]) -> f32 {
    values.iter().copied().fold(f32::INFINITY, f32::min)
}

/// Between two classes: farther from every class than any training vector, and nearer to its two classes than to the third.
#[test]
fn mixtures_lie_between_the_classes() {
    let found = generate(&train(Drive::OffManifold), None, 60);
    assert_eq!((found.rows(), found.width), (60, WIDTH));
    let (vectors, _) = training();
    let inside = vectors.chunks(WIDTH).map(|row| smallest(&distances(row))).fold(0.0, f32::max);
    let outside = found.values.chunks(WIDTH).filter(|row| smallest(&distances(row)) > inside).count();
    assert!(outside > 30, "{outside} of 60 lie outside of all classes");
}

#[test]
fn from_the_edge_they_stay_with_their_class() {
    // Far from class c, on its side of the others.
    let values = (0..CLASSES * 4 * WIDTH).map(|i| 1.6 * centre(i / WIDTH % CLASSES, i % WIDTH)).collect();
    let classes = (0..CLASSES * 4).map(|row| (row % CLASSES) as u32).collect();
    let edge = Outliers::new(WIDTH, values, Some(classes)).expect("rows");
    let generator = train(Drive::Boundary);
    let found = generate(&generator, Some(&edge), 60);
    let own = |(row, values): (usize, &[f32])| {
        let distances = distances(values);
        distances[row % CLASSES] <= smallest(&distances)
    };
    let right = found.values.chunks(WIDTH).enumerate().filter(|pair| own(*pair)).count();
    assert!(right > 54, "{right} of 60 lie nearest to their class");
    assert_eq!(found.classes.as_deref().map(|classes| &classes[..4]), Some(&[0, 1, 2, 0][..]));
    let request = Request { rows: 6, boundary: None, seed: Seed(8) };
    let told = generator.generate(&request, (&Cancel::new(), &Silent)).expect_err("no start").to_string();
    assert!(told.contains("off-manifold"), "{told}");
}

#[test]
fn it_is_the_same_for_any_number_of_threads_and_after_storing() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let generator = train(Drive::OffManifold);
            (generator.to_bytes().expect("bytes"), generate(&generator, None, 10))
        })
    };
    let (bytes, found) = run(1);
    assert!((bytes.clone(), found.clone()) == run(2));
    let loaded = LatentGenerator::from_bytes(&bytes).expect("its own bytes");
    assert_eq!(generate(&loaded, None, 10), found);
    for cut in [0, 8, bytes.len() / 2, bytes.len() - 1] {
        assert!(LatentGenerator::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn settings_out_of_range_are_named() {
    let told = |change: fn(&mut LatentConfig)| {
        let mut config = LatentConfig::default();
        change(&mut config);
        config.validate().expect_err("out of range").to_string()
    };
    assert!(told(|config| config.strength = 0.0).contains("latent.strength"));
    assert!(told(|config| config.mix = 1.5).contains("latent.mix"));
    assert!(told(|config| config.steps = 1000).contains("latent.steps"));
    assert!(told(|config| config.guidance = f64::NAN).contains("latent.guidance"));
    assert!(told(|config| config.network.width = 0).contains("latent.network.width"));
    assert!(LatentConfig::default().validate().is_ok());
}
