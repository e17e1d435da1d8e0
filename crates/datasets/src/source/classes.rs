//! Labels as files state them, checked against the classes of the set.

use std::collections::BTreeMap;

use crate::manifest::Manifest;

/// The classes that a manifest names or counts.
pub(super) struct Classes<'a> {
    names: BTreeMap<&'a str, u32>,
    count: Option<u32>,
}

impl<'a> Classes<'a> {
    pub fn new(manifest: &'a Manifest) -> Classes<'a> {
        let names = manifest.class_names.iter().map(String::as_str).zip(0..).collect();
        Classes { names, count: manifest.class_count() }
    }

    /// The label that a text stands for: the name of a class, else a number.
    pub fn of_text(&self, text: &str) -> Result<Option<u32>, String> {
        match (self.names.get(text), text.parse::<i64>()) {
            (Some(&label), _) => self.below_count(label, text).map(Some),
            (None, Ok(number)) => self.of_number(number),
            (None, Err(_)) => Err(format!("label {text:?} is neither a number nor the name of a class")),
        }
    }

    /// The label that a number stands for: a negative one means none.
    pub fn of_number(&self, number: i64) -> Result<Option<u32>, String> {
        if number < 0 {
            return Ok(None);
        }
        let label = u32::try_from(number).map_err(|_| format!("label {number} is too large"))?;
        self.below_count(label, &number.to_string()).map(Some)
    }

    fn below_count(&self, label: u32, text: &str) -> Result<u32, String> {
        match self.count {
            Some(count) if label >= count => Err(format!("label {text} is not below the number of classes, {count}")),
            _ => Ok(label),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_before_numbers_and_both_stay_below_the_number_of_classes() {
        let text = "{name: x, title: x, licence: x, citation: x, format: {kind: image-folder, classes: none}, \
                    splits: {test: {folders: [.]}}, class_names: [cat, '7', '-1']}";
        let manifest = Manifest::parse("x.yaml", text).expect("a manifest");
        let classes = Classes::new(&manifest);
        for (text, expected) in [("cat", Some(0)), ("7", Some(1)), ("-1", Some(2)), ("2", Some(2)), ("-2", None)] {
            assert_eq!(classes.of_text(text), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("3", "label 3 is not below the number of classes, 3"),
            ("4294967296", "label 4294967296 is too large"),
            ("Cat", "label \"Cat\" is neither a number nor the name of a class"),
            ("", "label \"\" is neither"),
        ] {
            assert!(classes.of_text(text).is_err_and(|what| what.contains(expected)), "{text}");
        }
        assert_eq!((classes.of_number(1), classes.of_number(i64::MIN)), (Ok(Some(1)), Ok(None)));
    }
}
