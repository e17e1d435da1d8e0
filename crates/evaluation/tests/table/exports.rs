//! The standing table in every form.

use std::collections::BTreeMap;
use std::io::Cursor;

use oodlab_evaluation::Table;
use oodlab_evaluation::metrics::Metric;
use polars::prelude::{ParquetReader, SerReader};

/// Two seeds with a metric and an interval more, a swept key, and names that every format must escape.
fn table() -> Table {
    let mut rows = super::table().rows;
    let mut second = rows.clone();
    for row in &mut second {
        row.seed = 1;
        row.auroc += 0.004;
    }
    rows.extend(second);
    for row in &mut rows {
        row.sweep = BTreeMap::from([("detector.sample.start".into(), "3".into())]);
        row.cell = "detector.sample.start=3".into();
        row.more = BTreeMap::from([(Metric::ApIn, 0.125)]);
        row.intervals = BTreeMap::from([(Metric::Fpr95Id, [0.05, 0.2])]);
        row.benchmark = "50 % {a_b} & #1 \\ \"q\"".into();
    }
    rows[0].sweep.clear();
    Table::new(rows)
}

#[test]
fn json_has_the_columns_of_csv() {
    let mut one = table();
    one.rows.truncate(2);
    let json = one.to_json().unwrap();
    insta::assert_snapshot!("standing_json", json);
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    let csv = String::from_utf8(one.to_csv().unwrap()).unwrap();
    let header = csv.lines().next().unwrap();
    // In the order of the columns, which a map that sorts its keys would lose.
    let places: Vec<usize> = header.split(',').map(|name| json.find(&format!("\"{name}\": ")).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(read[0]["sweep.detector.sample.start"], serde_json::Value::Null);
    assert_eq!(read[1]["sweep.detector.sample.start"], "3");
    assert_eq!(read[0]["auroc"].as_f64(), Some(one.rows[0].auroc));
    assert_eq!(Table::default().to_json().unwrap(), "[]\n");
}

#[test]
fn parquet_reads_back_to_the_same_frame() {
    let mut table = table();
    table.group_means();
    let bytes = table.to_parquet().unwrap();
    assert_eq!(bytes, table.to_parquet().unwrap());
    let frame = ParquetReader::new(Cursor::new(bytes)).finish().unwrap();
    assert!(frame.equals_missing(&table.to_frame().unwrap()));
    let header = String::from_utf8(table.to_csv().unwrap()).unwrap();
    let names: Vec<&str> = frame.get_column_names().iter().map(|name| name.as_str()).collect();
    assert_eq!(header.lines().next().unwrap(), names.join(","));
    assert_eq!(ParquetReader::new(Cursor::new(Table::default().to_parquet().unwrap())).finish().unwrap().height(), 0);
}

#[test]
fn latex_is_what_a_paper_prints() {
    let latex = table().to_latex();
    insta::assert_snapshot!("standing_latex", latex);
    super::latex_is_sound(&latex);
    insta::assert_snapshot!("standing_markdown_second", table().to_markdown());
}
