//! Score files: our own Parquet, and anybody's CSV, Parquet and JSON lines.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::path::PathBuf;
use std::process::Command;

use oodlab_evaluation::scores::{
    DetectorScores, ScoreColumns, ScoreRecords, read_score_file, read_scores_parquet, write_scores_parquet,
};
use oodlab_evaluation::{Row, Table};

/// More rows than one row group holds.
fn records() -> ScoreRecords {
    let mut records = ScoreRecords::default();
    for (detector, score) in [("dlsr", "mse"), ("mean-distance", "mean-distance")] {
        for index in 0..50_000u32 {
            let is_ood = index % 3 == 0;
            let set = if is_ood { "mnist" } else { "cifar10" };
            let value = f64::from(index.wrapping_mul(2_654_435_761)) / 7.0;
            records.push(
                "a=1,b=2",
                7,
                detector,
                score,
                "native",
                set,
                is_ood,
                index,
                &format!("{set}/{index}.png"),
                value,
            );
        }
    }
    records
}

#[test]
fn parquet_reads_back() {
    let records = records();
    assert_eq!(records.len(), 100_000);
    let bytes = write_scores_parquet(&records).unwrap();
    assert_eq!(read_scores_parquet(&bytes).unwrap(), records);
    let empty = ScoreRecords::default();
    assert_eq!(read_scores_parquet(&write_scores_parquet(&empty).unwrap()).unwrap(), empty);
}

/// Both files of an experiment, one after the other; the table has more rows than polars writes at once.
fn written() -> Vec<u8> {
    let row = |k: u32| Row { seed: k.into(), auroc: 1.0 / f64::from(k), ood_set: format!("set {k}"), ..Row::default() };
    let mut bytes = Table::new((1..5000).map(row).collect()).to_csv().unwrap();
    bytes.extend(write_scores_parquet(&records()).unwrap());
    bytes
}

const CHILD: &str = "OODLAB_EVALUATION_TEST_PARQUET";

/// Writes both files where the variable says; without it, nothing: the test below runs it as a child.
#[test]
fn child_writes_files() {
    let Ok(path) = std::env::var(CHILD) else { return };
    std::fs::write(path, written()).unwrap();
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let children: Vec<Vec<u8>> = ["1", "2", "5"]
        .into_iter()
        .map(|threads| {
            let path = folder.path().join(threads);
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "child_writes_files"])
                .env("POLARS_MAX_THREADS", threads)
                .env("RAYON_NUM_THREADS", threads)
                .env(CHILD, &path)
                .status()
                .unwrap();
            assert!(status.success());
            std::fs::read(path).unwrap()
        })
        .collect();
    assert!(children.iter().all(|bytes| *bytes == written()));
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// What reading says, without the folder.
    fn error(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.file(name, content);
        let message = read_score_file(&path, &ScoreColumns::default()).unwrap_err().to_string();
        message.replace(&format!("{}/", self.0.path().display()), "")
    }
}

#[test]
fn csv_and_json_lines_and_parquet_agree() {
    let folder = Folder::new();
    let columns = ScoreColumns { scores: vec!["a".into(), "b".into()], is_ood: "outlier".into() };
    let csv =
        folder.file("s.csv", "name,a,outlier,b\nx,0.1,0,3\ny,-1e300,1,4\n\"z,z\",2.5,False,-0.5\nw,0.25,true,1\n");
    let json = folder.file(
        "s.jsonl",
        "{\"a\":0.1,\"b\":3,\"outlier\":false}\n\n{\"a\":-1e300,\"b\":4,\"outlier\":1}\n{\"a\":2.5,\"b\":-0.5,\"outlier\":0}\n\
         {\"a\":0.25,\"b\":1,\"outlier\":true}\n",
    );
    let want = vec![
        DetectorScores { name: "a".into(), id: vec![0.1, 2.5], ood: vec![-1e300, 0.25] },
        DetectorScores { name: "b".into(), id: vec![3.0, -0.5], ood: vec![4.0, 1.0] },
    ];
    assert_eq!(read_score_file(&csv, &columns).unwrap(), want);
    assert_eq!(read_score_file(&json, &columns).unwrap(), want);

    let records = records();
    let parquet = folder.file("s.parquet", write_scores_parquet(&records).unwrap());
    let columns = ScoreColumns { scores: vec!["value".into()], ..ScoreColumns::default() };
    let read = read_score_file(&parquet, &columns).unwrap();
    assert_eq!((read[0].id.len(), read[0].ood.len()), (66_666, 33_334));
    assert_eq!(read[0].ood[1], f64::from(3u32.wrapping_mul(2_654_435_761)) / 7.0);
    let message = read_score_file(&parquet, &ScoreColumns::default()).unwrap_err().to_string();
    assert!(message.ends_with("row 1, column \"score\": expected a number, found \"mse\""), "{message}");
    let columns = ScoreColumns { scores: vec!["energy".into()], ..ScoreColumns::default() };
    let message = read_score_file(&parquet, &columns).unwrap_err().to_string();
    let found = "cell, seed, detector, score, protocol, set, is_ood, index, id, value";
    assert!(message.ends_with(&format!("no column \"energy\"; there are: {found}")), "{message}");
}

#[test]
fn awkward_decimals_read_back_to_the_bit() {
    let folder = Folder::new();
    // Decimals that a reader which rounds twice gets wrong by a unit in the last place, and the ends of the range.
    let mut values = vec![
        5.271_337_645_012_345e-7,
        1.000_000_000_000_000_2,
        9_007_199_254_740_993.0,
        2.225_073_858_507_201e-308,
        5e-324,
        f64::MAX,
        0.1 + 0.2,
        -122.416_294_033_786_58,
    ];
    let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
    while values.len() < 4000 {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        values.extend(Some(f64::from_bits(bits)).filter(|value| value.is_finite()));
    }
    let lines = |number: &dyn Fn(f64) -> String| -> String {
        values.iter().zip(0..).map(|(&x, i)| format!("{{\"score\":{},\"is_ood\":{}}}\n", number(x), i % 2)).collect()
    };
    let want = |odd: usize| -> Vec<u64> { values.iter().skip(odd).step_by(2).map(|x| x.to_bits()).collect() };
    for (name, text) in [("short.jsonl", lines(&|x| format!("{x:e}"))), ("long.jsonl", lines(&|x| format!("{x:.40e}")))]
    {
        let read = read_score_file(&folder.file(name, text), &ScoreColumns::default()).unwrap();
        let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<u64>>();
        assert!(bits(&read[0].id) == want(0) && bits(&read[0].ood) == want(1), "{name}");
    }
}

#[test]
fn bad_files_are_one_clear_error() {
    let folder = Folder::new();
    let error = |name, content: &str| folder.error(name, content);
    assert_eq!(error("s.txt", "1"), "s.txt: expected a file named *.csv, *.parquet or *.jsonl");
    assert_eq!(error("s.csv", ""), "s.csv: expected scores, found no rows");
    assert_eq!(error("s.csv", "score,is_ood\n"), "s.csv: expected scores, found no rows");
    assert_eq!(error("s.jsonl", "\n"), "s.jsonl: expected scores, found no rows");
    assert_eq!(error("s.csv", "a,is_ood\n1,0\n"), "s.csv: no column \"score\"; there are: a, is_ood");
    assert_eq!(error("s.csv", "score,b\n1,0\n"), "s.csv: no column \"is_ood\"; there are: score, b");
    let row = |text| format!("s.csv: row 2, column {text}");
    assert_eq!(error("s.csv", "score,is_ood\n1,0\nx,1\n"), row("\"score\": expected a number, found \"x\""));
    assert_eq!(error("s.csv", "score,is_ood\n1,0\nNaN,1\n"), row("\"score\": expected a number, found NaN"));
    assert_eq!(error("s.csv", "score,is_ood\n1,0\n,1\n"), row("\"score\": expected a number, found nothing"));
    assert_eq!(
        error("s.csv", "score,is_ood\n1,0\n1,2\n"),
        row("\"is_ood\": expected true, false, 1 or 0, found \"2\"")
    );
    assert_eq!(
        error("s.jsonl", "{\"score\":1,\"is_ood\":0}\n{\"score\":\"2\",\"is_ood\":0}\n"),
        "s.jsonl: row 2, column \"score\": expected a number, found \"2\""
    );
    assert_eq!(error("s.jsonl", "{\"score\":1}\n"), "s.jsonl: no column \"is_ood\"; there are: score (in row 1)");
    assert!(error("s.jsonl", "{\"score\":1,").contains("not readable as JSON lines: row 1: "));
    assert!(error("s.parquet", "rubbish").contains("not readable as Parquet"));
    assert!(error("s.parquet", "").contains("not readable as Parquet"));
    let missing = folder.0.path().join("absent.csv");
    assert!(read_score_file(&missing, &ScoreColumns::default()).unwrap_err().to_string().contains("absent.csv"));
}

#[test]
fn truncated_parquet_is_refused() {
    let mut small = ScoreRecords::default();
    for index in 0..50 {
        small.push("", 0, "d", "s", "native", "set", index % 2 == 0, index, &index.to_string(), f64::from(index));
    }
    let whole = write_scores_parquet(&small).unwrap();
    for cut in (0..whole.len()).step_by(97) {
        assert!(read_scores_parquet(&whole[..cut]).is_err(), "{cut}");
    }
}
