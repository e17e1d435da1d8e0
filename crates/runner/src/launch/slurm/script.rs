//! The text of a batch script: one a wave.

use std::path::Path;

use super::section::{Resources, Wave};

/// What a script is made of.
pub struct Script<'a> {
    /// The experiment's name: `dlsr/fig4`.
    pub experiment: &'a str,
    /// Which wave.
    pub wave: Wave,
    /// How many tasks; none for a job that is no array.
    pub tasks: Option<usize>,
    /// What each asks for.
    pub resources: &'a Resources,
    /// Seconds between the signal and the time limit.
    pub signal_seconds: u32,
    /// Where the program runs: paths of the command are relative to it.
    pub folder: &'a Path,
    /// Where its output goes.
    pub logs: &'a Path,
    /// Variables that the program needs, beside those that it inherits.
    pub variables: &'a [(String, String)],
    /// The program with its arguments.
    pub command: &'a [String],
}

impl Script<'_> {
    /// The text.
    pub fn text(&self) -> String {
        let Script { experiment, wave, resources, signal_seconds, .. } = self;
        let wave = wave.name();
        let log = match self.tasks {
            Some(_) => format!("{wave}-%a.log"),
            None => format!("{wave}.log"),
        };
        // Slurm replaces what follows a percent sign.
        let log = format!("{}/{log}", self.logs.display().to_string().replace('%', "%%"));
        let mut text = "#!/bin/bash\n".to_owned();
        let mut option = |line: String| text.push_str(&format!("#SBATCH {line}\n"));
        option(format!("--job-name={}", quoted_option(&format!("oodlab:{experiment}:{wave}"))));
        if let Some(tasks) = self.tasks {
            let parallel = resources.max_parallel.map(|most| format!("%{most}")).unwrap_or_default();
            option(format!("--array=0-{}{parallel}", tasks.saturating_sub(1)));
        }
        option(format!("--output={}", quoted_option(&log)));
        option("--open-mode=append".to_owned());
        option("--requeue".to_owned());
        option("--ntasks=1".to_owned());
        option(format!("--signal=B:USR1@{signal_seconds}"));
        for line in &resources.options {
            option(line.clone());
        }
        text.push_str(&format!("\ncd {} || exit 1\n", quoted(&self.folder.display().to_string())));
        for (name, value) in self.variables {
            text.push_str(&format!("export {name}={}\n", quoted(value)));
        }
        text.push_str(BEFORE);
        for line in &resources.setup {
            text.push_str(line);
            text.push('\n');
        }
        let words: Vec<String> = self.command.iter().map(|word| quoted(word)).collect();
        text.push_str(&format!("\n{} --task \"${{SLURM_ARRAY_TASK_ID:-0}}\" &\n", words.join(" ")));
        text.push_str(BEHIND);
        text
    }
}

/// The number of an array's task is written out: that of its job is, for one task of every array, the number of the whole array,
/// and requeueing that would start all of its tasks again.
const BEFORE: &str = r#"
# Before the time limit comes USR1: the program stops at its next part or checkpoint, and the task goes back into the queue.
# A preempted task gets TERM, as the program does: it stops in the same way, and Slurm requeues it.
task=$SLURM_JOB_ID
[ -z "${SLURM_ARRAY_JOB_ID:-}" ] || task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
again=
program=
trap 'again=yes; [ -z "$program" ] || kill -TERM "$program"' USR1
trap : TERM

"#;

const BEHIND: &str = r#"program=$!
wait "$program"
code=$?
# A signal ends the waiting, not the program.
while kill -0 "$program" 2>/dev/null; do
  wait "$program"
  code=$?
done
if [ -n "$again" ] && [ "$code" -eq 130 ]; then
  echo "stopped before the time limit; requeued"
  scontrol requeue "$task" && exit 0
fi
exit "$code"
"#;

/// A word for the shell.
pub fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./=:,+@%".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// A value of an option line, as sbatch reads it.
fn quoted_option(text: &str) -> String {
    if text.chars().any(|c| c.is_whitespace() || "\"'\\#".contains(c)) {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::slurm::section::SlurmSection;

    #[test]
    fn a_script_of_an_array() {
        let section: SlurmSection = serde_yaml::from_str(
            "{partition: cpu, time: 1h, memory: 4G, cpus: 2, max_parallel: 8, setup: [module load gcc], sbatch: [--nice=10]}",
        )
        .expect("a section");
        let resources = section.resources(Wave::Fit);
        let command = ["/opt/oodlab".to_owned(), "--store".to_owned(), "/data/my store".to_owned(), "work".to_owned()];
        let script = Script {
            experiment: "dlsr/fig4",
            wave: Wave::Fit,
            tasks: Some(12),
            resources: &resources,
            signal_seconds: 120,
            folder: Path::new("/home/me/it's here"),
            logs: Path::new("/home/me/it's here/results/100%/logs"),
            variables: &[("OODLAB__SEEDS".to_owned(), "[0, 1]".to_owned())],
            command: &command,
        };
        let head = r#"#!/bin/bash
#SBATCH --job-name=oodlab:dlsr/fig4:fit
#SBATCH --array=0-11%8
#SBATCH --output="/home/me/it's here/results/100%%/logs/fit-%a.log"
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --ntasks=1
#SBATCH --signal=B:USR1@120
#SBATCH --partition=cpu
#SBATCH --time=0-01:00:00
#SBATCH --mem=4096M
#SBATCH --cpus-per-task=2
#SBATCH --nice=10

cd '/home/me/it'\''s here' || exit 1
export OODLAB__SEEDS='[0, 1]'
"#;
        let start =
            "module load gcc\n\n/opt/oodlab --store '/data/my store' work --task \"${SLURM_ARRAY_TASK_ID:-0}\" &\n";
        assert_eq!(script.text(), format!("{head}{BEFORE}{start}{BEHIND}"));
    }

    #[test]
    fn a_job_that_is_no_array_has_neither_number_nor_limit() {
        let script = Script {
            experiment: "quick",
            wave: Wave::Tables,
            tasks: None,
            resources: &SlurmSection { max_parallel: Some(3), ..SlurmSection::default() }.resources(Wave::Tables),
            signal_seconds: 60,
            folder: Path::new("/w"),
            logs: Path::new("/w/logs"),
            variables: &[],
            command: &["oodlab".to_owned()],
        };
        let text = script.text();
        assert!(!text.contains("--array") && text.contains("--output=/w/logs/tables.log\n"), "{text}");
        assert!(text.contains("--signal=B:USR1@60\n"), "{text}");
    }

    #[test]
    fn words_reach_the_shell_as_they_are() {
        assert_eq!(quoted("a/b-c.yaml"), "a/b-c.yaml");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("$HOME; it's"), "'$HOME; it'\\''s'");
        assert_eq!(quoted_option("a b\"c"), "\"a b\\\"c\"");
    }
}
