//! Tests of one score against another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::metrics::{Comparison, Method, Metric};
use crate::table::MEAN_PREFIX;

use super::page::scroll;
use super::text::{aligned, count, escape, label, points};

/// A difference is called one below this, after the correction.
pub(super) const LEVEL: f64 = 0.05;
/// Tests that a page has at most; the others are in `comparisons.csv`.
const MOST: usize = 3000;
/// Pairs that are open from the beginning; where there are more, only the first is.
const OPEN: usize = 3;
/// Tests of a pair that is open from the beginning.
const OPEN_ROWS: usize = 120;

/// Every test in the table, by pair; empty without any.
pub(super) fn section(rows: &[Comparison]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let (shown, which) = shown(rows);
    let mut out = format!("<p>{}</p>\n", what(rows));
    if shown.len() < rows.len() {
        let _ = writeln!(out, "<p class=\"note\">Of {} tests here are {which}: {}.</p>", rows.len(), shown.len());
    }
    out.push_str(
        "<p class=\"files\"><a href=\"comparisons.csv\">CSV</a> <a href=\"comparisons.md\">Markdown</a></p>\n",
    );
    let pairs = by_pair(&shown);
    for (number, pair) in pairs.iter().enumerate() {
        let open = pair.len() <= OPEN_ROWS && (number == 0 || pairs.len() <= OPEN);
        out.push_str(&one(pair, open));
    }
    out
}

/// As many as a page can carry, the more telling first, and what they are.
fn shown(rows: &[Comparison]) -> (Vec<&Comparison>, &'static str) {
    let is_mean = |row: &Comparison| row.ood_set.starts_with(MEAN_PREFIX);
    let auroc: Vec<&Comparison> = rows.iter().filter(|row| row.metric == Metric::Auroc).collect();
    let means: Vec<&Comparison> = auroc.iter().copied().filter(|row| is_mean(row)).collect();
    match () {
        () if rows.len() <= MOST => (rows.iter().collect(), "all"),
        () if !auroc.is_empty() && auroc.len() <= MOST => (auroc, "those of AUROC"),
        () if !means.is_empty() && means.len() <= MOST => (means, "those of AUROC in the mean over a group"),
        () => (rows.iter().take(MOST).collect(), "the first"),
    }
}

/// What the tests are.
fn what(rows: &[Comparison]) -> String {
    let has = |method| rows.iter().any(|row| row.method == method);
    let mut text = String::from(
        "Is a difference between two scores on the same images more than chance? Differences are the first score minus the second, in points, with \
         their 95 % intervals; p is two-sided and corrected after Holm over all sets of one pair, metric and protocol (means over groups among \
         themselves); intervals are not corrected.",
    );
    if has(Method::DelongPaired) {
        text.push_str(" AUROC of one set: paired test of DeLong.");
    }
    if has(Method::BootstrapPaired) {
        text.push_str(
            " Means and other metrics: paired bootstrap, both classes drawn anew, the same images for both scores.",
        );
    }
    text.push_str(
        " <b>▲</b> the first is better, <b>▼</b> the second is better, each with p below 0.05; without a sign neither is shown to be.",
    );
    text
}

/// Tests of the same two scores together, in the order of the first of each.
fn by_pair<'a>(rows: &[&'a Comparison]) -> Vec<Vec<&'a Comparison>> {
    let mut pairs: Vec<Vec<&Comparison>> = Vec::new();
    let mut places = BTreeMap::new();
    for &row in rows {
        let key = (&row.detector_a, &row.score_a, &row.detector_b, &row.score_b);
        let at = *places.entry(key).or_insert_with(|| {
            pairs.push(Vec::new());
            pairs.len() - 1
        });
        pairs[at].push(row);
    }
    pairs
}

/// Where a test was made: cell, seed, ID set, protocol, set.
type Place<'a> = (&'a str, u64, &'a str, &'a str, &'a str, &'a str, &'a str, &'a str);

fn place(row: &Comparison) -> Place<'_> {
    let Comparison { cell, seed, benchmark, id_set, protocol, group, ood_set, run, .. } = row;
    (cell, *seed, benchmark, id_set, protocol, group, ood_set, run)
}

fn one(rows: &[&Comparison], open: bool) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let (a, b) = (label(&first.detector_a, &first.score_a), label(&first.detector_b, &first.score_b));
    let open = if open { " open" } else { "" };
    let mut out = format!(
        "<details class=\"pair\"{open}>\n<summary><h3>{} against {} <span>{}</span></h3></summary>\n",
        escape(&a),
        escape(&b),
        tally(rows)
    );
    let metrics: BTreeSet<Metric> = rows.iter().map(|row| row.metric).collect();
    let metrics: Vec<Metric> = Metric::ALL.into_iter().filter(|metric| metrics.contains(metric)).collect();
    let texts = texts(rows);
    let mut table = String::from("<table>\n<thead><tr>");
    for (title, _) in &texts {
        let _ = write!(table, "<th scope=\"col\" rowspan=\"2\">{title}</th>");
    }
    for metric in &metrics {
        let _ = write!(table, "<th scope=\"colgroup\" colspan=\"3\" class=\"over\">{}</th>", metric.label());
    }
    table.push_str("</tr>\n<tr>");
    for _ in &metrics {
        table.push_str(
            "<th scope=\"col\" class=\"n\">first, second</th><th scope=\"col\" class=\"n\">difference</th><th scope=\"col\" class=\"n\">p (Holm)</th>",
        );
    }
    table.push_str("</tr></thead>\n<tbody>\n");
    let mut lines: Vec<BTreeMap<Metric, &Comparison>> = Vec::new();
    let mut places = BTreeMap::new();
    for row in rows {
        let at = *places.entry(place(row)).or_insert_with(|| {
            lines.push(BTreeMap::new());
            lines.len() - 1
        });
        lines[at].entry(row.metric).or_insert(row);
    }
    for line in &lines {
        let Some(named) = line.values().next() else { continue };
        table.push_str(if named.ood_set.starts_with(MEAN_PREFIX) { "<tr class=\"mean\">" } else { "<tr>" });
        for (_, get) in &texts {
            let _ = write!(table, "<td>{}</td>", escape(&get(named)));
        }
        for metric in &metrics {
            table.push_str(&line.get(metric).map_or_else(|| "<td></td>".repeat(3), |row| test(row)));
        }
        table.push_str("</tr>\n");
    }
    table.push_str("</tbody>\n</table>\n");
    out.push_str(&scroll(&format!("{a} against {b}"), "", &table));
    out.push_str("</details>\n");
    out
}

type Text = (&'static str, fn(&Comparison) -> String);

/// Columns of texts, without those that say the same in every row.
fn texts(rows: &[&Comparison]) -> Vec<Text> {
    let columns: [Text; 6] = [
        ("cell", |row| row.cell.clone()),
        ("seed", |row| row.seed.to_string()),
        ("benchmark", |row| row.benchmark.clone()),
        ("ID set", |row| row.id_set.clone()),
        ("protocol", |row| row.protocol.clone()),
        ("OOD set", set),
    ];
    let several = |get: fn(&Comparison) -> String| rows.iter().any(|row| get(row) != get(rows[0]));
    columns.into_iter().filter(|(title, get)| *title == "OOD set" || several(*get)).collect()
}

/// `far: mean of 7`, or the set.
fn set(row: &Comparison) -> String {
    let is_mean = row.ood_set.starts_with(MEAN_PREFIX);
    if is_mean && !row.group.is_empty() { format!("{}: {}", row.group, row.ood_set) } else { row.ood_set.clone() }
}

/// Which of the two is better, where that is more than chance: 1, -1 or 0.
fn better(row: &Comparison) -> i32 {
    let shown = row.p_holm.is_some_and(|p| p < LEVEL);
    let sign = if row.metric.higher_is_better() { row.difference } else { -row.difference };
    match () {
        () if shown && sign > 0.0 => 1,
        () if shown && sign < 0.0 => -1,
        () => 0,
    }
}

/// How the AUROC of single sets fell out.
fn tally(rows: &[&Comparison]) -> String {
    let of_sets = rows.iter().filter(|row| row.metric == Metric::Auroc && !row.ood_set.starts_with(MEAN_PREFIX));
    let outcomes: Vec<i32> = of_sets.map(|row| better(row)).collect();
    if outcomes.is_empty() {
        return count(rows.len(), "test", "tests");
    }
    let number = |wanted: i32| outcomes.iter().filter(|outcome| **outcome == wanted).count();
    format!(
        "AUROC: ▲ {}, ▼ {}, neither {} of {}",
        number(1),
        number(-1),
        number(0),
        count(outcomes.len(), "test", "tests")
    )
}

fn test(row: &Comparison) -> String {
    let (sign, says) = match better(row) {
        1 => ("<b>▲</b> ", " class=\"n shown\""),
        -1 => ("<b>▼</b> ", " class=\"n shown\""),
        _ => ("", " class=\"n\""),
    };
    let p = match row.p_holm {
        None => "–".to_owned(),
        Some(p) if p < 0.001 => "&lt; 0.001".to_owned(),
        Some(p) => format!("{p:.3}"),
    };
    format!(
        "<td class=\"n\"><small>{} {}</small></td><td{says}>{} <small>{} to {}</small></td><td{says}>{sign}{p}</td>",
        aligned(row.a),
        aligned(row.b),
        points(row.difference),
        points(row.low),
        points(row.high)
    )
}
