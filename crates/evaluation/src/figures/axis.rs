//! Ranges, ticks and their labels.

use super::style::TICK;
use super::text::text_width;

/// Longer names on an axis are cut, in pixels.
pub(super) const LONGEST_NAME: f64 = 170.0;

/// One axis of a panel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    pub ticks: Vec<(f64, String)>,
    /// Whether the labels are names, all of which are shown, slanted where they are long.
    named: bool,
}

impl Axis {
    /// A linear axis over exactly that range, cut into `ticks` parts or fewer by its ticks.
    pub fn linear(low: f64, high: f64, ticks: usize) -> Axis {
        let (low, high) = widened(low, high);
        let step = round_step((high / 2.0 - low / 2.0) / ticks as f64 * 2.0);
        // Rounding keeps the ends that are ticks themselves.
        let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
        let count = (last - first).clamp(0.0, 2.0 * ticks as f64) as usize;
        let ticks =
            (0..=count).map(|k| (first + k as f64) * step).map(|place| (place, tick_label(place, step))).collect();
        Axis { low, high, logarithmic: false, ticks, named: false }
    }

    /// A linear axis that leaves a margin of 5 % beyond the values and, where `limits` are given, stays within them.
    pub fn roomy(low: f64, high: f64, limits: Option<(f64, f64)>, ticks: usize) -> Axis {
        let margin = if high > low { 0.05 * (high - low) } else { 0.02 * high.abs().max(1e-3) };
        let (mut from, mut to) = (low - margin, high + margin);
        if let Some((least, most)) = limits {
            // A value on the limit keeps a little room, so that its marker is not cut.
            let room = 0.02 * (to - from);
            from = from.max(least - room);
            to = to.min(most + room);
        }
        let mut axis = Axis::linear(from, to, ticks);
        if let Some((least, most)) = limits {
            axis.ticks.retain(|&(place, _)| place >= least - 1e-12 && place <= most + 1e-12);
        }
        axis
    }

    /// A logarithmic axis from `low` > 0 to `high`: ticks at powers of ten, or at 1, 2 and 5 times them when there are few.
    pub fn logarithmic(low: f64, high: f64) -> Axis {
        let (low, high) = if high > low { (low, high) } else { (low / 2.0, low * 2.0) };
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let decades = high.log10() - low.log10();
        let factors: &[f64] = if decades < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let stride = ((decades / 6.0).ceil() as usize).max(1);
        let mut ticks: Vec<(f64, String)> = (first..=last)
            .step_by(stride)
            .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)))
            .filter(|place| (low * (1.0 - 1e-9)..=high * (1.0 + 1e-9)).contains(place))
            .map(|place| (place, tick_label(place, place)))
            .collect();
        if ticks.len() < 2 {
            ticks = [low, high].map(|place| (place, short(place))).to_vec();
        }
        Axis { low, high, logarithmic: true, ticks, named: false }
    }

    /// Other ticks.
    pub fn with_ticks(mut self, ticks: Vec<(f64, String)>) -> Axis {
        self.ticks = ticks;
        self
    }

    /// An axis of names, at 0, 1, 2 and so on.
    pub fn names(names: &[String]) -> Axis {
        let ticks = names.iter().enumerate().map(|(at, name)| (at as f64, name.clone())).collect();
        let mut axis = Axis::linear(-0.5, names.len() as f64 - 0.5, 5).with_ticks(ticks);
        axis.named = true;
        axis
    }

    /// How much further than a line of text the labels of a horizontal axis of that width reach down: 0 where they are not slanted.
    pub fn drop(&self, width: f64) -> f64 {
        // sin 40°, and the height of a line.
        self.slanted(width).map_or(0.0, |longest| 0.643 * longest + 2.0)
    }

    /// How far left of a frame of that width the labels reach.
    pub fn reach(&self, width: f64) -> f64 {
        let first = self.ticks.first().map_or(0.0, |tick| self.fraction(tick.0) * width);
        // cos 40°.
        self.slanted(width).map_or(0.0, |longest| 0.766 * longest - first + 6.0).max(0.0)
    }

    /// The longest label where they are slanted.
    fn slanted(&self, width: f64) -> Option<f64> {
        let widths = || self.ticks.iter().map(|(_, label)| text_width(label, TICK));
        let longest = widths().fold(0.0, f64::max);
        let pitch = width / self.ticks.len().max(1) as f64;
        (self.named && longest + 6.0 > pitch).then_some(longest.min(LONGEST_NAME))
    }

    /// The same axis with other ends, its ticks as they are.
    pub fn stretched(&self, low: f64, high: f64) -> Axis {
        Axis { low, high, ..self.clone() }
    }

    pub fn is_logarithmic(&self) -> bool {
        self.logarithmic
    }

    /// Where a value lies: 0 at the low end, 1 at the high end.
    pub fn fraction(&self, value: f64) -> f64 {
        if self.logarithmic {
            // Differences of logarithms: ratios of far values overflow.
            (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln())
        } else {
            // Halved, so that no range overflows.
            (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0)
        }
    }

    /// The value at a fraction.
    pub fn value(&self, fraction: f64) -> f64 {
        if self.logarithmic {
            self.low.powf(1.0 - fraction) * self.high.powf(fraction)
        } else {
            self.low * (1.0 - fraction) + self.high * fraction
        }
    }

    pub fn low(&self) -> f64 {
        self.low
    }

    pub fn high(&self) -> f64 {
        self.high
    }
}

/// The least of 1, 2 and 5 times powers of ten that is at least `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step * (1.0 - 1e-9)).unwrap_or(10.0);
    factor * power
}

/// A range of one value is made a range around it.
fn widened(low: f64, high: f64) -> (f64, f64) {
    if high > low {
        return (low, high);
    }
    let room = if low == 0.0 { 0.5 } else { 0.05 * low.abs() };
    (low - room, low + room)
}

/// A tick's label with as many decimals as its step needs.
fn tick_label(place: f64, step: f64) -> String {
    let size = place.abs().max(step.abs());
    if !(1e-3..1e5).contains(&size) && place != 0.0 {
        return short(place);
    }
    // A step is 1, 2 or 5 times a power of ten.
    let decimals = (-(step * 1.000_001).log10().floor()).max(0.0) as usize;
    let text = format!("{place:.decimals$}");
    let negative_zero = text.starts_with('-') && text.chars().all(|c| "-0.".contains(c));
    if negative_zero { text[1..].to_owned() } else { text }
}

/// A number in few characters.
pub(super) fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if (1e-3..1e5).contains(&value.abs()) {
        let decimals = (2 - value.abs().log10().floor() as i32).max(0) as usize;
        let text = format!("{value:.decimals$}");
        return if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text };
    }
    let text = format!("{value:.1e}");
    text.replace(".0e", "e")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_labelled_with_what_they_need() {
        assert_eq!(labels(&Axis::linear(0.0, 1.0, 5)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&Axis::logarithmic(1.0, 100.0)), ["1", "2", "5", "10", "20", "50", "100"]);
        assert_eq!(labels(&Axis::logarithmic(1e-4, 10.0)).first(), Some(&"1e-4"));
        assert!((Axis::logarithmic(3.0, 3.0).fraction(3.0) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_single_value_has_an_axis() {
        for value in [0.0, 5.0, -1e-9] {
            let axis = Axis::linear(value, value, 5);
            assert!((axis.fraction(value) - 0.5).abs() < 1e-9);
        }
    }

    #[test]
    fn fractions_and_values_are_inverse() {
        for axis in [Axis::linear(-3.0, 5.0, 4), Axis::logarithmic(0.1, 1000.0)] {
            for fraction in [0.0, 0.3, 1.0] {
                assert!((axis.fraction(axis.value(fraction)) - fraction).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn numbers_are_short() {
        let texts: Vec<String> = [0.0, 1.0, 0.123_456, 1234.5, 2.5e-7, 1e6, -0.05].into_iter().map(short).collect();
        assert_eq!(texts, ["0", "1", "0.123", "1234", "2.5e-7", "1e6", "-0.05"]);
    }
}
