//! Tables, figures and the report, drawn from what lies in an experiment's results alone.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use oodlab_base::Progress;
use oodlab_base::file::write_atomic;
use oodlab_evaluation::Record;
use oodlab_evaluation::figures::{Drawings, FigureSpec, NamedFigure};
use oodlab_evaluation::metrics::comparisons_to_markdown;
use oodlab_evaluation::published::Library;
use oodlab_evaluation::report::{self, ReportFigure, ReportTable};
use oodlab_evaluation::table::Arranged;

use crate::bars::Bars;

/// PNG pixels per SVG unit: sharp in print at column width.
const PNG_SCALE: f32 = 2.0;

/// What was drawn for a person to read at once, and what could not be drawn.
#[derive(Debug, Default)]
pub struct Drawn {
    /// The tables that were asked for, as text.
    pub tables: Vec<String>,
    /// What was asked for and could not be drawn, and why.
    pub undrawn: Vec<String>,
}

impl Drawn {
    /// A table or figure that is missing does not pass for success.
    pub fn fail_if_undrawn(&self) -> Result<()> {
        let Some(first) = self.undrawn.first() else { return Ok(()) };
        anyhow::bail!("{} of the tables and figures could not be drawn; the first: {first}", self.undrawn.len())
    }
}

/// Draws everything, and removes what an earlier drawing left that this one does not have. A table or figure that cannot be drawn does
/// not cost the others.
pub fn all(record: &Record, folder: &Path, bars: &Bars) -> Result<Drawn> {
    let mut undrawn = Vec::new();
    standing_table(record, folder)?;
    let compared = comparisons_to_markdown(&record.comparisons);
    write_atomic(&folder.join("comparisons.md"), compared.as_bytes())?;
    let tables = draw_tables(record, folder, &mut undrawn)?;
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
    let arranged: Vec<ReportTable> = tables
        .iter()
        .map(|table| ReportTable {
            name: table.name.clone(),
            title: if table.caption.is_empty() { table.name.clone() } else { table.caption.clone() },
            html: table.to_html(),
        })
        .collect();
    let page = report::html(record, &arranged, &shown);
    write_atomic(&folder.join("report.html"), page.as_bytes())?;
    Ok(Drawn { tables: tables.iter().map(Arranged::to_terminal).collect(), undrawn })
}

/// The table of all rows in every form; `table.csv` is the record's.
fn standing_table(record: &Record, folder: &Path) -> Result<()> {
    let Record { table, about, .. } = record;
    let notes: String = about.notes.iter().map(|note| format!("* {note}\n")).collect();
    let markdown = format!("{}\n\n{notes}", table.to_markdown().trim_end_matches('\n'));
    write_atomic(&folder.join("table.md"), markdown.as_bytes())?;
    write_atomic(&folder.join("table.tex"), table.to_latex().as_bytes())?;
    write_atomic(&folder.join("table.json"), table.to_json()?.as_bytes())?;
    Ok(write_atomic(&folder.join("table.parquet"), &table.to_parquet()?)?)
}

/// The tables that are asked for, each as Markdown and LaTeX, and as data.
fn draw_tables(record: &Record, folder: &Path, undrawn: &mut Vec<String>) -> Result<Vec<Arranged>> {
    let folder = folder.join("tables");
    let drawn = arranged(record, undrawn)?;
    let mut written = BTreeSet::new();
    fs_err::create_dir_all(&folder)?;
    for table in &drawn {
        for (kind, bytes) in [
            ("md", table.to_markdown().into_bytes()),
            ("tex", table.to_latex().into_bytes()),
            ("csv", table.to_csv().into_bytes()),
            ("json", table.to_json()?.into_bytes()),
            ("parquet", table.to_parquet()?),
        ] {
            let name = format!("{}.{kind}", table.name);
            write_atomic(&folder.join(&name), &bytes)?;
            written.insert(name);
        }
    }
    remove_others(&folder, &["md", "tex", "csv", "json", "parquet"], &written)?;
    Ok(drawn)
}

/// The tables that are asked for, and why others cannot be had.
pub fn arranged(record: &Record, undrawn: &mut Vec<String>) -> Result<Vec<Arranged>> {
    let library = published()?;
    let mut found = Vec::new();
    for spec in &record.about.tables {
        match spec.arrange(&record.table, &record.about, &library) {
            Ok(table) => found.push(table),
            Err(error) => undrawn.push(error.to_string()),
        }
    }
    Ok(found)
}

/// The published numbers that the program knows, and those in a folder `datasets/published` where it runs.
pub fn published() -> Result<Library> {
    let mut library = Library::builtin();
    let folder = Path::new("datasets/published");
    if !folder.is_dir() {
        return Ok(library);
    }
    let paths = fs_err::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<BTreeSet<_>>>()?;
    for path in paths.into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "yaml")) {
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        library = library.with(&name, &fs_err::read_to_string(&path)?);
    }
    Ok(library)
}

/// The figures that are wanted, each as SVG and PNG.
fn draw_figures(record: &Record, folder: &Path, bars: &Bars, undrawn: &mut Vec<String>) -> Result<Vec<NamedFigure>> {
    let wanted = record.about.figures.clone();
    let specs = wanted.unwrap_or_else(|| FigureSpec::standing(record));
    let folder = folder.join("figures");
    fs_err::create_dir_all(&folder)?;
    let task = bars.task("figures", "entries", specs.len() as u64, 0);
    let mut drawing = Drawings::of(record);
    let (mut drawn, mut written) = (Vec::new(), BTreeSet::new());
    for spec in &specs {
        match drawing.entry(spec) {
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
