//! Vectors that stand for what is out of distribution.

use oodlab_base::Seed;
use oodlab_diffusion::tensor_file::{self, TensorFile, Values};

use crate::OutlierError;

/// Values that random outliers may have at most: 8 GiB.
const MOST: usize = 1 << 31;

/// Outliers: rows of one width, each made for a class or for none.
///
/// What they are depends on who made them: feature vectors at the edge of a class, or row means of a latent image.
#[derive(Debug, Clone, PartialEq)]
pub struct Outliers {
    /// Values of a row.
    pub width: usize,
    /// The rows, `[rows, width]`, all finite.
    pub values: Vec<f32>,
    /// The class that each row was made for, where it was made for one.
    pub classes: Option<Vec<u32>>,
}

impl Outliers {
    /// Takes over rows.
    ///
    /// # Errors
    /// When the width is zero, values are no whole rows or not finite, or classes are not one a row.
    pub fn new(width: usize, values: Vec<f32>, classes: Option<Vec<u32>>) -> Result<Outliers, OutlierError> {
        if width == 0 {
            return Err(OutlierError::setting("width of outliers", width, "at least 1"));
        }
        let rows = values.len() / width;
        crate::error::expect_length("outliers", rows * width, values.len())?;
        crate::error::expect_finite("outliers", width, &values)?;
        if let Some(classes) = &classes {
            crate::error::expect_length("classes of outliers", rows, classes.len())?;
        }
        Ok(Outliers { width, values, classes })
    }

    /// Standard normal rows, row r for class r mod `classes`: a control, which knows nothing of any image.
    ///
    /// # Errors
    /// When there would be no value, no class, or more than 2^31 values.
    pub fn random(rows: usize, width: usize, classes: usize, seed: Seed) -> Result<Outliers, OutlierError> {
        let count = rows.saturating_mul(width);
        if count == 0 || count > MOST || classes == 0 || u32::try_from(classes).is_err() {
            let found = format!("{rows} rows of {width} values for {classes} classes");
            return Err(OutlierError::setting("random outliers", found, "at least one of each, at most 2^31 values"));
        }
        let mut values = vec![0.0; count];
        oodlab_kernels::normal::fill(seed.stream("random outliers"), 0, &mut values);
        let classes = (0..rows).map(|row| (row % classes) as u32).collect();
        Outliers::new(width, values, Some(classes))
    }

    /// As bytes: equal outliers, equal bytes.
    ///
    /// # Errors
    /// When they cannot be laid out (never for outliers that were made).
    pub fn to_bytes(&self) -> Result<Vec<u8>, OutlierError> {
        let shape = vec![self.rows(), self.width];
        let rows = [("outliers".to_owned(), shape, Values::F32(&self.values))];
        Ok(tensor_file::write(&(self.rows(), self.width, &self.classes), &rows)?)
    }

    /// What [`Outliers::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the bytes are something else, or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Outliers, OutlierError> {
        let ((rows, width, classes), file) = TensorFile::read::<(usize, usize, Option<Vec<u32>>)>(bytes)?;
        Outliers::new(width, file.f32("outliers", &[rows, width])?, classes)
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The row of that number.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn row(&self, number: usize) -> &[f32] {
        &self.values[number * self.width..(number + 1) * self.width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_apart_and_what_does_not_fit_is_refused() {
        let made = Outliers::new(2, vec![1.0, 2.0, 3.0, 4.0], Some(vec![7, 8])).expect("two rows");
        assert_eq!((made.rows(), made.row(1)), (2, &[3.0, 4.0][..]));
        let told = |found: Result<Outliers, OutlierError>| found.expect_err("must be refused").to_string();
        assert!(told(Outliers::new(0, Vec::new(), None)).contains("at least 1"));
        assert!(told(Outliers::new(2, vec![1.0; 3], None)).contains("expected 2 values, found 3"));
        assert!(told(Outliers::new(2, vec![1.0; 4], Some(vec![0]))).contains("expected 2 values, found 1"));
        assert!(told(Outliers::random(0, 4, 2, Seed(1))).contains("at least one of each"));
        let bytes = made.to_bytes().expect("bytes");
        assert_eq!(Outliers::from_bytes(&bytes).expect("its own bytes"), made);
        assert!(Outliers::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        let random = Outliers::random(5, 64, 2, Seed(1)).expect("five rows");
        assert_eq!((random.rows(), random.classes), (5, Some(vec![0, 1, 0, 1, 0])));
        assert!(told(Outliers::new(2, vec![1.0, 2.0, f32::NAN, 0.0], None)).contains("row 1"));
    }
}
