//! What a reader must know before trusting the numbers.

use std::fmt;

use serde::Serialize;

use super::{Counts, Positive};

/// Something suspicious about the scores. The metrics are right, but may not mean what they seem to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Warning {
    /// All scores are equal. Some rules then give FPR95 = 0, which looks like a perfect detector.
    Constant,
    /// AUROC far below one half: probably scores of the wrong sign.
    Inverted {
        /// The AUROC.
        auroc: f64,
    },
    /// Few distinct scores: thresholds are coarse, and conventions differ more.
    HeavyTies {
        /// Distinct scores.
        distinct: usize,
        /// All scores.
        total: usize,
    },
    /// Infinite scores, which are kept and rank first or last.
    Infinite {
        /// How many.
        count: usize,
    },
    /// A class of one sample: its interval is unknown.
    SingleScore {
        /// That class.
        class: Positive,
    },
}

impl Warning {
    /// AUROC below which the sign is doubted.
    pub const INVERTED_BELOW: f64 = 0.35;
    /// Share of distinct scores below which ties are called heavy.
    pub const TIES_BELOW: f64 = 0.1;
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::Constant => write!(f, "all scores are equal: the detector separates nothing"),
            Warning::Inverted { auroc } => {
                write!(
                    f,
                    "AUROC is {:.2} %, far below one half: is the sign right? higher must mean more OOD",
                    auroc * 100.0
                )
            }
            Warning::HeavyTies { distinct, total } => {
                write!(f, "only {distinct} distinct scores among {total}: ties weigh heavily, was precision lost?")
            }
            Warning::Infinite { count } => write!(f, "{count} infinite scores"),
            Warning::SingleScore { class } => {
                write!(f, "only one {class} score: the interval of the AUROC is unknown and given as 0 to 100 %")
            }
        }
    }
}

impl Counts {
    /// What is suspicious about the scores, in the order of [`Warning`]'s variants.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let (distinct, total) = (self.thresholds().len(), self.n_id() + self.n_ood());
        let auroc = self.auroc();
        if distinct == 1 {
            warnings.push(Warning::Constant);
        }
        if auroc < Warning::INVERTED_BELOW {
            warnings.push(Warning::Inverted { auroc });
        }
        // Constant scores are said to be constant; that they tie is no news.
        if distinct > 1 && (distinct as f64) < Warning::TIES_BELOW * total as f64 {
            warnings.push(Warning::HeavyTies { distinct, total });
        }
        let count = |class| {
            let low = self.strictly_below(class, f64::MIN);
            (low + self.strictly_above(class, f64::MAX)) as usize
        };
        let infinite = count(Positive::Id) + count(Positive::Ood);
        if infinite > 0 {
            warnings.push(Warning::Infinite { count: infinite });
        }
        for (class, n) in [(Positive::Id, self.n_id()), (Positive::Ood, self.n_ood())] {
            if n == 1 {
                warnings.push(Warning::SingleScore { class });
            }
        }
        warnings
    }
}
