//! Draws figures of a results folder, whatever its experiment file asked for:
//! `draw_figures results/quickstart out '[{"kind": "roc", "bands": true}]'`; without the list, the standing ones.

use std::error::Error;
use std::path::Path;

use oodlab_evaluation::Record;
use oodlab_evaluation::figures::{FigureSpec, draw};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [results, out, specs @ ..] = arguments.as_slice() else {
        return Err("expected the folder of results and the folder of figures".into());
    };
    let record = Record::read(Path::new(results))?;
    let specs: Vec<FigureSpec> = match specs.first() {
        Some(json) => serde_json::from_str(json)?,
        None => FigureSpec::standing(&record),
    };
    fs_err::create_dir_all(out)?;
    for figure in draw(&record, &specs)? {
        fs_err::write(Path::new(out).join(format!("{}.svg", figure.name)), &figure.figure.svg)?;
        fs_err::write(Path::new(out).join(format!("{}.png", figure.name)), figure.figure.to_png(1.0)?)?;
        println!("{}: {}\n  {}", figure.name, figure.title, figure.description);
    }
    Ok(())
}
