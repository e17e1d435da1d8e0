use super::apply;
use crate::simd::testing::{ALL_SETS, TOLERANCE, numbers};
use crate::simd::{Activation, InstructionSet, padded_channels};

#[test]
fn agrees_with_its_formula_and_touches_nothing_else() {
    for (pixels, channels, input_stride, output_stride) in [(1, 1, 16, 16), (5, 17, 48, 32), (3, 48, 48, 80)] {
        let padded = padded_channels(channels);
        let input = numbers("input", (pixels - 1) * input_stride + padded);
        let (scale, shift) = (numbers("scale", padded), numbers("shift", padded));
        for activation in [Activation::None, Activation::Relu, Activation::Silu, Activation::Gelu] {
            let want = (0..pixels * channels).map(|at| {
                let (pixel, c) = (at / channels, at % channels);
                activation.of(f64::from(input[pixel * input_stride + c]) * f64::from(scale[c]) + f64::from(shift[c]))
            });
            for set in ALL_SETS {
                let mut output = vec![7.0; pixels * output_stride];
                apply(
                    set,
                    &input,
                    input_stride,
                    pixels,
                    channels,
                    &scale,
                    &shift,
                    activation,
                    &mut output,
                    output_stride,
                )
                .expect("fits");
                let got = output.chunks_exact(output_stride).flat_map(|pixel| pixel[..channels].iter().copied());
                TOLERANCE.compare(got.map(f64::from), want.clone()).assert(set.name());
                assert!(output.chunks_exact(output_stride).all(|pixel| pixel[padded..].iter().all(|&x| x == 7.0)));
            }
        }
    }
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    let set = InstructionSet::detect();
    let (input, one) = ([1.0; 48], [1.0; 16]);
    let run = |input: &[f32], from: usize, scale: &[f32], shift: &[f32], output: &mut [f32], to: usize| {
        apply(set, input, from, 2, 9, scale, shift, Activation::None, output, to)
    };
    assert!(run(&input[..36], 20, &one, &one, &mut [0.0; 32], 16).is_ok());
    assert!(run(&input[..35], 20, &one, &one, &mut [0.0; 32], 16).is_err());
    assert!(run(&input, 15, &one, &one, &mut [0.0; 32], 16).is_err());
    assert!(run(&input, 20, &one[1..], &one, &mut [0.0; 32], 16).is_err());
    assert!(run(&input, 20, &one, &one[1..], &mut [0.0; 32], 16).is_err());
    assert!(run(&input, 20, &one, &one, &mut [0.0; 31], 16).is_err());
    assert!(run(&input, 20, &one, &one, &mut [0.0; 32], 15).is_err());
}
