//! The result table arranged as an experiment file asks for.

mod caption;
mod cell;
mod data;
mod error;
mod html;
mod latex;
mod markdown;
mod rank;
mod select;
mod terminal;
mod text;

use crate::metrics::Metric;
use crate::published::Library;
use crate::record::About;

use super::field::Field;
use super::spec::Uncertainty;
use super::{Table, TableSpec};

pub use error::ArrangeError;

/// A table ready to be printed.
#[derive(Debug, Clone, PartialEq)]
pub struct Arranged {
    /// Its name, as in its files.
    pub name: String,
    /// What it shows, in the words of its author; may be empty.
    pub caption: String,
    /// Among which values the best is marked; `None` where nothing is.
    pub marks: Option<Marks>,
    /// What the numbers are: metrics, convention, seeds. Sentences of plain text.
    pub notes: Vec<String>,
    /// What they rest on: what is the same in all of them, sizes of sets, published numbers and in what the set-up differs. Sentences too.
    pub details: Vec<String>,
    /// Headings of the columns of labels that open every line: one a field in `rows`.
    pub stubs: Vec<String>,
    /// Labels of the columns: one a field in `columns`, none where there is a single column without a name.
    pub columns: Vec<Vec<String>>,
    /// Lines.
    pub lines: Vec<ArrangedLine>,
    /// Decimals of a value in percent.
    pub decimals: u8,
    /// What stands behind each value.
    pub uncertainty: Uncertainty,
    /// Fields whose values label lines, as in `stubs`, then those of columns: for the table as data.
    pub(crate) fields: (Vec<Field>, Vec<Field>),
    /// Values of the columns' fields before they were given other labels.
    pub(crate) column_values: Vec<Vec<String>>,
}

/// How the best values are marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    /// `each column`, `each row`, with the fields within whose values only it is the best.
    pub among: String,
    /// Whether the second is marked too.
    pub second: bool,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrangedLine {
    /// Its labels, one a stub.
    pub labels: Vec<String>,
    /// Its cells, one a column; `None` where nothing was measured.
    pub cells: Vec<Option<ArrangedCell>>,
    /// Values of the fields before they were given other labels.
    pub(crate) values: Vec<String>,
}

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrangedCell {
    /// One a metric shown; `None` where it was not computed.
    pub values: Vec<Option<ArrangedValue>>,
    /// Seeds that it is the mean of.
    pub seeds: usize,
    /// Over how many sets it is the mean, where it is one.
    pub sets: Option<usize>,
    /// Whether other means over the same group have more sets: such a mean is not compared with them.
    pub partial: bool,
    /// In-distribution samples; absent in a mean, or where seeds differ.
    pub n_id: Option<u64>,
    /// Out-of-distribution samples; absent in a mean, or where seeds differ.
    pub n_ood: Option<u64>,
    /// Rule of the operating point.
    pub rule: String,
    /// Whether its values are published ones, which compete with none of ours.
    pub reported: bool,
    /// Key of the run that it comes from, where that is a single one and known.
    pub run: Option<String>,
}

/// A metric's value. Fractions 0..1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArrangedValue {
    /// The metric.
    pub metric: Metric,
    /// Its mean over seeds.
    pub value: f64,
    /// Its standard deviation over seeds, divided by n; 0 for one seed.
    pub deviation: f64,
    /// Its 95 % interval over images, both ends meaned over seeds; absent where a seed has none.
    pub interval: Option<[f64; 2]>,
    /// Whether it is the best or the second of those that it competes with.
    pub rank: Rank,
    /// The published value that it is held against.
    pub published: Option<PublishedValue>,
}

/// Place among the values that a value competes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rank {
    /// The best, with all that print the same.
    Best,
    /// The second, with all that print the same, where there are three values or more.
    Second,
    /// Any other.
    #[default]
    Other,
}

/// A published value. Fractions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PublishedValue {
    /// The value.
    pub value: f64,
    /// The deviation that was printed with it.
    pub deviation: Option<f64>,
    /// Whether it is known from memory rather than from the source.
    pub recalled: bool,
}

impl TableSpec {
    /// Arranges the result table. `about` is what is known of the experiment, against which the setting of published numbers is compared;
    /// `library` holds the published numbers.
    ///
    /// # Errors
    /// When nothing is selected, a field or a published table does not exist, or several rows fall into one cell; the message says which
    /// key to change.
    pub fn arrange(&self, table: &Table, about: &About, library: &Library) -> Result<Arranged, ArrangeError> {
        self.check().map_err(|message| ArrangeError::Spec { table: self.name.clone(), message })?;
        let mut arranged = select::arrange(self, table, about, library)?;
        // A run that is not known could not be shown.
        let known = |run: &String| about.runs.iter().any(|about| about.run == *run);
        for cell in arranged.lines.iter_mut().flat_map(|line| line.cells.iter_mut().flatten()) {
            cell.run = cell.run.take().filter(known);
        }
        Ok(arranged)
    }
}

impl Arranged {
    /// Its notes with how the best is marked, which depends on the kind of file.
    fn notes_with(&self, best: &str, second: &str) -> Vec<String> {
        let marks = self.marks.as_ref().map(|marks| {
            let second = if marks.second { format!(", second {second}") } else { String::new() };
            format!("Best of {} {best}{second}, with all that print the same.", marks.among)
        });
        let mut notes = self.notes.clone();
        notes.splice(1.min(notes.len()).., marks.into_iter().chain(self.notes.iter().skip(1).cloned()));
        notes
    }
}
