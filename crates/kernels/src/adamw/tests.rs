use oodlab_base::Tolerance;

use super::{Coefficients, Slices, clip_scale, part, run};
use crate::simd::testing::{ALL_SETS, numbers};

const STEP: Coefficients = Coefficients {
    scale: 0.5,
    keep: 0.999,
    first: 0.1,
    second: 0.001,
    second_keep: 0.999,
    rate: 0.01,
    unbias: 12.0,
    epsilon: 1e-8,
    follow: 0.25,
};

/// The four formulas in f64.
fn naive(c: Coefficients, [p, e, m, v, g]: [f64; 5]) -> [f64; 4] {
    let g = g * f64::from(c.scale);
    let m = m + f64::from(c.first) * (g - m);
    let v = f64::from(c.second_keep) * v + f64::from(c.second) * g * g;
    let p = f64::from(c.keep) * p - f64::from(c.rate) * m / (v.sqrt() * f64::from(c.unbias) + f64::from(c.epsilon));
    [p, e + f64::from(c.follow) * (p - e), m, v]
}

#[test]
fn a_step_agrees_with_f64_on_every_set_and_length() {
    for set in ALL_SETS {
        for count in [1, 7, 8, 16, 31, 70_001] {
            let start: Vec<Vec<f32>> = ["p", "e", "m", "v", "g"].map(|name| numbers(name, count)).to_vec();
            let mut now = start.clone();
            // Second moments are not negative.
            now[3].iter_mut().for_each(|v| *v = v.abs() + 1e-3);
            let second = now[3].clone();
            let [p, e, m, v, g] = now.get_disjoint_mut([0, 1, 2, 3, 4]).expect("five");
            let all = Slices { parameters: p, average: e, first_moment: m, second_moment: v };
            part(set, STEP, all, g).expect("one length");
            for (slice, got) in now[..4].iter().enumerate() {
                let want = (0..count).map(|i| {
                    let old = [start[0][i], start[1][i], start[2][i], second[i], start[4][i]].map(f64::from);
                    naive(STEP, old)[slice]
                });
                let what = format!("{} {count} {slice}", set.name());
                Tolerance::mixed("1e-6", 1e-6, 1e-6).compare(got.iter().map(|&x| f64::from(x)), want).assert(&what);
            }
        }
    }
}

#[test]
fn an_average_that_follows_at_once_equals_the_parameters() {
    let mut slices = [numbers("p", 40), numbers("e", 40), numbers("m", 40), vec![0.5; 40]];
    let [p, e, m, v] = &mut slices;
    let coefficients = Coefficients { follow: 1.0, ..STEP };
    let all = Slices { parameters: p, average: e, first_moment: m, second_moment: v };
    run(coefficients, all, &numbers("g", 40)).expect("one length");
    assert_eq!(slices[0], slices[1]);
    let [p, e, m, v] = &mut slices;
    let all = Slices { parameters: p, average: e, first_moment: m, second_moment: v };
    assert!(run(coefficients, all, &[0.0; 39]).is_err());
}

#[test]
fn long_gradients_are_scaled_to_the_length_and_short_ones_stay() {
    let gradients = numbers("g", 100_003);
    let length = gradients.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>().sqrt();
    let scale = f64::from(clip_scale(&gradients, 2.0));
    assert!((scale * length - 2.0).abs() < 1e-6, "{scale}");
    assert_eq!(clip_scale(&gradients, length * 1.01), 1.0);
}
