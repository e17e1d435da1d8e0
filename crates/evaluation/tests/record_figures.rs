//! Figures drawn from a record: names, contents, what is refused, and extremes.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::collections::BTreeMap;

use oodlab_base::Seed;
use oodlab_evaluation::figures::{FigureError, FigureKind, FigureSpec, NamedFigure, contact_sheet_samples, draw};
use oodlab_evaluation::record::{CurveAbout, DetectorAbout, PointCloud, RunAbout, Thumbnail};
use oodlab_evaluation::{FprRule, Record, Row, Table, evaluate};
use serde_json::{Value, json};

/// What a made experiment has.
struct Shape<'a> {
    /// Detector and score.
    scores: Vec<(&'a str, &'a str)>,
    sets: Vec<&'a str>,
    seeds: u64,
    /// Swept keys and their values.
    sweep: Vec<(&'a str, Vec<&'a str>)>,
    /// Samples of each set.
    samples: usize,
}

impl Default for Shape<'_> {
    fn default() -> Self {
        Shape {
            scores: vec![("dlsr", "mse"), ("dlsr", "mfsim"), ("mean-distance", "mean-distance")],
            sets: vec!["mnist", "textures"],
            seeds: 1,
            sweep: Vec::new(),
            samples: 200,
        }
    }
}

fn cells(sweep: &[(&str, Vec<&str>)]) -> Vec<BTreeMap<String, String>> {
    sweep.iter().fold(vec![BTreeMap::new()], |cells, (key, values)| {
        let with = |cell: &BTreeMap<String, String>, value: &str| {
            let mut cell = cell.clone();
            cell.insert((*key).to_owned(), value.to_owned());
            cell
        };
        cells.iter().flat_map(|cell| values.iter().map(|value| with(cell, value)).collect::<Vec<_>>()).collect()
    })
}

/// A record in which the k-th set lies k + 1 deviations from ID, less for later scores, more for later cells.
fn record(shape: &Shape<'_>) -> Record {
    let mut record = Record::default();
    let mut rows = Vec::new();
    for (number, sweep) in cells(&shape.sweep).into_iter().enumerate() {
        let cell = sweep.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
        for seed in 0..shape.seeds {
            let run = format!("run{number}x{seed}");
            for (place, (detector, score)) in shape.scores.iter().enumerate() {
                let draw = |set: usize, shift: f64| -> Vec<f64> {
                    let stream = Seed(seed).stream(&format!("{cell} {place} {set}"));
                    (0..shape.samples as u64).map(|at| 4.0 + shift + f64::from(stream.normal(at))).collect()
                };
                let id = draw(0, 0.0);
                let mut push = |protocol: &str, set: &str, is_ood: bool, values: &[f64]| {
                    for (index, value) in (0..).zip(values) {
                        let id = format!("{set}/{index}");
                        record.scores.push(&cell, seed, detector, score, protocol, set, is_ood, index, &id, *value);
                    }
                };
                push("", "cifar10", false, &id);
                for (k, set) in shape.sets.iter().enumerate() {
                    let shift = (1.0 + k as f64 + 0.3 * number as f64) / (1.0 + 0.4 * place as f64);
                    let ood = draw(k + 1, shift);
                    push("native", set, true, &ood);
                    let row = Row {
                        cell: cell.clone(),
                        seed,
                        detector: (*detector).to_owned(),
                        score: (*score).to_owned(),
                        benchmark: "small".to_owned(),
                        protocol: "native".to_owned(),
                        id_set: "cifar10".to_owned(),
                        ood_set: (*set).to_owned(),
                        group: "far".to_owned(),
                        run: run.clone(),
                        sweep: sweep.clone(),
                        ..Row::default()
                    };
                    rows.push(row.with_metrics(&evaluate(&id, &ood, FprRule::FirstAtLeast).unwrap()));
                }
            }
            let control = DetectorAbout { name: "mean-distance".into(), control: true, ..DetectorAbout::default() };
            let points = (1..=30).map(|epoch| (f64::from(epoch), 1.0 / f64::from(epoch))).collect();
            let loss = CurveAbout {
                detector: "dlsr".into(),
                name: "loss".into(),
                x_label: "epoch".into(),
                y_label: "training loss".into(),
                points,
            };
            let about = RunAbout {
                run,
                cell: cell.clone(),
                sweep: sweep.clone(),
                seed,
                id_set: "cifar10".into(),
                detectors: vec![control],
                curves: vec![loss],
                ..RunAbout::default()
            };
            record.about.runs.push(about);
        }
    }
    record.table = Table::new(rows);
    record.table.group_means();
    record
}

fn spec(value: Value) -> FigureSpec {
    serde_json::from_value(value).unwrap()
}

fn drawn(record: &Record, value: Value) -> Vec<NamedFigure> {
    draw(record, &[spec(value)]).unwrap()
}

fn refused(record: &Record, value: Value) -> String {
    draw(record, &[spec(value)]).unwrap_err().to_string()
}

fn names(figures: &[NamedFigure]) -> Vec<&str> {
    figures.iter().map(|figure| figure.name.as_str()).collect()
}

/// Renders each figure, which parses its SVG; with `OODLAB_KEEP_FIGURES` the pictures are left there to be looked at.
fn rendered(prefix: &str, figures: &[NamedFigure]) {
    let keep = std::env::var_os("OODLAB_KEEP_FIGURES");
    for figure in figures {
        let png = figure.figure.to_png(1.0).unwrap();
        let svg = &figure.figure.svg;
        assert!(svg.contains(" role=\"img\">\n<title>") && svg.contains("</desc>"), "{}", figure.name);
        assert!(!figure.description.is_empty() && figure.description.ends_with('.'), "{}", figure.description);
        assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{}", figure.name);
        if let Some(folder) = &keep {
            std::fs::write(std::path::Path::new(folder).join(format!("{prefix}{}.png", figure.name)), png).unwrap();
        }
    }
}

/// What is written in a figure: lines that were broken are joined.
fn words(figure: &NamedFigure) -> String {
    let svg = &figure.figure.svg;
    let drawn = svg.split_once("</desc>").map_or("", |(_, drawn)| drawn);
    let texts = drawn.split("<text ").skip(1).filter_map(|text| text.split_once('>')?.1.split_once('<'));
    texts.map(|(text, _)| text.trim()).collect::<Vec<_>>().join(" ")
}

/// Solid strokes of a colour: a curve, or its swatch in the legend or a panel.
fn strokes(figure: &NamedFigure, colour: &str) -> usize {
    figure.figure.svg.matches(&format!("stroke=\"{colour}\"")).count()
}

const BLUE: &str = "#0072B2";

#[test]
fn standing_figures_keep_their_names() {
    let one = record(&Shape::default());
    let figures = draw(&one, &FigureSpec::standing(&one)).unwrap();
    rendered("standing-", &figures);
    assert_eq!(
        names(&figures),
        ["roc-native", "histogram-mse-native", "histogram-mfsim-native", "histogram-mean-distance-native", "loss-dlsr"]
    );
    assert!(figures[0].figure.svg.contains("mean-distance (control)"));
    assert!(figures[0].description.contains("AUROC in percent: mnist: mse "));
    assert_eq!(figures[0].title, "ROC, cifar10 against each set, protocol native");
    // Many runs: only the sweep.
    let swept =
        record(&Shape { sweep: vec![("width", vec!["8", "16", "32", "64", "128", "256", "512"])], ..Shape::default() });
    let figures = draw(&swept, &FigureSpec::standing(&swept)).unwrap();
    assert_eq!(names(&figures), ["sweep-auroc-small-far-of-2-native", "sweep-fpr95_id-small-far-of-2-native"]);
    let two = record(&Shape {
        sweep: vec![("width", vec!["8", "16", "32"]), ("depth", vec!["1", "2", "3"])],
        ..Shape::default()
    });
    let figures = draw(&two, &FigureSpec::standing(&two)).unwrap();
    assert_eq!(figures.len(), 2 * 3);
    assert_eq!(figures[0].name, "heatmap-auroc-mse-small-far-of-2-native");
    rendered("standing-", &figures);
    assert!(FigureSpec::standing(&Record::default()).is_empty());
}

#[test]
fn runs_are_told_apart_by_their_key() {
    let seeds = record(&Shape { seeds: 2, ..Shape::default() });
    let figures = drawn(&seeds, json!({"kind": "roc"}));
    assert_eq!(names(&figures), ["roc-native-run0x0", "roc-native-run0x1"]);
    assert!(figures[1].title.ends_with("protocol native, seed 1"));
    let one = drawn(&seeds, json!({"kind": "roc", "name": "first", "title": "First", "where": {"seed": 0}}));
    assert_eq!((names(&one), one[0].title.as_str()), (vec!["first"], "First"));
    let all = drawn(&seeds, json!({"kind": "roc", "name": "all", "title": "All"}));
    assert_eq!(names(&all), ["all-native-run0x0", "all-native-run0x1"]);
    assert_eq!(all[0].title, "All, protocol native, seed 0");
    let specs = [
        spec(json!({"kind": "loss", "name": "x", "where": {"seed": 0}})),
        spec(json!({"kind": "loss", "name": "x", "where": {"seed": 1}})),
    ];
    assert_eq!(names(&draw(&seeds, &specs).unwrap()), ["x", "x-2"]);
}

#[test]
fn curves_have_bands_where_they_are_asked_for() {
    let record = record(&Shape::default());
    let plain = drawn(&record, json!({"kind": "roc"}));
    let banded = drawn(&record, json!({"kind": "roc", "bands": true}));
    // One band a curve: three scores on two sets.
    let polygons = |figure: &NamedFigure| figure.figure.svg.matches("<polygon").count();
    assert_eq!(polygons(&banded[0]) - polygons(&plain[0]), 6);
    assert!(banded[0].figure.svg.contains("400 stratified bootstrap replicates"));
    // Legend, and two panels with the curve and its key.
    assert_eq!(strokes(&plain[0], BLUE), 5);
    let both = drawn(&record, json!({"kind": "pr", "bands": true}));
    assert_eq!(names(&both), ["pr-out-native", "pr-in-native"]);
    assert_eq!(polygons(&both[0]), 6);
    assert!(both[0].figure.svg.contains("OOD positive; numbers: AUPR by trapezoids in percent"));
    let aupr = record.table.rows[0].aupr_in * 100.0;
    assert!(both[1].figure.svg.contains(&format!("\n{aupr:.2}\n")), "{aupr:.2}");
    let one = drawn(&record, json!({"kind": "pr", "positive": "id", "where": {"set": "mnist", "score": ["mse"]}}));
    assert_eq!((names(&one), strokes(&one[0], BLUE)), (vec!["pr-in-native"], 3));
    rendered("curves-", &[banded, both, one].concat());
}

#[test]
fn densities_show_every_set_on_one_axis() {
    let record = record(&Shape::default());
    let figures = drawn(&record, json!({"kind": "density", "where": {"score": "mse"}}));
    assert_eq!(names(&figures), ["density-mse-native"]);
    let svg = &figures[0].figure.svg;
    assert!(svg.contains("cifar10 (in-distribution)") && svg.contains("Silverman"));
    assert_eq!(strokes(&figures[0], BLUE), 2);
    rendered("density-", &figures);
}

#[test]
fn sweeps_have_a_line_a_score_and_intervals() {
    let sweep = vec![("start", vec!["1", "10", "50", "200"])];
    let seeds = record(&Shape { seeds: 3, sweep: sweep.clone(), ..Shape::default() });
    let figures = drawn(&seeds, json!({"kind": "sweep", "metrics": ["auroc", "aupr_out"], "of": "groups"}));
    assert_eq!(names(&figures), ["sweep-auroc-small-far-of-2-native", "sweep-aupr_out-small-far-of-2-native"]);
    assert!(figures[0].figure.svg.contains("bars: standard deviation over 3 seeds"));
    assert!(figures[0].description.contains("mse: ") && figures[0].description.contains(" ± "));
    let one = record(&Shape { sweep, ..Shape::default() });
    let sets = drawn(&one, json!({"kind": "sweep", "metrics": ["auroc"], "where": {"set": "mnist"}}));
    assert_eq!(names(&sets), ["sweep-auroc-small-mnist-native"]);
    assert!(sets[0].figure.svg.contains("95 % interval (DeLong"));
    // A curve, its swatch, and four intervals of three strokes.
    assert_eq!(strokes(&sets[0], BLUE), 2 + 12);
    let named = record(&Shape { sweep: vec![("encoder", vec!["lite0", "b0", "b4"])], ..Shape::default() });
    let named = drawn(&named, json!({"kind": "sweep", "metrics": ["fpr95_id"]}));
    assert!(named[0].figure.svg.contains("lite0") && named[0].figure.svg.contains("share of OOD accepted when 95 %"));
    rendered("sweep-", &[figures, sets, named].concat());
    // Of two swept keys the other one parts the lines.
    let two = record(&Shape { sweep: vec![("a", vec!["1", "2"]), ("b", vec!["x", "y"])], ..Shape::default() });
    let lines = drawn(&two, json!({"kind": "sweep", "key": "a", "metrics": ["auroc"]}));
    assert!(lines[0].figure.svg.contains("mse, b=x") && lines[0].figure.svg.contains("mse, b=y"));
    let chosen =
        drawn(&two, json!({"kind": "sweep", "key": "a", "metrics": ["auroc"], "where": {"sweep": {"b": "x"}}}));
    assert!(!chosen[0].figure.svg.contains("b=x"));
    assert!(refused(&two, json!({"kind": "sweep"})).ends_with("say which is meant with `key` (swept: a, b)"));
    assert!(refused(&two, json!({"kind": "sweep", "key": "c"})).contains("the swept key \"c\"; swept are: a, b"));
    let accuracy = refused(&two, json!({"kind": "sweep", "key": "a", "metrics": ["accuracy"]}));
    assert!(accuracy.contains("that have accuracy"), "{accuracy}");
}

#[test]
fn heat_maps_write_each_cell() {
    let sweep = vec![("start", vec!["1", "10", "50"]), ("eta", vec!["0", "0.5", "1"])];
    let two = record(&Shape { sweep: sweep.clone(), ..Shape::default() });
    let figures = drawn(&two, json!({"kind": "heatmap", "where": {"score": "mse"}}));
    assert_eq!(names(&figures), ["heatmap-auroc-mse-small-far-of-2-native"]);
    let mean = two.table.rows.iter().find(|row| row.mean_of().is_some() && row.score == "mse").unwrap().auroc * 100.0;
    assert!(figures[0].figure.svg.contains(&format!("\n{mean:.2}\n")));
    assert!(figures[0].description.contains("Best: "));
    let turned = drawn(&two, json!({"kind": "heatmap", "x": "start", "of": "sets", "metrics": ["fpr95_ood"]}));
    assert_eq!(turned.len(), 2 * 3);
    rendered("heatmap-", &[figures, turned[..1].to_vec()].concat());
    let three = record(&Shape { sweep: [sweep, vec![("c", vec!["u", "v"])]].concat(), ..Shape::default() });
    assert!(refused(&three, json!({"kind": "heatmap"})).contains("say which are meant with `x` and `y`"));
    let open = refused(&three, json!({"kind": "heatmap", "x": "start", "y": "eta"}));
    assert!(open.contains("`where: {sweep: {c: ..}}`"), "{open}");
    let chosen = json!({"kind": "heatmap", "x": "start", "y": "eta", "where": {"sweep": {"c": "u"}}});
    assert_eq!(drawn(&three, chosen).len(), 3);
}

#[test]
fn bars_set_side_by_side_what_is_asked_for() {
    let layers = record(&Shape { sweep: vec![("layers", vec!["single", "multi"])], seeds: 2, ..Shape::default() });
    let figure = json!({"kind": "bars", "x": "set", "series": "sweep.layers", "where": {"score": "mfsim"}});
    let figures = drawn(&layers, figure);
    assert_eq!(names(&figures), ["bars-auroc-small-native"]);
    let svg = &figures[0].figure.svg;
    assert!(svg.contains("whiskers: standard deviation over 2 seeds") && svg.contains("multi"));
    // The first set's group stands first.
    assert!(svg.find("mnist") < svg.find("textures"));
    let groups = drawn(&layers, json!({"kind": "bars", "x": "group", "metrics": ["auroc", "fpr95_id"]}));
    // A figure a metric and layer.
    assert_eq!(groups.len(), 4);
    assert_eq!(groups[0].name, "bars-auroc-small-multi-native");
    let by_score = drawn(&layers, json!({"kind": "bars", "x": "sweep.layers", "where": {"set": "mnist"}}));
    assert_eq!(names(&by_score), ["bars-auroc-small-far--mnist--native"]);
    rendered("bars-", &[figures, groups[..1].to_vec(), by_score].concat());
    assert!(refused(&layers, json!({"kind": "bars", "x": "sweep.width"})).contains("swept are: layers"));
    // A list whose cells name their detectors: the name tells the cell, and all stand in one figure.
    let mut named = layers;
    for row in &mut named.table.rows {
        row.detector = format!("{}-{}", row.detector, row.sweep["layers"]);
    }
    let by_name = json!({"kind": "bars", "x": "detector", "series": "group", "where": {"score": "mse"}});
    assert_eq!(names(&drawn(&named, by_name)), ["bars-auroc-small-mse-native"]);
}

#[test]
fn swept_keys_are_named_by_their_last_parts() {
    let sweep = vec![("detector.network.width", vec!["8", "16"]), ("features.layers", vec!["[1]", "[2]"])];
    let record = record(&Shape { sweep, ..Shape::default() });
    let bars = json!({"kind": "bars", "series": "sweep.features.layers", "where": {"score": "mse"}});
    let bars = drawn(&record, bars);
    assert!(words(&bars[0]).contains(" features.layers: [1] [2] "), "{}", words(&bars[0]));
    let long = json!({"kind": "bars", "x": "sweep.detector.network.width", "series": "set", "where": {"score": "mse"}});
    let long = drawn(&record, long);
    assert!(words(&long[0]).contains(" network.width ") && !words(&long[0]).contains("detector.network"));
    assert!(long[0].description.contains("by detector.network.width."), "{}", long[0].description);
    let heatmap = drawn(&record, json!({"kind": "heatmap", "where": {"score": "mse"}}));
    assert!(words(&heatmap[0]).contains("network.width") && !words(&heatmap[0]).contains("detector.network"));
    assert!(heatmap[0].description.contains("over detector.network.width and features.layers"));
    let sweep = drawn(&record, json!({"kind": "sweep", "key": "features.layers", "where": {"score": "mse"}}));
    assert!(words(&sweep[0]).contains("mse, network.width=8") && !words(&sweep[0]).contains("detector.network"));
    rendered("keys-", &[bars, long, heatmap, sweep].concat());
    let alike = vec![("a.network.width", vec!["8", "16"]), ("b.network.width", vec!["1", "2"])];
    let alike = self::record(&Shape { sweep: alike, ..Shape::default() });
    let heatmap = drawn(&alike, json!({"kind": "heatmap", "where": {"score": "mse"}}));
    assert!(words(&heatmap[0]).contains("a.network.width") && words(&heatmap[0]).contains("b.network.width"));
}

#[test]
fn figures_of_fpr95_state_the_rule() {
    let sweep = vec![("start", vec!["1", "10"]), ("eta", vec!["0", "1"])];
    let mut record = record(&Shape { sweep, ..Shape::default() });
    let specs = [
        json!({"kind": "bars", "metrics": ["fpr95_id"], "where": {"score": "mse"}}),
        json!({"kind": "sweep", "key": "start", "metrics": ["fpr95_ood"], "of": "sets"}),
        json!({"kind": "heatmap", "metrics": ["fpr95_id"], "of": "sets"}),
    ];
    let prints = |record: &Record, spec: &Value, text: &str| {
        drawn(record, spec.clone()).iter().filter(|figure| words(figure).contains(text)).count()
    };
    for spec in &specs {
        let all = drawn(&record, spec.clone()).len();
        assert_eq!(prints(&record, spec, "; rule first-at-least"), all, "{spec}");
    }
    assert_eq!(prints(&record, &json!({"kind": "bars"}), "rule"), 0);
    let mnist = record.table.rows.iter_mut().filter(|row| row.ood_set == "mnist");
    mnist.for_each(|row| row.rule = "nearest".to_owned());
    record.table.rows.retain(|row| row.mean_of().is_none());
    record.table.group_means();
    let several = "; rows of several rules: first-at-least, nearest";
    assert_eq!(prints(&record, &specs[0], several), drawn(&record, specs[0].clone()).len());
    // Means over sets of different rules.
    let means = json!({"kind": "heatmap", "metrics": ["fpr95_id"]});
    assert_eq!(prints(&record, &means, "; rows of several rules"), 3);
}

#[test]
fn steps_and_layers_are_found_by_the_names_of_scores() {
    let scores = vec![
        ("dlsr", "mse-t0"),
        ("dlsr", "mse-t100"),
        ("dlsr", "mse-t20"),
        ("dlsr", "mfsim-layer1"),
        ("dlsr", "mfsim-layer2"),
        ("dlsr", "mfsim-layer10"),
        ("dlsr", "mse"),
    ];
    let record = record(&Shape { scores, ..Shape::default() });
    let steps = drawn(&record, json!({"kind": "steps"}));
    assert_eq!(names(&steps), ["steps-mse-native"]);
    // Numbers in their order, not as texts.
    let at = |text: &str| steps[0].description.find(text).unwrap();
    assert!(at("at 0,") < at("at 20,") && at("at 20,") < at("at 100"));
    let layers = drawn(&record, json!({"kind": "layers", "score": "mfsim"}));
    assert_eq!(names(&layers), ["layers-mfsim-native"]);
    // Two classes, two sets, three layers: a median each.
    let swatches = 2;
    assert_eq!(layers[0].figure.svg.matches("stroke-width=\"18\"").count() - swatches, 12);
    rendered("places-", &[steps, layers].concat());
    let error = refused(&record, json!({"kind": "layers", "score": "mse"}));
    assert!(error.contains("add the score `mse: {layers: [1, 2, 3]}`"), "{error}");
    let error = refused(&self::record(&Shape::default()), json!({"kind": "steps"}));
    assert_eq!(
        error,
        "figure steps: the record has not got scores at steps, such as mse-t10; add the score `mse: {steps: all}` to the detector's \
         `scores`"
    );
}

fn cloud(view: &str, run: &str) -> PointCloud {
    let stream = Seed(1).stream("cloud");
    let mut cloud = PointCloud {
        view: view.to_owned(),
        run: run.to_owned(),
        protocol: "native".to_owned(),
        axes: ["first component, 31 % of the variance".to_owned(), "second component, 12 % of the variance".to_owned()],
        ..PointCloud::default()
    };
    for (number, set) in ["cifar10", "mnist", "textures", "svhn", "places365", "lsun"].into_iter().enumerate() {
        for at in 0..150u64 {
            let place = |axis: u64| f64::from(stream.normal(2 * (at + 1000 * number as u64) + axis));
            cloud.sets.push(set.to_owned());
            cloud.is_ood.push(number > 0);
            cloud.points.push([place(0) + 2.0 * number as f64, place(1) - (number as f64 - 2.0).powi(2)]);
        }
    }
    cloud
}

#[test]
fn projections_show_each_set() {
    let mut record = record(&Shape::default());
    let error = refused(&record, json!({"kind": "projection", "view": "tsne"}));
    assert!(error.contains("points of the view \"tsne\"") && error.ends_with("run it again"), "{error}");
    record.points = vec![cloud("pca", "run0x0"), cloud("tsne", "run0x0")];
    let pca = drawn(&record, json!({"kind": "projection"}));
    let tsne = drawn(&record, json!({"kind": "projection", "view": "tsne", "where": {"set": ["mnist", "lsun"]}}));
    assert_eq!((names(&pca), names(&tsne)), (vec!["projection-pca-native"], vec!["projection-tsne-native"]));
    assert!(pca[0].figure.svg.contains("31 % of the variance"));
    // ID's dots and its swatch.
    assert_eq!(pca[0].figure.svg.matches("fill=\"#6B7F99\"").count(), 151);
    assert!(tsne[0].description.contains("150 cifar10, 150 mnist and 150 lsun"));
    rendered("points-", &[pca, tsne].concat());
}

/// A picture of four pixels.
fn png() -> Vec<u8> {
    use resvg::tiny_skia::{Color, Pixmap};
    let mut picture = Pixmap::new(8, 8).unwrap();
    picture.fill(Color::from_rgba8(200, 80, 40, 255));
    picture.pixels_mut()[0] = Color::BLACK.premultiply().to_color_u8();
    picture.encode_png().unwrap()
}

#[test]
fn contact_sheets_show_the_samples_they_ask_for() {
    let mut record = record(&Shape::default());
    let sheet = json!({"kind": "contact-sheet", "most": 3, "least": 2, "where": {"score": "mse"}});
    assert!(refused(&record, sheet.clone()).contains("pictures of the samples; a run writes them"));
    let samples = contact_sheet_samples(&record, &spec(sheet.clone()));
    assert_eq!(samples.keys().collect::<Vec<_>>(), ["cifar10", "mnist", "textures"]);
    assert!(samples.values().all(|indices| indices.len() == 5));
    // The highest of all is among them.
    let blocks = record.scores.blocks();
    let mnist = blocks.iter().find(|block| block.set == "mnist" && block.score == "mse").unwrap();
    let highest = (0..200).max_by(|a, b| mnist.values[*a].total_cmp(&mnist.values[*b])).unwrap();
    assert!(samples["mnist"].contains(&(highest as u32)));
    record.thumbnails = samples
        .iter()
        .flat_map(|(set, indices)| indices.iter().map(move |index| (set, index)))
        .skip(1)
        .map(|(set, index)| Thumbnail { set: set.clone(), index: *index, png: png() })
        .collect();
    let figures = drawn(&record, sheet);
    assert_eq!(names(&figures), ["contact-sheet-mse-native"]);
    let svg = &figures[0].figure.svg;
    assert_eq!(svg.matches("<image ").count(), 14);
    assert!(svg.contains("image-rendering:pixelated") && svg.contains("cifar10 (in-distribution)"));
    // The pictures are painted in the PNG as well.
    record.thumbnails.truncate(1);
    let fewer = drawn(&record, json!({"kind": "contact-sheet", "most": 3, "least": 2, "where": {"score": "mse"}}));
    assert_ne!(figures[0].figure.to_png(1.0).unwrap(), fewer[0].figure.to_png(1.0).unwrap());
    rendered("sheet-", &figures);
    assert!(contact_sheet_samples(&record, &FigureSpec::from(FigureKind::Roc(Default::default()))).is_empty());
}

#[test]
fn a_record_without_the_data_says_what_is_missing() {
    let empty = Record::default();
    for kind in FigureKind::NAMES {
        let error = draw(&empty, &[spec(json!({ "kind": kind }))]).unwrap_err();
        assert!(matches!(error, FigureError::Missing { .. }), "{kind}: {error}");
    }
    let record = record(&Shape::default());
    assert_eq!(
        refused(&record, json!({"kind": "roc", "where": {"protocol": "matched"}})),
        "figure roc: the record has not got anything that `where` leaves"
    );
    assert!(
        refused(&record, json!({"kind": "sweep"}))
            .contains("one swept key; say which is meant with `key` (swept: none)")
    );
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let record = record(&Shape { samples: 80, ..Shape::default() });
    let specs =
        [json!({"kind": "roc", "bands": true}), json!({"kind": "pr", "bands": true}), json!({"kind": "density"})]
            .map(spec);
    let make = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| draw(&record, &specs).unwrap())
    };
    assert_eq!(make(1), make(2));
}

#[test]
fn extremes_are_drawn() {
    let long = "a-very-long-name-of-a-data-set-that-somebody-has-given-it-in-their-own-manifest";
    let sets: Vec<String> =
        (0..12).map(|k| if k % 3 == 0 { format!("{long}-{k}") } else { format!("set{k}") }).collect();
    let scores: Vec<String> =
        (0..10).map(|k| if k % 4 == 1 { format!("{long}{k}") } else { format!("score{k}") }).collect();
    let many = record(&Shape {
        scores: scores.iter().map(|score| ("dlsr", score.as_str())).collect(),
        sets: sets.iter().map(String::as_str).collect(),
        sweep: vec![("detector.network.layers-of-the-encoder", vec!["single", long])],
        samples: 40,
        ..Shape::default()
    });
    let one_score = json!({"score": ["score0"], "sweep": {"detector.network.layers-of-the-encoder": "single"}});
    let one_cell = json!({"sweep": {"detector.network.layers-of-the-encoder": "single"}});
    for figure in [
        json!({"kind": "roc", "bands": true, "where": one_cell}),
        json!({"kind": "histogram", "where": one_score}),
        json!({"kind": "density", "where": one_score}),
        json!({"kind": "bars", "where": one_cell}),
        json!({"kind": "bars", "name": "bars-sets", "x": "score", "series": "set", "where": one_cell}),
        json!({"kind": "sweep", "metrics": ["auroc"]}),
    ] {
        rendered("many-", &drawn(&many, figure));
    }
    // One sample, equal scores, and infinite ones.
    for (name, values) in
        [("one", vec![1.0]), ("equal", vec![2.0; 5]), ("infinite", vec![f64::NEG_INFINITY, 0.0, 1.0, f64::INFINITY])]
    {
        let mut record = Record::default();
        for score in ["mse", "mse-t1", "mse-t2", "mfsim-layer1"] {
            for (set, is_ood) in [("id", false), ("ood", true)] {
                for (index, value) in (0..).zip(&values) {
                    record.scores.push(
                        "",
                        0,
                        "dlsr",
                        score,
                        if is_ood { "native" } else { "" },
                        set,
                        is_ood,
                        index,
                        "x",
                        *value,
                    );
                }
            }
        }
        record.thumbnails = vec![Thumbnail { set: "id".into(), index: 0, png: png() }];
        for kind in ["roc", "pr", "histogram", "density", "steps", "layers", "contact-sheet"] {
            rendered(&format!("{name}-"), &drawn(&record, json!({"kind": kind, "bands": true}).tap(kind)));
        }
    }
}

#[test]
fn sections_in_the_documentation_are_read() {
    let page = include_str!("../../../docs/figures.md");
    let mut kinds: Vec<&str> = Vec::new();
    for line in page.lines().map(str::trim_start).filter(|line| line.starts_with("- {kind:")) {
        let specs: Vec<FigureSpec> = serde_yaml::from_str(line).unwrap();
        kinds.extend(specs.iter().map(|spec| spec.kind.name()));
    }
    for kind in FigureKind::NAMES {
        assert!(kinds.contains(&kind) && page.contains(&format!("## {kind}\n")), "{kind}");
        assert!(page.contains(&format!("(figures/{kind}.png)")), "{kind}");
    }
}

/// Only curves have bands.
trait Tap {
    fn tap(self, kind: &str) -> Value;
}

impl Tap for Value {
    fn tap(mut self, kind: &str) -> Value {
        if !["roc", "pr"].contains(&kind) {
            self.as_object_mut().unwrap().remove("bands");
        }
        self
    }
}
