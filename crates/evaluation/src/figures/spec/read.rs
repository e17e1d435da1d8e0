//! Reading an entry of `figures:`: first `kind`, then the section of that kind, with errors that name the key.

use oodlab_base::text;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{FigureKind, FigureSpec, Selection};

/// Keys of every kind.
const COMMON: [&str; 4] = ["kind", "name", "title", "where"];
/// Most images of a set that a contact sheet shows at one end.
const MOST_IMAGES: usize = 12;
/// Most samples of a projection.
const MOST_SAMPLES: usize = 3000;

impl TryFrom<Map<String, Value>> for FigureSpec {
    type Error = String;

    fn try_from(mut section: Map<String, Value>) -> Result<FigureSpec, String> {
        let kinds = || FigureKind::NAMES.join(", ");
        let kind = match section.remove("kind") {
            Some(Value::String(kind)) => kind,
            None => return Err(format!("a figure without `kind`: expected one of {}", kinds())),
            Some(other) => return Err(format!("`kind` of a figure: expected one of {}, found {other}", kinds())),
        };
        let mut read = Section { kind: &kind, keys: section };
        let name = read.text("name")?;
        if let Some(name) = name.as_deref().filter(|name| !text::is_plain_name(name)) {
            return Err(format!("figure {kind}: `name`: expected {NAME}, found {name:?}"));
        }
        let title = read.text("title")?;
        let selection = match read.keys.remove("where") {
            None | Some(Value::Null) => Selection::default(),
            Some(section) => {
                parse::<Selection>(section, &[]).map_err(|error| format!("figure {kind}: `where`: {error}"))?
            }
        };
        let what = match kind.as_str() {
            "roc" => FigureKind::Roc(read.rest()?),
            "pr" => FigureKind::Pr(read.rest()?),
            "histogram" => FigureKind::Histogram(read.rest()?),
            "density" => FigureKind::Density(read.rest()?),
            "sweep" => FigureKind::Sweep(read.rest()?),
            "heatmap" => FigureKind::Heatmap(read.rest()?),
            "bars" => FigureKind::Bars(read.rest()?),
            "loss" => FigureKind::Loss(read.rest()?),
            "steps" => FigureKind::Steps(read.rest()?),
            "layers" => FigureKind::Layers(read.rest()?),
            "projection" => FigureKind::Projection(read.rest()?),
            "contact-sheet" => FigureKind::ContactSheet(read.rest()?),
            other => {
                let hint = text::hint(other, FigureKind::NAMES);
                return Err(format!("unknown kind of figure {other:?}{hint} (known: {})", kinds()));
            }
        };
        let spec = FigureSpec { name, title, selection, kind: what };
        spec.check()?;
        Ok(spec)
    }
}

const NAME: &str = "1 to 64 letters, digits, `-`, `_`, `.`, `+` and `=`";

impl FigureSpec {
    /// Whether its values are within their bounds; reading a section has made sure of it.
    ///
    /// # Errors
    /// Says which key holds what, and what was expected.
    pub fn check(&self) -> Result<(), String> {
        let kind = self.kind.name();
        let within = |key: &str, value: usize, low: usize, high: usize| {
            let error = || format!("figure {kind}: `{key}`: expected {low} to {high}, found {value}");
            (low..=high).contains(&value).then_some(()).ok_or_else(error)
        };
        let metrics = |metrics: &[_]| {
            let error = || format!("figure {kind}: `metrics`: expected at least one metric, found none");
            (!metrics.is_empty()).then_some(()).ok_or_else(error)
        };
        match &self.kind {
            FigureKind::ContactSheet(sheet) => {
                within("most", sheet.most, 0, MOST_IMAGES)?;
                within("least", sheet.least, 0, MOST_IMAGES)?;
                within("most + least", sheet.most + sheet.least, 1, 2 * MOST_IMAGES)
            }
            FigureKind::Projection(projection) => {
                within("samples", projection.samples, 3, MOST_SAMPLES)?;
                if projection.perplexity >= 2.0 && projection.perplexity.is_finite() {
                    return Ok(());
                }
                Err(format!("figure {kind}: `perplexity`: expected 2 or more, found {}", projection.perplexity))
            }
            FigureKind::Sweep(sweep) => metrics(&sweep.metrics),
            FigureKind::Heatmap(map) => {
                if map.x.is_some() && map.x == map.y {
                    return Err("figure heatmap: `x` and `y`: expected two swept keys, found one twice".to_owned());
                }
                metrics(&map.metrics)
            }
            FigureKind::Bars(bars) if bars.x == bars.series => {
                Err(format!("figure bars: `x` and `series`: expected two properties, found {} twice", bars.x))
            }
            FigureKind::Bars(bars) => metrics(&bars.metrics),
            _ => Ok(()),
        }
    }
}

struct Section<'a> {
    kind: &'a str,
    keys: Map<String, Value>,
}

impl Section<'_> {
    fn text(&mut self, key: &str) -> Result<Option<String>, String> {
        match self.keys.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("figure {}: `{key}`: expected a text, found {other}", self.kind)),
        }
    }

    /// The keys of the kind.
    fn rest<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        let section = Value::Object(std::mem::take(&mut self.keys));
        parse(section, &COMMON).map_err(|error| format!("figure {}: {error}", self.kind))
    }
}

/// Reads a section key by key, so that an error names its key; `others` are keys that are known as well.
fn parse<T: DeserializeOwned>(section: Value, others: &[&str]) -> Result<T, String> {
    serde_json::from_value::<T>(section.clone()).map_err(|error| {
        let message = error.to_string();
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        if let ([key, known @ ..], true) = (quoted.as_slice(), message.starts_with("unknown field")) {
            let known = || known.iter().chain(others).copied();
            let hint = text::hint(key, known());
            return format!("unknown key `{key}`{hint} (known: {})", known().collect::<Vec<_>>().join(", "));
        }
        // The first key that cannot be read by itself is the one meant.
        let Value::Object(keys) = section else { return message };
        let wrong = keys.into_iter().find_map(|(key, value)| {
            let alone = Value::Object([(key.clone(), value)].into_iter().collect());
            serde_json::from_value::<T>(alone).err().map(|error| format!("`{key}`: {error}"))
        });
        wrong.unwrap_or(message)
    })
}

impl From<FigureSpec> for Map<String, Value> {
    fn from(spec: FigureSpec) -> Map<String, Value> {
        let mut section = match &spec.kind {
            FigureKind::Roc(kind) => section(kind),
            FigureKind::Pr(kind) => section(kind),
            FigureKind::Histogram(kind) => section(kind),
            FigureKind::Density(kind) => section(kind),
            FigureKind::Sweep(kind) => section(kind),
            FigureKind::Heatmap(kind) => section(kind),
            FigureKind::Bars(kind) => section(kind),
            FigureKind::Loss(kind) => section(kind),
            FigureKind::Steps(kind) => section(kind),
            FigureKind::Layers(kind) => section(kind),
            FigureKind::Projection(kind) => section(kind),
            FigureKind::ContactSheet(kind) => section(kind),
        };
        // An empty list of values, which is all, is not written: it would not be read.
        section.retain(|_, value| !value.is_null() && *value != Value::Array(Vec::new()));
        section.insert("kind".to_owned(), spec.kind.name().into());
        section.extend(spec.name.map(|name| ("name".to_owned(), name.into())));
        section.extend(spec.title.map(|title| ("title".to_owned(), title.into())));
        if !spec.selection.is_all() {
            section.insert("where".to_owned(), Value::Object(self::section(&spec.selection)));
        }
        section
    }
}

/// A section of plain fields, which always is a map.
fn section(kind: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(kind) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
