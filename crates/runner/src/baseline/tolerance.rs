//! How far a metric may move from its baseline.

use std::str::FromStr;

use oodlab_evaluation::Metric;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What may differ where numerics do: 0.1 point.
const STANDARD_POINTS: f64 = 0.1;
/// FPR95 counts images, so a small set cannot move by less than one.
const STANDARD_IMAGES: u64 = 2;

/// When the bits of a metric must be equal to those of the baseline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exactness {
    /// Where the numerics (processor, instruction set, caches, GPU) are those that the baseline was written on.
    #[default]
    SameNumerics,
    /// Nowhere: the tolerances hold on every machine.
    Never,
}

impl Exactness {
    /// Whether it need not be written down.
    pub fn is_default(&self) -> bool {
        *self == Exactness::default()
    }
}

/// How far a metric may move.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum Tolerance {
    /// Not at all: equal bits, on every machine.
    Exact,
    /// By so many percentage points, or by so many images of the set that it counts, whichever is more.
    Absolute {
        /// Percentage points, 0..100.
        points: f64,
        /// Images; only FPR95 counts them.
        images: Option<u64>,
    },
    /// As long as the 95 % intervals of before and now overlap.
    Interval,
}

impl Tolerance {
    /// What holds where nothing is said: 0.1 point, and for FPR95 two images where that is more.
    pub fn standard(metric: Metric) -> Tolerance {
        Tolerance::Absolute { points: STANDARD_POINTS, images: counts_images(metric).then_some(STANDARD_IMAGES) }
    }

    fn points(points: f64) -> Result<Tolerance, String> {
        if !(0.0..=100.0).contains(&points) {
            return Err(format!("expected 0 to 100 points, found {points}"));
        }
        Ok(Tolerance::Absolute { points, images: None })
    }

    /// Refuses images for a metric that counts none.
    pub fn check(&self, metric: Metric) -> Result<(), String> {
        match self {
            Tolerance::Absolute { images: Some(_), .. } if !counts_images(metric) => {
                Err(format!("{metric} counts no images; give its tolerance in points, as in {{\"points\": 0.1}}"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a metric is a share of the images of one set.
fn counts_images(metric: Metric) -> bool {
    matches!(metric, Metric::Fpr95Id | Metric::Fpr95Ood)
}

const FORMS: &str = "\"exact\", {\"points\": 0.1}, {\"images\": 2}, both of these, or {\"interval\": \"overlap\"}";

impl TryFrom<Value> for Tolerance {
    type Error = String;

    fn try_from(value: Value) -> Result<Tolerance, String> {
        let wrong = || format!("expected a tolerance ({FORMS}), found {value}");
        if value == json!("exact") {
            return Ok(Tolerance::Exact);
        }
        if value == json!({ "interval": "overlap" }) {
            return Ok(Tolerance::Interval);
        }
        let object = value.as_object().filter(|object| !object.is_empty()).ok_or_else(wrong)?;
        if object.keys().any(|key| key != "points" && key != "images") {
            return Err(wrong());
        }
        let points = object.get("points").map(|points| points.as_f64().ok_or_else(wrong)).transpose()?;
        let images = object.get("images").map(|images| images.as_u64().ok_or_else(wrong)).transpose()?;
        match Tolerance::points(points.unwrap_or(0.0))? {
            Tolerance::Absolute { points, .. } => Ok(Tolerance::Absolute { points, images }),
            other => Ok(other),
        }
    }
}

impl From<Tolerance> for Value {
    fn from(tolerance: Tolerance) -> Value {
        match tolerance {
            Tolerance::Exact => json!("exact"),
            Tolerance::Interval => json!({ "interval": "overlap" }),
            Tolerance::Absolute { points, images: None } => json!({ "points": points }),
            Tolerance::Absolute { points: 0.0, images: Some(images) } => json!({ "images": images }),
            Tolerance::Absolute { points, images: Some(images) } => json!({ "points": points, "images": images }),
        }
    }
}

/// As on the command line: `0.2` points, `2images`, `interval`, `exact`.
impl FromStr for Tolerance {
    type Err = String;

    fn from_str(text: &str) -> Result<Tolerance, String> {
        let wrong = || format!("expected points (0.2), images (2images), interval or exact, found {text:?}");
        if let Some(images) = text.strip_suffix("images") {
            let images = Some(images.trim().parse().map_err(|_| wrong())?);
            return Ok(Tolerance::Absolute { points: 0.0, images });
        }
        match text {
            "exact" => Ok(Tolerance::Exact),
            "interval" => Ok(Tolerance::Interval),
            number => Tolerance::points(number.parse().map_err(|_| wrong())?),
        }
    }
}

/// `auroc=0.2`, `fpr95_id=2images`, `auroc=interval`, `auroc=exact`.
pub fn named(text: &str) -> Result<(Metric, Tolerance), String> {
    let (metric, tolerance) =
        text.split_once('=').ok_or_else(|| format!("expected METRIC=TOLERANCE, as in auroc=0.2, found {text:?}"))?;
    let metric: Metric = metric.trim().parse().map_err(|error| format!("{error}"))?;
    let tolerance: Tolerance = tolerance.trim().parse()?;
    tolerance.check(metric)?;
    Ok((metric, tolerance))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_written_as_it_is_read() {
        for text in [
            r#""exact""#,
            r#"{"points":0.25}"#,
            r#"{"images":3}"#,
            r#"{"images":2,"points":0.1}"#,
            r#"{"interval":"overlap"}"#,
        ] {
            let read: Tolerance = serde_json::from_str(text).expect(text);
            assert_eq!(serde_json::to_value(read).expect("writes").to_string(), text);
        }
    }

    #[test]
    fn other_forms_are_refused_with_those_that_there_are() {
        for text in [
            r#"{}"#,
            r#""loose""#,
            r#"0.1"#,
            r#"{"points":"many"}"#,
            r#"{"points":0.1,"interval":"overlap"}"#,
            r#"{"interval":"touch"}"#,
            r#"{"images":1.5}"#,
        ] {
            let error = serde_json::from_str::<Tolerance>(text).expect_err(text).to_string();
            assert!(error.contains("expected a tolerance"), "{text}: {error}");
        }
        for text in [r#"{"points":-0.1}"#, r#"{"points":101}"#] {
            let error = serde_json::from_str::<Tolerance>(text).expect_err(text).to_string();
            assert!(error.contains("0 to 100"), "{text}: {error}");
        }
    }

    #[test]
    fn the_command_line_has_short_forms() {
        assert_eq!(named("auroc=0.2"), Ok((Metric::Auroc, Tolerance::Absolute { points: 0.2, images: None })));
        let images = Tolerance::Absolute { points: 0.0, images: Some(2) };
        assert_eq!(named("fpr95_id = 2images"), Ok((Metric::Fpr95Id, images)));
        assert_eq!(named("oscr=interval"), Ok((Metric::Oscr, Tolerance::Interval)));
        assert_eq!(named("oscr=exact"), Ok((Metric::Oscr, Tolerance::Exact)));
        for wrong in ["auroc", "aurok=1", "auroc=much", "auroc=NaN", "auroc=-1", "auroc=2images", "fpr95_id=-2images"] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
    }
}
