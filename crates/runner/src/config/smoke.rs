//! `--smoke`: the same experiment with everything small that costs time, on the images and weights that the program carries. It shows
//! that a file runs from end to end; its numbers say nothing.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::control::{self, Control};
use super::layers::{Layer, SECTIONS};
use super::smoke_output;
use super::tree::{self, Tree};

/// Origin of what is shrunk.
const SMOKE: &str = "smoke";
/// The benchmark of the images that the program carries.
pub const BENCHMARK: &str = "mini";
/// Layers of the network that the program carries.
const TAPS: usize = 5;
/// Most images of each kind.
const IMAGES: [(&str, u64); 3] = [("train", 96), ("id_test", 16), ("ood", 8)];
/// Bootstrap replicates: the fewest there are.
const REPLICATES: u64 = 100;
/// Settings of a detector that cost time, by their own name, with the most that is left of each; wherever they stand in its section.
const COSTLY: [(&str, u64); 10] = [
    ("epochs", 2),
    ("width", 64),
    ("blocks", 2),
    ("latent", 8),
    ("channels", 8),
    ("draws", 2),
    // Batches of a training set this small: an incomplete one is left out.
    ("batch_size", 32),
    ("accumulate", 1),
    ("warmup_steps", 2),
    ("components", 8),
];

/// The layers that shrink an experiment; they go over all others. What is small already is left alone.
pub fn layers(tree: &Tree) -> Vec<Layer> {
    let mut layers = Vec::new();
    let mut values = Tree::new();
    if tree.get("benchmark").is_some_and(|benchmark| benchmark != BENCHMARK) {
        values.insert("benchmark".into(), BENCHMARK.into());
        values.extend(smoke_output::sections(tree));
    }
    let pixels = tree::get(tree, "encoder.network").is_some_and(|network| network == oodlab_encoders::PIXELS);
    let mut count = None;
    if !pixels {
        let chosen = tree::get(tree, "features.layers").and_then(Value::as_array);
        let chosen_count = chosen.map_or(TAPS, |chosen| chosen.len().min(TAPS));
        count = Some(chosen_count);
        layers.push(encoder(tree));
        values.extend(features(tree, chosen_count).map(|features| ("features".to_owned(), features)));
    }
    values.insert("limit".into(), limit(tree));
    values.insert(
        "intervals".into(),
        json!({ "replicates": fewer(tree::get(tree, "intervals.replicates"), REPLICATES) }),
    );
    if let Some(Value::Array(seeds)) = tree.get("seeds")
        && seeds.len() > 1
    {
        values.insert("seeds".into(), json!([seeds[0]]));
    }
    if let Some(Value::Object(section)) = tree.get("detector") {
        values.insert("detector".into(), detector(section, count));
    }
    if let Some(Value::Array(controls)) = tree.get("controls") {
        values.insert("controls".into(), controls.iter().map(|control| smaller_control(control, count)).collect());
    }
    layers.push(Layer::plain(SMOKE, values));
    layers
}

/// The network that the program carries, pooled as before.
fn encoder(tree: &Tree) -> Layer {
    let mut section = json!({ "network": "efficientnet-lite0", "weights": "embedded", "resolution": 224 });
    if let Some(pooling) = tree::get(tree, "encoder.pooling") {
        section["pooling"] = pooling.clone();
    }
    let values = Tree::from_iter([("encoder".to_owned(), section)]);
    Layer { section: Some("encoder".to_owned()), ..Layer::plain(SMOKE, values) }
}

/// As many layers as were chosen, where some of them do not exist in the small network; weights for as many.
fn features(tree: &Tree, count: usize) -> Option<Value> {
    let mut section = Map::new();
    let chosen = tree::get(tree, "features.layers").and_then(Value::as_array);
    let exists = |layer: &Value| match layer {
        Value::Number(number) => number.as_u64().is_some_and(|number| (1..=TAPS as u64).contains(&number)),
        Value::String(name) => (1..=TAPS).any(|stage| *name == format!("stage{stage}")),
        _ => true,
    };
    if chosen.is_some_and(|chosen| !chosen.iter().all(exists)) {
        section.insert("layers".into(), (1..=count).collect());
    }
    if let Some(weights) = tree::get(tree, "features.layer_weights").and_then(Value::as_array)
        && weights.len() != count
    {
        section.insert("layer_weights".into(), as_many(weights, count));
    }
    (!section.is_empty()).then_some(Value::Object(section))
}

fn as_many(weights: &[Value], count: usize) -> Value {
    weights.iter().cloned().chain(std::iter::repeat(json!(1.0))).take(count).collect()
}

fn limit(tree: &Tree) -> Value {
    let own = |name: &str| tree::get(tree, &format!("limit.{name}"));
    let images = IMAGES.iter().map(|(name, most)| ((*name).to_owned(), json!(fewer(own(name), *most))));
    Value::Object(images.collect())
}

/// A whole number up to a most; the most where none is given.
fn fewer(given: Option<&Value>, most: u64) -> u64 {
    given.and_then(Value::as_u64).map_or(most, |given| given.min(most))
}

/// What shrinks a detector's section: every costly setting, also those that only its kind's defaults give, and its weights of layers.
fn detector(section: &Map<String, Value>, count: Option<usize>) -> Value {
    let (mut smaller, mut untaught) = (Map::new(), None);
    if let Ok(parts) = control::parts(section)
        && let Ok(built) = oodlab_detectors::build(&parts.kind, Value::Null, &[])
    {
        for config in [built.fit_config(), built.score_config()] {
            shrink(&config, &mut smaller);
        }
        if parts.kind == "oal" {
            untaught = Some(untaught_student());
        }
    }
    shrink(&Value::Object(section.clone()), &mut smaller);
    if let Some(untaught) = untaught {
        tree::overlay(&mut smaller, untaught);
    }
    if let Some(Value::Array(weights)) = section.get("layer_weights")
        && let Some(count) = count
        && weights.len() != count
    {
        smaller.insert("layer_weights".into(), as_many(weights, count));
    }
    Value::Object(smaller)
}

/// What is left of outlier-aware learning without a teacher, of which the program carries none, and without validation images: a head that learns
/// from labels and random outliers.
fn untaught_student() -> Map<String, Value> {
    Map::from_iter([
        ("teacher".to_owned(), Value::Null),
        ("student".to_owned(), json!({"network": "head", "resolution": null})),
        ("terms".to_owned(), json!({"cross_entropy": 1.0, "logits": 0.0, "features": 0.0, "boundary": 0.0})),
        ("diffusion".to_owned(), json!({"source": "random"})),
        ("train".to_owned(), json!({"keep": "last"})),
    ])
}

/// Writes the costly settings of a section at their sizes here. Later sections have the last word.
fn shrink(section: &Value, smaller: &mut Map<String, Value>) {
    let Value::Object(section) = section else { return };
    for (key, value) in section {
        match value {
            // Scores have a section of their own.
            Value::Object(_) if key != "scores" && key != "summed" => {
                let mut inner = match smaller.remove(key) {
                    Some(Value::Object(inner)) => inner,
                    _ => Map::new(),
                };
                shrink(value, &mut inner);
                if !inner.is_empty() {
                    smaller.insert(key.clone(), Value::Object(inner));
                }
            }
            Value::Number(_) => {
                if let Some(most) = most_of(key) {
                    smaller.insert(key.clone(), json!(fewer(Some(value), most)));
                }
            }
            _ => {}
        }
    }
}

fn most_of(key: &str) -> Option<u64> {
    COSTLY.iter().find(|(name, _)| *name == key).map(|(_, most)| *most)
}

/// A control with its costly settings small; one that has none stays as it is.
fn smaller_control(control: &Value, count: Option<usize>) -> Value {
    let mut section = match control {
        Value::String(kind) => Map::from_iter([("kind".to_owned(), json!(kind))]),
        Value::Object(section) => section.clone(),
        other => return other.clone(),
    };
    let Value::Object(smaller) = detector(&section, count) else { return control.clone() };
    if smaller.is_empty() || serde_json::from_value::<Control>(control.clone()).is_err() {
        return control.clone();
    }
    tree::overlay(&mut section, smaller);
    Value::Object(section)
}

/// The cells in which every key has the first or the last value that it has in any; the first and the last cell where there are none.
pub fn few(cells: &[BTreeMap<String, Value>]) -> Vec<BTreeMap<String, Value>> {
    let mut ends: BTreeMap<&str, (&Value, &Value)> = BTreeMap::new();
    for (key, value) in cells.iter().flatten() {
        ends.entry(key).and_modify(|(_, last)| *last = value).or_insert((value, value));
    }
    // In a grid the last cell has the last value of every key, and so it is with zips, lists and draws.
    let at_an_end = |cell: &&BTreeMap<String, Value>| {
        cell.iter()
            .all(|(key, value)| ends.get(key.as_str()).is_some_and(|(first, last)| value == *first || value == *last))
    };
    let found: Vec<_> = cells.iter().filter(at_an_end).cloned().collect();
    match (found.is_empty(), cells) {
        (true, [first, .., last]) => vec![first.clone(), last.clone()],
        (true, few) => few.to_vec(),
        (false, _) => found,
    }
}

/// The values of a cell as they were shrunk. Every key stays: tables may ask for its column.
pub fn shrunk(overrides: &BTreeMap<String, Value>, tree: &Tree) -> BTreeMap<String, Value> {
    let now = |(key, value): (&String, &Value)| {
        let preset = SECTIONS.contains(&key.as_str()) && value.is_string();
        let now = tree::get(tree, key).filter(|_| !preset).map(|now| within(value, now));
        (key.clone(), now.unwrap_or_else(|| value.clone()))
    };
    overrides.iter().map(now).collect()
}

/// Where two sizes became one, the smaller is halved: a sweep stays one.
pub fn spread(before: &[BTreeMap<String, Value>], after: &mut [BTreeMap<String, Value>]) {
    let (Some(first), Some(last)) = (before.first(), before.last()) else { return };
    for (key, least) in first {
        let most = most_of(key.rsplit('.').next().unwrap_or_default());
        let equal_now = after.iter().filter_map(|cell| cell.get(key)).all(|now| now.as_u64() == most);
        let Some(half) = most.map(|most| most / 2).filter(|half| *half > 0 && equal_now) else { continue };
        if last.get(key).is_none_or(|greatest| greatest == least) {
            continue;
        }
        for (before, after) in before.iter().zip(&mut *after) {
            if before.get(key) == Some(least) {
                after.insert(key.clone(), json!(half));
            }
        }
    }
}

/// A value as it is now, of the keys that it had.
fn within(value: &Value, now: &Value) -> Value {
    match (value, now) {
        (Value::Object(value), Value::Object(now)) => {
            let kept = value.iter().filter_map(|(key, value)| Some((key.clone(), within(value, now.get(key)?))));
            Value::Object(kept.collect())
        }
        (_, now) => now.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::layers::merge;
    use super::*;
    use crate::config::yaml;

    fn small(text: &str) -> Value {
        let own = Layer::plain("file", yaml::parse(text).expect(text));
        let over = layers(&own.values);
        Value::Object(merge(&[vec![own], over].concat()))
    }

    #[test]
    fn everything_costly_is_small_and_the_rest_stays() {
        let found = small(
            "benchmark: cifar10-far\nencoder: {network: efficientnet-b4, resolution: 380, pooling: released}\n\
            features: {layers: [stage1, 7], layer_weights: [1, 2]}\n\
            detector: {kind: dlsr, name: mine, network: {width: 1440}, train: {learning_rate: 1.0e-3}, sample: {start: 99}}\n\
            controls: [mean-distance, vae, {kind: pca, variance: 0.5}]\nseeds: [3, 4]\nlimit: {ood: 2}\nscores: [mse]",
        );
        assert_eq!((&found["benchmark"], &found["seeds"]), (&json!("mini"), &json!([3])));
        let encoder =
            json!({"network": "efficientnet-lite0", "weights": "embedded", "resolution": 224, "pooling": "released"});
        assert_eq!(found["encoder"], encoder);
        assert_eq!(found["features"], json!({"layers": [1, 2], "layer_weights": [1, 2]}));
        assert_eq!(found["limit"], json!({"train": 96, "id_test": 16, "ood": 2}));
        let detector = &found["detector"];
        assert_eq!((&detector["name"], &detector["sample"]["start"]), (&json!("mine"), &json!(99)));
        assert_eq!(detector["network"], json!({"width": 64, "blocks": 2}));
        assert_eq!((&detector["train"]["epochs"], &detector["train"]["batch_size"]), (&json!(2), &json!(32)));
        assert_eq!(detector["train"]["learning_rate"], json!(1e-3));
        let controls = &found["controls"];
        assert_eq!((&controls[0], &controls[2]), (&json!("mean-distance"), &json!({"kind": "pca", "variance": 0.5})));
        assert_eq!((&controls[1]["kind"], &controls[1]["network"]["latent"]), (&json!("vae"), &json!(8)));
    }

    #[test]
    fn pixels_stay_pixels() {
        let found = small("encoder: {network: pixels, resolution: 32}\ndetector: {kind: pixel-ddpm}");
        assert_eq!(found["encoder"], json!({"network": "pixels", "resolution": 32}));
        assert_eq!(found["detector"]["network"]["channels"], json!(8));
    }

    #[test]
    fn weights_are_as_many_as_layers() {
        let found =
            small("features: {layer_weights: [1, 2, 3, 4]}\ndetector: {kind: dlsr, layer_weights: [1, 2, 3, 4, 5, 6]}");
        assert_eq!(found["features"]["layer_weights"], json!([1, 2, 3, 4, 1.0]));
        assert_eq!(found["detector"]["layer_weights"], json!([1, 2, 3, 4, 5]));
    }

    #[test]
    fn of_a_grid_the_corners_are_left_and_sizes_stay_two() {
        let cells: Vec<BTreeMap<String, Value>> = [(128, 1), (128, 4), (256, 1), (512, 1), (512, 4)]
            .into_iter()
            .map(|(width, blocks)| {
                BTreeMap::from([("n.width".into(), json!(width)), ("n.blocks".into(), json!(blocks))])
            })
            .collect();
        let corners = few(&cells);
        assert_eq!(corners.len(), 4);
        let tree = yaml::parse("n: {width: 64, blocks: 1}").expect("YAML");
        let mut after: Vec<_> = corners.iter().map(|cell| shrunk(cell, &tree)).collect();
        spread(&corners, &mut after);
        let widths: Vec<&Value> = after.iter().map(|cell| &cell["n.width"]).collect();
        assert_eq!(widths, [32, 32, 64, 64]);
        assert!(after.iter().all(|cell| cell["n.blocks"] == 1), "1 is no limit that was reached");
    }
}
