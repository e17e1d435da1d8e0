//! Ours against published.

use std::collections::BTreeSet;

use oodlab_base::text;

use crate::metrics::Metric;
use crate::record::About;
use crate::table::{PublishedValue, Row, Table, same_value};

use super::setting::{Facts, differences};
use super::{Entry, Library, PublishedChoice, PublishedError, PublishedTable};

/// A published table beside ours.
pub(crate) struct Compared<'a> {
    pub(crate) choice: &'a PublishedChoice,
    published: PublishedTable,
    entries: Vec<Entry>,
    facts: Facts<'a>,
    /// The metrics of our table: those asked for, in the published convention where it has only that.
    pub(crate) metrics: Vec<Metric>,
    /// Metrics that were asked for, and what is shown instead.
    replaced: Vec<(Metric, Metric)>,
}

impl Library {
    /// Opens a published table to stand beside ours.
    pub(crate) fn compared<'a>(
        &self,
        choice: &'a PublishedChoice,
        wanted: &[Metric],
        about: &'a About,
    ) -> Result<Compared<'a>, PublishedError> {
        let published = self.table(&choice.table)?;
        let entries = published.entries(&choice.table)?;
        let known = || published.blocks.iter().flat_map(|block| block.values.keys().map(String::as_str));
        let asked = || choice.methods.values().chain(&choice.lines);
        if let Some(found) = asked().find(|method| !known().any(|known| known == method.as_str())) {
            return Err(PublishedError::NoMethod {
                table: choice.table.clone(),
                found: found.clone(),
                known: names(known()),
                hint: text::hint(found, known()),
            });
        }
        let has = |metric: Metric| entries.iter().any(|entry| entry.metric == metric);
        let mut metrics: Vec<Metric> = Vec::new();
        let mut replaced = Vec::new();
        for &metric in wanted {
            let shown = counterpart(metric).filter(|other| !has(metric) && has(*other)).unwrap_or(metric);
            if shown != metric {
                replaced.push((metric, shown));
            }
            if !metrics.contains(&shown) {
                metrics.push(shown);
            }
        }
        Ok(Compared { choice, published, entries, facts: Facts::of(about), metrics, replaced })
    }
}

/// The same quantity in the other convention.
fn counterpart(metric: Metric) -> Option<Metric> {
    Some(match metric {
        Metric::Fpr95Id => Metric::Fpr95Ood,
        Metric::Fpr95Ood => Metric::Fpr95Id,
        Metric::AuprIn => Metric::ApIn,
        Metric::AuprOut => Metric::ApOut,
        Metric::ApIn => Metric::AuprIn,
        Metric::ApOut => Metric::AuprOut,
        _ => return None,
    })
}

/// Each once, in their order, for a message.
pub(super) fn names<'n>(all: impl Iterator<Item = &'n str>) -> String {
    let mut once: Vec<&str> = Vec::new();
    for name in all {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once.join(", ")
}

impl Compared<'_> {
    /// The published value of what a row measured.
    pub(crate) fn value(&self, row: &Row, metric: Metric) -> Option<PublishedValue> {
        let entry = self.entry(row, metric)?;
        Some(PublishedValue { value: entry.value, deviation: entry.deviation, recalled: entry.recalled })
    }

    /// The published value of one of the source's own methods where a row measured ours.
    pub(crate) fn reported(&self, method: &str, row: &Row, metric: Metric) -> Option<PublishedValue> {
        let entry = self.find(row, metric, |known| known == method)?;
        Some(PublishedValue { value: entry.value, deviation: entry.deviation, recalled: entry.recalled })
    }

    fn entry(&self, row: &Row, metric: Metric) -> Option<&Entry> {
        self.find(row, metric, |method| self.is_method(row, method))
    }

    fn find(&self, row: &Row, metric: Metric, is_method: impl Fn(&str) -> bool) -> Option<&Entry> {
        let sets = self.sets_of(row, metric);
        let id_set = self.set(&row.id_set);
        // A mean over one group, where the source has means of several, else its only mean.
        sets.iter().find_map(|set| {
            self.entries.iter().find(|entry| {
                entry.metric == metric
                    && entry.set == *set
                    && entry.id_set == id_set
                    && is_method(&entry.method)
                    && entry.sweep.iter().all(|(key, theirs)| {
                        self.facts
                            .value(row, key)
                            .is_some_and(|ours| theirs.0.iter().any(|theirs| same_value(&ours, theirs)))
                    })
            })
        })
    }

    fn sets_of(&self, row: &Row, metric: Metric) -> Vec<String> {
        if matches!(metric, Metric::Accuracy | Metric::CalibrationError) {
            return vec!["id".to_owned()];
        }
        match row.mean_of() {
            Some(_) => vec![format!("mean ({})", row.group), "mean".to_owned()],
            None => vec![self.set(&row.ood_set)],
        }
    }

    /// The source's name of a set of ours.
    fn set(&self, ours: &str) -> String {
        self.choice.sets.get(ours).cloned().unwrap_or_else(|| ours.to_owned())
    }

    fn is_method(&self, row: &Row, method: &str) -> bool {
        let named = [format!("{} / {}", row.detector, row.score), row.score.clone(), row.detector.clone()];
        if let Some(chosen) = named.iter().find_map(|name| self.choice.methods.get(name)) {
            return chosen == method;
        }
        self.published.methods.get(method).is_some_and(|ours| {
            ours.detector == row.detector && ours.score.as_ref().is_none_or(|score| *score == row.score)
        })
    }

    /// Source, convention, and every reason why ours may differ, as sentences.
    ///
    /// # Errors
    /// When no row has a published counterpart.
    pub(crate) fn notes(&self, rows: &[&Row], table: &Table) -> Result<Vec<String>, PublishedError> {
        let own = |row: &&Row| self.metrics.iter().any(|metric| self.entry(row, *metric).is_some());
        let matched: Vec<&Row> = rows.iter().copied().filter(own).collect();
        // Lines of its own methods stand beside ours as well, if not cell by cell.
        let beside: Vec<&Row> = rows.iter().copied().filter(|row| self.beside(row).is_some()).collect();
        if beside.is_empty() {
            let methods = names(self.entries.iter().map(|entry| entry.method.as_str()));
            let sets = names(self.entries.iter().map(|entry| entry.set.as_str()));
            let ids = names(self.entries.iter().map(|entry| entry.id_set.as_str()));
            let metrics = names(self.entries.iter().map(|entry| entry.metric.name()));
            let settings: Vec<String> = self
                .entries
                .iter()
                .flat_map(|entry| entry.sweep.iter().map(|(key, value)| format!("{key} {}", value.0.join(" or "))))
                .collect();
            let settings = names(settings.iter().map(String::as_str));
            let settings = if settings.is_empty() { settings } else { format!("; only with {settings}") };
            return Err(PublishedError::NothingMatches {
                table: self.choice.table.clone(),
                holds: format!("methods {methods}; ID {ids}; sets {sets}; metrics {metrics}{settings}"),
            });
        }
        let source = &self.published.source;
        let version = if source.version.is_empty() { String::new() } else { format!(", {}", source.version) };
        let mut notes = vec![format!("Published: {}, {}{version} ({}).", source.name, source.table, source.reference)];
        for (asked, shown) in &self.replaced {
            notes.push(format!(
                "The source has {} and not {}, so ours is shown in that convention too.",
                shown.label(),
                asked.label()
            ));
        }
        let mut reasons =
            differences(&self.published, &self.facts, [&matched, &beside], &self.metrics, |ours| self.set(ours));
        reasons.extend(self.means(&beside, table));
        reasons.extend(self.choice.differs.iter().cloned());
        if !reasons.is_empty() {
            notes.push(format!("Where the set-up differs: {}.", reasons.join("; ")));
        }
        let remarks = [&self.published.setting.notes, &self.published.convention.notes, &self.published.doubts];
        let remarks: Vec<&str> = remarks.into_iter().flatten().map(|text| text.trim_end_matches('.')).collect();
        if !remarks.is_empty() {
            notes.push(format!("Of the published numbers: {}.", remarks.join("; ")));
        }
        Ok(notes)
    }

    /// A published number that stands in the same cell or column as a row.
    fn beside(&self, row: &Row) -> Option<&Entry> {
        let line = |metric: Metric| {
            self.choice.lines.iter().find_map(|method| self.find(row, metric, |known| known == method))
        };
        self.metrics.iter().find_map(|metric| self.entry(row, *metric).or_else(|| line(*metric)))
    }

    /// Means that are over other sets than the published ones.
    fn means(&self, matched: &[&Row], table: &Table) -> Vec<String> {
        let mut reasons = Vec::new();
        let mut seen = BTreeSet::new();
        for mean in matched.iter().filter(|row| row.mean_of().is_some()) {
            // One a group and method, not one a seed and cell.
            let names = [&mean.benchmark, &mean.id_set, &mean.protocol, &mean.group, &mean.detector, &mean.score];
            if !seen.insert(names) {
                continue;
            }
            let Some(entry) = self.beside(mean) else { continue };
            let printed = self
                .entries
                .iter()
                .filter(|other| {
                    (&other.method, &other.id_set, other.metric, &other.sweep)
                        == (&entry.method, &entry.id_set, entry.metric, &entry.sweep)
                })
                .map(|other| other.set.as_str())
                .filter(|set| *set != "id" && !set.starts_with("mean"));
            let mut theirs: Vec<&str> = match entry.means_over.as_slice() {
                [] => printed.collect(),
                told => told.iter().map(String::as_str).collect(),
            };
            let mut ours: Vec<String> = table
                .rows
                .iter()
                .filter(|row| {
                    row.mean_of().is_none()
                        && (&row.benchmark, &row.id_set, &row.protocol, &row.group)
                            == (&mean.benchmark, &mean.id_set, &mean.protocol, &mean.group)
                })
                .map(|row| self.set(&row.ood_set))
                .collect();
            theirs.sort_unstable();
            ours.sort_unstable();
            ours.dedup();
            let reason = match theirs.as_slice() {
                [] => format!("mean over {} here, over sets that are not given there", ours.join(", ")),
                theirs => format!("mean over {} here, {} there", ours.join(", "), theirs.join(", ")),
            };
            if theirs != ours && !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        reasons
    }
}
