//! Tables and figures of a shrunk experiment: what they ask of the images is asked of those that the program carries.

use serde_json::{Map, Value};

use super::smoke::BENCHMARK;
use super::tree::Tree;

/// The in-distribution set of the benchmark.
const ID_SET: &str = "cifar10-mini";
/// Its only group.
const GROUP: &str = "far";
/// Its out-of-distribution sets.
const SETS: [&str; 5] = ["fashion-mnist-mini", "gaussian-noise", "uniform-noise", "stripes", "blobs"];

/// The sections `tables` and `figures`, as far as there are any, for the small benchmark. No published number is of it.
pub fn sections(tree: &Tree) -> impl Iterator<Item = (String, Value)> {
    ["tables", "figures"].into_iter().filter_map(|name| match tree.get(name) {
        Some(Value::Array(entries)) => Some((name.to_owned(), entries.iter().map(entry).collect())),
        _ => None,
    })
}

fn entry(entry: &Value) -> Value {
    let mut entry = entry.clone();
    if let Value::Object(section) = &mut entry {
        section.remove("published");
        if let Some(Value::Object(conditions)) = section.get_mut("where") {
            replace(conditions);
        }
    }
    entry
}

fn replace(conditions: &mut Map<String, Value>) {
    for (field, value) in conditions.iter_mut() {
        match field.as_str() {
            "id_set" => *value = ID_SET.into(),
            "group" => *value = GROUP.into(),
            "benchmark" | "sweep.benchmark" => *value = BENCHMARK.into(),
            "set" => *value = sets(value),
            "sweep" => {
                if let Some(swept) = value.as_object_mut().and_then(|swept| swept.get_mut("benchmark")) {
                    *swept = BENCHMARK.into();
                }
            }
            _ => {}
        }
    }
}

/// As many sets as were named, or means alone where some were: a mean and a set of its group cannot share a cell.
fn sets(named: &Value) -> Value {
    let named: Vec<&Value> = named.as_array().map_or_else(|| vec![named], |named| named.iter().collect());
    let mut means: Vec<Value> = Vec::new();
    for name in named.iter().filter_map(|name| name.as_str()).filter(|name| name.starts_with("mean")) {
        let mean = Value::from(if name == "mean" { name.to_owned() } else { format!("mean ({GROUP})") });
        if !means.contains(&mean) {
            means.push(mean);
        }
    }
    if means.is_empty() { SETS.into_iter().take(named.len()).collect() } else { Value::Array(means) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    fn shrunk(text: &str) -> Value {
        let tree = yaml::parse(text).expect(text);
        Value::Object(sections(&tree).collect())
    }

    #[test]
    fn conditions_on_images_are_those_of_the_small_benchmark() {
        let found = shrunk(
            "tables:\n  - {name: a, rows: [set], where: {id_set: cifar100, set: [svhn, isun], group: near, score: mse}, published: {table: b}}\n\
            figures:\n  - {kind: bars, where: {sweep: {benchmark: [x, y], a.b: 3}}}",
        );
        let conditions = &found["tables"][0]["where"];
        assert_eq!((&conditions["id_set"], &conditions["group"]), (&ID_SET.into(), &GROUP.into()));
        assert_eq!(conditions["set"], serde_json::json!(["fashion-mnist-mini", "gaussian-noise"]));
        assert_eq!(conditions["score"], "mse");
        assert!(found["tables"][0].get("published").is_none());
        assert_eq!(found["figures"][0]["where"]["sweep"], serde_json::json!({"benchmark": BENCHMARK, "a.b": 3}));
    }

    #[test]
    fn means_stand_alone() {
        let of =
            |set: &str| shrunk(&format!("tables: [{{where: {{set: {set}}}}}]"))["tables"][0]["where"]["set"].clone();
        assert_eq!(of("[mean (far), mean (near), svhn]"), serde_json::json!(["mean (far)"]));
        assert_eq!(of("mean"), serde_json::json!(["mean"]));
        assert_eq!(of("cifar100"), serde_json::json!(["fashion-mnist-mini"]));
    }

    #[test]
    fn what_is_not_there_stays_absent() {
        assert_eq!(shrunk("benchmark: x"), serde_json::json!({}));
    }
}
