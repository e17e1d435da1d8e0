//! Where in a file a key stands.

/// The 1-based line of the deepest part of a dotted path that the text holds as a key.
///
/// YAML's own positions do not survive parsing, so the text is searched: each part of the path behind its parent's line.
pub fn line_of(text: &str, path: &[&str]) -> Option<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = None;
    let mut from = 0;
    for part in path {
        let Some(at) = (from..lines.len()).find(|&at| holds_key(lines[at], part)) else { break };
        found = Some(at + 1);
        from = at;
    }
    found
}

fn holds_key(line: &str, key: &str) -> bool {
    let code = line.split(" #").next().unwrap_or_default();
    if code.trim_start().starts_with('#') {
        return false;
    }
    code.match_indices(key).any(|(at, _)| {
        let before = code[..at].trim_end_matches(['"', '\'']).chars().next_back();
        let after = code[at + key.len()..].trim_start_matches(['"', '\'']).trim_start();
        before.is_none_or(|c| c.is_whitespace() || c == '{' || c == ',' || c == '-') && after.starts_with(':')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_behind_their_parents() {
        let text =
            "# sample: no\nfeatures: {layers: [1]}\ndetector:\n  sample: {start: 3, strat: 4}\n  \"kind\": dlsr\n";
        assert_eq!(line_of(text, &["detector", "sample", "strat"]), Some(4));
        assert_eq!(line_of(text, &["detector", "kind"]), Some(5));
        assert_eq!(line_of(text, &["features", "layers"]), Some(2));
        assert_eq!(line_of(text, &["detector", "absent"]), Some(3));
        assert_eq!(line_of(text, &["absent"]), None);
    }
}
