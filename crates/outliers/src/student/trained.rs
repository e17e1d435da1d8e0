//! A student that has learned.

use candle_core::{D, DType, Tensor};
use oodlab_diffusion::tensor_file::{self, TensorFile, Values};
use oodlab_encoders::plain::Mode;
use oodlab_features::Head;
use serde::{Deserialize, Serialize};

use super::body::{Body, Shape, matrix};
use super::input::{Images, Input};
use crate::OutlierError;
use crate::error::{expect_finite, expect_length};

/// Samples of a batch in prediction: products have this shape always, so that no answer depends on a sample's company.
const AT_ONCE: usize = 64;
const STANDARDISATION: [&str; 2] = ["input.mean", "input.scale"];

/// What was measured in each epoch: means of the loss and of its terms, accuracies.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Curves(Vec<Curve>);

/// One quantity over epochs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// `loss`, a term, `accuracy`, `validation_accuracy`.
    pub name: String,
    /// Epoch, counted from 1, and value. A term that pretraining leaves out begins after it.
    pub points: Vec<(usize, f64)>,
}

impl Curves {
    pub(super) fn push(&mut self, name: &str, epoch: usize, value: f64) {
        match self.0.iter_mut().find(|curve| curve.name == name) {
            Some(curve) => curve.points.push((epoch, value)),
            None => self.0.push(Curve { name: name.to_owned(), points: vec![(epoch, value)] }),
        }
        self.0.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// The latest value of a quantity.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<f64> {
        self.of(name).and_then(|curve| curve.points.last()).map(|(_, value)| *value)
    }

    /// One quantity.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&Curve> {
        self.0.iter().find(|curve| curve.name == name)
    }

    /// All of them, by name.
    #[must_use]
    pub fn all(&self) -> &[Curve] {
        &self.0
    }
}

/// What a student says of samples.
#[derive(Debug, Clone, PartialEq)]
pub struct StudentOutput {
    /// Features, `[rows, width]`.
    pub features: Vec<f32>,
    /// Values of a feature vector.
    pub width: usize,
    /// Class scores before any softmax, `[rows, classes]`.
    pub logits: Vec<f32>,
    /// Number of classes.
    pub classes: usize,
}

impl StudentOutput {
    /// The share of samples whose largest class score (the first of equal ones) is that of their label, 0 to 1; NaN of no sample.
    #[must_use]
    pub fn accuracy(&self, labels: &[u32]) -> f64 {
        let right = self.logits.chunks_exact(self.classes.max(1)).zip(labels);
        right.filter(|(row, label)| first_largest(row) == **label).count() as f64 / labels.len() as f64
    }
}

fn first_largest(row: &[f32]) -> u32 {
    let best = (0..row.len()).reduce(|best, other| if row[other] > row[best] { other } else { best });
    best.unwrap_or(0) as u32
}

/// The class of the largest score of each row.
pub(super) fn arg_max(logits: &Tensor) -> Result<Vec<u32>, OutlierError> {
    let classes = logits.dim(D::Minus1)?;
    let values = logits.flatten_all()?.to_vec1::<f32>()?;
    Ok(values.chunks_exact(classes.max(1)).map(first_largest).collect())
}

/// A student that has learned, with its curves.
pub struct TrainedStudent {
    body: Body,
    input: Input,
    curves: Curves,
}

impl std::fmt::Debug for TrainedStudent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shape = self.body.shape();
        f.debug_struct("TrainedStudent").field("shape", &shape).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    student: Shape,
    images: Option<Images>,
    curves: Curves,
}

impl TrainedStudent {
    pub(super) fn new(body: Body, input: Input, curves: Curves) -> TrainedStudent {
        TrainedStudent { body, input, curves }
    }

    /// Values of a sample.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.input.given()
    }

    /// Width of its feature.
    #[must_use]
    pub fn width(&self) -> usize {
        self.body.width()
    }

    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.body.shape().classes
    }

    /// What was measured in training.
    #[must_use]
    pub fn curves(&self) -> &Curves {
        &self.curves
    }

    /// The classifier that reads its features.
    ///
    /// # Errors
    /// When candle cannot read a tensor, or a weight is not finite.
    pub fn head(&self) -> Result<Head, OutlierError> {
        let (weight, bias) = self.body.classifier()?;
        let broken =
            |error: oodlab_features::FeatureError| OutlierError::Stored { what: "student", problem: error.to_string() };
        Head::new(self.width(), weight, bias).map_err(broken)
    }

    /// Features and class scores of samples, `[rows, dim]` as in the lesson. They depend neither on other samples nor on threads.
    ///
    /// # Errors
    /// When values are no whole samples or not finite.
    pub fn predict(&self, samples: &[f32]) -> Result<StudentOutput, OutlierError> {
        predict(&self.body, &self.input, samples)
    }

    /// As a file: equal students give equal bytes.
    ///
    /// # Errors
    /// When the file cannot be laid out (never for a student that was trained).
    pub fn to_bytes(&self) -> Result<Vec<u8>, OutlierError> {
        let images = match &self.input {
            Input::Images(images) => Some(*images),
            Input::Standardise { .. } => None,
        };
        let header = Header { student: self.body.shape(), images, curves: self.curves.clone() };
        let state = self.body.state()?;
        let mut tensors: Vec<_> = state
            .iter()
            .map(|(name, shape, values)| (format!("student.{name}"), shape.clone(), Values::F32(values)))
            .collect();
        if let Input::Standardise { mean, scale } = &self.input {
            for (name, values) in STANDARDISATION.iter().zip([mean, scale]) {
                tensors.push(((*name).to_owned(), vec![values.len()], Values::F32(values)));
            }
        }
        Ok(tensor_file::write(&header, &tensors)?)
    }

    /// Reads a student.
    ///
    /// # Errors
    /// When it is another kind of file, damaged, or its parts do not fit together.
    pub fn from_bytes(bytes: &[u8]) -> Result<TrainedStudent, OutlierError> {
        let broken = |problem: String| OutlierError::Stored { what: "student", problem };
        let (header, file) = TensorFile::read::<Header>(bytes).map_err(|error| broken(error.to_string()))?;
        let Header { student, images, curves } = header;
        check_shape(student, images, bytes.len()).map_err(broken)?;
        let input = match images {
            Some(images) => Input::Images(images),
            None => {
                let [mean, scale] = STANDARDISATION.map(|name| file.f32(name, &[student.dim]));
                Input::Standardise { mean: mean?, scale: scale? }
            }
        };
        let body = Body::read(student, &file, "student.")?;
        Ok(TrainedStudent { body, input, curves })
    }
}

/// A damaged header must not lead to sizes that the file cannot hold.
fn check_shape(student: Shape, images: Option<Images>, bytes: usize) -> Result<(), String> {
    let Shape { network, dim, hidden, classes } = student;
    let wrong = |what: &str| Err(format!("its {what} cannot be right"));
    if classes < 2 || classes.saturating_mul(4) > bytes || hidden == 0 || dim == 0 {
        return wrong("sizes");
    }
    match (network.name(), images) {
        (None, None) if dim.saturating_mul(hidden).saturating_mul(4) > bytes => wrong("sizes"),
        (None, None) => Ok(()),
        (Some(_), Some(images)) => {
            let sides = [images.from, images.to].into_iter().all(|side| (1..=4096).contains(&side));
            if sides && 3 * images.to * images.to == dim { Ok(()) } else { wrong("sides of images") }
        }
        _ => wrong("input"),
    }
}

/// In batches of one size, the last filled up with zeros.
pub(super) fn predict(body: &Body, input: &Input, samples: &[f32]) -> Result<StudentOutput, OutlierError> {
    let given = input.given().max(1);
    let rows = samples.len() / given;
    expect_length("samples", rows * given, samples.len())?;
    expect_finite("samples", given, samples)?;
    let mut output = StudentOutput {
        features: Vec::with_capacity(rows * body.width()),
        width: body.width(),
        logits: Vec::with_capacity(rows * body.shape().classes),
        classes: body.shape().classes,
    };
    for part in samples.chunks(AT_ONCE * given) {
        let count = part.len() / given;
        let mut batch = input.batch(part, &(0..count).collect::<Vec<_>>(), None);
        batch.resize(AT_ONCE * input.made(), 0.0);
        let (features, logits) = body.forward(&matrix(batch, input.made(), DType::F32)?, Mode::Infer)?;
        for (to, from) in [(&mut output.features, features), (&mut output.logits, logits)] {
            to.extend(from.narrow(0, 0, count)?.flatten_all()?.to_vec1::<f32>()?);
        }
    }
    Ok(output)
}
