//! Where in a file a key stands.

/// The 1-based line of the deepest part of a path that the text holds as a key. Numbers are places in lists, and keys may hold dots.
///
/// YAML's own positions do not survive parsing, so the text is searched: each part of the path behind its parent's line.
pub fn line_of(text: &str, path: &[&str]) -> Option<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let (mut found, mut from, mut part) = (None, 0, 0);
    while part < path.len() {
        if let Ok(number) = path[part].parse::<usize>()
            && found.is_some()
        {
            // In a list on one line the items are not told apart.
            if let Some(line) = item_line(&lines, from, number) {
                (found, from) = (Some(line + 1), line);
            }
            part += 1;
            continue;
        }
        let longest_first = (part + 1..=path.len()).rev();
        let hit = longest_first.filter_map(|end| {
            let key = path[part..end].join(".");
            Some((end, (from..lines.len()).find(|&line| holds_key(lines[line], &key))?))
        });
        let Some((end, line)) = hit.min_by_key(|(end, line)| (*line, path.len() - end)) else { break };
        (found, from, part) = (Some(line + 1), line, end);
    }
    found
}

/// The line of an item of the list below a key's line, or of the list that begins on a dash line itself.
fn item_line(lines: &[&str], from: usize, number: usize) -> Option<usize> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let is_text = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let first = (from + 1..lines.len()).find(|&line| is_text(&lines[line]))?;
    if !lines[first].trim_start().starts_with('-') || indent(lines[first]) < indent(lines[from]) {
        return None;
    }
    let depth = indent(lines[first]);
    let inside = (first..lines.len()).take_while(|&line| {
        let text = lines[line];
        !is_text(&text) || indent(text) > depth || indent(text) == depth && text.trim_start().starts_with('-')
    });
    inside.filter(|&line| indent(lines[line]) == depth && is_text(&lines[line])).nth(number)
}

fn holds_key(line: &str, key: &str) -> bool {
    let code = line.split(" #").next().unwrap_or_default();
    if code.trim_start().starts_with('#') || key.is_empty() {
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

    #[test]
    fn items_of_lists_and_keys_with_dots_are_found() {
        let text = "sweep:\n  grid:\n    a.b: [1]\n    a.c: [2]\n  list:\n    # first\n    - {x.y: 1}\n    - x.y: 2\n      \
            zip:\n        z: [1]\n  drop: [{a: 1}, {b: 2}]\n";
        assert_eq!(line_of(text, &["sweep", "grid", "a", "c"]), Some(4));
        assert_eq!(line_of(text, &["sweep", "list", "1", "x", "y"]), Some(8));
        assert_eq!(line_of(text, &["sweep", "list", "1", "zip", "z"]), Some(10));
        assert_eq!(line_of(text, &["sweep", "list", "0"]), Some(7));
        assert_eq!(line_of(text, &["sweep", "drop", "1"]), Some(11));
    }
}
