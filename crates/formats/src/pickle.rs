//! A reader of the data instructions of Python's pickles. It never runs code.
//!
//! A pickle is a program for a small stack machine (the instruction set is documented in Python's `pickletools`). This reader
//! knows the data instructions of the binary protocols 1 to 5; what `GLOBAL` may ask for is the caller's closed list, its
//! [`Vocabulary`], and "calls" of those names build the caller's objects and nothing else. Everything that a program makes lives
//! in flat tables ([`Tables`]), so that values may refer to themselves or be nested a million deep without harm; the number of
//! instructions is bounded.

mod machine;

use std::fmt::Debug;
use std::ops::Range;
use std::rc::Rc;

/// Why a pickle was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PickleError {
    /// It asks for a class or function outside the list: `module.name`.
    Forbidden(String),
    /// Anything else, with the position.
    Malformed(String),
}

/// A value; numbers in brackets are places in the [`Tables`] that it came with.
#[derive(Debug, Clone)]
pub enum Value<N, O> {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer of at most 64 bits.
    Integer(i64),
    /// A floating-point number, which nobody needs here.
    Float,
    /// Text.
    Text(Rc<str>),
    /// Bytes: where they lie in the file.
    Bytes(Range<usize>),
    /// A tuple or list.
    Sequence(usize),
    /// A dictionary.
    Dict(usize),
    /// A name that [`Vocabulary::named`] knows.
    Name(N),
    /// What a call made.
    Object(O),
}

/// A value of a vocabulary.
pub type ValueOf<V> = Value<<V as Vocabulary>::Name, <V as Vocabulary>::Object>;

/// Keys and values in the order in which they were set.
pub type Pairs<N, O> = Vec<(Value<N, O>, Value<N, O>)>;

/// What a program made.
#[derive(Debug)]
pub struct Tables<N, O> {
    /// Tuples and lists.
    pub sequences: Vec<Vec<Value<N, O>>>,
    /// Dictionaries.
    pub dicts: Vec<Pairs<N, O>>,
}

/// The tables of a vocabulary.
pub type TablesOf<V> = Tables<<V as Vocabulary>::Name, <V as Vocabulary>::Object>;

impl<N: Clone, O: Clone> Tables<N, O> {
    /// A new tuple or list.
    pub fn sequence(&mut self, items: Vec<Value<N, O>>) -> Value<N, O> {
        self.sequences.push(items);
        Value::Sequence(self.sequences.len() - 1)
    }

    /// A new dictionary.
    pub fn dict(&mut self, pairs: Pairs<N, O>) -> Value<N, O> {
        self.dicts.push(pairs);
        Value::Dict(self.dicts.len() - 1)
    }

    /// The items of a tuple or list.
    ///
    /// # Errors
    /// When it is none.
    pub fn items(&self, value: &Value<N, O>) -> Result<&[Value<N, O>], String> {
        match value {
            Value::Sequence(place) => Ok(&self.sequences[*place]),
            _ => Err("a tuple expected".to_owned()),
        }
    }

    /// A dictionary from a list of pairs.
    ///
    /// # Errors
    /// When it is none.
    pub fn dict_of_pairs(&mut self, pairs: &Value<N, O>) -> Result<Value<N, O>, String> {
        let mut dict = Vec::new();
        for pair in self.items(pairs)? {
            match self.items(pair)? {
                [key, value] => dict.push((key.clone(), value.clone())),
                _ => return Err("a pair of key and value expected".to_owned()),
            }
        }
        Ok(self.dict(dict))
    }
}

/// What a pickle may ask for, and what becomes of it. Errors say what is wrong; the reader adds where.
pub trait Vocabulary {
    /// What `GLOBAL` may ask for.
    type Name: Copy + Debug;
    /// What calls make.
    type Object: Clone + Debug;
    /// Whether Python 2's `str` is bytes; else it is text and must be UTF-8.
    const OLD_STRINGS_ARE_BYTES: bool;
    /// What such pickles hold, for messages: "saved tensors".
    const CONTENT: &'static str;

    /// The name of a class or function; anything that has none is refused.
    fn named(module: &str, name: &str) -> Option<Self::Name>;

    /// BINPERSID: an object that is kept outside the pickle.
    ///
    /// # Errors
    /// When there is no such object.
    fn persistent(&mut self, _tables: &mut TablesOf<Self>, _id: &ValueOf<Self>) -> Result<ValueOf<Self>, String> {
        Err(format!("something kept outside of the file, which {} do not need", Self::CONTENT))
    }

    /// REDUCE: a "call" of a name.
    ///
    /// # Errors
    /// When it takes other arguments.
    fn reduce(
        &mut self,
        tables: &mut TablesOf<Self>,
        name: Self::Name,
        arguments: &[ValueOf<Self>],
    ) -> Result<ValueOf<Self>, String>;

    /// BUILD: the state of an object or dictionary.
    ///
    /// # Errors
    /// When it does not fit.
    fn build(&mut self, tables: &TablesOf<Self>, object: &ValueOf<Self>, state: &ValueOf<Self>) -> Result<(), String>;
}

/// What a program left: its result and the tables that values refer to.
#[derive(Debug)]
pub struct Pickle<N, O> {
    /// The topmost value when it stopped.
    pub result: Value<N, O>,
    /// Everything that it made.
    pub tables: Tables<N, O>,
    /// Bytes of the program.
    pub length: usize,
}

/// Reads one pickle from the beginning of `bytes`; what lies behind it is not looked at.
///
/// # Errors
/// When it asks for a name that the vocabulary does not know, or is damaged.
pub fn read<V: Vocabulary>(bytes: &[u8], vocabulary: &mut V) -> Result<Pickle<V::Name, V::Object>, PickleError> {
    machine::Machine::new(bytes, vocabulary).run_whole()
}

#[cfg(test)]
mod tests;
