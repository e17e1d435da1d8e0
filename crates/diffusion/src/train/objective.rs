//! What a network learns.

use std::ops::Range;

use serde_json::{Value, json};

use crate::{DiffusionError, Schedule};

/// What a network learns: in every case to give back the clean sample, by the mean squared error over all elements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Objective<'a> {
    /// To give back the clean sample of a noised one, at a step drawn evenly from 0 .. T - 1 for every sample (the paper).
    Denoise {
        /// The noise levels.
        schedule: &'a Schedule,
        /// What else is taken from the network's input.
        hide: Hide<'a>,
    },
    /// To give back the sample itself, x = z and t = 0: the paper's "AutoEncoder" (Table 11), with a network without time embedding.
    Reconstruct,
}

/// Parts of a noised sample that the network is not shown: they are zero in its input, the mean of z-scored channels.
///
/// The loss stays over all elements: the network must rebuild the hidden layer from the others and go on denoising the ones that it sees,
/// or its reconstructions of whole samples would mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hide<'a> {
    /// Everything is shown (the paper).
    #[default]
    Nothing,
    /// Of every sample one of these spans of channels, drawn evenly: beyond the paper.
    OneLayer(&'a [Range<usize>]),
}

impl Objective<'_> {
    /// Checks that hidden spans lie in a vector of `dim` channels.
    pub(super) fn validate(&self, dim: usize) -> Result<(), DiffusionError> {
        let Objective::Denoise { hide: Hide::OneLayer(spans), .. } = self else { return Ok(()) };
        if spans.is_empty() {
            let expected = "at least one span of channels".to_owned();
            return Err(DiffusionError::Setting { name: "hidden layers", found: "an empty list".to_owned(), expected });
        }
        spans.iter().try_for_each(|span| check_hidden(span, dim))
    }

    /// All that the result depends on.
    pub(super) fn describe(&self) -> Value {
        match self {
            Objective::Reconstruct => json!("reconstruct"),
            Objective::Denoise { schedule, hide } => {
                let hidden: Vec<[usize; 2]> = match hide {
                    Hide::Nothing => Vec::new(),
                    Hide::OneLayer(spans) => spans.iter().map(|span| [span.start, span.end]).collect(),
                };
                json!({ "schedule": schedule.config(), "one hidden of": hidden })
            }
        }
    }
}

/// Refuses a span that is empty or reaches beyond `dim` channels.
pub(crate) fn check_hidden(span: &Range<usize>, dim: usize) -> Result<(), DiffusionError> {
    if span.start < span.end && span.end <= dim {
        return Ok(());
    }
    Err(DiffusionError::Hidden { start: span.start, end: span.end, dim })
}
