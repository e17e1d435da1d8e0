//! References inside of values: `${a.b}`, `${env:NAME}`, `${env:NAME,default}`; `$${` is a plain `${`.

use anyhow::Result;
use oodlab_base::text;
use serde_json::Value;

use super::tree::{self, Tree};
use super::yaml;
use crate::failure::at;

/// More references than any file has: a file that multiplies itself is stopped here.
const MOST_REFERENCES: usize = 100_000;
/// What a resolved text may have at most, in bytes.
const LONGEST_TEXT: usize = 1 << 20;

/// Whether any text of a value holds a reference.
pub fn is_needed(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${"),
        Value::Array(items) => items.iter().any(is_needed),
        Value::Object(map) => map.values().any(is_needed),
        _ => false,
    }
}

/// Puts in place of every reference what it refers to. A value that is one reference keeps the type of what it refers to.
///
/// # Errors
/// When a reference is not closed, refers to itself, or to what is not set.
pub fn resolve(tree: &Tree, variables: &dyn Fn(&str) -> Option<String>) -> Result<Tree> {
    let mut reader = Reader { tree, variables, open: Vec::new(), count: 0 };
    let mut resolved = Tree::new();
    for (key, value) in tree {
        resolved.insert(key.clone(), reader.value(value, key)?);
    }
    Ok(resolved)
}

struct Reader<'a> {
    tree: &'a Tree,
    variables: &'a dyn Fn(&str) -> Option<String>,
    /// Keys that are being resolved: a reference to one of them would never end.
    open: Vec<String>,
    count: usize,
}

impl Reader<'_> {
    fn value(&mut self, value: &Value, place: &str) -> Result<Value> {
        if !is_needed(value) {
            return Ok(value.clone());
        }
        Ok(match value {
            Value::String(text) => self.text(text, place)?,
            Value::Array(items) => {
                let items =
                    items.iter().enumerate().map(|(number, item)| self.value(item, &format!("{place}.{number}")));
                Value::Array(items.collect::<Result<_>>()?)
            }
            Value::Object(map) => {
                let items =
                    map.iter().map(|(key, item)| Ok((key.clone(), self.value(item, &format!("{place}.{key}"))?)));
                Value::Object(items.collect::<Result<_>>()?)
            }
            other => other.clone(),
        })
    }

    fn text(&mut self, text: &str, place: &str) -> Result<Value> {
        let mut made = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            if rest[..start].ends_with('$') {
                made.push_str(&rest[..start - 1]);
                made.push_str("${");
                rest = &rest[start + 2..];
                continue;
            }
            let inner = &rest[start + 2..];
            let end =
                closing(inner).ok_or_else(|| at(place, &format!("the reference in {text:?} is not closed by }}")))?;
            let found = self.reference(&inner[..end], place)?;
            if start == 0 && end + 1 == inner.len() && made.is_empty() {
                return Ok(found);
            }
            made.push_str(&rest[..start]);
            match found {
                Value::String(text) => made.push_str(&text),
                other => made.push_str(&other.to_string()),
            }
            if made.len() > LONGEST_TEXT {
                return Err(at(place, "the references make a text of more than a million characters"));
            }
            rest = &inner[end + 1..];
        }
        made.push_str(rest);
        Ok(Value::String(made))
    }

    fn reference(&mut self, inner: &str, place: &str) -> Result<Value> {
        self.count += 1;
        if self.count > MOST_REFERENCES {
            return Err(at(place, &format!("more than {MOST_REFERENCES} references")));
        }
        // A reference may hold others: ${limit.${env:WHICH}}.
        let inner = match is_needed(&Value::String(inner.to_owned())) {
            false => inner.to_owned(),
            true => match self.text(inner, place)? {
                Value::String(text) => text,
                other => other.to_string(),
            },
        };
        let inner = inner.trim();
        for prefix in ["env:", "oc.env:"] {
            if let Some(name) = inner.strip_prefix(prefix) {
                return self.variable(name, place);
            }
        }
        // `layers[0]` is another way to write `layers.0`.
        let key = inner.replace('[', ".").replace(']', "");
        if key.is_empty() || key.split('.').any(|part| part.trim().is_empty()) || key.contains(':') {
            let expected = "expected a key as in ${detector.network.width}, or ${env:NAME}";
            return Err(at(place, &format!("${{{inner}}}: {expected}")));
        }
        let Some(found) = tree::get(self.tree, &key) else {
            let mut known = Vec::new();
            all_keys(self.tree, "", &mut known);
            let hint = text::hint(&key, known.iter().map(String::as_str));
            return Err(at(place, &format!("${{{inner}}}: {key} is not set{hint}")));
        };
        if self.open.contains(&key) || place == key {
            let chain = self.open.iter().map(|open| format!("{open} -> ")).collect::<String>();
            return Err(at(place, &format!("${{{inner}}} refers to itself: {chain}{key}")));
        }
        self.open.push(key.clone());
        let resolved = self.value(found, &key)?;
        self.open.pop();
        Ok(resolved)
    }

    /// A variable is read as YAML, as those that override settings are.
    fn variable(&self, inner: &str, place: &str) -> Result<Value> {
        let (name, default) = match inner.split_once(',') {
            Some((name, default)) => (name.trim(), Some(default.trim())),
            None => (inner.trim(), None),
        };
        let text = match ((self.variables)(name), default) {
            (Some(text), _) => text,
            (None, Some(default)) => default.to_owned(),
            (None, None) => {
                let hint = format!("set it, or write ${{env:{name},default}}");
                return Err(at(
                    place,
                    &format!("${{env:{name}}}: there is no such variable in the environment; {hint}"),
                ));
            }
        };
        yaml::parse_value(&text).map_err(|error| at(place, &format!("${{env:{name}}}: {error}")))
    }
}

/// Where the brace stands that closes a reference, whose inside may hold others.
fn closing(inner: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, sign) in inner.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn all_keys(tree: &Tree, prefix: &str, keys: &mut Vec<String>) {
    for (key, value) in tree {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        if let Value::Object(inner) = value {
            all_keys(inner, &key, keys);
        }
        keys.push(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> Result<Tree> {
        let variables = |name: &str| (name == "WIDTH").then(|| "64".to_owned());
        resolve(&yaml::parse(text).expect(text), &variables)
    }

    #[test]
    fn references_keep_types_or_are_put_into_text() {
        let text =
            "a: {b: 3, c: [1, {d: x}]}\ne: ${a.b}\nf: n=${a.b} of ${a.c.1.d}\ng: ${a}\nh: ${e}\ni: $${a.b} ${a.c[0]}";
        let found = resolved(text).expect("valid");
        assert_eq!((&found["e"], &found["h"]), (&Value::from(3), &Value::from(3)));
        assert_eq!((&found["f"], &found["i"]), (&Value::from("n=3 of x"), &Value::from("${a.b} 1")));
        assert_eq!(found["g"], found["a"]);
    }

    #[test]
    fn variables_are_read_as_yaml_and_may_have_a_default() {
        let text =
            "a: ${env:WIDTH}\nb: w${oc.env:WIDTH}\nc: '${env:NONE,[1, 2]}'\nd: '${env:NONE, ${a}}'\ne: {64: x}\n";
        let found = resolved(&text.replace("e: {64: x}", "e: {'64': x}\nf: '${e.${a}}'")).expect("valid");
        assert_eq!((&found["a"], &found["b"]), (&Value::from(64), &Value::from("w64")));
        assert_eq!((&found["c"], &found["d"]), (&Value::from(vec![1, 2]), &Value::from(64)));
        assert_eq!(found["f"], "x");
    }

    #[test]
    fn what_cannot_be_resolved_is_refused_with_its_place() {
        for (text, told) in [
            ("a: ${a}", "refers to itself"),
            ("a: ${b}\nb: ${c}\nc: ${a}", "refers to itself"),
            ("a: {b: '${a}'}", "refers to itself"),
            ("a: ${b.c}\nb: {d: 1}", "b.c is not set"),
            ("width: 3\na: ${widht}", "did you mean \"width\""),
            ("a: ${b", "not closed"),
            ("a: ${}", "expected a key"),
            ("a: ${.b}", "expected a key"),
            ("a: ${now:%Y}", "expected a key"),
            ("a: ${env:NONE}", "no such variable"),
        ] {
            let error = resolved(text).expect_err(text).to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn a_file_that_multiplies_itself_is_stopped() {
        let mut text = "a0: xxxxxxxxxxxxxxxx\n".to_owned();
        for n in 1..40 {
            text.push_str(&format!("a{n}: ${{a{0}}}${{a{0}}}\n", n - 1));
        }
        assert!(resolved(&text).is_err());
    }
}
