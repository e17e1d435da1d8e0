//! From a sweep to its cells.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use super::condition::Condition;
use super::part::{Factor, Part};
use crate::failure::at;

/// Swept keys with their values.
pub type Combination<'a> = BTreeMap<&'a str, &'a Value>;

/// The value of a setting that a combination does not name itself, where the experiment gives it one.
pub type Lookup<'a> = dyn Fn(&Combination<'_>, &str) -> Result<Option<Value>> + 'a;

/// All combinations of a part, in its order: the last factor changes fastest. One empty combination when nothing is swept.
///
/// # Errors
/// When a condition names a setting that no cell has, or all cells are dropped.
pub fn expand<'a>(part: &'a Part, lookup: &Lookup<'_>) -> Result<Vec<Combination<'a>>> {
    let fixed: Combination<'a> = part.fixed.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let mut combinations = vec![fixed];
    for factor in &part.factors {
        let rows: Vec<Combination<'a>> = match factor {
            Factor::Rows(rows) => {
                rows.iter().map(|row| row.iter().map(|(key, value)| (key.as_str(), value)).collect()).collect()
            }
            Factor::Parts(parts) => {
                let mut rows = Vec::new();
                for part in parts {
                    rows.extend(expand(part, lookup)?);
                }
                rows
            }
        };
        combinations = combinations.iter().flat_map(|left| rows.iter().map(|right| joined(left, right))).collect();
    }
    retain(&mut combinations, &part.drop, false, lookup)?;
    if !part.keep.is_empty() {
        retain(&mut combinations, &part.keep, true, lookup)?;
    }
    Ok(combinations)
}

fn joined<'a>(left: &Combination<'a>, right: &Combination<'a>) -> Combination<'a> {
    let mut both = left.clone();
    both.extend(right.iter().map(|(key, value)| (*key, *value)));
    both
}

/// Keeps the combinations that match one of the conditions, or those that match none.
fn retain(
    combinations: &mut Vec<Combination<'_>>,
    conditions: &[Condition],
    matching: bool,
    lookup: &Lookup<'_>,
) -> Result<()> {
    if conditions.is_empty() {
        return Ok(());
    }
    let mut matched = vec![false; combinations.len()];
    for condition in conditions {
        let mut seen = vec![false; condition.terms.len()];
        for (combination, matched) in combinations.iter().zip(&mut matched) {
            let mut all = true;
            for ((key, test), seen) in condition.terms.iter().zip(&mut seen) {
                let found = match combination.get(key.as_str()) {
                    Some(value) => Some((*value).clone()),
                    None => lookup(combination, key)?,
                };
                *seen |= found.is_some();
                all &= found.is_some_and(|value| test.passes(&value));
            }
            *matched |= all;
        }
        let unseen = condition.terms.iter().zip(&seen).find(|(_, seen)| !**seen && !combinations.is_empty());
        if let Some(((key, _), _)) = unseen {
            let message = format!("{key} is neither swept nor set by a file: the condition could never match");
            return Err(at(&condition.place, &message));
        }
    }
    let mut matched = matched.into_iter();
    combinations.retain(|_| matched.next() == Some(matching));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Cell, part};
    use super::*;
    use crate::config::yaml;

    fn nothing(_: &Combination<'_>, _: &str) -> Result<Option<Value>> {
        Ok(None)
    }

    fn names(text: &str) -> Vec<String> {
        let part = part::read(&yaml::parse(text).expect(text)).expect(text);
        let owned =
            |cell: &Combination<'_>| cell.iter().map(|(key, value)| ((*key).to_owned(), (*value).clone())).collect();
        expand(&part, &nothing).expect(text).iter().map(|cell| Cell::new(owned(cell)).name).collect()
    }

    #[test]
    fn a_grid_is_every_combination_in_a_stable_order() {
        assert_eq!(names("grid: {b: [1, 2], a: [x, y]}"), ["a=x,b=1", "a=x,b=2", "a=y,b=1", "a=y,b=2"]);
        assert_eq!(names("{}"), [""]);
        assert_eq!(names("grid: {a: \"range(1,6,2)\"}"), ["a=1", "a=3", "a=5"]);
    }

    #[test]
    fn parts_cross_and_lists_follow_each_other() {
        assert_eq!(names("zip: {a: [1, 2], b: [3, 4]}"), ["a=1,b=3", "a=2,b=4"]);
        assert_eq!(
            names("grid: {c: [1, 2]}\nzip: {a: [1, 2], b: [3, 4]}"),
            ["a=1,b=3,c=1", "a=2,b=4,c=1", "a=1,b=3,c=2", "a=2,b=4,c=2"]
        );
        let nested = "list: [{kind: pca}, {kind: knn, grid: {k: [1, 5]}}, {kind: x, zip: {y: [1], z: [2]}}]";
        assert_eq!(names(nested), ["kind=pca", "k=1,kind=knn", "k=5,kind=knn", "kind=x,y=1,z=2"]);
        let crossed = "product: [{zip: {a: [1, 2]}}, {list: [{b: 1}, {c: 2}]}]";
        assert_eq!(names(crossed), ["a=1,b=1", "a=1,c=2", "a=2,b=1", "a=2,c=2"]);
        assert_eq!(names("grid: {b: [1, 2]}\nrandom: {count: 3, keys: {a: {linear: [0, 1]}}}").len(), 6);
    }

    #[test]
    fn conditions_drop_and_keep() {
        let grid = "grid: {width: [128, 512], blocks: [1, 16]}\n";
        let corner = format!("{grid}drop: [{{width: 512, blocks: 16}}]");
        assert_eq!(names(&corner), ["blocks=1,width=128", "blocks=1,width=512", "blocks=16,width=128"]);
        let either = format!("{grid}drop: [{{width: 512}}, {{blocks: '>= 16'}}]");
        assert_eq!(names(&either), ["blocks=1,width=128"]);
        assert_eq!(names(&format!("{grid}keep: [{{width: 512}}]\ndrop: [{{blocks: 1}}]")), ["blocks=16,width=512"]);
        let inner = "list: [{kind: a, grid: {k: [1, 2]}, drop: [{k: 2}]}, {kind: b, k: 2}]";
        assert_eq!(names(inner), ["k=1,kind=a", "k=2,kind=b"]);
        assert_eq!(names("list: [{kind: a, k: 1}, {kind: b}]\ndrop: [{k: 1}]"), ["kind=b"]);
    }

    #[test]
    fn a_condition_can_ask_for_what_is_not_swept_and_must_not_be_mistyped() {
        let part = part::read(&yaml::parse("grid: {a: [1, 2]}\ndrop: [{b: 3}]").expect("YAML")).expect("a sweep");
        assert!(expand(&part, &nothing).expect_err("unknown").to_string().contains("neither swept nor set"));
        let lookup =
            |cell: &Combination<'_>, key: &str| Ok((key == "b").then(|| json!(cell["a"].as_u64().map(|a| a + 1))));
        assert_eq!(expand(&part, &lookup).expect("known").len(), 1);
    }
}
