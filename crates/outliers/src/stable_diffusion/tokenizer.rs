//! CLIP's byte-pair encoding (`clip/simple_tokenizer.py`), for text of letters, digits and punctuation.

use std::collections::BTreeMap;
use std::path::Path;

use crate::OutlierError;

/// Marks the end of a word in the vocabulary.
const WORD_END: &str = "</w>";

/// Words into numbers of the vocabulary.
#[derive(Debug)]
pub(super) struct Tokenizer {
    vocabulary: BTreeMap<String, u32>,
    ranks: BTreeMap<(String, String), usize>,
    file: String,
    pub start: u32,
    pub end: u32,
}

impl Tokenizer {
    /// Reads `vocab.json` and `merges.txt` of a folder.
    pub fn load(folder: &Path) -> Result<Tokenizer, OutlierError> {
        let (file, text) = read(folder, "vocab.json")?;
        let vocabulary: BTreeMap<String, u32> = serde_json::from_str(&text).map_err(|error| {
            let problem = format!("expected an object of tokens and their numbers ({error})");
            OutlierError::File { file: file.clone(), problem }
        })?;
        let (merges_file, text) = read(folder, "merges.txt")?;
        let mut ranks = BTreeMap::new();
        // The first line names the version.
        for (number, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.is_empty()) {
            let Some((left, right)) = line.split_once(' ') else {
                let problem = format!("line {}: expected two symbols with a space between", number + 1);
                return Err(OutlierError::File { file: merges_file, problem });
            };
            ranks.insert((left.to_owned(), right.to_owned()), number);
        }
        let special = |name: &str| {
            let problem = || format!("token {name} is missing; give the tokenizer of CLIP");
            vocabulary.get(name).copied().ok_or_else(|| OutlierError::File { file: file.clone(), problem: problem() })
        };
        let (start, end) = (special("<|startoftext|>")?, special("<|endoftext|>")?);
        Ok(Tokenizer { vocabulary, ranks, file, start, end })
    }

    /// The tokens of a text, without start and end.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, OutlierError> {
        let mut tokens = Vec::new();
        for piece in pieces(&text.to_lowercase()) {
            for symbol in self.merged(&piece) {
                let problem = || format!("token {symbol:?} of {text:?} is missing; give the tokenizer of CLIP");
                let found = self.vocabulary.get(&symbol).copied();
                tokens.push(found.ok_or_else(|| OutlierError::File { file: self.file.clone(), problem: problem() })?);
            }
        }
        Ok(tokens)
    }

    /// The symbols of one piece, after all merges: always the pair of lowest rank, everywhere it stands.
    fn merged(&self, piece: &str) -> Vec<String> {
        let mut symbols: Vec<String> = piece.bytes().map(|byte| printable(byte).to_string()).collect();
        if let Some(last) = symbols.last_mut() {
            last.push_str(WORD_END);
        }
        loop {
            let rank = |pair: &[String]| self.ranks.get(&(pair[0].clone(), pair[1].clone())).copied();
            let Some((_, left, right)) = symbols
                .windows(2)
                .filter_map(|pair| Some((rank(pair)?, pair[0].clone(), pair[1].clone())))
                .min_by_key(|(rank, ..)| *rank)
            else {
                return symbols;
            };
            let mut joined = Vec::with_capacity(symbols.len());
            let mut rest = symbols.as_slice();
            while let Some((first, others)) = rest.split_first() {
                if *first == left && others.first() == Some(&right) {
                    joined.push(format!("{left}{right}"));
                    rest = &others[1..];
                } else {
                    joined.push(first.clone());
                    rest = others;
                }
            }
            symbols = joined;
        }
    }
}

fn read(folder: &Path, name: &str) -> Result<(String, String), OutlierError> {
    let path = folder.join(name);
    let file = path.display().to_string();
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok((file, text)),
        Err(error) => Err(OutlierError::File { problem: format!("could not be read ({error})"), file }),
    }
}

/// What a character is to the splitting: letters go together, digits stand alone, other signs go together.
#[derive(PartialEq, Clone, Copy)]
enum Kind {
    Letter,
    Digit,
    Space,
    Sign,
}

fn kind(character: char) -> Kind {
    match character {
        c if c.is_whitespace() => Kind::Space,
        c if c.is_alphabetic() => Kind::Letter,
        c if c.is_numeric() => Kind::Digit,
        _ => Kind::Sign,
    }
}

/// CLIP's pattern: `'s|'t|'re|'ve|'m|'ll|'d|letters|digit|signs`.
fn pieces(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let contraction = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"].into_iter().find(|end| rest.starts_with(end));
        let length = match (contraction, kind(first)) {
            (Some(end), _) => end.len(),
            (None, Kind::Digit) => first.len_utf8(),
            (None, group) => rest.find(|other| kind(other) != group).unwrap_or(rest.len()),
        };
        let (piece, others) = rest.split_at(length);
        if kind(first) != Kind::Space {
            found.push(piece.to_owned());
        }
        rest = others;
    }
    found
}

/// GPT-2's printable stand-in of a byte: itself where it is printable, else the next free character from 256 on.
fn printable(byte: u8) -> char {
    let shown = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if shown(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&other| !shown(other)).count() as u32;
    char::from_u32(256 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
}
