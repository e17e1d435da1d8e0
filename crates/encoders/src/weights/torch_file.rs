//! Files of `torch.save` in: the zip format (since torch 1.6) and the one before it.
//!
//! Zip: `<archive>/data.pkl` describes the tensors, `<archive>/data/<name>` holds the elements of one storage.
//! Before: pickles of a magic number, the format's version, facts about the machine, the description, and the list of
//! storage names; then each storage as a count (i64) and its elements.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::ops::Range;

use half::{bf16, f16};
use oodlab_formats::pickle::PickleError;
use zip::{CompressionMethod, ZipArchive};

use super::pickle::{self, Pickle};
use super::pickle_value::{Element, Object, Value, View};
use super::{Tensor, WeightError};

/// How a file of the format before zip begins: a pickle of the number 0x1950a86a20f9469cfc6c.
const LEGACY_MAGIC: [u8; 15] = *b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";

/// How a zip file begins.
const ZIP_MAGIC: [u8; 4] = *b"PK\x03\x04";

/// Names under which checkpoints keep their state dictionary, in the order in which they are tried.
const STATE_NAMES: [&str; 7] = ["state_dict", "model_state_dict", "model_state", "model", "net", "network", "params"];

/// So many other things of a file are told one by one.
const MOST_TOLD: usize = 20;

/// What a tensor that was saved alone is called here.
const ALONE: &str = "tensor";

/// How deep a state dictionary may lie.
const MOST_LEVELS: usize = 4;

/// Whether the bytes begin as a file of `torch.save` does.
pub(super) fn is_torch(bytes: &[u8]) -> bool {
    bytes.starts_with(&LEGACY_MAGIC) || bytes.starts_with(&ZIP_MAGIC)
}

/// The tensors of a file, and what else is in it.
type Contents = (BTreeMap<String, Tensor>, Vec<String>);

/// Reads all tensors of the file's state dictionary, and tells what is beside it.
pub(super) fn decode(file: &str, bytes: &[u8]) -> Result<Contents, WeightError> {
    let refuse = |reason: String| WeightError::malformed(file, reason);
    let (description, storages) = if bytes.starts_with(&LEGACY_MAGIC) {
        legacy(bytes).map_err(|error| explain(file, error))?
    } else {
        zipped(bytes).map_err(|error| explain(file, error))?
    };
    // A tensor that was saved alone has no name.
    if let Value::Object(Object::Tensor(view)) = &description.result {
        let tensor = gather(&description, &description.views[*view], &storages, bytes, &mut (bytes.len() as u64));
        let tensor = tensor.map_err(|reason| refuse(format!("its tensor: {reason}")))?;
        return Ok((BTreeMap::from([(ALONE.to_owned(), tensor)]), Vec::new()));
    }
    let mut others = Others::default();
    let state = state_dict(&description, &mut others).map_err(refuse)?;
    // Elements of all tensors together: a file of n bytes holds at most n. More can only be views of the same elements.
    let mut budget = bytes.len() as u64;
    let mut tensors = BTreeMap::new();
    for (key, value) in &description.dicts[state] {
        let Value::Object(Object::Tensor(view)) = value else {
            others.add(&description, key, value);
            continue;
        };
        let Value::Text(name) = key else { return Err(refuse("a tensor whose name is not text".to_owned())) };
        let tensor = gather(&description, &description.views[*view], &storages, bytes, &mut budget)
            .map_err(|reason| refuse(format!("tensor `{name}`: {reason}")))?;
        if tensors.insert(name.to_string(), tensor).is_some() {
            return Err(refuse(format!("tensor `{}` comes twice", name.escape_debug())));
        }
    }
    Ok((tensors, others.told()))
}

/// What a file holds beside the tensors that are read.
#[derive(Default)]
struct Others {
    names: Vec<String>,
    more: usize,
}

impl Others {
    fn add(&mut self, description: &Pickle, key: &Value, value: &Value) {
        if self.names.len() >= MOST_TOLD {
            self.more += 1;
            return;
        }
        let name = match key {
            Value::Text(text) => text.chars().take(100).collect::<String>().escape_debug().to_string(),
            Value::Integer(number) => number.to_string(),
            _ => "an entry without a name".to_owned(),
        };
        let what = match value {
            Value::Dict(place) => format!(" (a dictionary of {})", description.dicts[*place].len()),
            Value::Sequence(place) => format!(" (a list of {})", description.sequences[*place].len()),
            Value::Object(Object::Tensor(_)) => " (a tensor)".to_owned(),
            Value::Integer(number) => format!(" = {number}"),
            _ => String::new(),
        };
        self.names.push(format!("{name}{what}"));
    }

    fn told(mut self) -> Vec<String> {
        if self.more > 0 {
            self.names.push(format!("{} more", self.more));
        }
        self.names
    }
}

fn explain(file: &str, error: PickleError) -> WeightError {
    match error {
        PickleError::Forbidden(name) => WeightError::ForbiddenGlobal { file: file.to_owned(), name },
        PickleError::Malformed(reason) => WeightError::malformed(file, reason),
    }
}

/// Where in the file the elements of each storage are.
type Storages = BTreeMap<String, Range<usize>>;

fn malformed(reason: impl Into<String>) -> PickleError {
    PickleError::Malformed(reason.into())
}

/// Finds description and storages in a file of the format before zip.
fn legacy(bytes: &[u8]) -> Result<(Pickle, Storages), PickleError> {
    let mut at = LEGACY_MAGIC.len();
    let next = |at: &mut usize| {
        let pickle = pickle::read(bytes.get(*at..).unwrap_or_default())?;
        *at += pickle.length;
        Ok(pickle)
    };
    match next(&mut at)?.result {
        Value::Integer(1001) => {}
        other => return Err(malformed(format!("format version 1001 expected, found {other:?}"))),
    }
    let machine = next(&mut at)?;
    if let Value::Dict(facts) = machine.result {
        let big = |(key, value): &(Value, Value)| matches!((key, value), (Value::Text(key), Value::Bool(false)) if key.as_ref() == "little_endian");
        if machine.dicts[facts].iter().any(big) {
            return Err(malformed("written on a big-endian machine, which is not supported"));
        }
    }
    let description = next(&mut at)?;
    let names = next(&mut at)?;
    let Value::Sequence(list) = names.result else { return Err(malformed("a list of storages expected")) };
    let elements: BTreeMap<&str, Element> =
        description.storages.iter().map(|storage| (storage.name.as_ref(), storage.element)).collect();
    let mut storages = Storages::new();
    for name in &names.sequences[list] {
        let Value::Text(name) = name else { return Err(malformed("the name of a storage expected")) };
        let Some(element) = elements.get(name.as_ref()) else {
            return Err(malformed(format!("storage `{name}` has data and no tensor")));
        };
        let data = bytes.get(at..).unwrap_or_default();
        let count = data.first_chunk().map(|count| u64::from_le_bytes(*count));
        let size = count.and_then(|count| usize::try_from(count).ok()).and_then(|c| c.checked_mul(element.size()));
        let range = size.and_then(|size| Some(at + 8..(at + 8).checked_add(size)?));
        let Some(range) = range.filter(|range| range.end <= bytes.len()) else {
            return Err(malformed(format!("it ends within storage `{name}`: the file was cut off")));
        };
        at = range.end;
        if storages.insert(name.to_string(), range).is_some() {
            return Err(malformed(format!("storage `{name}` comes twice")));
        }
    }
    Ok((description, storages))
}

/// Finds description and storages in a zip file.
fn zipped(bytes: &[u8]) -> Result<(Pickle, Storages), PickleError> {
    let broken = |error: zip::result::ZipError| malformed(format!("a zip file that is cut off or damaged ({error})"));
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    let names: Vec<String> = archive
        .file_names()
        .map(|name| name.map(std::borrow::Cow::into_owned))
        .collect::<Result<_, _>>()
        .map_err(broken)?;
    let Some(prefix) = names.iter().find_map(|name| name.strip_suffix("data.pkl")).map(str::to_owned) else {
        return Err(malformed("a zip file without `data.pkl`: not saved by torch"));
    };
    let mut checked = 0;
    let mut range_of = |name: &str| -> Result<Range<usize>, PickleError> {
        let mut entry = archive.by_name(name).map_err(|error| malformed(format!("no `{name}` in it ({error})")))?;
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(malformed(format!("`{name}` is compressed or encrypted, which torch does not do")));
        }
        let begin = entry.data_start().and_then(|begin| usize::try_from(begin).ok());
        let end = usize::try_from(entry.size()).ok().and_then(|size| begin?.checked_add(size));
        let Some(range) = begin.zip(end).map(|(begin, end)| begin..end).filter(|range| range.end <= bytes.len()) else {
            return Err(malformed(format!("it ends within `{name}`: the file was cut off")));
        };
        // Entries that overlap would be read over and over.
        checked += range.len();
        if checked > bytes.len() {
            return Err(malformed("its entries overlap"));
        }
        let mut buffer = [0; 1 << 15];
        loop {
            // The reader compares the checksum when it comes to the end.
            match entry.read(&mut buffer) {
                Ok(0) => return Ok(range),
                Ok(_) => {}
                Err(error) => return Err(malformed(format!("`{name}` is damaged ({error})"))),
            }
        }
    };
    let order = format!("{prefix}byteorder");
    if names.contains(&order) && &bytes[range_of(&order)?] != b"little" {
        return Err(malformed("written on a big-endian machine, which is not supported"));
    }
    let description = pickle::read(&bytes[range_of(&format!("{prefix}data.pkl"))?])?;
    let mut storages = Storages::new();
    for storage in &description.storages {
        if !storages.contains_key(storage.name.as_ref()) {
            let range = range_of(&format!("{prefix}data/{}", storage.name))?;
            storages.insert(storage.name.to_string(), range);
        }
    }
    Ok((description, storages))
}

/// The dictionary that holds the tensors: the result itself, or below it under one of the usual names, or its only one.
fn state_dict(description: &Pickle, others: &mut Others) -> Result<usize, String> {
    let mut value = &description.result;
    for _ in 0..MOST_LEVELS {
        let Value::Dict(place) = value else { break };
        let dict = &description.dicts[*place];
        let holds_tensors = |value: &Value| match value {
            Value::Dict(inner) => {
                description.dicts[*inner].iter().any(|(_, value)| matches!(value, Value::Object(Object::Tensor(_))))
            }
            _ => false,
        };
        // A checkpoint may keep a number as a tensor beside its state dictionary (`best_acc1`).
        let wrapped = dict.iter().any(|(key, value)| {
            matches!(key, Value::Text(key) if STATE_NAMES.contains(&key.as_ref())) && holds_tensors(value)
        });
        if !wrapped && dict.iter().any(|(_, value)| matches!(value, Value::Object(Object::Tensor(_)))) {
            return Ok(*place);
        }
        let named = |wanted: &str| {
            dict.iter().position(
                |(key, value)| matches!((key, value), (Value::Text(key), Value::Dict(_)) if key.as_ref() == wanted),
            )
        };
        let dicts: Vec<usize> =
            (0..dict.len()).filter(|&place| matches!(dict[place].1, Value::Dict(_))).take(2).collect();
        let chosen = match (STATE_NAMES.iter().find_map(|name| named(name)), dicts.as_slice()) {
            (Some(place), _) => place,
            (None, &[place]) => place,
            _ => break,
        };
        for (_, (key, other)) in dict.iter().enumerate().filter(|(place, _)| *place != chosen) {
            others.add(description, key, other);
        }
        value = &dict[chosen].1;
    }
    Err(format!("no tensors in it, directly or under one of {STATE_NAMES:?}"))
}

/// Copies the elements that a view shows, in row-major order, as f32.
fn gather(
    description: &Pickle,
    view: &View,
    storages: &Storages,
    bytes: &[u8],
    budget: &mut u64,
) -> Result<Tensor, String> {
    let storage = &description.storages[view.storage];
    let name = &storage.name;
    let data = storages.get(name.as_ref()).map(|range| &bytes[range.clone()]);
    let data = data.ok_or_else(|| format!("its storage `{name}` is not in the file"))?;
    let size = storage.element.size();
    let held = (data.len() / size) as u64;
    if storage.offset.checked_add(storage.elements).is_none_or(|end| end > held) {
        let (begin, count) = (storage.offset, storage.elements);
        return Err(format!("its storage `{name}` holds {held} elements; {count} from {begin} on were announced"));
    }
    let shape: Vec<usize> = view.shape.iter().map(|&length| usize::try_from(length).unwrap_or(usize::MAX)).collect();
    if shape.contains(&0) {
        return Ok(Tensor { shape, values: Vec::new() });
    }
    let count = view.shape.iter().try_fold(1_u64, |product, &length| product.checked_mul(length));
    let count = count.filter(|count| count <= budget).ok_or_else(|| {
        format!("shape {:?} has more elements than the whole file of {} bytes can hold", view.shape, bytes.len())
    })?;
    *budget -= count;
    let last = view
        .shape
        .iter()
        .zip(&view.strides)
        .try_fold(view.offset, |last, (&length, &stride)| last.checked_add((length - 1).checked_mul(stride)?));
    if last.is_none_or(|last| last >= storage.elements) {
        let (shape, strides) = (&view.shape, &view.strides);
        return Err(format!(
            "shape {shape:?} with strides {strides:?} from element {} reaches beyond its storage of {} elements",
            view.offset, storage.elements
        ));
    }
    // All places below are at most `last`, within the data; they fit a usize because the data does.
    let element = |place: u64| {
        let begin = (storage.offset + place) as usize * size;
        convert(storage.element, &data[begin..begin + size])
    };
    let mut values = Vec::with_capacity(count as usize);
    let mut index = vec![0_u64; shape.len()];
    let mut place = view.offset;
    for _ in 0..count {
        values.push(element(place));
        for axis in (0..index.len()).rev() {
            index[axis] += 1;
            // The stride of an axis of length 1 may be anything: it cancels below.
            place = place.wrapping_add(view.strides[axis]);
            if index[axis] < view.shape[axis] {
                break;
            }
            place = place.wrapping_sub(view.strides[axis].wrapping_mul(view.shape[axis]));
            index[axis] = 0;
        }
    }
    Ok(Tensor { shape, values })
}

/// One little-endian element as f32.
fn convert(element: Element, bytes: &[u8]) -> f32 {
    fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
        let mut array = [0; N];
        array.copy_from_slice(bytes);
        array
    }
    match element {
        Element::F16 => f16::from_le_bytes(array(bytes)).to_f32(),
        Element::Bf16 => bf16::from_le_bytes(array(bytes)).to_f32(),
        Element::F32 => f32::from_le_bytes(array(bytes)),
        Element::F64 => f64::from_le_bytes(array(bytes)) as f32,
        Element::Bool | Element::U8 => f32::from(bytes[0]),
        Element::I8 => f32::from(i8::from_le_bytes(array(bytes))),
        Element::I16 => f32::from(i16::from_le_bytes(array(bytes))),
        Element::I32 => i32::from_le_bytes(array(bytes)) as f32,
        Element::I64 => i64::from_le_bytes(array(bytes)) as f32,
    }
}
