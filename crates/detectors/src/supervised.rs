//! Detectors that learn from class labels. They alone are handed [`Labeled`]; all others fit [`Unlabeled`], which holds no label.

use std::fmt::Debug;

use oodlab_features::Labels;

use crate::{DetectorError, FitContext, FittedDetector, Unlabeled};

/// Training samples with their classes.
#[derive(Debug, Clone, Copy)]
pub struct Labeled<'a> {
    /// The samples.
    pub given: Unlabeled<'a>,
    /// The class of each, `0 .. classes`.
    pub labels: &'a Labels,
    /// Number of classes; logits, where there are any, have as many.
    pub classes: usize,
    /// The classes of [`crate::FitContext::validation`]'s in-distribution samples, where it was asked for.
    pub validation: Option<&'a Labels>,
    /// What a teacher says of the same samples: its penultimate vectors as features, its logits where it has a classifier
    /// ([`crate::Detector::teacher`]).
    pub teacher: Option<Unlabeled<'a>>,
}

impl Labeled<'_> {
    /// Refuses labels that are not those of the samples.
    ///
    /// # Errors
    /// When there are more or fewer than samples, one is no class, or a class has no sample.
    pub fn check(&self, who: &'static str) -> Result<(), DetectorError> {
        self.given.check(who)?;
        let (rows, found) = (self.given.rows(), self.labels.0.len());
        let refuse = |message: String| Err(DetectorError::Config { place: "benchmark".into(), message });
        if found != rows {
            return refuse(format!("{who}: {found} labels for {rows} training samples"));
        }
        let mut counts = vec![0usize; self.classes];
        for &label in &self.labels.0 {
            match counts.get_mut(label as usize) {
                Some(count) => *count += 1,
                None => return refuse(format!("{who}: label {label}, expected one below {}", self.classes)),
            }
        }
        match counts.iter().position(|&count| count == 0) {
            Some(class) => refuse(format!(
                "{who}: class {class} has no training sample; take more (`limit.train`) or another split"
            )),
            None => Ok(()),
        }
    }
}

/// The part of a detector that learns from labels.
pub trait Supervised: Send + Sync + Debug {
    /// Fits the detector to labelled in-distribution training samples.
    ///
    /// # Errors
    /// When the samples or labels cannot be used, training fails, or the work is cancelled.
    fn fit_labeled(
        &self,
        train: &Labeled<'_>,
        context: &mut FitContext<'_>,
    ) -> Result<Box<dyn FittedDetector>, DetectorError>;
}
