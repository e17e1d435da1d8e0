//! The comparisons of a record, from its stored scores.

use std::collections::BTreeMap;

use oodlab_base::text;

use super::Pair;
use crate::metrics::bootstrap::{BootstrapConfig, BootstrapError, Replicates};
use crate::metrics::compare::{self, BOOTSTRAPPED, CompareError, Scored};
use crate::metrics::{Comparison, FprRule, Method, Metric, correct};
use crate::record::{DetectorAbout, Record, RunAbout};
use crate::scores::ScoreBlock;
use crate::table::Row;

/// Comparisons that cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ComparisonError {
    /// A name that no score has.
    #[error("{name:?} is no score of this experiment{hint} (there are: {known})")]
    Unknown {
        /// The name.
        name: String,
        /// The nearest known one.
        hint: String,
        /// All of them.
        known: String,
    },
    /// Scores that cannot be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// Scores that cannot be drawn from.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
}

/// A detector and one of its scores.
type Score<'a> = (&'a str, &'a str);

/// Compares the pairs that the record asks for, or every score of the experiment's own detector with every score of a control: AUROC by
/// DeLong's paired test on each set, FPR95 in both directions by the paired bootstrap, and all three on the means over groups of sets.
/// Holm's correction is over the sets of one run, protocol, pair and metric.
///
/// # Errors
/// When a pair names a score that is not there, or scores are of different images.
pub fn of_record(record: &Record) -> Result<Vec<Comparison>, ComparisonError> {
    let bootstrap = record.about.intervals.bootstrap();
    let blocks = record.scores.blocks();
    let mut rows = Vec::new();
    for run in &record.about.runs {
        let own = blocks.iter().filter(|block| block.cell == run.cell && block.seed == run.seed).copied().collect();
        let mut scores = RunScores { blocks: own, bootstrap, drawn: BTreeMap::new() };
        for (a, b) in pairs(record.about.comparisons.as_deref(), &run.detectors)? {
            rows.extend(of_pair(record, run, &mut scores, a, b)?);
        }
    }
    correct(&mut rows);
    Ok(rows)
}

/// Whether every pair that is asked for names scores of these detectors: known before anything is computed.
///
/// # Errors
/// When a pair names a score that is not there.
pub fn check(asked: Option<&[Pair]>, detectors: &[DetectorAbout]) -> Result<(), ComparisonError> {
    pairs(asked, detectors).map(|_| ())
}

/// The pairs of one run.
fn pairs<'a>(
    asked: Option<&[Pair]>,
    detectors: &'a [DetectorAbout],
) -> Result<Vec<(Score<'a>, Score<'a>)>, ComparisonError> {
    let of = |control: bool| {
        let detectors = detectors.iter().filter(move |detector| detector.control == control);
        detectors.flat_map(|detector| detector.scores.iter().map(|score| (detector.name.as_str(), score.as_str())))
    };
    let Some(asked) = asked else {
        return Ok(of(false).flat_map(|own| of(true).map(move |control| (own, control))).collect());
    };
    let known: Vec<Score<'_>> = of(false).chain(of(true)).collect();
    let find = |name: &str| {
        let named = known.iter().copied().find(|&score| name_of(score) == name);
        // A detector of a single score needs no score's name.
        let mut alone = known.iter().copied().filter(|(detector, _)| *detector == name);
        let found = named.or_else(|| alone.next().filter(|_| alone.next().is_none()));
        found.ok_or_else(|| {
            let names: Vec<String> = known.iter().map(|&score| name_of(score)).collect();
            ComparisonError::Unknown {
                name: name.to_owned(),
                hint: text::hint(name, names.iter().map(String::as_str)),
                known: names.join(", "),
            }
        })
    };
    asked.iter().map(|Pair { a, b }| Ok((find(a)?, find(b)?))).collect()
}

/// `dlsr/mse`, or the detector's name where the score has it too.
fn name_of((detector, score): Score<'_>) -> String {
    if detector == score { detector.to_owned() } else { format!("{detector}/{score}") }
}

/// The scores of one run, and what was drawn of them: several pairs share a score.
struct RunScores<'a> {
    blocks: Vec<ScoreBlock<'a>>,
    bootstrap: Option<BootstrapConfig>,
    drawn: BTreeMap<[String; 4], Replicates>,
}

impl RunScores<'_> {
    fn values(&self, (detector, score): Score<'_>, wanted: impl Fn(&ScoreBlock<'_>) -> bool) -> Vec<f64> {
        let own = |block: &&ScoreBlock<'_>| (block.detector, block.score) == (detector, score) && wanted(block);
        self.blocks.iter().filter(own).flat_map(|block| block.values).copied().collect()
    }

    /// In-distribution scores under a protocol, shifted sets included.
    fn id(&self, score: Score<'_>, protocol: &str) -> Vec<f64> {
        self.values(score, |block| !block.is_ood && (block.protocol.is_empty() || block.protocol == protocol))
    }

    fn ood(&self, score: Score<'_>, row: &Row) -> Vec<f64> {
        self.values(score, |block| block.is_ood && block.protocol == row.protocol && block.set == row.ood_set)
    }

    /// The replicates of a score on the set of a row; none without a bootstrap.
    fn replicates(&mut self, score: Score<'_>, row: &Row) -> Result<Option<Replicates>, ComparisonError> {
        let Some(config) = self.bootstrap else { return Ok(None) };
        let key = [score.0, score.1, &row.protocol, &row.ood_set].map(str::to_owned);
        if !self.drawn.contains_key(&key) {
            let rule = row.rule.parse().unwrap_or(FprRule::FirstAtLeast);
            let (id, ood) = (self.id(score, &row.protocol), self.ood(score, row));
            self.drawn.insert(key.clone(), Replicates::draw(&id, &ood, &row.ood_set, rule, config)?);
        }
        Ok(self.drawn.get(&key).cloned())
    }
}

/// All rows of one pair in one run: sets in the table's order, then means over groups.
fn of_pair(
    record: &Record,
    run: &RunAbout,
    scores: &mut RunScores<'_>,
    a: Score<'_>,
    b: Score<'_>,
) -> Result<Vec<Comparison>, ComparisonError> {
    let own = |row: &&Row, score: Score<'_>| row.run == run.run && (row.detector.as_str(), row.score.as_str()) == score;
    let mut found = Vec::new();
    for row in record.table.rows.iter().filter(|row| own(row, a)) {
        let same =
            |other: &&Row| (&other.protocol, &other.group, &other.ood_set) == (&row.protocol, &row.group, &row.ood_set);
        let Some(other) = record.table.rows.iter().filter(|row| own(row, b)).find(same) else { continue };
        let names = Comparison {
            cell: row.cell.clone(),
            seed: row.seed,
            benchmark: row.benchmark.clone(),
            protocol: row.protocol.clone(),
            group: row.group.clone(),
            id_set: row.id_set.clone(),
            ood_set: row.ood_set.clone(),
            detector_a: a.0.to_owned(),
            score_a: a.1.to_owned(),
            detector_b: b.0.to_owned(),
            score_b: b.1.to_owned(),
            run: row.run.clone(),
            ..Comparison::default()
        };
        if row.mean_of().is_none() {
            let id = [scores.id(a, &row.protocol), scores.id(b, &row.protocol)];
            let ood = [scores.ood(a, row), scores.ood(b, row)];
            let test = compare::delong(Scored { id: &id[0], ood: &ood[0] }, Scored { id: &id[1], ood: &ood[1] })?;
            found.push(names.clone().with_test(Metric::Auroc, Method::DelongPaired, test));
        }
        let mut by_bootstrap = |metric: Metric, drawn: (&Replicates, &Replicates)| -> Result<(), ComparisonError> {
            if let (Some(value_a), Some(value_b)) = (row.value(metric), other.value(metric)) {
                let test = compare::bootstrap(metric, value_a, value_b, drawn.0, drawn.1)?;
                found.push(names.clone().with_test(metric, Method::BootstrapPaired, test));
            }
            Ok(())
        };
        if row.mean_of().is_some() {
            let members: Vec<&Row> = record
                .table
                .rows
                .iter()
                .filter(|member| own(member, a) && member.mean_of().is_none())
                .filter(|member| (&member.protocol, &member.group) == (&row.protocol, &row.group))
                .collect();
            let mut mean = |score| -> Result<Option<Replicates>, ComparisonError> {
                let parts = members.iter().map(|member| scores.replicates(score, member));
                let parts: Option<Vec<Replicates>> = parts.collect::<Result<_, _>>()?;
                Ok(parts.map(|parts| Replicates::mean(&parts.iter().collect::<Vec<_>>())))
            };
            if let (Some(mean_a), Some(mean_b)) = (mean(a)?, mean(b)?) {
                for metric in [Metric::Auroc].into_iter().chain(BOOTSTRAPPED) {
                    by_bootstrap(metric, (&mean_a, &mean_b))?;
                }
            }
            continue;
        }
        let (drawn_a, drawn_b) = (scores.replicates(a, row)?, scores.replicates(b, row)?);
        if let (Some(drawn_a), Some(drawn_b)) = (&drawn_a, &drawn_b) {
            for metric in BOOTSTRAPPED {
                by_bootstrap(metric, (drawn_a, drawn_b))?;
            }
        }
    }
    Ok(found)
}
