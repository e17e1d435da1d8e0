//! Presets: a whole section by its name, as Hydra's config groups.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use oodlab_base::text;
use serde_json::{Value, json};

use super::layers::Layer;
use super::tree::{Tree, overlay};
use super::yaml;
use crate::failure::settings;

include!(concat!(env!("OUT_DIR"), "/presets.rs"));

/// Where presets are looked for: a folder, then the program itself.
#[derive(Debug, Clone, Default)]
pub struct Presets {
    folder: Option<PathBuf>,
}

impl Presets {
    /// Those that the program carries.
    #[cfg(test)]
    pub fn built_in() -> Presets {
        Presets::default()
    }

    /// Those beside an experiment file, in the folder `presets` of its folder `experiments` (or of its own folder, outside of one),
    /// before those that the program carries.
    pub fn beside(file: &Path) -> Presets {
        let own = file.parent().unwrap_or(Path::new(""));
        let root = own.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "experiments"));
        Presets { folder: Some(root.unwrap_or(own).join("presets")) }
    }

    /// The section that a name stands for: a file, a preset that the program carries, a detector's kind or a network.
    ///
    /// # Errors
    /// When there is none of that name; the nearest and all known names are told. `place` is where the name stands.
    pub fn find(&self, section: &str, name: &str, place: &str) -> Result<Layer> {
        self.optional(section, name, place)?.ok_or_else(|| self.unknown(section, name, place))
    }

    fn unknown(&self, section: &str, name: &str, place: &str) -> anyhow::Error {
        let known = self.names(section);
        let hint = text::hint(name, known.iter().map(String::as_str));
        let list = known.iter().cloned().collect::<Vec<_>>().join(", ");
        let list = if list.is_empty() { "there are none for this section".to_owned() } else { list };
        settings(format!("{place}: {section}: no preset is called {name:?}{hint} (known: {list})"))
    }

    /// As [`Presets::find`]; none where there is none of that name.
    ///
    /// # Errors
    /// When the name cannot be one, or the preset is not valid.
    pub fn optional(&self, section: &str, name: &str, place: &str) -> Result<Option<Layer>> {
        if !name.split('/').all(text::is_plain_name) {
            return Err(settings(format!(
                "{place}: {section}: expected a mapping or the name of a preset, found {name:?}"
            )));
        }
        let found = self.read(section, name, &mut Vec::new())?;
        Ok(found.map(|(origin, text, values)| Layer {
            origin,
            text,
            section: Some(section.to_owned()),
            values: Tree::from_iter([(section.to_owned(), Value::Object(values))]),
        }))
    }

    /// Names of presets, kinds and networks that can stand for a section.
    pub fn names(&self, section: &str) -> BTreeSet<String> {
        let built_in = PRESETS.iter().filter(|(of, _, _)| *of == section).map(|(_, name, _)| (*name).to_owned());
        let mut names: BTreeSet<String> = built_in.collect();
        names.extend(kinds(section));
        if let Some(folder) = &self.folder {
            let entries = std::fs::read_dir(folder.join(section)).into_iter().flatten().flatten();
            let files =
                entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|it| it == "yaml"));
            names.extend(files.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())));
        }
        names
    }

    /// Origin, text and values of a preset; `below` are those that extend it.
    fn read(&self, section: &str, name: &str, below: &mut Vec<String>) -> Result<Option<Read>> {
        let file = self.folder.as_ref().map(|folder| folder.join(section).join(format!("{name}.yaml")));
        let (origin, text) = match file.filter(|file| file.is_file()) {
            Some(file) => (file.display().to_string(), yaml::read_file(&file)?.0),
            None => match PRESETS.iter().find(|(of, own, _)| *of == section && *own == name) {
                Some((_, _, text)) => (format!("preset {section}/{name}"), (*text).to_owned()),
                None => return Ok(known(section, name).map(|tree| (format!("preset {section}/{name}"), None, tree))),
            },
        };
        let mut values = yaml::parse(&text).with_context(|| format!("in {origin}"))?;
        let base = match values.remove("extends") {
            None => return Ok(Some((origin, Some(text), values))),
            Some(Value::String(base)) => base,
            Some(other) => {
                return Err(settings(format!("{origin}: extends: found {other}, expected the name of another preset")));
            }
        };
        below.push(name.to_owned());
        if below.contains(&base) {
            return Err(settings(format!("{origin}: extends: {base:?} extends this preset itself")));
        }
        let Some((_, _, mut whole)) = self.read(section, &base, below)? else {
            return Err(self.unknown(section, &base, &format!("{origin}: extends")));
        };
        overlay(&mut whole, values);
        Ok(Some((origin, Some(text), whole)))
    }
}

/// Origin, text and values.
type Read = (String, Option<String>, Tree);

/// Kinds and networks that have a name of their own in a section.
fn kinds(section: &str) -> Vec<String> {
    match section {
        "detector" => oodlab_detectors::kinds().into_iter().map(str::to_owned).collect(),
        "encoder" => oodlab_encoders::networks().into_iter().map(|network| network.name).collect(),
        _ => Vec::new(),
    }
}

/// The section of a detector's kind or a network with its defaults.
fn known(section: &str, name: &str) -> Option<Tree> {
    let key = if section == "encoder" { "network" } else { "kind" };
    kinds(section).iter().any(|kind| kind == name).then(|| Tree::from_iter([(key.to_owned(), json!(name))]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_that_the_program_carries_is_a_section() {
        for (section, name, _) in PRESETS {
            let layer = Presets::built_in().find(section, name, "here").expect("valid");
            assert!(layer.values[*section].is_object(), "{section}/{name}");
        }
        assert!(!PRESETS.is_empty());
    }

    #[test]
    fn a_file_comes_before_the_program_and_a_kind_after_both() {
        let folder = tempfile::tempdir().expect("a folder");
        let detectors = folder.path().join("experiments/presets/detector");
        std::fs::create_dir_all(&detectors).expect("a folder");
        std::fs::write(detectors.join("pca.yaml"), "kind: pca\nvariance: 0.25\n").expect("a file");
        std::fs::write(detectors.join("mine.yaml"), "extends: pca\nvariance: 0.5\n").expect("a file");
        std::fs::write(detectors.join("round.yaml"), "extends: about\n").expect("a file");
        std::fs::write(detectors.join("about.yaml"), "extends: round\n").expect("a file");
        std::fs::write(detectors.join("list.yaml"), "- 1\n").expect("a file");
        let presets = Presets::beside(&folder.path().join("experiments/deeper/x.yaml"));
        let variance =
            |name: &str| presets.find("detector", name, "here").expect("valid").values["detector"]["variance"].clone();
        assert_eq!((variance("pca"), variance("mine")), (json!(0.25), json!(0.5)));
        assert_eq!(presets.find("detector", "vae", "here").expect("a kind").values["detector"]["kind"], "vae");
        assert!(
            presets.find("detector", "round", "here").is_err() && presets.find("detector", "list", "here").is_err()
        );
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let told = |section: &str, name: &str| {
            Presets::built_in().find(section, name, "x.yaml:3").expect_err("unknown").to_string()
        };
        assert!(
            told("detector", "dslr").starts_with("x.yaml:3: detector: ") && told("detector", "dslr").contains("dlsr")
        );
        assert!(told("encoder", "efficientnet-b44").contains("did you mean \"efficientnet-b4\""));
        for bad in ["../x", "", "a b", "/etc/passwd", "${a}"] {
            assert!(told("detector", bad).contains("expected"), "{bad:?}");
        }
    }
}
