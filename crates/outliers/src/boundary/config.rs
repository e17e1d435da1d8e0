//! Settings of the outlier sampling, and the two ways of choosing among candidates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::OutlierError;

/// How candidates are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// Of each border point, its `keep` candidates that lie farthest from the class.
    #[default]
    Corrected,
    /// As the released code chooses: the distances of candidate s of border point p, stored at `p · candidates + s`, are read as a matrix
    /// of `candidates` rows and `border` columns; the `keep` largest of each column c, in rows r, then name the candidates at
    /// `c · candidates + r`. Distances and candidates do not belong together, so what is kept is little else than a random choice.
    Released,
}

/// A candidate that was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Which border point.
    pub border: usize,
    /// Which noise vector.
    pub noise: usize,
}

impl Selection {
    /// Chooses `keep` candidates for each of `border` points by their distances, `[border, candidates]`, the farthest first; of equal ones
    /// the first.
    #[must_use]
    pub fn choose(self, distances: &[f64], border: usize, keep: usize) -> Vec<Kept> {
        let candidates = distances.len() / border.max(1);
        let mut chosen = Vec::with_capacity(border * keep);
        for point in 0..border {
            // Where the distance stands that is taken for that of candidate `noise`.
            let place = |noise: usize| match self {
                Selection::Corrected => point * candidates + noise,
                Selection::Released => noise * border + point,
            };
            let mut order: Vec<usize> = (0..candidates).collect();
            order.sort_by(|&a, &b| distances[place(b)].total_cmp(&distances[place(a)]).then(a.cmp(&b)));
            chosen.extend(order.into_iter().take(keep).map(|noise| Kept { border: point, noise }));
        }
        chosen
    }
}

/// Settings of the outlier sampling. Defaults are the published ones for CIFAR-10.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BoundaryConfig {
    /// How candidates are chosen.
    pub selection: Selection,
    /// K: the neighbour whose distance tells how far out a vector lies, 1 to the samples of a class. A sample is its own first neighbour.
    pub neighbour: usize,
    /// Border points of a class, 1 to its samples.
    pub border: usize,
    /// Noise vectors of a repetition, shared by all border points, 1 to 100,000.
    pub candidates: usize,
    /// Standard deviation of the noise in each coordinate, above 0, in units of the features' length of one.
    pub deviation: f64,
    /// Candidates kept for each border point and repetition, 1 to `candidates`.
    pub keep: usize,
    /// Repetitions with new noise, 1 to 10,000. Published: 10 for CIFAR-10, 100 for CIFAR-100.
    pub repetitions: usize,
    /// Samples used of each class, the first ones of the training set.
    pub per_class: usize,
    /// Length of the outliers, above 0. The released code scales those of a class by the norm of its name's text embedding (about 27 for
    /// CIFAR-10, 0.39 for CIFAR-100).
    pub scale: f64,
}

impl Default for BoundaryConfig {
    fn default() -> BoundaryConfig {
        BoundaryConfig {
            selection: Selection::Corrected,
            neighbour: 300,
            border: 50,
            candidates: 1500,
            deviation: 0.07,
            keep: 2,
            repetitions: 10,
            per_class: 500,
            scale: 1.0,
        }
    }
}

impl BoundaryConfig {
    /// Checks every setting's range, as far as that needs no samples.
    ///
    /// # Errors
    /// Names the first setting that is out of its range.
    pub fn validate(&self) -> Result<(), OutlierError> {
        let counts = [
            ("boundary.neighbour", self.neighbour, 1 << 20),
            ("boundary.border", self.border, 10_000),
            ("boundary.candidates", self.candidates, 100_000),
            ("boundary.keep", self.keep, self.candidates),
            ("boundary.repetitions", self.repetitions, 10_000),
            ("boundary.per_class", self.per_class, 1 << 20),
        ];
        for (name, found, most) in counts {
            if !(1..=most).contains(&found) {
                return Err(OutlierError::setting(name, found, format!("1 to {most}")));
            }
        }
        for (name, found) in [("boundary.deviation", self.deviation), ("boundary.scale", self.scale)] {
            if !(found > 0.0 && found.is_finite()) {
                return Err(OutlierError::setting(name, found, "a positive number"));
            }
        }
        Ok(())
    }

    /// Checks that a class has samples enough.
    ///
    /// # Errors
    /// When it has not.
    pub fn check_class(&self, class: usize, found: usize) -> Result<(), OutlierError> {
        let refuse = |expected, advice| Err(OutlierError::FewSamples { class, found, expected, advice });
        if found < self.neighbour {
            return refuse(
                self.neighbour,
                "boundary.neighbour counts neighbours of the same class; lower it, or raise boundary.per_class",
            );
        }
        if found < self.border {
            return refuse(
                self.border,
                "boundary.border points are chosen among them; lower it, or raise boundary.per_class",
            );
        }
        Ok(())
    }
}
