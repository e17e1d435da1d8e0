//! How every figure looks: colours, dashes, markers, sizes.

use plotters::style::RGBColor;

/// The font families asked for; the first is embedded for PNG.
pub(super) const FONT_FAMILY: &str = "DejaVu Sans, Verdana, Arial, sans-serif";

/// Size of titles, in pixels.
pub(super) const TITLE: f64 = 14.0;
/// Size of panel titles, axis labels and legends.
pub(super) const LABEL: f64 = 12.0;
/// Size of tick labels and notes.
pub(super) const TICK: f64 = 10.5;

pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub(super) const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
pub(super) const FAINT: RGBColor = RGBColor(0x99, 0x99, 0x99);
pub(super) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);

/// Controls.
const CONTROL: RGBColor = RGBColor(0x44, 0x44, 0x44);

/// In-distribution in histograms.
pub(super) const ID: RGBColor = COLOURS[0];
/// Out-of-distribution in histograms.
pub(super) const OOD: RGBColor = COLOURS[1];

/// Width of a curve, in pixels.
pub(super) const CURVE: f64 = 1.8;
/// Width of frames and ticks.
pub(super) const HAIR: f64 = 0.9;

/// Okabe and Ito's colours, told apart by people with any common colour vision; their yellow, which white paper swallows, is
/// grey here.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x00, 0x00, 0x00),
    RGBColor(0x77, 0x77, 0x77),
];

/// Lengths of strokes and gaps in pixels; empty is solid.
const DASHES: [&[f64]; 5] = [&[], &[7.0, 3.0], &[2.0, 2.0], &[9.0, 2.5, 2.0, 2.5], &[4.0, 2.0]];

/// A marker's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
    Cross,
}

const MARKERS: [Marker; 5] = [Marker::Circle, Marker::Square, Marker::Triangle, Marker::Diamond, Marker::Cross];

/// How the series of that number is drawn: colour, dash and marker all differ, so that a grey print can be read too.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeriesStyle {
    pub colour: RGBColor,
    pub dash: &'static [f64],
    pub marker: Marker,
    /// Width of its line, in pixels.
    pub width: f64,
}

pub(super) fn series(number: usize) -> SeriesStyle {
    let round = number + number / COLOURS.len();
    SeriesStyle {
        colour: COLOURS[number % COLOURS.len()],
        dash: DASHES[round % DASHES.len()],
        marker: MARKERS[round % MARKERS.len()],
        width: CURVE,
    }
}

/// How the control of that number is drawn: thin and dark grey, the first one solid, so that it can lie on top of any series
/// and both be seen.
pub(super) fn control(number: usize) -> SeriesStyle {
    SeriesStyle {
        colour: CONTROL,
        dash: DASHES[number % DASHES.len()],
        marker: MARKERS[number % MARKERS.len()],
        width: HAIR,
    }
}
