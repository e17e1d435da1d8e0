//! Words that people mistype.

/// Of very long words only the beginning is compared.
const COMPARED: usize = 100;

/// The candidate with the fewest edits from `word`, if it is near enough to be what was meant; the first of equals.
///
/// ```
/// use oodlab_base::text::nearest;
/// assert_eq!(nearest("strat", ["start", "stride", "eta"]), Some("start"));
/// assert_eq!(nearest("zzzzzz", ["start", "stride"]), None);
/// ```
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(word.len()) / 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean "start"?`, or nothing when no candidate is near.
pub fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default()
}

/// Edits (insert, delete, replace, swap of neighbours) that turn one word into the other.
fn distance(a: &str, b: &str) -> usize {
    let characters = |word: &str| word.chars().take(COMPARED).collect::<Vec<char>>();
    let (a, b) = (characters(a), characters(b));
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

/// Bytes that a plain name has at most.
pub const LONGEST_NAME: usize = 64;

/// Whether a name can be part of a file's name and of a table's cell: 1 to 64 letters, digits, `-`, `_`, `.`, `+` and `=`, not beginning
/// with a full stop.
#[must_use]
pub fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+=".contains(c);
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(plain) && !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("same", "same")), (3, 3, 0));
        assert_eq!(distance("strat", "start"), 1);
    }

    #[test]
    fn the_nearest_word_is_named_and_a_far_one_is_not() {
        assert_eq!(nearest("protocol", ["benchmark", "protocols"]), Some("protocols"));
        assert_eq!(nearest("x", []), None);
        assert_eq!(hint("epoch", ["epochs"]), "; did you mean \"epochs\"?");
        assert_eq!(hint("epoch", ["width"]), "");
    }
}
