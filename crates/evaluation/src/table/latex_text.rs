//! Plain text in LaTeX.

use std::fmt::Write as _;

/// Text that LaTeX prints as it is, in a cell and at the beginning of a line as well; needs no package.
pub(super) fn latex(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '\\' => out.push_str(r"\textbackslash{}"),
            '~' => out.push_str(r"\textasciitilde{}"),
            '^' => out.push_str(r"\textasciicircum{}"),
            '<' => out.push_str(r"\textless{}"),
            '>' => out.push_str(r"\textgreater{}"),
            '|' => out.push_str(r"\textbar{}"),
            // The signs of their own need another font encoding than LaTeX's first.
            '"' => out.push_str("''"),
            '`' => out.push_str("{`}"),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                let _ = write!(out, "\\{c}");
            }
            // Behind the end of a line these two would be taken for its options.
            '[' | ']' | '*' => {
                let _ = write!(out, "{{{c}}}");
            }
            // Two in a row would become one longer line.
            '-' if before == '-' => out.push_str("{}-"),
            '±' => out.push_str(r"$\pm$"),
            '−' => out.push_str("$-$"),
            '×' => out.push_str(r"$\times$"),
            '≤' => out.push_str(r"$\le$"),
            '≥' => out.push_str(r"$\ge$"),
            '—' => out.push_str("---"),
            '–' => out.push_str("--"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
        before = c;
    }
    out
}

/// A name as part of a label: letters, digits and hyphens.
pub(super) fn label(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// Small print below a table.
pub(super) fn below(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("\n\\smallskip\n{{\\footnotesize\\raggedright {}\\par}}\n", latex(text))
}
