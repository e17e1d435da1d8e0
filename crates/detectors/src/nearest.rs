//! The known word that is written most like an unknown one.

/// The candidate with the fewest single-character changes from `word`; the first of equals; empty when there is none.
#[must_use]
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> &'a str {
    known.iter().min_by_key(|candidate| distance(word, candidate)).copied().unwrap_or("")
}

/// Levenshtein distance; of a very long word only the beginning counts.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(100).collect(), b.chars().take(100).collect());
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = previous[0];
        previous[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = previous[j + 1];
            previous[j + 1] = changed.min(diagonal + 1).min(previous[j] + 1);
        }
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn the_least_change_wins() {
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("same", "same")), (3, 3, 0));
        assert_eq!(nearest("epoch", &["batch_size", "epochs", "blocks"]), "epochs");
        assert_eq!(nearest("x", &[]), "");
    }
}
