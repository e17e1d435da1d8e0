//! The result table as CSV, Markdown and plain text.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "table/arranged.rs"]
mod arranged;
#[path = "table/exports.rs"]
mod exports;
#[path = "table/published.rs"]
mod published;

use std::collections::BTreeMap;

use oodlab_evaluation::metrics::Positive;
use oodlab_evaluation::table::{COLUMNS, MarkdownOptions};
use oodlab_evaluation::{Row, Table, TableError};

fn row(seed: u64, score: &str, ood_set: &str, group: &str, auroc: f64) -> Row {
    Row {
        experiment: "quickstart".into(),
        seed,
        detector: if score == "mean-distance" { score } else { "dlsr" }.into(),
        score: score.into(),
        benchmark: "quick".into(),
        protocol: "native".into(),
        id_set: "cifar10".into(),
        ood_set: ood_set.into(),
        group: group.into(),
        n_id: Some(300),
        n_ood: Some(200),
        auroc,
        auroc_low: Some(auroc - 0.01),
        auroc_high: Some(auroc + 0.02),
        aupr_in: 0.5,
        aupr_out: 1.0,
        fpr95_id: 1.0 - auroc,
        fpr95_ood: 1.0 / 3.0,
        rule: "first-at-least".into(),
        id_list: "0123456789abcdef".into(),
        ood_list: "fedcba9876543210".into(),
        run: "k1".into(),
        ..Row::default()
    }
}

fn table() -> Table {
    let mut rows = Vec::new();
    for (score, offset) in [("mse", 0.0), ("mean-distance", 0.05)] {
        rows.push(row(0, score, "noise", "far", 0.9 + offset));
        rows.push(row(0, score, "mnist", "far", 0.7 + offset));
        rows.push(row(0, score, "cifar100", "near", 0.6 - offset));
    }
    Table::new(rows)
}

#[test]
fn csv_has_the_contract_columns_and_shortest_floats() {
    let mut one = row(3, "mse", "a,b", "far", 0.1 + 0.2);
    one.cell = "x=1,y=\"2\"".into();
    one.sweep = BTreeMap::from([("z.b".into(), "1".into()), ("a".into(), "0.5".into())]);
    one.aupr_in = 1e-7;
    one.auroc_low = None;
    let csv = String::from_utf8(Table::new(vec![one]).to_csv().unwrap()).unwrap();
    let (header, line) = csv.split_once('\n').unwrap();
    assert!(header.starts_with(&format!("{},ap_in,", COLUMNS.join(","))), "{header}");
    assert!(header.ends_with(",calibration_error_low,calibration_error_high,sweep.a,sweep.z.b"), "{header}");
    let absent = header.split(',').count() - COLUMNS.len() - 2;
    assert_eq!(
        line,
        format!(
            "quickstart,\"x=1,y=\"\"2\"\"\",3,dlsr,mse,quick,native,cifar10,\"a,b\",far,300,200,0.30000000000000004,,\
             0.32000000000000006,1e-7,1.0,0.7,0.3333333333333333,first-at-least,0123456789abcdef,fedcba9876543210,k1{},0.5,1\n",
            ",".repeat(absent)
        )
    );
}

#[test]
fn csv_reads_back_to_the_same_table() {
    let mut table = table();
    table.rows[1].sweep.insert("start".into(), "3".into());
    table.rows[2].cell = "line\nbreak, \"quoted\"".into();
    table.rows[2].auroc = f64::from_bits(0x3fe5_5555_5555_5557);
    let mut table = Table::new(table.rows);
    table.group_means();
    let csv = table.to_csv().unwrap();
    let back = Table::from_csv(&csv).unwrap();
    assert_eq!(back, table);
    assert_eq!(back.to_csv().unwrap(), csv);
    let empty = Table::default();
    assert_eq!(Table::from_csv(&empty.to_csv().unwrap()).unwrap(), empty);
}

#[test]
fn bad_csv_names_the_place() {
    let csv = String::from_utf8(table().to_csv().unwrap()).unwrap();
    let error = Table::from_csv(csv.replacen(",0.9,", ",good,", 1).as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "row 1, column \"auroc\": expected a number from 0 to 1, found \"good\"");
    let error = Table::from_csv(csv.replacen("auroc_low", "auroc_lower", 1).as_bytes()).unwrap_err();
    assert!(matches!(error, TableError::UnknownColumn { name } if name == "auroc_lower"));
    let error = Table::from_csv(b"experiment,cell\na,b\n").unwrap_err();
    assert!(error.to_string().contains("no column \"seed\"; found experiment, cell"), "{error}");
    for bytes in [&b""[..], b"\xff\xfe\x00", b"\"", b"a,b\n1,2,3\n"] {
        assert!(Table::from_csv(bytes).is_err());
    }
}

#[test]
fn group_means_are_unweighted_and_counted() {
    let mut table = table();
    table.group_means();
    table.group_means();
    let means: Vec<_> = table.rows.iter().filter(|row| row.mean_of().is_some()).collect();
    assert_eq!(means.len(), 4);
    let far = means[0];
    assert_eq!((far.ood_set.as_str(), far.group.as_str(), far.score.as_str()), ("mean of 2", "far", "mse"));
    assert_eq!(far.auroc, (0.9 + 0.7) / 2.0);
    assert_eq!((far.n_id, far.auroc_low, far.ood_list.as_str()), (None, None, ""));
    assert_eq!((far.run.as_str(), far.id_list.as_str()), ("k1", "0123456789abcdef"));
    assert_eq!(means[1].ood_set, "mean of 1");
    assert_eq!(table.rows.len(), 10);
}

#[test]
fn markdown_is_what_a_paper_prints() {
    insta::assert_snapshot!("one_seed", table().to_markdown());
    let options = MarkdownOptions { fpr95: Positive::Ood, intervals: true };
    insta::assert_snapshot!("intervals", table().to_markdown_with(options));
}

#[test]
fn a_mean_has_the_interval_of_its_own_row() {
    let mut table = table();
    table.group_means();
    let options = MarkdownOptions { fpr95: Positive::Id, intervals: true };
    assert!(table.to_markdown_with(options).contains("| **95.00** ± 2.00 | **75.00** ± 2.00 | **85.00** |"));
    for row in table.rows.iter_mut().filter(|row| row.mean_of().is_some()) {
        (row.auroc_low, row.auroc_high) = (Some(row.auroc - 0.0123), Some(row.auroc + 0.01));
    }
    let markdown = table.to_markdown_with(options);
    assert!(markdown.contains("| **95.00** ± 2.00 | **75.00** ± 2.00 | **85.00** ± 1.23 |"), "{markdown}");
}

#[test]
fn the_caption_gives_the_widest_interval() {
    let mut rows = table().rows;
    rows[1].auroc_high = Some(rows[1].auroc + 0.0404);
    let mut other = rows.clone();
    for row in &mut other {
        row.cell = "detector.sample.start=3".into();
    }
    other[0].auroc_low = Some(other[0].auroc - 0.05);
    let said = |widest: &str| format!("95 % DeLong half-width of a single AUROC: at most {widest} points.");
    let one = Table::new(rows.clone()).to_markdown();
    assert_eq!(one.matches(&said("4.04")).count(), 1, "{one}");
    assert!(!one.contains("no width"));
    // Cells that differ in nothing else still share a caption: of the widest of all.
    rows.extend(other);
    let both = Table::new(rows.clone()).to_markdown();
    assert_eq!((both.matches("half-width").count(), both.matches(&said("5.00")).count()), (1, 1), "{both}");
    (rows[2].auroc, rows[2].auroc_low, rows[2].auroc_high) = (1.0, Some(1.0), Some(1.0));
    let separated = Table::new(rows.clone()).to_markdown();
    assert_eq!(separated.matches("has no width and understates the uncertainty").count(), 1, "{separated}");
    for row in &mut rows {
        (row.auroc_low, row.auroc_high) = (None, None);
    }
    assert!(!Table::new(rows).to_markdown().contains("DeLong"));
}

#[test]
fn what_prints_the_same_is_equally_bold() {
    let mut rows = table().rows;
    (rows[0].auroc, rows[3].auroc) = (0.949_96, 0.950_04);
    let markdown = Table::new(rows).to_markdown();
    assert_eq!(markdown.matches("**95.00** / ").count(), 2, "{markdown}");
}

#[test]
fn a_caption_common_to_all_cells_is_printed_once() {
    let mut rows = table().rows;
    let mut other = rows.clone();
    for row in &mut other {
        row.cell = "detector.sample.start=3".into();
    }
    rows.extend(other);
    let markdown = Table::new(rows.clone()).to_markdown();
    assert_eq!((markdown.matches("### ").count(), markdown.matches("AUROC / FPR95 in percent").count()), (2, 1));
    assert!(markdown.contains("### quickstart: quick, protocol native, detector.sample.start=3\n"));
    rows[0].n_ood = Some(199);
    let markdown = Table::new(rows).to_markdown();
    assert_eq!(markdown.matches("AUROC / FPR95 in percent").count(), 2);
}

#[test]
fn seeds_give_mean_and_deviation() {
    let mut rows = table().rows;
    rows.extend([0.92, 0.94].into_iter().zip(1..).map(|(auroc, seed)| row(seed, "mse", "noise", "far", auroc)));
    rows.push(row(1, "mse", "mnist", "far", 0.8));
    let table = Table::new(rows);
    insta::assert_snapshot!("seeds", table.to_markdown());
    insta::assert_snapshot!("seeds_terminal", table.to_terminal());
}

#[test]
fn a_missing_set_is_no_better_for_it() {
    let mut rows = table().rows;
    rows.retain(|row| !(row.score == "mean-distance" && row.ood_set == "mnist"));
    let markdown = Table::new(rows).to_markdown();
    // 95 % over one set does not beat 80 % over two.
    assert!(markdown.contains("**80.00** / 20.00"), "{markdown}");
    assert!(markdown.contains("| 95.00 / 5.00 (mean of 1) |"), "{markdown}");
}

#[test]
fn the_terminal_table_is_aligned_and_wraps() {
    insta::assert_snapshot!("terminal", table().to_terminal());
    let narrow = table().to_terminal_width(40);
    assert!(narrow.lines().filter(|line| !line.contains("percent")).all(|line| line.chars().count() <= 60), "{narrow}");
    insta::assert_snapshot!("terminal_narrow", narrow);
}

/// Braces match, environments close, every line of the tabular has as many cells as its format has columns, and nothing needs a package but
/// booktabs.
fn latex_is_sound(text: &str) {
    let plain = text.replace("\\\\", "\n").replace("\\{", "").replace("\\}", "").replace("\\&", "").replace("\\%", "");
    let depth = plain.chars().fold(0i32, |depth, c| {
        let depth = depth + i32::from(c == '{') - i32::from(c == '}');
        assert!(depth >= 0, "{text}");
        depth
    });
    assert_eq!(depth, 0, "{text}");
    assert!(!plain.contains('%'), "an unescaped comment: {text}");
    assert_eq!(plain.matches('$').count() % 2, plain.matches("\\$").count() % 2, "{text}");
    for environment in ["table", "tabular"] {
        let ends = |end: &str| text.matches(&format!("\\{end}{{{environment}}}")).count();
        assert!(ends("begin") > 0 && ends("begin") == ends("end"), "{text}");
    }
    for part in text.split("\\begin{tabular}{").skip(1) {
        let (format, rest) = part.split_once("}\n").unwrap();
        let (body, _) = rest.split_once("\\end{tabular}").unwrap();
        for line in body.lines().filter(|line| line.ends_with(" \\\\")) {
            let mut cells = line.replace("\\&", "").matches('&').count() + 1;
            for spanned in line.split("\\multicolumn{").skip(1) {
                cells += spanned.split('}').next().unwrap().parse::<usize>().unwrap() - 1;
            }
            assert_eq!(cells, format.len(), "{format}: {line}");
        }
    }
}
