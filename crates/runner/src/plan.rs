//! From an experiment to its stages: which sets, which encoders, which runs, and which of them are one piece of work.

mod backbone;
mod contenders;
mod inputs;
mod notes;
mod open;
mod sets;
mod training;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;
use oodlab_base::{Key, KeyBuilder};
use oodlab_datasets::{Benchmark, Choice, ImageSet, Library, Preprocess, TrainingImages};
use oodlab_encoders::Encoder;
use oodlab_encoders::cuda::CudaNetwork;
use oodlab_encoders::plain::PlainNetwork;
use oodlab_encoders::probe::ProbedNetwork;
use oodlab_features::Layer;
use oodlab_features::library::{Place, StoredFeatures};

use crate::config::{Cell, Experiment, Source};
use crate::failure::at;
use crate::lab::Lab;
use crate::layer_choice;

pub use backbone::Backbone;
pub use contenders::{Contender, described, detector};
pub use sets::{Outlier, Sets};
pub use training::Training;

/// Raise when a run's meaning changes: the key of its folder and of the column `run`.
const REVISION: u32 = 3;

/// One cell with one seed.
pub struct Run {
    /// The cell.
    pub cell: Cell,
    /// Its configuration.
    pub experiment: Arc<Experiment>,
    /// Its seed.
    pub seed: u64,
    /// Its key: folder name and column `run`.
    pub key: Key,
    /// Which images, seen through which network.
    pub sets: Arc<Sets>,
    /// Chosen layers, counted from 1.
    pub layers: Vec<usize>,
    /// The detector first, then the controls.
    pub contenders: Vec<Arc<Contender>>,
}

impl Run {
    /// Cell and seed, for people.
    pub fn name(&self) -> String {
        let cell = if self.cell.name.is_empty() { String::new() } else { format!("cell {}, ", self.cell.name) };
        format!("{cell}seed {}", self.seed)
    }
}

/// All runs of an experiment, and what is missing.
pub struct Plan {
    /// The experiment's name.
    pub name: String,
    /// One a cell and seed.
    pub runs: Vec<Run>,
    /// Out-of-distribution sets that are not at hand: name and how to get them.
    pub missing: BTreeMap<String, String>,
    /// What else a reader must know of the sets: rules, numbers other than the published ones, images that are training images too.
    pub notes: BTreeSet<String>,
}

impl Plan {
    /// Resolves every cell, opens every set and every network. Wrong settings are found here, before any work starts.
    pub fn new(lab: &Lab, source: &Source) -> Result<Plan> {
        let mut planner = Planner::new(lab)?;
        let mut runs = Vec::new();
        for (cell, experiment) in source.cells()? {
            let experiment = Arc::new(experiment);
            for &seed in &experiment.seeds {
                runs.push(planner.run(&cell, &experiment, seed).map_err(|error| source.locate(&cell, error))?);
            }
        }
        Ok(Plan { name: source.name.clone(), runs, missing: planner.missing, notes: planner.notes })
    }
}

/// Turns cells into runs, and remembers what several of them share.
pub struct Planner<'a> {
    library: Library,
    lab: &'a Lab,
    encoders: BTreeMap<String, (Arc<Encoder>, String)>,
    /// The same networks on the GPU, by the encoder's key; those that only the processor can run are not in it.
    on_gpu: BTreeMap<Key, Arc<CudaNetwork>>,
    /// Networks that can be looked into, by their section.
    plain: BTreeMap<String, Arc<PlainNetwork>>,
    /// What is read off them, by section and probe.
    probes: BTreeMap<String, Arc<ProbedNetwork>>,
    benchmarks: BTreeMap<String, Arc<Benchmark>>,
    images: BTreeMap<Choice, Arc<ImageSet>>,
    trainings: BTreeMap<Choice, TrainingImages>,
    /// Training and scored images (by the hashes of their lists) that were looked through for common ones.
    compared: BTreeSet<(Key, Key)>,
    imported: BTreeMap<Place, Option<Arc<StoredFeatures>>>,
    /// By the sections that choose them.
    sets: BTreeMap<String, Arc<Sets>>,
    contenders: BTreeMap<contenders::Identity, Arc<Contender>>,
    missing: BTreeMap<String, String>,
    notes: BTreeSet<String>,
    /// Of the cell that is planned.
    preprocess: Preprocess,
}

impl Planner<'_> {
    /// A planner that knows nothing yet.
    pub fn new(lab: &Lab) -> Result<Planner<'_>> {
        Ok(Planner {
            library: lab.library()?,
            lab,
            encoders: BTreeMap::new(),
            on_gpu: BTreeMap::new(),
            plain: BTreeMap::new(),
            probes: BTreeMap::new(),
            benchmarks: BTreeMap::new(),
            images: BTreeMap::new(),
            trainings: BTreeMap::new(),
            compared: BTreeSet::new(),
            imported: BTreeMap::new(),
            sets: BTreeMap::new(),
            contenders: BTreeMap::new(),
            missing: BTreeMap::new(),
            notes: BTreeSet::new(),
            preprocess: Preprocess::default(),
        })
    }

    /// One cell with one seed as stages.
    pub fn run(&mut self, cell: &Cell, experiment: &Arc<Experiment>, seed: u64) -> Result<Run> {
        let sets = self.sets(experiment)?;
        let layers = chosen_layers(experiment, &sets.layers, sets.taps)?;
        let contenders = self.contenders(experiment, &sets, &layers, seed)?;
        let mut key = KeyBuilder::new("run", REVISION)
            .text("cell", &cell.name)
            .number("seed", seed)
            .text("benchmark", &sets.benchmark.name)
            .key("sets", &sets.key);
        for contender in &contenders {
            key = key.text("name", &contender.name).key("scoring", &contender.scoring);
        }
        let (cell, experiment, key) = (cell.clone(), experiment.clone(), key.finish());
        Ok(Run { cell, experiment, seed, key, sets, layers, contenders })
    }
}

fn chosen_layers(experiment: &Experiment, layers: &[Layer], taps: usize) -> Result<Vec<usize>> {
    let chosen = layer_choice::numbers(experiment.features.layers.as_deref(), layers, taps)?;
    if let Some(weights) = &experiment.features.layer_weights
        && weights.len() != chosen.len()
    {
        let (weights, layers) = (weights.len(), chosen.len());
        return Err(at("features.layer_weights", &format!("{weights} weights for {layers} layers")));
    }
    Ok(chosen)
}
