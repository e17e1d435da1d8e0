//! Parquet tables, as far as lists and sets of pictures need them: columns of whole numbers and of byte strings, outside of
//! lists, read page by page from any place.
//!
//! Codecs: none, Snappy, gzip, Zstandard. Encodings: plain, dictionary, run-length, differences of numbers and of lengths.
//! That is what pyarrow, Hugging Face `datasets`, polars, DuckDB and pandas write unless told otherwise. The crates that read
//! Parquet believe sizes in headers and take in whole row groups; here a size is believed as far as the file's own bears it out.

mod footer;
mod page;
mod thrift;
mod values;

use std::fmt::Write as _;

use crate::blob::Blob;

use footer::Footer;
#[cfg(test)]
use footer::Stored;
pub(crate) use page::{Column, Value, Values};

/// A Parquet file whose end was read.
#[derive(Debug)]
pub(crate) struct Table {
    blob: Blob,
    footer: Footer,
}

impl Table {
    /// Reads the end of a file: what its columns are, and where they lie.
    pub fn open(blob: &Blob) -> Result<Table, String> {
        Ok(Table { blob: blob.clone(), footer: footer::read(blob)? })
    }

    pub fn rows(&self) -> u64 {
        self.footer.rows
    }

    /// Names of the columns, parts of a group joined by a point.
    pub fn names(&self) -> Vec<String> {
        self.footer.leaves.iter().map(|leaf| leaf.path.join(".")).collect()
    }

    /// The number of a column.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.footer.leaves.iter().position(|leaf| leaf.path.join(".") == name)
    }

    /// Where the pages of a column lie.
    pub fn column(&self, number: usize) -> Result<Column, String> {
        let leaf = self
            .footer
            .leaves
            .get(number)
            .ok_or_else(|| format!("no column {number}, counted from 0: there are {}", self.footer.leaves.len()))?;
        let name = leaf.path.join(".");
        if leaf.repeated {
            return Err(format!("column {name:?} holds lists, expected one value a row"));
        }
        let stored = leaf
            .stored
            .ok_or_else(|| format!("column {name:?} holds neither whole numbers of 32 or 64 bits nor byte strings"))?;
        let groups = self.footer.groups.iter().filter_map(|group| Some((group.rows, group.pieces.get(number)?)));
        Column::open(&self.blob, stored, leaf.levels, groups).map_err(|what| format!("column {name:?}: {what}"))
    }

    /// Hands the texts of some columns to a function, row by row: the cell of each wanted column is filled in, numbers as
    /// digits, absent values as nothing.
    pub fn texts(
        &self,
        wanted: &[usize],
        cells: &mut [String],
        mut each: impl FnMut(u64, &[String]) -> Result<(), String>,
    ) -> Result<(), String> {
        let columns = wanted.iter().map(|&number| self.column(number)).collect::<Result<Vec<_>, _>>()?;
        let mut pages: Vec<Option<(usize, Values)>> = columns.iter().map(|_| None).collect();
        for row in 0..self.rows() {
            for ((column, &number), page) in columns.iter().zip(wanted).zip(&mut pages) {
                let (here, first) = column.page_of(row).ok_or("a row in no page")?;
                if page.as_ref().is_none_or(|(there, _)| *there != here) {
                    *page = Some((here, column.read(here)?));
                }
                let cell = cells.get_mut(number).ok_or("no such column")?;
                cell.clear();
                match page.as_ref().map_or(Value::Absent, |(_, values)| values.get((row - first) as usize)) {
                    Value::Absent => {}
                    Value::Number(number) => _ = write!(cell, "{number}"),
                    Value::Bytes(bytes) => {
                        let text = std::str::from_utf8(bytes);
                        cell.push_str(text.map_err(|_| format!("line {}: a text that is not UTF-8", row + 1))?);
                    }
                }
            }
            each(row, cells)?;
        }
        Ok(())
    }
}

/// Runs the reader on arbitrary bytes: all pages of all columns.
pub fn fuzz(bytes: &[u8]) {
    let Ok(table) = Table::open(&Blob::memory(bytes.to_vec())) else { return };
    for number in 0..table.names().len() {
        let Ok(column) = table.column(number) else { continue };
        for page in 0..column.pages() {
            let Ok(values) = column.read(page) else { continue };
            for row in 0..values.len() {
                let _ = values.get(row);
            }
        }
    }
}

#[cfg(test)]
mod tests;
