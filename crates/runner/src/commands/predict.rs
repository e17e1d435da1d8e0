//! `oodlab predict`: scores and decisions for pictures, from a detector file.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use oodlab_base::Progress;
use oodlab_base::file::write_atomic;
use rayon::prelude::*;
use serde_json::{Map, Value, json};

use super::{print, print_json};
use crate::failure::settings;
use crate::lab::Lab;
use crate::portable::{self, Judged, OpenDetector, Seen};

/// `oodlab predict --help`.
pub const HELP: &str = "Examples:\n  oodlab predict cats.oodlab photograph.jpg\n  oodlab predict cats.oodlab photographs/ --explain > scores.csv\n  \
    find . -name '*.png' | oodlab predict cats.oodlab - --json\n\n\
    One line a picture: path, score (higher: more out-of-distribution), threshold, decision (`id` or `ood`), and where the\n\
    network has classes the predicted one with its probability. With --explain also what each layer says.\n\
    A diffusion detector's noise is a function of a picture's number in the list: the same list gives the same scores.\n\n\
    Exit code: 0 all pictures were scored, 1 one could not be read.";

/// Pictures scored at once: as many as an experiment's parts have, so that scores are equal to the bit.
const AT_ONCE: usize = 1024;

/// Endings of picture files in a folder.
const ENDINGS: [&str; 9] = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "ppm", "pgm", "pbm"];

#[derive(Debug, Args)]
pub struct PredictArguments {
    /// A file of `oodlab calibrate`
    #[arg(value_name = "DETECTOR")]
    pub detector: PathBuf,
    /// Pictures, folders of pictures, or `-`: their paths, one a line on standard input
    #[arg(required_unless_present = "list", value_name = "PICTURE")]
    pub pictures: Vec<PathBuf>,
    /// A file with one path a line
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
    /// Also tell what each layer says
    #[arg(long)]
    pub explain: bool,
    /// Go on after a picture that cannot be read; its line has an error in place of a score
    #[arg(long)]
    pub keep_going: bool,
    /// Write there in place of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// One line of the answer.
struct Line {
    path: String,
    judged: Result<Judgement, String>,
}

/// What is said of one picture.
struct Judgement {
    score: f64,
    accepted: bool,
    class: Option<(String, f64)>,
    /// Layer and measure, and the number.
    layers: Vec<(String, f64)>,
}

/// Runs the command; tells whether every picture could be read.
pub fn run(lab: &Lab, arguments: &PredictArguments, json: bool) -> Result<bool> {
    let (about, fitted) = portable::read(&arguments.detector)?;
    let detector = OpenDetector::new(lab, about, &fitted)?;
    let paths = paths(arguments)?;
    if paths.is_empty() {
        return Err(settings("there are no pictures: expected files, folders that hold some, or a list"));
    }
    let task = lab.bars.task("predict", "pictures", paths.len() as u64, 0);
    let mut lines = Vec::with_capacity(paths.len());
    for (number, part) in paths.chunks(AT_ONCE).enumerate() {
        lines.extend(judge(lab, &detector, part, (number * AT_ONCE) as u64, arguments)?);
        task.advance(part.len() as u64);
    }
    let complete = lines.iter().all(|line| line.judged.is_ok());
    let text = if json { None } else { Some(csv(&detector, &lines)) };
    match (&arguments.output, text) {
        (Some(path), Some(text)) => write_atomic(path, text.as_bytes())?,
        (None, Some(text)) => print(&text)?,
        (Some(path), None) => write_atomic(path, format!("{}\n", as_json(&detector, &lines)).as_bytes())?,
        (None, None) => print_json(&as_json(&detector, &lines))?,
    }
    Ok(complete)
}

/// One part of the list. Pictures that cannot be read keep their number.
fn judge(
    lab: &Lab,
    detector: &OpenDetector,
    paths: &[PathBuf],
    first: u64,
    arguments: &PredictArguments,
) -> Result<Vec<Line>> {
    let cancel = &lab.cancel;
    let see = |path: &PathBuf| -> Result<Result<Seen, String>> {
        cancel.check()?;
        let name = path.display().to_string();
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(error.to_string())),
        };
        Ok(detector.see(name, &bytes).map_err(|error| format!("{error:#}")))
    };
    let seen: Vec<Result<Seen, String>> = paths.par_iter().map(see).collect::<Result<_>>()?;
    if let (false, Some((path, error))) = (
        arguments.keep_going,
        paths.iter().zip(&seen).find_map(|(path, seen)| seen.as_ref().err().map(|error| (path, error))),
    ) {
        anyhow::bail!("{}: {error}; --keep-going scores the others", path.display());
    }
    // Runs of readable pictures: a sample's noise depends on its number in the list.
    let mut lines: Vec<Line> = Vec::with_capacity(paths.len());
    let (mut run, mut start) = (Vec::new(), 0);
    let flush = |run: &mut Vec<Seen>, start: usize, lines: &mut Vec<Line>| -> Result<()> {
        if run.is_empty() {
            return Ok(());
        }
        let count = run.len();
        let judged =
            detector.judge(lab, std::mem::take(run), first + start as u64, &oodlab_base::Silent, arguments.explain)?;
        let names = paths[start..start + count].iter().map(|path| path.display().to_string());
        lines.extend(names.enumerate().map(|(at, path)| Line { path, judged: Ok(judgement(detector, &judged, at)) }));
        Ok(())
    };
    for (at, seen) in seen.into_iter().enumerate() {
        match seen {
            Ok(seen) => {
                if run.is_empty() {
                    start = at;
                }
                run.push(seen);
            }
            Err(error) => {
                flush(&mut run, start, &mut lines)?;
                lines.push(Line { path: paths[at].display().to_string(), judged: Err(error) });
            }
        }
    }
    flush(&mut run, start, &mut lines)?;
    Ok(lines)
}

fn judgement(detector: &OpenDetector, judged: &Judged, at: usize) -> Judgement {
    let score = judged.scores[at];
    let names = &detector.about.encoder.classes;
    let class = judged.classes[at]
        .map(|(class, probability)| (names.get(class).cloned().unwrap_or_else(|| class.to_string()), probability));
    let layers =
        judged.layers.iter().map(|part| (format!("{} {}", part.layer, part.measure), part.values[at])).collect();
    Judgement { score, accepted: detector.threshold().accepts(score), class, layers }
}

fn decision(accepted: bool) -> &'static str {
    if accepted { "id" } else { "ood" }
}

/// Every path that is asked for, folders in byte order.
fn paths(arguments: &PredictArguments) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in &arguments.pictures {
        if path.as_os_str() == "-" {
            found.extend(listed(std::io::stdin().lock())?);
        } else if path.is_dir() {
            folder(path, &mut found)?;
        } else {
            found.push(path.clone());
        }
    }
    if let Some(list) = &arguments.list {
        found.extend(listed(std::io::BufReader::new(fs_err::File::open(list)?))?);
    }
    Ok(found)
}

fn listed(lines: impl BufRead) -> Result<Vec<PathBuf>> {
    let lines = lines.lines().collect::<Result<Vec<_>, _>>().context("the list of pictures cannot be read")?;
    Ok(lines
        .iter()
        .map(|line| line.trim_end_matches('\r'))
        .filter(|line| !line.is_empty())
        .map(PathBuf::from)
        .collect())
}

fn folder(path: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries = fs_err::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    entries.sort();
    for entry in entries {
        // A link to a folder may lead in a circle.
        if entry.is_dir() && !entry.is_symlink() {
            folder(&entry, found)?;
        } else if entry.is_file() {
            let ending = entry.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
            if ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) {
                found.push(entry);
            }
        }
    }
    Ok(())
}

fn csv(detector: &OpenDetector, lines: &[Line]) -> String {
    let about = &detector.about;
    let first = lines.iter().find_map(|line| line.judged.as_ref().ok());
    let layers: Vec<&str> = first.iter().flat_map(|first| &first.layers).map(|(name, _)| name.as_str()).collect();
    let mut text = ["path", about.score.as_str(), "threshold", "decision", "class", "probability"]
        .into_iter()
        .chain(layers.iter().copied())
        .chain(["error"])
        .map(quoted)
        .collect::<Vec<_>>()
        .join(",");
    text.push('\n');
    for line in lines {
        let mut cells = vec![quoted(&line.path)];
        match &line.judged {
            Ok(judgement) => {
                cells.extend([judgement.score.to_string(), about.threshold.value.to_string()]);
                cells.push(decision(judgement.accepted).to_owned());
                let class = judgement.class.as_ref();
                cells.push(class.map(|(name, _)| quoted(name)).unwrap_or_default());
                cells.push(class.map(|(_, probability)| probability.to_string()).unwrap_or_default());
                cells.extend(judgement.layers.iter().map(|(_, value)| value.to_string()));
                cells.push(String::new());
            }
            Err(error) => {
                cells.extend(std::iter::repeat_n(String::new(), 5 + layers.len()));
                cells.push(quoted(error));
            }
        }
        text += &cells.join(",");
        text.push('\n');
    }
    text
}

/// A cell of a CSV file.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

fn as_json(detector: &OpenDetector, lines: &[Line]) -> Value {
    let about = &detector.about;
    let of = |line: &Line| match &line.judged {
        Err(error) => json!({ "path": line.path, "error": error }),
        Ok(found) => {
            let mut object = json!({ "path": line.path, "score": found.score, "decision": decision(found.accepted) });
            if let Some((class, probability)) = &found.class {
                object["class"] = json!(class);
                object["probability"] = json!(probability);
            }
            if !found.layers.is_empty() {
                let layers: Map<String, Value> =
                    found.layers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
                object["layers"] = layers.into();
            }
            object
        }
    };
    json!({
        "detector": about.detector.name,
        "score": about.score,
        "threshold": about.threshold.value,
        "pictures": lines.iter().map(of).collect::<Vec<_>>(),
    })
}
