//! Parquet files with a column of pictures.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use oodlab_base::{Key, KeyBuilder};
use rayon::prelude::*;

use super::classes::Classes;
use super::{Part, Source, check_size};
use crate::blob::Blob;
use crate::decode::parquet::{Column, Table, Value, Values};
use crate::decode::picture;
use crate::error::DatasetError;
use crate::hash::Digest;
use crate::image::RgbImage;
use crate::manifest::{Manifest, Role};
use crate::reading::Reading;

/// Pages that were read last are kept up to this size in all, and two of them in any case: images are asked for roughly in order.
const KEPT: u64 = 64 << 20;

/// Decodes every picture of a file: see [`super::inspect`].
pub(super) fn inspect(manifest: &Manifest, image: &str, label: Option<&str>, blob: &Blob) -> Result<(), String> {
    let table = Table::open(blob)?;
    labels(manifest, &table, label)?;
    let column = pictures(&table, image)?;
    let mut first = 0;
    for page in 0..column.pages() {
        let values = column.read(page)?;
        let problem = (0..values.len()).into_par_iter().find_map_first(|row| {
            let image = bytes_of(values.get(row)).and_then(|bytes| picture::decode(bytes, Reading::default()));
            image
                .and_then(|image| check_size(manifest, &image))
                .err()
                .map(|what| format!("row {}: {what}", first + row))
        });
        if let Some(problem) = problem {
            return Err(problem);
        }
        first += values.len();
    }
    Ok(())
}

pub(super) struct ParquetImages {
    files: Vec<File>,
    labels: Vec<Option<u32>>,
    len: usize,
    kept: Mutex<Vec<Kept>>,
}

struct File {
    part: Part,
    digest: Digest,
    column: Column,
    /// Position of its first image in the set.
    first: usize,
}

/// A page that is read by the first thread that needs it, while others wait for it.
struct Kept {
    file: usize,
    page: usize,
    values: Arc<OnceLock<Result<Values, String>>>,
}

impl ParquetImages {
    pub fn open(
        manifest: &Manifest,
        parts: &[Part],
        image: &str,
        label: Option<&str>,
        limit: usize,
    ) -> Result<ParquetImages, DatasetError> {
        let mut set = ParquetImages { files: Vec::new(), labels: Vec::new(), len: 0, kept: Mutex::new(Vec::new()) };
        for part in parts.iter().filter(|part| part.role == Role::Images) {
            if set.len >= limit {
                break;
            }
            let fail = |what| part.error(what);
            let table = Table::open(&part.blob()?).map_err(fail)?;
            let column = pictures(&table, image).map_err(fail)?;
            set.labels.extend(labels(manifest, &table, label).map_err(fail)?);
            set.files.push(File { part: part.clone(), digest: part.digest()?, column, first: set.len });
            set.len += table.rows() as usize;
        }
        Ok(set)
    }

    fn at(&self, index: usize) -> (usize, &File, u64) {
        let file = self.files.partition_point(|file| file.first <= index).saturating_sub(1);
        (file, &self.files[file], (index - self.files[file].first) as u64)
    }

    fn picture(&self, index: usize) -> Result<Vec<u8>, DatasetError> {
        let (number, file, row) = self.at(index);
        let fail = |what: String| file.part.error(format!("row {row}: {what}"));
        let (page, first) = file.column.page_of(row).ok_or_else(|| fail("it is in no page".into()))?;
        let slot = self.slot(number, page);
        let values = slot.get_or_init(|| file.column.read(page)).as_ref().map_err(|what| fail(what.clone()))?;
        bytes_of(values.get((row - first) as usize)).map(<[u8]>::to_vec).map_err(fail)
    }

    /// The place of a page among those that are kept; the oldest make room for it.
    fn slot(&self, file: usize, page: usize) -> Arc<OnceLock<Result<Values, String>>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|kept| kept.file == file && kept.page == page);
        let this = known.map(|at| kept.remove(at));
        kept.push(this.unwrap_or_else(|| Kept { file, page, values: Arc::default() }));
        let size = |kept: &Kept| self.files[kept.file].column.size_of(kept.page);
        let mut all: u64 = kept.iter().map(size).sum();
        while kept.len() > 2 && all > KEPT {
            all -= size(&kept.remove(0));
        }
        kept.last().map(|kept| kept.values.clone()).unwrap_or_default()
    }
}

impl Source for ParquetImages {
    fn len(&self) -> usize {
        self.len
    }

    fn id(&self, index: usize) -> String {
        let (_, file, row) = self.at(index);
        format!("{}#{row}", file.part.path)
    }

    fn fetch(&self, index: usize) -> Result<Option<Vec<u8>>, DatasetError> {
        self.picture(index).map(Some)
    }

    fn decode(&self, index: usize, fetched: Option<Vec<u8>>, reading: Reading) -> Result<RgbImage, DatasetError> {
        let bytes = fetched.map_or_else(|| self.picture(index), Ok)?;
        let (_, file, row) = self.at(index);
        picture::decode(&bytes, reading).map_err(|what| file.part.error(format!("row {row}: {what}")))
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index).copied().flatten()
    }

    fn content(&self, index: usize) -> Key {
        let (_, file, row) = self.at(index);
        KeyBuilder::new("parquet image", 1).text("file", &file.digest.to_string()).number("row", row).finish()
    }
}

fn bytes_of(value: Value<'_>) -> Result<&[u8], String> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        Value::Absent => Err("no picture: the value is absent, or only the path of another file is there".into()),
        Value::Number(_) => Err("a number, expected a picture's bytes".into()),
    }
}

/// The column of the pictures, or the field `bytes` of the group of that name.
fn pictures(table: &Table, name: &str) -> Result<Column, String> {
    table.column(
        table.find(name).or_else(|| table.find(&format!("{name}.bytes"))).ok_or_else(|| no_column(table, name))?,
    )
}

fn no_column(table: &Table, name: &str) -> String {
    format!("no column is named {name:?}; there are: {}", table.names().join(", "))
}

/// The label of every row: a number, or the name of a class; negative and absent ones mean none.
fn labels(manifest: &Manifest, table: &Table, label: Option<&str>) -> Result<Vec<Option<u32>>, String> {
    let Some(name) = label else { return Ok(vec![None; table.rows() as usize]) };
    let column = table.column(table.find(name).ok_or_else(|| no_column(table, name))?)?;
    let classes = Classes::new(manifest);
    let mut labels = Vec::with_capacity(table.rows() as usize);
    for page in 0..column.pages() {
        let values = column.read(page)?;
        for row in 0..values.len() {
            let label = match values.get(row) {
                Value::Absent => Ok(None),
                Value::Number(number) => classes.of_number(number),
                Value::Bytes(text) => classes.of_text(&String::from_utf8_lossy(text)),
            };
            labels.push(label.map_err(|what| format!("row {}: {what}", labels.len()))?);
        }
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Place;

    /// A manifest of one file in Parquet's fixtures, and that file as a part.
    fn open(file: &str, format: &str, more: &str) -> Result<ParquetImages, DatasetError> {
        let text = format!(
            "{{name: x, title: x, licence: x, citation: x, format: {{kind: parquet-images, {format}}}, \
             files: [{{path: {file}, split: test}}], splits: {{test: {{}}}}, {more}}}"
        );
        let manifest = Manifest::parse("x.yaml", &text).expect("a manifest");
        let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/parquet"));
        let blake3 = Digest::blake3(&fs_err::read(folder.join(file)).expect("a fixture"));
        let place = Place::Disk { folder: folder.into(), file: None, blake3 };
        let part = Part { path: file.into(), role: Role::Images, place };
        let (image, label) = match &manifest.format {
            crate::manifest::Format::ParquetImages { image, label } => (image.clone(), label.clone()),
            _ => unreachable!("stated above"),
        };
        let inspected = inspect(&manifest, &image, label.as_deref(), &part.blob()?);
        let set = ParquetImages::open(&manifest, &[part], &image, label.as_deref(), usize::MAX)?;
        match inspected {
            Err(what) => Err(DatasetError::decode("inspect", what)),
            Ok(()) => Ok(set),
        }
    }

    /// The red value of an image of one colour.
    fn red(set: &ParquetImages, index: usize) -> u8 {
        let fetched = set.fetch(index).expect("readable");
        let image = set.decode(index, fetched, Reading::default()).expect("a picture");
        assert_eq!((image.width, image.height, image.pixels.len()), (4, 3, 36));
        image.pixels[0]
    }

    #[test]
    fn groups_of_bytes_and_paths_are_read_in_any_order() {
        let set =
            open("pictures.parquet", "image: image, label: label", "classes: 2, image_size: [4, 3]").expect("valid");
        assert!(set.files[0].column.pages() > 3, "several pages and row groups");
        for index in [0, 9, 3, 4, 8, 1, 7, 2, 5, 6] {
            assert_eq!((red(&set, index), set.label(index)), (10 * index as u8, Some(index as u32 % 2)));
        }
        assert_eq!((set.len(), set.id(7)), (10, "pictures.parquet#7".into()));
        let keys: std::collections::BTreeSet<_> = (0..10).map(|index| set.content(index).hex()).collect();
        assert_eq!(keys.len(), 10);
        let threads = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|shift| {
                    scope.spawn({
                        let set = &set;
                        move || (0..10).all(|index| red(set, (index + shift) % 10) == 10 * ((index + shift) % 10) as u8)
                    })
                })
                .collect();
            threads.into_iter().all(|thread| thread.join().is_ok_and(|all| all))
        });
        assert!(threads);
    }

    #[test]
    fn plain_columns_and_names_of_classes_are_read() {
        let set = open("column.parquet", "image: picture, label: class", "class_names: [cat, dog]").expect("valid");
        assert_eq!((0..4).map(|index| red(&set, index)).collect::<Vec<_>>(), [0, 10, 10, 20]);
        assert_eq!((0..4).map(|index| set.label(index)).collect::<Vec<_>>(), [Some(1), Some(0), None, Some(1)]);
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_row() {
        for (file, format, more, part) in [
            ("absent.parquet", "image: image", "", "row 1: no picture"),
            (
                "pictures.parquet",
                "image: picture",
                "",
                "no column is named \"picture\"; there are: image.bytes, image.path, label",
            ),
            ("pictures.parquet", "image: image, label: label", "classes: 1", "row 1: label 1 is not below"),
            ("column.parquet", "image: picture, label: class", "class_names: [cat]", "row 0: label \"dog\" is neither"),
            ("pictures.parquet", "image: image", "image_size: [3, 4]", "row 0: expected 3 x 4, found 4 x 3"),
            ("pictures.parquet", "image: label", "", "row 0: a number"),
            ("list.parquet", "image: path", "", "row 0: "),
        ] {
            let Err(error) = open(file, format, more) else { panic!("{file}: expected an error") };
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
    }
}
