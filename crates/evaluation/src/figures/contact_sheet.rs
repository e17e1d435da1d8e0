//! Pictures of samples with their scores.

use super::axis::short;
use super::canvas::{Anchor, Canvas, picture};
use super::style::{FAINT, HAIR, INK, LABEL, NOTE_INK, TICK, TITLE};
use super::text::{fitted, wrapped};
use super::{Figure, FigureError};

/// A picture and its score.
#[derive(Debug, Clone, PartialEq)]
pub struct ContactPicture {
    /// The picture as PNG; an empty frame when absent.
    pub png: Option<Vec<u8>>,
    /// Its score.
    pub score: f64,
}

/// One set.
#[derive(Debug, Clone, PartialEq)]
pub struct ContactRow {
    /// The set.
    pub name: String,
    /// Those with the lowest scores, the lowest first.
    pub least: Vec<ContactPicture>,
    /// Those with the highest scores, the highest last.
    pub most: Vec<ContactPicture>,
}

/// Side of a picture, distance between two, height of a row with its heading and scores.
const SIDE: f64 = 64.0;
const GAP: f64 = 8.0;
const ROW: f64 = 18.0 + SIDE + 26.0;
const EDGE: f64 = 14.0;
/// Between the two halves of a row.
const MIDDLE: f64 = 26.0;
const LEAST_WIDTH: f64 = 300.0;

/// One row a set: its pictures with the lowest scores on the left, those with the highest on the right, scores rising from left to right, each
/// score below its picture. Pixels are shown as they are.
///
/// # Errors
/// When there is no picture.
pub fn contact_sheet_figure(title: &str, score: &str, rows: &[ContactRow]) -> Result<Figure, FigureError> {
    let widest = |side: fn(&ContactRow) -> usize| rows.iter().map(side).max().unwrap_or(0) as f64;
    let (least, most) = (widest(|row| row.least.len()), widest(|row| row.most.len()));
    if least + most == 0.0 {
        return Err(FigureError::Empty { figure: title.to_owned(), what: "picture" });
    }
    let half = |pictures: f64| (pictures * (SIDE + GAP) - GAP).max(0.0);
    let middle = if least > 0.0 && most > 0.0 { MIDDLE } else { 0.0 };
    let inner = (half(least) + middle + half(most)).max(LEAST_WIDTH);
    let width = inner + 2.0 * EDGE;
    let titles = wrapped(title, inner, TITLE, 3);
    let note =
        format!("{score} (higher = more out-of-distribution) rises from left to right; least OOD left, most OOD right");
    let mut notes = wrapped(&note, inner, TICK, 3);
    notes.extend(wrapped("original images, whatever the protocol shows the encoder", inner, TICK, 3));
    let head = 16.0 + 18.0 * titles.len() as f64;
    let height = head + ROW * rows.len() as f64 + 15.0 * notes.len() as f64 + EDGE;
    let right = EDGE + half(least) + middle;
    picture(width, height, |canvas| {
        for (number, line) in titles.iter().enumerate() {
            canvas.text(line, (width / 2.0, 19.0 + 18.0 * number as f64), TITLE, Anchor::Middle, INK)?;
        }
        for (number, row) in rows.iter().enumerate() {
            let top = head + ROW * number as f64;
            canvas.text(&fitted(&row.name, inner, LABEL), (EDGE, top + 8.0), LABEL, Anchor::Start, INK)?;
            draw_pictures(canvas, (EDGE, top + 18.0), &row.least)?;
            draw_pictures(canvas, (right, top + 18.0), &row.most)?;
        }
        if middle > 0.0 {
            let x = right - middle / 2.0;
            canvas.line(&[(x, head + 4.0), (x, head + ROW * rows.len() as f64 - 4.0)], FAINT, HAIR, &[3.0, 3.0])?;
        }
        for (number, line) in notes.iter().enumerate() {
            let y = head + ROW * rows.len() as f64 + 8.0 + 15.0 * number as f64;
            canvas.text(line, (width / 2.0, y), TICK, Anchor::Middle, NOTE_INK)?;
        }
        Ok(())
    })
}

fn draw_pictures(
    canvas: &mut Canvas<'_>,
    (left, top): (f64, f64),
    pictures: &[ContactPicture],
) -> Result<(), FigureError> {
    for (number, picture) in pictures.iter().enumerate() {
        let x = left + number as f64 * (SIDE + GAP);
        match &picture.png {
            Some(png) => canvas.image(png, (x, top), (SIDE, SIDE))?,
            None => {
                let corners = [(x, top), (x + SIDE, top), (x + SIDE, top + SIDE), (x, top + SIDE), (x, top)];
                canvas.line(&corners, FAINT, HAIR, &[])?;
                canvas.text("–", (x + SIDE / 2.0, top + SIDE / 2.0), LABEL, Anchor::Middle, NOTE_INK)?;
            }
        }
        let text = if picture.score.is_finite() { short(picture.score) } else { picture.score.to_string() };
        canvas.text(&text, (x + SIDE / 2.0, top + SIDE + 9.0), TICK, Anchor::Middle, INK)?;
    }
    Ok(())
}
