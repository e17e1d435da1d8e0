//! Plain text as HTML: escaped texts, addresses, numbers.

use std::fmt::Write as _;

/// Between digits: as wide as one of them.
const FIGURE_SPACE: char = '\u{2007}';

/// A text as the content of an element, or of an attribute in quotes of either kind. Characters that HTML forbids become U+FFFD.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(character),
            _ if character.is_control() => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
    out
}

/// A relative address of these parts; each part stays one, whatever it is made of.
pub(super) fn address(parts: &[&str]) -> String {
    let mut out = String::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            out.push('/');
        }
        // A part of dots alone would climb.
        let dots = part.bytes().all(|byte| byte == b'.');
        for byte in part.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_+".contains(&byte) || (byte == b'.' && !dots) {
                out.push(char::from(byte));
            } else {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// An element's id made of any text, different for different texts.
pub(super) fn id(prefix: &str, text: &str) -> String {
    let mut out = format!("{prefix}-");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "_{byte:02x}");
        }
    }
    out
}

/// The id of the element that shows a run.
pub(crate) fn run_id(run: &str) -> String {
    id("run", run)
}

/// A fraction in percent with two decimals; `n/a` for what is no number.
pub(super) fn percent(value: f64) -> String {
    if value.is_nan() { "n/a".to_owned() } else { format!("{:.2}", 100.0 * value) }
}

/// [`percent`], as wide as `100.00`, so that decimals stand below one another.
pub(super) fn aligned(value: f64) -> String {
    let text = percent(value);
    let missing = 6usize.saturating_sub(text.chars().count());
    std::iter::repeat_n(FIGURE_SPACE, missing).chain(text.chars()).collect()
}

/// A difference of fractions in points with a sign; 0 has none.
pub(super) fn points(difference: f64) -> String {
    if difference.is_nan() {
        return "n/a".to_owned();
    }
    match format!("{:+.2}", 100.0 * difference).as_str() {
        "+0.00" | "-0.00" => "0.00".to_owned(),
        text => text.to_owned(),
    }
}

/// A duration as people say it: `0.4 s`, `74 s`, `12 min 5 s`, `3 h 20 min`.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        _ if seconds < 9.95 => format!("{seconds:.1} s"),
        0..100 => format!("{whole} s"),
        100..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// `1 run`, `2 runs`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The first digits of a hash, the whole of it for whoever points at them.
pub(super) fn hash(hash: &str) -> String {
    let short: String = hash.chars().take(12).collect();
    if short == hash {
        format!("<code>{}</code>", escape(hash))
    } else {
        format!("<code title=\"{}\">{}</code>", escape(hash), escape(&short))
    }
}

/// A detector's score as tables name it: once where both have the same name.
pub(super) fn label(detector: &str, score: &str) -> String {
    if detector == score || score.is_empty() { detector.to_owned() } else { format!("{detector} / {score}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_becomes_markup() {
        assert_eq!(
            escape("<a b=\"c\" d='e'>&amp;]]>\n\u{0}\u{7f}"),
            "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;amp;]]&gt;\n\u{fffd}\u{fffd}"
        );
        assert_eq!(address(&["runs", "../a b", "..", "x.json"]), "runs/..%2Fa%20b/%2E%2E/x.json");
        assert_eq!(address(&["javascript:alert(1)"]), "javascript%3Aalert%281%29");
        assert_eq!(id("run", "a b_c"), "run-a_20b_5fc");
    }

    #[test]
    fn numbers_are_as_wide_as_the_widest() {
        assert_eq!((percent(0.5), percent(f64::NAN)), ("50.00".to_owned(), "n/a".to_owned()));
        for value in [0.0, 0.5, 1.0, f64::NAN] {
            assert_eq!(aligned(value).chars().count(), 6);
        }
        assert_eq!(aligned(0.05), "\u{2007}\u{2007}5.00");
        let said = [0.04, 9.96, 99.4, 125.0, 12_000.0].map(duration);
        assert_eq!(said, ["0.0 s", "10 s", "99 s", "2 min 5 s", "3 h 20 min"]);
    }
}
