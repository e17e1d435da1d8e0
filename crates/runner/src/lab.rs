//! What every command needs: the store, the data, the weights, the bars, and the flag that stops work.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use oodlab_base::{Cancel, Device};
use oodlab_datasets::Library;
use oodlab_diffusion::Compute;
use oodlab_encoders::weights::WeightLibrary;
use oodlab_features::library::FeatureLibrary;
use oodlab_kernels::cuda::Gpu;
use oodlab_store::Store;

use crate::bars::Bars;
use crate::cli::Global;
use crate::logging::RunLog;

/// The workplace of one process.
pub struct Lab {
    /// Artifacts of stages, opened when first needed: looking something up makes no folder.
    store: OnceCell<Store>,
    /// The store's folder: imported data sets and weights live below it too.
    pub root: PathBuf,
    /// Where tables and figures go.
    pub results: PathBuf,
    /// Progress.
    pub bars: Bars,
    /// Raised by Ctrl-C.
    pub cancel: Cancel,
    /// Raised by a second Ctrl-C while workers are at work, so that they are asked to stop before the program ends.
    pub hurry: Cancel,
    /// Raised once workers are at work.
    pub workers: Cancel,
    /// Raised once jobs of a cluster are followed: Ctrl-C leaves them alone.
    pub following: Cancel,
    /// What networks are computed with.
    pub compute: Compute,
    /// The GPU, where there is one to compute on.
    pub gpu: Option<Gpu>,
    /// The log file of the run under way.
    pub run_log: RunLog,
    /// The device that was asked for.
    pub device: Device,
    /// What is logged for a person.
    pub log: String,
}

impl Lab {
    /// Listens for Ctrl-C. Networks are computed on the GPU where there is one, else on the processor.
    pub fn open(global: &Global, bars: Bars, run_log: RunLog, gpu: Option<Gpu>) -> Result<Lab> {
        let cancel = Cancel::new();
        let flag = cancel.clone();
        let told = bars.clone();
        let (hurry, workers) = (Cancel::new(), Cancel::new());
        let (again, at_work) = (hurry.clone(), workers.clone());
        let following = Cancel::new();
        let follows = following.clone();
        ctrlc::set_handler(move || {
            if flag.is_cancelled() {
                if at_work.is_cancelled() && !again.is_cancelled() {
                    return again.cancel();
                }
                // Stop at once. Nothing is half-written, since every file is renamed into place.
                std::process::exit(i32::from(crate::failure::INTERRUPTED));
            }
            if follows.is_cancelled() {
                return flag.cancel();
            }
            told.line("stopping when the work under way is finished (again to stop at once); finished parts are kept");
            flag.cancel();
        })
        .context("cannot listen for Ctrl-C")?;
        Ok(Lab {
            store: OnceCell::new(),
            root: global.store.clone(),
            results: global.results.clone(),
            bars,
            cancel,
            hurry,
            workers,
            following,
            compute: gpu.clone().map_or_else(Compute::processor, Compute::gpu),
            gpu,
            run_log,
            device: global.device,
            log: global.log.clone(),
        })
    }

    /// The artifacts of stages.
    pub fn store(&self) -> Result<&Store> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let store = Store::open(&self.root.join("artifacts"))?;
        Ok(self.store.get_or_init(|| store))
    }

    /// The data sets at hand. Manifests in a folder `datasets` where the program runs are known too.
    pub fn library(&self) -> Result<Library> {
        let mut library = Library::open(&self.root.join("data"))?;
        library.add_folder(Path::new("datasets"))?;
        for (name, what) in library.broken() {
            tracing::warn!("{name} is left out: {what}");
        }
        Ok(library)
    }

    /// The features that other programs made.
    pub fn features(&self) -> FeatureLibrary {
        FeatureLibrary::open(&self.root.join("features"))
    }

    /// The weight files at hand.
    pub fn weights(&self) -> Result<WeightLibrary> {
        Ok(WeightLibrary::open(&self.root.join("weights"))?)
    }
}
