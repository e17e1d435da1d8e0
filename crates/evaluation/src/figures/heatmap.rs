//! A metric over two swept keys.

use super::axis::{Axis, LONGEST_NAME};
use super::canvas::{Anchor, Canvas, picture};
use super::panel::Panel;
use super::sheet::Sheet;
use super::style::{HAIR, INK, LABEL, PAPER, TICK, luminance, scale};
use super::text::text_width;
use super::{Figure, FigureError};

/// A table of numbers to be coloured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HeatmapChart {
    /// Title.
    pub title: String,
    /// Label of the horizontal axis: a swept key.
    pub x_label: String,
    /// Label of the vertical axis: the other one.
    pub y_label: String,
    /// What the numbers are.
    pub value_label: String,
    /// Values of the horizontal key, from the left.
    pub x_names: Vec<String>,
    /// Values of the vertical key, from below.
    pub y_names: Vec<String>,
    /// One a cell: `[y_names, x_names]`; absent where nothing was measured.
    pub values: Vec<Option<f64>>,
    /// Small print.
    pub note: String,
}

const CELL: (f64, f64) = (54.0, 32.0);
/// Width of the colour bar, and the room right of the frame for it.
const BAR: f64 = 14.0;
const BAR_ROOM: f64 = 96.0;
/// A figure is at least so large within its frame, so that title and labels have room.
const LEAST_WIDTH: f64 = 220.0;
const LEAST_HEIGHT: f64 = 120.0;
/// Above this luminance of a cell its number is dark.
const DARK_TEXT_FROM: f64 = 0.22;

/// Coloured cells with their numbers written in them; lighter is larger, and luminance rises all the way.
///
/// # Errors
/// When no cell has a finite number, or cells and names do not match.
pub fn heatmap_figure(chart: &HeatmapChart) -> Result<Figure, FigureError> {
    let values: Vec<Option<f64>> = chart.values.iter().map(|value| value.filter(|v| v.is_finite())).collect();
    let finite = || values.iter().flatten().copied();
    let (columns, rows) = (chart.x_names.len(), chart.y_names.len());
    if finite().next().is_none() || columns * rows != values.len() {
        return Err(FigureError::Empty { figure: chart.title.clone(), what: "cell" });
    }
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let shade = |value: f64| if high > low { (value - low) / (high - low) } else { 0.5 };
    let width = (CELL.0 * columns as f64).max(LEAST_WIDTH);
    let frame = (width, (CELL.1 * rows as f64).max(LEAST_HEIGHT));
    let (x, y) = (Axis::names(&chart.x_names), Axis::names(&chart.y_names));
    let widest = chart.y_names.iter().map(|name| text_width(name, TICK)).fold(0.0, f64::max).min(LONGEST_NAME);
    let sheet = Sheet {
        title: chart.title.clone(),
        columns: 1,
        rows: 1,
        frame,
        room: [(widest + 40.0).max(x.reach(width)), 8.0, BAR_ROOM, 48.0 + x.drop(width)],
        legend: Vec::new(),
        notes: if chart.note.is_empty() { Vec::new() } else { vec![chart.note.clone()] },
    };
    picture(sheet.width(), sheet.height(), |canvas| {
        sheet.draw_surroundings(canvas)?;
        let panel = Panel { corner: sheet.corner(0), size: frame, x, y };
        panel.draw_frame(canvas, "", &chart.x_label, &chart.y_label)?;
        for (at, value) in values.iter().enumerate() {
            let (column, row) = ((at % columns) as f64, (at / columns) as f64);
            let (from, to) = (panel.place((column - 0.5, row - 0.5)), panel.place((column + 0.5, row + 0.5)));
            let colour = value.map_or(PAPER, |value| scale(shade(value)));
            canvas.rectangle(from, to, colour, 1.0)?;
            let ink = if luminance(colour) > DARK_TEXT_FROM { INK } else { PAPER };
            let text = value.map_or_else(|| "–".to_owned(), |value| number(value, low, high));
            canvas.text(&text, panel.place((column, row)), TICK, Anchor::Middle, ink)?;
        }
        let ((left, top), (right, bottom)) =
            (panel.corner, (panel.corner.0 + panel.size.0, panel.corner.1 + panel.size.1));
        canvas.line(&[(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], INK, HAIR, &[])?;
        draw_bar(canvas, (right + 16.0, top), bottom - top, (low, high), &chart.value_label)
    })
}

/// The colours and what they stand for.
fn draw_bar(
    canvas: &mut Canvas<'_>,
    (left, top): (f64, f64),
    height: f64,
    (low, high): (f64, f64),
    label: &str,
) -> Result<(), FigureError> {
    const PIECES: usize = 48;
    let piece = height / PIECES as f64;
    for k in 0..PIECES {
        let share = if high > low { 1.0 - (k as f64 + 0.5) / PIECES as f64 } else { 0.5 };
        let y = top + piece * k as f64;
        // A little overlap, so that no seam shows.
        canvas.rectangle((left, y), (left + BAR, (y + piece + 0.4).min(top + height)), scale(share), 1.0)?;
    }
    let outline = [(left, top), (left + BAR, top), (left + BAR, top + height), (left, top + height), (left, top)];
    canvas.line(&outline, INK, 0.7 * HAIR, &[])?;
    canvas.text(&number(high, low, high), (left + BAR + 5.0, top + 6.0), TICK, Anchor::Start, INK)?;
    if high > low {
        canvas.text(&number(low, low, high), (left + BAR + 5.0, top + height - 6.0), TICK, Anchor::Start, INK)?;
    }
    // Beside the numbers, where the bar is long enough for it.
    let label = super::text::fitted(label, (height + 40.0).max(60.0), LABEL);
    canvas.upward_text(&label, (left + BAR + 52.0, top + height / 2.0), LABEL)
}

fn number(value: f64, low: f64, high: f64) -> String {
    let decimals = if high - low < 0.5 && high > low {
        3
    } else if high.abs().max(low.abs()) < 1000.0 {
        2
    } else {
        0
    };
    format!("{value:.decimals$}")
}
