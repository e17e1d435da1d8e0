//! The pages of a report: whatever a record says stays text, and the page is sound HTML that loads nothing.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::collections::{BTreeMap, BTreeSet};

use oodlab_evaluation::metrics::compare::PairedTest;
use oodlab_evaluation::metrics::{Comparison, Method};
use oodlab_evaluation::record::{About, DetectorAbout, RunAbout, SetAbout, StageAbout};
use oodlab_evaluation::report::{ReportFigure, ReportTable, compare_html, html};
use oodlab_evaluation::scores::ScoreRecords;
use oodlab_evaluation::{Metric, Record, Row, Table};

/// What would be markup anywhere: in a text, in an attribute of either quotes, in a comment, in a style or a script.
const HOSTILE: &str =
    "<script>alert(1)</script>\"' onload='alert(2)' ]]> --> </style></title><img src=x onerror=alert(3)> &lt;";

/// A hostile text that differs from others in its beginning.
fn hostile(name: &str) -> String {
    format!("{name} {HOSTILE}")
}

fn row(detector: &str, seed: u64, set: &str, auroc: f64) -> Row {
    Row {
        experiment: hostile("experiment"),
        cell: hostile("cell"),
        seed,
        detector: hostile(detector),
        score: hostile("score"),
        benchmark: hostile("benchmark"),
        protocol: hostile("protocol"),
        id_set: hostile("id"),
        ood_set: hostile(set),
        group: hostile("near"),
        n_id: Some(10),
        n_ood: Some(20),
        auroc,
        auroc_low: Some(auroc - 0.01),
        auroc_high: Some(auroc + 0.01),
        aupr_in: f64::NAN,
        fpr95_id: 0.5,
        fpr95_ood: 0.25,
        rule: hostile("rule"),
        id_list: hostile("list"),
        ood_list: hostile(set),
        run: format!("{seed} {HOSTILE}"),
        sweep: BTreeMap::from([(hostile("key"), hostile("value"))]),
        ..Row::default()
    }
}

fn run(seed: u64) -> RunAbout {
    let detector = |name: &str, control| DetectorAbout {
        name: hostile(name),
        kind: hostile("kind"),
        control,
        scores: vec![hostile("score")],
    };
    let computed = ["numerics", "threads", "version", "commit"].map(|name| (name.to_owned(), hostile(name)));
    RunAbout {
        run: format!("{seed} {HOSTILE}"),
        cell: hostile("cell"),
        sweep: BTreeMap::from([(hostile("key"), hostile("value"))]),
        seed,
        id_set: hostile("id"),
        weights: hostile("weights"),
        detectors: vec![detector("own", false), detector("control", true)],
        sets: vec![SetAbout {
            role: hostile("role"),
            set: hostile("set"),
            split: hostile("split"),
            list: hostile("list"),
            features: hostile("features"),
            ..SetAbout::default()
        }],
        stages: vec![
            StageAbout {
                label: hostile("encode"),
                key: hostile("k"),
                computed: computed.into_iter().chain([("seconds".into(), "1.5".into())]).collect(),
            },
            StageAbout {
                label: hostile("fit"),
                key: hostile("other"),
                computed: BTreeMap::from([("seconds".into(), HOSTILE.into())]),
            },
        ],
        // More than are shown at once.
        warnings: (0..7).map(|number| hostile(&number.to_string())).collect(),
        ..RunAbout::default()
    }
}

/// A record with a hostile text in every place that takes one; `value` stands in its configuration and in its numbers.
fn record(value: &str, auroc: f64) -> Record {
    let rows: Vec<Row> = [0, 1]
        .into_iter()
        .flat_map(|seed| {
            [("own", auroc), ("control", 0.75)]
                .into_iter()
                .flat_map(move |(detector, auroc)| ["first", "second"].map(|set| row(detector, seed, set, auroc)))
        })
        .collect();
    let mut table = Table::new(rows);
    table.group_means();
    let test = PairedTest { a: auroc, b: 0.75, difference: auroc - 0.75, low: -0.1, high: 0.1, p: Some(1e-9) };
    let comparisons = ["first", "second"].map(|set| {
        let named = Comparison {
            cell: hostile("cell"),
            benchmark: hostile("benchmark"),
            protocol: hostile("protocol"),
            id_set: hostile("id"),
            group: hostile("near"),
            ood_set: hostile(set),
            detector_a: hostile("own"),
            score_a: hostile("score"),
            detector_b: hostile("control"),
            score_b: hostile("score"),
            run: format!("0 {HOSTILE}"),
            ..Comparison::default()
        };
        named.with_test(Metric::Auroc, Method::DelongPaired, test)
    });
    let quoted = HOSTILE.replace('\\', "\\\\").replace('"', "\\\"");
    Record {
        about: About {
            experiment: hostile("experiment"),
            heading: vec![hostile("first"), String::new(), hostile("second")],
            file: hostile("file"),
            command: hostile("command"),
            config: format!("\"{quoted}\": \"{value} {quoted}\"\nsame: 1\n"),
            program: hostile("program"),
            numerics: hostile("numerics"),
            notes: vec![hostile("note")],
            missing: BTreeMap::from([(hostile("absent"), hostile("get it"))]),
            failures: BTreeMap::from([(hostile("failed"), hostile("error"))]),
            runs: vec![run(0), run(1)],
            ..About::default()
        },
        table,
        scores: ScoreRecords::default(),
        comparisons: comparisons.into(),
        points: Vec::new(),
        thumbnails: Vec::new(),
    }
}

/// Two figures with the same ids within.
fn figures() -> Vec<ReportFigure> {
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" viewBox=\"0 0 9 9\">\
               <defs><clipPath id=\"a\"><path d=\"M0 0\"/></clipPath></defs><g clip-path=\"url(#a)\"><use xlink:href=\"#a\"/></g></svg>";
    ["one", "two"]
        .map(|name| ReportFigure {
            name: hostile(name),
            title: hostile("title"),
            description: hostile("description"),
            svg: svg.into(),
        })
        .into()
}

fn tables() -> Vec<ReportTable> {
    let html = "<table>\n<tbody><tr><td>1</td></tr></tbody>\n</table>\n".to_owned();
    vec![ReportTable { name: hostile("table"), title: hostile("title"), html }]
}

/// The page of one experiment and the page of two, with names for messages.
fn pages() -> [(&'static str, String); 2] {
    let (a, b) = (record("a", 0.9), record("b", 0.8));
    [("report", html(&a, &tables(), &figures())), ("comparison", compare_html(&a, &b))]
}

/// An element's beginning.
#[derive(Debug)]
struct Tag {
    name: String,
    attributes: BTreeMap<String, String>,
}

/// A page read strictly: elements in their order, and texts without markup.
#[derive(Debug, Default)]
struct Page {
    tags: Vec<Tag>,
    texts: String,
}

const VOID: [&str; 4] = ["meta", "link", "input", "br"];

/// Reads a page as strictly as XML, but for elements that are never closed and attributes without a value; `Err` names what is wrong.
fn read(html: &str) -> Result<Page, String> {
    let mut page = Page::default();
    let mut open: Vec<String> = Vec::new();
    let mut rest = html.strip_prefix("<!DOCTYPE html>").ok_or("no document type")?;
    while let Some(start) = rest.find('<') {
        page.texts.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        let (mut tag, after) = one_tag(rest)?;
        rest = after;
        if let Some(name) = tag.name.strip_prefix('/') {
            let found = open.pop();
            if found.as_deref() != Some(name) {
                return Err(format!("{name} ends, {found:?} was open"));
            }
            continue;
        }
        // The page's own style and script are no markup: they end where their element does.
        if tag.name == "style" || tag.name == "script" {
            let end = rest.find(&format!("</{}>", tag.name)).ok_or("an open style or script")?;
            rest = &rest[end..];
        }
        if tag.attributes.remove("/").is_none() && !VOID.contains(&tag.name.as_str()) {
            open.push(tag.name.clone());
        }
        page.tags.push(tag);
    }
    page.texts.push_str(rest);
    if open.is_empty() { Ok(page) } else { Err(format!("not closed: {open:?}")) }
}

/// A tag from behind its `<`, and what follows it. A closed one has an attribute `/`.
fn one_tag(text: &str) -> Result<(Tag, &str), String> {
    let bad = |what: &str| format!("{what}: <{}", text.chars().take(60).collect::<String>());
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-:_".contains(c);
    let end = text.char_indices().find(|(at, c)| !is_name(*c) && (*at, *c) != (0, '/')).ok_or_else(|| bad("no end"))?.0;
    let (name, mut rest) = text.split_at(end);
    if name.trim_start_matches('/').is_empty() {
        return Err(bad("no name"));
    }
    let mut attributes = BTreeMap::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('>') {
            return Ok((Tag { name: name.to_owned(), attributes }, after));
        }
        let (key, value);
        if let Some(after) = rest.strip_prefix('/') {
            (key, value, rest) = ("/", "", after);
        } else {
            let end = rest.find(|c| !is_name(c)).filter(|end| *end > 0).ok_or_else(|| bad("no attribute"))?;
            (key, rest) = rest.split_at(end);
            if let Some(after) = rest.strip_prefix("=\"") {
                let end = after.find('"').ok_or_else(|| bad("an open quote"))?;
                (value, rest) = (&after[..end], &after[end + 1..]);
            } else if rest.starts_with('=') {
                return Err(bad("no quotes"));
            } else {
                value = "";
            }
        }
        if value.contains('<') || attributes.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(bad("an attribute twice, or markup in one"));
        }
    }
}

/// What is wrong with a page; empty when nothing is.
fn faults(html: &str) -> Vec<String> {
    let page = match read(html) {
        Ok(page) => page,
        Err(fault) => return vec![fault],
    };
    let mut faults = Vec::new();
    let count = |name: &str| page.tags.iter().filter(|tag| tag.name == name).count();
    for (name, number) in [("html", 1), ("title", 1), ("style", 1), ("script", 1), ("h1", 1), ("main", 1), ("img", 0)] {
        if count(name) != number {
            faults.push(format!("{} {name}", count(name)));
        }
    }
    let attribute = |tag: &Tag, key: &str| tag.attributes.get(key).cloned().unwrap_or_default();
    if !page.tags.iter().any(|tag| tag.name == "html" && attribute(tag, "lang") == "en") {
        faults.push("no language".to_owned());
    }
    let policy = page.tags.iter().find(|tag| attribute(tag, "http-equiv") == "Content-Security-Policy");
    if !policy.is_some_and(|tag| attribute(tag, "content").starts_with("default-src 'none'; ")) {
        faults.push("no policy".to_owned());
    }
    let mut level = 0;
    for tag in &page.tags {
        if let Some(digit) = tag.name.strip_prefix('h').and_then(|digit| digit.parse::<u32>().ok()) {
            if digit > level + 1 {
                faults.push(format!("{} below h{level}", tag.name));
            }
            level = digit;
        }
    }
    let mut ids = BTreeSet::new();
    for id in page.tags.iter().filter_map(|tag| tag.attributes.get("id")) {
        if !ids.insert(id.as_str()) {
            faults.push(format!("id {id} twice"));
        }
    }
    for (key, value) in page.tags.iter().flat_map(|tag| &tag.attributes) {
        let within = match key.as_str() {
            "href" | "xlink:href" => value.strip_prefix('#'),
            "aria-labelledby" => Some(value.as_str()),
            _ => value.strip_prefix("url(#").and_then(|value| value.strip_suffix(')')),
        };
        if within.is_some_and(|id| !ids.contains(id)) {
            faults.push(format!("{key} {value} leads nowhere"));
        }
        let outside = within.is_none() && key == "href" && value != "data:,";
        if outside && (value.contains(':') || value.starts_with('/') || value.split('/').any(|part| part == "..")) {
            faults.push(format!("{key} {value} leaves the folder"));
        }
        if key.starts_with("on") || key == "src" {
            faults.push(format!("attribute {key}"));
        }
        if value.contains("http") && !key.starts_with("xmlns") && key != "http-equiv" {
            faults.push(format!("an address in {key}: {value}"));
        }
    }
    if page.texts.contains("http") || page.texts.contains("]]>") {
        faults.push("an address or an end of something in a text".to_owned());
    }
    faults
}

#[test]
fn pages_are_sound_whatever_the_record_says() {
    for (name, page) in pages() {
        assert_eq!(faults(&page), Vec::<String>::new(), "{name}");
        assert_eq!(page.matches("<script").count(), 1, "{name}");
        assert!(!page.contains("<script>alert"), "{name}");
    }
}

#[test]
fn every_text_of_the_record_is_there() {
    let [(_, report), (_, comparison)] = pages();
    let said = |page: &str, name: &str| {
        let texts = read(page).unwrap().texts;
        texts.contains(&format!(
            "{name} &lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39; onload=&#39;alert(2)&#39; ]]&gt;"
        ))
    };
    let words = "experiment cell own control score benchmark protocol id first near rule key value weights kind role set split encode fit 0 6 \
                 second file command program numerics note absent failed error title description version commit threads";
    for name in words.split(' ') {
        assert!(said(&report, name), "{name}");
    }
    for name in "experiment command program numerics score own first a b encode".split(' ') {
        assert!(said(&comparison, name), "{name}");
    }
}

#[test]
fn the_same_record_gives_the_same_page() {
    assert_eq!(pages(), pages());
}

#[test]
fn an_empty_record_gives_a_sound_page() {
    let empty = Record::default();
    for page in [html(&empty, &[], &[]), compare_html(&empty, &empty)] {
        assert_eq!(faults(&page), Vec::<String>::new());
    }
}

#[test]
fn the_checker_finds_faults() {
    let [(_, page), _] = pages();
    let found = |from: &str, to: &str| {
        assert!(page.contains(from), "{from}");
        faults(&page.replacen(from, to, 1)).join("\n")
    };
    for (from, to, fault) in [
        ("</main>", "", "body ends, Some(\"main\") was open"),
        ("</body>", "<p title=a></p></body>", "no quotes"),
        ("</body>", "a < b</body>", "no name"),
        ("</body>", "<p onclick=\"x\"></p></body>", "attribute onclick"),
        ("</body>", "<a href=\"../x\">x</a></body>", "href ../x leaves the folder"),
        ("</body>", "<a href=\"#absent\">x</a></body>", "href #absent leads nowhere"),
        ("</body>", "https</body>", "an address or an end of something in a text"),
        ("</body>", "<h1>x</h1></body>", "2 h1"),
        ("<h3", "<h5></h5><h3", "h5 below h2"),
        ("f1-a", "f0-a", "id f0-a twice"),
        (" lang=\"en\"", "", "no language"),
        ("default-src 'none'", "default-src *", "no policy"),
    ] {
        let found = found(from, to);
        assert!(found.contains(fault), "{from} as {to}: {found}");
    }
}
