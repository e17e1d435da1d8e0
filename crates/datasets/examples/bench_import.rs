//! Time and memory of an import: `bench_import NAME MANIFESTS FROM ROOT [--link]`.
//!
//! ROOT should not hold the set yet. The peak of the memory is Linux's own count (`VmHWM`).

use std::path::Path;
use std::time::Instant;

use oodlab_base::{Cancel, Silent};
use oodlab_datasets::{ImportOptions, Library};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let link = arguments.iter().any(|argument| argument == "--link");
    let [name, manifests, from, root, ..] = arguments.as_slice() else {
        return Err("usage: bench_import NAME MANIFESTS FROM ROOT [--link]".into());
    };
    let mut library = Library::open(Path::new(root))?;
    library.add_folder(Path::new(manifests))?;
    let options = ImportOptions { link, ..ImportOptions::default() };
    for what in ["import", "again"] {
        let start = Instant::now();
        let report = library.import(name, Path::new(from), options, &Silent, &Cancel::new())?;
        let (added, kept, bytes) = (report.added, report.kept, report.bytes as f64 / 1e6);
        println!("{what}: {:.2?}, {added} added, {kept} kept, {bytes:.1} MB; peak {}", start.elapsed(), peak());
        for note in report.notes {
            println!("  {note}");
        }
    }
    let start = Instant::now();
    let report = library.verify(name, &Silent, &Cancel::new())?;
    println!(
        "verify: {:.2?}, {} images, {} problems; peak {}",
        start.elapsed(),
        report.images,
        report.problems.len(),
        peak()
    );
    Ok(())
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or("unknown".to_owned(), |line| line.trim().to_owned())
}
