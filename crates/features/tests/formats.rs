//! Feature files: what is written is read back to the bit, what other programs wrote is read, what is wrong is told.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use oodlab_features::format::npy::NpyFile;
use oodlab_features::format::npz::NpzFile;
use oodlab_features::format::safetensors::SafetensorsFile;
use oodlab_features::format::{self, Array, Arrays, Column, ColumnTable, Options, Values, assemble, to_columns};
use oodlab_features::{FeatureError, FeatureTable, Features, Labels, Layer, Logits};

fn table() -> FeatureTable {
    let layers = Layer::consecutive([("stage1", 2), ("blocks.3", 1), ("ö", 3)]);
    let mut values: Vec<f32> = (0..4 * 6).map(|at| (at as f32).sqrt() - 1.7).collect();
    values[..5].copy_from_slice(&[-0.0, f32::MIN_POSITIVE / 3.0, f32::MAX, f32::MIN, 1.0 + f32::EPSILON]);
    let ids = ["x", "line\nbreak", "ö 𝛼", "17"].map(str::to_owned).to_vec();
    let features = Features::new(layers, ids, values).expect("valid");
    let features = features
        .with_logits(Logits {
            classes: 3,
            values: (0..12).map(|at| 1.0 / at as f32 - 1e-30).skip(1).chain([7.5]).collect(),
        })
        .expect("fits");
    FeatureTable::new(features, Some(Labels(vec![3, 0, u32::MAX, 1]))).expect("valid")
}

fn bits(table: &FeatureTable) -> Vec<u32> {
    let logits = table.features().logits().map(|logits| logits.values.clone()).unwrap_or_default();
    table.features().values().iter().chain(&logits).map(|value| value.to_bits()).collect()
}

fn foreign(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/foreign").join(name)
}

fn read(name: &str, options: &Options) -> Result<format::ReadTable, FeatureError> {
    format::read(&foreign(name), options)
}

/// The table of `golden/make_foreign.py`.
fn assert_foreign(found: &FeatureTable, ids: bool, labels: bool, logits: bool, what: &str) {
    let (rows, columns) = (5, 6);
    let value = |at: usize| (16 * (at / columns) + at % columns) as f32 / 8.0 - 3.0;
    let features = found.features();
    assert_eq!(features.values(), (0..rows * columns).map(value).collect::<Vec<f32>>(), "{what}");
    let expected: [&str; 5] = if ids { ["a.png", "b/ö.png", "c", "d e", "1"] } else { ["0", "1", "2", "3", "4"] };
    assert_eq!(features.ids(), expected, "{what}");
    assert_eq!(found.labels(), labels.then(|| Labels(vec![3, 0, 9, 1, 3])).as_ref(), "{what}");
    let class = |at: usize| -2.0 * value(at / 4 * columns + at % 4);
    let values = (0..rows * 4).map(class).collect();
    assert_eq!(features.logits(), logits.then_some(Logits { classes: 4, values }).as_ref(), "{what}");
}

fn stages() -> Vec<Layer> {
    Layer::consecutive([("stage1", 2), ("stage2", 3), ("stage10", 1)])
}

#[test]
fn both_binary_formats_keep_every_bit_and_write_the_same_bytes_again() {
    let folder = tempfile::tempdir().expect("a folder");
    for ending in ["safetensors", "npz"] {
        let path = folder.path().join(format!("table.{ending}"));
        format::write(&path, &table()).expect("writes");
        let read = format::read(&path, &Options::default()).expect("reads");
        assert_eq!(read.left_out, Vec::<String>::new());
        assert_eq!(read.table, table(), "{ending}");
        assert_eq!(bits(&read.table), bits(&table()), "{ending}");
        assert_eq!(read.table.content(), table().content());
        let again = folder.path().join(format!("again.{ending}"));
        format::write(&again, &read.table).expect("writes");
        assert!(std::fs::read(&path).expect("readable") == std::fs::read(&again).expect("readable"), "{ending}");
    }
    let columns = to_columns(&table());
    assert_eq!(columns[2].name, "layer.stage1.0");
    let read = from_columns(4, columns).expect("reads");
    assert_eq!((read.table.clone(), bits(&read.table)), (table(), bits(&table())));
}

#[test]
fn files_of_numpy_and_safetensors_are_read_whatever_type_and_order() {
    for name in [
        "plain.npz",
        "compressed.npz",
        "big_endian_column_major.npz",
        "one_array_a_layer.npz",
        "plain.safetensors",
        "half.safetensors",
    ] {
        let read = read(name, &Options::default()).unwrap_or_else(|error| panic!("{error}"));
        assert_foreign(&read.table, true, true, true, name);
        assert_eq!(read.table.features().layers(), stages(), "{name}");
        assert!(read.left_out.is_empty(), "{name}");
    }
    let read = read("one_tensor_a_layer.safetensors", &Options::default()).expect("reads");
    assert_foreign(&read.table, true, true, true, "one tensor a layer");
    assert_eq!(read.table.features().layers(), stages(), "2 before 10, though the file sorts them otherwise");
}

#[test]
fn a_plain_matrix_is_one_layer_or_those_that_are_given() {
    let one = read("plain.npy", &Options::default()).expect("reads");
    assert_foreign(&one.table, false, false, false, "npy");
    assert_eq!(one.table.features().layers(), Layer::consecutive([("feature", 6)]));
    let options = Options::parse(None, Some("stage1=2, stage2=3,stage10=1")).expect("valid");
    assert_eq!(read("plain.npy", &options).expect("reads").table.features().layers(), stages());
    let narrow = Options::parse(None, Some("a=5")).expect("valid");
    let told = read("plain.npy", &narrow).expect_err("one column is left").to_string();
    assert!(told.contains("plain.npy") && told.contains("cover 5 columns, the features have 6"), "{told}");
}

#[test]
fn the_files_own_names_are_given_and_what_has_no_meaning_is_told() {
    let told = read("own_names.npz", &Options::default()).expect_err("no features").to_string();
    assert!(told.contains("feat_list") && told.contains("--names"), "{told}");
    let names = "features=feat_list,labels=label_list,logits=logit_list,ids=names";
    let named = read("own_names.npz", &Options::parse(Some(names), None).expect("valid")).expect("reads");
    assert_foreign(&named.table, true, true, true, "own names");
    assert_eq!(named.left_out, ["extra"]);
    let layers = Options::parse(Some("layer.all=feat_list"), None).expect("valid");
    let one = read("own_names.npz", &layers).expect("reads");
    assert_eq!(one.table.features().layers(), Layer::consecutive([("all", 6)]));
    for (names, part) in
        [("feature=x", "did you mean \"features\""), ("features", "ours=theirs"), ("ids=a,ids=b", "twice")]
    {
        let told = Options::parse(Some(names), None).expect_err("wrong").to_string();
        assert!(told.contains(part), "{names}: {told}");
    }
    let absent = Options::parse(Some("features=nothing"), None).expect("valid");
    assert!(read("own_names.npz", &absent).expect_err("absent").to_string().contains("no array \"nothing\""));
}

#[test]
fn python_objects_are_refused_with_a_way_out() {
    let told = read("objects.npz", &Options::default()).expect_err("objects").to_string();
    assert!(told.contains("Python objects") && told.contains("ids"), "{told}");
}

#[test]
fn the_order_of_layers_can_be_given() {
    let turned = Options::parse(None, Some("stage10=1,stage1=2,stage2=3")).expect("valid");
    let read_turned = read("one_array_a_layer.npz", &turned).expect("reads");
    let expected = read("one_array_a_layer.npz", &Options::default()).expect("reads");
    let expected = expected.table.features().select(&[3, 1, 2]).expect("exist");
    assert_eq!(read_turned.table.features(), &expected);
    for (layers, part) in [
        ("stage1=2,stage2=3", "\"stage10\" of the file is not named"),
        ("stage1=2,stage2=3,stage10=1,x=1", "no array layer.x"),
        ("stage1=3,stage2=3,stage10=1", "has 2 columns, not 3"),
    ] {
        let options = Options::parse(None, Some(layers)).expect("valid");
        let told = read("one_array_a_layer.npz", &options).expect_err("wrong").to_string();
        assert!(told.contains(part), "{layers}: {told}");
    }
}

/// Arrays in memory.
struct Given(Vec<(&'static str, Array)>);

impl Arrays for Given {
    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    fn read(&mut self, name: &str) -> Result<Array, FeatureError> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, array)| array.clone()).ok_or(FeatureError::UnknownFormat)
    }
}

fn floats(shape: &[usize]) -> Array {
    Array { shape: shape.to_vec(), values: Values::Floats(vec![1.0; shape.iter().product()]) }
}

fn integers(values: &[i64]) -> Array {
    Array { shape: vec![values.len()], values: Values::Integers(values.to_vec()) }
}

fn texts(values: &[&str]) -> Array {
    Array { shape: vec![values.len()], values: Values::Texts(values.iter().map(|t| (*t).to_owned()).collect()) }
}

fn single(text: &str) -> Array {
    Array { shape: vec![], values: Values::Texts(vec![text.to_owned()]) }
}

#[test]
fn parts_that_do_not_fit_together_are_told() {
    let mut nan = floats(&[2, 3]);
    nan.values = Values::Floats(vec![0.0, 0.0, 0.0, 0.0, f32::NAN, 0.0]);
    let mut infinite = floats(&[2, 2]);
    infinite.values = Values::Floats(vec![0.0, 0.0, 0.0, f32::NEG_INFINITY]);
    let cases: Vec<(Vec<(&'static str, Array)>, &str)> = vec![
        (vec![("features", floats(&[6]))], "shape [6], expected [rows, columns]"),
        (vec![("features", floats(&[0, 3]))], "no rows"),
        (vec![("features", floats(&[2, 0]))], "no columns"),
        // They take no bytes: a file of any size can announce as many.
        (
            vec![("features", floats(&[1 << 60, 0]))],
            "\"features\" has shape [1152921504606846976, 0]: it has no columns",
        ),
        (vec![("layer.a", floats(&[1 << 60, 0]))], "no columns"),
        (vec![("layer.a", floats(&[0, 1 << 60])), ("layer.b", floats(&[0, 1 << 60]))], "no rows"),
        (vec![("features", floats(&[2, 3])), ("logits", floats(&[2, 0]))], "no columns"),
        (vec![("features", integers(&[1, 2]))], "expected [rows, columns]"),
        (
            vec![("features", Array { shape: vec![1, 2], ..integers(&[1, 2]) })],
            "holds whole numbers, expected floating",
        ),
        (vec![("features", floats(&[2, 3])), ("layer.a", floats(&[2, 3]))], "must be given once"),
        (
            vec![("layer.a", floats(&[2, 3])), ("layer.b", floats(&[3, 3]))],
            "\"layer.b\" has 3 rows, the features have 2",
        ),
        (vec![("features", floats(&[2, 3])), ("ids", texts(&["x"]))], "\"ids\" has 1 rows, the features have 2"),
        (vec![("features", floats(&[2, 3])), ("ids", texts(&["x", "x"]))], "id \"x\" is that of row 0 and of row 1"),
        (vec![("features", floats(&[2, 3])), ("ids", texts(&["x", "\0"]))], "zero character"),
        (vec![("features", floats(&[2, 3])), ("labels", integers(&[1]))], "\"labels\" has 1 rows"),
        (vec![("features", floats(&[2, 3])), ("labels", integers(&[1, -1]))], "row 1 has label -1"),
        (vec![("features", floats(&[2, 3])), ("labels", integers(&[1, 1 << 40]))], "row 1 has label 1099511627776"),
        (vec![("features", floats(&[2, 3])), ("labels", floats(&[2]))], "expected whole numbers"),
        (vec![("features", floats(&[2, 3])), ("logits", floats(&[3, 2]))], "\"logits\" has 3 rows"),
        (vec![("features", nan)], "\"1\" (row 1): feature 1 (layer \"feature\") is NaN"),
        (vec![("features", floats(&[2, 3])), ("logits", infinite)], "\"1\" (row 1): logit 1 is -inf"),
        (vec![("features", floats(&[2, 3])), ("layers", single("a=1,b=1"))], "cover 2 columns, the features have 3"),
        (vec![("features", floats(&[2, 3])), ("layers", single("a=1,a=2"))], "layer \"a\": expected names, each once"),
        (vec![("features", floats(&[2, 3])), ("layers", single("a"))], "expected name=width"),
        (
            vec![
                ("features", floats(&[2, 3])),
                ("layers", single(r#"[{"name":"a","start":0,"end":1},{"name":"b","start":2,"end":3}]"#)),
            ],
            "layer \"b\" spans columns 2..3, expected a non-empty span that starts at 1",
        ),
        (
            vec![
                ("features", floats(&[2, 3])),
                ("layers", single(r#"[{"name":"a","start":0,"end":2},{"name":"b","start":1,"end":3}]"#)),
            ],
            "layer \"b\" spans columns 1..3, expected a non-empty span that starts at 2",
        ),
        (vec![("images", floats(&[2, 3]))], "there are: images"),
    ];
    for (arrays, part) in cases {
        let told = assemble(&mut Given(arrays), &Options::default()).expect_err(part).to_string();
        assert!(told.contains(part), "expected {part:?} in {told:?}");
    }
    let unlabelled = vec![("features", floats(&[2, 3])), ("labels", integers(&[-1, -1]))];
    let read = assemble(&mut Given(unlabelled), &Options::default()).expect("as OpenOOD marks outliers");
    assert_eq!(read.table.labels(), None);
    let numbered = vec![("features", floats(&[2, 3])), ("id", integers(&[7, 5]))];
    assert_eq!(assemble(&mut Given(numbered), &Options::default()).expect("reads").table.features().ids(), ["7", "5"]);
}

fn column(name: &str, values: Values) -> Column {
    Column { name: name.to_owned(), width: 1, values }
}

fn from_columns(rows: usize, columns: Vec<Column>) -> Result<format::ReadTable, FeatureError> {
    let names: Vec<(String, bool)> = columns.iter().map(|column| (column.name.clone(), column.width > 1)).collect();
    let load = |names: &[String]| {
        let column = |name: &String| columns.iter().find(|column| column.name == *name).cloned();
        Ok(names.iter().filter_map(column).collect())
    };
    assemble(&mut ColumnTable::new(rows, &names, load)?, &Options::default())
}

#[test]
fn columns_are_gathered_by_number_whatever_their_order() {
    let number = |name: &str, value: f32| column(name, Values::Floats(vec![value, value + 10.0]));
    for names in [["f1", "f0"], ["1", "0"], ["features.1", "features.0"]] {
        let columns = vec![number(names[0], 1.0), number(names[1], 0.0), column("id", Values::Integers(vec![4, 5]))];
        let read = from_columns(2, columns).expect("reads");
        assert_eq!(read.table.features().values(), [0.0, 1.0, 10.0, 11.0], "{names:?}");
    }
    let told = |columns| from_columns(2, columns).expect_err("wrong").to_string();
    assert!(told(vec![number("f0", 0.0), number("f2", 0.0)]).contains("column 1 of \"features\" is missing"));
    assert!(told(vec![number("f0", 0.0), number("0", 0.0)]).contains("a second time"));
    assert!(told(vec![column("f0", Values::Floats(vec![0.0]))]).contains("1 values for 2 rows"));
    assert!(told(vec![column("f0", Values::Integers(vec![0, 1]))]).contains("holds whole numbers"));
    let dotted = from_columns(2, vec![number("layer.a.b.0", 1.0)]).expect("reads");
    assert_eq!(dotted.table.features().layers(), Layer::consecutive([("a.b", 1)]));
}

#[test]
fn every_truncation_is_an_error() {
    let (mut safetensors, mut npz) = (Vec::new(), Cursor::new(Vec::new()));
    format::safetensors::write(&table(), &mut safetensors).expect("writes");
    format::npz::write(&table(), &mut npz).expect("writes");
    let (npz, npy) = (npz.into_inner(), std::fs::read(foreign("plain.npy")).expect("readable"));
    let options = Options::default();
    let read = |name: &str, bytes: &[u8]| {
        let bytes = Cursor::new(bytes);
        match name {
            "safetensors" => SafetensorsFile::open(bytes).and_then(|mut file| assemble(&mut file, &options)),
            "npz" => NpzFile::open(bytes).and_then(|mut file| assemble(&mut file, &options)),
            _ => NpyFile::open(bytes).and_then(|mut file| assemble(&mut file, &options)),
        }
    };
    for (name, bytes) in [("safetensors", safetensors), ("npz", npz), ("npy", npy)] {
        assert!(read(name, &bytes).is_ok(), "{name}");
        for length in 0..bytes.len() {
            assert!(read(name, &bytes[..length]).is_err(), "{name} cut at {length}");
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let cut = folder.path().join("cut.npz");
    std::fs::write(&cut, b"PK").expect("writes");
    assert!(format::read(&cut, &options).expect_err("cut").to_string().contains("cut.npz"));
}

#[test]
fn zip_entries_that_share_their_bytes_are_refused() {
    let mut npz = Cursor::new(Vec::new());
    format::npz::write(&table(), &mut npz).expect("writes");
    let mut writer = zip::ZipWriter::new_append(npz).expect("a zip file");
    writer.shallow_copy_file("features.npy", "layer.a.npy").expect("an entry");
    let npz = writer.finish().expect("a zip file");
    let told = NpzFile::open(npz).map(|_| ()).expect_err("one array twice").to_string();
    assert!(told.contains("share their bytes"), "{told}");
}

#[test]
fn a_name_without_a_known_ending_is_refused() {
    let told = format::read(&foreign("../make_foreign.py"), &Options::default()).expect_err("a script").to_string();
    assert!(told.contains("*.safetensors, *.npz, *.parquet"), "{told}");
}
