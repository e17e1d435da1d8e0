//! What a pickle of tensors is made of.

use std::rc::Rc;

/// The element type of a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F16,
    Bf16,
    F32,
    F64,
    Bool,
    U8,
    I8,
    I16,
    I32,
    I64,
}

impl Element {
    /// Bytes of one element.
    pub(super) fn size(self) -> usize {
        match self {
            Element::Bool | Element::U8 | Element::I8 => 1,
            Element::F16 | Element::Bf16 | Element::I16 => 2,
            Element::F32 | Element::I32 => 4,
            Element::F64 | Element::I64 => 8,
        }
    }
}

/// What `GLOBAL` may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildTensorV2,
    RebuildParameter,
    Storage(Element),
}

impl Global {
    pub(super) fn named(module: &str, name: &str) -> Option<Global> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor") => Global::RebuildTensor,
            ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensorV2,
            ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
            ("torch", "HalfStorage") => Global::Storage(Element::F16),
            ("torch", "BFloat16Storage") => Global::Storage(Element::Bf16),
            ("torch", "FloatStorage") => Global::Storage(Element::F32),
            ("torch", "DoubleStorage") => Global::Storage(Element::F64),
            ("torch", "BoolStorage") => Global::Storage(Element::Bool),
            ("torch", "ByteStorage") => Global::Storage(Element::U8),
            ("torch", "CharStorage") => Global::Storage(Element::I8),
            ("torch", "ShortStorage") => Global::Storage(Element::I16),
            ("torch", "IntStorage") => Global::Storage(Element::I32),
            ("torch", "LongStorage") => Global::Storage(Element::I64),
            _ => return None,
        })
    }
}

/// What calls of those names make; numbers are places in the tables of [`super::pickle::Torch`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Object {
    Storage(usize),
    Tensor(usize),
}

/// A value of a pickle of tensors.
pub(super) type Value = oodlab_formats::pickle::Value<Global, Object>;

/// A part of a file's data that tensors look at.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    pub(super) element: Element,
    /// Its name in the file.
    pub(super) name: Rc<str>,
    /// Where this view of it begins, in elements.
    pub(super) offset: u64,
    /// Elements from there.
    pub(super) elements: u64,
}

/// A tensor as a view of a storage; nothing was checked against the data yet.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) storage: usize,
    /// First element.
    pub(super) offset: u64,
    pub(super) shape: Vec<u64>,
    /// Elements from one index to the next, an axis.
    pub(super) strides: Vec<u64>,
}
