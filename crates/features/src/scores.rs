//! Outlier scores of samples.

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// One number a sample and score; higher means more out-of-distribution. f64, finite or infinite, never NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Sample ids, one a row: those of the features that were scored.
    pub ids: Vec<String>,
    /// Name of each score: `mse`, `mfsim`.
    pub names: Vec<String>,
    /// For each name, one value a sample.
    pub columns: Vec<Vec<f64>>,
}

/// Scores that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// A score that is not a number.
    #[error("sample {id:?}: score {name:?} is NaN; the detector or its features are broken, nothing was written")]
    NotANumber {
        /// Sample id.
        id: String,
        /// Score name.
        name: String,
    },
    /// Columns of different lengths or names.
    #[error("score {name:?} has {found} values, expected {expected}")]
    Count {
        /// Score name.
        name: String,
        /// Values found.
        found: usize,
        /// Values expected.
        expected: usize,
    },
    /// Not a score file.
    #[error("not a score file: {0}")]
    Format(String),
    /// Parts with other scores cannot be joined.
    #[error("scores {left:?} cannot be joined with scores {right:?}")]
    Join {
        /// Names of the first.
        left: Vec<String>,
        /// Names of the other.
        right: Vec<String>,
    },
}

impl Scores {
    /// Scores of samples, checked.
    ///
    /// # Errors
    /// When a column is too short or long, or holds a NaN.
    pub fn new(ids: Vec<String>, names: Vec<String>, columns: Vec<Vec<f64>>) -> Result<Scores, ScoreError> {
        if names.len() != columns.len() {
            let (name, found, expected) = ("columns".to_owned(), columns.len(), names.len());
            return Err(ScoreError::Count { name, found, expected });
        }
        for (name, column) in names.iter().zip(&columns) {
            if column.len() != ids.len() {
                return Err(ScoreError::Count { name: name.clone(), found: column.len(), expected: ids.len() });
            }
            if let Some(at) = column.iter().position(|value| value.is_nan()) {
                return Err(ScoreError::NotANumber { id: ids[at].clone(), name: name.clone() });
            }
        }
        Ok(Scores { ids, names, columns })
    }

    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&[f64]> {
        let at = self.names.iter().position(|known| known == name)?;
        Some(&self.columns[at])
    }

    /// Writes the scores as safetensors bytes: `scores` [names, samples] f64, `about` the JSON of ids and names.
    ///
    /// # Errors
    /// When the format refuses a tensor (never for valid scores).
    pub fn to_bytes(&self) -> Result<Vec<u8>, ScoreError> {
        let format = |error: &dyn std::fmt::Display| ScoreError::Format(error.to_string());
        let values: Vec<u8> = self.columns.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
        let about = serde_json::to_vec(&(&self.ids, &self.names)).map_err(|e| format(&e))?;
        let shape = vec![self.names.len(), self.ids.len()];
        let scores = TensorView::new(Dtype::F64, shape, &values).map_err(|e| format(&e))?;
        let about = TensorView::new(Dtype::U8, vec![about.len()], &about).map_err(|e| format(&e))?;
        safetensors::serialize([("scores", scores), ("about", about)], None).map_err(|e| format(&e))
    }

    /// Reads what [`Scores::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the bytes are something else, or the scores are not valid.
    pub fn from_bytes(bytes: &[u8]) -> Result<Scores, ScoreError> {
        let format = |error: &dyn std::fmt::Display| ScoreError::Format(error.to_string());
        let file = SafeTensors::deserialize(bytes).map_err(|e| format(&e))?;
        let about = file.tensor("about").map_err(|e| format(&e))?;
        let (ids, names): (Vec<String>, Vec<String>) = serde_json::from_slice(about.data()).map_err(|e| format(&e))?;
        let view = file.tensor("scores").map_err(|e| format(&e))?;
        if view.dtype() != Dtype::F64 || view.shape() != [names.len(), ids.len()] {
            return Err(ScoreError::Format(format!("scores are {:?} {:?}", view.dtype(), view.shape())));
        }
        let values: Vec<f64> = view.data().as_chunks::<8>().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect();
        let columns = (0..names.len()).map(|at| values[at * ids.len()..(at + 1) * ids.len()].to_vec()).collect();
        Scores::new(ids, names, columns)
    }

    /// Adds the samples of another part behind these.
    ///
    /// # Errors
    /// When the score names differ.
    pub fn append(&mut self, other: Scores) -> Result<(), ScoreError> {
        if self.names != other.names {
            return Err(ScoreError::Join { left: self.names.clone(), right: other.names });
        }
        self.ids.extend(other.ids);
        for (mine, theirs) in self.columns.iter_mut().zip(other.columns) {
            mine.extend(theirs);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_is_refused_and_infinity_is_kept() {
        let scores = |value| Scores::new(vec!["x".into()], vec!["mse".into()], vec![vec![value]]);
        assert!(matches!(scores(f64::NAN), Err(ScoreError::NotANumber { .. })));
        assert_eq!(scores(f64::INFINITY).expect("kept").column("mse"), Some(&[f64::INFINITY][..]));
    }

    #[test]
    fn a_round_trip_keeps_every_bit() {
        let columns = vec![vec![f64::INFINITY, -0.0], vec![1e-300, 0.1]];
        let scores =
            Scores::new(vec!["a".into(), "b".into()], vec!["mse".into(), "lr".into()], columns).expect("valid");
        let bytes = scores.to_bytes().expect("writes");
        let read = Scores::from_bytes(&bytes).expect("reads");
        assert_eq!(read, scores);
        assert!(read.columns[0][1].is_sign_negative());
        for length in 0..bytes.len() {
            assert!(Scores::from_bytes(&bytes[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn parts_join_by_name() {
        let part =
            |id: &str, value| Scores::new(vec![id.into()], vec!["mse".into()], vec![vec![value]]).expect("valid");
        let mut whole = part("x", 1.0);
        whole.append(part("y", 2.0)).expect("same names");
        assert_eq!(whole.column("mse"), Some(&[1.0, 2.0][..]));
        let other = Scores::new(vec![], vec!["lr".into()], vec![vec![]]).expect("valid");
        assert!(whole.append(other).is_err());
    }
}
