//! Lists of images: which images there are, in which order, and their labels.
//!
//! A list is text with a line an image, cut at blanks, at tabs or as comma-separated values, or a Parquet table. Columns are
//! meant by number or, under a header, by name. **Names are aligned to the right**: where lines have more columns than the
//! header has names, the names are those of the last columns. CelebA's `list_attr_celeba.txt` is so: 40 names of attributes
//! over lines of 41 columns, the first of which, the file's name, has none.

use std::collections::BTreeMap;

use crate::blob::Blob;
use crate::decode::parquet;
use crate::manifest::{Column, ListForm, ListSpec, is_inside};

/// Names of columns shown in an error.
const SHOWN: usize = 12;

/// What a list says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// The images of the split, in the list's order.
    pub rows: Vec<Row>,
    /// The texts of the labels, of all lines, whether or not they belong to the split: so splits that share a list share labels.
    texts: BTreeMap<Box<str>, Text>,
}

/// An image of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its path, with the list's ending: relative, without `..`.
    pub path: Box<str>,
    /// Its line, counted from 1 (a row of a Parquet table likewise).
    pub line: u32,
    /// Number of its label's text.
    text: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Text {
    number: u32,
    first_line: u32,
}

/// Reads a list.
///
/// # Errors
/// Names the line: a missing column, a path that leaves the folder, bytes that are no text.
pub fn read(spec: &ListSpec, bytes: &[u8]) -> Result<List, String> {
    let mut list = List::default();
    match spec.form {
        ListForm::Parquet => {
            let table = parquet::Table::open(&Blob::memory(bytes.to_vec()))?;
            let names = table.names();
            let columns = Columns::find(spec, Some(&names), names.len())?;
            let wanted: Vec<usize> =
                [Some(columns.path), columns.label, columns.condition].into_iter().flatten().collect();
            let mut cells = vec![String::new(); names.len()];
            table.texts(&wanted, &mut cells, |row, cells| {
                let line = u32::try_from(row + 1).map_err(|_| "more lines than a list may have".to_owned())?;
                if row < spec.skip_lines as u64 {
                    return Ok(());
                }
                list.add(spec, &columns, line, cells).map_err(|what| format!("line {line}: {what}"))
            })?;
        }
        _ => {
            let mut header: Option<Vec<String>> = None;
            let mut columns: Option<Columns> = None;
            lines(spec, bytes, |line, cells| {
                if spec.header && header.is_none() {
                    header = Some(cells.iter().map(|&name| name.to_owned()).collect());
                    return Ok(());
                }
                if columns.is_none() {
                    columns = Some(Columns::find(spec, header.as_deref(), cells.len())?);
                }
                let Some(columns) = &columns else { return Ok(()) };
                if header.is_some() && cells.len() != columns.count {
                    return Err(format!("{} columns, {} in the lines before", cells.len(), columns.count));
                }
                list.add(spec, columns, line, cells)
            })?;
        }
    }
    Ok(list)
}

/// Where a list's columns are.
struct Columns {
    count: usize,
    path: usize,
    label: Option<usize>,
    condition: Option<usize>,
}

impl Columns {
    fn find(spec: &ListSpec, names: Option<&[String]>, count: usize) -> Result<Columns, String> {
        let find = |column: &Column| match (column, names) {
            (Column::Number(number), _) => Ok(*number),
            (Column::Name(name), None) => Err(format!("column {name:?} has a name, but the list has none (`header`)")),
            (Column::Name(name), Some(names)) => {
                let mut places = (0..).zip(names).filter(|(_, other)| *other == name).map(|(place, _)| place);
                match (places.next(), places.next()) {
                    (Some(place), None) if names.len() <= count => Ok(place + (count - names.len())),
                    (Some(_), None) => Err(format!("{count} columns under {} names", names.len())),
                    (Some(_), Some(_)) => Err(format!("several columns are named {name:?}")),
                    (None, _) => {
                        let more = if names.len() > SHOWN { ", ..." } else { "" };
                        let known = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
                        Err(format!("no column is named {name:?}; there are: {known}{more}"))
                    }
                }
            }
        };
        Ok(Columns {
            count,
            path: find(&spec.path)?,
            label: spec.label.as_ref().map(find).transpose()?,
            condition: spec.condition.as_ref().map(|condition| find(&condition.column)).transpose()?,
        })
    }
}

/// Hands every line that is not empty to a function, cut into columns; its errors get the line's number.
fn lines(
    spec: &ListSpec,
    bytes: &[u8],
    mut each: impl FnMut(u32, &[&str]) -> Result<(), String>,
) -> Result<(), String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut rest = bytes;
    for _ in 0..spec.skip_lines {
        rest = rest.iter().position(|&byte| byte == b'\n').map_or(&[], |end| &rest[end + 1..]);
    }
    let number = |line: u64| u32::try_from(line).map_err(|_| "more lines than a list may have".to_owned());
    let first = spec.skip_lines as u64 + 1;
    if spec.form == ListForm::Csv {
        let mut reader = csv::ReaderBuilder::new();
        let mut reader = reader.has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(rest);
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(|error| csv_error(&error, first))? {
            let line = number(record.position().map_or(0, csv::Position::line) + first - 1)?;
            let cells: Vec<&str> = record.iter().collect();
            each(line, &cells).map_err(|what| format!("line {line}: {what}"))?;
        }
        return Ok(());
    }
    let mut cells: Vec<&str> = Vec::new();
    for (line, text) in (first..).zip(rest.split(|&byte| byte == b'\n')) {
        let line = number(line)?;
        let text = std::str::from_utf8(text).map_err(|_| format!("line {line}: not UTF-8"))?;
        cells.clear();
        if spec.form == ListForm::Tabs {
            cells.extend(text.split('\t').map(str::trim));
        } else {
            cells.extend(text.split_ascii_whitespace());
        }
        if cells.iter().any(|cell| !cell.is_empty()) {
            each(line, &cells).map_err(|what| format!("line {line}: {what}"))?;
        }
    }
    Ok(())
}

fn csv_error(error: &csv::Error, first: u64) -> String {
    let line = error.position().map_or(0, csv::Position::line) + first - 1;
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => format!("line {line}: not UTF-8"),
        _ => format!("line {line}: {error}"),
    }
}

impl List {
    fn add<S: AsRef<str>>(&mut self, spec: &ListSpec, columns: &Columns, line: u32, cells: &[S]) -> Result<(), String> {
        let cell = |column: usize| {
            let cell = cells.get(column).map(AsRef::as_ref);
            cell.ok_or_else(|| format!("no column {column}, counted from 0: it has {}", cells.len()))
        };
        let mut number = None;
        if let Some(column) = columns.label {
            let text = cell(column)?;
            if !text.is_empty() {
                let next = self.texts.len() as u32;
                if !self.texts.contains_key(text) {
                    self.texts.insert(text.into(), Text { number: next, first_line: line });
                }
                number = self.texts.get(text).map(|text| text.number);
            }
        }
        if let (Some(condition), Some(column)) = (&spec.condition, columns.condition)
            && cell(column)? != condition.is
        {
            return Ok(());
        }
        let path = clean(cell(columns.path)?, &spec.ending)?;
        self.rows.push(Row { path, line, text: number });
        Ok(())
    }

    /// The label of each row, in their order. Texts become labels by the list's `label_values`; else by the place of the name
    /// in `class_names`; else as numbers, negative ones and no text at all meaning none; else, where no names are given and none of
    /// them is a number, by their byte order.
    ///
    /// # Errors
    /// A text that is none of the names, or a number not below `classes`; the line is named.
    pub fn labels(
        &self,
        spec: &ListSpec,
        class_names: &[String],
        classes: Option<u32>,
    ) -> Result<Vec<Option<u32>>, String> {
        let names: BTreeMap<&str, u32> = class_names.iter().map(String::as_str).zip(0..).collect();
        let given = |text: &str| spec.label_values.get(text).or_else(|| names.get(text)).copied();
        let open = || self.texts.iter().filter(|(text, _)| given(text).is_none());
        let named = !class_names.is_empty() || !spec.label_values.is_empty();
        let ordered = !named && !open().any(|(text, _)| is_numeric(text));
        let mut labels = vec![None; self.texts.len()];
        let mut next = 0;
        for (text, &Text { number, first_line }) in &self.texts {
            let fail = |what: &str| format!("line {first_line}: label {text:?} {what}");
            let label = match (given(text), text.parse::<i64>()) {
                (Some(label), _) => Some(label),
                (None, _) if ordered => {
                    let label = next;
                    next += 1;
                    Some(label)
                }
                (None, Ok(value)) if value < 0 => None,
                (None, Ok(value)) => Some(u32::try_from(value).map_err(|_| fail("is too large"))?),
                (None, Err(_)) if is_numeric(text) => return Err(fail("is no whole number")),
                (None, Err(_)) if named => return Err(fail("is none of the class names or `label_values`")),
                (None, Err(_)) => return Err(fail("stands beside numbers: name the classes")),
            };
            if let (Some(label), Some(classes)) = (label, classes)
                && label >= classes
            {
                return Err(fail(&format!("is not below the number of classes, {classes}")));
            }
            if let Some(place) = labels.get_mut(number as usize) {
                *place = label;
            }
        }
        let of_text = |row: &Row| row.text.and_then(|text| labels.get(text as usize).copied().flatten());
        Ok(self.rows.iter().map(of_text).collect())
    }
}

/// Whether a text is meant as a number, also where it is not a whole one.
fn is_numeric(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) && text.parse::<f64>().is_ok()
}

/// A path as lists write it (`banded/1.jpg`, `./banded/1.jpg`, Places365's `/a/airfield/1.jpg`), below the folder it is meant in.
fn clean(text: &str, ending: &str) -> Result<Box<str>, String> {
    let short = text.strip_prefix("./").unwrap_or(text);
    let short = short.strip_prefix('/').unwrap_or(short);
    let path = format!("{short}{ending}");
    if short.is_empty() {
        return Err("an empty path".into());
    }
    if path.chars().any(char::is_control) {
        return Err("a path with a line break or another control character in it (a stray quote?)".into());
    }
    if !is_inside(&path) {
        return Err(format!("path {text:?} leaves the folder of the images"));
    }
    Ok(path.into())
}

/// Runs the reader on arbitrary bytes, in every form.
pub fn fuzz(bytes: &[u8]) {
    let column = |name: &str| Column::Name(name.into());
    for form in [ListForm::Blanks, ListForm::Tabs, ListForm::Csv, ListForm::Parquet] {
        for (skip_lines, header) in [(0, false), (1, true)] {
            let (path, label) = match (form, header) {
                (ListForm::Parquet, _) | (_, true) => (column("path"), column("label")),
                _ => (Column::Number(0), Column::Number(1)),
            };
            let spec = ListSpec {
                file: String::new(),
                form,
                skip_lines,
                header,
                path,
                ending: String::new(),
                label: Some(label),
                label_values: BTreeMap::new(),
                condition: None,
                labels_from: None,
            };
            if let Ok(list) = read(&spec, bytes) {
                assert!(list.rows.iter().all(|row| is_inside(&row.path)), "a path that leaves its folder");
                let _ = list.labels(&spec, &["a".into()], None);
                let _ = list.labels(&spec, &[], Some(10));
            }
        }
    }
}

#[cfg(test)]
mod tests;
