//! Checksums of single images, in a file beside the manifest (`sums: textures.sha256`).
//!
//! Lines as `sha256sum` writes them: hexadecimal digits, blanks, path inside the data set. The digits may be cut to the first
//! 16 or more, which keeps long lists small; lines that begin with `#` are comments. Files that are not listed are nobody's
//! to judge.

use std::collections::BTreeMap;

use crate::error::DatasetError;
use crate::manifest::is_inside;

/// A sum shorter than this could be met by chance, or by intent.
const FEWEST_DIGITS: usize = 16;

/// Path inside the data set to the first digits of its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sums {
    /// The file's name, for messages.
    pub file: String,
    digits: BTreeMap<String, String>,
}

impl Sums {
    /// Parses the text of a file of sums. `place` names it in errors.
    pub fn parse(place: &str, text: &str) -> Result<Sums, DatasetError> {
        let mut digits = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let fail = |what: &str| DatasetError::manifest(format!("{place} line {}", number + 1), what);
            let (sum, path) = line.split_once(' ').ok_or_else(|| fail("expected a SHA-256, two blanks and a path"))?;
            let lower_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
            if !(FEWEST_DIGITS..=64).contains(&sum.len()) || !sum.bytes().all(lower_hex) {
                return Err(fail(&format!("expected 16 to 64 lower-case hexadecimal digits, found {sum:?}")));
            }
            // The second blank is a star where the file was read as binary.
            let path = path.strip_prefix([' ', '*']).unwrap_or(path);
            let path = path.strip_prefix("./").unwrap_or(path);
            if !is_inside(path) {
                return Err(fail(&format!("path {path:?} must be relative, without '..'")));
            }
            if digits.insert(path.to_owned(), sum.to_owned()).is_some() {
                return Err(fail(&format!("path {path:?} appears twice")));
            }
        }
        if digits.is_empty() {
            return Err(DatasetError::manifest(place, "expected checksums, found none"));
        }
        let file = place.rsplit(['/', '\\']).next().unwrap_or(place).to_owned();
        Ok(Sums { file, digits })
    }

    /// Whether a path is listed.
    pub fn lists(&self, path: &str) -> bool {
        self.digits.contains_key(path)
    }

    /// The expected digits, when a path is listed and this is not its SHA-256.
    pub fn refuse(&self, path: &str, sha256: &str) -> Option<&str> {
        self.digits.get(path).map(String::as_str).filter(|digits| !sha256.starts_with(digits))
    }

    /// The listed paths in byte order.
    #[cfg(test)]
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.digits.keys().map(String::as_str)
    }
}

/// The digits of a SHA-256 that an expected sum can be compared with.
pub(crate) fn as_many<'a>(sha256: &'a str, expected: &str) -> &'a str {
    sha256.get(..expected.len()).unwrap_or(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::Library;

    const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn lines_of_sha256sum_are_read() {
        let text =
            format!("# empty files\n{NOTHING}  a/b c.png\n{NOTHING} *./d.png\r\n\n{}  short.png\n", &NOTHING[..16]);
        let sums = Sums::parse("folder/x.sha256", &text).expect("valid");
        assert_eq!(sums.paths().collect::<Vec<_>>(), ["a/b c.png", "d.png", "short.png"]);
        assert_eq!(sums.file, "x.sha256");
        for path in ["a/b c.png", "d.png", "short.png"] {
            assert!(sums.lists(path) && sums.refuse(path, NOTHING).is_none(), "{path}");
        }
        let other = NOTHING.replace("e3b0", "e3b1");
        assert_eq!(sums.refuse("d.png", &other), Some(NOTHING));
        assert_eq!(sums.refuse("short.png", &other), Some(&NOTHING[..16]));
        assert_eq!(as_many(&other, &NOTHING[..16]), &other[..16]);
        assert!(!sums.lists("e.png") && sums.refuse("e.png", &other).is_none());
    }

    #[test]
    fn mistakes_are_named_with_the_line() {
        for (text, part) in [
            (format!("{NOTHING}  ../x"), "line 1: path"),
            (format!("{NOTHING}  a\n{NOTHING}  a"), "line 2: path \"a\" appears twice"),
            (format!("{}  a", NOTHING.to_uppercase()), "lower-case"),
            ("e3b0c44298fc1c1  a".into(), "16 to 64"),
            (format!("{NOTHING}0  a"), "16 to 64"),
            (NOTHING.into(), "two blanks and a path"),
            ("# nothing\n".into(), "found none"),
        ] {
            let message = Sums::parse("x.sha256", &text).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(message.starts_with("x.sha256") && message.contains(part), "{text}: {message:?}");
        }
    }

    /// A listed path that no import ever makes would be compared with nothing.
    #[test]
    fn built_in_sums_name_images_of_their_sets() {
        let library = Library::open("no-such-root".as_ref()).expect("built-in manifests are valid");
        for (name, count, folder) in [("textures", 300, "images"), ("tiny-imagenet", 3000, "test/images")] {
            let manifest = library.manifest(name).expect("known");
            let sums = library.sums(name).expect("the manifest names them");
            assert_eq!(sums.paths().count(), count, "{name}");
            assert!(manifest.splits.values().any(|split| split.folders.first().is_some_and(|first| first == folder)));
            for path in sums.paths() {
                let rest = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
                let class = rest.split_once('/').map(|(class, _)| class.to_owned());
                assert_eq!(class.is_some(), !manifest.class_names.is_empty(), "{path}");
                assert!(class.is_none_or(|class| manifest.class_names.contains(&class)), "{path}");
                assert!(crate::decode::zip::is_image_name(path), "{path}");
            }
        }
    }
}
