//! A score at several places of a network or a trajectory: ID and one set in a panel.

use super::axis::{Axis, short};
use super::canvas::{Canvas, picture};
use super::panel::Panel;
use super::sheet::{LegendEntry, Sheet, Swatch};
use super::style::{CURVE, HAIR, ID, INK, Marker, OOD, PAPER, SeriesStyle};
use super::{Figure, FigureError};

/// What is drawn of the scores at one place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// The step, or the layer's number.
    pub place: f64,
    /// Mean of the finite scores.
    pub mean: f64,
    /// Their 5, 10, 25, 50, 75, 90 and 95 % points.
    pub points: [f64; 7],
}

impl Span {
    /// Of the finite ones among the scores at a place; `None` without one.
    #[must_use]
    pub fn of(place: f64, scores: &[f64]) -> Option<Span> {
        let mut sorted: Vec<f64> = scores.iter().copied().filter(|score| score.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        // Between neighbours in proportion, as NumPy takes them.
        let point = |share: f64| {
            let at = share * last as f64;
            let (below, part) = (at.floor() as usize, at.fract());
            sorted[below] * (1.0 - part) + sorted[(below + 1).min(last)] * part
        };
        let mean = sorted.iter().map(|score| score / sorted.len() as f64).sum();
        Some(Span { place, mean, points: [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95].map(point) })
    }
}

/// One panel: ID and one set.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanPanel {
    /// Title, usually the OOD set's name.
    pub title: String,
    /// In-distribution, places rising.
    pub id: Vec<Span>,
    /// Out-of-distribution, places rising.
    pub ood: Vec<Span>,
}

/// How the places stand.
enum Look {
    /// Along a line, with bands.
    Bands,
    /// One by one, with boxes.
    Boxes,
}

const FRAME: (f64, f64) = (250.0, 170.0);
const SINGLE_FRAME: (f64, f64) = (400.0, 240.0);
/// Width of a place with two boxes, in pixels.
const PLACE: f64 = 34.0;
const BOX: f64 = 11.0;
/// A line of more places than these has no markers.
const MARKED: usize = 20;
/// Positive scores that span more than this factor get a logarithmic axis.
const LOGARITHMIC_FROM: f64 = 50.0;

/// A score at each step of a trajectory, one panel a set: mean and the middle 80 % of ID and of the set.
///
/// # Errors
/// When there is no panel with a finite score.
pub fn step_figure(title: &str, score: &str, panels: &[SpanPanel]) -> Result<Figure, FigureError> {
    draw(title, score, panels, &Look::Bands)
}

/// A score of each layer, one panel a set: median, quartiles and the middle 90 % of ID and of the set.
///
/// # Errors
/// When there is no panel with a finite score.
pub fn layer_figure(title: &str, score: &str, panels: &[SpanPanel]) -> Result<Figure, FigureError> {
    draw(title, score, panels, &Look::Boxes)
}

fn draw(title: &str, score: &str, panels: &[SpanPanel], look: &Look) -> Result<Figure, FigureError> {
    let spans = || panels.iter().flat_map(|panel| panel.id.iter().chain(&panel.ood));
    let ends = match look {
        Look::Bands => [1, 5],
        Look::Boxes => [0, 6],
    };
    let low = spans().map(|span| span.points[ends[0]].min(span.mean)).fold(f64::INFINITY, f64::min);
    let high = spans().map(|span| span.points[ends[1]].max(span.mean)).fold(f64::NEG_INFINITY, f64::max);
    if !(low.is_finite() && high.is_finite()) {
        return Err(FigureError::Empty { figure: title.to_owned(), what: "set of scores" });
    }
    let mut places: Vec<f64> = spans().map(|span| span.place).collect();
    places.sort_unstable_by(f64::total_cmp);
    places.dedup();
    let columns = match panels.len() {
        0..=3 => panels.len().max(1),
        4 => 2,
        _ => 3,
    };
    let base = if panels.len() == 1 { SINGLE_FRAME } else { FRAME };
    let frame = match look {
        Look::Bands => base,
        Look::Boxes => (base.0.max(PLACE * places.len() as f64), base.1),
    };
    let x = match look {
        Look::Bands => {
            let axis = Axis::roomy(places[0], places[places.len() - 1], None, 6);
            let few = places.len() <= 6;
            let ticks = places.iter().map(|&place| (place, short(place))).collect();
            if few { axis.with_ticks(ticks) } else { axis }
        }
        Look::Boxes => Axis::names(&places.iter().map(|&place| short(place)).collect::<Vec<_>>()),
    };
    let logarithmic = low > 0.0 && high / low > LOGARITHMIC_FROM;
    let y = if logarithmic { Axis::logarithmic(low / 1.1, high * 1.1) } else { Axis::roomy(low, high, None, 5) };
    let names = ["in-distribution", "out-of-distribution"];
    let swatch = |id: bool| match look {
        Look::Bands => Swatch::Line(style(id), true),
        Look::Boxes => Swatch::Fill(style(id).colour, opacity(id)),
    };
    let sheet = Sheet {
        title: title.to_owned(),
        columns,
        rows: panels.len().div_ceil(columns),
        frame,
        room: [64.0, 24.0, 14.0, 46.0],
        legend: names
            .iter()
            .zip([true, false])
            .map(|(name, id)| LegendEntry { swatch: swatch(id), name: (*name).to_owned() })
            .collect(),
        notes: vec![
            match look {
                Look::Bands => "line: mean; band: 10 to 90 % of the samples",
                Look::Boxes => "box: quartiles and median; whiskers: 5 to 95 % of the samples",
            }
            .to_owned(),
        ],
    };
    picture(sheet.width(), sheet.height(), |canvas| {
        sheet.draw_surroundings(canvas)?;
        for (index, data) in panels.iter().enumerate() {
            let panel = Panel { corner: sheet.corner(index), size: frame, x: x.clone(), y: y.clone() };
            let y_label = match (index % columns, logarithmic) {
                (0, true) => format!("{score} (logarithmic)"),
                (0, false) => score.to_owned(),
                _ => String::new(),
            };
            let x_label = match look {
                Look::Bands => "step",
                Look::Boxes => "layer",
            };
            panel.draw_frame(canvas, &data.title, x_label, &y_label)?;
            for (spans, id) in [(&data.id, true), (&data.ood, false)] {
                match look {
                    Look::Bands => draw_band(canvas, &panel, spans, id)?,
                    Look::Boxes => {
                        for span in spans {
                            let at = places.iter().position(|place| *place == span.place).unwrap_or(0);
                            draw_box(canvas, &panel, at as f64, span, id)?;
                        }
                    }
                }
            }
        }
        Ok(())
    })
}

fn style(id: bool) -> SeriesStyle {
    let (colour, dash, marker): (_, &[f64], _) =
        if id { (ID, &[], Marker::Circle) } else { (OOD, &[6.0, 2.0], Marker::Square) };
    SeriesStyle { colour, dash, marker, width: CURVE }
}

/// Of a box: ID is light, OOD is dark, in grey too.
fn opacity(id: bool) -> f64 {
    if id { 0.35 } else { 0.75 }
}

fn draw_band(canvas: &mut Canvas<'_>, panel: &Panel, spans: &[Span], id: bool) -> Result<(), FigureError> {
    let look = style(id);
    let line = |get: fn(&Span) -> f64| spans.iter().map(|span| (span.place, get(span))).collect::<Vec<_>>();
    let mut outline = line(|span| span.points[5]);
    outline.extend(line(|span| span.points[1]).into_iter().rev());
    if spans.len() > 1 {
        canvas.polygon(&panel.places(&outline), look.colour, 0.2)?;
    }
    let means = panel.places(&line(|span| span.mean));
    canvas.line(&means, look.colour, look.width, look.dash)?;
    // Many would be a thick line.
    for place in means.into_iter().filter(|_| spans.len() <= MARKED) {
        canvas.marker(place, look)?;
    }
    Ok(())
}

fn draw_box(canvas: &mut Canvas<'_>, panel: &Panel, at: f64, span: &Span, id: bool) -> Result<(), FigureError> {
    let [p5, _, p25, p50, p75, _, p95] = span.points.map(|value| panel.place((at, value)).1);
    let middle = panel.place((at, span.points[3])).0 + if id { -0.55 * BOX } else { 0.55 * BOX };
    let (left, right) = (middle - BOX / 2.0 + 0.5, middle + BOX / 2.0 - 0.5);
    let colour = style(id).colour;
    canvas.line(&[(middle, p5), (middle, p95)], colour, 1.3 * HAIR, &[])?;
    for end in [p5, p95] {
        canvas.line(&[(middle - 2.5, end), (middle + 2.5, end)], colour, 1.3 * HAIR, &[])?;
    }
    canvas.rectangle((left, p75), (right, p25), PAPER, 1.0)?;
    canvas.rectangle((left, p75), (right, p25), colour, opacity(id))?;
    canvas.line(&[(left, p75), (right, p75), (right, p25), (left, p25), (left, p75)], colour, HAIR, &[])?;
    canvas.line(&[(left, p50), (right, p50)], INK, 1.8, &[])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn points_are_numpys() {
        let scores: Vec<f64> = (0..=20).map(f64::from).chain([f64::INFINITY]).collect();
        let span = Span::of(3.0, &scores).unwrap();
        assert_eq!((span.place, span.points), (3.0, [1.0, 2.0, 5.0, 10.0, 15.0, 18.0, 19.0]));
        assert!((span.mean - 10.0).abs() < 1e-12);
        assert_eq!(Span::of(0.0, &[1.0, 2.0]).unwrap().points[3], 1.5);
        assert_eq!(Span::of(0.0, &[f64::INFINITY]), None);
    }
}
