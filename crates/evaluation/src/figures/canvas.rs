//! Drawing in pixels with fractions, on plotters' SVG backend.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, FontTransform, IntoFont, RGBColor, ShapeStyle, TextStyle};

use super::style::{FONT_FAMILY, Fill, HAIR, Hatch, INK, Marker, PAPER, SeriesStyle};
use super::text::escaped;
use super::{Figure, FigureError};

/// The backend knows whole units only: this many make a pixel.
const UNITS: f64 = 10.0;
/// Of slanted text, in degrees.
const SLANT: f64 = 40.0;

/// Which point of a text stands at the given place, horizontally; vertically it is the middle.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A white picture of a size in pixels, drawn on by `draw`.
pub(super) fn picture(
    width: f64,
    height: f64,
    draw: impl FnOnce(&mut Canvas<'_>) -> Result<(), FigureError>,
) -> Result<Figure, FigureError> {
    let mut svg = String::new();
    let units = |length: f64| (length * UNITS).round() as u32;
    let extra = {
        let backend = SVGBackend::with_string(&mut svg, (units(width), units(height)));
        let mut canvas = Canvas { backend, extra: String::new() };
        canvas.rectangle((0.0, 0.0), (width, height), PAPER, 1.0)?;
        draw(&mut canvas)?;
        canvas.backend.present().map_err(error)?;
        canvas.extra
    };
    if let Some(end) = svg.rfind("</svg>") {
        svg.insert_str(end, &extra);
    }
    // The coordinates stay in units, the picture's size is in pixels.
    let in_units = format!("width=\"{}\" height=\"{}\"", units(width), units(height));
    Ok(Figure { svg: svg.replacen(&in_units, &format!("width=\"{width:.0}\" height=\"{height:.0}\""), 1) })
}

impl Figure {
    /// The same figure with a title and a description in its markup, for who hears it rather than sees it.
    #[must_use]
    pub fn described(&self, title: &str, description: &str) -> Figure {
        let Some((head, body)) = self.svg.split_once('>') else { return self.clone() };
        let (title, description) = (escaped(title), escaped(description));
        Figure { svg: format!("{head} role=\"img\">\n<title>{title}</title>\n<desc>{description}</desc>{body}") }
    }
}

fn error(error: impl std::fmt::Display) -> FigureError {
    FigureError::Draw(error.to_string())
}

fn at((x, y): (f64, f64)) -> (i32, i32) {
    ((x * UNITS).round() as i32, (y * UNITS).round() as i32)
}

fn stroke(colour: RGBColor, width: f64) -> ShapeStyle {
    ShapeStyle { color: colour.to_rgba(), filled: false, stroke_width: (width * UNITS).round() as u32 }
}

/// A picture being drawn; places are (x, y) in pixels from the upper left corner.
pub(super) struct Canvas<'a> {
    backend: SVGBackend<'a>,
    /// Elements that the backend does not know; they come last.
    extra: String,
}

impl Canvas<'_> {
    /// A filled rectangle between two opposite corners.
    pub fn rectangle(
        &mut self,
        from: (f64, f64),
        to: (f64, f64),
        fill: RGBColor,
        opacity: f64,
    ) -> Result<(), FigureError> {
        let style = ShapeStyle { color: fill.mix(opacity), filled: true, stroke_width: 0 };
        let (low, high) = ((from.0.min(to.0), from.1.min(to.1)), (from.0.max(to.0), from.1.max(to.1)));
        self.backend.draw_rect(at(low), at(high), &style, true).map_err(error)
    }

    /// A filled polygon.
    pub fn polygon(&mut self, points: &[(f64, f64)], fill: RGBColor, opacity: f64) -> Result<(), FigureError> {
        let style = ShapeStyle { color: fill.mix(opacity), filled: true, stroke_width: 0 };
        self.backend.fill_polygon(points.iter().map(|&p| at(p)), &style).map_err(error)
    }

    /// A line through points.
    pub fn line(
        &mut self,
        points: &[(f64, f64)],
        colour: RGBColor,
        width: f64,
        dash: &[f64],
    ) -> Result<(), FigureError> {
        let style = stroke(colour, width);
        for piece in dashed(points, dash) {
            let mut units: Vec<(i32, i32)> = piece.into_iter().map(at).collect();
            units.dedup();
            self.backend.draw_path(units, &style).map_err(error)?;
        }
        Ok(())
    }

    /// A line of text, centred vertically on `place`.
    pub fn text(
        &mut self,
        text: &str,
        place: (f64, f64),
        size: f64,
        anchor: Anchor,
        colour: RGBColor,
    ) -> Result<(), FigureError> {
        self.any_text(text, place, size, anchor, colour, FontTransform::None)
    }

    /// A line of text that reads upwards, centred on `place`.
    pub fn upward_text(&mut self, text: &str, place: (f64, f64), size: f64) -> Result<(), FigureError> {
        self.any_text(text, place, size, Anchor::Middle, INK, FontTransform::Rotate270)
    }

    fn any_text(
        &mut self,
        text: &str,
        place: (f64, f64),
        size: f64,
        anchor: Anchor,
        colour: RGBColor,
        transform: FontTransform,
    ) -> Result<(), FigureError> {
        // Characters that XML does not allow would spoil the document.
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let horizontal = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let upward = !matches!(transform, FontTransform::None);
        // The backend divides sizes by 1.24.
        let font = (FontFamily::Name(FONT_FAMILY), size * UNITS * 1.24).into_font().transform(transform);
        let style = TextStyle::from(font).color(&colour).pos(Pos::new(horizontal, VPos::Center));
        // The backend lowers such a text by half an ex; the rest brings the middle of its capitals to the place.
        let lower = size * (0.365 - 0.26);
        let (x, y) = place;
        let place = if upward { (x + lower, y) } else { (x, y + lower) };
        self.backend.draw_text(&text, &style, at(place)).map_err(error)
    }

    /// A line of text that rises to its end at `place`.
    pub fn slanted_text(&mut self, text: &str, place: (f64, f64), size: f64) -> Result<(), FigureError> {
        let ((x, y), size) = (at(place), size * UNITS);
        let text = escaped(text);
        writeln!(
            self.extra,
            "<text x=\"{x}\" y=\"{y}\" transform=\"rotate(-{SLANT} {x} {y})\" text-anchor=\"end\" font-family=\"{FONT_FAMILY}\" \
             font-size=\"{size}\" fill=\"#222222\">{text}</text>"
        )
        .map_err(error)
    }

    /// A picture (PNG) in a box, its shape kept and its pixels seen.
    pub fn image(&mut self, png: &[u8], corner: (f64, f64), size: (f64, f64)) -> Result<(), FigureError> {
        let ((x, y), (width, height)) = (at(corner), at(size));
        let data = STANDARD.encode(png);
        writeln!(
            self.extra,
            "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" style=\"image-rendering:pixelated\" \
             href=\"data:image/png;base64,{data}\"/>"
        )
        .map_err(error)
    }

    /// A bar: filled, outlined, and hatched where its fill says so.
    pub fn bar(&mut self, from: (f64, f64), to: (f64, f64), fill: Fill) -> Result<(), FigureError> {
        let ((left, top), (right, bottom)) =
            ((from.0.min(to.0), from.1.min(to.1)), (from.0.max(to.0), from.1.max(to.1)));
        self.rectangle((left, top), (right, bottom), fill.colour, 1.0)?;
        for (a, b) in hatch((left, top), (right, bottom), fill.hatch) {
            self.line(&[a, b], fill.ink, 0.8 * HAIR, &[])?;
        }
        let outline = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
        self.line(&outline, INK, 0.7 * HAIR, &[])
    }

    /// A series' marker.
    pub fn marker(&mut self, place: (f64, f64), style: SeriesStyle) -> Result<(), FigureError> {
        self.faint_marker(place, style, 1.0, 1.0)
    }

    /// A series' marker of another size, 1 the usual one, and opacity.
    pub fn faint_marker(
        &mut self,
        (x, y): (f64, f64),
        style: SeriesStyle,
        size: f64,
        opacity: f64,
    ) -> Result<(), FigureError> {
        let around =
            |offsets: &[(f64, f64)]| offsets.iter().map(|(dx, dy)| (x + dx * size, y + dy * size)).collect::<Vec<_>>();
        let shape: &[(f64, f64)] = match style.marker {
            Marker::Circle => {
                let fill = ShapeStyle { color: style.colour.mix(opacity), filled: true, stroke_width: 0 };
                return self.backend.draw_circle(at((x, y)), (3.2 * size * UNITS) as u32, &fill, true).map_err(error);
            }
            Marker::Square => &[(-3.0, -3.0), (3.0, -3.0), (3.0, 3.0), (-3.0, 3.0)],
            Marker::Triangle => &[(-3.7, 3.0), (3.7, 3.0), (0.0, -4.0)],
            Marker::Diamond => &[(-4.1, 0.0), (0.0, -4.1), (4.1, 0.0), (0.0, 4.1)],
            Marker::Cross => {
                self.line(&around(&[(-3.0, -3.0), (3.0, 3.0)]), style.colour, 2.0 * HAIR * size, &[])?;
                return self.line(&around(&[(-3.0, 3.0), (3.0, -3.0)]), style.colour, 2.0 * HAIR * size, &[]);
            }
        };
        self.polygon(&around(shape), style.colour, opacity)
    }
}

/// The strokes of a hatch within a rectangle.
fn hatch((left, top): (f64, f64), (right, bottom): (f64, f64), hatch: Hatch) -> Vec<((f64, f64), (f64, f64))> {
    const STEP: f64 = 5.0;
    let steps = |from: f64, to: f64| {
        let first = (from / STEP).ceil() as i64;
        (first..).map(|k| k as f64 * STEP).take_while(move |place| *place < to)
    };
    // Lines x + y = c and x - y = c, cut at the rectangle; their places do not depend on it, so that neighbours match.
    let rising = || {
        let line = |c: f64| ((left.max(c - bottom), bottom.min(c - left)), (right.min(c - top), top.max(c - right)));
        steps(left + top, right + bottom).map(line)
    };
    let falling = || {
        let line = |c: f64| ((left.max(c + top), top.max(left - c)), (right.min(c + bottom), bottom.min(right - c)));
        steps(left - bottom, right - top).map(line)
    };
    match hatch {
        Hatch::None => Vec::new(),
        Hatch::Rising => rising().collect(),
        Hatch::Falling => falling().collect(),
        Hatch::Crossed => rising().chain(falling()).collect(),
    }
}

/// Cuts a line into strokes of the lengths in `dash`, which alternate with gaps.
fn dashed(points: &[(f64, f64)], dash: &[f64]) -> Vec<Vec<(f64, f64)>> {
    if dash.is_empty() || points.len() < 2 {
        return vec![points.to_vec()];
    }
    let mut pieces = Vec::new();
    let mut piece = vec![points[0]];
    let (mut part, mut left) = (0, dash[0]);
    for ends in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (ends[0], ends[1]);
        let length = (x1 - x0).hypot(y1 - y0);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let place = (x0 + (x1 - x0) * done / length, y0 + (y1 - y0) * done / length);
            if part % 2 == 0 {
                piece.push(place);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![place];
            }
            part = (part + 1) % dash.len();
            left = dash[part];
        }
        left -= length - done;
        if part % 2 == 0 {
            piece.push((x1, y1));
        }
    }
    if piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}
