//! What may be wrong with a table that an experiment file asks for.

use crate::published::PublishedError;

/// A table that cannot be arranged.
#[derive(Debug, thiserror::Error)]
pub enum ArrangeError {
    /// The request itself.
    #[error("table {table:?}: {message}")]
    Spec {
        /// Name of the table.
        table: String,
        /// What was expected and found, with the key.
        message: String,
    },
    /// A swept key that the results do not have.
    #[error("table {table:?}: the results sweep no key {key:?}; they sweep {known}{hint}")]
    Sweep {
        /// Name of the table.
        table: String,
        /// The key.
        key: String,
        /// The keys there are.
        known: String,
        /// The key that was perhaps meant.
        hint: String,
    },
    /// A condition that no row meets.
    #[error("table {table:?}, where.{field}: expected {known}, found {found}")]
    NoSuchValue {
        /// Name of the table.
        table: String,
        /// The field.
        field: String,
        /// What was asked for, with the value that was perhaps meant.
        found: String,
        /// The values there are.
        known: String,
    },
    /// Conditions that are met, but by no row together.
    #[error("table {table:?}: no row meets all of its conditions; without where.{field} there are {field} {known}")]
    NothingTogether {
        /// Name of the table.
        table: String,
        /// A field whose condition leaves nothing.
        field: String,
        /// Its values in the rows that meet the other conditions.
        known: String,
    },
    /// A result table without rows.
    #[error("table {table:?}: the results have no rows")]
    NoRows {
        /// Name of the table.
        table: String,
    },
    /// Several rows in one cell.
    #[error(
        "table {table:?}: several results fall into the cell {cell}, which differ in {differ}; put it into rows or columns, or choose one by \
         where: {{{field}: ..}}"
    )]
    Ambiguous {
        /// Name of the table.
        table: String,
        /// Labels of the cell.
        cell: String,
        /// Fields that differ, with their values.
        differ: String,
        /// The first of them.
        field: String,
    },
    /// The same result twice.
    #[error("table {table:?}: the results hold two rows for {cell}, seed {seed}, that differ in no field")]
    Twice {
        /// Name of the table.
        table: String,
        /// Labels of the cell.
        cell: String,
        /// The seed.
        seed: u64,
    },
    /// A metric that no row has.
    #[error("table {table:?}, metrics: {metric} was not computed; there are {known}")]
    NoMetric {
        /// Name of the table.
        table: String,
        /// The metric.
        metric: String,
        /// The metrics there are.
        known: String,
    },
    /// Published numbers that cannot stand beside ours.
    #[error("table {table:?}, published: {source}")]
    Published {
        /// Name of the table.
        table: String,
        /// What is wrong with them.
        source: Box<PublishedError>,
    },
}
