//! Unweighted means over the sets of a group, as OpenOOD takes them.

use std::collections::BTreeMap;

use super::{MEAN_PREFIX, MORE, Row, Table};
use crate::metrics::Metric;

impl Table {
    /// Appends one row a (experiment, cell, seed, detector, score, benchmark, protocol, ID set, group): the unweighted
    /// mean of each metric over the group's OOD sets, as OpenOOD takes it. `ood_set` says over how many sets
    /// (`mean of 7`); intervals, counts and the OOD list are left out, for they are not those of a mean. Means that are
    /// in the table already are replaced. Mean rows come in the order in which their groups first appear.
    pub fn group_means(&mut self) {
        self.rows.retain(|row| row.mean_of().is_none());
        let mut order: Vec<Vec<usize>> = Vec::new();
        let mut places = BTreeMap::new();
        for (index, row) in self.rows.iter().enumerate() {
            let key = (
                (&row.experiment, &row.benchmark, &row.id_set, &row.protocol),
                (&row.cell, row.seed),
                (&row.detector, &row.score, &row.group),
            );
            let place = *places.entry(key).or_insert_with(|| {
                order.push(Vec::new());
                order.len() - 1
            });
            order[place].push(index);
        }
        let means: Vec<Row> = order.iter().map(|members| mean(&self.rows, members)).collect();
        self.rows.extend(means);
    }
}

fn mean(rows: &[Row], members: &[usize]) -> Row {
    let first = &rows[members[0]];
    let average = |get: fn(&Row) -> f64| members.iter().map(|&i| get(&rows[i])).sum::<f64>() / members.len() as f64;
    // What the members do not share is left empty.
    let shared = |get: fn(&Row) -> &String| {
        let value = get(first);
        if members.iter().all(|&i| get(&rows[i]) == value) { value.clone() } else { String::new() }
    };
    Row {
        ood_set: format!("{MEAN_PREFIX}{}", members.len()),
        n_id: None,
        n_ood: None,
        auroc: average(|r| r.auroc),
        auroc_low: None,
        auroc_high: None,
        aupr_in: average(|r| r.aupr_in),
        aupr_out: average(|r| r.aupr_out),
        fpr95_id: average(|r| r.fpr95_id),
        fpr95_ood: average(|r| r.fpr95_ood),
        rule: shared(|r| &r.rule),
        id_list: shared(|r| &r.id_list),
        ood_list: String::new(),
        run: shared(|r| &r.run),
        more: MORE.into_iter().filter_map(|metric| Some((metric, average_of(rows, members, metric)?))).collect(),
        intervals: BTreeMap::new(),
        ..first.clone()
    }
}

/// The mean of a metric that every member has.
fn average_of(rows: &[Row], members: &[usize], metric: Metric) -> Option<f64> {
    let values: Vec<f64> = members.iter().map(|&at| rows[at].value(metric)).collect::<Option<_>>()?;
    Some(values.iter().sum::<f64>() / values.len() as f64)
}
