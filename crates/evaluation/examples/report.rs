//! Writes `report.html` into a folder of results: `cargo run --example report -- results/NAME`.

use std::path::PathBuf;

use oodlab_evaluation::{Record, report};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("expected a folder of results")?);
    let record = Record::read(&folder)?;
    let mut figures = Vec::new();
    if let Ok(entries) = std::fs::read_dir(folder.join("figures")) {
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths.into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "svg")) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let (title, description) = (name.replace('-', " "), String::new());
            figures.push(report::ReportFigure { name, title, description, svg: std::fs::read_to_string(&path)? });
        }
    }
    let page = report::html(&record, &[], &figures);
    Ok(std::fs::write(folder.join("report.html"), page)?)
}
