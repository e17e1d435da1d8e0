//! Checksums in lower-case hexadecimal.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A hash of 32 bytes, written as 64 lower-case hexadecimal digits. An index of a million files holds two million of them:
/// as bytes they take a quarter of the memory that text takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The BLAKE3 of bytes.
    #[must_use]
    pub fn blake3(bytes: &[u8]) -> Digest {
        Digest(*::blake3::hash(bytes).as_bytes())
    }

    /// The BLAKE3 of everything that a stream gives.
    pub(crate) fn blake3_of(mut stream: impl std::io::Read) -> std::io::Result<Digest> {
        let mut hasher = ::blake3::Hasher::new();
        let mut block = vec![0; 1 << 20];
        loop {
            match stream.read(&mut block)? {
                0 => return Ok(Digest(*hasher.finalize().as_bytes())),
                count => hasher.update(&block[..count]),
            };
        }
    }

    /// The SHA-256 of bytes.
    #[must_use]
    pub fn sha256(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// Reads 64 lower-case hexadecimal digits.
    fn parse(text: &str) -> Option<Digest> {
        let mut bytes = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return None;
        }
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = value(high)? << 4 | value(low)?;
        }
        Some(Digest(bytes))
    }
}

/// BLAKE3 and SHA-256 of bytes that come in pieces.
#[derive(Default)]
pub(crate) struct Hasher {
    blake3: ::blake3::Hasher,
    sha256: Sha256,
}

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        self.blake3.update(bytes);
        self.sha256.update(bytes);
    }

    /// BLAKE3, SHA-256.
    pub fn finish(self) -> (Digest, Digest) {
        (Digest(*self.blake3.finalize().as_bytes()), Digest(self.sha256.finalize().into()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Digest::parse(&text)
            .ok_or_else(|| D::Error::custom(format!("expected 64 lower-case hexadecimal digits, found {text:?}")))
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn digests_are_read_as_they_are_written() {
        let digest = Digest::sha256(b"x");
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        let text = digest.to_string();
        for wrong in [&text[1..], &text.to_uppercase(), &format!("{text}0"), &text.replace(&text[..1], "g"), ""] {
            assert_eq!(Digest::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn published_digests_of_nothing() {
        assert_eq!(Digest::sha256(b"").to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(Digest::blake3(b"").to_string(), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
    }
}
