//! A metric as grouped bars.

use super::axis::{Axis, short};
use super::canvas::{Anchor, picture};
use super::panel::Panel;
use super::sheet::{LegendEntry, Sheet, Swatch};
use super::style::{self, HAIR, INK, PAPER};
use super::text::text_width;
use super::{Figure, FigureError};

/// A bar: its value and the ends of its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// Height.
    pub value: f64,
    /// Ends of its interval.
    pub interval: Option<(f64, f64)>,
}

/// Bars of one look, one a group.
#[derive(Debug, Clone, PartialEq)]
pub struct BarSeries {
    /// Name in the legend.
    pub name: String,
    /// One a group; absent where nothing was measured.
    pub bars: Vec<Option<Bar>>,
}

/// A chart of grouped bars.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BarChart {
    /// Title.
    pub title: String,
    /// What the groups are.
    pub x_label: String,
    /// What the heights are.
    pub y_label: String,
    /// Names of the groups.
    pub groups: Vec<String>,
    /// What the bars side by side are, before their names in the legend; may be empty.
    pub series_label: String,
    /// The bars, series by series.
    pub series: Vec<BarSeries>,
    /// What values can be at most.
    pub most: Option<f64>,
    /// Small print.
    pub note: String,
}

const HEIGHT: f64 = 250.0;
const LEAST_WIDTH: f64 = 400.0;
const NARROWEST: f64 = 13.0;
const WIDEST: f64 = 34.0;
/// Space between groups, in pixels.
const BETWEEN: f64 = 22.0;
/// Size of the numbers over the bars.
const NUMBER: f64 = 9.0;
/// Where all bars exceed this share of the largest, they would look alike from zero.
const CUT_FROM: f64 = 0.6;

/// Groups of bars with their intervals and values. They stand on zero, unless all are about as high: then the axis starts higher and the small print
/// says so.
///
/// # Errors
/// When there is no finite value.
pub fn bar_figure(chart: &BarChart) -> Result<Figure, FigureError> {
    let bars = || chart.series.iter().flat_map(|series| &series.bars).flatten().filter(|bar| bar.value.is_finite());
    if bars().next().is_none() || chart.groups.is_empty() {
        return Err(FigureError::Empty { figure: chart.title.clone(), what: "bar" });
    }
    let ends = |bar: &Bar| bar.interval.filter(|(low, high)| low.is_finite() && high.is_finite());
    let low =
        bars().map(|bar| ends(bar).map_or(bar.value, |(low, _)| low.min(bar.value))).fold(f64::INFINITY, f64::min);
    let high = bars().map(|bar| ends(bar).map_or(bar.value, |(_, high)| high.max(bar.value))).fold(0.0, f64::max);
    let cut = low > CUT_FROM * high;
    let y = y_axis(low, high, cut, chart.most);
    let (groups, count) = (chart.groups.len() as f64, chart.series.len().max(1) as f64);
    let bar_width = ((LEAST_WIDTH / groups - BETWEEN) / count).clamp(NARROWEST, WIDEST);
    let width = ((bar_width * count + BETWEEN) * groups).max(LEAST_WIDTH);
    let x = Axis::names(&chart.groups);
    let mut notes: Vec<String> = Vec::new();
    if !chart.note.is_empty() {
        notes.push(chart.note.clone());
    }
    if cut {
        notes.push(format!("the vertical axis starts at {}, not at 0", short(y.low())));
    }
    let heading = LegendEntry { swatch: Swatch::None, name: format!("{}:", chart.series_label) };
    let heading = Some(heading).filter(|_| !chart.series_label.is_empty());
    let entry = |(at, series): (usize, &BarSeries)| LegendEntry {
        swatch: Swatch::Bar(style::fill(at)),
        name: series.name.clone(),
    };
    let sheet = Sheet {
        title: chart.title.clone(),
        columns: 1,
        rows: 1,
        frame: (width, HEIGHT),
        room: [64f64.max(x.reach(width)), 6.0, 14.0, 48.0 + x.drop(width)],
        legend: heading.into_iter().chain(chart.series.iter().enumerate().map(entry)).collect(),
        notes,
    };
    picture(sheet.width(), sheet.height(), |canvas| {
        sheet.draw_surroundings(canvas)?;
        let panel = Panel { corner: sheet.corner(0), size: sheet.frame, x, y };
        panel.draw_frame(canvas, "", &chart.x_label, &chart.y_label)?;
        for (number, series) in chart.series.iter().enumerate() {
            for (group, bar) in series.bars.iter().enumerate() {
                let Some(bar) = bar.filter(|bar| bar.value.is_finite()) else { continue };
                let (middle, top) = panel.place((group as f64, bar.value));
                let left = middle + (number as f64 - count / 2.0) * bar_width;
                let (from, to) = ((left + 0.6, top), (left + bar_width - 0.6, panel.corner.1 + HEIGHT));
                canvas.bar(from, to, style::fill(number))?;
                let centre = left + bar_width / 2.0;
                let mut tip = top;
                if let Some((low, high)) = ends(&bar) {
                    let (low, high) = (panel.place((0.0, low)).1, panel.place((0.0, high)).1);
                    tip = tip.min(high);
                    // White beneath black shows on any fill.
                    canvas.line(&[(centre, low), (centre, high)], PAPER, 3.0 * HAIR, &[])?;
                    canvas.line(&[(centre, low), (centre, high)], INK, HAIR, &[])?;
                    for end in [low, high] {
                        canvas.line(&[(centre - 3.0, end), (centre + 3.0, end)], INK, HAIR, &[])?;
                    }
                }
                let text = format!("{:.1}", bar.value);
                let length = text_width(&text, NUMBER);
                if length + 2.0 <= bar_width {
                    canvas.text(&text, (centre, tip - 7.0), NUMBER, Anchor::Middle, INK)?;
                } else {
                    canvas.upward_text(&text, (centre, tip - 4.0 - length / 2.0), NUMBER)?;
                }
            }
        }
        Ok(())
    })
}

/// Room above the highest bar for its number.
fn y_axis(low: f64, high: f64, cut: bool, most: Option<f64>) -> Axis {
    let from = if cut { low - 0.25 * (high - low).max(0.02 * high) } else { low.min(0.0) };
    let room = 0.16 * (high - from).max(1e-9);
    let whole = Axis::linear(from, high, 6);
    // The axis starts on a tick.
    let step = whole.ticks.windows(2).next().map_or(high - from, |pair| pair[1].0 - pair[0].0);
    let from = if step > 0.0 { (from / step + 1e-9).floor() * step } else { from };
    let mut axis = Axis::linear(from, high + room, 6);
    if let Some(most) = most {
        axis.ticks.retain(|&(place, _)| place <= most + 1e-9);
    }
    axis
}
