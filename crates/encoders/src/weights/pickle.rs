//! A reader of the few pickle instructions that tensors are saved with. It never runs code.
//!
//! A pickle is a program for a small stack machine (the instruction set is documented in Python's `pickletools`). This
//! reader knows the data instructions, and a closed list of names that `GLOBAL` may ask for; "calls" of those build the
//! values below and nothing else. Everything that a program makes lives in flat tables ([`Pickle`]), so that values may
//! refer to themselves or be nested a million deep without harm; the number of instructions is bounded.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::pickle_value::{Global, PickleError, Storage, Value, View};

/// More instructions than the largest networks need (about forty a tensor), few enough to bound memory.
const MOST_INSTRUCTIONS: usize = 2_000_000;

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
    let mut machine = Machine::new(bytes);
    let result = machine.run()?;
    Ok(Pickle {
        result,
        sequences: machine.sequences,
        dicts: machine.dicts,
        storages: machine.storages,
        views: machine.views,
        length: machine.at,
    })
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: BTreeMap<usize, Value>,
    sequences: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
    storages: Vec<Storage>,
    views: Vec<View>,
}

type Step<T> = Result<T, PickleError>;

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8]) -> Machine<'a> {
        Machine {
            bytes,
            at: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: BTreeMap::new(),
            sequences: Vec::new(),
            dicts: Vec::new(),
            storages: Vec::new(),
            views: Vec::new(),
        }
    }

    fn malformed<T>(&self, reason: impl std::fmt::Display) -> Step<T> {
        Err(PickleError::Malformed(format!("{reason} (byte {} of its pickle)", self.at)))
    }

    fn take(&mut self, count: usize) -> Step<&'a [u8]> {
        let Some(taken) = self.at.checked_add(count).and_then(|end| self.bytes.get(self.at..end)) else {
            return self.malformed(format_args!("{count} bytes expected and the file ends"));
        };
        self.at += count;
        Ok(taken)
    }

    fn take_array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Step<u8> {
        Ok(self.take_array::<1>()?[0])
    }

    /// A length or a place: four bytes, little-endian.
    fn long(&mut self) -> Step<usize> {
        Ok(u32::from_le_bytes(self.take_array()?) as usize)
    }

    fn line(&mut self) -> Step<&'a str> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().take(1000).position(|&byte| byte == b'\n') else {
            return self.malformed("a name without an end");
        };
        let line = self.take(length)?;
        self.at += 1;
        std::str::from_utf8(line).or_else(|_| self.malformed("a name that is not UTF-8"))
    }

    fn text(&mut self, length: usize) -> Step<()> {
        let bytes = self.take(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => self.push(Value::Text(text.into())),
            Err(_) => return self.malformed("text that is not UTF-8"),
        }
        Ok(())
    }

    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    /// The topmost value, which must lie above the last open mark.
    fn pop(&mut self) -> Step<Value> {
        if self.stack.len() > self.marks.last().copied().unwrap_or(0)
            && let Some(value) = self.stack.pop()
        {
            return Ok(value);
        }
        self.malformed("a value expected and the stack is empty")
    }

    fn pop_to_mark(&mut self) -> Step<Vec<Value>> {
        match self.marks.pop() {
            Some(height) if height <= self.stack.len() => Ok(self.stack.split_off(height)),
            _ => self.malformed("a mark expected and none is open"),
        }
    }

    fn push_sequence(&mut self, items: Vec<Value>) {
        self.sequences.push(items);
        self.push(Value::Sequence(self.sequences.len() - 1));
    }

    fn push_dict(&mut self) {
        self.dicts.push(Vec::new());
        self.push(Value::Dict(self.dicts.len() - 1));
    }

    /// Adds key, value, key, value, .. to the dictionary on top.
    fn set_items(&mut self, items: Vec<Value>) -> Step<()> {
        let Some(Value::Dict(dict)) = self.stack.last() else {
            return self.malformed("a dictionary expected");
        };
        let dict = *dict;
        if !items.len().is_multiple_of(2) {
            return self.malformed("a key without a value");
        }
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            self.dicts[dict].push((key, value));
        }
        Ok(())
    }

    fn append(&mut self, items: Vec<Value>) -> Step<()> {
        let Some(Value::Sequence(list)) = self.stack.last() else {
            return self.malformed("a list expected");
        };
        let list = *list;
        self.sequences[list].extend(items);
        Ok(())
    }

    fn remember(&mut self, place: usize) -> Step<()> {
        match self.stack.last() {
            Some(value) => {
                self.memo.insert(place, value.clone());
                Ok(())
            }
            None => self.malformed("a value expected and the stack is empty"),
        }
    }

    fn recall(&mut self, place: usize) -> Step<()> {
        match self.memo.get(&place).cloned() {
            Some(value) => {
                self.push(value);
                Ok(())
            }
            None => self.malformed(format_args!("value {place} recalled before it was remembered")),
        }
    }

    fn global(&mut self, module: &str, name: &str) -> Step<()> {
        match Global::named(module, name) {
            Some(global) => {
                self.push(Value::Global(global));
                Ok(())
            }
            None => Err(PickleError::Forbidden(format!("{module}.{name}").escape_debug().to_string())),
        }
    }

    fn run(&mut self) -> Step<Value> {
        for _ in 0..MOST_INSTRUCTIONS {
            match self.byte()? {
                b'.' => return self.pop(),
                // PROTO and FRAME say how the rest was written; the instructions are the same.
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'(' => self.marks.push(self.stack.len()),
                b'0' => drop(self.pop()?),
                b'1' => drop(self.pop_to_mark()?),
                b'N' => self.push(Value::None),
                0x88 => self.push(Value::Bool(true)),
                0x89 => self.push(Value::Bool(false)),
                b'J' => {
                    let value = i32::from_le_bytes(self.take_array()?);
                    self.push(Value::Integer(i64::from(value)));
                }
                b'K' => {
                    let value = self.byte()?;
                    self.push(Value::Integer(i64::from(value)));
                }
                b'M' => {
                    let value = u16::from_le_bytes(self.take_array()?);
                    self.push(Value::Integer(i64::from(value)));
                }
                0x8a => self.long_integer()?,
                b'G' => {
                    self.take(8)?;
                    self.push(Value::Float);
                }
                b'X' | b'T' => {
                    let length = self.long()?;
                    self.text(length)?;
                }
                0x8c | b'U' => {
                    let length = usize::from(self.byte()?);
                    self.text(length)?;
                }
                b'C' => {
                    let length = usize::from(self.byte()?);
                    self.take(length)?;
                    self.push(Value::Bytes);
                }
                b'B' => {
                    let length = self.long()?;
                    self.take(length)?;
                    self.push(Value::Bytes);
                }
                b')' | b']' => self.push_sequence(Vec::new()),
                b't' | b'l' => {
                    let items = self.pop_to_mark()?;
                    self.push_sequence(items);
                }
                count @ 0x85..=0x87 => {
                    // Of the exact size: a file may hold millions of them.
                    let mut items = Vec::with_capacity(usize::from(count - 0x84));
                    for _ in 0x84..count {
                        items.push(self.pop()?);
                    }
                    items.reverse();
                    self.push_sequence(items);
                }
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                }
                b'e' => {
                    let items = self.pop_to_mark()?;
                    self.append(items)?;
                }
                b'}' => self.push_dict(),
                b's' => {
                    let value = self.pop()?;
                    let key = self.pop()?;
                    self.set_items(vec![key, value])?;
                }
                b'u' => {
                    let items = self.pop_to_mark()?;
                    self.set_items(items)?;
                }
                b'q' => {
                    let place = usize::from(self.byte()?);
                    self.remember(place)?;
                }
                b'r' => {
                    let place = self.long()?;
                    self.remember(place)?;
                }
                0x94 => self.remember(self.memo.len())?,
                b'h' => {
                    let place = usize::from(self.byte()?);
                    self.recall(place)?;
                }
                b'j' => {
                    let place = self.long()?;
                    self.recall(place)?;
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.global(module, name)?;
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let (Value::Text(name), Value::Text(module)) = (name, module) else {
                        return self.malformed("the name of a class expected");
                    };
                    self.global(&module, &name)?;
                }
                b'Q' => self.storage()?,
                b'R' => self.reduce()?,
                b'b' => self.build()?,
                other => {
                    return self.malformed(format_args!("instruction {other:#04x}, which no saved tensors need"));
                }
            }
        }
        self.malformed(format_args!("more than {MOST_INSTRUCTIONS} instructions"))
    }

    /// LONG1: an integer of up to eight bytes.
    fn long_integer(&mut self) -> Step<()> {
        let length = usize::from(self.byte()?);
        let bytes = self.take(length)?;
        if length > 8 {
            return self.malformed(format_args!("an integer of {length} bytes"));
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut array = [if negative { 0xff } else { 0 }; 8];
        array[..length].copy_from_slice(bytes);
        self.push(Value::Integer(i64::from_le_bytes(array)));
        Ok(())
    }

    /// The items of a tuple or list.
    fn items(&self, value: &Value) -> Step<&[Value]> {
        match value {
            Value::Sequence(place) => Ok(&self.sequences[*place]),
            _ => self.malformed("a tuple expected"),
        }
    }

    /// A count: an integer that is not negative.
    fn count(&self, value: &Value, what: &str) -> Step<u64> {
        match value {
            Value::Integer(value) => u64::try_from(*value).or_else(|_| self.malformed(format_args!("{what} {value}"))),
            _ => self.malformed(format_args!("{what} that is not an integer")),
        }
    }

    fn counts(&self, value: &Value, what: &str) -> Step<Vec<u64>> {
        let items = self.items(value)?;
        if items.len() > MOST_AXES {
            return self.malformed(format_args!("a tensor of {} axes", items.len()));
        }
        items.iter().map(|item| self.count(item, what)).collect()
    }

    /// BINPERSID: `("storage", class, name, device, elements)`, and in old files `None` or `(name, offset, elements)` of
    /// a part of it.
    fn storage(&mut self) -> Step<()> {
        let id = self.pop()?;
        let storage = match self.items(&id)? {
            [Value::Text(kind), Value::Global(Global::Storage(element)), Value::Text(name), _, count, rest @ ..]
                if kind.as_ref() == "storage" && rest.len() <= 1 =>
            {
                let (mut offset, mut elements) = (0, self.count(count, "a storage of size")?);
                match rest {
                    [] | [Value::None] => {}
                    [part] => match self.items(part)? {
                        [_, begin, count] => {
                            offset = self.count(begin, "an offset of")?;
                            elements = self.count(count, "a part of size")?;
                        }
                        _ => return self.malformed("a part of a storage expected"),
                    },
                    _ => return self.malformed("a storage expected"),
                }
                Storage { element: *element, name: Rc::clone(name), offset, elements }
            }
            _ => return self.malformed("a storage expected"),
        };
        self.storages.push(storage);
        self.push(Value::Storage(self.storages.len() - 1));
        Ok(())
    }

    /// REDUCE: a "call" of one of the known names.
    fn reduce(&mut self) -> Step<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Value::Global(function) = function else {
            return self.malformed("a call of something that is no function");
        };
        let arguments = self.items(&arguments)?;
        match (function, arguments) {
            (Global::OrderedDict, []) => self.push_dict(),
            // Python 2 wrote an ordered dictionary with its pairs as a list.
            (Global::OrderedDict, [pairs]) => {
                let mut dict = Vec::new();
                for pair in self.items(pairs)? {
                    match self.items(pair)? {
                        [key, value] => dict.push((key.clone(), value.clone())),
                        _ => return self.malformed("a pair of key and value expected"),
                    }
                }
                self.dicts.push(dict);
                self.push(Value::Dict(self.dicts.len() - 1));
            }
            (
                Global::RebuildTensor | Global::RebuildTensorV2,
                [Value::Storage(storage), offset, shape, strides, ..],
            ) => {
                let view = View {
                    storage: *storage,
                    offset: self.count(offset, "an offset of")?,
                    shape: self.counts(shape, "an axis of length")?,
                    strides: self.counts(strides, "a stride of")?,
                };
                if view.shape.len() != view.strides.len() {
                    let (axes, strides) = (view.shape.len(), view.strides.len());
                    return self.malformed(format_args!("a tensor of {axes} axes with {strides} strides"));
                }
                self.views.push(view);
                self.push(Value::Tensor(self.views.len() - 1));
            }
            (Global::RebuildParameter, [tensor @ Value::Tensor(_), ..]) => {
                let tensor = tensor.clone();
                self.push(tensor);
            }
            _ => return self.malformed(format_args!("a call of {function:?} with other arguments than it takes")),
        }
        Ok(())
    }

    /// BUILD: attributes of an ordered dictionary (the format versions of its modules), which nobody needs here.
    fn build(&mut self) -> Step<()> {
        self.pop()?;
        match self.stack.last() {
            Some(Value::Dict(_)) => Ok(()),
            _ => self.malformed("attributes for something that is no dictionary"),
        }
    }
}
