//! The page around the content: one file that loads nothing.

use std::fmt::Write as _;

use super::text::escape;

const STYLE: &str = include_str!("assets/report.css");
const SCRIPT: &str = include_str!("assets/report.js");

/// Nothing may be loaded from anywhere, nor sent: what is in the page is all there is.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
                      form-action 'none'";

/// A part of a page that its table of contents names.
pub(super) struct Section {
    /// Its address within the page.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// HTML, headings from `h3`.
    pub body: String,
    /// Rules of style that it needs beside the common ones.
    pub style: String,
}

/// The whole file: `title` is plain text, `header` HTML with the one `h1`.
pub(super) fn page(title: &str, header: &str, sections: &[Section]) -> String {
    let mut links = String::new();
    let mut main = String::new();
    let mut style = STYLE.to_owned();
    for Section { id, title, body, style: own } in sections {
        style.push_str(own);
        let _ = writeln!(links, "<li><a href=\"#{id}\">{title}</a></li>");
        let _ = writeln!(
            main,
            "<section id=\"{id}\" aria-labelledby=\"{id}-heading\">\n<h2 id=\"{id}-heading\">{title}</h2>\n{body}</section>"
        );
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n<style>\n{style}</style>\n<script>\n{SCRIPT}</script>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the content</a>\n\
         <header class=\"top\">\n{header}</header>\n\
         <nav aria-label=\"Contents\">\n<ul>\n{links}</ul>\n</nav>\n\
         <main id=\"main\" tabindex=\"-1\">\n{main}</main>\n</body>\n</html>\n",
        escape(title),
    )
}

/// A table within a box of its own that scrolls when the page is too narrow, also by keyboard. `label` is plain text.
pub(super) fn scroll(label: &str, class: &str, table: &str) -> String {
    let label = escape(label);
    format!("<div class=\"scroll {class}\" role=\"region\" aria-label=\"{label}\" tabindex=\"0\">\n{table}</div>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_assets_end_nothing_and_load_nothing() {
        for asset in [STYLE, SCRIPT] {
            assert!(!asset.to_ascii_lowercase().contains("</s"), "would end its element");
            for word in ["http:", "https:", "//cdn", "@import", "url(", "fetch(", "XMLHttpRequest", "import("] {
                assert!(!asset.contains(word), "{word}");
            }
        }
    }
}
