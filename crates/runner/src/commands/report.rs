//! `oodlab report`: tables, figures and the report of finished results, drawn again; or two experiments side by side.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use oodlab_base::file::write_atomic;
use oodlab_evaluation::{Record, comparisons, report};

use super::{print, print_json};
use crate::bars::Bars;
use crate::config::{Environment, Request, Source};
use crate::failure::settings;
use crate::output::draw;

/// What is drawn.
#[derive(Debug, Clone, Args)]
pub struct ReportArguments {
    /// Folder of results, as in results/quickstart; two folders are compared
    #[arg(required = true, num_args = 1..=2, value_name = "DIR")]
    pub folders: Vec<PathBuf>,
    /// Take the sections `tables`, `figures` and `comparisons` from this experiment file, now and from now on, instead of those
    /// that the run kept
    #[arg(long, value_name = "FILE")]
    pub with: Option<PathBuf>,
    /// Where the page of a comparison is written
    #[arg(long, short, value_name = "FILE", default_value = "comparison.html")]
    pub output: PathBuf,
}

/// Draws one folder again, or compares two.
pub fn run(arguments: &ReportArguments, bars: &Bars, json: bool) -> Result<()> {
    match arguments.folders.as_slice() {
        [folder] => draw_again(folder, arguments.with.as_deref(), bars, json),
        [a, b] if arguments.with.is_none() => side_by_side(a, b, &arguments.output, json),
        _ => Err(settings("--with draws the results of one folder; leave it out to compare two".to_owned())),
    }
}

fn side_by_side(a: &Path, b: &Path, output: &Path, json: bool) -> Result<()> {
    let (a, b) = (Record::read(a)?, Record::read(b)?);
    write_atomic(output, report::compare_html(&a, &b).as_bytes())?;
    if json {
        return print_json(&serde_json::json!({ "page": output, "comparison": report::compare(&a, &b) }));
    }
    print(&report::compare_text(&a, &b))?;
    print(&format!("\nwritten: {}\n", output.display()))
}

fn draw_again(folder: &Path, with: Option<&Path>, bars: &Bars, json: bool) -> Result<()> {
    let mut record = Record::read(folder)?;
    if let Some(file) = with {
        let wanted = Source::open(&Request::of_file(file, Environment::Ignore))?.base()?;
        let about = &mut record.about;
        (about.tables, about.figures, about.comparisons) = (wanted.tables, wanted.figures, wanted.comparisons);
        record.comparisons = comparisons::of_record(&record)?;
        // The folder stays of one piece: what is drawn now is what it is drawn from next time.
        record.write(folder)?;
    }
    let drawn = draw::all(&record, folder, bars)?;
    let page = folder.join("report.html");
    if json {
        print_json(&serde_json::json!({
            "experiment": record.about.experiment, "folder": folder, "report": page, "undrawn": drawn.undrawn }))?;
    } else {
        for table in &drawn.tables {
            print(&format!("{table}\n"))?;
        }
        print(&format!("written: {}\n", page.display()))?;
    }
    drawn.fail_if_undrawn()
}
