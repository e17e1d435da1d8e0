//! What a reader must know first: the best scores, the controls beside them, and all that speaks against the numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::metrics::{Comparison, Metric};
use crate::record::{About, Record};

use super::standing::{Group, METRICS, Standing, controls, groups, with_means};
use super::text::{count, escape, percent, run_id};
use super::verdict::verdict;

/// Scores of the experiment's own detectors, and controls, that a group shows.
const SHOWN: usize = 5;
/// Warnings that are shown before the others are folded.
const WARNINGS_SHOWN: usize = 5;

pub(super) fn section(record: &Record) -> String {
    let about = &record.about;
    let controls = controls(record);
    let table = with_means(&record.table);
    let groups = groups(&table, &controls);
    let mut out = String::new();
    if groups.is_empty() {
        out.push_str("<p class=\"note bad\">No run has finished: there are no numbers.</p>\n");
    }
    out.push_str(&failures(about));
    out.push_str(&missing(about));
    out.push_str(&warnings(about));
    if !groups.is_empty() {
        let seeds = table.rows.iter().map(|row| row.seed).collect::<BTreeSet<u64>>().len();
        let _ = writeln!(out, "<p>{}</p>", how_to_read(seeds, groups.iter().any(|group| group.control().is_some())));
        out.push_str("<div class=\"cards\">\n");
        for (number, group) in groups.iter().enumerate() {
            out.push_str(&card(group, number, &record.comparisons));
        }
        out.push_str("</div>\n");
    }
    out.push_str(&notes(about));
    out
}

fn how_to_read(seeds: usize, controls: bool) -> String {
    let over = if seeds > 1 { format!(", mean ± standard deviation over {seeds} seeds") } else { String::new() };
    let controls = if controls {
        " Simple controls stand below: a detector that does not beat them has shown nothing."
    } else {
        ""
    };
    format!(
        "Unweighted means over the sets of each group, in percent{over}, the best AUROC first. FPR95 is two quantities: ID+ is {}, OOD+ is \
         {}; lower is better. Each AUROC leads to its run.{controls}",
        escape(Metric::Fpr95Id.description()),
        escape(Metric::Fpr95Ood.description())
    )
}

fn card(group: &Group<'_>, number: usize, comparisons: &[Comparison]) -> String {
    let heading = format!(
        "{}, {} sets <span>{} · ID {} · mean of {}</span>",
        escape(group.protocol),
        escape(group.group),
        escape(group.benchmark),
        escape(group.id_set),
        group.sets
    );
    let mut out = format!(
        "<article class=\"card\" aria-labelledby=\"card-{number}\">\n<h3 id=\"card-{number}\">{heading}</h3>\n"
    );
    out.push_str("<table>\n<thead><tr><th scope=\"col\">Score</th>");
    for metric in METRICS {
        let _ = write!(
            out,
            "<th scope=\"col\" class=\"n\" title=\"{}\">{}</th>",
            escape(metric.description()),
            metric.label()
        );
    }
    out.push_str("</tr></thead>\n");
    let of_kind = |control: bool| group.standings.iter().filter(move |standing| standing.control == control);
    for (control, title) in [(false, ""), (true, "Simple controls")] {
        let mut shown: Vec<&Standing<'_>> = of_kind(control).collect();
        if control {
            // Every control once, in its best cell.
            let mut seen = BTreeSet::new();
            shown.retain(|standing| seen.insert((standing.detector, standing.score)));
        }
        if shown.is_empty() {
            continue;
        }
        out.push_str("<tbody>\n");
        if !title.is_empty() {
            let _ = writeln!(
                out,
                "<tr class=\"kind\"><th scope=\"colgroup\" colspan=\"{}\">{title}</th></tr>",
                METRICS.len() + 1
            );
        }
        for standing in shown.iter().take(SHOWN) {
            out.push_str(&line(standing));
        }
        out.push_str("</tbody>\n");
        if shown.len() > SHOWN {
            let _ = writeln!(
                out,
                "<tbody><tr class=\"rest\"><td colspan=\"{}\"><a href=\"#results\">and {} more</a></td></tr></tbody>",
                METRICS.len() + 1,
                shown.len() - SHOWN
            );
        }
    }
    out.push_str("</table>\n");
    out.push_str(&verdict(group, comparisons));
    out.push_str("</article>\n");
    out
}

fn line(standing: &Standing<'_>) -> String {
    let cell = if standing.cell.is_empty() {
        String::new()
    } else {
        format!(" <span class=\"cell\">{}</span>", escape(standing.cell))
    };
    let mut out = format!("<tr><th scope=\"row\">{}{cell}</th>", escape(&standing.name()));
    for metric in METRICS {
        let Some((mean, deviation)) = standing.value(metric) else {
            out.push_str("<td class=\"n\">–</td>");
            continue;
        };
        let mut text = percent(mean);
        if metric == Metric::Auroc
            && let Some(row) = standing.rows.first().filter(|row| !row.run.is_empty())
        {
            text = format!("<a href=\"#{}\">{text}</a>", run_id(&row.run));
        }
        match (deviation, standing.rows.first().and_then(|row| row.interval(metric))) {
            (Some(deviation), _) => {
                let _ = write!(text, " <small>± {}</small>", percent(deviation));
            }
            (None, Some([low, high])) => {
                let _ = write!(text, " <small>{}–{}</small>", percent(low), percent(high));
            }
            (None, None) => {}
        }
        let _ = write!(out, "<td class=\"n\">{text}</td>");
    }
    out.push_str("</tr>\n");
    out
}

fn failures(about: &About) -> String {
    list("bad", "Failed", count(about.failures.len(), "run failed", "runs failed"), about.failures.iter())
}

fn missing(about: &About) -> String {
    list(
        "warn",
        "Missing",
        count(about.missing.len(), "set was not at hand", "sets were not at hand"),
        about.missing.iter(),
    )
}

fn list<'a>(
    class: &str,
    label: &str,
    title: String,
    entries: impl ExactSizeIterator<Item = (&'a String, &'a String)>,
) -> String {
    if entries.len() == 0 {
        return String::new();
    }
    let mut out = format!(
        "<div class=\"note {class}\" role=\"note\" aria-label=\"{label}\">\n<p><strong>{title}.</strong></p>\n<dl>\n"
    );
    for (name, why) in entries {
        let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(why));
    }
    out.push_str("</dl>\n</div>\n");
    out
}

/// Each warning once, with the number of runs that have it.
fn warnings(about: &About) -> String {
    let mut order: Vec<&str> = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for warning in about.runs.iter().flat_map(|run| &run.warnings) {
        let count = counts.entry(warning).or_insert(0);
        if *count == 0 {
            order.push(warning);
        }
        *count += 1;
    }
    if order.is_empty() {
        return String::new();
    }
    let item = |warning: &&str| {
        let runs = counts.get(warning).copied().unwrap_or(1);
        let times = if runs > 1 { format!(" <small>({runs} times)</small>") } else { String::new() };
        format!("<li>{}{times}</li>\n", escape(warning))
    };
    let (shown, folded) = order.split_at(order.len().min(WARNINGS_SHOWN));
    let mut out = format!(
        "<div class=\"note warn\" role=\"note\" aria-label=\"Warnings\">\n<p><strong>{}.</strong></p>\n<ul>\n{}</ul>\n",
        count(order.len(), "warning", "warnings"),
        shown.iter().map(item).collect::<String>()
    );
    if !folded.is_empty() {
        let _ = writeln!(
            out,
            "<details><summary>and {} more</summary>\n<ul>\n{}</ul>\n</details>",
            folded.len(),
            folded.iter().map(item).collect::<String>()
        );
    }
    out.push_str("</div>\n");
    out
}

fn notes(about: &About) -> String {
    if about.notes.is_empty() {
        return String::new();
    }
    let items: String = about.notes.iter().map(|note| format!("<li>{}</li>\n", escape(note))).collect();
    format!("<h3>Notes</h3>\n<ul class=\"notes\">\n{items}</ul>\n")
}
