//! The distinct steps of a batch.

/// Which steps a batch has, and which of them each row has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Steps {
    /// Rising.
    pub distinct: Vec<u32>,
    /// Position among them, for each row.
    pub row: Vec<u32>,
}

impl Steps {
    /// Replaces what is there by the steps of another batch.
    pub(super) fn set(&mut self, t: &[u32]) {
        self.distinct.clear();
        self.distinct.extend_from_slice(t);
        self.distinct.sort_unstable();
        self.distinct.dedup();
        self.row.clear();
        self.row.extend(t.iter().map(|step| self.distinct.partition_point(|other| other < step) as u32));
    }
}
