//! The section `slurm:` of an experiment: what each task of it asks the cluster for. In no stage's key: results do not depend on it.

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::formats::{Gpus, Memory, TimeLimit, Written};

/// `slurm:` of an experiment file. What is absent is the cluster's default, unless said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SlurmSection {
    /// Partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// Account that is charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Quality of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qos: Option<String>,
    /// Features of nodes, as in `icelake`: keys depend on the processor, so keep to nodes of one kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
    /// Time limit of a task: `90m`, `1h30m`, `2-00:00:00`. A task that reaches it goes on in a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Written>")]
    pub time: Option<TimeLimit>,
    /// Memory of a task: `16G`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Written>")]
    pub memory: Option<Memory>,
    /// Processors of a task, which are its threads too; 1 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u16>,
    /// GPUs of every task: `1`, or `a100:1`. One device for the whole experiment: it is part of the keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Written>")]
    pub gpus: Option<Gpus>,
    /// Tasks of a stage that run at once, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<usize>,
    /// Minutes of estimated work that one task gets; 20 when absent. What takes longer is a task of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pack: Option<u32>,
    /// Into how many tasks the encoding of one set is dealt, at most; 16 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<usize>,
    /// A task is told so many seconds before its time limit that it has to stop; 120 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal_seconds: Option<u32>,
    /// Shell lines before the program starts: `module load cuda`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<String>,
    /// Further options of sbatch, one a line: `--exclude=node7`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sbatch: Vec<String>,
    /// Where the experiment is planned and submitted: `here`, or `node`, in a small job of its own; `node` when it asks for GPUs, else
    /// `here`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanPlace>,
    /// Other values for encoding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encode: Option<StageSection>,
    /// Other values for fitting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<StageSection>,
    /// Other values for scoring.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<StageSection>,
    /// Other values for computing metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluate: Option<StageSection>,
    /// Other values for the last job, which writes tables and figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables: Option<StageSection>,
}

/// What may differ from stage to stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StageSection {
    /// Partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// Quality of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qos: Option<String>,
    /// Time limit of a task.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Written>")]
    pub time: Option<TimeLimit>,
    /// Memory of a task.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Written>")]
    pub memory: Option<Memory>,
    /// Processors of a task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u16>,
    /// Tasks that run at once, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<usize>,
    /// Minutes of estimated work that one task gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pack: Option<u32>,
    /// Further options of sbatch, behind those of all stages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sbatch: Vec<String>,
}

/// Where an experiment is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanPlace {
    /// By the process that the user starts, on the login node.
    Here,
    /// By a job on a node, whose processor and GPU are those of the tasks.
    Node,
}

/// Which part of a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wave {
    /// Planning and submitting, on a node.
    Plan,
    /// Shares of sets.
    Encode,
    /// Whole sets: what no share left.
    Merge,
    /// Fits.
    Fit,
    /// Scores.
    Score,
    /// Metrics.
    Evaluate,
    /// Tables and figures.
    Tables,
}

impl Wave {
    /// As in names of files.
    pub fn name(self) -> &'static str {
        match self {
            Wave::Plan => "plan",
            Wave::Encode => "encode",
            Wave::Merge => "merge",
            Wave::Fit => "fit",
            Wave::Score => "score",
            Wave::Evaluate => "evaluate",
            Wave::Tables => "tables",
        }
    }
}

/// What the tasks of one wave ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// Options of sbatch in the form `--name=value`, in their order.
    pub options: Vec<String>,
    /// Processors of a task.
    pub cpus: u16,
    /// Tasks that run at once, at most.
    pub max_parallel: Option<usize>,
    /// Seconds of estimated work a task.
    pub pack_seconds: u64,
    /// Shell lines before the program starts.
    pub setup: Vec<String>,
}

const PACK_MINUTES: u32 = 20;
const SHARDS: usize = 16;
const SIGNAL_SECONDS: u32 = 120;

impl SlurmSection {
    /// What is wrong with a value, and its key below `slurm`.
    pub fn check(&self) -> Result<(), (String, String)> {
        let wrong = |key: &str, what: String| Err((key.to_owned(), what));
        let stages = [
            ("encode", &self.encode),
            ("fit", &self.fit),
            ("score", &self.score),
            ("evaluate", &self.evaluate),
            ("tables", &self.tables),
        ];
        let none = StageSection::default();
        let mut options = vec![("sbatch".to_owned(), &self.sbatch)];
        let names = [
            ("partition", &self.partition),
            ("account", &self.account),
            ("qos", &self.qos),
            ("constraint", &self.constraint),
        ];
        let mut texts: Vec<(String, &String)> =
            names.iter().filter_map(|(key, text)| Some(((*key).to_owned(), text.as_ref()?))).collect();
        let mut counts =
            vec![("cpus".to_owned(), self.cpus.map(usize::from)), ("max_parallel".to_owned(), self.max_parallel)];
        counts.push(("pack".to_owned(), self.pack.map(|minutes| minutes as usize)));
        counts.push(("shards".to_owned(), self.shards));
        counts.push(("signal_seconds".to_owned(), self.signal_seconds.map(|seconds| seconds as usize)));
        for (stage, own) in stages {
            let own = own.as_ref().unwrap_or(&none);
            options.push((format!("{stage}.sbatch"), &own.sbatch));
            let names = [("partition", &own.partition), ("qos", &own.qos)];
            texts.extend(names.iter().filter_map(|(key, text)| Some((format!("{stage}.{key}"), text.as_ref()?))));
            counts.push((format!("{stage}.cpus"), own.cpus.map(usize::from)));
            counts.push((format!("{stage}.max_parallel"), own.max_parallel));
            counts.push((format!("{stage}.pack"), own.pack.map(|minutes| minutes as usize)));
        }
        for (key, text) in texts {
            if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control() || "\"'\\".contains(c)) {
                return wrong(&key, format!("expected a name without blanks and quotes, found {text:?}"));
            }
        }
        for (key, count) in counts {
            if count == Some(0) {
                return wrong(&key, "expected at least 1; leave it out for the default".to_owned());
            }
        }
        for (key, lines) in options {
            for line in lines {
                check_option(line).or_else(|what| wrong(&key, what))?;
            }
        }
        if let Some(line) = self.setup.iter().find(|line| line.contains('\0')) {
            return wrong("setup", format!("a shell line with a zero byte: {line:?}"));
        }
        let signal = u64::from(self.signal_seconds());
        let times = std::iter::once(("time".to_owned(), self.time))
            .chain(stages.iter().filter_map(|(stage, own)| Some((format!("{stage}.time"), own.as_ref()?.time))));
        for (key, time) in times {
            if let Some(time) = time.filter(|time| time.seconds() <= signal) {
                return wrong(
                    &key,
                    format!("{time} is not longer than signal_seconds ({signal}): tasks would stop at once"),
                );
            }
        }
        Ok(())
    }

    /// Seconds between the signal and the time limit.
    pub fn signal_seconds(&self) -> u32 {
        self.signal_seconds.unwrap_or(SIGNAL_SECONDS)
    }

    /// Into how many tasks a set is dealt, at most.
    pub fn shards(&self) -> usize {
        self.shards.unwrap_or(SHARDS)
    }

    /// Whether tasks get a GPU.
    pub fn has_gpus(&self) -> bool {
        self.gpus.as_ref().is_some_and(Gpus::any)
    }

    /// Where the experiment is planned.
    pub fn plan_place(&self) -> PlanPlace {
        self.plan.unwrap_or(if self.has_gpus() { PlanPlace::Node } else { PlanPlace::Here })
    }

    /// What the tasks of a wave ask for.
    pub fn resources(&self, wave: Wave) -> Resources {
        let none = StageSection::default();
        let own = match wave {
            Wave::Plan => None,
            Wave::Encode | Wave::Merge => self.encode.as_ref(),
            Wave::Fit => self.fit.as_ref(),
            Wave::Score => self.score.as_ref(),
            Wave::Evaluate => self.evaluate.as_ref(),
            Wave::Tables => self.tables.as_ref(),
        }
        .unwrap_or(&none);
        let cpus = own.cpus.or(self.cpus).unwrap_or(1);
        let mut options = Vec::new();
        let mut add =
            |name: &str, value: Option<String>| options.extend(value.map(|value| format!("--{name}={value}")));
        add("partition", own.partition.clone().or_else(|| self.partition.clone()));
        add("account", self.account.clone());
        add("qos", own.qos.clone().or_else(|| self.qos.clone()));
        add("constraint", self.constraint.clone());
        add("time", own.time.or(self.time).map(|time| time.to_string()));
        add("mem", own.memory.or(self.memory).map(|memory| memory.to_string()));
        add("cpus-per-task", Some(cpus.to_string()));
        add("gpus-per-node", self.gpus.as_ref().filter(|gpus| gpus.any()).map(Gpus::to_string));
        options.extend(self.sbatch.iter().chain(&own.sbatch).cloned());
        Resources {
            options,
            cpus,
            max_parallel: own.max_parallel.or(self.max_parallel),
            pack_seconds: u64::from(own.pack.or(self.pack).unwrap_or(PACK_MINUTES)) * 60,
            setup: self.setup.clone(),
        }
    }
}

/// Options that belong to the launcher: with others the tasks could not be told apart, followed or requeued.
const OWN: [&str; 13] = [
    "array",
    "begin",
    "chdir",
    "dependency",
    "error",
    "hold",
    "job-name",
    "no-requeue",
    "open-mode",
    "output",
    "parsable",
    "requeue",
    "signal",
];

fn check_option(line: &str) -> Result<(), String> {
    let name = line.strip_prefix("--").map(|rest| rest.split(['=', ' ']).next().unwrap_or_default());
    match name {
        Some(name) if OWN.contains(&name) => Err(format!("--{name} is set by the launcher; leave it out")),
        Some(name) if !name.is_empty() && !line.chars().any(char::is_control) => Ok(()),
        _ => Err(format!("expected an option of sbatch such as --exclude=node7, found {line:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> SlurmSection {
        serde_yaml::from_str(yaml).expect("a section")
    }

    fn refused(yaml: &str) -> String {
        let (key, what) = read(yaml).check().expect_err("a wrong value");
        format!("{key}: {what}")
    }

    #[test]
    fn a_stage_has_its_own_values_and_else_those_of_all() {
        let section = read(
            "{partition: gpu, account: lab, time: 1h, memory: 16G, cpus: 4, max_parallel: 8, pack: 10, sbatch: [--exclude=n7],\n\
             fit: {time: 2d, cpus: 8, sbatch: [--exclusive]}, evaluate: {memory: 1G, max_parallel: 2}}",
        );
        assert_eq!(section.check(), Ok(()));
        let fit = section.resources(Wave::Fit);
        let expected = [
            "--partition=gpu",
            "--account=lab",
            "--time=2-00:00:00",
            "--mem=16384M",
            "--cpus-per-task=8",
            "--exclude=n7",
            "--exclusive",
        ];
        assert_eq!(fit.options, expected);
        assert_eq!((fit.cpus, fit.max_parallel, fit.pack_seconds), (8, Some(8), 600));
        let evaluate = section.resources(Wave::Evaluate);
        assert!(evaluate.options.contains(&"--mem=1024M".to_owned()) && evaluate.max_parallel == Some(2));
        assert_eq!(read("{}").resources(Wave::Score).options, ["--cpus-per-task=1"]);
        // A section reads back as it was.
        let again = serde_yaml::to_string(&section).expect("text");
        assert_eq!(read(&again), section);
    }

    #[test]
    fn an_experiment_with_gpus_is_planned_where_they_are() {
        assert_eq!(read("{gpus: a100:1}").plan_place(), PlanPlace::Node);
        assert_eq!(read("{gpus: 0}").plan_place(), PlanPlace::Here);
        assert_eq!(read("{plan: node}").plan_place(), PlanPlace::Node);
        assert!(read("{gpus: 2}").resources(Wave::Fit).options.contains(&"--gpus-per-node=2".to_owned()));
    }

    #[test]
    fn wrong_values_are_told_with_their_key() {
        assert!(refused("{cpus: 0}").starts_with("cpus: "));
        assert!(refused("{fit: {max_parallel: 0}}").starts_with("fit.max_parallel: "));
        assert!(refused("{partition: 'a b'}").contains("without blanks"));
        assert!(refused("{sbatch: [--array=1-2]}").contains("--array is set by the launcher"));
        assert!(refused("{score: {sbatch: [\"--x\\n#SBATCH --y\"]}}").starts_with("score.sbatch: expected an option"));
        assert!(refused("{sbatch: [exclusive]}").contains("--exclude=node7"));
        assert!(refused("{time: 2m}").contains("signal_seconds (120)"));
        assert!(refused("{signal_seconds: 3600, evaluate: {time: 1h}}").starts_with("evaluate.time: "));
        assert!(serde_yaml::from_str::<SlurmSection>("{partion: x}").is_err());
        assert!(serde_yaml::from_str::<SlurmSection>("{fit: {gpus: 1}}").is_err());
    }
}
