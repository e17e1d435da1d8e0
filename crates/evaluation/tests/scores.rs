//! Score files: our own Parquet, and anybody's CSV, Parquet and JSON lines.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::path::PathBuf;
use std::process::Command;

use oodlab_evaluation::scores::{
    DetectorScores, ScoreColumns, ScoreError, ScoreFile, ScoreRecords, read_score_file, read_scores_parquet,
    write_scores_parquet,
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
    assert_eq!(error("s.txt", "1"), "s.txt: expected a file named *.csv, *.parquet, *.jsonl or *.npz");
    assert_eq!(error("s.csv", ""), "s.csv: expected scores, found no rows");
    assert_eq!(error("s.csv", "score,is_ood\n"), "s.csv: expected scores, found no rows");
    assert_eq!(error("s.jsonl", "\n"), "s.jsonl: expected scores, found no rows");
    assert_eq!(error("s.csv", "a,is_ood\n1,0\n"), "s.csv: no column \"score\"; there are: a, is_ood");
    assert_eq!(error("s.csv", "score,b\n1,0\n"), "s.csv: no column \"is_ood\"; there are: score, b");
    let near = "s.csv: no column \"is_ood\"; there are: score, is-ood; did you mean \"is-ood\"?";
    assert_eq!(error("s.csv", "score,is-ood\n1,0\n"), near);
    let row = |text| format!("s.csv: row 2, column {text}");
    assert_eq!(error("s.csv", "score,is_ood\n1,0\nx,1\n"), row("\"score\": expected a number, found \"x\""));
    assert_eq!(error("s.csv", "score,is_ood\n1,0\nNaN,1\n"), row("\"score\": expected a number, found NaN"));
    assert_eq!(error("s.csv", "score,is_ood\n1,0\n,1\n"), row("\"score\": expected a number, found nothing"));
    assert_eq!(
        error("s.csv", "score,is_ood\n1,0\n1,2\n"),
        row("\"is_ood\": expected true, false, 1 or 0 (1 is OOD), found 0, 2 in this column")
    );
    assert_eq!(
        error("s.jsonl", "{\"score\":1,\"is_ood\":0}\n{\"score\":\"2\",\"is_ood\":0}\n"),
        "s.jsonl: row 2, column \"score\": expected a number, found \"2\""
    );
    assert_eq!(error("s.jsonl", "{\"score\":1}\n"), "s.jsonl: no column \"is_ood\"; there are: score");
    assert_eq!(
        error("s.jsonl", "{\"score\":1,\"is_ood\":0}\n{\"is_ood\":0}\n"),
        "s.jsonl: row 2, column \"score\": expected a number, found nothing"
    );
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

/// Arrays that numpy wrote: `reference/make_scores.py`.
const NPZ: &[u8] = include_bytes!("reference/scores.npz");

#[test]
fn numpy_arrays_are_columns() {
    let folder = Folder::new();
    let path = folder.file("s.npz", NPZ);
    let file = ScoreFile::open(&path, &|_| true).unwrap();
    let want = [0.1, -1e300, f64::INFINITY, 0.25, 3.0];
    assert_eq!(file.rows(), 5);
    assert_eq!(file.numbers("score").unwrap(), want);
    assert_eq!(file.numbers("big_endian").unwrap(), want);
    assert_eq!(file.numbers("column").unwrap(), want);
    assert_eq!(file.numbers("single").unwrap(), [0.100_000_001_490_116_12, -2.5, f64::INFINITY, 0.25, 3.0]);
    assert_eq!(file.numbers("half").unwrap(), [0.099_975_585_937_5, -2.5, f64::INFINITY, 0.25, 3.0]);
    assert_eq!(file.flags("is_ood", &[]).unwrap(), [false, false, true, true, true]);
    let flags = |values: &[&str]| file.flags("label", &values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>());
    assert_eq!(flags(&["-1"]).unwrap(), [false, false, true, true, true]);
    assert_eq!(flags(&["0", "7.0"]).unwrap(), [true, true, false, false, false]);
    assert_eq!(file.texts("set").unwrap(), ["cifar10", "cifar10", "svhn", "svhn", "größe"]);
    assert_eq!(file.texts("bytes").unwrap(), ["a", "bc", "", "d", "e"]);
    assert_eq!(
        file.matrix("logits", &[0, 1, 2, 3, 4]).unwrap(),
        (2, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0])
    );
    assert_eq!(file.matrix("score", &[0, 1, 2, 3, 4]).unwrap(), (1, want.to_vec()));

    let says = |result: Result<Vec<f64>, ScoreError>| result.unwrap_err().to_string();
    assert!(
        says(file.numbers("logits")).ends_with("row 1, column \"logits\": expected a number, found 2 numbers a row")
    );
    assert!(says(file.numbers("nan")).ends_with("row 2, column \"nan\": expected a number, found NaN"));
    assert!(says(file.numbers("set")).ends_with("row 1, column \"set\": expected a number, found \"cifar10\""));
    assert!(says(file.numbers("scores")).ends_with("; did you mean \"score\"?"));
    assert!(
        flags(&[])
            .unwrap_err()
            .to_string()
            .ends_with("expected true, false, 1 or 0 (1 is OOD), found 7, 0, -1 in this column")
    );
    assert!(
        flags(&["5"]).unwrap_err().to_string().ends_with("expected some rows of 5, which mean OOD, found 7, 0, -1")
    );
}

#[test]
fn damaged_npz_is_refused() {
    let folder = Folder::new();
    let path = folder.0.path().join("s.npz");
    for cut in (0..NPZ.len()).step_by(61) {
        std::fs::write(&path, &NPZ[..cut]).unwrap();
        assert!(ScoreFile::open(&path, &|_| true).is_err(), "{cut}");
    }
    // A changed byte is found by the checksum, or lies where nothing depends on it; no change may panic.
    let whole = {
        std::fs::write(&path, NPZ).unwrap();
        ScoreFile::open(&path, &|_| true).unwrap()
    };
    for at in (0..NPZ.len()).step_by(7) {
        let mut bytes = NPZ.to_vec();
        bytes[at] ^= 0x41;
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(read) = ScoreFile::open(&path, &|_| true)
            && read.names() == whole.names()
        {
            assert_eq!(read.numbers("score").unwrap(), whole.numbers("score").unwrap(), "{at}");
        }
    }
}

#[test]
fn logits_are_ordered_by_their_numbers() {
    let folder = Folder::new();
    let path = folder.file("s.csv", "z1,z0,zx,z+3,score\n10,2,0,0,1\n30,4,0,0,1\n");
    let file = ScoreFile::open(&path, &|_| true).unwrap();
    assert_eq!(file.matrix("z", &[0, 1]).unwrap(), (2, vec![2.0, 10.0, 4.0, 30.0]));
    assert!(file.matrix("y", &[0, 1]).unwrap_err().to_string().contains("no column \"y<number>\"; there are: z1, z0"));
}

/// Labels are compared with the place of a column: any other numbering gives wrong accuracies without a word.
#[test]
fn logits_of_other_numbers_than_the_classes_are_refused() {
    let folder = Folder::new();
    for (header, says) in [
        ("z1,z2", "expected z0 to z1, each once, found z1, z2"),
        ("z0,z2", "expected z0 to z1, each once, found z0, z2"),
        ("z0,z1,z01", "expected z0 to z2, each once, found z0, z01, z1"),
    ] {
        let row = "1,".repeat(header.split(',').count());
        let path = folder.file("s.csv", format!("{header}\n{}\n", row.trim_end_matches(',')));
        let message = ScoreFile::open(&path, &|_| true).unwrap().matrix("z", &[0]).unwrap_err().to_string();
        assert!(message.ends_with(says), "{message}");
    }
}

/// Parquet by pyarrow: a column of 8-bit integers, and one of decimals, at which polars would panic.
#[test]
fn parquet_types_that_are_not_read_are_named() {
    let folder = Folder::new();
    for (content, says) in [
        (&include_bytes!("reference/int8.parquet")[..], "has type Int8; save it as bool, int32"),
        (&include_bytes!("reference/decimal.parquet")[..], "has type Decimal; save it as bool, int32"),
    ] {
        let path = folder.file("s.parquet", content);
        let message = ScoreFile::open(&path, &|_| true).unwrap_err().to_string();
        assert!(message.contains("not readable as Parquet: column ") && message.contains(says), "{message}");
    }
}
