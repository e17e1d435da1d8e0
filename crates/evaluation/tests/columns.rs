//! Parquet as plain columns: what is written is read back to the bit, what is wrong is told.

use std::path::Path;

use oodlab_evaluation::columns::{Column, ColumnValues, ParquetFile, write_columns};
use oodlab_evaluation::scores::ScoreError;

fn column(name: &str, values: ColumnValues) -> Column {
    Column { name: name.to_owned(), width: 1, values }
}

fn columns() -> Vec<Column> {
    let texts = ["", "line\nbreak", "ö 𝛼"].map(str::to_owned).to_vec();
    vec![
        column("id", ColumnValues::Texts(texts)),
        column("f0", ColumnValues::Floats(vec![-0.0, f32::MIN_POSITIVE / 3.0, f32::MAX])),
        column("label", ColumnValues::Integers(vec![i64::MIN, -1, i64::MAX])),
        column("f1", ColumnValues::Floats(vec![f32::NAN, f32::INFINITY, 0.1])),
    ]
}

fn open(bytes: &[u8]) -> Result<ParquetFile, ScoreError> {
    ParquetFile::from_bytes(Path::new("table.parquet"), bytes.to_vec())
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_bit_is_kept_and_columns_come_in_the_order_asked_for() {
    let bytes = write_columns(columns()).expect("writes");
    assert_eq!(bytes, write_columns(columns()).expect("writes"));
    let file = open(&bytes).expect("reads");
    assert_eq!(file.rows(), 3);
    let known: Vec<(&str, bool)> = file.columns().iter().map(|(name, list)| (name.as_str(), *list)).collect();
    assert_eq!(known, [("id", false), ("f0", false), ("label", false), ("f1", false)]);
    let read = file.read(&names(&["label", "f1", "id", "f0"])).expect("reads");
    let expected = columns();
    assert_eq!((&read[0], &read[2]), (&expected[2], &expected[0]));
    for (found, expected) in [(&read[1], &expected[3]), (&read[3], &expected[1])] {
        let (ColumnValues::Floats(found), ColumnValues::Floats(expected)) = (&found.values, &expected.values) else {
            panic!("expected floats");
        };
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(found), bits(expected));
    }
}

#[test]
fn a_missing_column_names_those_there_are() {
    let file = open(&write_columns(columns()).expect("writes")).expect("reads");
    let told = file.read(&names(&["f2"])).expect_err("absent").to_string();
    assert!(told.contains("table.parquet") && told.contains("\"f2\"") && told.contains("id, f0, label, f1"), "{told}");
}

#[test]
fn columns_of_different_lengths_or_one_name_are_refused() {
    let short = column("short", ColumnValues::Integers(vec![1]));
    assert!(write_columns([columns(), vec![short]].concat()).is_err());
    assert!(write_columns([columns(), columns()].concat()).is_err());
}

#[test]
fn more_rows_than_the_file_can_hold_are_refused_before_anything_is_read() {
    let equal = column("f0", ColumnValues::Floats(vec![0.5; 1 << 21]));
    let mut bytes = write_columns(vec![equal]).expect("writes");
    assert_eq!(open(&bytes).expect("reads").rows(), 1 << 21);
    // The number of rows as the footer writes it: twice, seven bits a byte.
    let rows = bytes.windows(4).rposition(|piece| piece == [0x80, 0x80, 0x80, 0x02]).expect("the rows");
    bytes[rows..rows + 4].copy_from_slice(&[0xfe, 0xff, 0xff, 0x7f]);
    let told = open(&bytes).map(|file| file.rows()).expect_err("134217727 rows").to_string();
    assert!(told.contains("table.parquet") && told.contains("134217727 values in"), "{told}");
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = write_columns(columns()).expect("writes");
    for length in 0..bytes.len() {
        assert!(open(&bytes[..length]).is_err(), "cut at {length}");
    }
}
