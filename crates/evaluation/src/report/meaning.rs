//! What each number means.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::str::FromStr;

use crate::metrics::{FprRule, Metric};
use crate::record::Record;

use super::text::escape;

/// Definitions of the metrics in the table and of the rules in use; empty without rows.
pub(super) fn section(record: &Record) -> String {
    let rows = &record.table.rows;
    let metrics = Metric::ALL.into_iter().filter(|metric| rows.iter().any(|row| row.value(*metric).is_some()));
    let mut out = String::new();
    for metric in metrics {
        let better = if metric.higher_is_better() { "higher is better" } else { "lower is better" };
        let _ = writeln!(
            out,
            "<div><dt>{} <code>{metric}</code></dt><dd>{}; {better}.</dd></div>",
            metric.label(),
            escape(metric.description())
        );
    }
    if out.is_empty() {
        return String::new();
    }
    let rules: BTreeSet<&str> = rows.iter().map(|row| row.rule.as_str()).filter(|rule| !rule.is_empty()).collect();
    for rule in rules {
        let says = FprRule::from_str(rule).map_or("", FprRule::description);
        let _ = writeln!(
            out,
            "<div><dt>Operating point <code>{}</code></dt><dd>{}.</dd></div>",
            escape(rule),
            escape(says)
        );
    }
    let intervals = &record.about.intervals;
    let bootstrap = match intervals.replicates {
        0 => "none beside".to_owned(),
        n => {
            format!("of means and of the other metrics: stratified bootstrap, {n} replicates, seed {}", intervals.seed)
        }
    };
    let _ = writeln!(
        out,
        "<div><dt>Intervals</dt><dd>95 %. AUROC of one set: DeLong; {bootstrap}. An interval says how far the number depends on which images \
         were drawn, not on the seed of training.</dd></div>"
    );
    format!(
        "<p>Scores are higher for what looks more out-of-distribution; in the text metrics are percent, in files fractions. The whole account, \
         with worked examples and which published systems use which convention, is <code>docs/conventions.md</code> of the program.</p>\n\
         <dl class=\"facts\">\n{out}</dl>\n"
    )
}
