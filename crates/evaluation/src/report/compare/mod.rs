//! Two experiments side by side: what was set differently, what came out differently, and what cannot be compared.

mod html;
mod rows;
mod settings;
mod stages;
mod text;

use serde::Serialize;

use crate::metrics::Metric;
use crate::record::{About, Record};

pub use html::compare_html;
pub use text::compare_text;

/// What two experiments are compared by.
pub const METRICS: [Metric; 3] = [Metric::Auroc, Metric::Fpr95Id, Metric::Fpr95Ood];

/// Two experiments side by side. Differences are B minus A.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SideBySide {
    /// The first experiment.
    pub a: Side,
    /// The second.
    pub b: Side,
    /// Settings that differ, by dotted key.
    pub settings: Vec<SettingPair>,
    /// Settings that are the same in both.
    pub same_settings: usize,
    /// Names by which rows would not match, and which are matched because each side has only one.
    pub across: Vec<Across>,
    /// Rows that both have, in the order of the first.
    pub rows: Vec<RowPair>,
    /// Rows that only the first has.
    pub only_a: Vec<RowName>,
    /// Rows that only the second has.
    pub only_b: Vec<RowName>,
    /// Stages of either, in the order of the first.
    pub stages: Vec<StagePair>,
}

/// What one of the two is.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Side {
    /// Name of the experiment.
    pub experiment: String,
    /// The command that makes it again.
    pub command: String,
    /// Program, version and commit.
    pub program: String,
    /// What equal bits depend on.
    pub numerics: String,
    /// Finished runs.
    pub runs: usize,
    /// Failed runs.
    pub failures: usize,
}

/// A setting that differs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SettingPair {
    /// `detector.train.epochs`
    pub key: String,
    /// Value in the first; absent where the key is.
    pub a: Option<String>,
    /// Value in the second.
    pub b: Option<String>,
}

/// A name that is another one in each, and the only one there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Across {
    /// `cell`, `seed`, `benchmark` or `ID set`.
    pub column: &'static str,
    /// The first's only value.
    pub a: String,
    /// The second's.
    pub b: String,
}

/// What tells a row from the others of its experiment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RowName {
    /// Cell; empty without a sweep.
    pub cell: String,
    /// Seed.
    pub seed: u64,
    /// Detector.
    pub detector: String,
    /// Its score.
    pub score: String,
    /// Benchmark.
    pub benchmark: String,
    /// Protocol.
    pub protocol: String,
    /// In-distribution set.
    pub id_set: String,
    /// Group of OOD sets.
    pub group: String,
    /// OOD set, or `mean of N`.
    pub ood_set: String,
}

/// Whether two numbers come from the same images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Images {
    /// The lists of in-distribution and of out-of-distribution images are equal.
    Same,
    /// One of them differs: the numbers answer different questions.
    Other,
    /// A list is not known.
    Unknown,
}

/// A row that both experiments have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowPair {
    /// Its name in the first.
    pub name: RowName,
    /// Over how many sets it is the mean; absent for one set.
    pub mean_of: Option<usize>,
    /// Whether both read the same images.
    pub images: Images,
    /// Whether both take the operating point by the same rule.
    pub same_rule: bool,
    /// The metrics of [`METRICS`] that both have.
    pub metrics: Vec<MetricPair>,
}

/// A metric in both experiments, as fractions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricPair {
    /// The metric.
    pub metric: Metric,
    /// In the first, 0..1.
    pub a: f64,
    /// In the second, 0..1.
    pub b: f64,
    /// `b - a`, -1..1; absent where the two cannot be compared: other images, or another rule of the operating point.
    pub difference: Option<f64>,
    /// 95 % interval in the first, where there is one.
    pub interval_a: Option<[f64; 2]>,
    /// 95 % interval in the second.
    pub interval_b: Option<[f64; 2]>,
    /// Whether the intervals have a point in common; absent where one is, or where the two cannot be compared.
    pub overlap: Option<bool>,
}

/// A kind of stage in both: its runs together, each stage counted once.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StagePair {
    /// `encode cifar10 test`
    pub label: String,
    /// Seconds in the first; absent where there is none or its time is not known.
    pub a: Option<f64>,
    /// Seconds in the second.
    pub b: Option<f64>,
    /// Whether it is the same result in both, by its keys: what one computed the other may have read from the store.
    pub same_result: bool,
}

/// Compares two experiments.
///
/// Rows match by detector, score, protocol, OOD set (a mean by its group), cell, seed, benchmark and ID set. Of the last four, one that
/// differs is matched across when each experiment has only one value: then it is what the two were made to compare.
#[must_use]
pub fn compare(a: &Record, b: &Record) -> SideBySide {
    let (settings, same_settings) = settings::differences(&a.about.config, &b.about.config);
    let matched = rows::matched(a, b);
    SideBySide {
        a: side(&a.about),
        b: side(&b.about),
        settings,
        same_settings,
        across: matched.across,
        rows: matched.rows,
        only_a: matched.only_a,
        only_b: matched.only_b,
        stages: stages::pairs(&a.about, &b.about),
    }
}

impl SideBySide {
    /// The rows to read first: means over groups, or all where no group has one.
    fn first_rows(&self) -> Vec<&RowPair> {
        let means: Vec<&RowPair> = self.rows.iter().filter(|row| row.mean_of.is_some()).collect();
        if means.is_empty() { self.rows.iter().collect() } else { means }
    }

    /// The rows whose images are not the same in both.
    fn incomparable(&self) -> usize {
        self.rows.iter().filter(|row| row.images == Images::Other).count()
    }
}

impl RowPair {
    /// What keeps the numbers from being compared; empty where nothing does.
    fn remark(&self) -> &'static str {
        match (self.images, self.same_rule) {
            (Images::Other, _) => "other images: not comparable",
            (_, false) => "other operating point: FPR95 not comparable",
            (Images::Unknown, true) => "images not known",
            (Images::Same, true) => "",
        }
    }

    /// `far: mean of 7`, or the set.
    fn set(&self) -> String {
        self.name.set()
    }
}

impl RowName {
    fn set(&self) -> String {
        let is_mean = self.ood_set.starts_with(crate::table::MEAN_PREFIX);
        if is_mean && !self.group.is_empty() {
            format!("{}: {}", self.group, self.ood_set)
        } else {
            self.ood_set.clone()
        }
    }
}

fn side(about: &About) -> Side {
    Side {
        experiment: about.experiment.clone(),
        command: about.command.clone(),
        program: about.program.clone(),
        numerics: about.numerics.clone(),
        runs: about.runs.len(),
        failures: about.failures.len(),
    }
}
