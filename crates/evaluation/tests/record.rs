//! The record of an experiment in its folder: written, read back, damaged.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use oodlab_evaluation::metrics::compare::PairedTest;
use oodlab_evaluation::metrics::{Comparison, Method};
use oodlab_evaluation::record::{
    About, CurveAbout, DetectorAbout, FORMAT, PointCloud, RecordError, RunAbout, SetAbout, StageAbout, Thumbnail,
};
use oodlab_evaluation::scores::{ScoreRecords, write_scores_parquet};
use oodlab_evaluation::{Metric, Record, Row, Table};

const AWKWARD: &str = "<script>alert(\"1\")</script>, 'é' & ]]> \u{2028}\n\ttwo lines";

/// A picture whose size is the text's: other texts give other pictures.
fn png(text: &str) -> Vec<u8> {
    let height = text.bytes().map(u32::from).sum::<u32>() % 100 + 1;
    resvg::tiny_skia::Pixmap::new(text.len() as u32, height).unwrap().encode_png().unwrap()
}

fn comparison() -> Comparison {
    let test = PairedTest { a: 0.1 + 0.2, b: 0.25, difference: 0.05, low: 1.0 / 3.0, high: 0.5, p: Some(5e-324) };
    Comparison { score_a: AWKWARD.into(), detector_b: "knn".into(), ood_set: "svhn".into(), ..Comparison::default() }
        .with_test(Metric::Auroc, Method::DelongPaired, test)
}

fn record() -> Record {
    let row = Row {
        experiment: "exp".into(),
        cell: "a=1,b=\"2\"".into(),
        detector: "dlsr".into(),
        score: AWKWARD.into(),
        auroc: 0.1 + 0.2,
        auroc_low: Some(1.0 / 3.0),
        auroc_high: Some(5e-324),
        aupr_in: f64::MIN_POSITIVE,
        aupr_out: -0.0,
        fpr95_id: 1.0,
        fpr95_ood: 2.0 / 3.0,
        more: BTreeMap::from([(Metric::Autc, 1.0 / 7.0)]),
        intervals: BTreeMap::from([(Metric::Fpr95Id, [0.1, 1.0 - f64::EPSILON])]),
        sweep: BTreeMap::from([("a".into(), "1".into())]),
        ..Row::default()
    };
    let mut scores = ScoreRecords::default();
    for (index, value) in [f64::INFINITY, f64::NEG_INFINITY, -0.0, 1.0 / 3.0].into_iter().enumerate() {
        scores.push("", u64::MAX, "dlsr", "mse", "native", "a/b", index > 1, index as u32, AWKWARD, value);
    }
    let cloud = |view: &str, n: usize| PointCloud {
        view: view.into(),
        run: "0123".into(),
        protocol: "native".into(),
        axes: ["first component, 31 %".into(), AWKWARD.into()],
        sets: (0..n).map(|at| format!("set {at}")).collect(),
        is_ood: (0..n).map(|at| at % 2 == 1).collect(),
        points: (0..n).map(|at| [at as f64 / 3.0, -1.0 / (at + 1) as f64]).collect(),
    };
    let run = RunAbout {
        run: "0123".into(),
        cell: "a=1".into(),
        sweep: BTreeMap::from([("a".into(), "1".into())]),
        seed: u64::MAX,
        id_set: "cifar10".into(),
        weights: "embedded".into(),
        detectors: vec![DetectorAbout {
            name: "dlsr".into(),
            kind: "dlsr".into(),
            control: true,
            scores: vec!["mse".into()],
        }],
        curves: vec![CurveAbout {
            detector: "dlsr".into(),
            name: "loss".into(),
            x_label: "epoch".into(),
            y_label: "loss".into(),
            points: (1..50).map(|x| (f64::from(x), 1.0 / f64::from(x))).collect(),
        }],
        sets: vec![SetAbout {
            role: "train".into(),
            set: "cifar10".into(),
            split: "train".into(),
            images: 7,
            ..SetAbout::default()
        }],
        stages: vec![StageAbout {
            label: "encode".into(),
            key: "k".into(),
            computed: BTreeMap::from([("seconds".into(), "1.5".into())]),
        }],
        warnings: vec![AWKWARD.into()],
    };
    Record {
        comparisons: vec![comparison()],
        about: About {
            experiment: "exp".into(),
            heading: vec![AWKWARD.into(), String::new()],
            config: "a: 1\n".into(),
            missing: BTreeMap::from([("svhn".into(), AWKWARD.into())]),
            failures: BTreeMap::from([("run".into(), "no memory".into())]),
            runs: vec![run],
            ..About::default()
        },
        table: Table::new(vec![row.clone(), Row { sweep: BTreeMap::new(), ..row }]),
        scores,
        // The first two differ in nothing but that they are two.
        points: vec![cloud("pca", 3), cloud("pca", 3), cloud("tsne", 1)],
        thumbnails: vec![
            Thumbnail { set: "..".into(), index: 7, png: png("dots") },
            Thumbnail { set: "a/b".into(), index: 9, png: png("b") },
            Thumbnail { set: "a/b".into(), index: 10, png: png("a") },
        ],
    }
}

/// A folder with a record in it.
fn written() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results").join("exp");
    record().write(&path).unwrap();
    (folder, path)
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), std::fs::read(path).unwrap());
        }
    }
    found
}

fn error(folder: &Path) -> String {
    let shown = folder.display().to_string();
    Record::read(folder).unwrap_err().to_string().replace(&shown, "DIR")
}

#[test]
fn what_is_written_is_read_to_the_bit() {
    let (_folder, path) = written();
    let read = Record::read(&path).unwrap();
    let wrote = record();
    assert_eq!(read, wrote);
    // Equal numbers may differ in their bits (0 and -0); equal files do not.
    assert_eq!(read.table.to_csv().unwrap(), wrote.table.to_csv().unwrap());
    assert_eq!(write_scores_parquet(&read.scores).unwrap(), write_scores_parquet(&wrote.scores).unwrap());
    assert!(read.table.rows[0].aupr_out.is_sign_negative());
    let again = tempfile::tempdir().unwrap();
    read.write(again.path()).unwrap();
    let relative = |folder: &Path| -> Vec<(PathBuf, Vec<u8>)> {
        files(folder).into_iter().map(|(file, bytes)| (file.strip_prefix(folder).unwrap().to_owned(), bytes)).collect()
    };
    assert_eq!(relative(again.path()), relative(&path));
}

#[test]
fn an_empty_record_is_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let record = Record { points: vec![PointCloud::default()], ..Record::default() };
    record.write(folder.path()).unwrap();
    assert_eq!(Record::read(folder.path()).unwrap(), Record::default());
    assert!(!folder.path().join("points.parquet").exists() && !folder.path().join("thumbnails").exists());
}

#[test]
fn a_later_run_leaves_nothing_of_an_earlier_one() {
    let (_folder, path) = written();
    std::fs::write(path.join("table.md"), "kept").unwrap();
    std::fs::write(path.join("thumbnails").join("note.txt"), "kept").unwrap();
    let mut later = record();
    later.points.clear();
    later.thumbnails.remove(0);
    later.thumbnails.remove(1);
    later.write(&path).unwrap();
    assert_eq!(Record::read(&path).unwrap(), later);
    let names: Vec<String> =
        files(&path).keys().map(|file| file.strip_prefix(&path).unwrap().display().to_string()).collect();
    let expected = [
        "comparisons.csv",
        "record.json",
        "scores.parquet",
        "table.csv",
        "table.md",
        "thumbnails/a%2Fb/9.png",
        "thumbnails/note.txt",
    ];
    assert_eq!(names, expected);
    assert!(!path.join("thumbnails").join("%2E.").exists());
}

#[test]
fn what_cannot_be_drawn_is_refused_and_the_old_record_stays() {
    let (_folder, path) = written();
    let before = files(&path);
    let refused = |change: fn(&mut Record), expected: &str| {
        let mut record = record();
        change(&mut record);
        assert_eq!(record.write(&path).unwrap_err().to_string(), expected);
        assert_eq!(files(&path), before);
    };
    refused(
        |record| record.points[2].points[0][1] = f64::NAN,
        "the record's points, view tsne of run 0123 under native: expected finite coordinates, found [0.0, NaN] at point 1",
    );
    refused(
        |record| record.points[0].sets.truncate(1),
        "the record's points, view pca of run 0123 under native: expected one set and one class a point, found 3 points, 1 sets and 3 \
         classes",
    );
    refused(
        |record| record.about.runs[0].curves[0].points[3].1 = f64::INFINITY,
        "the record's curve loss of dlsr (run 0123), point 4: expected finite numbers, found (4.0, inf)",
    );
    refused(
        |record| record.thumbnails[1].png = b"GIF89a".to_vec(),
        "the record's thumbnail 9 of a/b: expected a small PNG picture, found it begins otherwise",
    );
    refused(
        |record| record.thumbnails[2].index = 9,
        "the record's thumbnail 9 of a/b: expected one picture a sample, found two",
    );
}

#[test]
fn a_folder_that_holds_no_record_says_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    assert_eq!(
        Record::read(&path.join("absent")).unwrap_err().to_string(),
        format!(
            "{}: expected a folder of results, found nothing; `oodlab run FILE` makes one under results/",
            path.join("absent").display()
        )
    );
    std::fs::write(path.join("file"), "").unwrap();
    assert!(matches!(Record::read(&path.join("file")), Err(RecordError::NoFolder { found: "a file", .. })));
    assert_eq!(
        error(path),
        "DIR: no folder of results: it has neither record.json nor table.csv; `oodlab run FILE` makes one under results/"
    );
    std::fs::write(path.join("table.csv"), "").unwrap();
    assert_eq!(
        error(path),
        "DIR: record.json is missing: these results are of an older version, or the run was stopped before it had written all; run the \
         experiment again (`oodlab run FILE`): finished stages cost nothing"
    );
}

#[test]
fn a_missing_or_damaged_file_is_named() {
    for name in ["table.csv", "scores.parquet"] {
        let (_folder, path) = written();
        std::fs::remove_file(path.join(name)).unwrap();
        let expected =
            format!("DIR/{name}: missing; run the experiment again (`oodlab run FILE`): finished stages cost nothing");
        assert_eq!(error(&path), expected);
    }
    for name in ["record.json", "table.csv", "scores.parquet", "points.parquet", "thumbnails/a%2Fb/9.png"] {
        let (_folder, path) = written();
        let whole = std::fs::read(path.join(name)).unwrap();
        std::fs::write(path.join(name), &whole[..whole.len() / 2]).unwrap();
        let found = error(&path);
        assert!(found.starts_with(&format!("DIR/{name}: not readable as ")), "{found}");
        assert!(found.ends_with("finished stages cost nothing"), "{found}");
    }
}

#[test]
fn sound_files_of_another_run_are_refused() {
    for name in ["table.csv", "scores.parquet", "comparisons.csv", "points.parquet"] {
        let (_folder, path) = written();
        let (_other, other) = written();
        let mut later = record();
        later.table.rows[0].auroc = 0.25;
        later.comparisons.clear();
        later.scores = ScoreRecords::default();
        later.points.remove(0);
        later.write(&other).unwrap();
        std::fs::copy(other.join(name), path.join(name)).unwrap();
        let found = error(&path);
        assert!(found.starts_with(&format!("DIR/{name}: ")) && found.contains("of another run"), "{found}");
    }
}

#[test]
fn a_picture_that_claims_to_be_huge_is_not_unpacked() {
    let (_folder, path) = written();
    let file = path.join("thumbnails").join("a%2Fb").join("9.png");
    let mut png = std::fs::read(&file).unwrap();
    png[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    std::fs::write(&file, png).unwrap();
    assert!(error(&path).contains("a side of 60000 pixels, expected 1 to 1024"), "{}", error(&path));
}

#[test]
fn a_record_of_another_format_is_refused_before_its_content_is_looked_at() {
    let (_folder, path) = written();
    let file = path.join("record.json");
    std::fs::write(&file, format!("{{\"format\": {}, \"anything\": [1, 2]}}", FORMAT + 1)).unwrap();
    assert_eq!(
        error(&path),
        format!(
            "DIR/record.json: expected a record of format {FORMAT}, found format {}; run the experiment again with this version (finished \
             stages cost nothing), or read it with the version that wrote it",
            FORMAT + 1
        )
    );
    std::fs::write(&file, format!("{{\"format\": {FORMAT}, \"about\": {{}}}}")).unwrap();
    assert!(error(&path).contains("missing field `experiment`"), "{}", error(&path));
    std::fs::write(&file, "{}").unwrap();
    assert!(error(&path).contains("missing field `format`"), "{}", error(&path));
    let deep = format!("{{\"format\": {}{}", "[".repeat(100_000), "]".repeat(100_000));
    std::fs::write(&file, deep).unwrap();
    assert!(matches!(Record::read(&path), Err(RecordError::Damaged { .. })));
}

#[test]
fn a_file_larger_than_any_record_is_not_read() {
    let (_folder, path) = written();
    let file = path.join("thumbnails").join("a%2Fb").join("9.png");
    // Holes cost no disk.
    std::fs::File::options().write(true).open(&file).unwrap().set_len(1 << 23).unwrap();
    assert_eq!(error(&path), "DIR/thumbnails/a%2Fb/9.png: expected at most 4194304 bytes, found 8388608");
    std::fs::File::options().write(true).open(path.join("record.json")).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(Record::read(&path), Err(RecordError::TooLarge { .. })));
}

#[test]
fn points_of_another_kind_are_refused() {
    use oodlab_evaluation::columns::{Column, ColumnValues, write_columns};
    let (_folder, path) = written();
    let texts = |name: &str| Column { name: name.into(), width: 1, values: ColumnValues::Texts(vec!["a".into()]) };
    let columns = vec![texts("cloud"), texts("view")];
    std::fs::write(path.join("points.parquet"), write_columns(columns).unwrap()).unwrap();
    let found = error(&path);
    assert!(found.starts_with("DIR/points.parquet: not readable as "), "{found}");
    assert!(matches!(Record::read(&path), Err(RecordError::Damaged { .. })));
}
