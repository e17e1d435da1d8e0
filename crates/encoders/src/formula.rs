//! Weights and images made by formula: they check a network's arithmetic, and its speed, without any weight file.
//!
//! Every name of the state dictionary in byte order counts in k = 0, 1, ..; element i (row-major) has
//! s = sin(0.7 i + 1.3 k + 0.001 i ((k mod 7) + 1)) in f64. Running variances are 1 + 0.5 s, running means and all biases
//! 0.1 s, other one-dimensional tensors 1 + 0.2 s, all others s · sqrt(3 / elements of one output row).

use std::collections::BTreeMap;

use crate::error::EncoderError;
use crate::network::{Network, Parameter, Role};
use crate::weights::{Tensor, Weights};

/// All tensors of a network with its head as published.
///
/// # Errors
/// When the network is not known.
pub fn weights(network: &str) -> Result<Weights, EncoderError> {
    let network = crate::encoder::find_network(network)?;
    Ok(Weights::from_tensors(tensors(&network)).with_source("formula weights"))
}

fn tensors(network: &Network) -> BTreeMap<String, Tensor> {
    let state: BTreeMap<String, Parameter> =
        network.state().into_iter().map(|parameter| (parameter.name.clone(), parameter)).collect();
    let made = state.into_iter().enumerate().map(|(k, (name, parameter))| {
        let values = values(k, &parameter);
        (name, Tensor { shape: parameter.shape, values })
    });
    made.collect()
}

fn values(k: usize, parameter: &Parameter) -> Vec<f32> {
    let row: usize = parameter.shape.iter().skip(1).product();
    let value = |i: usize| {
        let i = i as f64;
        let s = (0.7 * i + 1.3 * k as f64 + 0.001 * i * (k % 7 + 1) as f64).sin();
        match parameter.role {
            Role::RunningVariance => 1.0 + 0.5 * s,
            Role::RunningMean | Role::Bias | Role::NormBias => 0.1 * s,
            Role::NormWeight => 1.0 + 0.2 * s,
            Role::Weight => s * (3.0 / row as f64).sqrt(),
            Role::Counter => 0.0,
        }
    };
    (0..parameter.elements()).map(|i| value(i) as f32).collect()
}

/// Image b, channel c, row h, column w: sin(0.05 h + 0.3 c + 0.9 b) · cos(0.07 w - 0.2 c + 0.4 b), as CHW, one image
/// after the other.
#[must_use]
pub fn images(count: usize, resolution: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(count * 3 * resolution * resolution);
    for b in 0..count {
        for c in 0..3 {
            for h in 0..resolution {
                for w in 0..resolution {
                    let (b, c, h, w) = (b as f64, c as f64, h as f64, w as f64);
                    let value = (0.05 * h + 0.3 * c + 0.9 * b).sin() * (0.07 * w - 0.2 * c + 0.4 * b).cos();
                    values.push(value as f32);
                }
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    /// The number of names decides every k, and so every value.
    #[test]
    fn the_state_dictionaries_have_the_published_number_of_names() {
        let names = |network| super::weights(network).expect("a known network").names().count();
        assert_eq!(names("efficientnet-b0"), 360);
        assert_eq!(names("efficientnet-b2"), 508);
        assert_eq!(names("resnet18"), 122);
    }
}
