//! The published checksum of a file.

use std::fmt;

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::FetchError;

/// Fewest digits of a SHA-256 that are compared: what torch's hub puts into file names.
const FEWEST_DIGITS: usize = 8;

/// What a file's bytes must hash to, in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-256: all 64 digits, or as many of the first as are published (at least 8). Few digits guard against damage and
    /// mix-ups, not against somebody who forges a file.
    Sha256(String),
    /// MD5, all 32 digits: against damage and mix-ups only.
    Md5(String),
    /// None was published: any bytes of the right size are taken, but not a web page, nor what is announced as one. Whoever
    /// asks should say so. Parts are put together only where the server says that they are of one state of the file.
    Unpublished,
}

impl Checksum {
    /// Whether it has the right digits.
    pub(crate) fn check(&self, label: &str) -> Result<(), FetchError> {
        let (digits, lengths) = match self {
            Checksum::Sha256(digits) => (digits, FEWEST_DIGITS..=64),
            Checksum::Md5(digits) => (digits, 32..=32),
            Checksum::Unpublished => return Ok(()),
        };
        let hexadecimal = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hexadecimal && lengths.contains(&digits.len()) {
            return Ok(());
        }
        Err(FetchError::BadChecksum { label: label.to_owned(), checksum: self.to_string() })
    }

    /// Whether a file with these hashes is the one.
    pub(crate) fn matches(&self, hashes: &Hashes) -> bool {
        match self {
            Checksum::Sha256(digits) => hashes.sha256.starts_with(digits),
            Checksum::Md5(digits) => hashes.md5.as_ref() == Some(digits),
            Checksum::Unpublished => true,
        }
    }

    /// The file's hash of this kind, for messages.
    pub(crate) fn found<'a>(&self, hashes: &'a Hashes) -> &'a str {
        match self {
            Checksum::Sha256(_) | Checksum::Unpublished => &hashes.sha256,
            Checksum::Md5(_) => hashes.md5.as_deref().unwrap_or_default(),
        }
    }

    /// Digits for the name of a partial file: other content gets another name.
    pub(crate) fn short(&self) -> &str {
        match self {
            Checksum::Sha256(digits) | Checksum::Md5(digits) => digits.get(..FEWEST_DIGITS).unwrap_or(digits),
            Checksum::Unpublished => "unproven",
        }
    }

    /// Whether bytes can be proven to be the right ones.
    pub(crate) fn proves(&self) -> bool {
        !matches!(self, Checksum::Unpublished)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Checksum::Sha256(digits) if digits.len() < 64 => write!(f, "SHA-256 {digits}.."),
            Checksum::Sha256(digits) => write!(f, "SHA-256 {digits}"),
            Checksum::Md5(digits) => write!(f, "MD5 {digits}"),
            Checksum::Unpublished => f.write_str("no published checksum"),
        }
    }
}

/// What bytes hash to.
#[derive(Debug, Clone)]
pub(crate) struct Hashes {
    pub(crate) sha256: String,
    pub(crate) md5: Option<String>,
}

/// Hashes bytes piece by piece: always SHA-256 (for records), and MD5 where that is what was published.
#[derive(Clone)]
pub(crate) struct Hasher {
    sha256: Sha256,
    md5: Option<Md5>,
}

impl Hasher {
    /// For files with this checksum.
    pub(crate) fn new(checksum: &Checksum) -> Hasher {
        let md5 = matches!(checksum, Checksum::Md5(_)).then(Md5::new);
        Hasher { sha256: Sha256::new(), md5 }
    }

    /// Adds bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
    }

    pub(crate) fn finish(self) -> Hashes {
        Hashes { sha256: hexadecimal(&self.sha256.finalize()), md5: self.md5.map(|md5| hexadecimal(&md5.finalize())) }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_standards_and_prefixes_match() {
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let md5 = "900150983cd24fb0d6963f7d28e17f72";
        for (checksum, right) in [
            (Checksum::Sha256(sha256.to_owned()), true),
            (Checksum::Sha256(sha256[..8].to_owned()), true),
            (Checksum::Sha256(format!("{}e", &sha256[..63])), false),
            (Checksum::Md5(md5.to_owned()), true),
            (Checksum::Md5(md5.replace('9', "8")), false),
        ] {
            assert!(checksum.check("file").is_ok(), "{checksum}");
            let mut hasher = Hasher::new(&checksum);
            hasher.update(b"a");
            hasher.update(b"bc");
            let hashes = hasher.finish();
            assert_eq!(checksum.matches(&hashes), right, "{checksum}");
            assert_eq!(hashes.sha256, sha256);
        }
    }

    #[test]
    fn what_is_no_checksum_is_refused() {
        for digits in ["", "1234567", "1234567G", "ABCDEF01", &"0".repeat(65)] {
            let error = Checksum::Sha256(digits.to_owned()).check("file").expect_err("no checksum");
            assert!(error.to_string().contains("file"), "{error}");
        }
        assert!(Checksum::Md5("900150983cd24fb0".to_owned()).check("file").is_err());
    }
}
