//! What a student learns from.

use crate::error::{expect_finite, expect_length};
use crate::student::{Keep, StudentConfig, StudentNetwork};
use crate::{OutlierError, Outliers, information};

/// What a frozen teacher says of the training samples, in their order.
#[derive(Debug, Clone, Copy)]
pub struct TeacherView<'a> {
    /// Its features, `[rows, width]`.
    pub features: &'a [f32],
    /// Values of a feature vector.
    pub width: usize,
    /// Its class scores before any softmax, `[rows, classes]`, where it has a classifier.
    pub logits: Option<&'a [f32]>,
}

/// That samples are images, and what black is in them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pixels {
    /// Side of the square images; a sample is `[3, side, side]`.
    pub side: usize,
    /// The value of a black pixel in each channel: what a crop puts around an image.
    pub black: [f32; 3],
}

/// In-distribution samples that accuracy is measured on after every epoch.
#[derive(Debug, Clone, Copy)]
pub struct HeldOut<'a> {
    /// `[rows, dim]`
    pub samples: &'a [f32],
    /// `[rows]`
    pub labels: &'a [u32],
}

/// Training samples, their classes, and what the terms of the loss ask for.
#[derive(Debug, Clone, Copy)]
pub struct Lesson<'a> {
    /// The samples, `[rows, dim]`: frozen features, or images `[3, side, side]`.
    pub samples: &'a [f32],
    /// Number of samples.
    pub rows: usize,
    /// Values of a sample.
    pub dim: usize,
    /// Their classes, `[rows]`, each below `classes`.
    pub labels: &'a [u32],
    /// Number of classes.
    pub classes: usize,
    /// That the samples are images; for every student but the head.
    pub pixels: Option<Pixels>,
    /// The teacher, for the terms of distillation.
    pub teacher: Option<TeacherView<'a>>,
    /// Outliers of class boundaries, for that term.
    pub boundary: Option<&'a Outliers>,
    /// Outliers of a diffusion model (or whatever stands in for them), for that term.
    pub diffusion: Option<&'a Outliers>,
    /// For [`Keep::Best`], and for a curve of accuracy.
    pub validation: Option<HeldOut<'a>>,
}

impl Lesson<'_> {
    /// Checks that everything fits together and that all that the settings ask for is there.
    ///
    /// # Errors
    /// Names what does not fit or is missing.
    pub fn check(&self, config: &StudentConfig) -> Result<(), OutlierError> {
        let missing = |what, needed: &str| Err(OutlierError::Missing { what, needed: needed.to_owned() });
        if self.rows < 2 || self.dim == 0 || self.classes < 2 {
            let found = format!("{} samples of {} values in {} classes", self.rows, self.dim, self.classes);
            return Err(OutlierError::setting("training set", found, "at least 2 samples, 1 value and 2 classes"));
        }
        samples("training samples", self.samples, self.labels, self)?;
        expect_length("labels", self.rows, self.labels.len())?;
        if let Some(held) = &self.validation {
            samples("validation samples", held.samples, held.labels, self)?;
        } else if config.train.keep == Keep::Best {
            return missing("validation samples", "train.keep is best; give some, or set it to last");
        }
        self.check_pixels(config)?;
        if config.terms.logits > 0.0 || config.terms.features > 0.0 {
            let Some(teacher) = &self.teacher else {
                return missing("teacher", "terms.logits or terms.features is above 0; name one, or set both to 0");
            };
            if teacher.width == 0 {
                return Err(OutlierError::setting("width of the teacher's features", 0, "at least 1"));
            }
            expect_length("the teacher's features", self.rows * teacher.width, teacher.features.len())?;
            expect_finite("the teacher's features", teacher.width, teacher.features)?;
            match teacher.logits {
                Some(logits) => {
                    expect_length("the teacher's logits", self.rows * self.classes, logits.len())?;
                    expect_finite("the teacher's logits", self.classes, logits)?;
                }
                None if config.terms.logits > 0.0 => {
                    return missing(
                        "the teacher's logits",
                        "terms.logits is above 0; take a teacher with a classifier of the same classes, or set it to 0",
                    );
                }
                None => {}
            }
        }
        let terms = [
            (config.terms.boundary, self.boundary, "boundary outliers", "terms.boundary"),
            (config.terms.diffusion, self.diffusion, "diffusion outliers", "terms.diffusion"),
        ];
        for (weight, outliers, what, term) in terms {
            if weight > 0.0 {
                let Some(outliers) = outliers.filter(|outliers| !outliers.is_empty()) else {
                    return missing(what, &format!("{term} is above 0; give some, or set it to 0"));
                };
                if config.information.variant == information::Variant::Corrected {
                    self.check_classes(outliers, what)?;
                }
            }
        }
        Ok(())
    }

    fn check_pixels(&self, config: &StudentConfig) -> Result<(), OutlierError> {
        match (config.network, self.pixels) {
            (StudentNetwork::Head, _) => Ok(()),
            (_, None) => Err(OutlierError::Missing {
                what: "images",
                needed: "this student reads images; set student.network to head for features".to_owned(),
            }),
            (_, Some(pixels)) => {
                let expected = pixels.side.saturating_mul(pixels.side).saturating_mul(3);
                expect_length("values of an image", expected, self.dim)
            }
        }
    }

    /// Every class needs an outlier of its own to be paired with.
    fn check_classes(&self, outliers: &Outliers, what: &'static str) -> Result<(), OutlierError> {
        let Some(classes) = &outliers.classes else {
            let needed = "information.variant corrected pairs outliers with samples of their class, and these have none; \
                          give classes, or set it to released";
            return Err(OutlierError::Missing { what: "classes of outliers", needed: needed.to_owned() });
        };
        let mut counts = vec![0usize; self.classes];
        for (row, &found) in classes.iter().enumerate() {
            match counts.get_mut(found as usize) {
                Some(count) => *count += 1,
                None => return Err(OutlierError::Class { what, row, found, last: self.classes - 1 }),
            }
        }
        match self.labels.iter().find(|label| counts[**label as usize] == 0) {
            Some(class) => Err(OutlierError::Missing {
                what,
                needed: format!("class {class} has none, and information.variant corrected needs some for every class"),
            }),
            None => Ok(()),
        }
    }
}

/// Samples and labels of the lesson's sizes.
fn samples(what: &'static str, values: &[f32], labels: &[u32], lesson: &Lesson<'_>) -> Result<(), OutlierError> {
    expect_length(what, labels.len().saturating_mul(lesson.dim), values.len())?;
    expect_finite(what, lesson.dim, values)?;
    match labels.iter().position(|label| *label as usize >= lesson.classes) {
        Some(row) => Err(OutlierError::Class { what, row, found: labels[row], last: lesson.classes - 1 }),
        None => Ok(()),
    }
}
