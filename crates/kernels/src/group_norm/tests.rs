use oodlab_base::Tolerance;

use super::panels;
use super::{EPSILON, Norm, Shift, Statistics, backward, forward, shift_gradient};
use crate::linear::layout;
use crate::simd::testing::{ALL_SETS, numbers};

/// Inputs of one case, in f64.
#[derive(Clone)]
struct Case {
    width: usize,
    x: Vec<f64>,
    weight: Vec<f64>,
    bias: Vec<f64>,
    table: Vec<f64>,
    row: Vec<u32>,
}

impl Case {
    fn new(rows: usize, width: usize, steps: usize) -> Case {
        let wide = |name: &str, count| numbers(name, count).into_iter().map(f64::from).collect::<Vec<f64>>();
        let row = (0..rows).map(|row| (row * 7 % steps) as u32).collect();
        Case {
            width,
            x: wide("x", rows * width),
            weight: wide("weight", width),
            bias: wide("bias", width),
            table: wide("table", steps * width),
            row,
        }
    }

    /// The output, in f64.
    fn naive(&self) -> Vec<f64> {
        let mut out = Vec::new();
        for (row, x) in self.x.chunks(self.width).enumerate() {
            let shift = &self.table[self.row[row] as usize * self.width..][..self.width];
            let u: Vec<f64> = x.iter().zip(shift).map(|(x, s)| x + s).collect();
            let mean = u.iter().sum::<f64>() / self.width as f64;
            let variance = u.iter().map(|u| (u - mean).powi(2)).sum::<f64>() / self.width as f64;
            for (u, (weight, bias)) in u.iter().zip(self.weight.iter().zip(&self.bias)) {
                let v = (u - mean) / (variance + f64::from(EPSILON)).sqrt() * weight + bias;
                out.push(v / (1.0 + (-v).exp()));
            }
        }
        out
    }

    /// The output's product with fixed numbers: a loss whose gradients are looked for.
    fn loss(&self, slopes: &[f32]) -> f64 {
        self.naive().iter().zip(slopes).map(|(y, &slope)| y * f64::from(slope)).sum()
    }
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

const CASES: [(usize, usize, usize); 5] = [(1, 5, 1), (3, 7, 2), (17, 40, 5), (33, 16, 9), (70, 33, 4)];

#[test]
fn the_output_agrees_with_f64() {
    for (rows, width, steps) in CASES {
        let case = Case::new(rows, width, steps);
        let (weight, bias, table) = (narrow(&case.weight), narrow(&case.bias), narrow(&case.table));
        let norm = Norm { weight: &weight, bias: &bias };
        let (mut out, mut statistics) = (vec![0.0; rows * width], vec![Statistics::default(); rows]);
        let shift = Shift { table: &table, row: &case.row };
        forward(norm, &narrow(&case.x), Some(shift), &mut out, &mut statistics).expect("fits");
        let got = out.iter().map(|&y| f64::from(y));
        Tolerance::mixed("3e-6", 3e-6, 3e-6).compare(got, case.naive()).assert(&format!("{rows} {width}"));
    }
}

/// Every gradient against differences of the f64 loss.
#[test]
fn gradients_agree_with_finite_differences() {
    for (rows, width, steps) in CASES {
        let case = Case::new(rows, width, steps);
        let (weight, bias, table, x) = (narrow(&case.weight), narrow(&case.bias), narrow(&case.table), narrow(&case.x));
        let norm = Norm { weight: &weight, bias: &bias };
        let shift = Some(Shift { table: &table, row: &case.row });
        let (mut out, mut statistics) = (vec![0.0; rows * width], vec![Statistics::default(); rows]);
        forward(norm, &x, shift, &mut out, &mut statistics).expect("fits");
        let slopes = numbers("slopes", rows * width);
        let (mut dx, mut dweight, mut dbias) = (vec![0.0; rows * width], vec![9.0; width], vec![9.0; width]);
        backward(norm, &x, shift, &statistics, &slopes, &mut dx, &mut dweight, &mut dbias).expect("fits");
        let mut dtable = vec![9.0; steps * width];
        shift_gradient(&dx, &case.row, width, &mut dtable).expect("fits");
        let check = |what: &str, got: &[f32], place: fn(&mut Case) -> &mut Vec<f64>| {
            let want = (0..got.len()).map(|at| {
                let at_distance = |distance: f64| {
                    let mut other = case.clone();
                    place(&mut other)[at] += distance;
                    other.loss(&slopes)
                };
                (at_distance(1e-5) - at_distance(-1e-5)) / 2e-5
            });
            let label = format!("{what} {rows} {width}");
            Tolerance::mixed("2e-5", 2e-5, 2e-5).compare(got.iter().map(|&x| f64::from(x)), want).assert(&label);
        };
        check("x", &dx, |case| &mut case.x);
        check("weight", &dweight, |case| &mut case.weight);
        check("bias", &dbias, |case| &mut case.bias);
        check("table", &dtable, |case| &mut case.table);
    }
}

#[test]
fn without_a_shift_the_rows_are_normalised_as_they_are() {
    let (x, weight, bias) = (numbers("x", 12), numbers("weight", 4), numbers("bias", 4));
    let norm = Norm { weight: &weight, bias: &bias };
    let run = |shift: Option<Shift<'_>>| {
        let (mut out, mut statistics) = (vec![0.0; 12], vec![Statistics::default(); 3]);
        forward(norm, &x, shift, &mut out, &mut statistics).map(|()| out)
    };
    let zeros = run(Some(Shift { table: &[0.0; 4], row: &[0; 3] })).expect("fits");
    assert_eq!(run(None).expect("fits"), zeros);
    assert!(run(Some(Shift { table: &[0.0; 4], row: &[0, 0, 1] })).is_err());
    assert!(run(Some(Shift { table: &[0.0; 5], row: &[0; 3] })).is_err());
    assert!(shift_gradient(&x, &[0, 0, 1], 4, &mut [0.0; 4]).is_err());
}

/// The norm of rows in lanes against the one of rows, on every instruction set.
#[test]
fn rows_in_lanes_agree_with_rows() {
    for (rows, width, steps) in CASES {
        let case = Case::new(rows, width, steps);
        let (weight, bias) = (narrow(&case.weight), narrow(&case.bias));
        let norm = Norm { weight: &weight, bias: &bias };
        let (x, slopes, before) = (narrow(&case.x), numbers("slopes", rows * width), numbers("before", rows * width));
        let (mut out, mut statistics) = (vec![0.0; rows * width], vec![Statistics::default(); rows]);
        forward(norm, &x, None, &mut out, &mut statistics).expect("fits");
        let (mut dx, mut dweight, mut dbias) = (vec![0.0; rows * width], vec![0.0; width], vec![0.0; width]);
        backward(norm, &x, None, &statistics, &slopes, &mut dx, &mut dweight, &mut dbias).expect("fits");
        let mut dtable = vec![0.0; steps * width];
        shift_gradient(&dx, &case.row, width, &mut dtable).expect("fits");

        let packed = |rows, values: &[f32]| {
            let mut to = vec![0.0; layout::panels_len(rows, width)];
            layout::from_rows(rows, width, values, &mut to).expect("fits");
            to
        };
        let unpacked = |rows, panels: &[f32]| {
            let mut to = vec![0.0; rows * width];
            layout::to_rows(rows, width, panels, &mut to).expect("fits");
            to
        };
        let close = |what: &str, got: &[f32], want: &[f32]| {
            Tolerance::mixed("1e-5", 1e-5, 1e-5).compare_f32(got, want).assert(&format!("{what} {rows} {width}"));
        };
        for set in ALL_SETS {
            let (x, count) = (packed(rows, &x), layout::panels_len(rows, width));
            let (mut y, mut again) = (vec![f32::NAN; count], vec![f32::NAN; count]);
            let mut statistics = vec![f32::NAN; panels::statistics_len(rows)];
            panels::forward(set, rows, norm, &x, &mut y, &mut statistics).expect("fits");
            close("y", &unpacked(rows, &y), &out);
            let (mut weight, mut bias) = (vec![f32::NAN; width], vec![f32::NAN; width]);
            let mut scratch = vec![f32::NAN; panels::scratch_len(rows, width)];
            for add in [false, true] {
                let mut to = packed(rows, &before);
                panels::backward(
                    set,
                    rows,
                    norm,
                    &x,
                    &statistics,
                    &mut packed(rows, &slopes),
                    add,
                    &mut to,
                    &mut again,
                    &mut scratch,
                    panels::NormGradient { weight: &mut weight, bias: &mut bias },
                )
                .expect("fits");
                let sum: Vec<f32> = dx.iter().zip(&before).map(|(dx, before)| dx + before).collect();
                close("dx", &unpacked(rows, &to), if add { &sum } else { &dx });
                close("y again", &unpacked(rows, &again), &out);
                close("weight", &weight, &dweight);
                close("bias", &bias, &dbias);
            }
            let mut table = vec![f32::NAN; layout::panels_len(steps, width)];
            panels::shift_gradient(&case.row, steps, width, &packed(rows, &dx), &mut table).expect("fits");
            close("table", &unpacked(steps, &table), &dtable);
            assert!(table.iter().all(|value| value.is_finite()), "unused lanes are 0");
        }
    }
}
