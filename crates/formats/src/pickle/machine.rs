//! The stack machine.

use std::collections::BTreeMap;

use super::{Pickle, PickleError, Tables, TablesOf, Value, ValueOf, Vocabulary};

/// More instructions than the largest networks need (about forty a tensor), few enough to bound memory.
const MOST_INSTRUCTIONS: usize = 2_000_000;

pub(super) struct Machine<'a, V: Vocabulary> {
    bytes: &'a [u8],
    vocabulary: &'a mut V,
    at: usize,
    stack: Vec<ValueOf<V>>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: BTreeMap<usize, ValueOf<V>>,
    tables: TablesOf<V>,
}

type Step<T> = Result<T, PickleError>;

impl<'a, V: Vocabulary> Machine<'a, V> {
    pub(super) fn new(bytes: &'a [u8], vocabulary: &'a mut V) -> Machine<'a, V> {
        let tables = Tables { sequences: Vec::new(), dicts: Vec::new() };
        Machine { bytes, vocabulary, at: 0, stack: Vec::new(), marks: Vec::new(), memo: BTreeMap::new(), tables }
    }

    pub(super) fn run_whole(mut self) -> Step<Pickle<V::Name, V::Object>> {
        let result = self.run()?;
        Ok(Pickle { result, tables: self.tables, length: self.at })
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

    /// A length of eight bytes.
    fn wide(&mut self) -> Step<usize> {
        let length = u64::from_le_bytes(self.take_array()?);
        usize::try_from(length).or_else(|_| self.malformed(format_args!("{length} bytes expected and the file ends")))
    }

    fn text(&mut self, length: usize) -> Step<()> {
        let bytes = self.take(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => self.push(Value::Text(text.into())),
            Err(_) => return self.malformed("text that is not UTF-8"),
        }
        Ok(())
    }

    fn data(&mut self, length: usize) -> Step<()> {
        self.take(length)?;
        self.push(Value::Bytes(self.at - length..self.at));
        Ok(())
    }

    /// What Python 2 wrote as `str`.
    fn old_string(&mut self, length: usize) -> Step<()> {
        if V::OLD_STRINGS_ARE_BYTES { self.data(length) } else { self.text(length) }
    }

    fn push(&mut self, value: ValueOf<V>) {
        self.stack.push(value);
    }

    /// The topmost value, which must lie above the last open mark.
    fn pop(&mut self) -> Step<ValueOf<V>> {
        if self.stack.len() > self.marks.last().copied().unwrap_or(0)
            && let Some(value) = self.stack.pop()
        {
            return Ok(value);
        }
        self.malformed("a value expected and the stack is empty")
    }

    fn pop_to_mark(&mut self) -> Step<Vec<ValueOf<V>>> {
        match self.marks.pop() {
            Some(height) if height <= self.stack.len() => Ok(self.stack.split_off(height)),
            _ => self.malformed("a mark expected and none is open"),
        }
    }

    fn push_sequence(&mut self, items: Vec<ValueOf<V>>) {
        let sequence = self.tables.sequence(items);
        self.push(sequence);
    }

    fn push_dict(&mut self) {
        let dict = self.tables.dict(Vec::new());
        self.push(dict);
    }

    /// Adds key, value, key, value, .. to the dictionary on top.
    fn set_items(&mut self, items: Vec<ValueOf<V>>) -> Step<()> {
        let Some(Value::Dict(dict)) = self.stack.last() else {
            return self.malformed("a dictionary expected");
        };
        let dict = *dict;
        if !items.len().is_multiple_of(2) {
            return self.malformed("a key without a value");
        }
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            self.tables.dicts[dict].push((key, value));
        }
        Ok(())
    }

    fn append(&mut self, items: Vec<ValueOf<V>>) -> Step<()> {
        let Some(Value::Sequence(list)) = self.stack.last() else {
            return self.malformed("a list expected");
        };
        let list = *list;
        self.tables.sequences[list].extend(items);
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
        match V::named(module, name) {
            Some(name) => {
                self.push(Value::Name(name));
                Ok(())
            }
            None => Err(PickleError::Forbidden(format!("{module}.{name}").escape_debug().to_string())),
        }
    }

    fn run(&mut self) -> Step<ValueOf<V>> {
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
                b'X' => {
                    let length = self.long()?;
                    self.text(length)?;
                }
                0x8c => {
                    let length = usize::from(self.byte()?);
                    self.text(length)?;
                }
                0x8d => {
                    let length = self.wide()?;
                    self.text(length)?;
                }
                b'T' => {
                    let length = self.long()?;
                    self.old_string(length)?;
                }
                b'U' => {
                    let length = usize::from(self.byte()?);
                    self.old_string(length)?;
                }
                b'C' => {
                    let length = usize::from(self.byte()?);
                    self.data(length)?;
                }
                b'B' => {
                    let length = self.long()?;
                    self.data(length)?;
                }
                0x8e | 0x96 => {
                    let length = self.wide()?;
                    self.data(length)?;
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
                b'Q' => {
                    let id = self.pop()?;
                    let value = self.vocabulary.persistent(&mut self.tables, &id);
                    let value = value.or_else(|what| self.malformed(what))?;
                    self.push(value);
                }
                b'R' => self.reduce()?,
                b'b' => self.build()?,
                other => {
                    return self.malformed(format_args!("instruction {other:#04x}, which {} do not need", V::CONTENT));
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

    /// REDUCE: a "call" of one of the known names.
    fn reduce(&mut self) -> Step<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Value::Name(name) = function else {
            return self.malformed("a call of something that is no function");
        };
        let Value::Sequence(place) = arguments else { return self.malformed("a tuple expected") };
        // Nobody sees the tables while a call runs but the call itself, which may add to them.
        let arguments = std::mem::take(&mut self.tables.sequences[place]);
        let value = self.vocabulary.reduce(&mut self.tables, name, &arguments);
        self.tables.sequences[place] = arguments;
        let value = value.or_else(|what| self.malformed(what))?;
        self.push(value);
        Ok(())
    }

    /// BUILD: the state of the object on top.
    fn build(&mut self) -> Step<()> {
        let state = self.pop()?;
        let built = match self.stack.last() {
            Some(object) => self.vocabulary.build(&self.tables, object, &state),
            None => Err("attributes for nothing".to_owned()),
        };
        built.or_else(|what| self.malformed(what))
    }
}
