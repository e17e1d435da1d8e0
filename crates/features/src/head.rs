//! The last linear layer of a classifier.

use crate::FeatureError;

/// Logits are `weight · penultimate + bias`.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    classes: usize,
    width: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Head {
    /// A head of `bias.len()` classes; `weight` is row-major `[classes, width]`, f32.
    ///
    /// # Errors
    /// When the weights are not of that size, there are none, or one is not finite.
    pub fn new(width: usize, weight: Vec<f32>, bias: Vec<f32>) -> Result<Head, FeatureError> {
        let classes = bias.len();
        if classes.checked_mul(width) != Some(weight.len()) || weight.is_empty() {
            return Err(FeatureError::Count { what: "head", found: weight.len(), rows: classes, width });
        }
        if let Some(value) = weight.iter().chain(&bias).find(|value| !value.is_finite()) {
            return Err(FeatureError::Format(format!("the head holds {value}, expected finite numbers")));
        }
        Ok(Head { classes, width, weight, bias })
    }

    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Length of the vector it reads.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Row-major `[classes, width]`.
    #[must_use]
    pub fn weight(&self) -> &[f32] {
        &self.weight
    }

    /// One number a class.
    #[must_use]
    pub fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// The logits of a vector of [`Head::width`] numbers, in f64.
    #[must_use]
    pub fn logits(&self, vector: &[f64]) -> Vec<f64> {
        let row = |(weight, &bias): (&[f32], &f32)| {
            weight.iter().zip(vector).map(|(&w, x)| f64::from(w) * x).sum::<f64>() + f64::from(bias)
        };
        self.weight.chunks_exact(self.width).zip(&self.bias).map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_are_the_product_and_the_bias() {
        let head = Head::new(2, vec![1.0, 2.0, 0.5, -1.0], vec![0.25, 3.0]).expect("fits");
        assert_eq!(head.logits(&[2.0, 4.0]), [10.25, 0.0]);
        assert_eq!((head.classes(), head.width()), (2, 2));
    }

    #[test]
    fn sizes_that_do_not_fit_and_broken_numbers_are_refused() {
        assert!(matches!(Head::new(2, vec![1.0; 3], vec![0.0; 2]), Err(FeatureError::Count { what: "head", .. })));
        assert!(Head::new(0, vec![], vec![]).is_err());
        assert!(Head::new(1, vec![f32::NAN], vec![0.0]).is_err());
    }
}
