//! What a fitted rule is: named arrays.

use std::collections::BTreeMap;

use oodlab_diffusion::DiffusionError;
use oodlab_diffusion::tensor_file::{self, TensorFile, Values};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// One array, row-major.
#[derive(Debug, Clone, PartialEq)]
struct Array {
    shape: Vec<usize>,
    values: Numbers,
}

#[derive(Debug, Clone, PartialEq)]
enum Numbers {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// Arrays by name, in byte order of the names.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Arrays(BTreeMap<String, Array>);

/// Name, shape and whether in double precision, as the header lists them.
type Described = (String, Vec<usize>, bool);

#[derive(Serialize, Deserialize)]
struct Header<H> {
    about: H,
    arrays: Vec<Described>,
}

impl Arrays {
    /// Adds an array in double precision.
    #[must_use]
    pub fn with(mut self, name: &str, shape: &[usize], values: Vec<f64>) -> Arrays {
        self.0.insert(name.to_owned(), Array { shape: shape.to_vec(), values: Numbers::F64(values) });
        self
    }

    /// Adds an array in single precision: copies of features, which have no more.
    #[must_use]
    pub fn with_f32(mut self, name: &str, shape: &[usize], values: Vec<f32>) -> Arrays {
        self.0.insert(name.to_owned(), Array { shape: shape.to_vec(), values: Numbers::F32(values) });
        self
    }

    /// A list in double precision.
    #[must_use]
    pub fn with_list(self, name: &str, values: Vec<f64>) -> Arrays {
        let length = values.len();
        self.with(name, &[length], values)
    }

    /// The values of an array in double precision; none where there is no such array ([`Arrays::expect`] has checked that).
    #[must_use]
    pub fn f64(&self, name: &str) -> &[f64] {
        match self.0.get(name).map(|array| &array.values) {
            Some(Numbers::F64(values)) => values,
            _ => &[],
        }
    }

    /// The same of an array in single precision.
    #[must_use]
    pub fn f32(&self, name: &str) -> &[f32] {
        match self.0.get(name).map(|array| &array.values) {
            Some(Numbers::F32(values)) => values,
            _ => &[],
        }
    }

    /// The first number of an array; 0 where there is none.
    #[must_use]
    pub fn number(&self, name: &str) -> f64 {
        self.f64(name).first().copied().unwrap_or(0.0)
    }

    /// The shape of an array; empty where there is none.
    #[must_use]
    pub fn shape(&self, name: &str) -> &[usize] {
        self.0.get(name).map_or(&[], |array| &array.shape)
    }

    /// Refuses a stored detector in which an array (in double precision or not) is missing or has another shape.
    ///
    /// # Errors
    /// Names the array.
    pub fn expect(&self, name: &str, shape: &[usize], double: bool) -> Result<(), String> {
        match self.0.get(name) {
            Some(array) if array.shape == shape && matches!(array.values, Numbers::F64(_)) == double => Ok(()),
            Some(array) => Err(format!("{name:?} has shape {:?}, expected {shape:?}", array.shape)),
            None => Err(format!("{name:?} is missing")),
        }
    }

    /// With a header, as bytes: equal contents, equal bytes.
    pub fn to_bytes(&self, about: &impl Serialize) -> Result<Vec<u8>, DiffusionError> {
        let described = |(name, array): (&String, &Array)| {
            (name.clone(), array.shape.clone(), matches!(array.values, Numbers::F64(_)))
        };
        let header = Header { about, arrays: self.0.iter().map(described).collect() };
        let tensors: Vec<_> = self
            .0
            .iter()
            .map(|(name, array)| {
                let values = match &array.values {
                    Numbers::F32(values) => Values::F32(values),
                    Numbers::F64(values) => Values::F64(values),
                };
                (name.clone(), array.shape.clone(), values)
            })
            .collect();
        tensor_file::write(&header, &tensors)
    }

    /// What [`Arrays::to_bytes`] wrote.
    pub fn from_bytes<H: DeserializeOwned>(bytes: &[u8]) -> Result<(H, Arrays), DiffusionError> {
        let (Header { about, arrays }, file) = TensorFile::read::<Header<H>>(bytes)?;
        let mut found = Arrays::default();
        for (name, shape, double) in arrays {
            found = if double {
                let values = file.f64(&name, &shape)?;
                found.with(&name, &shape, values)
            } else {
                let values = file.f32(&name, &shape)?;
                found.with_f32(&name, &shape, values)
            };
        }
        Ok((about, found))
    }
}
