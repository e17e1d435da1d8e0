//! Samples in two dimensions.

use super::axis::Axis;
use super::canvas::picture;
use super::panel::Panel;
use super::sheet::{LegendEntry, Sheet, Swatch};
use super::style::{self, CURVE, FAINT_ID, Marker, SeriesStyle};
use super::{Figure, FigureError};

/// The points of one set.
#[derive(Debug, Clone, PartialEq)]
pub struct ScatterSeries {
    /// Name in the legend.
    pub name: String,
    /// Whether the set is in distribution: such points are grey-blue dots beneath the others.
    pub id: bool,
    /// Places.
    pub points: Vec<[f64; 2]>,
}

/// Points of several sets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScatterChart {
    /// Title.
    pub title: String,
    /// What the axes are.
    pub axes: [String; 2],
    /// The sets.
    pub series: Vec<ScatterSeries>,
    /// Whether numbers on the axes mean something.
    pub scaled: bool,
    /// Small print.
    pub note: String,
}

const SIDE: f64 = 400.0;
/// From so many points on they are drawn smaller.
const MANY: usize = 400;

/// Points of each set with colour and marker of its own; ID lies beneath, the first OOD set on top.
///
/// # Errors
/// When no point is finite.
pub fn scatter_figure(chart: &ScatterChart) -> Result<Figure, FigureError> {
    let finite = |series: &ScatterSeries| {
        series.points.iter().copied().filter(|point| point.iter().all(|x| x.is_finite())).collect::<Vec<_>>()
    };
    let points: Vec<Vec<[f64; 2]>> = chart.series.iter().map(finite).collect();
    let count = points.iter().map(Vec::len).sum::<usize>();
    if count == 0 {
        return Err(FigureError::Empty { figure: chart.title.clone(), what: "point" });
    }
    let axis = |k: usize| {
        let values = || points.iter().flatten().map(|point| point[k]);
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let axis = Axis::roomy(low, high, None, 5);
        if chart.scaled { axis } else { axis.with_ticks(Vec::new()) }
    };
    // A set's number counts the sets of its class.
    let looks: Vec<SeriesStyle> = chart
        .series
        .iter()
        .enumerate()
        .map(|(at, series)| {
            let number = chart.series[..at].iter().filter(|other| other.id == series.id).count();
            look(series.id, number)
        })
        .collect();
    let sheet = Sheet {
        title: chart.title.clone(),
        columns: 1,
        rows: 1,
        frame: (SIDE, SIDE),
        room: [if chart.scaled { 70.0 } else { 44.0 }, 6.0, 18.0, 48.0],
        legend: chart
            .series
            .iter()
            .zip(&looks)
            .map(|(series, look)| LegendEntry {
                swatch: Swatch::Marker(*look),
                name: if series.id { format!("{} (in-distribution)", series.name) } else { series.name.clone() },
            })
            .collect(),
        notes: if chart.note.is_empty() { Vec::new() } else { vec![chart.note.clone()] },
    };
    let (size, opacity) = if count > MANY { (0.55, 0.65) } else { (0.8, 0.8) };
    picture(sheet.width(), sheet.height(), |canvas| {
        sheet.draw_surroundings(canvas)?;
        let panel = Panel { corner: sheet.corner(0), size: sheet.frame, x: axis(0), y: axis(1) };
        panel.draw_frame(canvas, "", &chart.axes[0], &chart.axes[1])?;
        for id in [true, false] {
            for ((_, points), look) in
                chart.series.iter().zip(&points).zip(&looks).rev().filter(|((series, _), _)| series.id == id)
            {
                for point in points {
                    canvas.faint_marker(panel.place((point[0], point[1])), *look, size, opacity)?;
                }
            }
        }
        Ok(())
    })
}

fn look(id: bool, number: usize) -> SeriesStyle {
    if id && number == 0 {
        return SeriesStyle { colour: FAINT_ID, dash: &[], marker: Marker::Circle, width: CURVE };
    }
    // The first colour is too near ID's.
    let look = style::series(number + 1);
    SeriesStyle { marker: style::marker(number + 1), ..look }
}
