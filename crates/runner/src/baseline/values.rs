//! Metrics and their moves as people read them: percent and percentage points.

use super::compare::{Allowed, Value, Verdict};

/// Digits after the point that fractions are ever told with, in percent: all that they have.
const MOST_DECIMALS: usize = 15;

/// Both values in percent, with two decimals, or as many more as it takes to tell them apart.
pub fn percents(value: &Value) -> (String, String) {
    let told = |decimals: usize| [value.before, value.after].map(|one| format!("{:.decimals$}", 100.0 * one));
    let decimals = (2..=MOST_DECIMALS).find(|decimals| {
        let [before, after] = told(*decimals);
        value.before == value.after || before != after
    });
    let [before, after] = told(decimals.unwrap_or(MOST_DECIMALS));
    (before, after)
}

/// The change in percentage points, with its sign.
pub fn change(value: &Value) -> String {
    let change = 100.0 * (value.after - value.before);
    if change == 0.0 || change.abs() >= 0.005 || change.is_nan() {
        format!("{change:+.2}")
    } else {
        format!("{change:+.1e}")
    }
}

/// How far it may move, in percentage points or as intervals.
pub fn allowed(value: &Value) -> String {
    let span = |ends: [f64; 2]| format!("{:.2}..{:.2}", 100.0 * ends[0], 100.0 * ends[1]);
    match value.allowed {
        Allowed::Equal => "0".to_owned(),
        Allowed::By(most) => format!("{:.2}", 100.0 * most),
        Allowed::Overlap(before, after) => format!("{} to meet {}", span(after), span(before)),
    }
}

/// `worse`, `better`, `within`, `equal`.
pub fn verdict(value: &Value) -> &'static str {
    match value.verdict {
        Verdict::Same => "equal",
        Verdict::Within => "within",
        Verdict::Better => "better",
        Verdict::Worse => "worse",
    }
}

#[cfg(test)]
mod tests {
    use oodlab_evaluation::Metric;

    use super::*;

    fn value(before: f64, after: f64) -> Value {
        let (row, metric, allowed) = (0, Metric::Auroc, Allowed::By(0.001));
        Value { row, metric, before, after, allowed, verdict: Verdict::Worse, fails: true }
    }

    #[test]
    fn as_many_decimals_as_tell_two_values_apart() {
        assert_eq!(percents(&value(0.9793, 0.9743)), ("97.93".into(), "97.43".into()));
        assert_eq!(percents(&value(0.9, 0.900_001)), ("90.0000".into(), "90.0001".into()));
        let last_bit = value(0.9, 0.9_f64.next_up());
        assert_ne!(percents(&last_bit).0, percents(&last_bit).1);
        assert_eq!(percents(&value(0.9, f64::NAN)).1, "NaN");
    }

    #[test]
    fn small_changes_keep_their_size() {
        assert_eq!(change(&value(0.9793, 0.9743)), "-0.50");
        assert_eq!(change(&value(0.9, 0.900_001)), "+1.0e-4");
        assert_eq!(change(&value(0.9, 0.9)), "+0.00");
    }
}
