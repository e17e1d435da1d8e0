use oodlab_base::Tolerance;
use proptest::prelude::*;

use super::{PlaneShape, forward, input_gradient, weight_gradient};
use crate::dense_conv::Padding;
use crate::simd::testing::{TOLERANCE, numbers};

fn lengths(shape: &PlaneShape) -> (usize, usize, usize) {
    let (rows, columns) = shape.output_size().expect("fits");
    (
        shape.images * shape.inputs * shape.height * shape.width,
        shape.outputs * shape.inputs * shape.size * shape.size,
        shape.images * shape.outputs * rows * columns,
    )
}

/// Every product of the defining sum: `visit(output, input, weight)` by position.
fn products(shape: &PlaneShape, mut visit: impl FnMut(usize, usize, usize)) {
    let &PlaneShape { images, inputs, outputs, height, width, size, stride, padding } = shape;
    let (rows, columns) = shape.output_size().expect("fits");
    for n in 0..images {
        for o in 0..outputs {
            for y in 0..rows {
                for x in 0..columns {
                    for i in 0..inputs {
                        for ky in 0..size {
                            for kx in 0..size {
                                let row = (y * stride + ky).checked_sub(padding.top).filter(|&row| row < height);
                                let column =
                                    (x * stride + kx).checked_sub(padding.left).filter(|&column| column < width);
                                if let Some((row, column)) = row.zip(column) {
                                    visit(
                                        ((n * outputs + o) * rows + y) * columns + x,
                                        ((n * inputs + i) * height + row) * width + column,
                                        ((o * inputs + i) * size + ky) * size + kx,
                                    );
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn check(shape: PlaneShape, label: &str) {
    let (input_length, weight_length, output_length) = lengths(&shape);
    let (input, weight) = (numbers("input", input_length), numbers("weight", weight_length));
    let gradient = numbers("gradient", output_length);
    let mut want = (vec![0.0f64; output_length], vec![0.0f64; input_length], vec![0.0f64; weight_length]);
    products(&shape, |o, i, w| {
        want.0[o] += f64::from(input[i]) * f64::from(weight[w]);
        want.1[i] += f64::from(gradient[o]) * f64::from(weight[w]);
        want.2[w] += f64::from(gradient[o]) * f64::from(input[i]);
    });
    let mut got = (vec![f32::NAN; output_length], vec![f32::NAN; input_length], vec![f32::NAN; weight_length]);
    forward(shape, &input, &weight, &mut got.0).expect("fits");
    input_gradient(shape, &weight, &gradient, &mut got.1).expect("fits");
    weight_gradient(shape, &input, &gradient, &mut got.2).expect("fits");
    // The weight's gradient sums over all pixels of all images, the output over all inputs.
    let long = Tolerance::mixed("2e-5", 2e-5, 3e-6);
    let output_tolerance = if shape.inputs * shape.size * shape.size > 300 { long } else { TOLERANCE };
    let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
    output_tolerance.compare(wide(&got.0), want.0).assert(&format!("output, {label}: {shape:?}"));
    TOLERANCE.compare(wide(&got.1), want.1).assert(&format!("input's gradient, {label}: {shape:?}"));
    long.compare(wide(&got.2), want.2).assert(&format!("weight's gradient, {label}: {shape:?}"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn agree_with_the_defining_sum(
        images in 0usize..6, inputs in 1usize..6, outputs in 1usize..12, height in 1usize..14, width in 1usize..14,
        size in 1usize..6, stride in 1usize..4, sides in (0usize..4, 0usize..4, 0usize..4, 0usize..4),
    ) {
        let padding = Padding { top: sides.0, bottom: sides.1, left: sides.2, right: sides.3 };
        let shape = PlaneShape { images, inputs, outputs, height, width, size, stride, padding };
        match padding.output_size(height, width, size, stride) {
            Some(_) => check(shape, "drawn"),
            None => prop_assert!(shape.output_size().is_err()),
        }
    }
}

/// Sizes at which the work is cut: many small images, strips of a large one, several blocks of channels.
#[test]
fn cuts_agree_with_the_defining_sum() {
    let base = PlaneShape {
        images: 3,
        inputs: 3,
        outputs: 4,
        height: 40,
        width: 37,
        size: 3,
        stride: 1,
        padding: Padding { top: 1, bottom: 1, left: 1, right: 1 },
    };
    let none = Padding::default();
    check(base, "strips");
    check(PlaneShape { stride: 2, ..base }, "strips with a stride");
    check(PlaneShape { size: 1, padding: none, ..base }, "pointwise strips");
    check(PlaneShape { size: 1, stride: 2, padding: none, ..base }, "pointwise with a stride");
    check(PlaneShape { inputs: 130, height: 5, width: 4, images: 5, ..base }, "blocks of channels");
    check(
        PlaneShape { inputs: 600, height: 26, width: 20, images: 2, outputs: 2, size: 1, padding: none, ..base },
        "wide",
    );
    check(
        PlaneShape { inputs: 600, height: 1, width: 1, images: 9, outputs: 5, size: 1, padding: none, ..base },
        "linear",
    );
    check(PlaneShape { images: 70, height: 4, width: 4, inputs: 5, ..base }, "many small images");
    check(PlaneShape { size: 16, stride: 16, height: 64, width: 64, padding: none, ..base }, "patches");
}

/// The slope of a loss that is not linear, by central differences of the convolution itself.
#[test]
fn gradients_are_slopes() {
    let padding = Padding { top: 0, bottom: 1, left: 2, right: 0 };
    let shape = PlaneShape { images: 2, inputs: 3, outputs: 4, height: 7, width: 5, size: 3, stride: 2, padding };
    let (input_length, weight_length, output_length) = lengths(&shape);
    let (input, weight) = (numbers("input", input_length), numbers("weight", weight_length));
    let run = |input: &[f32], weight: &[f32]| {
        let mut output = vec![0.0; output_length];
        forward(shape, input, weight, &mut output).expect("fits");
        output
    };
    let loss =
        |input: &[f32], weight: &[f32]| run(input, weight).iter().map(|&x| f64::from(x).powi(2) / 2.0).sum::<f64>();
    let output = run(&input, &weight);
    let mut slopes = (vec![0.0; input_length], vec![0.0; weight_length]);
    input_gradient(shape, &weight, &output, &mut slopes.0).expect("fits");
    weight_gradient(shape, &input, &output, &mut slopes.1).expect("fits");
    let step = 1e-2;
    let moved = |values: &[f32], at: usize, by: f32| {
        let mut values = values.to_vec();
        values[at] += by;
        values
    };
    // The loss is quadratic: differences are exact but for rounding.
    let tolerance = Tolerance::mixed("2e-3", 2e-3, 1e-3);
    let difference = |plus: f64, minus: f64| (plus - minus) / (2.0 * f64::from(step));
    let want = (0..input_length)
        .map(|at| difference(loss(&moved(&input, at, step), &weight), loss(&moved(&input, at, -step), &weight)));
    tolerance.compare(slopes.0.iter().map(|&x| f64::from(x)), want).assert("input");
    let want = (0..weight_length)
        .map(|at| difference(loss(&input, &moved(&weight, at, step)), loss(&input, &moved(&weight, at, -step))));
    tolerance.compare(slopes.1.iter().map(|&x| f64::from(x)), want).assert("weight");
}

#[test]
fn bits_do_not_depend_on_the_threads() {
    let padding = Padding { top: 1, bottom: 1, left: 1, right: 1 };
    let shape = PlaneShape { images: 37, inputs: 24, outputs: 20, height: 9, width: 8, size: 3, stride: 1, padding };
    let (input_length, weight_length, output_length) = lengths(&shape);
    let (input, weight) = (numbers("input", input_length), numbers("weight", weight_length));
    let gradient = numbers("gradient", output_length);
    let run = || {
        let mut got = (vec![0.0; output_length], vec![0.0; input_length], vec![0.0; weight_length]);
        forward(shape, &input, &weight, &mut got.0).expect("fits");
        input_gradient(shape, &weight, &gradient, &mut got.1).expect("fits");
        weight_gradient(shape, &input, &gradient, &mut got.2).expect("fits");
        got
    };
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    let alone = pool(1).install(run);
    for threads in [2, 3, 7] {
        assert!(pool(threads).install(run) == alone, "{threads} threads");
    }
}

#[test]
fn lengths_that_do_not_fit_are_errors() {
    let shape = PlaneShape {
        images: 1,
        inputs: 2,
        outputs: 3,
        height: 4,
        width: 4,
        size: 3,
        stride: 1,
        padding: Padding::default(),
    };
    let (mut output, input, weight) = ([0.0; 12], [0.0; 32], [0.0; 54]);
    assert!(forward(shape, &input, &weight, &mut output).is_ok());
    assert!(forward(shape, &input[1..], &weight, &mut output).is_err());
    assert!(forward(shape, &input, &weight[1..], &mut output).is_err());
    assert!(forward(shape, &input, &weight, &mut output[1..]).is_err());
    for broken in [
        PlaneShape { stride: 0, ..shape },
        PlaneShape { size: 0, ..shape },
        PlaneShape { size: 5, ..shape },
        PlaneShape { inputs: 0, ..shape },
        PlaneShape { images: usize::MAX, ..shape },
    ] {
        assert!(forward(broken, &input, &weight, &mut output).is_err(), "{broken:?}");
        assert!(input_gradient(broken, &weight, &output.clone(), &mut [0.0; 32]).is_err(), "{broken:?}");
        assert!(weight_gradient(broken, &input, &output.clone(), &mut [0.0; 54]).is_err(), "{broken:?}");
    }
}
