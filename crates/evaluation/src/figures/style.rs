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

/// Small print.
pub(super) const NOTE_INK: RGBColor = RGBColor(0x55, 0x55, 0x55);

/// Controls.
const CONTROL: RGBColor = RGBColor(0x44, 0x44, 0x44);

/// In-distribution in histograms.
pub(super) const ID: RGBColor = COLOURS[0];
/// In-distribution where the sets have colours of their own: grey-blue.
pub(super) const FAINT_ID: RGBColor = RGBColor(0x6b, 0x7f, 0x99);
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

/// The marker of that number, each the next.
pub(super) fn marker(number: usize) -> Marker {
    MARKERS[number % MARKERS.len()]
}

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

/// Strokes over a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hatch {
    None,
    Rising,
    Falling,
    Crossed,
}

/// How a bar is filled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fill {
    pub colour: RGBColor,
    pub hatch: Hatch,
    /// Of the hatch.
    pub ink: RGBColor,
}

/// How the bars of that number are filled: neighbours differ in lightness and in hatch, so that a grey print can be read too.
pub(super) fn fill(number: usize) -> Fill {
    const HATCHES: [Hatch; 4] = [Hatch::None, Hatch::Rising, Hatch::None, Hatch::Falling];
    let colour = BARS[number % BARS.len()];
    // The colours' second round has other hatches than their first.
    let hatch = match number < BARS.len() {
        true => HATCHES[number % HATCHES.len()],
        false if number.is_multiple_of(2) => Hatch::Crossed,
        false => Hatch::Falling,
    };
    Fill { colour, hatch, ink: if luminance(colour) > 0.3 { INK } else { PAPER } }
}

/// Okabe and Ito's colours from dark to light in turns.
const BARS: [RGBColor; 7] =
    [COLOURS[0], COLOURS[4], COLOURS[2], COLOURS[5], COLOURS[1], RGBColor(0xcc, 0xcc, 0xcc), COLOURS[3]];

/// Relative luminance, 0 black to 1 white (WCAG 2).
pub(super) fn luminance(RGBColor(red, green, blue): RGBColor) -> f64 {
    let linear = |channel: u8| {
        let value = f64::from(channel) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

/// A colour for a share, 0 dark to 1 light: luminance rises all the way, so that grey print and every vision keep the order. After cividis
/// (Nunez, Anderton and Renslow, PLOS ONE 13, 2018), at 9 points.
pub(super) fn scale(share: f64) -> RGBColor {
    const POINTS: [[f64; 3]; 9] = [
        [0.0, 34.0, 78.0],
        [18.0, 53.0, 112.0],
        [59.0, 73.0, 108.0],
        [87.0, 93.0, 109.0],
        [112.0, 113.0, 115.0],
        [138.0, 134.0, 120.0],
        [165.0, 156.0, 116.0],
        [195.0, 179.0, 105.0],
        [254.0, 232.0, 56.0],
    ];
    let place = share.clamp(0.0, 1.0) * (POINTS.len() - 1) as f64;
    let below = (place as usize).min(POINTS.len() - 2);
    let part = place - below as f64;
    let channel = |k: usize| (POINTS[below][k] * (1.0 - part) + POINTS[below + 1][k] * part).round() as u8;
    RGBColor(channel(0), channel(1), channel(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_rises_in_luminance_all_the_way() {
        let lights: Vec<f64> = (0..=100).map(|k| luminance(scale(f64::from(k) / 100.0))).collect();
        assert!(lights.windows(2).all(|pair| pair[0] < pair[1]), "{lights:?}");
        assert!(lights[0] < 0.03 && lights[100] > 0.7);
        assert_eq!((scale(-1.0), scale(2.0)), (scale(0.0), scale(1.0)));
    }

    #[test]
    fn neighbouring_bars_differ_in_grey_or_in_hatch() {
        for number in 0..12 {
            let (a, b) = (fill(number), fill(number + 1));
            let lightness = (luminance(a.colour).sqrt() - luminance(b.colour).sqrt()).abs();
            assert!(a.hatch != b.hatch || lightness > 0.15, "{number}: {lightness}");
        }
    }
}
