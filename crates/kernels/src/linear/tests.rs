use oodlab_base::Tolerance;

use super::{Begin, Numbers, Shape, bias_gradient, forward, input_gradient, layout, weight_gradient, weight_step};
use crate::adamw::{self, Coefficients, Slices};
use crate::simd::testing::{ALL_SETS, numbers};

/// Sums of up to a few hundred products of numbers in -1 .. 1, f32 against f64.
const SUMS: Tolerance = Tolerance::mixed("1e-5", 1e-5, 1e-5);
const STEP: Coefficients = Coefficients {
    scale: 1.0,
    keep: 0.999,
    first: 0.1,
    second: 0.001,
    second_keep: 0.999,
    rate: 0.01,
    unbias: 12.0,
    epsilon: 1e-8,
    follow: 0.25,
};
const SHAPES: [Shape; 7] = [
    Shape { inputs: 1, outputs: 1, rows: 1 },
    Shape { inputs: 5, outputs: 7, rows: 3 },
    Shape { inputs: 14, outputs: 14, rows: 32 },
    Shape { inputs: 33, outputs: 29, rows: 33 },
    Shape { inputs: 300, outputs: 61, rows: 17 },
    Shape { inputs: 57, outputs: 280, rows: 65 },
    Shape { inputs: 40, outputs: 16, rows: 300 },
];

fn panels(rows: usize, width: usize, values: &[f32]) -> Vec<f32> {
    let mut to = vec![f32::NAN; layout::panels_len(rows, width)];
    layout::from_rows(rows, width, values, &mut to).expect("fits");
    to
}

fn rows(rows: usize, width: usize, panels: &[f32]) -> Vec<f64> {
    let mut to = vec![f32::NAN; rows * width];
    layout::to_rows(rows, width, panels, &mut to).expect("fits");
    to.into_iter().map(f64::from).collect()
}

/// The nearest bfloat16, ties to even.
fn rounded(value: f32) -> f64 {
    let bits = value.to_bits();
    f64::from(f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000))
}

#[test]
fn products_agree_with_their_sums() {
    for shape in SHAPES {
        let Shape { inputs, outputs, rows: count } = shape;
        let (weight, bias) = (numbers("w", outputs * inputs), numbers("b", outputs));
        let (x, skip, dy) =
            (numbers("x", count * inputs), numbers("skip", count * outputs), numbers("dy", count * outputs));
        let steps = count.div_ceil(2) + 32;
        let (told, row) =
            (numbers("told", steps * outputs), (0..count).map(|row| (row * 5 % steps) as u32).collect::<Vec<_>>());
        let (x_panels, skip_panels, dy_panels) =
            (panels(count, inputs, &x), panels(count, outputs, &skip), panels(count, outputs, &dy));
        let table = panels(steps, outputs, &told);
        let single = ALL_SETS.map(Numbers::single);
        for with in single.into_iter().chain(Numbers::half()) {
            let label = format!("{shape:?} with {with:?}");
            let wide = |value: f32| f64::from(value);
            // What a factor counts for.
            let factor = |value: f32| if with.is_half() { rounded(value) } else { wide(value) };
            let product = |at: usize| {
                let (r, o) = (at / outputs, at % outputs);
                let terms = (0..inputs).map(|i| factor(x[r * inputs + i]) * factor(weight[o * inputs + i]));
                wide(bias[o]) + terms.sum::<f64>()
            };
            let mut out = vec![f32::NAN; layout::panels_len(count, outputs)];
            let all = 0..count * outputs;
            forward(with, shape, &weight, &bias, &x_panels, Begin::Nothing, &mut out).expect("fits");
            SUMS.compare(rows(count, outputs, &out), all.clone().map(product)).assert(&label);
            forward(with, shape, &weight, &bias, &x_panels, Begin::Residual(&skip_panels), &mut out).expect("fits");
            let want = all.clone().map(|at| product(at) + wide(skip[at]));
            SUMS.compare(rows(count, outputs, &out), want).assert(&label);
            let shift = Begin::Shift { table: &table, steps, row: &row };
            forward(with, shape, &weight, &bias, &x_panels, shift, &mut out).expect("fits");
            let want = all.map(|at| product(at) + wide(told[row[at / outputs] as usize * outputs + at % outputs]));
            SUMS.compare(rows(count, outputs, &out), want).assert(&label);

            let mut dx = vec![0.5; layout::panels_len(count, inputs)];
            let want = |at: usize| {
                let (r, i) = (at / inputs, at % inputs);
                (0..outputs).map(|o| factor(dy[r * outputs + o]) * factor(weight[o * inputs + i])).sum::<f64>()
            };
            input_gradient(with, shape, &weight, &dy_panels, true, &mut dx).expect("fits");
            SUMS.compare(rows(count, inputs, &dx), (0..count * inputs).map(|at| 0.5 + want(at))).assert(&label);
            input_gradient(with, shape, &weight, &dy_panels, false, &mut dx).expect("fits");
            SUMS.compare(rows(count, inputs, &dx), (0..count * inputs).map(want)).assert(&label);

            let mut turned = vec![f32::NAN; layout::by_features_len(count, inputs)];
            layout::by_features(count, inputs, &x_panels, &mut turned).expect("fits");
            let mut slope = vec![f32::NAN; outputs * inputs];
            weight_gradient(with, shape, &dy_panels, &turned, &mut slope).expect("fits");
            let want = (0..outputs * inputs).map(|at| {
                let (o, i) = (at / inputs, at % inputs);
                (0..count).map(|r| factor(dy[r * outputs + o]) * factor(x[r * inputs + i])).sum::<f64>()
            });
            SUMS.compare(slope.iter().map(|&v| wide(v)), want).assert(&label);
            let start = ["p", "e", "m"].map(|name| numbers(name, outputs * inputs));
            let (mut apart, mut joined) = (start.clone(), start);
            let mut squares = [vec![0.5; outputs * inputs], vec![0.5; outputs * inputs]];
            let [p, e, m] = &mut apart;
            let all = Slices { parameters: p, average: e, first_moment: m, second_moment: &mut squares[0] };
            adamw::part(with.set(), STEP, all, &slope).expect("one length");
            let [p, e, m] = &mut joined;
            let all = Slices { parameters: p, average: e, first_moment: m, second_moment: &mut squares[1] };
            weight_step(with, shape, &dy_panels, &turned, STEP, all).expect("fits");
            assert_eq!(apart, joined, "{label}");
            assert_eq!(squares[0], squares[1], "{label}");
        }
        let wide = |value: f32| f64::from(value);
        let mut sums = vec![f32::NAN; outputs];
        bias_gradient(count, outputs, &dy_panels, &mut sums).expect("fits");
        let want = (0..outputs).map(|o| (0..count).map(|r| wide(dy[r * outputs + o])).sum::<f64>());
        SUMS.compare(sums.iter().map(|&v| wide(v)), want).assert(&format!("{shape:?}"));
    }
}

#[test]
fn a_row_does_not_depend_on_its_neighbours() {
    let shape = Shape { inputs: 290, outputs: 45, rows: 70 };
    let (weight, bias, x) = (numbers("w", 290 * 45), numbers("b", 45), numbers("x", 70 * 290));
    for with in ALL_SETS.map(Numbers::single).into_iter().chain(Numbers::half()) {
        let run = |x: &[f32], count: usize| {
            let mut out = vec![f32::NAN; layout::panels_len(count, 45)];
            let shape = Shape { rows: count, ..shape };
            forward(with, shape, &weight, &bias, &panels(count, 290, x), Begin::Nothing, &mut out).expect("fits");
            rows(count, 45, &out)
        };
        let all = run(&x, 70);
        for row in [0, 31, 32, 69] {
            assert_eq!(run(&x[row * 290..][..290], 1), all[row * 45..][..45], "{with:?} {row}");
        }
    }
}

#[test]
fn buffers_that_do_not_fit_are_errors() {
    let shape = Shape { inputs: 4, outputs: 3, rows: 2 };
    let with = Numbers::single(crate::simd::InstructionSet::detect());
    let (weight, bias, x, mut out) = (vec![0.0; 12], vec![0.0; 3], vec![0.0; 128], vec![0.0; 96]);
    let mut run = |weight: &[f32], bias: &[f32], x: &[f32], begin: Begin<'_>, length: usize| {
        forward(with, shape, weight, bias, x, begin, &mut out[..length]).is_ok()
    };
    assert!(run(&weight, &bias, &x, Begin::Nothing, 96));
    assert!(!run(&weight[1..], &bias, &x, Begin::Nothing, 96));
    assert!(!run(&weight, &bias[1..], &x, Begin::Nothing, 96));
    assert!(!run(&weight, &bias, &x[1..], Begin::Nothing, 96));
    assert!(!run(&weight, &bias, &x, Begin::Nothing, 95));
    assert!(!run(&weight, &bias, &x, Begin::Residual(&x[..95]), 96));
    assert!(!run(&weight, &bias, &x, Begin::Shift { table: &x[..96], steps: 2, row: &[0, 2] }, 96));
    assert!(!run(&weight, &bias, &x, Begin::Shift { table: &x[..96], steps: 2, row: &[0] }, 96));
    assert!(input_gradient(with, shape, &weight, &x[..96], false, &mut [0.0; 127]).is_err());
    assert!(weight_gradient(with, shape, &x[..96], &x, &mut [0.0; 12]).is_err());
    assert!(bias_gradient(2, 3, &x[..95], &mut [0.0; 3]).is_err());
}
