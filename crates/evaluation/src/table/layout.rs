//! Rows arranged as a paper's table: one line a score, one column an OOD set and a mean.

use std::collections::BTreeMap;

use crate::metrics::Positive;

use super::{Row, Table};

/// A value over seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct OverSeeds {
    pub mean: f64,
    /// Over the seeds, divided by n (ddof 0), as OpenOOD prints it; 0 for one seed.
    pub deviation: f64,
}

impl OverSeeds {
    pub fn of(values: &[f64]) -> OverSeeds {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let deviation = (values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt();
        OverSeeds { mean, deviation }
    }
}

/// One cell of a block.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub seeds: usize,
    /// Sets averaged over; 1 for the column of a set.
    pub sets: usize,
    pub auroc: OverSeeds,
    pub fpr95: OverSeeds,
    /// [`half_width`] meaned over seeds; for a mean, where every seed's row of that mean has an interval.
    pub half_width: Option<f64>,
}

/// A column of a block.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Heading {
    /// One OOD set.
    Set { name: String, group: String, counts: Vec<u64>, lists: Vec<String> },
    /// The unweighted mean over the sets of a group; `sets` is how many the block has.
    Mean { group: String, sets: usize },
}

/// A line of a block.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub detector: String,
    pub score: String,
    /// One a heading; `None` where nothing was measured.
    pub entries: Vec<Option<Entry>>,
}

impl Line {
    /// `detector / score`, or one of them where both are the same.
    pub fn label(&self, separator: &str) -> String {
        if self.detector == self.score || self.score.is_empty() {
            self.detector.clone()
        } else {
            format!("{}{separator}{}", self.detector, self.score)
        }
    }
}

/// One table: all rows of a (experiment, benchmark, ID set, protocol, cell).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    pub experiment: String,
    pub benchmark: String,
    pub id_set: String,
    pub protocol: String,
    pub cell: String,
    pub id_counts: Vec<u64>,
    pub id_lists: Vec<String>,
    pub rules: Vec<String>,
    pub intervals: Intervals,
    pub headings: Vec<Heading>,
    pub lines: Vec<Line>,
}

/// What a caption says of DeLong intervals.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Intervals {
    /// The largest [`half_width`] of a row; `None` where no row has an interval.
    pub widest: Option<f64>,
    /// Whether a row has an interval of no width.
    pub pointlike: bool,
}

impl Intervals {
    /// Those of two tables together.
    pub fn and(self, other: Intervals) -> Intervals {
        let widest = [self.widest, other.widest].into_iter().flatten().max_by(f64::total_cmp);
        Intervals { widest, pointlike: self.pointlike || other.pointlike }
    }

    fn of(row: &Row) -> Intervals {
        let widest = half_width(row);
        Intervals { widest, pointlike: widest == Some(0.0) }
    }
}

/// Half the width that the DeLong interval has before it is cut at 0 and 1: its longer arm.
fn half_width(row: &Row) -> Option<f64> {
    Some((row.auroc_high? - row.auroc).max(row.auroc - row.auroc_low?))
}

impl Block {
    /// The numbers of seeds that entries have, ascending: one number when all agree.
    pub fn seeds(&self) -> Vec<usize> {
        let mut seeds: Vec<usize> =
            self.lines.iter().flat_map(|line| line.entries.iter().flatten().map(|entry| entry.seeds)).collect();
        seeds.sort_unstable();
        seeds.dedup();
        seeds
    }

    /// The best AUROC of a column and the second as they are `printed`, among entries that average over all the column's sets. Fewer than
    /// two lines have no best, fewer than three no second.
    pub fn best_two(&self, column: usize, printed: fn(f64) -> String) -> [Option<String>; 2] {
        let sets = self.headings[column].sets();
        let entries = self.lines.iter().filter_map(|line| line.entries[column].as_ref());
        let mut values: Vec<f64> = entries.filter(|entry| entry.sets == sets).map(|entry| entry.auroc.mean).collect();
        values.sort_by(|one, other| other.total_cmp(one));
        // What prints the same is equally good.
        let mut texts: Vec<String> = values.into_iter().map(printed).collect();
        texts.dedup();
        let mut texts = texts.into_iter();
        [texts.next().filter(|_| self.lines.len() > 1), texts.next().filter(|_| self.lines.len() > 2)]
    }
}

impl Heading {
    /// How many sets an entry of this column should average over.
    pub fn sets(&self) -> usize {
        match self {
            Heading::Set { .. } => 1,
            Heading::Mean { sets, .. } => *sets,
        }
    }
}

fn push_new<T: PartialEq + Clone>(list: &mut Vec<T>, value: &T) {
    if !list.contains(value) {
        list.push(value.clone());
    }
}

/// Arranges a table; means are taken from its rows of single sets, whether or not it holds mean rows. Blocks, lines and
/// columns come in order of first appearance, columns by group.
pub(super) fn blocks(table: &Table, fpr95: Positive) -> Vec<Block> {
    let mut order: Vec<Vec<&Row>> = Vec::new();
    let mut places = BTreeMap::new();
    for row in table.rows.iter().filter(|row| row.mean_of().is_none()) {
        let key = block_key(row);
        let place = *places.entry(key).or_insert_with(|| {
            order.push(Vec::new());
            order.len() - 1
        });
        order[place].push(row);
    }
    let means: Vec<&Row> = table.rows.iter().filter(|row| row.mean_of().is_some()).collect();
    order.iter().map(|rows| block(rows, &means, fpr95)).collect()
}

/// What rows of one block have in common.
fn block_key(row: &Row) -> [&String; 5] {
    [&row.experiment, &row.benchmark, &row.id_set, &row.protocol, &row.cell]
}

fn block(rows: &[&Row], means: &[&Row], fpr95: Positive) -> Block {
    let first = rows[0];
    let means: Vec<&Row> = means.iter().copied().filter(|mean| block_key(mean) == block_key(first)).collect();
    let headings = headings(rows);
    let mut block = Block {
        experiment: first.experiment.clone(),
        benchmark: first.benchmark.clone(),
        id_set: first.id_set.clone(),
        protocol: first.protocol.clone(),
        cell: first.cell.clone(),
        id_counts: Vec::new(),
        id_lists: Vec::new(),
        rules: Vec::new(),
        intervals: rows.iter().map(|row| Intervals::of(row)).fold(Intervals::default(), Intervals::and),
        headings,
        lines: Vec::new(),
    };
    let mut labels: Vec<(&String, &String)> = Vec::new();
    for row in rows {
        push_new(&mut block.id_lists, &row.id_list);
        push_new(&mut block.rules, &row.rule);
        if let Some(n_id) = row.n_id {
            push_new(&mut block.id_counts, &n_id);
        }
        push_new(&mut labels, &(&row.detector, &row.score));
    }
    for (detector, score) in labels {
        let of_line: Vec<&Row> =
            rows.iter().copied().filter(|row| &row.detector == detector && &row.score == score).collect();
        let means: Vec<&Row> =
            means.iter().copied().filter(|row| &row.detector == detector && &row.score == score).collect();
        let entries = block.headings.iter().map(|heading| entry(&of_line, &means, heading, fpr95)).collect();
        block.lines.push(Line { detector: detector.clone(), score: score.clone(), entries });
    }
    block
}

fn headings(rows: &[&Row]) -> Vec<Heading> {
    let mut groups: Vec<&String> = Vec::new();
    for row in rows {
        push_new(&mut groups, &&row.group);
    }
    let mut headings = Vec::new();
    for of_group in groups {
        let mut sets: Vec<Heading> = Vec::new();
        for row in rows.iter().filter(|row| &row.group == of_group) {
            let known =
                sets.iter().position(|heading| matches!(heading, Heading::Set { name, .. } if name == &row.ood_set));
            let place = known.unwrap_or_else(|| {
                let (name, group) = (row.ood_set.clone(), row.group.clone());
                sets.push(Heading::Set { name, group, counts: Vec::new(), lists: Vec::new() });
                sets.len() - 1
            });
            if let Heading::Set { counts, lists, .. } = &mut sets[place] {
                if let Some(n_ood) = row.n_ood {
                    push_new(counts, &n_ood);
                }
                push_new(lists, &row.ood_list);
            }
        }
        let count = sets.len();
        headings.extend(sets);
        if count > 1 {
            headings.push(Heading::Mean { group: of_group.clone(), sets: count });
        }
    }
    headings
}

fn entry(rows: &[&Row], means: &[&Row], heading: &Heading, fpr95: Positive) -> Option<Entry> {
    match heading {
        Heading::Set { name, group, .. } => {
            let mine: Vec<&Row> =
                rows.iter().copied().filter(|row| &row.ood_set == name && &row.group == group).collect();
            if mine.is_empty() {
                return None;
            }
            let widths: Vec<f64> = mine.iter().filter_map(|row| half_width(row)).collect();
            Some(Entry {
                seeds: mine.len(),
                sets: 1,
                auroc: OverSeeds::of(&mine.iter().map(|row| row.auroc).collect::<Vec<_>>()),
                fpr95: OverSeeds::of(&mine.iter().map(|row| row.fpr95(fpr95)).collect::<Vec<_>>()),
                half_width: (widths.len() == mine.len()).then(|| OverSeeds::of(&widths).mean),
            })
        }
        Heading::Mean { group, .. } => {
            // First over the sets of each seed, then over seeds.
            let mut seeds: BTreeMap<u64, Vec<&Row>> = BTreeMap::new();
            for row in rows.iter().filter(|row| &row.group == group) {
                seeds.entry(row.seed).or_default().push(row);
            }
            // Seeds that miss a set would bring in the mean of another set of columns.
            let most = seeds.values().map(Vec::len).max()?;
            let whole: Vec<&Vec<&Row>> = seeds.values().filter(|rows| rows.len() == most).collect();
            let over = |get: &dyn Fn(&Row) -> f64| {
                let means: Vec<f64> =
                    whole.iter().map(|rows| rows.iter().map(|row| get(row)).sum::<f64>() / rows.len() as f64).collect();
                OverSeeds::of(&means)
            };
            Some(Entry {
                seeds: whole.len(),
                sets: most,
                auroc: over(&|row| row.auroc),
                fpr95: over(&|row| row.fpr95(fpr95)),
                half_width: mean_half_width(means, group, most, whole.len()),
            })
        }
    }
}

/// The half width of a mean's interval, which only its own rows can tell.
fn mean_half_width(means: &[&Row], group: &str, sets: usize, seeds: usize) -> Option<f64> {
    let mine = means.iter().filter(|row| row.group == group && row.mean_of() == Some(sets));
    let widths: Vec<f64> = mine.map(|row| half_width(row)).collect::<Option<_>>()?;
    (widths.len() == seeds).then(|| OverSeeds::of(&widths).mean)
}
