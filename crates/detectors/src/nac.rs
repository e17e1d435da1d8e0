//! NAC-UE, neuron activation coverage (Liu, Tian, Li, Ma and Wang, ICLR 2024): how often training images brought each neuron into the state
//! in which an image brings it. The authors' OpenOOD, `nac_postprocessor.py` and `nac/coverage.py`, the sign turned.
//!
//! A neuron's state is `sigmoid(sig_alpha · z · g)`, z its value, g the slope of the divergence of the uniform distribution from the
//! predicted one, both summed over the pixels of its map. States are counted in M - 1 bins, narrow at 1/2; a bin that O training samples
//! reached is covered, one that fewer reached covered in part. The score is the negative mean coverage of the bins of an image's neurons,
//! averaged over the layers.
//!
//! The authors count an equal number of samples of each class, 1000 in all, chosen with numpy's generator; here they are drawn at random of
//! all, since no label is needed otherwise. Their states are in single precision, here products are stored in it and the rest is double.
//! Defaults are those of CIFAR-10 and ResNet-18; the authors' last layer `avgpool` is `penultimate` here, their `layer3` is `stage3`. The
//! steepness must suit the network: where products are large, as those of ResNet-20 are, 100 takes nearly all states to 0 or 1; try 1 to 5.

use oodlab_encoders::probe::Probe;
use oodlab_features::{Features, Layer};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::rule::{Arrays, FitsUnlabeled, Rule, Sizes, refuse};
use crate::{DetectorError, FitContext, Needs, Unlabeled};

/// Base of the logarithm by which bins grow away from 1/2.
const BASE: f64 = 1e3;
/// Behind the largest state, and behind all bins.
const BEHIND: [f64; 2] = [1.01, 1.2];

/// How the neurons of one layer are counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NacLayer {
    /// Name of the layer: `penultimate`, the default, or a tap such as `stage3`.
    pub layer: String,
    /// Steepness of the sigmoid, above 0. Default 100.
    pub sig_alpha: f64,
    /// Limits between bins, even, at least 4. Default 50.
    #[serde(rename = "M")]
    pub m: usize,
    /// Training samples that cover a bin, at least 1. Default 50.
    #[serde(rename = "O")]
    pub o: usize,
}

impl Default for NacLayer {
    fn default() -> NacLayer {
        NacLayer { layer: "penultimate".to_owned(), sig_alpha: 100.0, m: 50, o: 50 }
    }
}

/// Settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Nac {
    /// The layers. Default: the penultimate vector alone.
    pub layers: Vec<NacLayer>,
    /// Training samples that are counted at most, at least 1. Default 1000.
    pub samples: usize,
}

impl Default for Nac {
    fn default() -> Nac {
        Nac { layers: vec![NacLayer::default()], samples: 1000 }
    }
}

impl NacLayer {
    fn check(&self) -> Result<(), DetectorError> {
        if !(self.sig_alpha > 0.0 && self.sig_alpha.is_finite()) {
            return Err(refuse("layers.sig_alpha", self.sig_alpha, "a number above 0"));
        }
        if self.m < 4 || !self.m.is_multiple_of(2) {
            return Err(refuse("layers.M", self.m, "an even number, at least 4"));
        }
        if self.o == 0 { Err(refuse("layers.O", 0, "at least 1")) } else { Ok(()) }
    }

    /// The M limits between bins, rising from 0: logarithms up to 1/2, the same mirrored.
    fn limits(&self) -> Vec<f64> {
        let half = self.m / 2;
        let step = (BASE.sqrt() - 1.0) / (half - 1) as f64;
        let below = |at: usize| if at + 1 == half { 0.5 } else { (1.0 + at as f64 * step).ln() / BASE.ln() };
        let above = (1..half - 1).rev().map(|at| 1.0 - below(at));
        (0..half).map(below).chain(above).chain(BEHIND).collect()
    }

    /// The bin of a neuron's product.
    fn bin(&self, limits: &[f64], product: f32) -> usize {
        let state = 1.0 / (1.0 + (-self.sig_alpha * f64::from(product)).exp());
        limits.partition_point(|&limit| limit <= state).clamp(1, limits.len() - 1) - 1
    }

    /// Its columns.
    fn span<'a>(&self, layers: &'a [Layer]) -> Option<&'a Layer> {
        layers.iter().find(|layer| layer.name == self.layer)
    }

    /// How far each bin of each neuron is covered, 0..1, `[bins, neurons]`.
    fn coverage(&self, probed: &Features, layer: &Layer, rows: &[usize]) -> Vec<f64> {
        let (limits, width) = (self.limits(), layer.width());
        let mut counts = vec![0.0; (self.m - 1) * width];
        for &row in rows {
            for (neuron, &product) in probed.row(row)[layer.span()].iter().enumerate() {
                counts[self.bin(&limits, product) * width + neuron] += 1.0;
            }
        }
        counts.iter_mut().for_each(|count| *count = (*count / self.o as f64).min(1.0));
        counts
    }
}

/// The coverage of a layer among the arrays.
fn name(layer: &NacLayer) -> String {
    format!("coverage {}", layer.layer)
}

impl Rule for Nac {
    const KIND: &'static str = "nac";

    fn check(&self) -> Result<(), DetectorError> {
        if self.layers.is_empty() {
            return Err(refuse("layers", "none", "one at least"));
        }
        for (at, layer) in self.layers.iter().enumerate() {
            layer.check()?;
            if self.layers[..at].iter().any(|other| other.layer == layer.layer) {
                return Err(refuse("layers", format!("{:?} twice", layer.layer), "each layer once"));
            }
        }
        if self.samples == 0 { Err(refuse("samples", 0, "at least 1")) } else { Ok(()) }
    }

    fn needs(&self) -> Needs {
        Needs { images: true, ..Needs::default() }
    }

    fn probe(&self) -> Option<Probe> {
        // In byte order: the order of the settings changes nothing that is read.
        let mut layers: Vec<String> = self.layers.iter().map(|layer| layer.layer.clone()).collect();
        layers.sort_unstable();
        Some(Probe::Nac { layers })
    }

    /// The authors' values for the last layer, for CIFAR-10, CIFAR-100 and ImageNet together.
    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        let mut values = Vec::new();
        for sig_alpha in [1.0, 50.0, 100.0, 3000.0] {
            for m in [50, 500] {
                values.extend([10, 50, 500].map(|o| json!([NacLayer { sig_alpha, m, o, ..NacLayer::default() }])));
            }
        }
        vec![("layers", values)]
    }

    fn check_arrays(&self, arrays: &Arrays, sizes: &Sizes) -> Result<(), String> {
        for layer in &self.layers {
            let found = layer.span(&sizes.probed).ok_or_else(|| format!("no layer {:?}", layer.layer))?;
            arrays.expect(&name(layer), &[layer.m - 1, found.width()], true)?;
        }
        Ok(())
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let probed = given.probed(Self::KIND)?;
        let layers: Vec<_> = self
            .layers
            .iter()
            .filter_map(|layer| Some((layer, layer.limits(), layer.span(probed.layers())?, arrays.f64(&name(layer)))))
            .collect();
        let of = |row: &[f32]| {
            let mean = |(layer, limits, span, coverage): &(&NacLayer, Vec<f64>, &Layer, &[f64])| {
                let width = span.width();
                let own = row[span.span()].iter().enumerate();
                let sum: f64 = own.map(|(neuron, &x)| coverage[layer.bin(limits, x) * width + neuron]).sum();
                sum / width as f64
            };
            -layers.iter().map(mean).sum::<f64>() / layers.len() as f64
        };
        Ok(probed.values().par_chunks_exact(probed.width()).map(of).collect())
    }
}

impl FitsUnlabeled for Nac {
    fn fit(&self, train: &Unlabeled<'_>, context: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        let probed = train.probed(Self::KIND)?;
        let mut rows = context.seed.stream("nac samples").permutation(probed.rows());
        rows.truncate(self.samples);
        let mut arrays = Arrays::default();
        for layer in &self.layers {
            let Some(span) = layer.span(probed.layers()) else {
                let known: Vec<&str> = probed.layers().iter().map(|layer| layer.name.as_str()).collect();
                return Err(refuse("layers", format!("{:?}", layer.layer), &format!("one of {}", known.join(", "))));
            };
            let coverage = layer.coverage(probed, span, &rows);
            arrays = arrays.with(&name(layer), &[layer.m - 1, span.width()], coverage);
        }
        Ok(arrays)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    fn settings(layer: Value) -> Value {
        json!({ "layers": [layer] })
    }

    #[test]
    fn it_keeps_the_contract() {
        for (m, o, samples) in [(50, 90, 1000), (20, 30, 60)] {
            let layer = json!({"layer": "probed", "sig_alpha": 0.3, "M": m, "O": o});
            let settings = json!({"layers": [layer], "samples": samples});
            testing::check_contract(crate::build(Nac::KIND, settings, &[]).expect("valid settings").as_ref());
        }
        for wrong in [json!({"M": 5}), json!({"M": 2}), json!({"O": 0}), json!({"sig_alpha": 0})] {
            assert!(crate::build(Nac::KIND, settings(wrong), &[]).is_err());
        }
        assert!(crate::build(Nac::KIND, json!({"layers": [{}, {"M": 10}]}), &[]).is_err(), "one layer twice");
        assert!(crate::build(Nac::KIND, json!({"layers": []}), &[]).is_err());
    }

    #[test]
    fn a_layer_that_was_not_read_is_refused() {
        let detector = crate::build(Nac::KIND, Value::Null, &[]).expect("defaults");
        let message = testing::fit(detector.as_ref(), &testing::Samples::new(9, true)).expect_err("no such layer");
        assert!(message.to_string().contains("\"penultimate\", expected one of probed"), "{message}");
    }

    /// Six limits: 0, log 16.3, 1/2, and the mirror.
    #[test]
    fn limits_rise_and_every_state_has_a_bin() {
        let layer = NacLayer { m: 6, sig_alpha: 1.0, ..NacLayer::default() };
        let limits = layer.limits();
        let inner = ((1.0 + 1000f64.sqrt()) / 2.0).ln() / 1000f64.ln();
        let want = [0.0, inner, 0.5, 1.0 - inner, 1.01, 1.2];
        assert!(limits.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{limits:?}");
        for m in [4, 50, 1000] {
            let limits = NacLayer { m, ..NacLayer::default() }.limits();
            assert!(limits.len() == m && limits.is_sorted_by(|a, b| a < b));
        }
        let bins = [f32::MIN, -0.3, 0.0, 0.3, 800.0].map(|product| layer.bin(&limits, product));
        assert_eq!(bins, [0, 1, 2, 2, 3]);
    }
}
