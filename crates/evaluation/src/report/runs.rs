//! Where the numbers come from: the program, and of each run its sets, stages and times.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::record::{About, RunAbout, StageAbout};

use super::page::scroll;
use super::text::{address, count, duration, escape, hash, run_id};

/// Runs that are open from the beginning; of more only the names are.
const OPEN: usize = 1;

pub(super) fn section(about: &About) -> String {
    let mut out = String::from("<dl class=\"facts\">\n");
    for (name, value) in [("Program", &about.program), ("Numerics", &about.numerics), ("Experiment file", &about.file)]
    {
        if !value.is_empty() {
            let _ = writeln!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(value));
        }
    }
    let mut seconds: BTreeMap<&str, f64> = BTreeMap::new();
    for stage in about.runs.iter().flat_map(|run| &run.stages) {
        seconds.extend(stage_seconds(stage).map(|taken| (stage.key.as_str(), taken)));
    }
    if !seconds.is_empty() {
        let _ = writeln!(
            out,
            "<div><dt>Computing</dt><dd>{} in {}: each stage counted once, with the time that it took where and when it was computed</dd></div>",
            duration(seconds.values().sum()),
            count(seconds.len(), "stage", "stages")
        );
    }
    out.push_str("</dl>\n");
    if !about.runs.is_empty() {
        let _ = writeln!(out, "<h3>{}</h3>", count(about.runs.len(), "run", "runs"));
    }
    for run in &about.runs {
        out.push_str(&one(run, about.runs.len() <= OPEN));
    }
    out
}

/// The time that a stage took, when it is known.
pub(in crate::report) fn stage_seconds(stage: &StageAbout) -> Option<f64> {
    stage.computed.get("seconds")?.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0)
}

fn one(run: &RunAbout, open: bool) -> String {
    let total: f64 = run.stages.iter().filter_map(stage_seconds).sum();
    let name = if run.cell.is_empty() { run.id_set.clone() } else { run.cell.clone() };
    let open = if open { " open" } else { "" };
    let file = |name: &str| address(&["runs", &run.run, name]);
    let mut out = format!(
        "<details class=\"run\" id=\"{}\"{open}>\n<summary><h4>{} <span>seed {} · {} · <code>{}</code></span></h4></summary>\n\
         <p class=\"files\"><a href=\"{}\">Provenance (JSON)</a> <a href=\"{}\">Configuration (YAML)</a> <a href=\"{}\">Log (JSON lines)</a></p>\n",
        run_id(&run.run),
        escape(&name),
        run.seed,
        duration(total),
        escape(&run.run),
        file("provenance.json"),
        file("config.yaml"),
        file("log.jsonl"),
    );
    out.push_str("<dl class=\"facts\">\n");
    let mut fact = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value));
        }
    };
    fact("ID set", &run.id_set);
    for (key, value) in &run.sweep {
        fact(key, value);
    }
    fact("Weights", &run.weights);
    for detector in &run.detectors {
        let role = if detector.control { "Control" } else { "Detector" };
        let kind = if detector.kind == detector.name { String::new() } else { format!(" ({})", detector.kind) };
        let scores = if detector.scores == [detector.name.as_str()] {
            String::new()
        } else {
            format!(": {}", detector.scores.join(", "))
        };
        fact(role, &format!("{}{kind}{scores}", detector.name));
    }
    out.push_str("</dl>\n");
    out.push_str(&sets(run));
    out.push_str(&stages(run));
    if !run.warnings.is_empty() {
        out.push_str("<h5>Warnings</h5>\n<ul>\n");
        for warning in &run.warnings {
            let _ = writeln!(out, "<li>{}</li>", escape(warning));
        }
        out.push_str("</ul>\n");
    }
    out.push_str("</details>\n");
    out
}

fn sets(run: &RunAbout) -> String {
    if run.sets.is_empty() {
        return String::new();
    }
    let mut table = String::from(
        "<table>\n<thead><tr><th scope=\"col\">role</th><th scope=\"col\">set</th><th scope=\"col\">split</th>\
         <th scope=\"col\" class=\"n\">samples</th><th scope=\"col\">hash of the list</th><th scope=\"col\">features</th></tr></thead>\n<tbody>\n",
    );
    for set in &run.sets {
        let _ = writeln!(
            table,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td>{}</td><td>{}</td></tr>",
            escape(&set.role),
            escape(&set.set),
            escape(&set.split),
            set.images,
            hash(&set.list),
            hash(&set.features)
        );
    }
    table.push_str("</tbody>\n</table>\n");
    format!("<h5>Sets</h5>\n{}", scroll(&format!("Sets of run {}", run.run), "", &table))
}

/// Stages with their times as bars: the longest fills its column.
fn stages(run: &RunAbout) -> String {
    if run.stages.is_empty() {
        return String::new();
    }
    let longest = run.stages.iter().filter_map(stage_seconds).fold(0.0, f64::max);
    let mut table = String::from(
        "<table class=\"stages\">\n<thead><tr><th scope=\"col\">stage</th><th scope=\"col\" class=\"n\">time</th><td></td>\
         <th scope=\"col\">device</th><th scope=\"col\">threads</th><th scope=\"col\">version</th><th scope=\"col\">key</th></tr></thead>\n<tbody>\n",
    );
    for stage in &run.stages {
        let said = |name: &str| escape(stage.computed.get(name).map_or("", String::as_str));
        let seconds = stage_seconds(stage);
        let share = seconds.filter(|_| longest > 0.0).map_or(0.0, |seconds| 100.0 * seconds / longest);
        let _ = writeln!(
            table,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"bar\"><div style=\"width:{share:.1}%\"></div></td><td>{}</td><td>{}</td>\
             <td>{} {}</td><td>{}</td></tr>",
            escape(&stage.label),
            seconds.map_or_else(|| "–".to_owned(), duration),
            said("numerics"),
            said("threads"),
            said("version"),
            said("commit"),
            hash(&stage.key)
        );
    }
    table.push_str("</tbody>\n</table>\n");
    format!("<h5>Stages</h5>\n{}", scroll(&format!("Stages of run {}", run.run), "", &table))
}
