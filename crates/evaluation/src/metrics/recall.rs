//! The recall at which a false positive rate is taken, as an exact fraction.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A recall above 0 and at most 1, kept as the decimal fraction that was written: 0.95 is 95 / 100 and not its nearest
/// binary number, so that 19 of 20 reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recall {
    /// In units of `1 / denominator`.
    numerator: u64,
    /// A power of ten up to 10^18.
    denominator: u64,
}

/// Decimals that a recall may have: 10^18 still fits into 64 bits.
const DECIMALS: usize = 18;

impl Recall {
    /// The recall of FPR95.
    pub const P95: Recall = Recall { numerator: 95, denominator: 100 };

    /// The recall whose shortest decimal text is that of `value`.
    ///
    /// # Errors
    /// When `value` is not above 0 and at most 1, or has more than 18 decimals.
    pub fn new(value: f64) -> Result<Recall, BadRecall> {
        value.to_string().parse()
    }

    /// The nearest floating-point number.
    #[must_use]
    pub fn value(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// One minus the recall, rounded once: 0.05 for 0.95.
    pub(super) fn complement(self) -> f64 {
        (self.denominator - self.numerator) as f64 / self.denominator as f64
    }

    /// Whether `hits` of `positives` are at least this recall, compared in integers.
    #[must_use]
    pub fn is_reached(self, hits: u64, positives: u64) -> bool {
        u128::from(hits) * u128::from(self.denominator) >= u128::from(positives) * u128::from(self.numerator)
    }

    /// The recall in percent as it is put into names: `95`, `99.9`.
    #[must_use]
    pub fn percent(self) -> String {
        // Hundredths of the denominator are whole, because it is 100 or more, or the recall has one decimal or none.
        let scaled = u128::from(self.numerator) * 100;
        let denominator = u128::from(self.denominator);
        let (whole, rest) = (scaled / denominator, scaled % denominator);
        if rest == 0 {
            return whole.to_string();
        }
        let width = denominator.ilog10() as usize;
        let decimals = format!("{rest:0width$}");
        format!("{whole}.{}", decimals.trim_end_matches('0'))
    }
}

impl fmt::Display for Recall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(f)
    }
}

/// A text that is no recall.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a recall above 0 and at most 1, with at most 18 decimals, as in 0.95; found {0:?}")]
pub struct BadRecall(String);

impl FromStr for Recall {
    type Err = BadRecall;

    fn from_str(text: &str) -> Result<Recall, BadRecall> {
        let bad = || BadRecall(text.to_owned());
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let decimals = decimals.trim_end_matches('0');
        if whole.is_empty() || whole.len() > 1 || !digits(whole) || !digits(decimals) || decimals.len() > DECIMALS {
            return Err(bad());
        }
        let denominator = 10u64.pow(decimals.len() as u32);
        let whole: u64 = whole.parse().map_err(|_| bad())?;
        let parts: u64 = if decimals.is_empty() { 0 } else { decimals.parse().map_err(|_| bad())? };
        let numerator = whole * denominator + parts;
        if numerator == 0 || numerator > denominator {
            return Err(bad());
        }
        Ok(Recall { numerator, denominator })
    }
}

impl Serialize for Recall {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.value())
    }
}

impl<'de> Deserialize<'de> for Recall {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Recall, D::Error> {
        Recall::new(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recalls_are_exact_fractions() {
        for hits in 0..=20 {
            assert_eq!(Recall::P95.is_reached(hits, 20), hits >= 19);
        }
        assert_eq!(Recall::new(0.95), Ok(Recall::P95));
        assert_eq!("0.950".parse(), Ok(Recall::P95));
        let tenths = Recall::new(0.3).unwrap();
        assert!(tenths.is_reached(3, 10) && !tenths.is_reached(2, 10) && tenths.is_reached(300, 1000));
        assert_eq!((Recall::P95.value(), Recall::P95.complement()), (0.95, 0.05));
        assert!("1".parse::<Recall>().unwrap().is_reached(7, 7));
    }

    #[test]
    fn recalls_are_written_in_percent() {
        let percents = ["0.95", "0.8", "1.0", "0.999", "0.005", "0.12345"];
        let texts: Vec<String> = percents.iter().map(|text| text.parse::<Recall>().unwrap().percent()).collect();
        assert_eq!(texts, ["95", "80", "100", "99.9", "0.5", "12.345"]);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["0", "0.0", "1.01", "95", "-0.5", "", ".", "x", "0.x", "NaN", "1e-3", "0.1234567890123456789"] {
            assert_eq!(text.parse::<Recall>(), Err(BadRecall(text.to_owned())));
        }
        for value in [f64::NAN, 0.0, -1.0, 1.5, f64::INFINITY, 1e-300] {
            assert!(Recall::new(value).is_err(), "{value}");
        }
    }
}
