//! A cell as printed in percent: `98.9`, `98.9±0.1`, `89.68/52.16`, `-`.

/// A number and the deviation printed with it, 0..1.
pub(super) type Printed = (f64, Option<f64>);

/// The numbers of a cell, one a metric; `None` for a dash. `None` altogether when it is not of that form.
pub(super) fn parse(text: &str, metrics: usize) -> Option<Vec<Option<Printed>>> {
    let numbers: Vec<Option<Printed>> = text.split('/').map(|part| one(part.trim())).collect::<Option<_>>()?;
    (numbers.len() == metrics).then_some(numbers)
}

fn one(text: &str) -> Option<Option<Printed>> {
    if text == "-" {
        return Some(None);
    }
    // The decimal is shifted in the text: 83.35 becomes the number nearest to 0.8335.
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let number = |text: &str| {
        let text = Some(text.trim()).filter(|text| digits(text))?;
        format!("{text}e-2").parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number))
    };
    match text.split_once('±') {
        Some((value, deviation)) => Some(Some((number(value)?, Some(number(deviation)?)))),
        None => Some(Some((number(text)?, None))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_read_as_printed() {
        assert_eq!(parse("98.9±0.1", 1), Some(vec![Some((0.989, Some(0.001)))]));
        assert_eq!(parse("-/73.60", 2), Some(vec![None, Some((0.736, None))]));
        assert_eq!(parse("100", 1), Some(vec![Some((1.0, None))]));
        for bad in ["", "98,9", "100.1", "-1", "1/2/3", "nan", "1±", "1e1"] {
            assert_eq!(parse(bad, 1), None, "{bad}");
        }
    }
}
