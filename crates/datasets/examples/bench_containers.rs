//! How fast pictures in a container are found and read: `bench_containers FILE [LABEL]`, for a `.tar`, `.zip`, `.parquet` or
//! `.mdb`. Prints one line of JSON: the import (hashing and decoding all), the opening, images a second with one and two
//! threads, and the greatest memory in use.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use oodlab_base::{Cancel, Silent};
use oodlab_datasets::decode::lmdb;
use oodlab_datasets::{ImportOptions, Library};

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: bench_containers FILE [LABEL]")?;
    let file = Path::new(&file);
    let name = file.file_name().and_then(|name| name.to_str()).ok_or("a file name")?;
    let start = Instant::now();
    let kind = match file.extension().and_then(|ending| ending.to_str()) {
        Some("tar") => "tar-images".to_owned(),
        Some("zip") => "zip-images, equal_images: each".to_owned(),
        Some("parquet") => "parquet-images, image: image, label: label".to_owned(),
        _ => {
            let mut out = std::io::BufWriter::new(std::fs::File::create(file.with_extension("from-lmdb.tar"))?);
            let count = lmdb::to_tar(file, &mut out, &Silent, &Cancel::new())?;
            let seconds = start.elapsed().as_secs_f64();
            println!(
                "{{\"file\": {name:?}, \"pictures\": {count}, \"to_tar_s\": {seconds:.3}, \"memory_mib\": {}}}",
                memory()
            );
            return Ok(());
        }
    };
    let folder = tempfile::tempdir()?;
    let manifest = format!(
        "{{name: bench, title: x, licence: x, citation: x, format: {{kind: {kind}}}, \
         files: [{{path: {name}, split: all}}], splits: {{all: {{}}}}}}"
    );
    std::fs::create_dir(folder.path().join("manifests"))?;
    std::fs::write(folder.path().join("manifests/bench.yaml"), manifest)?;
    let mut library = Library::open(&folder.path().join("root"))?;
    library.add_folder(&folder.path().join("manifests"))?;
    library.import("bench", file, ImportOptions::default(), &Silent, &Cancel::new())?;
    let import = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let set = library.open_set("bench", "all", None)?;
    let open = start.elapsed().as_secs_f64();
    let mut rates = Vec::new();
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        let start = Instant::now();
        pool.install(|| {
            use rayon::prelude::*;
            (0..set.len()).into_par_iter().try_for_each(|index| set.read(index).map(drop))
        })?;
        rates.push((set.len() as f64 / start.elapsed().as_secs_f64()).round());
    }
    println!(
        "{{\"file\": {name:?}, \"pictures\": {}, \"import_s\": {import:.3}, \"open_s\": {open:.3}, \"images_a_second\": {rates:?}, \
         \"memory_mib\": {}}}",
        set.len(),
        memory()
    );
    Ok(())
}

/// The greatest memory in use so far, in MiB; 0 where the system does not say.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kib| kib / 1024)
}
