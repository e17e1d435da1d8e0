//! One line of the output: a detector on one OOD set, or the mean over all of them.

use std::collections::BTreeMap;

use oodlab_evaluation::metrics::{Comparison, Convention};
use oodlab_evaluation::{Metric, Recall};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::arguments::MetricsArguments;

/// What was found of one detector on one OOD set.
#[derive(Debug, Clone)]
pub struct Line {
    pub detector: String,
    /// The OOD set, or `mean of N`; absent where no column names sets.
    pub set: Option<String>,
    pub n_id: usize,
    /// Absent in a mean.
    pub n_ood: Option<usize>,
    /// Absent in a mean.
    pub distinct: Option<usize>,
    pub values: BTreeMap<Metric, f64>,
    /// Ends of 95 % intervals: of the AUROC on one set DeLong's, otherwise of the bootstrap.
    pub intervals: BTreeMap<Metric, [f64; 2]>,
    pub warnings: Vec<String>,
    /// Tests against the detector of `--against`.
    pub against: Vec<Comparison>,
    convention: Convention,
    recall: Recall,
    negated: bool,
}

impl Line {
    pub fn new(arguments: &MetricsArguments, detector: &str, set: Option<&str>) -> Line {
        Line {
            detector: detector.to_owned(),
            set: set.map(str::to_owned),
            n_id: 0,
            n_ood: None,
            distinct: None,
            values: BTreeMap::new(),
            intervals: BTreeMap::new(),
            warnings: Vec::new(),
            against: Vec::new(),
            convention: arguments.convention,
            recall: arguments.recall,
            negated: arguments.lower_is_ood,
        }
    }

    /// `energy on svhn`
    pub fn name(&self) -> String {
        self.set.as_ref().map_or_else(|| self.detector.clone(), |set| format!("{} on {set}", self.detector))
    }
}

/// The unweighted mean of a detector's lines, without intervals.
pub fn mean_line(lines: &[Line]) -> Line {
    let mut mean = lines[0].clone();
    let count = lines.len();
    mean.set = Some(format!("mean of {count}"));
    (mean.n_ood, mean.distinct) = (None, None);
    mean.intervals.clear();
    mean.warnings.clear();
    for (metric, value) in &mut mean.values {
        *value = lines.iter().filter_map(|line| line.values.get(metric)).sum::<f64>() / count as f64;
    }
    mean
}

/// The name of a metric's column: that of `table.csv`, or `fpr80_id` at another recall than 95 %.
pub fn column(metric: Metric, recall: Recall) -> String {
    match metric {
        Metric::Fpr95Id => format!("fpr{}_id", recall.percent()),
        Metric::Fpr95Ood => format!("fpr{}_ood", recall.percent()),
        other => other.name().to_owned(),
    }
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("detector", &self.detector)?;
        if let Some(set) = &self.set {
            map.serialize_entry("set", set)?;
        }
        map.serialize_entry("n_id", &self.n_id)?;
        if let Some(n_ood) = self.n_ood {
            map.serialize_entry("n_ood", &n_ood)?;
        }
        if let Some(distinct) = self.distinct {
            map.serialize_entry("distinct", &distinct)?;
        }
        for (metric, value) in &self.values {
            let name = column(*metric, self.recall);
            map.serialize_entry(&name, value)?;
            if let Some([low, high]) = self.intervals.get(metric) {
                map.serialize_entry(&format!("{name}_low"), low)?;
                map.serialize_entry(&format!("{name}_high"), high)?;
            }
        }
        map.serialize_entry("rule", self.convention.rule.name())?;
        map.serialize_entry("convention", self.convention.name)?;
        map.serialize_entry("recall", &self.recall)?;
        map.serialize_entry("negated", &self.negated)?;
        map.serialize_entry("warnings", &self.warnings)?;
        if !self.against.is_empty() {
            let tests: Vec<Test<'_>> = self.against.iter().map(|row| Test { row, recall: self.recall }).collect();
            map.serialize_entry("against", &tests)?;
        }
        map.end()
    }
}

/// A comparison without the names that the line itself has.
struct Test<'a> {
    row: &'a Comparison,
    recall: Recall,
}

impl Serialize for Test<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let row = self.row;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("detector", &row.detector_b)?;
        map.serialize_entry("metric", &column(row.metric, self.recall))?;
        for (name, value) in
            [("a", row.a), ("b", row.b), ("difference", row.difference), ("low", row.low), ("high", row.high)]
        {
            map.serialize_entry(name, &value)?;
        }
        map.serialize_entry("method", row.method.name())?;
        map.serialize_entry("p", &row.p)?;
        map.serialize_entry("p_holm", &row.p_holm)?;
        map.serialize_entry("sets_in_family", &row.sets_in_family)?;
        map.end()
    }
}
