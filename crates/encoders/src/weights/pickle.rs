//! The few names that tensors are saved with, for the reader of pickles in [`oodlab_formats::pickle`], which runs no code.

use std::rc::Rc;

use oodlab_formats::pickle::{self, PickleError, Tables, Vocabulary};

use super::pickle_value::{Global, Object, Storage, Value, View};

/// Longest shape of a tensor.
const MOST_AXES: usize = 16;

/// What a program left: its result and the tables that values refer to.
pub(super) struct Pickle {
    pub(super) result: Value,
    pub(super) sequences: Vec<Vec<Value>>,
    pub(super) dicts: Vec<Vec<(Value, Value)>>,
    pub(super) storages: Vec<Storage>,
    pub(super) views: Vec<View>,
    /// Bytes of the program.
    pub(super) length: usize,
}

/// Reads one pickle from the beginning of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Pickle, PickleError> {
    let mut torch = Torch::default();
    let pickle::Pickle { result, tables, length } = pickle::read(bytes, &mut torch)?;
    let (Tables { sequences, dicts }, Torch { storages, views }) = (tables, torch);
    Ok(Pickle { result, sequences, dicts, storages, views, length })
}

/// What calls made.
#[derive(Default)]
pub(super) struct Torch {
    storages: Vec<Storage>,
    views: Vec<View>,
}

type Found = Tables<Global, Object>;

/// A count: an integer that is not negative.
fn count(value: &Value, what: &str) -> Result<u64, String> {
    match value {
        Value::Integer(value) => u64::try_from(*value).map_err(|_| format!("{what} {value}")),
        _ => Err(format!("{what} that is not an integer")),
    }
}

fn counts(tables: &Found, value: &Value, what: &str) -> Result<Vec<u64>, String> {
    let items = tables.items(value)?;
    if items.len() > MOST_AXES {
        return Err(format!("a tensor of {} axes", items.len()));
    }
    items.iter().map(|item| count(item, what)).collect()
}

impl Vocabulary for Torch {
    type Name = Global;
    type Object = Object;
    const OLD_STRINGS_ARE_BYTES: bool = false;
    const CONTENT: &'static str = "saved tensors";

    fn named(module: &str, name: &str) -> Option<Global> {
        Global::named(module, name)
    }

    /// `("storage", class, name, device, elements)`, and in old files `None` or `(name, offset, elements)` of a part of it.
    fn persistent(&mut self, tables: &mut Found, id: &Value) -> Result<Value, String> {
        let storage = match tables.items(id)? {
            [Value::Text(kind), Value::Name(Global::Storage(element)), Value::Text(name), _, all, rest @ ..]
                if kind.as_ref() == "storage" && rest.len() <= 1 =>
            {
                let (mut offset, mut elements) = (0, count(all, "a storage of size")?);
                match rest {
                    [] | [Value::None] => {}
                    [part] => match tables.items(part)? {
                        [_, begin, part] => {
                            offset = count(begin, "an offset of")?;
                            elements = count(part, "a part of size")?;
                        }
                        _ => return Err("a part of a storage expected".to_owned()),
                    },
                    _ => return Err("a storage expected".to_owned()),
                }
                Storage { element: *element, name: Rc::clone(name), offset, elements }
            }
            _ => return Err("a storage expected".to_owned()),
        };
        self.storages.push(storage);
        Ok(Value::Object(Object::Storage(self.storages.len() - 1)))
    }

    fn reduce(&mut self, tables: &mut Found, function: Global, arguments: &[Value]) -> Result<Value, String> {
        match (function, arguments) {
            (Global::OrderedDict, []) => Ok(tables.dict(Vec::new())),
            // Python 2 wrote an ordered dictionary with its pairs as a list.
            (Global::OrderedDict, [pairs]) => tables.dict_of_pairs(pairs),
            (
                Global::RebuildTensor | Global::RebuildTensorV2,
                [Value::Object(Object::Storage(storage)), offset, shape, strides, ..],
            ) => {
                let view = View {
                    storage: *storage,
                    offset: count(offset, "an offset of")?,
                    shape: counts(tables, shape, "an axis of length")?,
                    strides: counts(tables, strides, "a stride of")?,
                };
                if view.shape.len() != view.strides.len() {
                    let (axes, strides) = (view.shape.len(), view.strides.len());
                    return Err(format!("a tensor of {axes} axes with {strides} strides"));
                }
                self.views.push(view);
                Ok(Value::Object(Object::Tensor(self.views.len() - 1)))
            }
            (Global::RebuildParameter, [tensor @ Value::Object(Object::Tensor(_)), ..]) => Ok(tensor.clone()),
            _ => Err(format!("a call of {function:?} with other arguments than it takes")),
        }
    }

    /// Attributes of an ordered dictionary (the format versions of its modules), which nobody needs here.
    fn build(&mut self, _tables: &Found, object: &Value, _state: &Value) -> Result<(), String> {
        match object {
            Value::Dict(_) => Ok(()),
            _ => Err("attributes for something that is no dictionary".to_owned()),
        }
    }
}
