//! Content keys: the name of a result is the hash of everything that it depends on.

use std::fmt;

/// The 256-bit BLAKE3 key of an artifact, a list of images or a file. Shown as lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of plain bytes.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Key {
        Key(*blake3::hash(bytes).as_bytes())
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// All 64 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    /// The first 12 digits: for people and table columns.
    #[must_use]
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.short())
    }
}

impl serde::Serialize for Key {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.hex())
    }
}

/// Builds a [`Key`] from named fields. Every name and value is length-prefixed, so no two different lists collide.
///
/// ```
/// use oodlab_base::KeyBuilder;
/// let key = |width: u64| KeyBuilder::new("fit", 1).number("width", width).text("variant", "paper").finish();
/// assert_eq!(key(8), key(8));
/// assert_ne!(key(8), key(9));
/// ```
pub struct KeyBuilder(blake3::Hasher);

impl KeyBuilder {
    /// A key of one kind of stage. Raise `revision` by hand when the stage's results change.
    #[must_use]
    pub fn new(stage: &str, revision: u32) -> KeyBuilder {
        KeyBuilder(blake3::Hasher::new()).text("stage", stage).number("revision", u64::from(revision))
    }

    /// Adds a text field.
    #[must_use]
    pub fn text(self, name: &str, value: &str) -> KeyBuilder {
        self.bytes(name, value.as_bytes())
    }

    /// Adds a whole number.
    #[must_use]
    pub fn number(self, name: &str, value: u64) -> KeyBuilder {
        self.bytes(name, &value.to_le_bytes())
    }

    /// Adds another key: an input of this stage.
    #[must_use]
    pub fn key(self, name: &str, value: &Key) -> KeyBuilder {
        self.bytes(name, &value.0)
    }

    /// Adds a configuration by its canonical JSON: objects are sorted by key, floats printed shortest.
    ///
    /// # Errors
    /// When the value cannot be written as JSON (a map whose keys are not strings).
    pub fn config<T: serde::Serialize>(self, name: &str, value: &T) -> Result<KeyBuilder, serde_json::Error> {
        let json = serde_json::to_value(value)?.to_string();
        Ok(self.text(name, &json))
    }

    /// Adds raw bytes.
    #[must_use]
    pub fn bytes(mut self, name: &str, value: &[u8]) -> KeyBuilder {
        for part in [name.as_bytes(), value] {
            self.0.update(&(part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    /// The key of all fields so far.
    #[must_use]
    pub fn finish(&self) -> Key {
        Key(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_cannot_run_into_each_other() {
        let a = KeyBuilder::new("s", 0).text("a", "bc").text("d", "").finish();
        let b = KeyBuilder::new("s", 0).text("ab", "c").text("", "d").finish();
        assert_ne!(a, b);
    }

    #[test]
    fn the_order_of_a_maps_entries_does_not_matter() {
        let key = |text: &str| {
            let value: serde_json::Value = serde_json::from_str(text).expect("valid JSON");
            KeyBuilder::new("s", 0).config("c", &value).expect("a JSON value").finish()
        };
        assert_eq!(key(r#"{"a":1,"b":2}"#), key(r#"{"b":2,"a":1}"#));
    }

    #[test]
    fn hexadecimal_is_complete_and_short_is_its_beginning() {
        let key = Key::of_bytes(b"");
        assert_eq!(key.hex(), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
        assert!(key.hex().starts_with(&key.short()));
    }
}
