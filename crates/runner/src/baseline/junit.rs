//! JUnit XML, as build servers read it: a suite a baseline, a case a row and metric.
//!
//! Written by hand: there are four elements, and the one thing that can go wrong, escaping, is one function with a test.

use std::fmt::Write as _;

use super::compare::{Value, Verdict};
use super::report::{Checked, State};
use super::{Comparison, values};

/// The whole document. The time of a run is that of its first case, `the experiment`, so that sums over cases are right too.
pub fn junit(checked: &[Checked<'_>]) -> String {
    let suites: Vec<Suite> = checked.iter().map(Suite::of).collect();
    let sum = |count: fn(&Suite) -> usize| suites.iter().map(count).sum::<usize>();
    let (tests, failures, errors) = (sum(|suite| suite.tests), sum(|suite| suite.failures), sum(|suite| suite.errors));
    let seconds: f64 = checked.iter().map(|one| one.seconds).sum();
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let _ = writeln!(
        text,
        "<testsuites name=\"oodlab check\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{seconds:.3}\">"
    );
    for (suite, one) in suites.iter().zip(checked) {
        let _ = writeln!(
            text,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"0\" time=\"{:.3}\">",
            escaped(one.experiment),
            suite.tests,
            suite.failures,
            suite.errors,
            one.seconds
        );
        text += &suite.cases;
        text += "  </testsuite>\n";
    }
    text + "</testsuites>\n"
}

struct Suite {
    tests: usize,
    failures: usize,
    errors: usize,
    cases: String,
}

impl Suite {
    fn of(checked: &Checked<'_>) -> Suite {
        let mut suite = Suite { tests: 0, failures: 0, errors: 0, cases: String::new() };
        let class = class_of(checked.experiment);
        let error = match &checked.state {
            State::Failed(error) => {
                suite.errors += 1;
                format!("<error message=\"{}\" type=\"error\"/>", escaped(error))
            }
            _ => String::new(),
        };
        suite.case(&class, "the experiment", checked.seconds, &error);
        if let State::Compared(comparison) = &checked.state {
            suite.compared(&class, comparison);
        }
        suite
    }

    fn compared(&mut self, class: &str, comparison: &Comparison<'_>) {
        for difference in &comparison.differences {
            self.failures += 1;
            let failure = failure(&difference.to_string(), difference.kind());
            self.case(class, &format!("{}: {}", difference.subject(), difference.kind()), 0.0, &failure);
        }
        for value in &comparison.values {
            let row = comparison.row(value);
            let class = format!("{class}.{}.{}", class_of(row.protocol), class_of(row.group));
            let name = format!("{}: {}", row.within_group(), value.metric);
            let inside = match (value.fails, value.verdict) {
                (true, _) => {
                    self.failures += 1;
                    failure(&message(value), values::verdict(value))
                }
                (false, Verdict::Better) => format!("<system-out>{}</system-out>", escaped(&message(value))),
                (false, _) => String::new(),
            };
            self.case(&class, &name, 0.0, &inside);
        }
    }

    fn case(&mut self, class: &str, name: &str, seconds: f64, inside: &str) {
        self.tests += 1;
        let opened =
            format!("    <testcase classname=\"{}\" name=\"{}\" time=\"{seconds:.3}\"", escaped(class), escaped(name));
        self.cases += &match inside {
            "" => format!("{opened}/>\n"),
            inside => format!("{opened}>{inside}</testcase>\n"),
        };
    }
}

fn message(value: &Value) -> String {
    let (before, after) = values::percents(value);
    let (verdict, change, allowed) = (values::verdict(value), values::change(value), values::allowed(value));
    format!("{} {verdict}: {before} -> {after} % ({change} points, {allowed} allowed)", value.metric)
}

fn failure(message: &str, kind: &str) -> String {
    format!("<failure message=\"{0}\" type=\"{1}\">{0}</failure>", escaped(message), escaped(kind))
}

/// Dots separate packages: `dlsr/fig4` is `dlsr.fig4`, and a dot in a name none.
fn class_of(name: &str) -> String {
    name.replace('.', "_").replace('/', ".")
}

/// A text as an attribute's value or an element's content. Characters that XML has no way to write become U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            _ if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn nothing_of_a_text_is_markup() {
        assert_eq!(
            escaped("a<b & \"c\" 'd'\n\u{0}\u{8}>"),
            "a&lt;b &amp; &quot;c&quot; &apos;d&apos;&#10;\u{fffd}\u{fffd}&gt;"
        );
    }
}
