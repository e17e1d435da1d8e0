//! Every row of the table, to be sorted and filtered.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::metrics::Metric;
use crate::record::Record;
use crate::table::Row;

use super::controls::{Choice, controls};
use super::page::scroll;
use super::text::{aligned, escape, hash, run_id};

/// Metrics that are shown without being asked for.
const SHOWN: [Metric; 5] = [Metric::Auroc, Metric::AuprIn, Metric::AuprOut, Metric::Fpr95Id, Metric::Fpr95Ood];

/// A column of texts.
struct TextColumn<'a> {
    title: String,
    /// Shown without being asked for.
    shown: bool,
    /// Whether it may be offered as a list of its values.
    chosen: bool,
    /// Whether it is a hash.
    hash: bool,
    values: Vec<&'a str>,
}

/// The table as HTML, and the rules of style that its columns need.
#[derive(Default)]
pub(super) struct Results {
    pub html: String,
    pub style: String,
}

/// The section; empty when there are no rows.
pub(super) fn section(record: &Record) -> Results {
    let rows = &record.table.rows;
    if rows.is_empty() {
        return Results::default();
    }
    let (columns, constant) = text_columns(record);
    let numbers: Vec<Metric> =
        Metric::ALL.into_iter().filter(|metric| rows.iter().any(|row| row.value(*metric).is_some())).collect();
    let seeds = rows.iter().map(|row| row.seed).collect::<BTreeSet<u64>>().len() > 1;
    let mut out = String::new();
    if !constant.is_empty() {
        let _ = writeln!(out, "<p class=\"same\">The same in every row: {}.</p>", constant.join(" · "));
    }
    out.push_str("<p class=\"files\"><a href=\"table.csv\">CSV</a> <a href=\"scores.parquet\">Scores of every sample (Parquet)</a></p>\n");
    let choices: Vec<Choice<'_>> = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.chosen)
        .map(|(at, column)| Choice { at, title: &column.title, values: column.values.clone() })
        .collect();
    out.push_str(&controls("rows", &choices, rows.len()));
    let mut table = String::from("<table id=\"rows\" data-sort data-filter>\n<thead><tr>");
    let head = |table: &mut String, title: &str, class: &str, shown: bool, hint: &str| {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        let hidden = if shown { "" } else { " data-hidden" };
        let hint = if hint.is_empty() { String::new() } else { format!(" title=\"{}\"", escape(hint)) };
        let _ = write!(table, "<th scope=\"col\"{class}{hidden}{hint}>{}</th>", escape(title));
    };
    for column in &columns {
        head(&mut table, &column.title, "", column.shown, "");
    }
    if seeds {
        head(&mut table, "seed", "n", true, "");
    }
    for &metric in &numbers {
        let class = if metric.higher_is_better() { "n high" } else { "n low" };
        head(&mut table, metric.label(), class, SHOWN.contains(&metric), metric.description());
    }
    head(&mut table, "n ID", "n", false, "in-distribution samples");
    head(&mut table, "n OOD", "n", false, "out-of-distribution samples");
    head(&mut table, "run", "", true, "");
    table.push_str("</tr></thead>\n<tbody>\n");
    for (at, row) in rows.iter().enumerate() {
        table.push_str(if row.mean_of().is_some() { "<tr class=\"mean\">" } else { "<tr>" });
        for column in &columns {
            let text = if column.hash { hash(column.values[at]) } else { escape(column.values[at]) };
            let _ = write!(table, "<td>{text}</td>");
        }
        if seeds {
            let _ = write!(table, "<td>{}</td>", row.seed);
        }
        for &metric in &numbers {
            let _ = write!(table, "<td>{}</td>", number(row, metric));
        }
        for samples in [row.n_id, row.n_ood] {
            let _ = write!(table, "<td>{}</td>", samples.map(|n| n.to_string()).unwrap_or_default());
        }
        let run = if row.run.is_empty() {
            String::new()
        } else {
            format!("<a href=\"#{}\">{}</a>", run_id(&row.run), escape(&row.run))
        };
        let _ = writeln!(table, "<td>{run}</td></tr>");
    }
    table.push_str("</tbody>\n</table>\n");
    out.push_str(&scroll("All results", "tall", &table));
    // One rule instead of a class in each of many cells: numbers stand between the texts and the run.
    let first = columns.len() + 1;
    let last = columns.len() + usize::from(seeds) + numbers.len() + 2;
    let style = format!("#rows td:nth-child(n+{first}):nth-child(-n+{last}) {{ text-align: right; }}\n");
    Results { html: out, style }
}

fn number(row: &Row, metric: Metric) -> String {
    let Some(value) = row.value(metric) else { return String::new() };
    match row.interval(metric) {
        Some([low, high]) => format!("{} <small>{}–{}</small>", aligned(value), aligned(low), aligned(high)),
        None => aligned(value),
    }
}

/// Columns with more than one value, and what the others say in all rows.
fn text_columns(record: &Record) -> (Vec<TextColumn<'_>>, Vec<String>) {
    let rows = &record.table.rows;
    let mut columns = vec![
        TextColumn::new(rows, "experiment", |row| &row.experiment),
        TextColumn::new(rows, "detector", |row| &row.detector),
        TextColumn::new(rows, "score", |row| &row.score),
    ];
    for key in &record.table.sweep_keys {
        let values = rows.iter().map(|row| row.sweep.get(key).map_or("", String::as_str)).collect();
        columns.push(TextColumn { title: key.clone(), shown: true, chosen: true, hash: false, values });
    }
    columns.extend([
        TextColumn::new(rows, "benchmark", |row| &row.benchmark),
        TextColumn::new(rows, "protocol", |row| &row.protocol),
        TextColumn::new(rows, "ID set", |row| &row.id_set),
        TextColumn::new(rows, "OOD set", |row| &row.ood_set),
        TextColumn::new(rows, "group", |row| &row.group),
        TextColumn::new(rows, "rule", |row| &row.rule),
        TextColumn { shown: false, chosen: false, hash: true, ..TextColumn::new(rows, "ID list", |row| &row.id_list) },
        TextColumn {
            shown: false,
            chosen: false,
            hash: true,
            ..TextColumn::new(rows, "OOD list", |row| &row.ood_list)
        },
    ]);
    let mut constant = Vec::new();
    columns.retain(|column| {
        let several = column.values.iter().any(|value| *value != column.values[0]);
        if !several && !column.values[0].is_empty() {
            constant.push(format!("{} <b>{}</b>", escape(&column.title), escape(column.values[0])));
        }
        several
    });
    (columns, constant)
}

impl<'a> TextColumn<'a> {
    fn new(rows: &'a [Row], title: &str, get: fn(&Row) -> &String) -> TextColumn<'a> {
        let values = rows.iter().map(|row| get(row).as_str()).collect();
        TextColumn { title: title.to_owned(), shown: true, chosen: true, hash: false, values }
    }
}
