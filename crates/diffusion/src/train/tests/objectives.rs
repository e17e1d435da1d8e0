//! What the network is shown under each objective.

use super::draw::Streams;
use super::*;

fn run(training: &Training<'_>) -> Trained {
    train_by_steps(training, &mut Keeper::default(), [0, 0], &Cancel::new()).expect("trains")
}

fn streams() -> Streams {
    let [steps, noise, hidden] = ["a", "b", "c"].map(|name| Seed(1).stream(name));
    Streams { steps, noise, hidden, first: 0 }
}

#[test]
fn an_autoencoder_is_shown_the_samples_themselves() {
    let (z, config) = (samples(64), TrainConfig { epochs: 30, ..config() });
    let network = LfdnConfig { time_embedding: false, ..NETWORK };
    let training = Training { network, config: &config, objective: Objective::Reconstruct, z: &z, seed: Seed(3) };
    let drawn = training.show(&[3, 0], &streams()).expect("rows of the set");
    let view = drawn.view();
    let wanted = [&z[36..48], &z[..12]].concat();
    assert_eq!((view.x, view.target, view.t), (&wanted[..], &wanted[..], &[0, 0][..]));
    let found = run(&training);
    assert!(found.losses[29] < 0.7 * found.losses[0], "{:?}", found.losses);
}

#[test]
fn one_layer_of_each_sample_is_hidden() {
    let (z, schedule, config) = (samples(64), Schedule::published(), config());
    let spans = [0..3, 3..7, 7..12];
    let with = |hide| {
        let objective = Objective::Denoise { schedule: &schedule, hide };
        Training { network: NETWORK, config: &config, objective, z: &z, seed: Seed(3) }
    };
    let rows: Vec<usize> = (0..64).collect();
    let open = with(Hide::Nothing).show(&rows, &streams()).expect("rows of the set");
    let hidden = with(Hide::OneLayer(&spans)).show(&rows, &streams()).expect("rows of the set");
    let (open, hidden) = (open.view(), hidden.view());
    assert_eq!((open.t, open.target), (hidden.t, hidden.target));
    let mut times = [0; 3];
    for (open, hidden) in open.x.chunks(12).zip(hidden.x.chunks(12)) {
        let layer = spans.iter().position(|span| hidden[span.clone()].iter().all(|x| *x == 0.0)).expect("one");
        times[layer] += 1;
        for (channel, (open, hidden)) in open.iter().zip(hidden).enumerate() {
            assert_eq!(*hidden, if spans[layer].contains(&channel) { 0.0 } else { *open });
        }
    }
    assert!(times.iter().all(|&times| times > 10), "{times:?}");
    assert_ne!(run(&with(Hide::OneLayer(&spans))).parameters, run(&with(Hide::Nothing)).parameters);
}

#[test]
fn layers_that_are_no_part_of_a_sample_are_refused() {
    let (z, schedule, config) = (samples(16), Schedule::published(), config());
    for (spans, wanted) in
        [(vec![], "hidden layers is an empty list"), (vec![0..3, 5..5], "5..5"), (vec![3..13, 0..3], "3..13")]
    {
        let objective = Objective::Denoise { schedule: &schedule, hide: Hide::OneLayer(&spans) };
        let training = Training { network: NETWORK, config: &config, objective, z: &z, seed: Seed(3) };
        let found = train_by_steps(&training, &mut Keeper::default(), [0, 0], &Cancel::new());
        let message = found.expect_err("no layer").to_string();
        assert!(message.contains(wanted), "{message}");
    }
}
