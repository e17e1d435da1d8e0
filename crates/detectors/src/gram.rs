//! Gram matrices (Sastry and Oore, ICML 2020): how far the correlations of an image's channels lie outside the range that training images of
//! its predicted class span. OpenOOD's `gram_postprocessor.py`.
//!
//! The row sums of the Gram matrices of each layer's map raised to each power are compared. OpenOOD finds one range a class, layer and power,
//! of all channels together, and asks how far the *sum* over a sample's channels lies outside it, which it nearly always does; and this
//! deviation is its confidence, so that the images that deviate least are taken for out-of-distribution. `deviation: sum` is just that, the
//! sign turned: its published figures mean this score. `deviation: channels` is the paper's: a range for each channel, each layer's deviation
//! over its mean of validation samples, and more deviation means more out-of-distribution. In both, as in OpenOOD, a training sample counts
//! for the class of its label (in the paper: for the predicted one), and powers are 1 to 5 (in the paper to 10).
//!
//! The layers are the encoder's taps; in place of the last tap stands the penultimate vector, which is OpenOOD's last layer of a ResNet. Its
//! first one, the stem, is no tap. Powers and sums are computed in double precision, where OpenOOD's can overflow in single precision.

use oodlab_encoders::probe::{GramColumns, Probe};
use oodlab_features::{Features, Layer};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::classifier::predicted;
use crate::rule::{Arrays, FitsLabeled, Rule, Sizes, refuse};
use crate::{DetectorError, FitContext, Labeled, Needs, Unlabeled};

/// The paper's highest power.
const LARGEST_POWER: u32 = 10;
/// Added to a limit before it divides.
const EPSILON: f64 = 1e-6;
/// What OpenOOD divides all deviations by.
const DIVISOR: f64 = 50.0;

/// What is compared with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Deviation {
    /// The sum over channels with the range of single channels, less deviation meaning more out-of-distribution, as OpenOOD.
    #[default]
    Sum,
    /// Each channel with its own range, each layer over its mean deviation of validation samples, as the paper.
    Channels,
}

/// Settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gram {
    /// Powers that maps are raised to, rising, 1 to 10. Default 1 to 5.
    pub powers: Vec<u32>,
    /// What is compared.
    pub deviation: Deviation,
}

impl Default for Gram {
    fn default() -> Gram {
        Gram { powers: vec![1, 2, 3, 4, 5], deviation: Deviation::Sum }
    }
}

/// One compared number: what can be the smallest and the largest of its class, and what is held against the range.
struct Compared {
    smallest: f32,
    largest: f32,
    held: f64,
}

impl Gram {
    /// Columns of one compared number.
    fn stride(&self) -> usize {
        if self.deviation == Deviation::Sum { 3 } else { 1 }
    }

    /// The compared numbers of a part of a row.
    fn compared<'a>(&self, columns: &'a [f32]) -> impl Iterator<Item = Compared> + use<'a> {
        columns.chunks_exact(self.stride()).map(|found| match found {
            &[smallest, largest, sum] => Compared { smallest, largest, held: f64::from(sum) },
            &[value, ..] => Compared { smallest: value, largest: value, held: f64::from(value) },
            [] => Compared { smallest: 0.0, largest: 0.0, held: 0.0 },
        })
    }

    /// By how much a row lies outside the ranges of a class, in parts of the limit, summed over the columns of each layer.
    fn deviations<'a>(
        &'a self,
        row: &'a [f32],
        layers: &'a [Layer],
        least: &'a [f64],
        largest: &'a [f64],
    ) -> impl Iterator<Item = f64> + 'a {
        layers.iter().map(move |layer| {
            let first = layer.start / self.stride();
            let limits = least[first..].iter().zip(&largest[first..]);
            let outside = |(found, (least, largest)): (Compared, (&f64, &f64))| {
                let below = (least - found.held).max(0.0) / (least + EPSILON).abs();
                below + (found.held - largest).max(0.0) / (largest + EPSILON).abs()
            };
            self.compared(&row[layer.span()]).zip(limits).map(outside).sum()
        })
    }

    /// The deviations of every sample from the ranges of its predicted class, `[rows, layers]`.
    fn all_deviations(&self, given: &Unlabeled<'_>, least: &[f64], largest: &[f64]) -> Result<Vec<f64>, DetectorError> {
        let (probed, logits) = (given.probed(Self::KIND)?, given.logits(Self::KIND)?);
        let count = probed.width() / self.stride();
        let rows = probed.values().par_chunks_exact(probed.width());
        let of = |(row, logits): (&[f32], &[f32])| {
            let class = predicted(logits) * count;
            let limits = (&least[class..class + count], &largest[class..class + count]);
            self.deviations(row, probed.layers(), limits.0, limits.1).collect::<Vec<f64>>()
        };
        Ok(rows.zip(logits.values.par_chunks_exact(logits.classes)).flat_map_iter(of).collect())
    }

    /// Why these layers are not what the probe reads with these settings.
    fn refuse_layers(&self, layers: &[Layer]) -> Option<String> {
        let unit = self.stride() * self.powers.len();
        let fits = |layer: &Layer| match self.deviation {
            Deviation::Sum => layer.width() == unit,
            Deviation::Channels => layer.width().is_multiple_of(unit),
        };
        let wrong = layers.iter().find(|layer| !fits(layer))?;
        Some(format!("layer {:?} has {} columns for {} powers", wrong.name, wrong.width(), self.powers.len()))
    }

    /// Smallest and largest numbers of each class, `[classes, compared]`.
    fn ranges(&self, probed: &Features, labels: &[u32], classes: usize) -> (Vec<f64>, Vec<f64>) {
        let count = probed.width() / self.stride();
        let mut least = vec![f64::INFINITY; classes * count];
        let mut largest = vec![f64::NEG_INFINITY; classes * count];
        for (row, &label) in probed.values().chunks_exact(probed.width()).zip(labels) {
            let own = label as usize * count..(label as usize + 1) * count;
            let limits = least[own.clone()].iter_mut().zip(&mut largest[own]);
            for (found, (least, largest)) in self.compared(row).zip(limits) {
                *least = least.min(f64::from(found.smallest));
                *largest = largest.max(f64::from(found.largest));
            }
        }
        (least, largest)
    }
}

impl Rule for Gram {
    const KIND: &'static str = "gram";

    fn check(&self) -> Result<(), DetectorError> {
        let rising = self.powers.is_sorted_by(|a, b| a < b);
        if !self.powers.is_empty() && rising && self.powers.iter().all(|power| (1..=LARGEST_POWER).contains(power)) {
            return Ok(());
        }
        Err(refuse("powers", format!("{:?}", self.powers), "one or more powers of 1 to 10, rising"))
    }

    fn needs(&self) -> Needs {
        let id_validation = self.deviation == Deviation::Channels;
        Needs { images: true, logits: true, labels: true, id_validation, ..Needs::default() }
    }

    fn probe(&self) -> Option<Probe> {
        let columns = match self.deviation {
            Deviation::Sum => GramColumns::Range,
            Deviation::Channels => GramColumns::Channels,
        };
        Some(Probe::Gram { powers: self.powers.clone(), columns })
    }

    fn check_arrays(&self, arrays: &Arrays, sizes: &Sizes) -> Result<(), String> {
        if let Some(message) = self.refuse_layers(&sizes.probed) {
            return Err(message);
        }
        let shape = [sizes.classes, sizes.probed.last().map_or(0, |layer| layer.end) / self.stride()];
        arrays.expect("least", &shape, true)?;
        arrays.expect("largest", &shape, true)?;
        arrays.expect("divisors", &[sizes.probed.len()], true)
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let divisors = arrays.f64("divisors");
        let deviations = self.all_deviations(given, arrays.f64("least"), arrays.f64("largest"))?;
        let sign = if self.deviation == Deviation::Sum { -1.0 } else { 1.0 };
        let total =
            |row: &[f64]| sign * row.iter().zip(divisors).map(|(deviation, divisor)| deviation / divisor).sum::<f64>();
        Ok(deviations.chunks_exact(divisors.len()).map(total).collect())
    }
}

impl FitsLabeled for Gram {
    fn fit(&self, train: &Labeled<'_>, context: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        let (probed, classes) = (train.given.probed(Self::KIND)?, train.given.logits(Self::KIND)?.classes);
        if let Some(message) = self.refuse_layers(probed.layers()) {
            return Err(DetectorError::Config { place: "detector.powers".into(), message });
        }
        if classes != train.classes {
            let message = format!("{}: {classes} logits for {} classes of the labels", Self::KIND, train.classes);
            return Err(DetectorError::Config { place: "encoder".into(), message });
        }
        let (least, largest) = self.ranges(probed, &train.labels.0, classes);
        let layers = probed.layers().len();
        let divisors = match self.deviation {
            Deviation::Sum => vec![DIVISOR; layers],
            Deviation::Channels => {
                let validation = context.validation.ok_or_else(|| self.needs().unmet(Self::KIND))?.id;
                validation.check(Self::KIND)?;
                if validation.probed(Self::KIND)?.layers() != probed.layers()
                    || validation.logits(Self::KIND)?.classes != classes
                {
                    let message = format!("{}: the validation samples have other layers or classes", Self::KIND);
                    return Err(DetectorError::Config { place: "benchmark.validation".into(), message });
                }
                let mut sums = vec![0.0; layers];
                for row in self.all_deviations(&validation, &least, &largest)?.chunks_exact(layers) {
                    sums.iter_mut().zip(row).for_each(|(sum, deviation)| *sum += deviation);
                }
                let rows = validation.rows() as f64;
                // A layer from which no validation sample deviates stays as it is.
                sums.into_iter().map(|sum| if sum > 0.0 { sum / rows } else { 1.0 }).collect()
            }
        };
        let shape = [classes, probed.width() / self.stride()];
        Ok(Arrays::default()
            .with("least", &shape, least)
            .with("largest", &shape, largest)
            .with_list("divisors", divisors))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rule::testing;

    /// The contract's columns are no sums of anything: only with a range of its own has each a meaning.
    #[test]
    fn it_keeps_the_contract() {
        let build = |settings| crate::build(Gram::KIND, settings, &[]);
        for powers in [json!([1]), json!([1, 3]), json!([2, 4, 5])] {
            let settings = json!({"powers": powers, "deviation": "channels"});
            testing::check_contract(build(settings).expect("valid settings").as_ref());
        }
        testing::check_promises(build(json!({"powers": [1, 2]})).expect("valid settings").as_ref());
        for powers in [json!([]), json!([0]), json!([11]), json!([2, 1]), json!([3, 3])] {
            let message = build(json!({ "powers": powers })).expect_err("no such powers").to_string();
            assert!(message.contains("rising"), "{message}");
        }
    }

    #[test]
    fn other_columns_than_the_probe_reads_are_refused() {
        let detector = crate::build(Gram::KIND, json!({}), &[]).expect("valid settings");
        let message = testing::fit(detector.as_ref(), &testing::Samples::new(9, true)).expect_err("6 columns");
        assert!(message.to_string().contains("has 6 columns for 5 powers"), "{message}");
    }
}
