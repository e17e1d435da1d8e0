//! What a detector must be given, and what to do where it cannot be had.

use crate::DetectorError;

/// What a detector wants to be given; the runner hands over only that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Pooled feature vectors of the chosen layers.
    pub features: bool,
    /// The vector that the classifier reads.
    pub penultimate: bool,
    /// Class scores.
    pub logits: bool,
    /// The classifier's weights.
    pub head: bool,
    /// Class labels of the training samples: only a supervised detector.
    pub labels: bool,
    /// The images themselves and a differentiable network: gradients, maps ([`crate::Detector::probes`]).
    pub images: bool,
    /// In-distribution samples of the benchmark's validation split.
    pub id_validation: bool,
    /// Out-of-distribution samples of the benchmark's validation split.
    pub ood_validation: bool,
}

/// A need, what it is called, and how it is met.
type Line = (fn(&Needs) -> bool, &'static str, &'static str);

const LINES: [Line; 7] = [
    (
        |needs| needs.penultimate,
        "the penultimate vector",
        "use an encoder whose weights reach the classifier (`encoder: {network: resnet20}`), or import features with a layer `penultimate`",
    ),
    (
        |needs| needs.logits,
        "class scores (logits)",
        "use an encoder whose weights have a classifier (`encoder: {network: resnet20}`), or import features with logits",
    ),
    (
        |needs| needs.head,
        "the classifier's weights",
        "use an encoder whose weights have a classifier (`encoder: {network: resnet20}`); imported features have none",
    ),
    (
        |needs| needs.labels,
        "class labels of the training samples",
        "use a training set with classes, or import features with labels",
    ),
    (
        |needs| needs.images,
        "images and their network",
        "use an encoder of this program in place of imported features, and one with a classifier",
    ),
    (
        |needs| needs.id_validation,
        "in-distribution validation samples",
        "name them in the benchmark (`validation: {id: ..}`), or take training samples where the detector can (`from: train`)",
    ),
    (
        |needs| needs.ood_validation,
        "out-of-distribution validation samples",
        "name them in the benchmark: `validation: {id: .., ood: [..]}`, or set the values by hand and leave `tune` out",
    ),
];

impl Needs {
    /// Refuses what cannot be had: the first need that is not among `had` is named, with what to give.
    ///
    /// # Errors
    /// When there is one.
    pub fn check(&self, who: &'static str, had: &Needs) -> Result<(), DetectorError> {
        match LINES.iter().find(|(wants, _, _)| wants(self) && !wants(had)) {
            Some(&(_, what, give)) => Err(DetectorError::Unmet { who, what, give }),
            None => Ok(()),
        }
    }

    /// The error of the first need.
    pub(crate) fn unmet(&self, who: &'static str) -> DetectorError {
        let line = LINES.iter().find(|(wants, _, _)| wants(self));
        let (what, give) = line.map_or(("features", "encode or import them"), |&(_, what, give)| (what, give));
        DetectorError::Unmet { who, what, give }
    }

    /// The needs of both.
    #[must_use]
    pub fn and(self, other: Needs) -> Needs {
        Needs {
            features: self.features || other.features,
            penultimate: self.penultimate || other.penultimate,
            logits: self.logits || other.logits,
            head: self.head || other.head,
            labels: self.labels || other.labels,
            images: self.images || other.images,
            id_validation: self.id_validation || other.id_validation,
            ood_validation: self.ood_validation || other.ood_validation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_unmet_need_is_named_with_what_to_give() {
        let needs = Needs { logits: true, labels: true, ..Needs::default() };
        assert!(needs.check("energy", &needs).is_ok());
        let message =
            needs.check("energy", &Needs { logits: true, ..Needs::default() }).expect_err("labels").to_string();
        assert!(
            message.contains("energy needs class labels") && message.contains("import features with labels"),
            "{message}"
        );
        assert!(Needs::default().check("any", &Needs::default()).is_ok());
        assert_eq!(needs.and(Needs { head: true, ..Needs::default() }), Needs { head: true, ..needs });
    }
}
