//! Percentiles of activations, as numpy's `percentile`: linear between the two nearest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rule::refuse;
use crate::{DetectorError, Needs, Unlabeled, Validation};

/// Which in-distribution samples a threshold is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// The benchmark's in-distribution validation samples, as OpenOOD.
    #[default]
    Validation,
    /// The training samples, for a benchmark that has no validation split.
    Train,
}

impl Reference {
    /// What it takes.
    pub(crate) fn needs(self) -> Needs {
        Needs { id_validation: self == Reference::Validation, ..Needs::default() }
    }

    /// The samples.
    pub(crate) fn of<'a>(
        self,
        train: &Unlabeled<'a>,
        validation: Option<Validation<'a>>,
        who: &'static str,
    ) -> Result<Unlabeled<'a>, DetectorError> {
        match self {
            Reference::Train => Ok(*train),
            Reference::Validation => {
                let found = validation.ok_or_else(|| self.needs().unmet(who))?;
                found.id.check(who)?;
                Ok(found.id)
            }
        }
    }
}

/// Refuses what is no percentage.
pub(crate) fn check(key: &str, percentile: f64) -> Result<(), DetectorError> {
    if (0.0..=100.0).contains(&percentile) {
        return Ok(());
    }
    Err(refuse(key, percentile, "a percentage, 0 to 100"))
}

/// The percentile of values, of which there is one at least; `percentile` in 0..=100.
pub(crate) fn percentile(values: &[f32], percentile: f64) -> f64 {
    of(&mut values.to_vec(), percentile)
}

/// The same in double precision.
pub(crate) fn percentile_f64(values: &[f64], percentile: f64) -> f64 {
    let mut sorted = values.to_vec();
    let at = place(sorted.len(), percentile);
    let (_, &mut low, above) = sorted.select_nth_unstable_by(at.0, f64::total_cmp);
    low + at.1 * (above.iter().copied().min_by(f64::total_cmp).unwrap_or(low) - low)
}

fn of(values: &mut [f32], percentile: f64) -> f64 {
    let at = place(values.len(), percentile);
    let (_, &mut low, above) = values.select_nth_unstable_by(at.0, f32::total_cmp);
    let (low, above) = (f64::from(low), above.iter().copied().min_by(f32::total_cmp).map_or(f64::from(low), f64::from));
    low + at.1 * (above - low)
}

/// The order statistic below, and how far from it to the next.
fn place(count: usize, percentile: f64) -> (usize, f64) {
    let at = percentile / 100.0 * (count - 1) as f64;
    let below = (at.floor() as usize).min(count - 1);
    (below, at - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.percentile([3, 1, 4, 1, 5], ..)`.
    #[test]
    fn it_lies_between_its_neighbours() {
        let values = [3.0, 1.0, 4.0, 1.0, 5.0];
        for (asked, expected) in [(0.0, 1.0), (50.0, 3.0), (90.0, 4.6), (100.0, 5.0), (30.0, 1.4)] {
            assert!((percentile(&values, asked) - expected).abs() < 1e-12, "{asked}");
            let double: Vec<f64> = values.iter().map(|&x| f64::from(x)).collect();
            assert!((percentile_f64(&double, asked) - expected).abs() < 1e-12, "{asked}");
        }
        assert_eq!(percentile(&[2.5], 90.0), 2.5);
        assert!(check("percentile", 100.5).is_err() && check("percentile", f64::NAN).is_err());
    }
}
