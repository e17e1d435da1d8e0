//! A metric against a swept value, and losses against epochs.

use super::axis::{Axis, short};
use super::canvas::picture;
use super::panel::Panel;
use super::sheet::{LegendEntry, Sheet, Swatch};
use super::style::{self, CURVE, HAIR};
use super::{Figure, FigureError};

/// A point of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinePoint {
    /// Swept value, or the number of its name in [`LineChart::x_names`].
    pub x: f64,
    /// Metric.
    pub y: f64,
    /// Ends of its interval.
    pub interval: Option<(f64, f64)>,
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct LineSeries {
    /// Name in the legend.
    pub name: String,
    /// Its points, in ascending x.
    pub points: Vec<LinePoint>,
}

/// A chart of lines.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LineChart {
    /// Title.
    pub title: String,
    /// Label of the horizontal axis: the swept key.
    pub x_label: String,
    /// Label of the vertical axis: the metric, with its convention.
    pub y_label: String,
    /// The lines.
    pub series: Vec<LineSeries>,
    /// Names of the values 0, 1, 2 … where the swept value is not a number.
    pub x_names: Vec<String>,
    /// What values can be at most and at least, so that the axis does not leave it: (0, 100) for percentages.
    pub y_limits: Option<(f64, f64)>,
    /// Small print: what the intervals are, for example.
    pub note: String,
}

const FRAME: (f64, f64) = (430.0, 270.0);
/// Positive values that span more than this factor get a logarithmic axis.
const LOGARITHMIC_FROM: f64 = 20.0;

/// Lines with markers, one a series, with their intervals as bars. Numbers over a wide positive range get a logarithmic
/// horizontal axis. Points that are not finite are left out.
///
/// # Errors
/// When no series has a finite point.
pub fn line_figure(chart: &LineChart) -> Result<Figure, FigureError> {
    let points = || chart.series.iter().flat_map(|s| finite(&s.points));
    let (Some(x_range), Some(y_range)) = (
        range(points().map(|p| p.x)),
        range(
            points()
                .flat_map(|p| p.interval.map_or([p.y; 3], |(low, high)| [p.y, low, high]))
                .filter(|y| y.is_finite()),
        ),
    ) else {
        return Err(FigureError::Empty { figure: chart.title.clone(), what: "series" });
    };
    let y = Axis::roomy(y_range.0, y_range.1, chart.y_limits, 6);
    draw(chart, x_axis(chart, x_range), y, true)
}

/// Losses against epochs, one line a training run; the vertical axis is logarithmic when losses span a wide range. `curves`
/// are (name, (epoch, loss)).
///
/// # Errors
/// When no curve has a finite point.
pub fn loss_figure(title: &str, curves: &[(String, Vec<(f64, f64)>)]) -> Result<Figure, FigureError> {
    loss_figure_with(title, "epoch", "loss", curves)
}

/// [`loss_figure`] with other axis labels: `x_label` for what is counted ("step"), `y_label` for the loss and its unit
/// ("validation loss, nats"). Where the vertical axis is logarithmic its label says so by itself.
///
/// # Errors
/// When no curve has a finite point.
pub fn loss_figure_with(
    title: &str,
    x_label: &str,
    y_label: &str,
    curves: &[(String, Vec<(f64, f64)>)],
) -> Result<Figure, FigureError> {
    let series = curves
        .iter()
        .map(|(name, points)| LineSeries {
            name: name.clone(),
            points: points.iter().map(|&(x, y)| LinePoint { x, y, interval: None }).collect(),
        })
        .collect();
    let mut chart = LineChart {
        title: title.to_owned(),
        x_label: x_label.to_owned(),
        y_label: y_label.to_owned(),
        series,
        ..LineChart::default()
    };
    let points = || chart.series.iter().flat_map(|s| finite(&s.points));
    let (Some(x_range), Some(y_range)) = (range(points().map(|p| p.x)), range(points().map(|p| p.y))) else {
        return Err(FigureError::Empty { figure: title.to_owned(), what: "loss curve" });
    };
    let x = Axis::roomy(x_range.0, x_range.1, None, 8);
    let logarithmic = y_range.0 > 0.0 && y_range.1 / y_range.0 > LOGARITHMIC_FROM;
    let y = if logarithmic {
        chart.y_label.push_str(" (logarithmic)");
        Axis::logarithmic(y_range.0 / 1.1, y_range.1 * 1.1)
    } else {
        Axis::roomy(y_range.0, y_range.1, None, 6)
    };
    draw(&chart, x, y, false)
}

fn draw(chart: &LineChart, x: Axis, y: Axis, marked: bool) -> Result<Figure, FigureError> {
    let sheet = Sheet {
        title: chart.title.clone(),
        columns: 1,
        rows: 1,
        frame: FRAME,
        room: [70f64.max(x.reach(FRAME.0)), 6.0, 18.0, 48.0 + x.drop(FRAME.0)],
        legend: chart
            .series
            .iter()
            .enumerate()
            .map(|(i, s)| LegendEntry { swatch: Swatch::Line(style::series(i), marked), name: s.name.clone() })
            .collect(),
        notes: if chart.note.is_empty() { Vec::new() } else { vec![chart.note.clone()] },
    };
    picture(sheet.width(), sheet.height(), |canvas| {
        sheet.draw_surroundings(canvas)?;
        let panel = Panel { corner: sheet.corner(0), size: sheet.frame, x, y };
        panel.draw_frame(canvas, "", &chart.x_label, &chart.y_label)?;
        for (number, series) in chart.series.iter().enumerate().rev() {
            let look = style::series(number);
            let points: Vec<LinePoint> = finite(&series.points).collect();
            // Intervals at one place are set side by side by a few pixels.
            let shift = (number as f64 - (chart.series.len() - 1) as f64 / 2.0) * 2.5;
            for point in &points {
                let Some((low, high)) = point.interval.filter(|(low, high)| low.is_finite() && high.is_finite()) else {
                    continue;
                };
                let ((px, top), (_, bottom)) = (panel.place((point.x, high)), panel.place((point.x, low)));
                let px = px + shift;
                canvas.line(&[(px, top), (px, bottom)], look.colour, HAIR, &[])?;
                for end in [top, bottom] {
                    canvas.line(&[(px - 3.0, end), (px + 3.0, end)], look.colour, HAIR, &[])?;
                }
            }
            let moved = if points.iter().any(|p| p.interval.is_some()) { shift } else { 0.0 };
            let places: Vec<(f64, f64)> =
                points.iter().map(|p| panel.place((p.x, p.y))).map(|(px, py)| (px + moved, py)).collect();
            canvas.line(&places, look.colour, CURVE, look.dash)?;
            if marked || places.len() == 1 {
                for &place in &places {
                    canvas.marker(place, look)?;
                }
            }
        }
        Ok(())
    })
}

/// Ticks stand at the swept values themselves when they are few.
fn x_axis(chart: &LineChart, (low, high): (f64, f64)) -> Axis {
    if !chart.x_names.is_empty() {
        return Axis::names(&chart.x_names);
    }
    let mut values: Vec<f64> = chart.series.iter().flat_map(|s| finite(&s.points)).map(|p| p.x).collect();
    values.sort_unstable_by(f64::total_cmp);
    values.dedup();
    let axis = if low > 0.0 && high / low > LOGARITHMIC_FROM {
        let room = (high / low).powf(0.04);
        Axis::logarithmic(low / room, high * room)
    } else {
        Axis::roomy(low, high, None, 8)
    };
    if values.len() > 10 { axis } else { axis.with_ticks(values.into_iter().map(|v| (v, short(v))).collect()) }
}

fn finite(points: &[LinePoint]) -> impl Iterator<Item = LinePoint> + '_ {
    points.iter().copied().filter(|p| p.x.is_finite() && p.y.is_finite())
}

fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |range, value| {
        let (low, high) = range.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}
