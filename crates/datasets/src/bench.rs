//! How fast images are read from each format: files are made on the spot, imported as anybody's are, and read by one and by
//! more threads.
//!
//! What is timed is [`ImageSet::read`](crate::ImageSet::read): everything from the imported file to an RGB image at its own size, the proof
//! of a picture file's hash too. Files lie in the system's cache.

mod files;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use oodlab_base::{Cancel, Silent};
use rayon::prelude::*;
use serde::Serialize;

use crate::error::DatasetError;
use crate::import::ImportOptions;
use crate::library::Library;
use crate::set::ImageSet;

/// What is measured.
#[derive(Debug, Clone)]
pub struct BenchConfig {
    /// Numbers of threads, each measured by itself.
    pub threads: Vec<usize>,
    /// Passes over the images, of which the median counts.
    pub passes: usize,
    /// Least length of a pass; small sets are read several times.
    pub pass: Duration,
    /// Folder in which the files stay, for other programs to read; a temporary one where not given.
    pub files: Option<PathBuf>,
}

impl Default for BenchConfig {
    fn default() -> BenchConfig {
        BenchConfig { threads: vec![1, 2], passes: 5, pass: Duration::from_millis(200), files: None }
    }
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct BenchReport {
    /// In the order of the formats, then of the threads.
    pub rates: Vec<Rate>,
}

/// The speed of one format.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rate {
    /// `mat-packed`, `jpeg-folder`.
    pub format: String,
    /// Width and height.
    pub size: (u32, u32),
    /// Images of the set.
    pub images: usize,
    /// Bytes of its files together.
    pub bytes: u64,
    /// Threads.
    pub threads: usize,
    /// Seconds that opening the set took: headers, and whatever is unpacked as a whole.
    pub open_s: f64,
    /// Images a second: median, least and most over the passes.
    pub images_per_s: f64,
    /// The slowest pass.
    pub images_per_s_min: f64,
    /// The fastest pass.
    pub images_per_s_max: f64,
}

/// Makes the files and measures every format.
///
/// # Errors
/// When a folder cannot be written, or an image cannot be read.
pub fn run(config: &BenchConfig) -> Result<BenchReport, DatasetError> {
    let temporary = tempfile::tempdir()?;
    let folder = config.files.clone().unwrap_or_else(|| temporary.path().join("files"));
    let samples = files::write_all(&folder)?;
    let manifests = temporary.path().join("manifests");
    fs_err::create_dir_all(&manifests)?;
    for sample in &samples {
        fs_err::write(manifests.join(format!("{}.yaml", sample.name)), sample.manifest())?;
    }
    let mut library = Library::open(&temporary.path().join("root"))?;
    library.add_folder(&manifests)?;
    let mut rates = Vec::new();
    for sample in &samples {
        library.import(sample.name, &folder.join(sample.name), ImportOptions::default(), &Silent, &Cancel::new())?;
        let start = Instant::now();
        let set = library.open_set(sample.name, "all", None)?;
        let open_s = start.elapsed().as_secs_f64();
        for &threads in &config.threads {
            let mut passes = measure(&set, threads, config)?;
            passes.sort_by(f64::total_cmp);
            rates.push(Rate {
                format: sample.name.to_owned(),
                size: sample.size,
                images: set.len(),
                bytes: sample.bytes,
                threads,
                open_s,
                images_per_s: passes[passes.len() / 2],
                images_per_s_min: passes[0],
                images_per_s_max: passes[passes.len() - 1],
            });
        }
    }
    Ok(BenchReport { rates })
}

/// Images a second of each pass; the first, which fills the caches, is left out. At least one.
fn measure(set: &ImageSet, threads: usize, config: &BenchConfig) -> Result<Vec<f64>, DatasetError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| DatasetError::Io(std::io::Error::other(error)))?;
    let once = || (0..set.len()).into_par_iter().try_for_each(|index| set.read(index).map(drop));
    pool.install(|| {
        once()?;
        let pass = |_| {
            let (start, mut images) = (Instant::now(), 0);
            loop {
                once()?;
                images += set.len();
                let passed = start.elapsed();
                if passed >= config.pass {
                    return Ok(images as f64 / passed.as_secs_f64());
                }
            }
        };
        (0..config.passes.max(1)).map(pass).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_measured_with_the_same_pictures() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config =
            BenchConfig { threads: vec![1], passes: 1, pass: Duration::ZERO, files: Some(folder.path().join("kept")) };
        let report = run(&config).expect("measured");
        assert!(report.rates.iter().all(|rate| rate.images_per_s > 0.0 && rate.images > 0 && rate.bytes > 0));
        for name in ["cifar", "mat", "mat-packed", "npy", "idx", "planes", "png-folder", "jpeg-folder", "jpeg-tar"] {
            assert!(report.rates.iter().any(|rate| rate.format == name), "{name}");
            assert!(folder.path().join("kept").join(name).is_dir(), "{name}");
        }
    }
}
