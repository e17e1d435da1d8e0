//! The batches of CIFAR's "python version": pickles of a dictionary with an array `data` u8 `[n, 3072]` and lists of labels.
//!
//! The published files were written by Python 2 (its `str` is bytes); files that Python 3 saved again, with protocols 2 to 5 and
//! any numpy from 1.x to 2.x, are read as well. No code is run: see [`oodlab_formats::pickle`].

use std::ops::Range;
use std::rc::Rc;

use oodlab_formats::pickle::{self, PickleError, Tables, Vocabulary};

use crate::decode::cifar::Layout;

/// Longest shape of an array.
const MOST_AXES: usize = 8;

/// Turns a batch into the records of the "binary version", to the byte: label bytes (CIFAR-100: coarse, fine), then the planes.
///
/// # Errors
/// When it is no such pickle, asks for anything but numpy's arrays, or its parts do not fit together or not the layout.
pub fn to_cifar_binary(bytes: &[u8], layout: Layout) -> Result<Vec<u8>, String> {
    let mut batch = Batch { file: bytes, arrays: Vec::new(), types: Vec::new(), budget: bytes.len() };
    let pickle = pickle::read(bytes, &mut batch).map_err(|error| match error {
        PickleError::Forbidden(name) => format!("it asks to run `{name}`; refused: not a batch of CIFAR"),
        PickleError::Malformed(what) => what,
    })?;
    let Value::Dict(place) = pickle.result else { return Err("a dictionary expected".into()) };
    let dict = &pickle.tables.dicts[place];
    let entry = |name: &str| {
        let is_it = |key: &Value| match key {
            Value::Text(text) => text.as_bytes() == name.as_bytes(),
            other => batch.bytes(other).is_some_and(|key| key == name.as_bytes()),
        };
        // The last one counts, as in Python.
        dict.iter().rfind(|(key, _)| is_it(key)).map(|(_, value)| value)
    };
    let Some(Value::Object(Object::Array(array))) = entry("data") else { return Err("no array `data` in it".into()) };
    let array = &batch.arrays[*array];
    let data = batch.elements(array).filter(|_| array.element.as_deref() == Some("u1"));
    let data =
        data.ok_or_else(|| format!("`data` of {}, expected u8", array.element.as_deref().unwrap_or("nothing")))?;
    let (count, pixels) = (array.shape.first().copied().unwrap_or(0) as usize, layout.pixels());
    let fits = array.shape.len() > 1 && count.checked_mul(pixels) == Some(data.len()) && count > 0 && pixels > 0;
    if !fits || array.column_major {
        let order = if array.column_major { ", column-major" } else { "" };
        return Err(format!("`data` of shape {:?}{order}, expected [n, {pixels}], row-major", array.shape));
    }
    let names: &[&str] = match layout.labels {
        1 => &["labels"],
        2 => &["coarse_labels", "fine_labels"],
        other => return Err(format!("a layout of {other} labels, expected 1 or 2")),
    };
    let mut labels = Vec::new();
    for name in names {
        let value = entry(name).ok_or_else(|| format!("no `{name}` in it"))?;
        let found = batch.labels(&pickle.tables, value).map_err(|what| format!("`{name}`: {what}"))?;
        if found.len() != count {
            return Err(format!("{} `{name}` for {count} images", found.len()));
        }
        labels.push(found);
    }
    let mut records = Vec::with_capacity(count * layout.record());
    for (index, planes) in data.chunks_exact(pixels).enumerate() {
        records.extend(labels.iter().map(|labels| labels[index]));
        records.extend_from_slice(planes);
    }
    layout.count(&records)?;
    Ok(records)
}

/// What `GLOBAL` may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    /// Makes an empty array, whose state follows.
    Reconstruct,
    /// Makes an array of bytes (protocol 5).
    FromBuffer,
    Array,
    Type,
    /// Python 3's bytes in protocol 2: text that is encoded as Latin-1.
    Encode,
    Bytes,
}

#[derive(Debug, Clone)]
enum Object {
    Array(usize),
    Type(usize),
    /// Bytes that do not lie in the file.
    Bytes(Rc<[u8]>),
}

type Value = pickle::Value<Name, Object>;
type Found = Tables<Name, Object>;

/// A numpy array; nothing was checked against the data yet.
#[derive(Debug, Default)]
struct Array {
    shape: Vec<u64>,
    /// Type without byte order, and the order.
    element: Option<String>,
    big_endian: bool,
    column_major: bool,
    data: Option<Data>,
}

#[derive(Debug, Clone)]
enum Data {
    InFile(Range<usize>),
    Made(Rc<[u8]>),
}

#[derive(Debug, Clone)]
struct Type {
    name: String,
    big_endian: bool,
}

struct Batch<'a> {
    file: &'a [u8],
    arrays: Vec<Array>,
    types: Vec<Type>,
    /// Bytes that may still be made: a text can be encoded again and again.
    budget: usize,
}

impl Batch<'_> {
    fn bytes<'b>(&'b self, value: &'b Value) -> Option<&'b [u8]> {
        match value {
            Value::Bytes(range) => self.file.get(range.clone()),
            Value::Object(Object::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// Short text: Python 2 wrote it as bytes.
    fn text<'b>(&'b self, value: &'b Value) -> Option<&'b str> {
        match value {
            Value::Text(text) => Some(text),
            other => std::str::from_utf8(self.bytes(other)?).ok().filter(|text| text.len() < 100),
        }
    }

    fn data(&self, value: &Value) -> Result<Data, String> {
        match value {
            Value::Bytes(range) => Ok(Data::InFile(range.clone())),
            Value::Object(Object::Bytes(bytes)) => Ok(Data::Made(Rc::clone(bytes))),
            _ => Err("the elements of an array expected as bytes".into()),
        }
    }

    fn elements<'b>(&'b self, array: &'b Array) -> Option<&'b [u8]> {
        match array.data.as_ref()? {
            Data::InFile(range) => self.file.get(range.clone()),
            Data::Made(bytes) => Some(bytes),
        }
    }

    fn array(&mut self, array: Array) -> Value {
        self.arrays.push(array);
        Value::Object(Object::Array(self.arrays.len() - 1))
    }

    /// Labels as bytes: a list of integers, or an array of them.
    fn labels(&self, tables: &Found, value: &Value) -> Result<Vec<u8>, String> {
        let byte = |(index, label): (usize, Option<i64>)| {
            let label = label.ok_or_else(|| format!("label {index} is no integer"))?;
            u8::try_from(label).map_err(|_| format!("label {index} is {label}, expected 0 to 255"))
        };
        let Value::Object(Object::Array(array)) = value else {
            let integer = |value: &Value| if let Value::Integer(label) = value { Some(*label) } else { None };
            return tables.items(value)?.iter().map(integer).enumerate().map(byte).collect();
        };
        let array = &self.arrays[*array];
        use oodlab_formats::Number;
        let number = match array.element.as_deref() {
            Some("u1") => Number::U8,
            Some("i4") => Number::I32,
            Some("i8") => Number::I64,
            other => return Err(format!("an array of {}, expected integers", other.unwrap_or("nothing"))),
        };
        let data = self.elements(array).unwrap_or_default();
        let size = number.size_bytes();
        if array.shape.len() != 1 || array.shape[0].checked_mul(size as u64) != Some(data.len() as u64) {
            return Err(format!("an array of shape {:?} in {} bytes, expected [n]", array.shape, data.len()));
        }
        data.chunks_exact(size).map(|bytes| number.integer(bytes, array.big_endian)).enumerate().map(byte).collect()
    }

    fn type_of(&self, value: &Value) -> Result<&Type, String> {
        match value {
            Value::Object(Object::Type(place)) => Ok(&self.types[*place]),
            _ => Err("the type of an array expected".into()),
        }
    }
}

fn shape(tables: &Found, value: &Value) -> Result<Vec<u64>, String> {
    let axes = tables.items(value)?;
    if axes.len() > MOST_AXES {
        return Err(format!("an array of {} axes", axes.len()));
    }
    let axis = |value: &Value| match value {
        Value::Integer(length) => u64::try_from(*length).map_err(|_| format!("an axis of length {length}")),
        _ => Err("an axis whose length is no integer".to_owned()),
    };
    axes.iter().map(axis).collect()
}

impl Vocabulary for Batch<'_> {
    type Name = Name;
    type Object = Object;
    const OLD_STRINGS_ARE_BYTES: bool = true;
    const CONTENT: &'static str = "CIFAR's batches";

    fn named(module: &str, name: &str) -> Option<Name> {
        Some(match (module, name) {
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Name::Reconstruct,
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Name::FromBuffer,
            ("numpy", "ndarray") => Name::Array,
            ("numpy", "dtype") => Name::Type,
            ("_codecs", "encode") => Name::Encode,
            ("__builtin__" | "builtins", "bytes") => Name::Bytes,
            _ => return None,
        })
    }

    fn reduce(&mut self, tables: &mut Found, name: Name, arguments: &[Value]) -> Result<Value, String> {
        match (name, arguments) {
            (Name::Reconstruct, [Value::Name(Name::Array), _, _]) => Ok(self.array(Array::default())),
            (Name::Type, [code, ..]) => {
                let code = self.text(code).ok_or("the name of a type expected")?;
                // Byte order may stand in front of it; usually it follows as the state.
                let name = code.trim_start_matches(['<', '>', '|', '=']).to_owned();
                self.types.push(Type { name, big_endian: code.starts_with('>') });
                Ok(Value::Object(Object::Type(self.types.len() - 1)))
            }
            (Name::FromBuffer, [data, of, axes, order]) => {
                let Type { name, big_endian } = self.type_of(of)?.clone();
                let column_major = self.text(order) == Some("F");
                let (shape, data) = (shape(tables, axes)?, Some(self.data(data)?));
                Ok(self.array(Array { shape, element: Some(name), big_endian, column_major, data }))
            }
            (Name::Encode, [Value::Text(text), encoding]) if self.text(encoding) == Some("latin1") => {
                let length = text.chars().count();
                self.budget = self.budget.checked_sub(length).ok_or("more bytes encoded than the file has")?;
                let bytes: Option<Rc<[u8]>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
                Ok(Value::Object(Object::Bytes(bytes.ok_or("text that is not Latin-1")?)))
            }
            (Name::Bytes, []) => Ok(Value::Object(Object::Bytes(Rc::from([])))),
            _ => Err(format!("a call of {name:?} with other arguments than it takes")),
        }
    }

    fn build(&mut self, tables: &Found, object: &Value, state: &Value) -> Result<(), String> {
        let items = tables.items(state)?;
        match (object, items) {
            (Value::Object(Object::Array(place)), [.., axes, of, Value::Bool(column_major), data]) => {
                let (shape, data) = (shape(tables, axes)?, self.data(data)?);
                let Type { name, big_endian } = self.type_of(of)?.clone();
                let (element, column_major, data) = (Some(name), *column_major, Some(data));
                self.arrays[*place] = Array { shape, element, big_endian, column_major, data };
                Ok(())
            }
            (Value::Object(Object::Type(place)), [_, order, ..]) => {
                let order = self.text(order).ok_or("a byte order expected")?;
                self.types[*place].big_endian = order == ">";
                Ok(())
            }
            _ => Err("a state for something that has none".into()),
        }
    }
}

/// Runs the reader on arbitrary bytes.
pub fn fuzz(bytes: &[u8]) {
    for labels in [1, 2] {
        let layout = Layout { labels, label: labels - 1, width: 2, height: 2, classes: Some(10) };
        let _ = to_cifar_binary(bytes, layout);
    }
}

#[cfg(test)]
mod tests;
