//! From training samples to a trained student.

use std::path::Path;

use oodlab_diffusion::{NoCheckpoints, TrainContext};
use oodlab_outliers::latent::{LatentGenerator, OutlierGenerator, Request, precomputed};
use oodlab_outliers::stable_diffusion::StableDiffusion;
use oodlab_outliers::student::{HeldOut, Lesson, Pixels, Student, StudentNetwork, TeacherView, TrainedStudent};
use oodlab_outliers::{Outliers, boundary};
use serde_json::{Value, json};

use super::{DiffusionSection, DiffusionSource, KIND, OalConfig};
use crate::{DetectorError, FitContext, Labeled, Needs};

/// The student of these settings: kept from another fit, or trained.
pub(super) fn student(
    config: &OalConfig,
    train: &Labeled<'_>,
    context: &mut FitContext<'_>,
) -> Result<TrainedStudent, DetectorError> {
    // The same student serves any list of scores.
    let settings = serde_json::to_value(config).unwrap_or(Value::Null);
    if let Some(bytes) = context.parts.load("student", &settings).map_err(DetectorError::Parts)? {
        return Ok(TrainedStudent::from_bytes(&bytes)?);
    }
    let student = learn(config, train, context)?;
    context.parts.save("student", &settings, &student.to_bytes()?).map_err(DetectorError::Parts)?;
    Ok(student)
}

fn learn(
    config: &OalConfig,
    train: &Labeled<'_>,
    context: &mut FitContext<'_>,
) -> Result<TrainedStudent, DetectorError> {
    let features = train.given.features();
    let (labels, classes) = (&train.labels.0, train.classes);
    let teacher = if config.teaches() { Some(teacher(config, train)?) } else { None };
    let sampled = match &teacher {
        Some(teacher) if config.samples_edge() => {
            let space = (teacher.features, teacher.width);
            let work = (context.cancel, context.progress);
            Some(boundary::sample(&config.boundary, space, (labels, classes), context.seed, work)?)
        }
        _ => None,
    };
    let generated = if config.terms.diffusion > 0.0 {
        Some(diffusion(config, teacher.as_ref(), (labels, classes), sampled.as_ref(), context)?)
    } else {
        None
    };
    // Sampled for the generator alone, perhaps.
    let sampled = sampled.filter(|_| config.terms.boundary > 0.0);
    let validation = match (&context.validation, train.validation) {
        (Some(samples), Some(labels)) if config.validates() => {
            samples.id.check(KIND)?;
            samples.id.check_layers(features.layers())?;
            Some(HeldOut { samples: samples.id.features().values(), labels: &labels.0 })
        }
        _ => None,
    };
    let lesson = Lesson {
        samples: features.values(),
        rows: features.rows(),
        dim: features.width(),
        labels,
        classes,
        pixels: pixels(config, features.width())?,
        teacher,
        boundary: sampled.as_ref(),
        diffusion: generated.as_ref(),
        validation,
    };
    Ok(Student::train(&config.student(), &lesson, context.seed, &mut context.training())?)
}

/// The teacher asked for, or the encoder itself.
fn teacher<'a>(config: &OalConfig, train: &Labeled<'a>) -> Result<TeacherView<'a>, DetectorError> {
    let (said, features) = match train.teacher.filter(|_| config.teacher.is_some()) {
        Some(teacher) => (teacher, teacher.features()),
        None => (train.given, train.given.penultimate(KIND)?),
    };
    said.check(KIND)?;
    if features.rows() != train.given.rows() {
        let message = format!("{} samples of the teacher for {} training samples", features.rows(), train.given.rows());
        return Err(DetectorError::Config { place: "detector.teacher".into(), message });
    }
    let logits = if config.terms.logits > 0.0 { Some(said.logits(KIND)?) } else { None };
    if let Some(logits) = logits.filter(|logits| logits.classes != train.classes) {
        let message = format!(
            "the teacher has {} classes, the training set {}: take a teacher of the same classes, or set terms.logits to 0",
            logits.classes, train.classes
        );
        return Err(DetectorError::Config { place: "detector.teacher".into(), message });
    }
    let logits = logits.map(|logits| logits.values.as_slice());
    Ok(TeacherView { features: features.values(), width: features.width(), logits })
}

fn diffusion(
    config: &OalConfig,
    teacher: Option<&TeacherView<'_>>,
    (labels, classes): (&[u32], usize),
    edge: Option<&Outliers>,
    context: &mut FitContext<'_>,
) -> Result<Outliers, DetectorError> {
    let section = &config.diffusion;
    match section.source {
        DiffusionSource::Random => Ok(Outliers::random(section.rows, section.width, classes, context.seed)?),
        DiffusionSource::Precomputed => from_file(section),
        DiffusionSource::StableDiffusion => by_stable_diffusion(config, edge, context),
        DiffusionSource::Latent => {
            let teacher = teacher.ok_or_else(|| Needs { penultimate: true, ..Needs::default() }.unmet(KIND))?;
            let generator = generator(config, (teacher.features, teacher.width), (labels, classes), context)?;
            let request = Request { rows: section.rows, boundary: edge, seed: context.seed };
            Ok(generator.generate(&request, (context.cancel, context.progress))?)
        }
    }
}

/// A generator of these settings: kept from another fit, or trained.
fn generator(
    config: &OalConfig,
    vectors: (&[f32], usize),
    labels: (&[u32], usize),
    context: &mut FitContext<'_>,
) -> Result<LatentGenerator, DetectorError> {
    let latent = &config.diffusion.latent;
    // How it samples is no part of what it learns, but is kept with it.
    let settings = json!({"latent": latent, "teacher": config.teacher});
    if let Some(bytes) = context.parts.load("generator", &settings).map_err(DetectorError::Parts)? {
        return Ok(LatentGenerator::from_bytes(&bytes)?);
    }
    // Checkpoints belong to the student, whose training comes after.
    let mut quiet = TrainContext {
        progress: context.progress,
        cancel: context.cancel,
        checkpoints: &mut NoCheckpoints,
        checkpoint_every: 0,
        checkpoint_every_steps: 0,
    };
    let generator = LatentGenerator::train(latent, vectors, labels, context.seed, &mut quiet)?;
    context.parts.save("generator", &settings, &generator.to_bytes()?).map_err(DetectorError::Parts)?;
    Ok(generator)
}

/// Latents of Stable Diffusion: kept from another fit, or drawn.
fn by_stable_diffusion(
    config: &OalConfig,
    edge: Option<&Outliers>,
    context: &mut FitContext<'_>,
) -> Result<Outliers, DetectorError> {
    let section = &config.diffusion;
    let edge = edge.ok_or_else(|| Needs { penultimate: true, ..Needs::default() }.unmet(KIND))?;
    let settings = json!({"diffusion": section, "boundary": config.boundary, "teacher": config.teacher});
    let rows = match context.parts.load("latents", &settings).map_err(DetectorError::Parts)? {
        Some(bytes) => bytes,
        None => {
            let folder = Path::new(&section.stable_diffusion.folder);
            check_sum(&folder.join("unet").join("diffusion_pytorch_model.safetensors"), section.sha256.as_deref())?;
            let model = StableDiffusion::load(folder, section.stable_diffusion.clone())?;
            let (cancel, progress) = (context.cancel, context.progress);
            let drawn = model.generate(edge, &section.class_names, context.seed, cancel, progress)?.reduced()?;
            let bytes = drawn.to_bytes()?;
            context.parts.save("latents", &settings, &bytes).map_err(DetectorError::Parts)?;
            bytes
        }
    };
    Ok(Outliers::from_bytes(&rows)?)
}

/// Refuses a file with another SHA-256 than the settings say.
fn check_sum(path: &Path, expected: Option<&str>) -> Result<(), DetectorError> {
    let refuse = |message: String| DetectorError::Config { place: "detector.diffusion".into(), message };
    let bytes = std::fs::read(path).map_err(|error| refuse(format!("{}: {error}", path.display())))?;
    let found = oodlab_encoders::weights::sha256_hex(&bytes);
    match expected {
        Some(expected) if found.eq_ignore_ascii_case(expected) => Ok(()),
        other => {
            let expected = other.unwrap_or("none");
            Err(refuse(format!("{} has SHA-256 {found}, expected {expected}", path.display())))
        }
    }
}

/// Latents of the file that the settings name by path and checksum.
fn from_file(section: &DiffusionSection) -> Result<Outliers, DetectorError> {
    let Some(path) = &section.path else {
        let message = "precomputed latents need `path` and `sha256`".to_owned();
        return Err(DetectorError::Config { place: "detector.diffusion".into(), message });
    };
    check_sum(path, section.sha256.as_deref())?;
    Ok(precomputed::read(path)?)
}

/// Square images of three channels, for every student but the head.
fn pixels(config: &OalConfig, width: usize) -> Result<Option<Pixels>, DetectorError> {
    if config.student.network == StudentNetwork::Head {
        return Ok(None);
    }
    let side = (width / 3).isqrt();
    if 3 * side * side != width {
        let message = format!(
            "this student reads square images, but samples have {width} values: use `encoder: {{network: pixels}}`, or a head"
        );
        return Err(DetectorError::Config { place: "detector.student.network".into(), message });
    }
    Ok(Some(Pixels { side, black: config.student.black }))
}
