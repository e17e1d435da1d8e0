//! Whether the best score of the experiment's detector beats the best simple control, and whether that is more than chance.

use crate::metrics::{Comparison, Metric};
use crate::table::MEAN_PREFIX;

use super::comparisons::LEVEL;
use super::standing::{Group, Standing};
use super::text::{count, escape, points};

/// What the tests of a pair say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chance {
    /// More than chance, in every run.
    Excluded,
    /// Not in every run.
    Possible,
    /// There is no test of this pair.
    Untested,
}

/// One or two sentences as HTML; empty where there is nothing to compare.
pub(super) fn verdict(group: &Group<'_>, comparisons: &[Comparison]) -> String {
    let (Some(own), Some(control)) = (group.own(), group.control()) else { return String::new() };
    let tests = tests(group, own, control, comparisons);
    let (chance, tested) = outcome(&tests);
    let difference = own.auroc() - control.auroc();
    let (own_name, control_name) = (escape(&own.name()), escape(&control.name()));
    let distance = points(difference.abs());
    let candidates = group.standings.iter().filter(|standing| !standing.control).count();
    let picked = if candidates > 1 {
        format!(" It is the best of {candidates}, picked by this very number, which flatters it.")
    } else {
        String::new()
    };
    // What prints as no difference is none.
    let difference = if distance.trim_start_matches('+') == "0.00" { 0.0 } else { difference };
    let distance = distance.trim_start_matches('+');
    if difference == 0.0 {
        let says = format!("The best control, {control_name}, has the same AUROC as {own_name}.");
        return note("warn", "No better than a simple control.", &says, "");
    }
    if difference < 0.0 {
        let says = format!(
            "{control_name} is {distance} points of AUROC above {own_name}, the best score of the experiment's detector{tested}."
        );
        return match chance {
            Chance::Possible => note("warn", "No better than a simple control.", &says, ""),
            Chance::Excluded | Chance::Untested => note("bad", "A simple control does better.", &says, ""),
        };
    }
    let says = format!("{own_name} is {distance} points of AUROC above the best control, {control_name}{tested}.");
    match chance {
        Chance::Possible => note("warn", "Not shown to beat a simple control.", &says, &picked),
        Chance::Excluded | Chance::Untested => format!("<p class=\"verdict\">{says}{picked}</p>\n"),
    }
}

fn note(class: &str, title: &str, says: &str, more: &str) -> String {
    format!("<p class=\"note {class}\"><strong>{title}</strong> {says}{more}</p>\n")
}

/// The tests of AUROC in the mean over this group, one a run; the difference is that of the experiment's own score minus the control's.
fn tests<'a>(
    group: &Group<'_>,
    own: &Standing<'_>,
    control: &Standing<'_>,
    comparisons: &'a [Comparison],
) -> Vec<(&'a Comparison, f64)> {
    let sets = format!("{MEAN_PREFIX}{}", group.sets);
    let place = (group.benchmark, group.protocol, group.id_set, group.group, sets.as_str(), own.cell);
    let (ours, theirs) = ((own.detector, own.score), (control.detector, control.score));
    let mut found = Vec::new();
    for test in comparisons.iter().filter(|test| test.metric == Metric::Auroc && own.cell == control.cell) {
        let here = (&*test.benchmark, &*test.protocol, &*test.id_set, &*test.group, &*test.ood_set, &*test.cell);
        let (a, b) = ((&*test.detector_a, &*test.score_a), (&*test.detector_b, &*test.score_b));
        if here == place && (a, b) == (ours, theirs) {
            found.push((test, 1.0));
        } else if here == place && (a, b) == (theirs, ours) {
            found.push((test, -1.0));
        }
    }
    found
}

/// What the tests say, and the words for it.
fn outcome(tests: &[(&Comparison, f64)]) -> (Chance, String) {
    let excluded = |(test, _): &&(&Comparison, f64)| test.p_holm.is_some_and(|p| p < LEVEL);
    let number = tests.iter().filter(excluded).count();
    let chance = match (tests.is_empty(), number == tests.len()) {
        (true, _) => Chance::Untested,
        (false, true) => Chance::Excluded,
        (false, false) => Chance::Possible,
    };
    let says = match tests {
        [] => " (not tested)".to_owned(),
        [(test, sign)] => {
            let (low, high) = if *sign > 0.0 { (test.low, test.high) } else { (-test.high, -test.low) };
            let p = match test.p_holm {
                None => "without a p".to_owned(),
                Some(p) if p < 0.001 => "p &lt; 0.001".to_owned(),
                Some(p) => format!("p = {p:.3}"),
            };
            format!(" (own minus control: {} to {}, {p}, paired bootstrap)", points(low), points(high))
        }
        _ => format!(", more than chance in {number} of {} (paired bootstrap)", count(tests.len(), "run", "runs")),
    };
    (chance, says)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Row;

    fn row(detector: &str, auroc: f64) -> Row {
        Row { detector: detector.into(), score: detector.into(), ood_set: "mean of 2".into(), auroc, ..Row::default() }
    }

    fn said(own: f64, control: f64, p: Option<f64>, swapped: bool) -> String {
        let rows = [row("dlsr", own), row("mean-distance", control)];
        let mut standings: Vec<Standing<'_>> = rows
            .iter()
            .enumerate()
            .map(|(at, row)| Standing {
                detector: &row.detector,
                score: &row.score,
                cell: "",
                control: at == 1,
                rows: vec![row],
            })
            .collect();
        standings.sort_by(|a, b| b.auroc().total_cmp(&a.auroc()));
        let group = Group { benchmark: "", protocol: "", id_set: "", group: "", sets: 2, standings };
        let (a, b) = if swapped { ("mean-distance", "dlsr") } else { ("dlsr", "mean-distance") };
        let test = |p| Comparison {
            ood_set: "mean of 2".into(),
            detector_a: a.into(),
            score_a: a.into(),
            detector_b: b.into(),
            score_b: b.into(),
            low: -0.01,
            high: 0.03,
            p_holm: Some(p),
            ..Comparison::default()
        };
        verdict(&group, &p.map(test).into_iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_difference_is_called_one_where_a_test_found_it() {
        assert_eq!(
            said(0.9, 0.8, Some(0.01), false),
            "<p class=\"verdict\">dlsr is 10.00 points of AUROC above the best control, mean-distance (own minus control: -1.00 to +3.00, \
             p = 0.010, paired bootstrap).</p>\n"
        );
        let chance = said(0.9, 0.8, Some(0.5), true);
        assert!(chance.contains("note warn") && chance.contains("Not shown to beat"), "{chance}");
        // The control stood first in that test.
        assert!(chance.contains("-3.00 to +1.00"), "{chance}");
        assert!(said(0.8, 0.9, Some(0.0001), false).contains("note bad"));
        assert!(said(0.8, 0.9, Some(0.0001), false).contains("p &lt; 0.001"));
        assert!(said(0.8, 0.9, Some(0.2), false).contains("No better than a simple control"));
        let untested = said(0.8, 0.9, None, false);
        assert!(untested.contains("note bad") && untested.contains("(not tested)"), "{untested}");
        assert!(said(0.9, 0.9, None, false).contains("has the same AUROC"));
    }
}
