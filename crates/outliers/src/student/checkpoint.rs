//! A training between two steps, kept and found again.

use std::collections::BTreeMap;

use oodlab_base::{KeyBuilder, Seed};
use oodlab_diffusion::TrainContext;
use oodlab_diffusion::tensor_file::{self, TensorFile, Values};
use serde::{Deserialize, Serialize};

use super::body::{Body, Named, Shape};
use super::optimiser::{Adam, Sgd};
use super::trained::Curves;
use super::{Lesson, StudentConfig};
use crate::OutlierError;
use crate::parameters::Parameter;

/// Raised when the same lesson leads to other weights.
const REVISION: u32 = 1;

/// A training between two steps. The projector and the measuring networks stand beside it, and are set when it is read.
pub(super) struct Underway {
    pub body: Body,
    /// Momentum of the student's parameters, then of those beside it.
    pub sgd: Sgd,
    pub adam: Adam,
    /// Finished epochs.
    pub epoch: usize,
    /// Steps done in the epoch under way, and sums over its samples.
    pub step: usize,
    pub sums: BTreeMap<String, f64>,
    pub curves: Curves,
    pub best: Option<Best>,
}

/// The best weights so far.
pub(super) struct Best {
    pub epoch: usize,
    pub accuracy: f64,
    pub state: Vec<Named>,
}

/// Numbers are their bits: JSON would have to print them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    /// Hash of everything that the result depends on.
    training: String,
    epoch: usize,
    step: usize,
    adam_updates: u64,
    sums: BTreeMap<String, u64>,
    curves: BTreeMap<String, Vec<(usize, u64)>>,
    /// Epoch, and bits of the accuracy.
    best: Option<(usize, u64)>,
}

/// The hash of settings, seed, samples, labels, teacher and outliers.
pub(super) fn key(config: &StudentConfig, lesson: &Lesson<'_>, seed: Seed) -> Result<String, OutlierError> {
    let json = |error: serde_json::Error| OutlierError::Stored { what: "checkpoint", problem: error.to_string() };
    let mut builder = KeyBuilder::new("student training", REVISION).config("config", config).map_err(json)?;
    builder = builder.number("seed", seed.0).number("classes", lesson.classes as u64);
    let mut parts: Vec<(&str, usize, &[f32])> = vec![("samples", lesson.dim, lesson.samples)];
    if let Some(pixels) = &lesson.pixels {
        parts.push(("black", pixels.side, &pixels.black));
    }
    if let Some(teacher) = &lesson.teacher {
        parts.push(("teacher features", teacher.width, teacher.features));
        parts.extend(teacher.logits.map(|logits| ("teacher logits", lesson.classes, logits)));
    }
    let mut labels: Vec<(&str, &[u32])> = vec![("labels", lesson.labels)];
    for (name, outliers) in [("boundary", lesson.boundary), ("diffusion", lesson.diffusion)] {
        if let Some(outliers) = outliers {
            parts.push((name, outliers.width, &outliers.values));
            labels.extend(outliers.classes.as_deref().map(|classes| (name, classes)));
        }
    }
    if let Some(held) = &lesson.validation {
        parts.push(("validation", lesson.dim, held.samples));
        labels.push(("validation", held.labels));
    }
    for (name, width, values) in parts {
        builder = builder.text("part", name).number("width", width as u64).number("values", values.len() as u64);
        // In pieces: samples may be most of the memory.
        for piece in values.chunks(1 << 16) {
            let bytes: Vec<u8> = piece.iter().flat_map(|value| value.to_bits().to_le_bytes()).collect();
            builder = builder.bytes("piece", &bytes);
        }
    }
    for (name, values) in labels {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        builder = builder.text("labels of", name).bytes("classes", &bytes);
    }
    Ok(builder.finish().hex())
}

impl Underway {
    /// Hands a checkpoint to whoever keeps them, as one after `updates` steps.
    pub fn save(
        &self,
        beside: Vec<&Parameter>,
        training: &str,
        updates: u64,
        context: &mut TrainContext<'_>,
    ) -> Result<(), OutlierError> {
        let bits = |points: &[(usize, f64)]| points.iter().map(|(epoch, value)| (*epoch, value.to_bits())).collect();
        let header = Header {
            training: training.to_owned(),
            epoch: self.epoch,
            step: self.step,
            adam_updates: self.adam.updates,
            sums: self.sums.iter().map(|(name, sum)| (name.clone(), sum.to_bits())).collect(),
            curves: self.curves.all().iter().map(|curve| (curve.name.clone(), bits(&curve.points))).collect(),
            best: self.best.as_ref().map(|best| (best.epoch, best.accuracy.to_bits())),
        };
        let mut tensors: Vec<Named> = Vec::new();
        let named = |prefix: &str, (name, shape, values): Named| (format!("{prefix}.{name}"), shape, values);
        tensors.extend(self.body.state()?.into_iter().map(|tensor| named("student", tensor)));
        if let Some(best) = &self.best {
            tensors.extend(best.state.iter().cloned().map(|tensor| named("best", tensor)));
        }
        for parameter in &beside {
            tensors.push((format!("beside.{}", parameter.name), parameter.var.dims().to_vec(), parameter.values()?));
        }
        for (name, buffers) in self.buffers() {
            for (number, values) in buffers.iter().enumerate() {
                tensors.push((format!("{name}.{number}"), vec![values.len()], values.clone()));
            }
        }
        let views: Vec<_> = tensors
            .iter()
            .map(|(name, shape, values)| (name.clone(), shape.clone(), Values::F32(values.as_slice())))
            .collect();
        let bytes = tensor_file::write(&header, &views)?;
        let kept = context.checkpoints.save(updates, &bytes);
        kept.map_err(|source| OutlierError::Keeper { action: "saved", source })
    }

    fn buffers(&self) -> [(&'static str, &Vec<Vec<f32>>); 3] {
        [("velocity", &self.sgd.velocity), ("first", &self.adam.first), ("second", &self.adam.second)]
    }

    /// Reads a checkpoint of that very training, and sets the parameters beside the student once all of it was found good.
    pub fn read(
        bytes: &[u8],
        training: &str,
        config: &StudentConfig,
        rows: usize,
        shape: Shape,
        beside: &[&Parameter],
    ) -> Result<Underway, OutlierError> {
        let (header, file) = TensorFile::read::<Header>(bytes)?;
        let refuse = |problem: String| Err(OutlierError::Stored { what: "checkpoint", problem });
        if header.training != training {
            return refuse("it belongs to other settings, another seed or other samples".into());
        }
        let (epochs, steps) =
            (config.train.pretrain_epochs + config.train.epochs, rows.div_ceil(config.train.batch_size));
        if header.epoch >= epochs || header.step >= steps {
            return refuse(format!("epoch {}, step {} lie behind the end", header.epoch, header.step));
        }
        let body = Body::read(shape, &file, "student.")?;
        let all: Vec<&Parameter> = body.trained().iter().chain(beside.iter().copied()).collect();
        let mut sgd = Sgd::new(&all, config.train.momentum, config.train.weight_decay);
        // The measuring networks come last, behind the projector.
        let measuring: Vec<&Parameter> =
            beside.iter().copied().filter(|parameter| !parameter.name.starts_with("projector.")).collect();
        let mut adam = Adam { updates: header.adam_updates, ..Adam::new(&measuring) };
        let groups = [("velocity", &mut sgd.velocity), ("first", &mut adam.first), ("second", &mut adam.second)];
        for (name, buffers) in groups {
            for (number, buffer) in buffers.iter_mut().enumerate() {
                *buffer = file.f32(&format!("{name}.{number}"), &[buffer.len()])?;
            }
        }
        let best = match header.best {
            Some((epoch, accuracy)) => {
                let state = Body::read(shape, &file, "best.")?.state()?;
                Some(Best { epoch, accuracy: f64::from_bits(accuracy), state })
            }
            None => None,
        };
        let mut found = Vec::new();
        for parameter in beside {
            found.push(file.f32(&format!("beside.{}", parameter.name), parameter.var.dims())?);
        }
        for (parameter, values) in beside.iter().zip(&found) {
            parameter.set(values)?;
        }
        let mut curves = Curves::default();
        for (name, points) in &header.curves {
            points.iter().for_each(|(epoch, bits)| curves.push(name, *epoch, f64::from_bits(*bits)));
        }
        let sums = header.sums.into_iter().map(|(name, bits)| (name, f64::from_bits(bits))).collect();
        Ok(Underway { body, sgd, adam, epoch: header.epoch, step: header.step, sums, curves, best })
    }
}
