//! Imports everything below a folder, verifies it, and prints times: `import_data FROM ROOT`.

use std::path::PathBuf;
use std::time::Instant;

use oodlab_base::{Cancel, Silent};
use oodlab_datasets::{ImportOptions, Library};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [from, root] = folders.as_slice() else { return Err("usage: import_data FROM ROOT".into()) };
    let library = Library::open(root)?;
    let start = Instant::now();
    let all = library.import_all(from, ImportOptions::default(), &Silent, &Cancel::new())?;
    println!("import: {:.2?}", start.elapsed());
    for (name, result) in &all.sets {
        match result {
            Ok(report) => println!(
                "  {name}: {} added, {} kept, {} bytes, {:?}",
                report.added, report.kept, report.bytes, report.notes
            ),
            Err(error) => println!("  {name}: {error}"),
        }
    }
    println!("unrecognised: {} {:?} {:?}", all.unrecognised, all.unrecognised_first, all.notes);
    for status in library.list()? {
        let splits: Vec<String> = status.splits.iter().map(|(split, count)| format!("{split} {count}")).collect();
        println!("{:20} {:8} {}", status.name, status.state, splits.join(", "));
        if status.state == oodlab_datasets::State::Absent {
            continue;
        }
        let start = Instant::now();
        let report = library.verify(&status.name, &Silent, &Cancel::new())?;
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "    verify: {} files, {} images in {seconds:.2} s, {:?}",
            report.files, report.images, report.problems
        );
        for (split, count) in &status.splits {
            if count.found > 0 {
                let start = Instant::now();
                let set = library.open_set(&status.name, split, None)?;
                let opened = start.elapsed();
                let start = Instant::now();
                let key = set.list_key();
                let keyed = start.elapsed();
                let start = Instant::now();
                for index in 0..set.len() {
                    set.read(index)?;
                }
                let rate = set.len() as f64 / start.elapsed().as_secs_f64();
                println!(
                    "    {set:?}: open {opened:.1?}, list key {} {keyed:.1?}, {rate:.0} images/s, one thread; first {}, last {}",
                    key.short(),
                    set.id(0),
                    set.id(set.len() - 1)
                );
            }
        }
    }
    Ok(())
}
