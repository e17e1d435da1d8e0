//! Two experiments side by side, as a page of its own.

use std::fmt::Write as _;

use crate::metrics::Metric;
use crate::record::Record;

use super::super::controls::{Choice, controls};
use super::super::page::{Section, page, scroll};
use super::super::text::{aligned, count, duration, escape, label, points};
use super::{METRICS, MetricPair, RowName, RowPair, SideBySide, compare};

/// Rows that only one has and that are named one by one.
const NAMED: usize = 200;

/// The comparison as one HTML file that loads nothing. Whatever comes from the records is escaped.
#[must_use]
pub fn compare_html(a: &Record, b: &Record) -> String {
    let compared = compare(a, b);
    let title = format!("{} against {}", compared.b.experiment, compared.a.experiment);
    let plain = |id, title, body| Section { id, title, body, style: String::new() };
    let mut sections = vec![
        plain("settings", "Settings", settings(&compared)),
        plain("results", "Results", results(&compared)),
        plain("one", "Only in one", only(&compared)),
        plain("times", "Times", times(&compared)),
    ];
    sections.retain(|section| !section.body.is_empty());
    page(&title, &header(&compared, &title), &sections)
}

fn header(compared: &SideBySide, title: &str) -> String {
    let mut out = format!("<div class=\"name\"><h1>{}</h1></div>\n<dl class=\"facts sides\">\n", escape(title));
    for (letter, side) in [("A", &compared.a), ("B", &compared.b)] {
        let failed = if side.failures > 0 { format!(", {} failed", side.failures) } else { String::new() };
        let command =
            if side.command.is_empty() { String::new() } else { format!("<br><code>{}</code>", escape(&side.command)) };
        let _ = writeln!(
            out,
            "<div><dt>{letter}: {}</dt><dd>{}{failed}{command}<br><small>{} · {}</small></dd></div>",
            escape(&side.experiment),
            count(side.runs, "run", "runs"),
            escape(&side.program),
            escape(&side.numerics)
        );
    }
    out.push_str("</dl>\n");
    out
}

fn settings(compared: &SideBySide) -> String {
    if compared.settings.is_empty() {
        return match compared.same_settings {
            0 => String::new(),
            same => format!("<p>None of {} differs.</p>\n", count(same, "setting", "settings")),
        };
    }
    let mut table = String::from(
        "<table>\n<thead><tr><th scope=\"col\">setting</th><th scope=\"col\">A</th><th scope=\"col\">B</th></tr></thead>\n<tbody>\n",
    );
    for pair in &compared.settings {
        let value = |value: &Option<String>| value.as_ref().map_or_else(|| "–".to_owned(), |text| escape(text));
        let _ = writeln!(
            table,
            "<tr><th scope=\"row\"><code>{}</code></th><td class=\"wrap\">{}</td><td class=\"wrap\">{}</td></tr>",
            escape(&pair.key),
            value(&pair.a),
            value(&pair.b)
        );
    }
    table.push_str("</tbody>\n</table>\n");
    format!(
        "<p>{}; {} the same in both.</p>\n{}",
        count(compared.settings.len(), "setting differs", "settings differ"),
        count(compared.same_settings, "is", "are"),
        scroll("Settings that differ", "", &table)
    )
}

fn results(compared: &SideBySide) -> String {
    let mut out = String::new();
    for across in &compared.across {
        let quoted = |text: &str| if text.is_empty() { "(none)".to_owned() } else { escape(text) };
        let _ = writeln!(
            out,
            "<p>The only {} of A, <b>{}</b>, stands beside the only one of B, <b>{}</b>.</p>",
            across.column,
            quoted(&across.a),
            quoted(&across.b)
        );
    }
    if compared.rows.is_empty() {
        out.push_str(
            "<p class=\"note warn\">No row is in both: they match by detector, score, protocol, OOD set, cell and seed.</p>\n",
        );
        return out;
    }
    let others = compared.incomparable();
    if others > 0 {
        let _ = writeln!(
            out,
            "<p class=\"note warn\"><strong>{others} of {} come from other images.</strong> Their numbers stand side by side, but have no \
             difference: a set of other images is another question.</p>",
            count(compared.rows.len(), "row", "rows")
        );
    }
    out.push_str(
        "<p>In percent; the difference is B minus A, in points. Intervals are of 95 %. Where they lie apart, chance alone hardly explains the \
         difference; where they overlap, nothing is shown either way, since both experiments read the same images. FPR95: lower is better.</p>\n",
    );
    let shown: Vec<Metric> =
        METRICS.into_iter().filter(|metric| compared.rows.iter().any(|row| of(row, *metric).is_some())).collect();
    let texts = texts(&compared.rows);
    let choices: Vec<Choice<'_>> = texts
        .iter()
        .enumerate()
        .map(|(at, (title, values))| Choice { at, title, values: values.iter().map(String::as_str).collect() })
        .collect();
    out.push_str(&controls("rows", &choices, compared.rows.len()));
    let mut table = String::from("<table id=\"rows\" data-sort data-filter>\n<thead><tr>");
    for (title, _) in &texts {
        let _ = write!(table, "<th scope=\"col\">{title}</th>");
    }
    for metric in &shown {
        let (class, says) = (if metric.higher_is_better() { "n high" } else { "n low" }, escape(metric.description()));
        for column in ["A", "B", "B − A"] {
            let _ =
                write!(table, "<th scope=\"col\" class=\"{class}\" title=\"{says}\">{} {column}</th>", metric.label());
        }
    }
    table.push_str("<th scope=\"col\">remark</th></tr></thead>\n<tbody>\n");
    for (at, row) in compared.rows.iter().enumerate() {
        table.push_str(if row.mean_of.is_some() { "<tr class=\"mean\">" } else { "<tr>" });
        for (_, values) in &texts {
            let _ = write!(table, "<td>{}</td>", escape(&values[at]));
        }
        for metric in &shown {
            table.push_str(&numbers(of(row, *metric)));
        }
        let _ = writeln!(table, "<td>{}</td></tr>", row.remark());
    }
    table.push_str("</tbody>\n</table>\n");
    out.push_str(&scroll("Results side by side", "tall", &table));
    out
}

fn of(row: &RowPair, metric: Metric) -> Option<&MetricPair> {
    row.metrics.iter().find(|pair| pair.metric == metric)
}

/// Columns of texts: those that say the same in every row are left out, but for the score.
fn texts(rows: &[RowPair]) -> Vec<(&'static str, Vec<String>)> {
    let column = |title, get: fn(&RowPair) -> String| (title, rows.iter().map(get).collect::<Vec<String>>());
    let mut columns = vec![
        column("score", |row| label(&row.name.detector, &row.name.score)),
        column("cell", |row| row.name.cell.clone()),
        column("seed", |row| row.name.seed.to_string()),
        column("ID set", |row| row.name.id_set.clone()),
        column("protocol", |row| row.name.protocol.clone()),
        column("OOD set", RowPair::set),
    ];
    columns.retain(|(title, values)| *title == "score" || values.iter().any(|value| *value != values[0]));
    columns
}

fn numbers(pair: Option<&MetricPair>) -> String {
    let Some(pair) = pair else { return "<td class=\"n\"></td>".repeat(3) };
    let value = |value: f64, interval: Option<[f64; 2]>| match interval {
        Some([low, high]) => format!("{} <small>{}–{}</small>", aligned(value), aligned(low), aligned(high)),
        None => aligned(value),
    };
    let difference = pair.difference.map_or_else(String::new, points);
    let apart = match pair.overlap {
        Some(false) => " <small>apart</small>",
        Some(true) => " <small>overlap</small>",
        None => "",
    };
    format!(
        "<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\"><b>{difference}</b>{apart}</td>",
        value(pair.a, pair.interval_a),
        value(pair.b, pair.interval_b)
    )
}

fn only(compared: &SideBySide) -> String {
    let mut out = String::new();
    for (letter, rows) in [("A", &compared.only_a), ("B", &compared.only_b)] {
        if rows.is_empty() {
            continue;
        }
        let items: String = rows.iter().take(NAMED).map(|name| format!("<li>{}</li>\n", escape(&said(name)))).collect();
        let more = if rows.len() > NAMED { format!("<p>and {} more</p>\n", rows.len() - NAMED) } else { String::new() };
        let _ = writeln!(
            out,
            "<details>\n<summary><h3>Only in {letter}: {}</h3></summary>\n<ul>\n{items}</ul>\n{more}</details>",
            count(rows.len(), "row", "rows")
        );
    }
    out
}

/// `dlsr / mse, protocol native, svhn, cell width=8, seed 0`
fn said(name: &RowName) -> String {
    let cell = if name.cell.is_empty() { String::new() } else { format!(", cell {}", name.cell) };
    format!(
        "{}, protocol {}, {}{cell}, seed {}",
        label(&name.detector, &name.score),
        name.protocol,
        name.set(),
        name.seed
    )
}

fn times(compared: &SideBySide) -> String {
    if compared.stages.is_empty() {
        return String::new();
    }
    let mut table = String::from(
        "<table>\n<thead><tr><th scope=\"col\">stage</th><th scope=\"col\" class=\"n\">A</th><th scope=\"col\" class=\"n\">B</th>\
         <th scope=\"col\">result</th></tr></thead>\n<tbody>\n",
    );
    for stage in &compared.stages {
        let time = |seconds: Option<f64>| seconds.map_or_else(|| "–".to_owned(), duration);
        let same = if stage.same_result { "the same" } else { "" };
        let _ = writeln!(
            table,
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{same}</td></tr>",
            escape(&stage.label),
            time(stage.a),
            time(stage.b)
        );
    }
    table.push_str("</tbody>\n</table>\n");
    format!(
        "<p>What stages of a kind took together, each counted once with the time that it took where and when it was computed. A result that is \
         the same in both was computed once and read from the store.</p>\n{}",
        scroll("Times side by side", "", &table)
    )
}
