//! The filter and the choice of columns above a table: without JavaScript they stay hidden.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::text::{count, escape};

/// A column is offered as a list to choose from when it has at most so many values.
const CHOICES: usize = 40;

/// A column whose values may be offered as a list.
pub(super) struct Choice<'a> {
    /// Its place in the table.
    pub at: usize,
    /// Its heading, plain text.
    pub title: &'a str,
    /// Its values, one a row.
    pub values: Vec<&'a str>,
}

/// The controls of the table with this id.
pub(super) fn controls(id: &str, columns: &[Choice<'_>], rows: usize) -> String {
    let mut out = format!(
        "<div class=\"controls\" id=\"{id}-controls\" hidden>\n\
         <label>Filter <input type=\"search\" id=\"{id}-text\" autocomplete=\"off\" placeholder=\"words in a row\"></label>\n",
    );
    for Choice { at, title, values } in columns {
        let mut seen = BTreeSet::new();
        let values: Vec<&&str> = values.iter().filter(|value| seen.insert(**value)).collect();
        if values.len() < 2 || values.len() > CHOICES {
            continue;
        }
        let _ = write!(out, "<label>{} <select data-column=\"{at}\"><option value=\"\">all</option>", escape(title));
        for value in values {
            let value = escape(value);
            let shown = if value.is_empty() { "(none)" } else { value.as_str() };
            let _ = write!(out, "<option value=\"={value}\">{shown}</option>");
        }
        out.push_str("</select></label>\n");
    }
    let _ = writeln!(
        out,
        "<details class=\"columns\"><summary>Columns</summary><div id=\"{id}-columns\"></div></details>\n\
         <button type=\"button\" id=\"{id}-clear\">Clear</button>\n\
         <p id=\"{id}-count\" role=\"status\">{}</p>\n</div>",
        count(rows, "row", "rows")
    );
    out
}
