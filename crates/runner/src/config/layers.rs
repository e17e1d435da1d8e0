//! Configuration in layers, later wins: files that are extended, presets, the files, the environment, the command line, a sweep's
//! cell.

use anyhow::Result;
use serde_json::Value;

use super::encoder::IMPORTED;
use super::presets::Presets;
use super::tree::{self, Tree};

/// Sections that are mappings: a plain name in place of one is the name of a preset.
pub const SECTIONS: [&str; 8] =
    ["encoder", "preprocess", "features", "detector", "limit", "sweep", "intervals", "slurm"];

/// One source of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Shown as the origin of its values: a path, a preset, `environment`, `command line`, `sweep`, `smoke`.
    pub origin: String,
    /// The text, for a file: errors name its lines.
    pub text: Option<String>,
    /// For a preset, the section that its text is: all that earlier layers say of it is dropped.
    pub section: Option<String>,
    /// Its values.
    pub values: Tree,
}

impl Layer {
    /// A layer that has no file.
    pub fn plain(origin: &str, values: Tree) -> Layer {
        Layer { origin: origin.to_owned(), text: None, section: None, values }
    }

    /// Takes every section that is given by name out of this layer, and returns the presets in front of what is left.
    ///
    /// # Errors
    /// When no preset and no kind has such a name.
    pub fn with_presets(mut self, presets: &Presets) -> Result<Vec<Layer>> {
        let mut layers = Vec::new();
        for section in SECTIONS {
            if let Some(Value::String(name)) = self.values.get(section) {
                let found = presets.find(section, name, &place_of(&self, section))?;
                layers.push(found);
                self.values.remove(section);
            }
        }
        layers.push(self);
        Ok(layers)
    }
}

/// Where a layer names a section, for errors.
fn place_of(layer: &Layer, section: &str) -> String {
    let line = layer.text.as_deref().and_then(|text| super::place::line_of(text, &[section]));
    line.map_or_else(|| layer.origin.clone(), |line| format!("{}:{line}", layer.origin))
}

/// Layers that set dotted keys: a cell of a sweep, the environment, the command line. Sections that are given by name come first, so
/// that a key inside of one changes the preset.
///
/// # Errors
/// When a key is none, or a preset is unknown.
pub fn from_pairs<'a>(
    origin: &str,
    pairs: impl IntoIterator<Item = (&'a str, Value)>,
    presets: &Presets,
) -> Result<Vec<Layer>> {
    let (mut layers, mut values) = (Vec::new(), Tree::new());
    for (key, value) in pairs {
        match value {
            Value::String(name) if SECTIONS.contains(&key) => layers.push(presets.find(key, &name, origin)?),
            value => tree::insert(&mut values, key, value)?,
        }
    }
    if layers.is_empty() || !values.is_empty() {
        layers.push(Layer::plain(origin, values));
    }
    Ok(layers)
}

/// What kind of thing a section describes. Those of `encoder` are a network and features that were imported.
fn kind_of<'a>(section: &str, value: &'a Value) -> Option<&'a str> {
    let tree = value.as_object()?;
    let named = [IMPORTED, "network"].into_iter().find(|key| section == "encoder" && tree.contains_key(*key));
    named.or_else(|| tree.get("kind")?.as_str())
}

/// The sections of which a layer drops what lies `under` it: a preset's own, and those whose kind changes.
fn dropped<'a>(under: &'a Tree, layer: &'a Layer) -> impl Iterator<Item = &'a String> {
    layer.values.iter().filter_map(move |(section, value)| {
        let (old, new) = (under.get(section).and_then(|old| kind_of(section, old)), kind_of(section, value));
        let changes = new.is_some() && old.is_some() && old != new;
        (changes || layer.section.as_ref() == Some(section)).then_some(section)
    })
}

/// Lays a layer over a tree. A section whose `kind` changes starts anew: settings of the old kind are dropped with it.
pub fn add(under: &mut Tree, layer: &Layer) {
    let gone: Vec<String> = dropped(under, layer).cloned().collect();
    for section in gone {
        under.remove(&section);
    }
    tree::overlay(under, layer.values.clone());
}

/// All layers as one tree.
pub fn merge(layers: &[Layer]) -> Tree {
    let mut merged = Tree::new();
    for layer in layers {
        add(&mut merged, layer);
    }
    merged
}

/// The layers without what later ones drop: the last that holds a key is the one that its value comes from.
pub fn kept(layers: &[Layer]) -> Vec<Layer> {
    let (mut merged, mut kept) = (Tree::new(), Vec::<Layer>::new());
    for layer in layers {
        for section in dropped(&merged, layer) {
            for earlier in &mut kept {
                earlier.values.remove(section);
            }
        }
        add(&mut merged, layer);
        kept.push(layer.clone());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    fn layer(origin: &str, text: &str) -> Layer {
        Layer::plain(origin, yaml::parse(text).expect("valid YAML"))
    }

    fn merged(layers: &[Layer], key: &str) -> Option<Value> {
        tree::get(&merge(layers), key).cloned()
    }

    #[test]
    fn later_layers_win_and_the_last_that_is_kept_is_the_origin() {
        let layers = [layer("file", "a: {x: 1, y: 2}"), layer("command line", "a: {x: 3}")];
        assert_eq!((merged(&layers, "a.x"), merged(&layers, "a.y")), (Some(Value::from(3)), Some(Value::from(2))));
        assert_eq!(kept(&layers), layers);
    }

    #[test]
    fn a_changed_kind_drops_the_settings_of_the_old_one() {
        let layers = [layer("file", "detector: {kind: dlsr, blocks: 4}"), layer("line", "detector: {kind: knn}")];
        assert_eq!(merged(&layers, "detector.blocks"), None);
        assert!(kept(&layers)[0].values.is_empty());
        let same = [layer("file", "detector: {kind: dlsr, blocks: 4}"), layer("line", "detector: {kind: dlsr}")];
        assert_eq!(merged(&same, "detector.blocks"), Some(Value::from(4)));
    }

    #[test]
    fn imported_features_take_the_place_of_a_network_and_back() {
        let network = || layer("file", "encoder: {network: efficientnet-b4, resolution: 380}");
        let imported = || layer("line", "encoder: {imported: mine}");
        let only_imported = merge(&[network(), imported()]);
        assert!(tree::get(&only_imported, "encoder.imported").is_some());
        assert!(tree::get(&only_imported, "encoder.resolution").is_none());
        let back = merge(&[network(), imported(), layer("sweep", "encoder: {network: efficientnet-b0}")]);
        assert!(tree::get(&back, "encoder.imported").is_none() && tree::get(&back, "encoder.resolution").is_none());
        let finer = merge(&[network(), layer("line", "encoder: {resolution: 260}")]);
        assert!(tree::get(&finer, "encoder.network").is_some());
    }

    #[test]
    fn a_name_is_a_preset_that_takes_the_whole_section() {
        let presets = Presets::built_in();
        let pairs = [("detector.variance", Value::from(0.5)), ("detector", Value::from("pca"))];
        let over = from_pairs("command line", pairs, &presets).expect("a kind");
        let layers = [vec![layer("file", "detector: {kind: dlsr, network: {width: 8}}")], over].concat();
        let found = merge(&layers)["detector"].clone();
        assert_eq!((&found["kind"], &found["variance"], found.get("network")), (&"pca".into(), &0.5.into(), None));
        let file = layer("file", "detector: pca\nlimit: {ood: 1}").with_presets(&presets).expect("a kind");
        assert_eq!(merged(&file, "detector.kind"), Some("pca".into()));
        assert!(layer("file", "detector: pcaa").with_presets(&presets).is_err());
    }
}
