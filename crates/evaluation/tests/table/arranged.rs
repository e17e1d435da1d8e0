//! Tables as an experiment file asks for them.

use std::collections::BTreeMap;
use std::io::Cursor;

use oodlab_evaluation::metrics::Metric;
use oodlab_evaluation::published::Library;
use oodlab_evaluation::record::{About, DetectorAbout, RunAbout, SetAbout};
use oodlab_evaluation::table::{ArrangeError, Arranged};
use oodlab_evaluation::{Table, TableSpec};
use polars::prelude::{CsvReadOptions, ParquetReader, SerReader};

/// A sweep of the width over two sets far and one near, two scores, three seeds and two protocols; one set of one seed is missing.
fn swept() -> Table {
    let mut rows = Vec::new();
    for (width, bonus) in [("720", 0.0), ("1440", 0.03)] {
        for seed in 0..3 {
            for (protocol, malus) in [("native", 0.0), ("matched", 0.1)] {
                for (score, lead) in [("mse", 0.0), ("likelihood_regret", 0.01), ("mfsim", 0.05)] {
                    for (set, group, base) in [("svhn", "far", 0.8), ("isun", "far", 0.7), ("cifar10", "near", 0.6)] {
                        if (width, seed, set) == ("1440", 2, "isun") {
                            continue;
                        }
                        let auroc = base + bonus + lead - malus + f64::from(seed) * 0.004;
                        let mut row = super::row(u64::from(seed as u32), score, set, group, auroc);
                        row.detector = "dlsr".into();
                        row.experiment = "width".into();
                        row.benchmark = "six".into();
                        row.id_set = "cifar100".into();
                        row.protocol = protocol.into();
                        row.cell = format!("detector.network.width={width}");
                        row.sweep = BTreeMap::from([("detector.network.width".into(), width.into())]);
                        row.more = BTreeMap::from([(Metric::ApIn, 0.25)]);
                        rows.push(row);
                    }
                }
            }
        }
    }
    let mut table = Table::new(rows);
    table.group_means();
    table
}

fn spec(text: &str) -> TableSpec {
    let spec: TableSpec = serde_yaml::from_str(text).unwrap();
    let back: TableSpec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
    assert_eq!(back, spec);
    // As the configuration of an experiment reads it.
    let value: serde_json::Value = serde_yaml::from_str(text).unwrap();
    assert_eq!(serde_json::from_value::<TableSpec>(value).unwrap(), spec);
    spec
}

fn arrange(text: &str, table: &Table) -> Result<Arranged, ArrangeError> {
    spec(text).arrange(table, &About::default(), &Library::builtin())
}

fn refused(text: &str) -> String {
    arrange(text, &swept()).unwrap_err().to_string()
}

const TABLE4: &str = "
name: table4
caption: Width of the network & number of blocks, 100 %.
rows: [sweep.detector.network.width]
columns: [score]
metrics: [auroc, fpr95_id]
where: {protocol: matched, set: mean, group: far, score: [mfsim, mse]}
labels: {mfsim: MFsim, mse: MSE, sweep.detector.network.width: width}
";

const GRID: &str = "
name: grid
rows: [protocol, score]
columns: [group, set, metric]
metrics: [fpr95_id, auroc]
where: {sweep.detector.network.width: 720.0}
uncertainty: none
decimals: 1
";

const SETS_DOWN: &str = "
name: sets_down
rows: [set]
columns: [score]
where: {sweep.detector.network.width: 720, protocol: native, seed: 0}
uncertainty: interval
";

#[test]
fn a_sweep_by_score_in_every_form() {
    let arranged = arrange(TABLE4, &swept()).unwrap();
    insta::assert_snapshot!("arranged_markdown", arranged.to_markdown());
    insta::assert_snapshot!("arranged_latex", arranged.to_latex());
    insta::assert_snapshot!("arranged_html", arranged.to_html());
    insta::assert_snapshot!("arranged_terminal", arranged.to_terminal());
    insta::assert_snapshot!("arranged_csv", arranged.to_csv());
    super::latex_is_sound(&arranged.to_latex());
}

#[test]
fn several_levels_of_headings() {
    let arranged = arrange(GRID, &swept()).unwrap();
    insta::assert_snapshot!("grid_markdown", arranged.to_markdown());
    insta::assert_snapshot!("grid_latex", arranged.to_latex());
    insta::assert_snapshot!("grid_html", arranged.to_html());
    insta::assert_snapshot!("grid_terminal", arranged.to_terminal());
    super::latex_is_sound(&arranged.to_latex());
}

#[test]
fn sets_down_the_page_with_intervals() {
    insta::assert_snapshot!("sets_down", arrange(SETS_DOWN, &swept()).unwrap().to_markdown());
}

#[test]
fn the_data_reads_back_to_the_same_bits() {
    let csv = arrange(GRID, &swept()).unwrap().to_csv();
    let (header, lines) = csv.split_once('\n').unwrap();
    assert!(header.starts_with("protocol,score,group,set,metric,value,deviation,"), "{header}");
    // 2 protocols, 3 scores, 2 groups with 2 and 1 sets and a mean each, 2 metrics.
    assert_eq!(lines.lines().count(), 2 * 3 * (3 + 2) * 2);
    let first: Vec<&str> = lines.lines().next().unwrap().split(',').collect();
    assert_eq!(&first[..5], ["native", "mse", "far", "svhn", "fpr95_id"]);
    let seeds = [0.0, 1.0, 2.0].map(|seed| 1.0 - (0.8 + seed * 0.004));
    assert_eq!(first[5].parse(), Ok(seeds.iter().sum::<f64>() / 3.0));
    let one = arrange(
        "{name: one, rows: [metric], where: {set: svhn, score: mse, protocol: native, seed: 0, sweep.detector.network.width: 720}}",
        &swept(),
    );
    assert!(one.unwrap().to_csv().starts_with("metric,value,deviation,low"));
}

#[test]
fn what_cannot_be_arranged_says_what_to_change() {
    let said = refused("{name: t, rows: [score], columns: [set], where: {sweep.detector.network.width: 720}}");
    insta::assert_snapshot!(said, @r#"table "t": several results fall into the cell "mse / svhn", which differ in protocol (native, matched); put it into rows or columns, or choose one by where: {protocol: ..}"#);
    let said =
        refused("{name: t, rows: [score], where: {set: mean, protocol: native, sweep.detector.network.width: 720}}");
    insta::assert_snapshot!(said, @r#"table "t": several results fall into the cell "mse", which differ in group (far, near); put it into rows or columns, or choose one by where: {group: ..}"#);
    let said = refused("{name: t, rows: [score], where: {protocol: matchd}}");
    insta::assert_snapshot!(said, @r#"table "t", where.protocol: expected one of native, matched, found matchd; did you mean "matched"?"#);
    let said = refused("{name: t, rows: [score], where: {set: isun, group: near}}");
    insta::assert_snapshot!(said, @r#"table "t": no row meets all of its conditions; without where.group there are group "far""#);
    let said = refused("{name: t, rows: [sweep.detector.network.widht]}");
    insta::assert_snapshot!(said, @r#"table "t": the results sweep no key "detector.network.widht"; they sweep detector.network.width; did you mean "detector.network.width"?"#);
    let said = refused("{name: t, rows: [set], metrics: [accuracy]}");
    insta::assert_snapshot!(said, @r#"table "t", metrics: accuracy was not computed; there are auroc, aupr_in, aupr_out, fpr95_id, fpr95_ood, ap_in"#);
    let said = refused("{name: t, rows: [set], published: {table: dlsr-table44}}");
    assert!(
        said.contains("there is no published table \"dlsr-table44\"; there are ")
            && said.contains("did you mean \"dlsr-table4\"?"),
        "{said}"
    );
    let mut twice = swept();
    twice.rows.push(twice.rows[0].clone());
    let place = "{name: t, rows: [score], where: {set: svhn, protocol: native, sweep.detector.network.width: 720}}";
    insta::assert_snapshot!(arrange(place, &twice).unwrap_err().to_string(), @r#"table "t": the results hold two rows for "mse", seed 0, that differ in no field"#);
    insta::assert_snapshot!(arrange(place, &Table::default()).unwrap_err().to_string(), @r#"table "t": the results have no rows"#);
}

#[test]
fn what_no_results_could_satisfy_is_refused_when_it_is_read() {
    let told = |text: &str| spec(text).check().unwrap_err();
    insta::assert_snapshot!(told("{name: a/b, rows: [set]}"), @r#"name: expected 1 to 64 letters, digits, -, _, ., + or =, found "a/b""#);
    insta::assert_snapshot!(told("{name: t, rows: []}"), @"rows: expected at least one field, as in rows: [score], found none");
    insta::assert_snapshot!(told("{name: t, rows: [set], columns: [score, set]}"), @"columns: expected each field once in rows and columns, found set twice");
    insta::assert_snapshot!(told("{name: t, rows: [set], metrics: []}"), @"metrics: expected at least one metric, as in metrics: [auroc], found none");
    insta::assert_snapshot!(told("{name: t, rows: [set], metrics: [auroc, auroc]}"), @"metrics: expected each metric once, found auroc twice");
    insta::assert_snapshot!(told("{name: t, rows: [set], where: {metric: auroc}}"), @"where.metric: the metrics are chosen by metrics: [auroc, fpr95_id]");
    insta::assert_snapshot!(told("{name: t, rows: [set], where: {set: []}}"), @"where.set: expected at least one value, found none");
    insta::assert_snapshot!(told("{name: t, rows: [set], decimals: 7}"), @"decimals: expected 0 to 6, found 7");
    let unread = |text: &str| serde_yaml::from_str::<TableSpec>(text).unwrap_err().to_string();
    insta::assert_snapshot!(unread("{name: t, rows: [scores]}"), @r#"rows: expected one of experiment, benchmark, id_set, protocol, group, set, detector, score, cell, seed, metric or sweep.<key>, found "scores"; did you mean "score"? at line 1 column 17"#);
    insta::assert_snapshot!(unread("{name: t, rows: [set], colums: [score]}"), @"unknown field `colums`, expected one of `name`, `caption`, `rows`, `columns`, `metrics`, `where`, `uncertainty`, `best`, `decimals`, `labels`, `published` at line 1 column 24");
}

#[test]
fn a_value_that_is_not_there_is_said_below() {
    let text = "{name: t, rows: [score], columns: [set], where: {set: [isun, mnist], protocol: native, sweep.detector.network.width: 720}}";
    let arranged = arrange(text, &swept()).unwrap();
    assert!(arranged.details.contains(&"Not in the results: OOD set mnist.".to_owned()), "{:?}", arranged.details);
}

#[test]
fn published_numbers_stand_beside_ours_with_the_reasons() {
    let config =
        "encoder: {network: efficientnet-lite0}\ndetector: {network: {width: 512, blocks: 16}, train: {epochs: 20}}\n";
    let run = RunAbout {
        detectors: vec![DetectorAbout { name: "dlsr".into(), ..DetectorAbout::default() }],
        sets: vec![SetAbout { role: "train".into(), images: 10_000, ..SetAbout::default() }],
        ..RunAbout::default()
    };
    let about = About { config: config.into(), runs: vec![run], ..About::default() };
    let text = "
name: ours
rows: [sweep.detector.network.width]
columns: [score]
metrics: [auroc]
where: {protocol: matched, set: mean, group: far}
published: {table: dlsr-table4, differs: [the sets are made up]}
";
    let arranged = spec(text).arrange(&swept(), &about, &Library::builtin()).unwrap();
    insta::assert_snapshot!("published_markdown", arranged.to_markdown());
    insta::assert_snapshot!("published_latex", arranged.to_latex());
    super::latex_is_sound(&arranged.to_latex());
    let csv = arranged.to_csv();
    assert!(csv.lines().nth(1).unwrap().contains(",0.8335,"), "{csv}");
    // Ours is taken in the published direction.
    let text = "
name: direction
rows: [score]
columns: [set]
metrics: [fpr95_ood]
where: {protocol: native, set: [svhn, isun], sweep.detector.network.width: 1440}
published: {table: dlsr-table5-cifar100}
";
    let arranged = spec(text).arrange(&swept(), &about, &Library::builtin()).unwrap();
    insta::assert_snapshot!("published_direction", arranged.to_markdown());
    // A mean over other sets than theirs is said to be one.
    let mean = text.replace("set: [svhn, isun]", "set: mean, group: far").replace("fpr95_ood", "fpr95_id");
    let details = spec(&mean).arrange(&swept(), &about, &Library::builtin()).unwrap().details.join(" ");
    let said = "mean over isun, svhn here, isun, lsun-c, lsun-r, places365, svhn, textures there";
    assert!(details.contains(said), "{details}");
    let none = text.replace("set: [svhn, isun]", "set: cifar10");
    let said = spec(&none).arrange(&swept(), &about, &Library::builtin()).unwrap_err().to_string();
    insta::assert_snapshot!(said, @r#"table "direction", published: dlsr-table5-cifar100 has no number for any cell of this table: it holds methods ASH-S, DICE, EBO, LR, MFsim, MSE, MSP, SimCLR+KNN, SimCLR+Maha; ID cifar100; sets isun, lsun-c, lsun-r, mean, places365, svhn, textures; metrics fpr95_id; match its names by methods: and sets:"#);
    let method = text.replace("dlsr-table5-cifar100}", "dlsr-table5-cifar100, methods: {mfsim: MFSim}}");
    let said = spec(&method).arrange(&swept(), &about, &Library::builtin()).unwrap_err().to_string();
    insta::assert_snapshot!(said, @r#"table "direction", published: dlsr-table5-cifar100 has no method "MFSim"; it has ASH-S, DICE, EBO, LR, MFsim, MSE, MSP, SimCLR+KNN, SimCLR+Maha; did you mean "MFsim"?"#);
}

#[test]
fn only_the_layers_of_a_published_bar_stand_beside_it() {
    let table = |sweep: bool| {
        let layers = if sweep { &["[1]", "[5]", "[1,2,3,4,5]"][..] } else { &[""] };
        let mut rows = Vec::new();
        for layers in layers {
            for (score, auroc) in [("mse", 0.5), ("mfsim", 0.6)] {
                for set in ["mnist", "svhn"] {
                    let mut row = super::row(0, score, set, "far", auroc);
                    row.detector = "dlsr".into();
                    row.cell = (*layers).into();
                    if sweep {
                        row.sweep = BTreeMap::from([("features.layers".into(), (*layers).into())]);
                    }
                    rows.push(row);
                }
            }
        }
        let mut table = Table::new(rows);
        table.group_means();
        table
    };
    let text = "
name: layers
rows: [sweep.features.layers]
columns: [score]
where: {set: mean, sweep.features.layers: ['[1]', '[5]', '[1, 2, 3, 4, 5]']}
best: none
published: {table: dlsr-figure5}
";
    let arranged = arrange(text, &table(true)).unwrap();
    let markdown = arranged.to_markdown();
    let lines: Vec<&str> = markdown.lines().filter(|line| line.starts_with("| [")).collect();
    assert_eq!(
        lines,
        [
            "| [1] | 50.00 | 60.00 |",
            "| [5] | 50.00 (94.46, −44.46) | 60.00 (93.84, −33.84) |",
            "| [1,2,3,4,5] | 50.00 (96.93, −46.93) | 60.00 (99.35, −39.35) |"
        ]
    );
    let said = "mean over mnist, svhn here, isun, lsun-c, lsun-r, places365, svhn, textures there";
    assert!(arranged.details.join(" ").contains(said), "{:?}", arranged.details);
    // Without a sweep the configuration says which: nothing there means every layer.
    let one = |config: &str, published: &str| {
        let text = format!("{{name: t, rows: [score], where: {{set: mean}}, published: {{table: {published}}}}}");
        let about = About { config: config.into(), ..About::default() };
        spec(&text).arrange(&table(false), &about, &Library::builtin()).map(|table| table.to_markdown())
    };
    for (config, value) in [("null", "96.93"), ("[1, 2, 3, 4, 5]", "96.93"), ("[5]", "94.46")] {
        let markdown = one(&format!("features: {{layers: {config}}}"), "dlsr-figure5").unwrap();
        assert!(markdown.contains(&format!("| mse | 50.00 ({value}, ")), "{config}: {markdown}");
    }
    let none = one("features: {layers: [1, 2]}", "dlsr-figure5").unwrap_err().to_string();
    assert!(none.contains("only with features.layers [5], features.layers [1,2,3,4,5] or all"), "{none}");
    let other = one("features: {layers: [1, 2]}", "dlsr-table3-cifar10").unwrap();
    assert!(
        other.contains("features.layers \\[1,2\\] here, ") || other.contains("features.layers [1,2] here, "),
        "{other}"
    );
}

#[test]
fn a_published_mean_over_unknown_sets_is_said_to_be_one() {
    let file = |over: &str| {
        format!(
            "{{title: t, source: {{name: n, reference: r, table: t}}, setting: {{id_set: cifar100, means_over: {over}}}, \
             methods: {{A: {{detector: dlsr, score: mse}}}}, blocks: [{{metrics: [auroc], values: {{A: {{mean: 90}}}}}}]}}"
        )
    };
    let details = |over: &str| {
        let text = "
name: t
rows: [score]
where: {set: mean, group: far, protocol: native, sweep.detector.network.width: 720}
published: {table: mine}
";
        let library = Library::builtin().with("mine", &file(over));
        spec(text).arrange(&swept(), &About::default(), &library).unwrap().details.join(" ")
    };
    let unknown = details("{}");
    assert!(unknown.contains("mean over isun, svhn here, over sets that are not given there"), "{unknown}");
    let other = details("{mean: [svhn, mnist]}");
    assert!(other.contains("mean over isun, svhn here, mnist, svhn there"), "{other}");
    let same = details("{mean: [svhn, isun]}");
    assert!(!same.contains("mean over isun"), "{same}");
}

#[test]
fn an_interval_over_seeds_is_not_said_to_be_of_the_mean() {
    let text = "{name: t, rows: [score], uncertainty: interval, where: {set: svhn, protocol: native, sweep.detector.network.width: 720}}";
    let several = arrange(text, &swept()).unwrap().notes.join(" ");
    let said = "of a single run, its ends averaged over n = 3 seeds (no interval of the mean)";
    assert!(several.contains(said), "{several}");
    let one = arrange(&text.replace("set: svhn", "set: svhn, seed: 0"), &swept()).unwrap().notes.join(" ");
    assert!(one.contains("the 95 % interval over images: DeLong's") && !one.contains("single run"), "{one}");
}

#[test]
fn the_best_is_marked_among_values_of_one_task() {
    let rows = [("svhn", 0.9), ("isun", 0.5)];
    let table = Table::new(
        rows.iter()
            .flat_map(|(set, base)| {
                [("a", 0.0), ("b", 0.01), ("c", 0.010_000_1)]
                    .map(|(score, lead)| super::row(0, score, set, "far", base + lead))
            })
            .collect(),
    );
    // Rows are sets: the scores of a row compete, and those that print the same win together.
    let down = arrange("{name: t, rows: [set], columns: [score]}", &table).unwrap().to_markdown();
    assert!(down.contains("| svhn | <u>90.00</u> | **91.00** | **91.00** |"), "{down}");
    let across =
        arrange("{name: t, rows: [score], columns: [set], metrics: [fpr95_id]}", &table).unwrap().to_markdown();
    assert!(across.contains("| c | **9.00** | **49.00** |") && across.contains("| a | <u>10.00</u> |"), "{across}");
    let none = arrange("{name: t, rows: [set], columns: [score], best: none}", &table).unwrap().to_markdown();
    assert!(!none.contains("**") && !none.contains("bold"), "{none}");
}

#[test]
fn published_methods_stand_as_lines_of_their_own() {
    let text = "
name: lines
rows: [score]
columns: [set]
metrics: [auroc, fpr95_id]
where: {protocol: native, set: [isun, svhn, mean], group: far, sweep.detector.network.width: 720}
labels: {EBO: energy}
published: {table: energy-cifar100, sets: {cifar100: cifar100}, lines: [MSP, Energy]}
";
    let arranged = spec(text).arrange(&swept(), &About::default(), &Library::builtin()).unwrap();
    insta::assert_snapshot!("published_lines", arranged.to_markdown());
    let csv = arranged.to_csv();
    let details = arranged.details.join(" ");
    assert!(details.contains("mean over isun, svhn here, isun, lsun-c,"), "{details}");
    assert!(csv.contains("\nMSP,svhn,auroc,,,,,,,,,,0.7144,\n"), "{csv}");
    super::latex_is_sound(&arranged.to_latex());
    let said =
        spec(&text.replace("rows: [score]\ncolumns: [set]", "rows: [set]\ncolumns: [score]")).check().unwrap_err();
    assert!(said.starts_with("published.lines: expected rows that are detectors"), "{said}");
    let said = spec(&text.replace("Energy]", "energy]")).arrange(&swept(), &About::default(), &Library::builtin());
    assert!(said.unwrap_err().to_string().contains("has no method \"energy\""));
}

#[test]
fn a_number_of_one_run_links_to_it() {
    let run = RunAbout { run: "k1".into(), ..RunAbout::default() };
    let about = About { runs: vec![run], ..About::default() };
    let one =
        "{name: t, rows: [score], where: {set: svhn, protocol: native, seed: 0, sweep.detector.network.width: 720}}";
    let html = |text: &str, about: &About| spec(text).arrange(&swept(), about, &Library::builtin()).unwrap().to_html();
    let linked = html(one, &about);
    assert_eq!(linked.matches("<a href=\"#run-k1\">").count(), 3, "{linked}");
    assert!(linked.contains("<td data-value=\"80\"><a href=\"#run-k1\">80.00</a></td>"), "{linked}");
    // A mean over seeds has no run of its own, and a run that the record does not have cannot be shown.
    assert!(!html(&one.replace("seed: 0, ", ""), &about).contains("<a "));
    assert!(!html(one, &About::default()).contains("<a "));
}

#[test]
fn every_form_of_data_holds_the_same_lines() {
    let text = TABLE4.replace("name:", "published: {table: dlsr-table4}\nuncertainty: interval\nname:");
    let about = About { config: "detector: {network: {blocks: 16}}".into(), ..About::default() };
    let published = spec(&text).arrange(&swept(), &about, &Library::builtin()).unwrap();
    assert!(published.to_csv().contains(",0.8335,"));
    for arranged in [published, arrange(GRID, &swept()).unwrap()] {
        let csv = arranged.to_csv();
        let header: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
        let json = arranged.to_json().unwrap();
        let objects: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
        let frame = ParquetReader::new(Cursor::new(arranged.to_parquet().unwrap())).finish().unwrap();
        assert_eq!(frame.get_column_names(), header);
        let lines: Vec<Vec<&str>> = csv.lines().skip(1).map(|line| line.split(',').collect()).collect();
        assert_eq!((objects.len(), frame.height()), (lines.len(), lines.len()));
        for (at, (line, object)) in lines.iter().zip(&objects).enumerate() {
            let shown: Vec<String> = header
                .iter()
                .map(|name| match &object[*name] {
                    serde_json::Value::Null => String::new(),
                    serde_json::Value::String(text) => text.clone(),
                    number => number.to_string(),
                })
                .collect();
            for ((name, text), shown) in header.iter().zip(line).zip(&shown) {
                let same = text == shown || text.parse::<f64>().ok() == shown.parse::<f64>().ok() && !shown.is_empty();
                assert!(same, "{name}: {text} in CSV, {shown} in JSON");
                let value = frame.column(name).unwrap().get(at).unwrap();
                match text.parse::<f64>() {
                    _ if text.is_empty() => assert!(value.is_null(), "{name}: {value}"),
                    Ok(number) if value.get_str().is_none() => {
                        assert_eq!(value.try_extract::<f64>().unwrap().to_bits(), number.to_bits(), "{name}");
                    }
                    _ => assert_eq!(value.get_str(), Some(*text), "{name}"),
                }
            }
        }
        // Objects keep the order of the columns.
        let places: Vec<usize> = header.iter().map(|name| json.find(&format!("\"{name}\":")).unwrap()).collect();
        assert!(places.is_sorted(), "{header:?}");
    }
}

proptest::proptest! {
    /// Names hold what they may: no markup is broken by them.
    #[test]
    fn no_name_breaks_a_table(
        names in proptest::collection::btree_set("[ -~é±−\\n\\t]{1,12}", 1..5),
        caption in "[ -~]{0,20}",
        score in "[ -~]{1,8}",
    ) {
        let rows: Vec<_> = names.iter().map(|name| super::row(0, &score, name, "far", 0.5)).collect();
        let table = Table::new(rows);
        let text = "{name: t, rows: [set, score], columns: [detector, metric], metrics: [auroc, fpr95_id]}";
        let spec = TableSpec { caption, ..spec(text) };
        let arranged = spec.arrange(&table, &About::default(), &Library::builtin()).unwrap();
        super::latex_is_sound(&arranged.to_latex());
        super::latex_is_sound(&table.to_latex());
        let html = arranged.to_html();
        for (open, close) in [("<th ", "</th>"), ("<td ", "</td>"), ("<p>", "</p>"), ("<tr>", "</tr>")] {
            proptest::prop_assert_eq!(html.matches(open).count(), html.matches(close).count());
        }
        // Headings of two levels with two stubs above, a line a name; in all of it no tag but ours.
        proptest::prop_assert_eq!(html.matches("</th>").count(), 2 + 1 + 2 + 2 * names.len());
        let lines = arranged.to_markdown();
        let lines: Vec<&str> = lines.lines().filter(|line| line.starts_with("| ")).collect();
        proptest::prop_assert_eq!(lines.len(), names.len() + 1);
        for line in lines {
            let plain = line.replace("\\\\", "").replace("\\|", "");
            proptest::prop_assert_eq!(plain.matches('|').count(), 5);
        }
        let csv = arranged.to_csv();
        let frame = CsvReadOptions::default()
            .with_infer_schema_length(Some(0))
            .into_reader_with_file_handle(Cursor::new(csv.as_bytes()))
            .finish()
            .unwrap();
        proptest::prop_assert_eq!(frame.height(), 2 * names.len());
        let sets: std::collections::BTreeSet<String> =
            frame.column("set").unwrap().str().unwrap().iter().flatten().map(str::to_owned).collect();
        proptest::prop_assert_eq!(sets, names);
    }
}

/// The experiment files in the documentation, as far as tables go.
fn documented() -> Vec<Vec<TableSpec>> {
    #[derive(serde::Deserialize)]
    struct Section {
        tables: Vec<TableSpec>,
    }
    let text = include_str!("../../../../docs/tables.md");
    let blocks = text.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.map(|block| serde_yaml::from_str::<Section>(block).unwrap().tables).collect()
}

#[test]
fn the_examples_of_the_documentation_hold() {
    let documented = documented();
    assert_eq!(documented.iter().map(Vec::len).collect::<Vec<_>>(), [1, 9, 1]);
    for spec in documented.iter().flatten() {
        assert_eq!(spec.check(), Ok(()));
    }
    // The first gives the table that stands below it.
    let markdown = documented[0][0].arrange(&swept(), &About::default(), &Library::builtin()).unwrap().to_markdown();
    let text = include_str!("../../../../docs/tables.md");
    for line in markdown.lines().filter(|line| line.starts_with('|')) {
        assert!(text.contains(&line.replace(" (n = 2)", "")), "{line}");
    }
    for name in Library::builtin().names() {
        assert!(text.contains(&format!("| `{name}` | ")), "{name} is not in docs/tables.md");
    }
}
