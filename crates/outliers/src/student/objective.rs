//! The terms of the loss of a batch.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};
use oodlab_base::{Seed, Stream};

use super::body::matrix;
use super::{Lesson, StudentConfig, Terms};
use crate::distillation::{self, Projector};
use crate::information::{DEEP, Estimator, SHALLOW, Variant};
use crate::parameters::{Maker, Parameter};
use crate::{OutlierError, Outliers};

/// What the terms need beside the student: the projector, the networks that measure bounds, and who is paired with whom.
pub(super) struct Objective<'a> {
    lesson: Lesson<'a>,
    terms: Terms,
    variant: Variant,
    samples: usize,
    dtype: DType,
    projector: Option<(Projector, Vec<Parameter>)>,
    measures: Vec<Measure<'a>>,
}

/// One term of mutual information.
pub(super) struct Measure<'a> {
    pub name: &'static str,
    pub weight: f64,
    pub estimator: Estimator,
    pub parameters: Vec<Parameter>,
    outliers: &'a Outliers,
    /// Rows of the outliers of each class, for pairing by class.
    of_class: Vec<Vec<usize>>,
}

/// A loss and what it is made of.
pub(super) struct Loss {
    pub total: Tensor,
    /// Unweighted terms, in the order of [`Terms::named`]; those left out are missing.
    pub terms: Vec<(&'static str, Tensor)>,
}

impl<'a> Objective<'a> {
    /// For a lesson that was checked; `width` is that of the student's feature.
    pub fn new(
        config: &StudentConfig,
        lesson: &Lesson<'a>,
        width: usize,
        seed: Seed,
        dtype: DType,
    ) -> Result<Objective<'a>, OutlierError> {
        let projector = match &lesson.teacher {
            Some(teacher) if config.terms.features > 0.0 => {
                let mut make = Maker::new(seed, dtype);
                let projector = Projector::new(&mut make, "projector", teacher.width, width)?;
                Some((projector, make.finish()))
            }
            _ => None,
        };
        let mut measures = Vec::new();
        let terms = [
            ("boundary", config.terms.boundary, lesson.boundary, SHALLOW),
            ("diffusion", config.terms.diffusion, lesson.diffusion, DEEP),
        ];
        for (name, weight, outliers, hidden) in terms {
            if let (Some(outliers), true) = (outliers, weight > 0.0) {
                let mut make = Maker::new(seed, dtype);
                let sizes = (outliers.width, width);
                let estimator = Estimator::new(&mut make, name, config.information.bound, hidden, sizes)?;
                let mut of_class = vec![Vec::new(); lesson.classes];
                for (row, &class) in outliers.classes.iter().flatten().enumerate() {
                    if let Some(rows) = of_class.get_mut(class as usize) {
                        rows.push(row);
                    }
                }
                measures.push(Measure { name, weight, estimator, parameters: make.finish(), outliers, of_class });
            }
        }
        let (variant, samples) = (config.information.variant, config.information.samples);
        Ok(Objective { lesson: *lesson, terms: config.terms, variant, samples, dtype, projector, measures })
    }

    /// The projector's parameters.
    pub fn projector(&self) -> &[Parameter] {
        self.projector.as_ref().map_or(&[], |(_, parameters)| parameters)
    }

    /// The terms of mutual information.
    pub fn measures(&self) -> &[Measure<'a>] {
        &self.measures
    }

    /// Outliers for the batch's first samples, `[pairs, width]`; `draws` is the batch's own stream.
    pub fn outliers(&self, measure: &Measure<'_>, rows: &[usize], draws: Stream) -> Result<Tensor, OutlierError> {
        let outliers = measure.outliers;
        let pairs = rows.len().min(self.samples);
        let chosen: Vec<usize> = match self.variant {
            Variant::Released => {
                let pairs = pairs.min(outliers.rows());
                distinct(draws, outliers.rows(), pairs)
            }
            Variant::Corrected => {
                let one = |(place, &row): (usize, &usize)| {
                    let own = &measure.of_class[self.lesson.labels[row] as usize];
                    own[draws.below(own.len() as u64, place as u64) as usize]
                };
                rows[..pairs].iter().enumerate().map(one).collect()
            }
        };
        let values = chosen.iter().flat_map(|&row| outliers.row(row)).copied().collect();
        matrix(values, outliers.width, self.dtype)
    }

    /// The loss of a batch of these rows. With `pretraining`, cross-entropy alone.
    ///
    /// # Shapes
    /// `features` `[rows, width]`, `logits` `[rows, classes]`; `paired` the outliers of each measure.
    pub fn loss(
        &self,
        rows: &[usize],
        (features, logits): (&Tensor, &Tensor),
        paired: &[Tensor],
        pretraining: bool,
    ) -> Result<Loss, OutlierError> {
        let weights = if pretraining { Terms::cross_entropy_only() } else { self.terms };
        let mut terms = Vec::new();
        if weights.cross_entropy > 0.0 {
            let target = self.one_hot(rows)?;
            terms.push(("cross_entropy", weights.cross_entropy, distillation::cross_entropy(logits, &target)?));
        }
        if let Some(teacher) = &self.lesson.teacher {
            let of = |values: &[f32], width: usize| {
                let values = rows.iter().flat_map(|row| &values[row * width..(row + 1) * width]).copied().collect();
                matrix(values, width, self.dtype)
            };
            if let (true, Some(values)) = (weights.logits > 0.0, teacher.logits) {
                let taught = of(values, self.lesson.classes)?;
                terms.push(("logits", weights.logits, distillation::divergence(&taught, logits)?));
            }
            if let (true, Some((projector, _))) = (weights.features > 0.0, &self.projector) {
                let taught = projector.forward(&of(teacher.features, teacher.width)?)?;
                terms.push(("features", weights.features, distillation::divergence(&taught, features)?));
            }
        }
        if !pretraining {
            for (measure, x) in self.measures.iter().zip(paired) {
                let y = features.narrow(0, 0, x.dim(0)?)?;
                terms.push((measure.name, measure.weight, measure.estimator.bound(x, &y)?));
            }
        }
        let mut total = Tensor::zeros((), self.dtype, features.device())?;
        for (_, weight, term) in &terms {
            total = (total + (term * *weight)?)?;
        }
        Ok(Loss { total, terms: terms.into_iter().map(|(name, _, term)| (name, term)).collect() })
    }

    fn one_hot(&self, rows: &[usize]) -> Result<Tensor, OutlierError> {
        let classes = self.lesson.classes;
        let mut target = vec![0.0f32; rows.len() * classes];
        for (place, &row) in rows.iter().enumerate() {
            target[place * classes + self.lesson.labels[row] as usize] = 1.0;
        }
        matrix(target, classes, self.dtype)
    }
}

/// `count` different numbers below `n`, at most that many: the beginning of a random order, of which only what is moved is held.
fn distinct(stream: Stream, n: usize, count: usize) -> Vec<usize> {
    let mut moved: BTreeMap<usize, usize> = BTreeMap::new();
    let mut chosen = Vec::with_capacity(count);
    for place in 0..count {
        let other = place + stream.below((n - place) as u64, place as u64) as usize;
        let at = |moved: &BTreeMap<usize, usize>, place| moved.get(&place).copied().unwrap_or(place);
        chosen.push(at(&moved, other));
        let here = at(&moved, place);
        moved.insert(other, here);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_different_and_each_is_chosen_as_often() {
        let mut counts = [0; 7];
        for draw in 0..700 {
            let chosen = distinct(Seed(1).stream("distinct").child(draw), 7, 3);
            let unique: std::collections::BTreeSet<usize> = chosen.iter().copied().collect();
            assert_eq!(unique.len(), 3);
            chosen.iter().for_each(|&number| counts[number] += 1);
        }
        assert!(counts.iter().all(|&count| (230..370).contains(&count)), "{counts:?}");
        let mut all = distinct(Seed(1).stream("distinct"), 5, 5);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4]);
    }
}
