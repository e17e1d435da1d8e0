//! Features of other programs: imported, exported, and used in place of images.

mod support;

use std::path::{Path, PathBuf};

use support::{SMALL, Sandbox};

/// An experiment that reads no image: `SMALL` on imported features.
const RUN: [&str; 3] = ["run", "small.yaml", "encoder.imported=mine"];

fn foreign(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../features/golden/foreign").join(name)
}

fn small() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL);
    sandbox
}

/// Columns of a table by name, one vector a row.
fn columns(sandbox: &Sandbox, table: &str, names: &[&str]) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(sandbox.path(table)).expect("a table");
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let places: Vec<usize> =
        names.iter().map(|name| header.iter().position(|known| known == name).expect("the column")).collect();
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            places.iter().map(|&at| cells[at].to_owned()).collect()
        })
        .collect()
}

/// Everything that does not name the source of the features.
const NUMBERS: [&str; 14] = [
    "seed",
    "detector",
    "score",
    "protocol",
    "ood_set",
    "group",
    "n_id",
    "n_ood",
    "auroc",
    "auroc_low",
    "aupr_in",
    "aupr_out",
    "fpr95_id",
    "fpr95_ood",
];

/// A `.npy` array of f32.
fn npy(rows: usize, columns: usize, value: impl Fn(usize, usize) -> f32) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}\n");
    while !(10 + header.len()).is_multiple_of(64) {
        header.insert(header.len() - 1, ' ');
    }
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend((0..rows * columns).flat_map(|at| value(at / columns, at % columns).to_le_bytes()));
    bytes
}

/// In-distribution features that rise with the column and outliers that fall, as a program without Rust would write them.
fn synthetic(sandbox: &Sandbox, protocols: &[&str]) {
    let noise = |row: usize, column: usize, salt: usize| {
        let hash = (row * 7919 + column * 104_729 + salt * 1_299_709).wrapping_mul(2_654_435_761) >> 7;
        (hash % 1000) as f32 / 1000.0 - 0.5
    };
    std::fs::write(sandbox.path("train.npy"), npy(60, 6, |r, c| c as f32 + noise(r, c, 1))).expect("writes");
    std::fs::write(sandbox.path("test.npy"), npy(30, 6, |r, c| c as f32 + noise(r, c, 2))).expect("writes");
    std::fs::write(sandbox.path("far.npy"), npy(25, 6, |r, c| noise(r, c, 3) - c as f32)).expect("writes");
    let import = |file: &str, set: &str, split: &str, protocol: &str| {
        sandbox.ok(&[
            "features",
            "import",
            file,
            "--encoder",
            "mine",
            "--set",
            set,
            "--split",
            split,
            "--protocol",
            protocol,
            "--layers",
            "a=2,b=4",
        ]);
    };
    import("train.npy", "cifar10-mini", "train", "native");
    import("test.npy", "cifar10-mini", "test", "native");
    for protocol in protocols {
        import("far.npy", "stripes", "test", protocol);
    }
}

#[test]
fn an_experiment_on_exported_features_gives_the_same_numbers_to_the_bit() {
    let sandbox = small();
    sandbox.ok(&["run", "small.yaml", "-q"]);
    let expected = columns(&sandbox, "results/small/table.csv", &NUMBERS);
    let mut contents = Vec::new();
    for format in ["safetensors", "npz", "parquet"] {
        let exported =
            sandbox.ok(&["features", "export", "small.yaml", "--all", "--format", format, "-o", format, "--json"]);
        let exported: Vec<serde_json::Value> = serde_json::from_str(&exported).expect("JSON");
        let imported = sandbox.ok(&["features", "import", format, "--encoder", format, "--json"]);
        let imported: Vec<serde_json::Value> = serde_json::from_str(&imported).expect("JSON");
        let content = |lines: &[serde_json::Value]| {
            let mut content: Vec<[String; 4]> = lines
                .iter()
                .map(|line| ["set", "split", "protocol", "content"].map(|key| line[key].to_string()))
                .collect();
            content.sort();
            content
        };
        // Two in-distribution splits, five sets under two protocols.
        assert_eq!(imported.len(), 12, "{format}");
        assert_eq!(content(&exported), content(&imported), "{format}");
        assert!(imported.iter().any(|line| line["labels"] == true), "the sample has labels");
        contents.push(content(&imported));
        // A store of its own: nothing is shared with the run on images.
        let store = sandbox.path(format!("store-{format}").as_str());
        std::fs::create_dir_all(&store).expect("a folder");
        std::fs::rename(sandbox.path(".oodlab/features"), store.join("features")).expect("moves");
        let imported = format!("encoder.imported={format}");
        let (store, results) = (format!("store-{format}"), format!("results-{format}"));
        sandbox.ok(&["run", "small.yaml", &imported, "--store", &store, "--results", &results, "-q"]);
        assert_eq!(columns(&sandbox, &format!("{results}/small/table.csv"), &NUMBERS), expected, "{format}");
        assert_eq!(sandbox.files(&format!("{store}/artifacts/encode")), Vec::<PathBuf>::new());
        // Exported again, the same file comes out.
        if format != "parquet" {
            let again = format!("again.{format}");
            sandbox.ok(&[
                "features",
                "export",
                "--encoder",
                format,
                "--set",
                "cifar10-mini",
                "--split",
                "train",
                "-o",
                &again,
                "--store",
                &store,
            ]);
            let told = sandbox.ok(&[
                "features",
                "import",
                &again,
                "--encoder",
                "again",
                "--set",
                "cifar10-mini",
                "--split",
                "train",
                "--json",
            ]);
            let told: Vec<serde_json::Value> = serde_json::from_str(&told).expect("JSON");
            let content = told[0]["content"].to_string();
            assert!(contents[0].iter().any(|line| line[3] == content), "{format}");
        }
    }
    assert!(contents.windows(2).all(|pair| pair[0] == pair[1]), "every format keeps the same bits");
}

#[test]
fn a_synthetic_pair_is_told_apart_and_resumed_without_images() {
    let sandbox = small();
    synthetic(&sandbox, &["both"]);
    let told = sandbox.run(&RUN);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let rows =
        columns(&sandbox, "results/small/table.csv", &["score", "protocol", "ood_set", "auroc", "n_id", "n_ood"]);
    let control: Vec<_> = rows.iter().filter(|row| row[0] == "mean-distance" && row[2] == "stripes").collect();
    assert_eq!(control.len(), 2, "both protocols: {rows:?}");
    assert!(control.iter().all(|row| row[3] == "1.0" && row[4] == "30" && row[5] == "20"), "limit.ood is 20: {rows:?}");
    let table = std::fs::read_to_string(sandbox.path("results/small/table.md")).expect("a table");
    assert!(
        table.contains("missing: blobs, in no mean above; blobs test was not imported; run: oodlab features import"),
        "{table}"
    );
    assert!(table.contains("trained on cifar10-mini train, 60 imported vectors"), "{table}");
    assert!(table.contains("partial: cifar10-mini train: 60 of 1500 imported vectors"), "{table}");
    let provenance = sandbox.files("results/small/runs").into_iter().find(|path| path.ends_with("provenance.json"));
    let provenance = std::fs::read_to_string(provenance.expect("provenance")).expect("readable");
    let provenance: serde_json::Value = serde_json::from_str(&provenance).expect("JSON");
    assert_eq!(provenance["encoder"]["config"], serde_json::json!({"imported": "mine"}));
    assert_eq!(provenance["sets"][0]["computed"]["source"], "train.npy");
    assert_eq!(provenance["sets"][0]["computed"]["sha256"].as_str().map(str::len), Some(64));
    let before = std::fs::read(sandbox.path("results/small/table.csv")).expect("a table");
    sandbox.ok(&RUN);
    assert!(before == std::fs::read(sandbox.path("results/small/table.csv")).expect("a table"));
    let plan = sandbox.ok(&["plan", "small.yaml", "encoder.imported=mine", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan).expect("JSON");
    let left = plan["stages"].as_array().expect("stages").iter().filter(|stage| stage["parts_done"] != stage["parts"]);
    assert_eq!(left.count(), 0, "{plan}");
    assert_eq!(sandbox.leftovers(), Vec::<PathBuf>::new());
}

#[test]
fn a_protocol_that_was_not_imported_is_an_error_that_says_what_to_import() {
    let sandbox = small();
    synthetic(&sandbox, &["native"]);
    let told = sandbox.fails(2, &RUN);
    let command = "oodlab features import FILE --encoder mine --set stripes --split test --protocol matched";
    assert!(told.contains("small.yaml:2: protocols") && told.contains(command), "{told}");
    sandbox.ok(&[&RUN[..], &["protocols=[native]"]].concat());
}

#[test]
fn wrong_names_are_told_with_the_nearest_and_the_way() {
    let sandbox = small();
    let told = sandbox.fails(2, &RUN);
    assert!(told.contains("nothing yet") && told.contains("--encoder mine"), "{told}");
    synthetic(&sandbox, &["both"]);
    let told = sandbox.fails(2, &["run", "small.yaml", "encoder.imported=mien"]);
    assert!(told.contains("did you mean \"mine\"?"), "{told}");
    let told = sandbox.fails(2, &["run", "small.yaml", "encoder={imported: mine, resolution: 64}"]);
    assert!(told.contains("`imported` stands alone") && told.contains("resolution"), "{told}");
    let told = sandbox.fails(2, &["run", "small.yaml", "encoder.importd=mine"]);
    assert!(told.contains("did you mean \"imported\"?"), "{told}");
    let told = sandbox.fails(2, &[&RUN[..], &["features.layers=[3]"]].concat());
    assert!(told.contains("layers 1 to 2"), "{told}");
    let told =
        sandbox.fails(1, &["features", "import", "far.npy", "--encoder", "mine", "--set", "strips", "--split", "test"]);
    assert!(told.contains("stripes"), "{told}");
    for encoder in ["../mine", ".mine", "a/b", ""] {
        let told = sandbox
            .fails(2, &["features", "import", "far.npy", "--encoder", encoder, "--set", "stripes", "--split", "test"]);
        assert!(told.contains("letters, digits"), "{encoder}: {told}");
    }
}

#[test]
fn files_that_do_not_fit_are_refused_and_nothing_is_stored() {
    let sandbox = small();
    synthetic(&sandbox, &["both"]);
    let before = sandbox.files(".oodlab/features");
    let import = |file: &str, more: &[&str]| {
        let base = ["features", "import", file, "--encoder", "mine", "--set", "blobs", "--split", "test"];
        sandbox.fails(1, &[&base[..], more].concat())
    };
    std::fs::write(sandbox.path("nan.npy"), npy(3, 6, |r, c| if (r, c) == (2, 4) { f32::NAN } else { 0.0 }))
        .expect("writes");
    let told = import("nan.npy", &["--layers", "a=2,b=4"]);
    assert!(told.contains("nan.npy: sample \"2\" (row 2): feature 4 (layer \"b\") is NaN"), "{told}");
    let told = import("far.npy", &["--layers", "a=3,b=3"]);
    assert!(told.contains("a:3, b:3") && told.contains("a:2, b:4"), "another network: {told}");
    std::fs::write(sandbox.path("many.npy"), npy(301, 6, |_, _| 0.0)).expect("writes");
    let told = import("many.npy", &["--layers", "a=2,b=4"]);
    assert!(told.contains("301 rows, but blobs test has 300 images"), "{told}");
    let told = import("absent.npz", &[]);
    assert!(told.contains("absent.npz"), "{told}");
    std::fs::write(sandbox.path("cut.npy"), &npy(3, 6, |_, _| 0.0)[..150]).expect("writes");
    assert!(import("cut.npy", &[]).contains("72 bytes of elements expected, 22 there"));
    assert_eq!(sandbox.files(".oodlab/features"), before);
    // A stored file that was altered is noticed when it is read.
    let stored = sandbox.path(".oodlab/features/mine/stripes-test.safetensors");
    let mut bytes = std::fs::read(&stored).expect("stored");
    let at = bytes.len() - 200;
    bytes[at] ^= 1;
    std::fs::write(&stored, bytes).expect("writes");
    let told = sandbox.fails(1, &RUN);
    assert!(told.contains("altered") && told.contains("import it again"), "{told}");
}

#[test]
fn parquet_of_pandas_and_pyarrow_is_read() {
    let sandbox = Sandbox::new();
    let import = |name: &str, encoder: &str| {
        let path = foreign(name).display().to_string();
        let arguments =
            ["features", "import", &path, "--encoder", encoder, "--set", "stripes", "--split", "test", "--json"];
        let output = sandbox.run(&arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!errors.contains("panicked"), "{errors}");
        if !output.status.success() {
            return Err(errors);
        }
        let lines: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("JSON");
        Ok(lines[0].clone())
    };
    let binary = import("plain.npz", "binary").expect("imports");
    for (name, encoder) in [("pandas_columns.parquet", "pandas"), ("pyarrow_lists.parquet", "pyarrow")] {
        let line = import(name, encoder).expect("imports");
        assert_eq!(line["content"], binary["content"], "{name}");
        assert_eq!((&line["labels"], &line["classes"]), (&true.into(), &4.into()), "{name}");
    }
    let plain = import("pandas_numbers.parquet", "numbers").expect("imports");
    assert_eq!((&plain["columns"], &plain["layers"][0]), (&6.into(), &"feature=6".into()));
    for (name, kind) in [
        ("pyarrow_fixed_lists.parquet", "FixedSizeList of Float32"),
        ("pyarrow_half.parquet", "List of Float16"),
        ("pyarrow_small_label.parquet", "Int8"),
    ] {
        let told = import(name, "unsupported").expect_err("a type that polars was built without");
        assert!(told.contains(kind) && told.contains("float32") && told.matches(name).count() == 1, "{told}");
    }
    let mut bytes = std::fs::read(foreign("pandas_columns.parquet")).expect("readable");
    bytes.truncate(bytes.len() - 9);
    std::fs::write(sandbox.path("cut.parquet"), bytes).expect("writes");
    let told = sandbox
        .fails(1, &["features", "import", "cut.parquet", "--encoder", "x", "--set", "stripes", "--split", "test"]);
    assert!(told.contains("cut.parquet"), "{told}");
}

#[test]
fn imported_files_are_listed_and_damaged_ones_named() {
    let sandbox = small();
    assert!(sandbox.ok(&["features", "list"]).contains("nothing was imported"));
    synthetic(&sandbox, &["matched"]);
    std::fs::write(sandbox.path(".oodlab/features/mine/broken.safetensors"), "nothing").expect("writes");
    let listed = sandbox.ok(&["features", "list"]);
    assert!(listed.contains("mine  stripes test matched  25 x 6  a=2 b=4  from far.npy"), "{listed}");
    assert!(listed.contains("damaged:") && listed.contains("broken.safetensors"), "{listed}");
    let listed: serde_json::Value = serde_json::from_str(&sandbox.ok(&["features", "list", "--json"])).expect("JSON");
    assert_eq!(listed["features"].as_array().map(Vec::len), Some(3));
    assert_eq!(listed["features"][0]["layers"], serde_json::json!(["a=2", "b=4"]));
}

#[test]
fn rows_are_named_as_images_on_wish() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("test.npy"), npy(3, 2, |r, c| (r + c) as f32)).expect("writes");
    let base = ["features", "import", "test.npy", "--encoder", "mine", "--set", "cifar10-mini", "--split", "test"];
    sandbox.ok(&[&base[..], &["--normal-ids"]].concat());
    sandbox.ok(&[
        "features",
        "export",
        "--encoder",
        "mine",
        "--set",
        "cifar10-mini",
        "--split",
        "test",
        "-o",
        "named.safetensors",
    ]);
    let bytes = std::fs::read(sandbox.path("named.safetensors")).expect("written");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(!text.contains("[\"0\",\"1\",\"2\"]") && text.contains("#0\""), "{text}");
}

#[test]
fn an_experiments_limit_holds_for_imported_features_too() {
    let sandbox = small();
    synthetic(&sandbox, &["native"]);
    let export = |limit: &str, file: &str| {
        let what = ["--set", "stripes", "--split", "test", "-o", file, "--json"];
        let base = ["features", "export", "small.yaml", "encoder.imported=mine", "protocols=[native]", limit];
        let told = sandbox.ok(&[&base[..], &what[..]].concat());
        serde_json::from_str::<serde_json::Value>(&told).expect("JSON")[0]["rows"].clone()
    };
    assert_eq!(export("limit.ood=20", "first.npz"), 20);
    assert_eq!(export("limit.ood=200", "all.npz"), 25);
    let encoder = ["features", "import", "first.npz", "--encoder", "first", "--set", "stripes", "--split", "test"];
    assert!(sandbox.ok(&encoder).contains("20 x 6  a=2 b=4"));
}

#[test]
fn exports_name_what_there_is() {
    let sandbox = small();
    synthetic(&sandbox, &["both"]);
    let export = |more: &[&str]| sandbox.fails(2, &[&["features", "export"][..], more].concat());
    let told = export(&["--encoder", "mine", "--set", "blobs", "--split", "test", "-o", "x.npz"]);
    assert!(told.contains("no features of blobs test") && told.contains("stripes test (matched)"), "{told}");
    let told = export(&["--encoder", "mine", "--set", "stripes", "--split", "test", "-o", "x.npy"]);
    assert!(told.contains("features alone"), "{told}");
    let told = export(&["--encoder", "mine", "--set", "stripes", "--split", "test", "-o", "x.mat"]);
    assert!(told.contains("*.safetensors, *.npz, *.parquet"), "{told}");
    let told = export(&["--encoder", "mni", "--set", "stripes", "--split", "test", "-o", "x.npz"]);
    assert!(told.contains("did you mean \"mine\"?"), "{told}");
    let sweep = "sweep.grid={encoder.resolution: [64, 96]}";
    let told = export(&["small.yaml", sweep, "--set", "blobs", "--split", "test", "-o", "x.npz"]);
    assert!(told.contains("different features") && told.contains("overrides"), "{told}");
}
