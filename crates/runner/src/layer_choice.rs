//! Which layers of the encoder a detector sees: `features.layers`.

use anyhow::Result;
use oodlab_base::text;
use oodlab_features::Layer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failure::at;

/// A layer by its number, counted from 1, or by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a layer's number (counted from 1) or name")]
pub enum LayerChoice {
    /// Counted from 1, shallow to deep; the penultimate vector comes behind the taps.
    Number(usize),
    /// As the encoder names it: `stage1`, `penultimate`.
    Name(String),
}

/// Numbers of the chosen layers; of all taps (not the penultimate vector behind them) where nothing is chosen.
pub fn numbers(chosen: Option<&[LayerChoice]>, layers: &[Layer], taps: usize) -> Result<Vec<usize>> {
    let key = "features.layers";
    let Some(chosen) = chosen else { return Ok((1..=taps).collect()) };
    if chosen.is_empty() {
        return Err(at(key, "expected at least one layer"));
    }
    let mut numbers = Vec::with_capacity(chosen.len());
    for choice in chosen {
        let number = match choice {
            LayerChoice::Number(number) if (1..=layers.len()).contains(number) => *number,
            LayerChoice::Number(number) => {
                let count = layers.len();
                return Err(at(key, &format!("layer {number} does not exist; the encoder has layers 1 to {count}")));
            }
            LayerChoice::Name(name) => match layers.iter().position(|layer| layer.name == *name) {
                Some(place) => place + 1,
                None => return Err(at(key, &unknown(name, layers))),
            },
        };
        if numbers.contains(&number) {
            return Err(at(key, &format!("layer {number} ({}) is given twice", layers[number - 1].name)));
        }
        numbers.push(number);
    }
    Ok(numbers)
}

fn unknown(name: &str, layers: &[Layer]) -> String {
    let names = layers.iter().map(|layer| layer.name.as_str());
    let hint = text::hint(name, names.clone());
    let known = names.collect::<Vec<_>>().join(", ");
    format!("no layer {name:?}{hint} (the encoder has {known}; `penultimate` needs weights with their head)")
}

#[cfg(test)]
mod tests {
    use super::{LayerChoice, numbers};
    use oodlab_features::Layer;

    fn choose(yaml: &str) -> Result<Vec<usize>, String> {
        let layers = Layer::consecutive([("stage1", 2), ("stage2", 3), ("penultimate", 4)]);
        let chosen: Option<Vec<LayerChoice>> = serde_json::from_str(yaml).expect("a list");
        numbers(chosen.as_deref(), &layers, 2).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn numbers_and_names_mix_and_the_default_is_all_taps() {
        assert_eq!(choose("null"), Ok(vec![1, 2]));
        assert_eq!(choose(r#"["stage2", 1]"#), Ok(vec![2, 1]));
        assert_eq!(choose(r#"["penultimate"]"#), Ok(vec![3]));
    }

    #[test]
    fn what_does_not_exist_is_named() {
        for (choice, reason) in [
            ("[]", "at least one"),
            ("[0]", "layer 0 does not exist"),
            ("[4]", "layers 1 to 3"),
            (r#"[1, "stage1"]"#, "given twice"),
            (r#"["stgae1"]"#, "did you mean"),
        ] {
            let error = choose(choice).expect_err(reason);
            assert!(error.contains(reason), "{error}");
        }
    }
}
