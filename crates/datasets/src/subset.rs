//! Subsets: which images of a split belong to a benchmark, by a rule that the benchmark states.

use oodlab_base::Seed;
use serde::{Deserialize, Serialize};

/// A rule that chooses images by their position in the split's fixed order; the chosen ones keep that order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Subset {
    /// The first so many.
    First {
        /// How many.
        images: usize,
    },
    /// So many without replacement: the first of a seeded random order (stream "subset", Fisher–Yates).
    Random {
        /// How many.
        images: usize,
        /// Seed.
        seed: u64,
    },
    /// So many at even distances: of `n` images, those at `floor(i n / images)`.
    Spread {
        /// How many.
        images: usize,
    },
    /// Those at `from..to`, counted from 0: a part of a file that holds several (one severity of CIFAR-10-C).
    Rows {
        /// The first.
        from: usize,
        /// One behind the last.
        to: usize,
    },
}

impl Subset {
    /// The chosen positions among `count` images, ascending; all of them when there are fewer than the rule asks for.
    #[must_use]
    pub fn positions(&self, count: usize) -> Vec<usize> {
        match *self {
            Subset::First { images } => (0..images.min(count)).collect(),
            Subset::Rows { from, to } => (from.min(count)..to.min(count)).collect(),
            Subset::Spread { images } if images < count => {
                (0..images).map(|at| (at as u128 * count as u128 / images as u128) as usize).collect()
            }
            Subset::Random { images, seed } if images < count => {
                let mut chosen = Seed(seed).stream("subset").permutation(count);
                chosen.truncate(images);
                chosen.sort_unstable();
                chosen
            }
            Subset::Spread { .. } | Subset::Random { .. } => (0..count).collect(),
        }
    }

    /// How many images the rule asks for.
    #[must_use]
    pub fn images(&self) -> usize {
        match *self {
            Subset::First { images } | Subset::Random { images, .. } | Subset::Spread { images } => images,
            Subset::Rows { from, to } => to.saturating_sub(from),
        }
    }

    /// Whether no image can be chosen by both, whatever the split holds.
    pub(crate) fn is_apart_from(&self, other: &Subset) -> bool {
        let range = |subset: &Subset| match *subset {
            Subset::Rows { from, to } => Some((from, to)),
            Subset::First { images } => Some((0, images)),
            Subset::Random { .. } | Subset::Spread { .. } => None,
        };
        match (range(self), range(other)) {
            (Some((from, to)), Some((other_from, other_to))) => to <= other_from || other_to <= from,
            _ => false,
        }
    }
}

impl std::fmt::Display for Subset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Subset::First { images } => write!(f, "the first {images}"),
            Subset::Random { images, seed } => write!(f, "{images} at random, seed {seed}"),
            Subset::Spread { images } => write!(f, "{images} at even distances"),
            Subset::Rows { from, to } => write!(f, "rows {from} to {to}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_chooses_in_order_and_never_more_than_there_are() {
        let rules = [
            (Subset::First { images: 3 }, vec![0, 1, 2]),
            (Subset::Spread { images: 4 }, vec![0, 2, 5, 7]),
            (Subset::Rows { from: 8, to: 20 }, vec![8, 9]),
        ];
        for (rule, expected) in rules {
            assert_eq!(rule.positions(10), expected, "{rule}");
            assert!(rule.positions(0).is_empty());
        }
        let random = Subset::Random { images: 6, seed: 7 };
        let chosen = random.positions(10);
        // Fixed for all time: a benchmark's subset must not change with the program.
        assert_eq!(chosen, [0, 1, 4, 6, 7, 9]);
        assert_ne!(Subset::Random { images: 6, seed: 8 }.positions(10), chosen);
        assert_eq!(random.positions(4), [0, 1, 2, 3]);
    }

    #[test]
    fn only_ranges_can_be_known_to_be_apart() {
        let rows = |from, to| Subset::Rows { from, to };
        assert!(rows(0, 5).is_apart_from(&rows(5, 9)) && rows(5, 9).is_apart_from(&Subset::First { images: 5 }));
        assert!(!rows(0, 6).is_apart_from(&rows(5, 9)));
        assert!(!rows(0, 5).is_apart_from(&Subset::Random { images: 1, seed: 0 }));
    }
}
