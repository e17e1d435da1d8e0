//! Which range of scores the axis of a histogram covers.

use super::axis::Axis;
use super::histogram::TAIL;

/// Positive scores that span more than this factor get a logarithmic axis.
const LOGARITHMIC_FROM: f64 = 50.0;
/// An axis is at most so many times as long as ID's range.
const MOST: f64 = 4.0;

/// 0.5 % to 99.5 % of a class's finite scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Extent {
    low: f64,
    high: f64,
}

impl Extent {
    /// `None` without a finite score.
    pub fn of(values: &[f64]) -> Option<Extent> {
        let mut values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        values.sort_unstable_by(f64::total_cmp);
        let quantile = |share: f64| values.get((values.len().saturating_sub(1) as f64 * share).round() as usize);
        Some(Extent { low: *quantile(TAIL)?, high: *quantile(1.0 - TAIL)? })
    }

    pub fn and(self, other: Extent) -> Extent {
        Extent { low: self.low.min(other.low), high: self.high.max(other.high) }
    }
}

/// The axes of a figure's panels.
pub(super) struct Axes {
    pub of_panels: Vec<Axis>,
    /// Whether they are all the same because one suits all.
    pub common: bool,
}

/// The axis of each panel, from its (ID, OOD) extents: one for all where it leaves each panel's ID its quarter.
pub(super) fn axes(panels: &[(Extent, Extent)]) -> Axes {
    let all = panels.iter().copied().reduce(|a, b| (a.0.and(b.0), a.1.and(b.1)));
    if let Some((id, ood)) = all {
        let axis = axis(id, ood);
        let suits = |own: &Extent| *own == id || MOST * (axis.fraction(own.high) - axis.fraction(own.low)) > 1.0 - 1e-9;
        if panels.iter().all(|(own, _)| suits(own)) {
            return Axes { of_panels: vec![axis; panels.len()], common: true };
        }
    }
    Axes { of_panels: panels.iter().map(|&(id, ood)| axis(id, ood)).collect(), common: false }
}

fn axis(id: Extent, ood: Extent) -> Axis {
    let Extent { low, high } = id.and(ood);
    let logarithmic = low > 0.0 && high / low > LOGARITHMIC_FROM;
    // Lengths are measured as the axis shows them; eighths, so that no length overflows.
    let length = |from: f64, to: f64| if logarithmic { to.ln() - from.ln() } else { to / 8.0 - from / 8.0 };
    let moved = |from: f64, by: f64| if logarithmic { (from.ln() + by).exp() } else { from + 8.0 * by };
    let own = length(id.low, id.high);
    let (below, above) = (length(low, id.low), length(id.high, high));
    let spare = (MOST - 1.0) * own;
    // Both sides may take half of what is spare, and what the other side leaves.
    let below_at_most = (spare / 2.0).max(spare - above);
    let above_at_most = (spare / 2.0).max(spare - below);
    // A constant class has no range to be kept.
    let low = if own > 0.0 && below > below_at_most { moved(id.low, -below_at_most) } else { low };
    let high = if own > 0.0 && above > above_at_most { moved(id.high, above_at_most) } else { high };
    if logarithmic { Axis::logarithmic(low, high) } else { Axis::linear(low, high, 5) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(low: f64, high: f64) -> Extent {
        Extent { low, high }
    }

    fn ends(id: (f64, f64), ood: (f64, f64)) -> (f64, f64) {
        let axis = axis(extent(id.0, id.1), extent(ood.0, ood.1));
        (axis.low(), axis.high())
    }

    #[test]
    fn identity_fills_a_quarter_at_least() {
        assert_eq!(ends((0.0, 1.0), (0.5, 3.0)), (0.0, 3.0));
        assert_eq!(ends((0.0, 1.0), (0.5, 900.0)), (0.0, 4.0));
        assert_eq!(ends((0.0, 1.0), (-900.0, 1.5)), (-2.5, 1.5));
        assert_eq!(ends((0.0, 1.0), (-900.0, 900.0)), (-1.5, 2.5));
        let (low, high) = ends((1.0, 10.0), (2.0, 1e9));
        assert_eq!(low, 1.0);
        assert!((high / 1e4 - 1.0).abs() < 1e-9, "{high}");
        // A constant class keeps the range of the other.
        assert_eq!(ends((1.0, 1.0), (0.0, 5.0)), (0.0, 5.0));
    }

    #[test]
    fn one_axis_serves_panels_of_one_set() {
        let id = extent(0.0, 1.0);
        let same = axes(&[(id, extent(0.0, 2.0)), (id, extent(5.0, 90.0))]);
        assert!(same.common && same.of_panels[0] == same.of_panels[1]);
        assert_eq!((same.of_panels[0].low(), same.of_panels[0].high()), (0.0, 4.0));
        let other = axes(&[(id, extent(0.0, 2.0)), (extent(0.0, 100.0), extent(0.0, 90.0))]);
        assert!(!other.common);
        assert_eq!(other.of_panels[0].high(), 2.0);
    }
}
