//! Named tolerances: how near is near enough, and where it was worst.

use std::fmt;

/// An element passes when |got - want| <= absolute + relative * |want|. A NaN never passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Shown in reports.
    pub name: &'static str,
    /// In units of the compared quantity.
    pub absolute: f64,
    /// As a fraction of the expected value.
    pub relative: f64,
}

impl Tolerance {
    /// Equal to the bit.
    pub const EXACT: Tolerance = Tolerance { name: "exact", absolute: 0.0, relative: 0.0 };
    /// f64 formulas.
    pub const DOUBLE: Tolerance = Tolerance { name: "1e-15", absolute: 1e-15, relative: 0.0 };
    /// f32 networks against f64 references.
    pub const SINGLE: Tolerance = Tolerance { name: "1e-5", absolute: 1e-5, relative: 0.0 };

    /// A tolerance of one's own.
    #[must_use]
    pub const fn absolute(name: &'static str, absolute: f64) -> Tolerance {
        Tolerance { name, absolute, relative: 0.0 }
    }

    /// A tolerance of one's own with a relative part.
    #[must_use]
    pub const fn mixed(name: &'static str, absolute: f64, relative: f64) -> Tolerance {
        Tolerance { name, absolute, relative }
    }

    /// Compares two sequences of equal length; a difference in length is the worst possible error.
    #[must_use]
    pub fn compare(&self, got: impl IntoIterator<Item = f64>, want: impl IntoIterator<Item = f64>) -> Comparison {
        let mut got = got.into_iter();
        let mut want = want.into_iter();
        let mut result =
            Comparison { pass: true, count: 0, failed: 0, worst: 0.0, index: 0, got: 0.0, want: 0.0, tolerance: *self };
        let mut worst_excess = f64::NEG_INFINITY;
        loop {
            let (g, w) = match (got.next(), want.next()) {
                (None, None) => return result,
                (Some(g), Some(w)) => (g, w),
                (g, w) => {
                    result.pass = false;
                    result.failed += 1;
                    result.worst = f64::INFINITY;
                    result.index = result.count;
                    result.got = g.unwrap_or(f64::NAN);
                    result.want = w.unwrap_or(f64::NAN);
                    return result;
                }
            };
            let error = if g.to_bits() == w.to_bits() { 0.0 } else { (g - w).abs() };
            let error = if error.is_nan() { f64::INFINITY } else { error };
            let excess = error - (self.absolute + self.relative * w.abs());
            if excess > worst_excess || excess.is_nan() {
                worst_excess = excess;
                result.worst = error;
                result.index = result.count;
                result.got = g;
                result.want = w;
            }
            if excess.is_nan() || excess > 0.0 {
                result.pass = false;
                result.failed += 1;
            }
            result.count += 1;
        }
    }

    /// [`Tolerance::compare`] on f32 slices.
    #[must_use]
    pub fn compare_f32(&self, got: &[f32], want: &[f32]) -> Comparison {
        self.compare(got.iter().map(|&x| f64::from(x)), want.iter().map(|&x| f64::from(x)))
    }
}

/// What a comparison found: the element that is worst against its allowance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Every element is within the tolerance, and the lengths agree.
    pub pass: bool,
    /// Elements compared.
    pub count: usize,
    /// Elements outside the tolerance.
    pub failed: usize,
    /// |got - want| of the worst element.
    pub worst: f64,
    /// Its position.
    pub index: usize,
    /// Its value.
    pub got: f64,
    /// The value that was expected.
    pub want: f64,
    /// What it was compared under.
    pub tolerance: Tolerance,
}

impl Comparison {
    /// Panics with the worst element when the comparison failed: for tests.
    ///
    /// # Panics
    /// When the comparison did not pass.
    #[track_caller]
    pub fn assert(&self, what: &str) {
        assert!(self.pass, "{what}: {self}");
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { count, failed, worst, index, got, want, tolerance, .. } = self;
        write!(
            f,
            "{failed} of {count} elements outside {}; worst error {worst:e} at {index}: got {got}, expected {want}",
            tolerance.name
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Tolerance;

    #[test]
    fn the_worst_element_is_named() {
        let found = Tolerance::SINGLE.compare_f32(&[1.0, 2.5, 3.0], &[1.0, 2.0, 3.0]);
        assert!(!found.pass);
        assert_eq!((found.index, found.got, found.want, found.failed), (1, 2.5, 2.0, 1));
    }

    #[test]
    fn nan_and_length_never_pass() {
        let loose = Tolerance::absolute("loose", 1e9);
        assert!(!loose.compare_f32(&[f32::NAN], &[0.0]).pass);
        assert!(!loose.compare_f32(&[0.0], &[f32::NAN]).pass);
        assert!(!loose.compare_f32(&[0.0], &[]).pass);
        assert!(!loose.compare_f32(&[], &[0.0]).pass);
        assert!(loose.compare_f32(&[], &[]).pass);
    }

    #[test]
    fn relative_parts_scale_with_the_expected_value() {
        let tolerance = Tolerance::mixed("1 %", 0.0, 0.01);
        assert!(tolerance.compare_f32(&[100.9], &[100.0]).pass);
        assert!(!tolerance.compare_f32(&[1.1], &[1.0]).pass);
    }
}
