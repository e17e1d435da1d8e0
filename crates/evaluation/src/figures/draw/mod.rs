//! The figures of a record: what the experiment file asks for, or the standing ones.

mod curves;
mod distributions;
mod grids;
mod losses;
mod rows;
mod samples;
mod standing;
mod sweeps;

use std::collections::BTreeSet;

pub use samples::contact_sheet_samples;

use distributions::Places;

use super::spec::{FigureKind, FigureSpec};
use super::{Figure, FigureError};
use crate::record::Record;

/// Most figures that one entry may come to.
const MOST: usize = 200;

/// A figure with its file stem and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFigure {
    /// File stem: letters, digits, `-`, `_`, `.`, `+` and `=`.
    pub name: String,
    /// Its title.
    pub title: String,
    /// What it shows, in words and numbers: for who cannot see it.
    pub description: String,
    /// The figure itself; title and description stand in it as well.
    pub figure: Figure,
}

/// Draws these figures from the record alone, in their order. Names are unique: a later figure of a name that is there gets `-2`.
///
/// # Errors
/// When the record does not hold what a figure shows; the error says what to add to the experiment file.
pub fn draw(record: &Record, specs: &[FigureSpec]) -> Result<Vec<NamedFigure>, FigureError> {
    let mut drawing = Drawings::of(record);
    let entries = specs.iter().map(|spec| drawing.entry(spec)).collect::<Result<Vec<_>, _>>()?;
    Ok(entries.into_iter().flatten().collect())
}

/// The figures of one record, entry by entry: one that cannot be drawn need not cost the others.
pub struct Drawings<'a> {
    record: &'a Record,
    /// Names given so far.
    taken: BTreeSet<String>,
}

impl<'a> Drawings<'a> {
    /// Nothing drawn yet.
    #[must_use]
    pub fn of(record: &'a Record) -> Drawings<'a> {
        Drawings { record, taken: BTreeSet::new() }
    }

    /// The figures of one entry, under names that no earlier one has.
    ///
    /// # Errors
    /// As [`draw`].
    pub fn entry(&mut self, spec: &FigureSpec) -> Result<Vec<NamedFigure>, FigureError> {
        let record = self.record;
        let drawn = match &spec.kind {
            FigureKind::Roc(kind) => curves::roc(record, spec, kind)?,
            FigureKind::Pr(kind) => curves::pr(record, spec, kind)?,
            FigureKind::Histogram(_) => distributions::histograms(record, spec)?,
            FigureKind::Sweep(kind) => sweeps::sweeps(record, spec, kind)?,
            FigureKind::Heatmap(kind) => grids::heatmaps(record, spec, kind)?,
            FigureKind::Bars(kind) => grids::bars(record, spec, kind)?,
            FigureKind::Loss(kind) => losses::losses(record, spec, kind)?,
            FigureKind::Density(_) => distributions::densities(record, spec)?,
            FigureKind::Steps(kind) => distributions::places(record, spec, &kind.score, Places::Steps)?,
            FigureKind::Layers(kind) => distributions::places(record, spec, &kind.score, Places::Layers)?,
            FigureKind::Projection(kind) => samples::projections(record, spec, kind)?,
            FigureKind::ContactSheet(kind) => samples::contact_sheets(record, spec, kind)?,
        };
        if drawn.is_empty() {
            return Err(spec.missing("anything that `where` leaves"));
        }
        if drawn.len() > MOST {
            return Err(FigureError::TooMany { kind: spec.kind.name(), found: drawn.len(), most: MOST });
        }
        let mut figures = spec.named(drawn)?;
        for figure in &mut figures {
            let stem = figure.name.clone();
            let mut number = 2;
            while !self.taken.insert(figure.name.clone()) {
                figure.name = format!("{stem}-{number}");
                number += 1;
            }
        }
        Ok(figures)
    }
}

impl FigureSpec {
    /// The figures of a record whose experiment file does not say which: a ROC figure a protocol and a histogram a score and protocol
    /// of each run, where there are at most six, and what training left behind; AUROC and FPR95 against a key that is swept alone;
    /// their heat maps where two are swept.
    #[must_use]
    pub fn standing(record: &Record) -> Vec<FigureSpec> {
        standing::standing(record)
    }

    fn missing(&self, what: &str) -> FigureError {
        FigureError::Missing { kind: self.kind.name(), what: what.to_owned(), hint: String::new() }
    }

    /// An error that says what to add to the experiment file.
    fn needs(&self, what: &str, hint: &str) -> FigureError {
        FigureError::Missing { kind: self.kind.name(), what: what.to_owned(), hint: format!("; {hint}") }
    }

    /// Names and titles: the entry's own ones, with what tells its figures apart when there are several.
    fn named(&self, drawn: Vec<Drawn>) -> Result<Vec<NamedFigure>, FigureError> {
        let alone = drawn.len() == 1;
        drawn
            .into_iter()
            .map(|drawn| {
                let name = match &self.name {
                    None => drawn.name,
                    Some(name) if alone => name.clone(),
                    Some(name) => format!("{name}-{}", drawn.part),
                };
                let title = match &self.title {
                    None => drawn.title,
                    Some(title) if alone => title.clone(),
                    Some(title) => format!("{title}, {}", drawn.part_title),
                };
                let figure = (drawn.draw)(&title)?.described(&title, &drawn.description);
                Ok(NamedFigure { name: plain(&name), title, description: drawn.description, figure })
            })
            .collect()
    }
}

/// Draws under a title.
type Drawing<'a> = Box<dyn FnOnce(&str) -> Result<Figure, FigureError> + 'a>;

/// A figure to be drawn under a title.
struct Drawn<'a> {
    /// File stem without a name from the entry.
    name: String,
    /// What tells it from the entry's others, in a file stem.
    part: String,
    title: String,
    /// What tells it from the entry's others, in words.
    part_title: String,
    description: String,
    draw: Drawing<'a>,
}

/// A file stem made of a text: `-` for whatever is not allowed in one.
fn plain(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.+=".contains(c);
    let stem: String = text.chars().map(|c| if allowed(c) { c } else { '-' }).collect();
    stem.trim_start_matches('.').to_owned()
}

/// `a, b and c`.
fn listed<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [init @ .., last] => {
            format!("{} and {}", init.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", "), last.as_ref())
        }
    }
}
