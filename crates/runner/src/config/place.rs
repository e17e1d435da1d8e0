//! Where in a file a key stands, and which known key a wrong one is nearest to.

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

/// The candidate with the smallest edit distance, if it is near enough to be what was meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(word.len()) / 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap of neighbours) that turn one word into the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
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

    #[test]
    fn the_nearest_word_is_named_and_a_far_one_is_not() {
        assert_eq!(nearest("strat", ["start", "stride", "eta"]), Some("start"));
        assert_eq!(nearest("protocol", ["protocols", "benchmark"]), Some("protocols"));
        assert_eq!(nearest("zzzzzz", ["start", "stride"]), None);
    }
}
