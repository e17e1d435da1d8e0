//! What the experiment is and how to make it again.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::record::{About, Record};

use super::text::{count, escape, id};

/// The head of the page: name, what the file says of itself, the command, and how much there is.
pub(super) fn header(record: &Record) -> String {
    let about = &record.about;
    let mut out = format!("<div class=\"name\"><h1>{}</h1></div>\n", escape(&about.experiment));
    for paragraph in about.heading.split(|line| line.trim().is_empty()).filter(|lines| !lines.is_empty()) {
        let _ = writeln!(out, "<p class=\"lead\">{}</p>", escape(&paragraph.join(" ")));
    }
    if !about.command.is_empty() {
        let _ = writeln!(
            out,
            "<p class=\"command\"><span>Repeat it with</span> <code id=\"command\" data-copy>{}</code></p>",
            escape(&about.command)
        );
    }
    let detectors: BTreeSet<&str> =
        about.runs.iter().flat_map(|run| &run.detectors).map(|detector| detector.name.as_str()).collect();
    let sets: BTreeSet<&str> =
        record.table.rows.iter().filter(|row| row.mean_of().is_none()).map(|row| row.ood_set.as_str()).collect();
    let mut facts = vec![count(about.runs.len(), "run", "runs")];
    if !detectors.is_empty() {
        facts.push(count(detectors.len(), "detector", "detectors"));
    }
    facts.push(count(sets.len(), "OOD set", "OOD sets"));
    facts.push(count(record.scores.len(), "stored score", "stored scores"));
    for (number, one, many) in
        [(about.failures.len(), "failed run", "failed runs"), (about.missing.len(), "missing set", "missing sets")]
    {
        if number > 0 {
            facts.push(format!("<strong>{}</strong>", count(number, one, many)));
        }
    }
    let _ = writeln!(out, "<p class=\"facts\">{}</p>", facts.join(" · "));
    out
}

/// The configuration as resolved; empty when there is none.
pub(super) fn configuration(about: &About) -> String {
    if about.config.is_empty() {
        return String::new();
    }
    let mut out = String::new();
    let file = if about.file.is_empty() { String::new() } else { format!(" of <code>{}</code>", escape(&about.file)) };
    let _ = writeln!(
        out,
        "<p>Everything{file} as resolved, defaults included: as a file it gives this experiment again.</p>\n\
         <pre id=\"{}\" class=\"scroll\" data-copy tabindex=\"0\" role=\"region\" aria-label=\"Configuration\"><code>{}</code></pre>",
        id("yaml", "config"),
        escape(&about.config)
    );
    out
}
