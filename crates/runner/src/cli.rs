//! The command line.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::commands::cache::CacheCommand;
use crate::commands::calibrate::CalibrateArguments;
use crate::commands::check::CheckArguments;
use crate::commands::config::ConfigArguments;
use crate::commands::metrics::MetricsArguments;
use crate::commands::plan::PlanArguments;
use crate::commands::predict::PredictArguments;
use crate::commands::report::ReportArguments;
use crate::commands::run::RunArguments;
use crate::commands::status::StatusArguments;
use crate::commands::work::WorkerArguments;
use crate::config::{Environment, Request};
use crate::launch::slurm::TaskArguments;

/// Out-of-distribution detection experiments: one YAML file to AUROC and FPR95 tables and figures.
///
/// Finished work is kept in the store under the hash of everything that it depends on: a run that was stopped goes on where it
/// stopped, and a finished one costs nothing.
#[derive(Debug, Parser)]
#[command(name = "oodlab", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Folder of finished work, imported data and weights
    #[arg(
        long,
        global = true,
        env = "OODLAB_STORE",
        default_value = ".oodlab",
        value_name = "DIR",
        hide_env_values = true
    )]
    pub store: PathBuf,
    /// Folder of tables and figures
    #[arg(
        long,
        global = true,
        env = "OODLAB_RESULTS",
        default_value = "results",
        value_name = "DIR",
        hide_env_values = true
    )]
    pub results: PathBuf,
    /// Threads to use; all cores when absent. Results do not depend on it
    #[arg(long, global = true, env = "OODLAB_THREADS", value_name = "N", hide_env_values = true,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// What to log on standard error: error, warn, info, debug, trace, or a list such as info,oodlab_store=debug
    #[arg(
        long,
        global = true,
        env = "OODLAB_LOG",
        default_value = "warn",
        value_name = "FILTER",
        hide_env_values = true
    )]
    pub log: String,
    /// Where to compute: auto, cpu, or cuda:N, the number of an NVIDIA GPU
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE")]
    pub device: oodlab_base::Device,
    /// One line of JSON on standard output instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run an experiment: encode, train, score, and write its tables and figures
    #[command(after_help = "Examples:\n  oodlab run experiments/quickstart.yaml\n  \
        oodlab run experiments/quickstart.yaml detector.sample.start=10 seeds=[0,1,2]\n\n\
        On several machines with one store folder, each process encodes its share; a plain run then finds all of it:\n  \
        oodlab run experiments/cifar10_far.yaml --shard 1/2 --store /shared/store\n  \
        oodlab run experiments/cifar10_far.yaml --shard 2/2 --store /shared/store\n  \
        oodlab run experiments/cifar10_far.yaml --store /shared/store\n\n\
        Results are written to RESULTS/<experiment>/: table.csv, table.md, scores.parquet, figures/, runs/<key>/.\n\
        A sweep's stages are done by worker processes side by side; what several cells need is done once. A cell that fails is\n\
        told, and the others go on. Ctrl-C once finishes what is under way, twice stops at once; the same command goes on\n\
        from there. From another terminal: oodlab status results/EXPERIMENT\n\n\
        On a cluster, from a login node (docs/slurm.md):\n  \
        oodlab run experiments/cifar10_far.yaml --launcher slurm\n\n\
        Exit code: 0 done, 1 a run failed, 2 wrong settings, 3 stopped by --max-time, 130 stopped by Ctrl-C.")]
    Run(RunArguments),
    /// Show what a run would do: cells, stages, what is shared, done and left, and how long it takes
    #[command(after_help = "Examples:\n  oodlab plan experiments/dlsr/fig4.yaml\n  \
        oodlab plan experiments/dlsr/table4.yaml --dot | dot -Tsvg > table4.svg\n\n\
        Times are what equal work took before, with as many threads; unknown where no equal work was measured.")]
    Plan(PlanArguments),
    /// How far a run is, from another terminal or machine
    #[command(after_help = "Example:\n  oodlab status results/dlsr/fig4 --watch\n\n\
        Exit code: 0 running or finished, 1 ended with failures, stopped or killed.")]
    Status(StatusArguments),
    /// Do jobs that arrive on standard input: what `oodlab run` starts
    #[command(hide = true)]
    Work(WorkerArguments),
    /// Do one task of a submission: what the batch scripts of `oodlab run --launcher slurm` start
    #[command(hide = true)]
    SlurmTask(TaskArguments),
    /// Show the resolved configuration with the origin of each value
    #[command(after_help = "Examples:\n  oodlab config experiments/dlsr/fig4.yaml detector=pca\n  \
        oodlab config experiments/dlsr/fig4.yaml --cells\n  \
        oodlab config experiments/dlsr/fig4.yaml detector.sample.start=1,3,5 --sweep --cell 2\n\n\
        Everything about files, overrides, presets and sweeps: docs/configuration.md")]
    Config(ConfigArguments),
    /// Print the JSON schema of experiment files, for editors
    Schema,
    /// Print the script by which a shell completes commands and options
    #[command(after_help = "Example:\n  oodlab completions bash > ~/.local/share/bash-completion/completions/oodlab")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Compare experiments with their committed baselines; exit code 1 when a metric got worse
    #[command(after_help = crate::commands::check::HELP)]
    Check(CheckArguments),
    /// Draw the tables, figures and report of finished results again, computing nothing else; or compare two experiments
    #[command(after_help = "Examples:\n  oodlab report results/quickstart\n  \
        oodlab report results/quickstart --with experiments/quickstart.yaml\n  \
        oodlab report results/cifar10_far results/quickstart --output comparison.html\n\n\
        Everything comes from the folder itself (table.csv, scores.parquet, record.json): no image, no weights and no store\n\
        are needed. After a change of `tables:` or `figures:` in the experiment file, --with draws what it asks for now.")]
    Report(ReportArguments),
    /// AUROC, AUPR and FPR95 of a score file of any program (CSV, Parquet, JSON lines, npz)
    #[command(after_help = crate::commands::metrics::HELP)]
    Metrics(MetricsArguments),
    /// Choose a threshold from held-out in-distribution scores and write the detector as one file
    #[command(after_help = crate::commands::calibrate::HELP)]
    Calibrate(CalibrateArguments),
    /// Score pictures with a detector file, and decide
    #[command(after_help = crate::commands::predict::HELP)]
    Predict(PredictArguments),
    /// Compare this build with golden numbers from independent programs
    #[command(after_help = "Exit code 1 when a file fails, with --strict also when one is skipped.")]
    Verify {
        /// Folder of golden files; those built in when absent
        #[arg(long, value_name = "DIR")]
        golden: Option<PathBuf>,
        /// Count a skipped file as a failure
        #[arg(long)]
        strict: bool,
    },
    /// Image data sets: list, fetch, import, verify, show
    #[command(subcommand)]
    Data(DataCommand),
    /// Weight files: list, fetch, import, convert, accuracy
    #[command(subcommand)]
    Weights(WeightsCommand),
    /// Finished work in the store: list, verify, collect what nothing needs
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Features of other programs: import, list, export
    #[command(subcommand)]
    Features(crate::commands::features::FeaturesCommand),
    /// Measure speed
    #[command(subcommand)]
    Bench(BenchCommand),
}

impl BenchCommand {
    /// Whether it measures on the device that --device asks for.
    pub fn has_device(&self) -> bool {
        match self {
            BenchCommand::Kernels { .. } | BenchCommand::Lfdn { .. } => true,
            BenchCommand::Encoder { .. } | BenchCommand::Data { .. } | BenchCommand::Metrics { .. } => false,
        }
    }
}

impl Command {
    /// Whether it computes, or names what was computed, on the device that --device asks for.
    pub fn has_device(&self) -> bool {
        match self {
            Command::Run(_) | Command::Work(_) | Command::SlurmTask(_) | Command::Plan(_) => true,
            Command::Check(_) | Command::Verify { .. } | Command::Calibrate(_) | Command::Predict(_) => true,
            Command::Cache(_) | Command::Features(_) => true,
            Command::Config(_) | Command::Report(_) | Command::Metrics(_) => false,
            Command::Schema | Command::Completions { .. } => false,
            Command::Data(_) | Command::Weights(_) | Command::Status(_) => false,
            Command::Bench(command) => command.has_device(),
        }
    }

    /// The word on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Run(_) => "run",
            Command::Plan(_) => "plan",
            Command::Status(_) => "status",
            Command::Work(_) => "work",
            Command::SlurmTask(_) => "slurm-task",
            Command::Config(_) => "config",
            Command::Schema => "schema",
            Command::Completions { .. } => "completions",
            Command::Check(_) => "check",
            Command::Report(_) => "report",
            Command::Metrics(_) => "metrics",
            Command::Calibrate(_) => "calibrate",
            Command::Predict(_) => "predict",
            Command::Verify { .. } => "verify",
            Command::Data(_) => "data",
            Command::Weights(_) => "weights",
            Command::Cache(_) => "cache",
            Command::Features(_) => "features",
            Command::Bench(_) => "bench",
        }
    }
}

/// Experiment files with overrides.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// Experiment files, the later over the earlier, and overrides, as in detector.sample.start=10, +new=1 or ~gone
    #[arg(required = true, value_name = "FILE | KEY=VALUE")]
    pub words: Vec<String>,
    /// Let `key=a,b,c` run a cell for each value
    #[arg(long, short = 'm', visible_alias = "multirun")]
    pub sweep: bool,
    /// Shrink everything that costs time, on the images and weights that the program carries: does it run at all?
    #[arg(long)]
    pub smoke: bool,
}

impl Target {
    /// What is asked for: words with `=` or a leading `~` or `+` are overrides, all others are files.
    ///
    /// # Errors
    /// When no file is named.
    pub fn request(&self) -> Result<Request> {
        let Target { words, sweep, smoke } = self;
        Request::of_words(words, Environment::Read, *sweep, *smoke)
    }
}

#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Every known set: present, partial or absent, with its licence, and how to get what is not there
    #[command(
        after_help = "Examples:\n  oodlab data list\n  oodlab data list --benchmark mini\n  oodlab data list --json"
    )]
    List {
        /// Only the sets of this benchmark
        #[arg(long, value_name = "NAME")]
        benchmark: Option<String>,
    },
    /// Download what is missing, compare its checksums, unpack and import it; goes on where it stopped
    #[command(
        after_help = "Examples:\n  oodlab data fetch cifar10\n  oodlab data fetch textures svhn --split test\n  \
        oodlab data fetch --benchmark cifar10-far\n  oodlab data fetch cifar10 --mirror http://files.example.org/datasets\n\n\
        Licence and size are told first. Nothing is unpacked before its checksum was found right.\n\
        Downloads lie in STORE/data/.downloads until they are imported; an interrupted one is gone on with.\n\
        HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE are respected. --mirror ADDRESS names a place below which\n\
        files of the same names lie, as NAME/FILE or FILE; it is tried first."
    )]
    Fetch {
        /// Sets, as `oodlab data list` names them
        #[arg(required_unless_present = "benchmark")]
        names: Vec<String>,
        /// All sets of this benchmark
        #[arg(long, value_name = "NAME", conflicts_with_all = ["names", "split"])]
        benchmark: Option<String>,
        /// Only the files of this split; may be given several times
        #[arg(long, value_name = "SPLIT")]
        split: Vec<String>,
        /// Address below which the files lie too
        #[arg(long, value_name = "ADDRESS", env = "OODLAB_MIRROR", hide_env_values = true)]
        mirror: Option<String>,
        /// Keep the downloads after they were imported
        #[arg(long)]
        keep_archives: bool,
        /// Leave out images that cannot be decoded instead of refusing the set
        #[arg(long)]
        allow_unreadable: bool,
    },
    /// Take files that you have: recognised by checksum, then by folder layout, never by name alone
    #[command(after_help = "Examples:\n  oodlab data import cifar10 --from ~/Downloads/cifar-10-python.tar.gz\n  \
        oodlab data import textures --from ~/data/dtd\n  oodlab data import --all --from ~/data --link\n\n\
        Archives as they are published (.tar, .tar.gz, .zip) and what they unpack to are both understood, and so are\n\
        the pickles of CIFAR and the LMDB folders of LSUN. An archive is unpacked into a folder of its own only.")]
    Import {
        /// The set; or --all
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        name: Option<String>,
        /// Import every set of which files are found
        #[arg(long)]
        all: bool,
        /// Folder to search, with everything below it; or one file
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// Leave out images that cannot be decoded instead of refusing the set
        #[arg(long)]
        allow_unreadable: bool,
        /// Give files a second name (a hard link) instead of a copy, where the file system can: do not change them afterwards
        #[arg(long)]
        link: bool,
    },
    /// Read everything again: checksums, counts, every image
    Verify {
        /// Sets; all that are at hand when absent
        names: Vec<String>,
    },
    /// Write a contact sheet of a set as PNG; tell its classes, sizes, channel means and deviations
    #[command(after_help = "Examples:\n  oodlab data show cifar10-mini\n  \
        oodlab data show cifar10 --split train --all --json\n\n\
        Means and deviations are of values 0..1 over all pixels of the images on the sheet; with --all, of the split.")]
    Show {
        name: String,
        /// Split; the set's first when absent
        #[arg(long)]
        split: Option<String>,
        /// Number of images
        #[arg(long, default_value_t = 64)]
        count: usize,
        /// Measure every image of the split, not only those on the sheet
        #[arg(long)]
        all: bool,
        /// Where to write it; NAME-SPLIT.png when absent
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub enum WeightsCommand {
    /// Every known weight file: embedded, present or absent, with network and licence
    List,
    /// Download known weights; goes on where it stopped, and compares the checksum
    #[command(
        after_help = "HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE are respected. Interrupted downloads are kept and gone on with.\n\
        --mirror ADDRESS names a place below which files of the same names lie; it is tried first."
    )]
    Fetch {
        /// Weights, as `oodlab weights list` names them
        #[arg(required = true)]
        names: Vec<String>,
        /// Address below which files of the same names lie
        #[arg(long, value_name = "ADDRESS", env = "OODLAB_MIRROR", hide_env_values = true)]
        mirror: Option<String>,
    },
    /// Take weight files that you have: known ones are recognised by SHA-256, your own get a name
    #[command(after_help = "Examples:\n  oodlab weights import resnet50-0676ba61.pth\n  \
        oodlab weights import checkpoint.pth --network resnet18-32 --name hall-1\n  \
        oodlab weights import --all --from DIR\n\n\
        Tensor names of PyTorch, timm, torchvision and Hugging Face models are understood; every tensor is accounted for.")]
    Import {
        /// A weight file
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        file: Option<PathBuf>,
        /// The network of your own weights, as in resnet18-32
        #[arg(long, requires = "file")]
        network: Option<String>,
        /// Their name; the file's when absent
        #[arg(long, requires = "network")]
        name: Option<String>,
        /// Mean of their pixels, scaled to 0..1: red,green,blue; the network's usual one when absent
        #[arg(long, requires = "deviation", requires = "network", value_name = "R,G,B", value_parser = three,
            allow_hyphen_values = true)]
        mean: Option<[f64; 3]>,
        /// Deviation of their pixels
        #[arg(long, requires = "mean", value_name = "R,G,B", value_parser = three)]
        deviation: Option<[f64; 3]>,
        /// Import every known file found below --from
        #[arg(long, requires = "from")]
        all: bool,
        /// Folder to search
        #[arg(long, value_name = "DIR")]
        from: Option<PathBuf>,
    },
    /// Share of a labelled set that a classifier gets right: do weights, preprocessing and images belong together?
    #[command(after_help = "Example:\n  oodlab weights accuracy resnet20 --set cifar10")]
    Accuracy(crate::commands::accuracy::AccuracyArguments),
    /// Write weights as safetensors, on wish with batch norm folded, halved, without the head
    Convert {
        /// A .pth or .safetensors file
        input: PathBuf,
        /// The safetensors file to write
        output: PathBuf,
        /// The network, as in efficientnet-lite0; from the manifest of a known file when absent
        #[arg(long)]
        network: Option<String>,
        /// Fold batch norm into the convolutions
        #[arg(long)]
        fold: bool,
        /// Store as f16
        #[arg(long)]
        half: bool,
        /// Leave the classifier out
        #[arg(long, requires = "fold")]
        trunk: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Time of each kernel, and its bytes a second beside those of a copy, on the CPU or with --device on a GPU
    Kernels {
        /// Values of each large buffer, in millions; more than caches hold
        #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=512))]
        values: u16,
    },
    /// Images a second of an encoder
    Encoder {
        /// As in efficientnet-lite0
        #[arg(long)]
        network: String,
        /// Images a call
        #[arg(long, default_value_t = 16, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=4096))]
        batch: usize,
        /// Input size in pixels; 224, or 32 for networks of 32 px, when absent
        #[arg(long)]
        resolution: Option<u32>,
        /// Side of the images before they are resized; they are given at their size and normalised when absent
        #[arg(long, value_name = "PIXELS")]
        image_side: Option<u32>,
        /// Numbers to compute with: f32, or bf16 where the processor has fast products of it
        #[arg(long, default_value = "f32", value_parser = ["f32", "bf16"])]
        precision: String,
        /// How long to measure, at least three batches; the median over batches is reported
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
    /// Features a second of the latent feature diffusion network, in training and in scoring, on the CPU or with --device on a GPU
    #[command(
        after_help = "Examples:\n  oodlab bench lfdn\n  oodlab bench lfdn --dim 512 --width 512 --blocks 4 --json"
    )]
    Lfdn {
        /// Channels of a feature vector
        #[arg(long, default_value_t = 720)]
        dim: usize,
        /// Inner width
        #[arg(long, default_value_t = 1440)]
        width: usize,
        /// Residual blocks
        #[arg(long, default_value_t = 16)]
        blocks: usize,
        /// Features a step
        #[arg(long, default_value_t = 256)]
        batch: usize,
        /// Numbers to compute products with: f32, bf16 where the device has fast products of it, or a GPU's tf32
        #[arg(long, default_value = "f32", value_parser = ["f32", "bf16", "tf32"])]
        precision: String,
        /// What computes: the device's fastest engine (fused, on the CPU), or the plain one, which others are checked against
        #[arg(long, default_value = "fused", value_parser = ["fused", "plain"])]
        engine: String,
        /// How long to measure, at least three steps of each kind; medians are reported
        #[arg(long, default_value_t = 8)]
        seconds: u64,
    },
    /// Time of all metrics of a million scores, of a bootstrap, and of a paired test
    Metrics {
        /// Scores that are evaluated and compared, half of them OOD
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(4..=200_000_000))]
        scores: usize,
        /// Bootstrap replicates, of 10,000 scores of each class
        #[arg(long, default_value_t = 1000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
        replicates: usize,
        /// How long each is measured, at least three times; the median is reported
        #[arg(long, default_value_t = 2)]
        seconds: u64,
    },
    /// Images a second that each format of data sets is read with, by one thread and by two (or by --threads)
    Data {
        /// Folder in which the files that are read stay, for other programs to read; a temporary one when absent
        #[arg(long, value_name = "DIR")]
        files: Option<PathBuf>,
        /// Passes over the images; their median is reported
        #[arg(long, default_value_t = 5, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1000))]
        passes: usize,
    },
}

/// Three numbers between commas.
fn three(text: &str) -> Result<[f64; 3], String> {
    let numbers: Result<Vec<f64>, _> = text.split(',').map(|number| number.trim().parse::<f64>()).collect();
    let numbers = numbers.ok().and_then(|numbers| <[f64; 3]>::try_from(numbers).ok());
    numbers.ok_or_else(|| "three numbers expected, as in 0.485,0.456,0.406".to_owned())
}
