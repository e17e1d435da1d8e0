//! Figures within the page.

use std::fmt::Write as _;

use super::ReportFigure;
use super::text::{address, escape};

/// Figures that are open at once; more lie folded, each a line.
const OPEN: usize = 12;
/// Bytes of a figure that is folded from the beginning: contact sheets carry their pictures.
const LARGE: usize = 1 << 20;

pub(super) fn section(figures: &[ReportFigure]) -> String {
    let mut out = String::new();
    for (number, figure) in figures.iter().enumerate() {
        let title = escape(&figure.title);
        let description = escape(&figure.description);
        let file = |kind: &str| address(&["figures", &format!("{}.{kind}", figure.name)]);
        let says = if description.is_empty() { title.clone() } else { format!("{title}: {description}") };
        let svg = inline(&figure.svg, &format!("f{number}-"));
        let (svg_file, png_file) = (file("svg"), file("png"));
        let open = if number < OPEN && svg.len() < LARGE { " open" } else { "" };
        let _ = writeln!(
            out,
            "<details class=\"figure\"{open}>\n<summary><h3>{title}</h3></summary>\n<figure>\n\
             <div class=\"paper\" role=\"img\" aria-label=\"{says}\">{svg}</div>\n\
             <figcaption>{description} <span class=\"files\"><a href=\"{svg_file}\">SVG</a> <a href=\"{png_file}\">PNG</a></span></figcaption>\n\
             </figure>\n</details>"
        );
    }
    out
}

/// A drawing within the page: without a head of its own, its ids behind `prefix`, so that drawings do not share any.
fn inline(svg: &str, prefix: &str) -> String {
    let body = svg.find("<svg").map_or("", |start| &svg[start..]).trim_end();
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(start) = rest.find('<') {
        let (text, tag) = rest.split_at(start);
        out.push_str(text);
        let end = tag.find('>').map_or(tag.len(), |end| end + 1);
        let (tag, after) = tag.split_at(end);
        // Texts of a drawing may say anything; only what stands in a tag names or refers.
        let named = tag.contains("id=") || tag.contains('#');
        out.push_str(&if named { with_prefix(tag, prefix) } else { tag.to_owned() });
        rest = after;
    }
    out.push_str(rest);
    out
}

fn with_prefix(tag: &str, prefix: &str) -> String {
    let mut tag = tag.to_owned();
    for (from, to) in [
        (" id=\"", format!(" id=\"{prefix}")),
        (" id='", format!(" id='{prefix}")),
        ("href=\"#", format!("href=\"#{prefix}")),
        ("href='#", format!("href='#{prefix}")),
        ("url(#", format!("url(#{prefix}")),
    ] {
        tag = tag.replace(from, &to);
    }
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawings_share_no_ids() {
        let svg = "<?xml version=\"1.0\"?>\n<svg><defs><clipPath id=\"a\"/></defs><g clip-path=\"url(#a)\"><use href=\"#a\"/></g>\
                   <text fill=\"#a1b2c3\">an id=\"x\" and url(#a)</text></svg>\n";
        assert_eq!(
            inline(svg, "f7-"),
            "<svg><defs><clipPath id=\"f7-a\"/></defs><g clip-path=\"url(#f7-a)\"><use href=\"#f7-a\"/></g>\
             <text fill=\"#a1b2c3\">an id=\"x\" and url(#a)</text></svg>"
        );
        assert_eq!(inline("no drawing", "f0-"), "");
        assert_eq!(inline("<svg><broken", "f0-"), "<svg><broken");
    }
}
