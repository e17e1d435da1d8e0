//! CIFAR's "binary version": records of label bytes and three colour planes, one after the other.

/// The shape of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Label bytes in front of each image (CIFAR-10: 1, CIFAR-100: 2, coarse and fine).
    pub labels: usize,
    /// Which of them is the label.
    pub label: usize,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
    /// Labels lie below this; `None`: any.
    pub classes: Option<u32>,
}

impl Layout {
    /// Bytes of an image.
    #[must_use]
    pub fn pixels(&self) -> usize {
        3 * self.width as usize * self.height as usize
    }

    /// Bytes of a record.
    #[must_use]
    pub fn record(&self) -> usize {
        self.labels + self.pixels()
    }

    /// The number of records in a file of so many bytes.
    ///
    /// # Errors
    /// When that is not a positive multiple of the record's length.
    pub fn records(&self, length: u64) -> Result<usize, String> {
        let record = self.record() as u64;
        if record <= self.labels as u64 || self.label >= self.labels {
            return Err("a record without pixels or without its label".into());
        }
        if length == 0 || !length.is_multiple_of(record) {
            return Err(format!("{length} bytes are not a whole number of records of {record} bytes"));
        }
        usize::try_from(length / record).map_err(|_| format!("{length} bytes are too many"))
    }

    /// Checks a whole file and counts its records.
    ///
    /// # Errors
    /// As [`Layout::records`], or when a label is out of range; the message says where.
    pub fn count(&self, bytes: &[u8]) -> Result<usize, String> {
        let count = self.records(bytes.len() as u64)?;
        if let Some(classes) = self.classes {
            for (index, record) in bytes.chunks_exact(self.record()).enumerate() {
                let label = u32::from(record[self.label]);
                if label >= classes {
                    return Err(format!("record {index} has label {label}, expected one below {classes}"));
                }
            }
        }
        Ok(count)
    }

    /// Label and planes `[3, height, width]` of a record; `None` past the end.
    #[must_use]
    pub fn record_of<'a>(&self, bytes: &'a [u8], index: usize) -> Option<(u32, &'a [u8])> {
        let start = self.record().checked_mul(index)?;
        let record = bytes.get(start..start.checked_add(self.record())?)?;
        Some((u32::from(*record.get(self.label)?), record.get(self.labels..)?))
    }
}

/// Runs the decoder on arbitrary bytes.
pub fn fuzz(bytes: &[u8]) {
    for (labels, width, height) in [(1, 2, 2), (2, 1, 3), (1, 32, 32)] {
        let layout = Layout { labels, label: labels - 1, width, height, classes: Some(10) };
        for index in 0..layout.count(bytes).unwrap_or(0) {
            let _ = layout.record_of(bytes, index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_cut_where_they_begin() {
        let layout = Layout { labels: 2, label: 1, width: 1, height: 1, classes: Some(100) };
        let bytes = [7, 42, 1, 2, 3, 8, 99, 4, 5, 6];
        assert_eq!(layout.count(&bytes), Ok(2));
        assert_eq!(layout.record_of(&bytes, 1), Some((99, &[4, 5, 6][..])));
        assert_eq!(layout.record_of(&bytes, 2), None);
        assert!(layout.count(&bytes[..9]).is_err_and(|what| what.contains("9 bytes")));
        assert!(layout.count(&[]).is_err());
        let strict = Layout { classes: Some(99), ..layout };
        assert!(strict.count(&bytes).is_err_and(|what| what.contains("record 1 has label 99")));
    }
}
