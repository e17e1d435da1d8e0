//! Published systems by name, and which of the numbers here each of them prints.

use std::str::FromStr;

use oodlab_base::text::hint;

use super::{FprRule, Metric};

/// How a published system evaluates: its operating point, and the columns that hold the numbers it prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Convention {
    /// The name on the command line.
    pub name: &'static str,
    /// The rule that chooses the operating point of its FPR95.
    pub rule: FprRule,
    /// The metrics it prints that are found here, under the names that they have here. Empty for a bare rule.
    pub prints: &'static [Metric],
    /// What a reader must know who compares with its numbers; empty when that is all.
    pub note: &'static str,
}

const AREAS_OOD: &[Metric] = &[Metric::Auroc, Metric::AuprIn, Metric::AuprOut, Metric::Fpr95Ood];
const AREAS_ID: &[Metric] = &[Metric::Auroc, Metric::AuprIn, Metric::AuprOut, Metric::Fpr95Id];

impl Convention {
    /// Every system, then every rule by its own name.
    pub const ALL: [Convention; 14] = [
        Convention {
            name: "openood",
            rule: FprRule::FirstAtLeastSklearnDrop,
            prints: AREAS_OOD,
            note: "OpenOOD 1.5 since August 2023 (its two AUPR columns were exchanged until 18 December 2023); its means over near and far sets are unweighted",
        },
        Convention {
            name: "openood-1.0",
            rule: FprRule::FirstAtLeastSklearnDrop,
            prints: AREAS_ID,
            note: "OpenOOD 1.0, and 1.5 until August 2023",
        },
        Convention {
            name: "oal",
            rule: FprRule::FirstAtLeastSklearnDrop,
            prints: AREAS_OOD,
            note: "its two AUPR columns are exchanged: what it calls AUPR_IN is aupr_out here",
        },
        Convention {
            name: "pytorch-ood",
            rule: FprRule::FirstAtLeast,
            prints: &[Metric::Auroc, Metric::AuprIn, Metric::AuprOut, Metric::Fpr95Ood, Metric::Autc],
            note: "pytorch-ood 0.4; versions up to 0.3 squash scores outside 0..1 by a sigmoid, and may differ in everything",
        },
        Convention {
            name: "dlsr",
            rule: FprRule::Percentile95Strict,
            prints: &[Metric::Auroc, Metric::Fpr95Id],
            note: "",
        },
        Convention {
            name: "energy",
            rule: FprRule::Nearest,
            prints: &[Metric::Auroc, Metric::ApIn, Metric::Fpr95Id],
            note: "energy_ood, VOS, ReAct; they draw OOD to a fifth of ID ten times, and ap_in depends on that ratio",
        },
        Convention {
            name: "outlier-exposure",
            rule: FprRule::Nearest,
            prints: &[Metric::Auroc, Metric::ApOut, Metric::Fpr95Ood],
            note: "its ap_out is taken at one OOD for five ID",
        },
        Convention {
            name: "hendrycks",
            rule: FprRule::Nearest,
            prints: &[],
            note: "the rule of display_results.py; Outlier Exposure prints fpr95_ood with it, energy_ood and its kin fpr95_id",
        },
        Convention {
            name: "odin",
            rule: FprRule::OrderStatStrict,
            prints: &[Metric::Auroc, Metric::Fpr95Id],
            note: "ODIN, knn-ood; their AUIN and AUOUT end at precision 0.5 and are not among the columns",
        },
        Convention { name: "first-at-least", rule: FprRule::FirstAtLeast, prints: &[], note: "" },
        Convention {
            name: "first-at-least-sklearn-drop",
            rule: FprRule::FirstAtLeastSklearnDrop,
            prints: &[],
            note: "",
        },
        Convention { name: "nearest", rule: FprRule::Nearest, prints: &[], note: "" },
        Convention { name: "percentile95-strict", rule: FprRule::Percentile95Strict, prints: &[], note: "" },
        Convention { name: "order-stat-strict", rule: FprRule::OrderStatStrict, prints: &[], note: "" },
    ];

    /// Names of all conventions, joined by commas.
    #[must_use]
    pub fn names() -> String {
        Convention::ALL.map(|convention| convention.name).join(", ")
    }
}

impl Default for Convention {
    /// [`FprRule::FirstAtLeast`], the rule to report.
    fn default() -> Convention {
        Convention { name: "first-at-least", rule: FprRule::FirstAtLeast, prints: &[], note: "" }
    }
}

/// A name that is no convention.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {}, found {found:?}{}", Convention::names(), hint(found, Convention::ALL.map(|known| known.name)))]
pub struct UnknownConvention {
    found: String,
}

impl FromStr for Convention {
    type Err = UnknownConvention;

    fn from_str(text: &str) -> Result<Convention, UnknownConvention> {
        let found = Convention::ALL.into_iter().find(|convention| convention.name == text);
        found.ok_or_else(|| UnknownConvention { found: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_a_convention_of_its_name() {
        for rule in FprRule::ALL {
            assert_eq!(rule.name().parse::<Convention>().unwrap().rule, rule);
        }
        assert_eq!("first-at-least".parse(), Ok(Convention::default()));
    }

    #[test]
    fn an_unknown_name_is_told_a_near_one() {
        let message = "openod".parse::<Convention>().unwrap_err().to_string();
        assert!(
            message.contains("openood, openood-1.0, oal") && message.ends_with("did you mean \"openood\"?"),
            "{message}"
        );
    }
}
