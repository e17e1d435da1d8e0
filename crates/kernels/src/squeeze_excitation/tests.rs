use super::{Layer, SqueezeExcitation, scale_channels};
use crate::simd::testing::{ALL_SETS, TOLERANCE, gather, numbers};
use crate::simd::{Activation, AlignedBuffer, InstructionSet, padded_channels};

#[test]
fn agrees_with_its_formula() {
    for (channels, squeezed) in [(96, 4), (40, 10), (17, 1)] {
        let (w1, b1) = (numbers("w1", channels * squeezed), numbers("b1", squeezed));
        let (w2, b2) = (numbers("w2", channels * squeezed), numbers("b2", channels));
        let sums = numbers("sums", channels);
        let dot =
            |w: &[f32], x: &[f64], b: f32| f64::from(b) + w.iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum::<f64>();
        let mean: Vec<f64> = sums.iter().map(|&x| f64::from(x) / 49.0).collect();
        let hidden: Vec<f64> =
            w1.chunks(channels).zip(&b1).map(|(w, &b)| Activation::Silu.of(dot(w, &mean, b))).collect();
        let want = w2.chunks(squeezed).zip(&b2).map(|(w, &b)| Activation::Sigmoid.of(dot(w, &hidden, b)));
        let (reduce, expand) = (Layer { weight: &w1, bias: &b1 }, Layer { weight: &w2, bias: &b2 });
        let gate = SqueezeExcitation::new(channels, squeezed, reduce, expand).expect("fits");
        for set in ALL_SETS {
            let mut means = AlignedBuffer::zeroed(padded_channels(channels));
            means[..channels].copy_from_slice(&sums);
            let mut got = AlignedBuffer::zeroed(padded_channels(channels));
            gate.run(set, &mut means, 49, &mut got, &mut AlignedBuffer::default()).expect("fits");
            TOLERANCE.compare(gather(&got, channels), want.clone()).assert(set.name());
        }
    }
}

#[test]
fn scaling_in_place_multiplies_each_channel() {
    for set in ALL_SETS {
        let (gate, values) = (numbers("gate", 48), numbers("values", 48 * 5));
        let mut got = AlignedBuffer::zeroed(48 * 5);
        got.copy_from_slice(&values);
        scale_channels(set, &mut got, &gate, 48).expect("fits");
        let want: Vec<f32> = values.iter().zip(gate.iter().cycle()).map(|(x, g)| x * g).collect();
        assert_eq!(got[..], want[..], "{}", set.name());
    }
    assert!(scale_channels(InstructionSet::detect(), &mut [0.0; 20], &[1.0; 20], 20).is_err());
    assert!(scale_channels(InstructionSet::detect(), &mut [0.0; 32], &[1.0; 15], 16).is_err());
}
