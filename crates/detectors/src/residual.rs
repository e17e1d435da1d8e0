//! Residual (the first half of ViM, Wang et al., CVPR 2022): the length of the penultimate vector's part in the null space of the training
//! vectors. OpenOOD's `residual_postprocessor.py`, the sign turned.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rule::{Arrays, FitsUnlabeled, Rule, Sizes};
use crate::{DetectorError, FitContext, Needs, Unlabeled, null_space};

/// Settings.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Residual {
    /// Dimensions of the principal space that is left out; none: 1000 for vectors of 2048 and more, 512 for 768 and more, else half.
    pub dim: Option<usize>,
}

impl Rule for Residual {
    const KIND: &'static str = "residual";

    fn needs(&self) -> Needs {
        Needs { penultimate: true, head: true, ..Needs::default() }
    }

    fn check_arrays(&self, arrays: &Arrays, sizes: &Sizes) -> Result<(), String> {
        null_space::check(arrays, sizes)
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        Ok(null_space::lengths(arrays, given.penultimate(Self::KIND)?))
    }
}

impl FitsUnlabeled for Residual {
    fn fit(&self, train: &Unlabeled<'_>, _: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        null_space::fit(train.penultimate(Self::KIND)?, train.head(Self::KIND)?, self.dim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_keeps_the_contract() {
        testing::check_contract(
            crate::build(Residual::KIND, serde_json::json!({"dim": 3}), &[]).expect("valid").as_ref(),
        );
    }
}
