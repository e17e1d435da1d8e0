//! Tables, figures and the report, drawn from what lies in an experiment's results alone.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use oodlab_base::Progress;
use oodlab_base::file::write_atomic;
use oodlab_evaluation::Record;
use oodlab_evaluation::figures::{self, FigureSpec, NamedFigure};
use oodlab_evaluation::report::{self, ReportFigure};

use crate::bars::Bars;

/// PNG pixels per SVG unit: sharp in print at column width.
const PNG_SCALE: f32 = 2.0;

/// Draws everything, and removes what an earlier drawing left that this one does not have. Returns what was asked for and could not
/// be drawn: one such figure does not cost the others.
pub fn all(record: &Record, folder: &Path, bars: &Bars) -> Result<Vec<String>> {
    let mut undrawn = Vec::new();
    standing_table(record, folder)?;
    let figures = draw_figures(record, folder, bars, &mut undrawn)?;
    let shown: Vec<ReportFigure> = figures
        .into_iter()
        .map(|NamedFigure { name, title, description, figure }| ReportFigure {
            name,
            title,
            description,
            svg: figure.svg,
        })
        .collect();
    write_atomic(&folder.join("report.html"), report::html(record, &[], &shown, None).as_bytes())?;
    Ok(undrawn)
}

/// A table or figure that is missing does not pass for success.
pub fn fail_if_undrawn(undrawn: &[String]) -> Result<()> {
    let Some(first) = undrawn.first() else { return Ok(()) };
    anyhow::bail!("{} of the tables and figures could not be drawn; the first: {first}", undrawn.len())
}

/// The table of all rows in every form.
fn standing_table(record: &Record, folder: &Path) -> Result<()> {
    let Record { table, about, .. } = record;
    let notes: String = about.notes.iter().map(|note| format!("* {note}\n")).collect();
    let markdown = format!("{}\n\n{notes}", table.to_markdown().trim_end_matches('\n'));
    write_atomic(&folder.join("table.md"), markdown.as_bytes())?;
    Ok(())
}

/// The figures that are wanted, each as SVG and PNG.
fn draw_figures(record: &Record, folder: &Path, bars: &Bars, undrawn: &mut Vec<String>) -> Result<Vec<NamedFigure>> {
    let wanted = record.about.figures.clone();
    let specs = wanted.unwrap_or_else(|| FigureSpec::standing(record));
    let folder = folder.join("figures");
    let task = bars.task("figures", "entries", specs.len() as u64, 0);
    let (mut drawn, mut written) = (Vec::new(), BTreeSet::new());
    for spec in &specs {
        match figures::draw(record, std::slice::from_ref(spec)) {
            Ok(figures) => drawn.extend(figures),
            Err(error) => undrawn.push(error.to_string()),
        }
        task.advance(1);
    }
    for figure in &drawn {
        let (svg, png) = (format!("{}.svg", figure.name), format!("{}.png", figure.name));
        write_atomic(&folder.join(&svg), figure.figure.svg.as_bytes())?;
        write_atomic(&folder.join(&png), &figure.figure.to_png(PNG_SCALE)?)?;
        written.extend([svg, png]);
    }
    remove_others(&folder, &["svg", "png"], &written)?;
    Ok(drawn)
}

/// Removes files of these kinds that are not among those just written.
fn remove_others(folder: &Path, kinds: &[&str], written: &BTreeSet<String>) -> Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let text = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
        let kind = text(path.extension()).unwrap_or_default();
        if kinds.contains(&kind.as_str()) && text(path.file_name()).is_some_and(|name| !written.contains(&name)) {
            fs_err::remove_file(path)?;
        }
    }
    Ok(())
}
