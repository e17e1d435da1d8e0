//! Figures: the same bytes every time, readable PNG, no figure of nothing.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use oodlab_evaluation::Counts;
use oodlab_evaluation::figures::{
    Figure, FigureError, HistogramPanel, LineChart, LinePoint, LineSeries, RocPanel, RocSeries, histogram_figure,
    line_figure, loss_figure, loss_figure_with, roc_figure,
};

/// Scores that look like scores: a sum of four uniforms, from a fixed generator.
fn scores(seed: u64, n: usize, shift: f64) -> Vec<f64> {
    let mut state = seed;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..n).map(|_| (0..4).map(|_| uniform()).sum::<f64>() + shift).collect()
}

const SETS: [(&str, f64); 7] = [
    ("fashion-mnist", 1.4),
    ("mnist", 2.2),
    ("kmnist", 1.8),
    ("notmnist", 1.1),
    ("omniglot", 3.0),
    ("textures", 0.5),
    ("tiny-imagenet", -0.15),
];

fn roc() -> Figure {
    let id = scores(1, 2000, 0.0);
    let panels: Vec<RocPanel> = SETS
        .iter()
        .zip(2..)
        .map(|((set, shift), seed)| RocPanel {
            title: (*set).to_owned(),
            series: ["dlsr mse", "dlsr likelihood_regret", "dlsr mfsim", "dlsr mfsim (skip_first)", "mean-distance"]
                .iter()
                .zip([1.0, 0.8, 0.55, 0.3, 0.9])
                .map(|(name, factor)| {
                    let counts = Counts::new(&id, &scores(seed, 1500, shift * factor)).unwrap();
                    let series = RocSeries::new(*name, &counts);
                    if *name == "mean-distance" { series.control() } else { series }
                })
                .collect(),
        })
        .collect();
    roc_figure("cifar10-far, protocol native: ROC", &panels).unwrap()
}

/// Sets so far out that all curves hug the corner.
fn roc_far() -> Figure {
    let id = scores(1, 300, 0.0);
    let panels: Vec<RocPanel> = SETS[..4]
        .iter()
        .zip(2..)
        .map(|((set, shift), seed)| {
            let curve = |name: &str, factor: f64| {
                RocSeries::new(name, &Counts::new(&id, &scores(seed, 300, shift * factor)).unwrap())
            };
            let series = vec![curve("dlsr mse", 1.7), curve("dlsr mfsim", 1.25), curve("mean-distance", 1.7).control()];
            RocPanel { title: (*set).to_owned(), series }
        })
        .collect();
    roc_figure("quick, protocol native: ROC", &panels).unwrap()
}

fn histograms_far() -> Figure {
    let panels: Vec<HistogramPanel> =
        [("near", 1.0, 0.3), ("far", 40.0, 3.0), ("below", 1.0, -9.0), ("wide", 9.0, -2.0)]
            .iter()
            .zip(2..)
            .map(|((set, factor, shift), seed)| HistogramPanel {
                title: (*set).to_owned(),
                id: scores(1, 300, 0.0),
                ood: scores(seed, 300, *shift).iter().map(|x| x * factor).collect(),
            })
            .collect();
    histogram_figure("dlsr mse, protocol native", "mse", &panels).unwrap()
}

fn histograms() -> Figure {
    let panels: Vec<HistogramPanel> = SETS
        .iter()
        .zip(2..)
        .map(|((set, shift), seed)| HistogramPanel {
            title: (*set).to_owned(),
            id: scores(1, 2000, 0.0).iter().map(|x| 10f64.powf(x - 3.0)).collect(),
            ood: scores(seed, 1500, *shift).iter().map(|x| 10f64.powf(x - 3.0)).collect(),
        })
        .collect();
    histogram_figure("dlsr mse, protocol native", "mse", &panels).unwrap()
}

fn one_histogram() -> Figure {
    let panel = HistogramPanel { title: "mnist".into(), id: scores(1, 300, 0.0), ood: scores(9, 300, 1.5) };
    histogram_figure("mean-distance", "mean-distance", &[panel]).unwrap()
}

fn sweep() -> Figure {
    let starts = [1.0, 3.0, 10.0, 25.0, 50.0, 99.0];
    let series = ["mse", "likelihood_regret", "mfsim", "mean-distance"]
        .iter()
        .enumerate()
        .map(|(k, name)| LineSeries {
            name: (*name).to_owned(),
            points: starts
                .iter()
                .map(|&x: &f64| {
                    let y = 95.0 - 4.0 * k as f64 - (x.ln() - 1.0 - 0.3 * k as f64).powi(2);
                    LinePoint { x, y, interval: Some((y - 0.8, (y + 0.8).min(100.0))) }
                })
                .collect(),
        })
        .collect();
    line_figure(&LineChart {
        title: "cifar10-far, mean over 7 sets".into(),
        x_label: "detector.sample.start".into(),
        y_label: "AUROC (%)".into(),
        series,
        y_limits: Some((0.0, 100.0)),
        note: "bars: 95 % DeLong intervals".into(),
        ..LineChart::default()
    })
    .unwrap()
}

fn named_sweep() -> Figure {
    let series = (0..9)
        .map(|k| LineSeries {
            name: format!("score {k}"),
            points: (0..3)
                .map(|x| LinePoint { x: f64::from(x), y: f64::from(70 + 3 * k + x), interval: None })
                .collect(),
        })
        .collect();
    line_figure(&LineChart {
        title: "encoder".into(),
        x_label: "encoder.network".into(),
        y_label: "FPR95 (%): OOD accepted at 95 % ID".into(),
        series,
        x_names: ["efficientnet-lite0", "efficientnet-b0", "efficientnet-b4"].map(str::to_owned).to_vec(),
        ..LineChart::default()
    })
    .unwrap()
}

fn loss() -> Figure {
    let curve = |rate: f64| {
        (1..=50).map(|e| (f64::from(e), (1.0 + 0.1 * (f64::from(e) * 7.0).sin()) / (f64::from(e) * rate))).collect()
    };
    loss_figure("training loss", &[("native, seed 0".into(), curve(0.5)), ("matched, seed 0".into(), curve(0.9))])
        .unwrap()
}

type Make = fn() -> Figure;

fn all() -> [(&'static str, Make); 8] {
    [
        ("roc", roc),
        ("roc_far", roc_far),
        ("histograms", histograms),
        ("histograms_far", histograms_far),
        ("one_histogram", one_histogram),
        ("sweep", sweep),
        ("named_sweep", named_sweep),
        ("loss", loss),
    ]
}

#[test]
fn figures_are_the_same_every_time_and_render() {
    // With this variable the PNGs are left there, to be looked at.
    let keep = std::env::var_os("OODLAB_KEEP_FIGURES");
    for (name, make) in all() {
        let figure = make();
        assert_eq!(figure, make(), "{name}");
        assert!(figure.svg.starts_with("<svg") && figure.svg.trim_end().ends_with("</svg>"), "{name}");
        assert!(figure.svg.contains("font-family=\"DejaVu Sans, Verdana, Arial, sans-serif\""), "{name}");
        assert!(figure.svg.len() < 1 << 20, "{name}: {} bytes", figure.svg.len());
        let png = figure.to_png(2.0).unwrap();
        assert_eq!(png, figure.to_png(2.0).unwrap(), "{name}");
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"), "{name}");
        if let Some(folder) = &keep {
            std::fs::write(std::path::Path::new(folder).join(format!("{name}.png")), &png).unwrap();
            std::fs::write(std::path::Path::new(folder).join(format!("{name}.svg")), &figure.svg).unwrap();
        }
    }
}

#[test]
fn crowded_curves_get_a_logarithmic_axis_and_the_figure_says_so() {
    let (near, far) = (roc().svg, roc_far().svg);
    assert!(near.contains("horizontal axis linear") && !near.contains("(log)"));
    // Half of one of 300 ID scores.
    assert!(far.contains("logarithmic axis; left edge: 0.00167 or less") && far.contains("ID rejected (log)"));
}

#[test]
fn controls_are_named_and_painted_last() {
    let svg = roc_far().svg;
    assert_eq!(svg.matches("mean-distance (control)").count(), 1);
    // Legend, then in each panel the curves and the key: the control's line follows the first score's everywhere.
    let mut lines: Vec<(usize, bool)> =
        svg.match_indices("stroke=\"#0072B2\"").map(|(place, _)| (place, false)).collect();
    lines.extend(svg.match_indices("stroke=\"#444444\"").map(|(place, _)| (place, true)));
    lines.sort_unstable();
    assert_eq!(lines.len(), 2 * (1 + 2 * 4));
    assert!(lines.iter().enumerate().all(|(index, (_, control))| *control == (index % 2 == 1)), "{lines:?}");
    let plain = RocSeries::new("a", &Counts::new(&[0.0, 1.0], &[0.5, 2.0]).unwrap());
    assert!(!plain.control && plain.clone().control().control);
}

#[test]
fn far_scores_stand_at_the_edge_and_are_counted() {
    let svg = histograms_far().svg;
    assert!(svg.contains("48 bins, the same axis in every panel"));
    assert!(svg.contains("of ID, 100.0 % of OOD") && svg.contains("100 %"));
    let panel = HistogramPanel { title: "set".into(), id: vec![0.0, 1.0, 2.0], ood: vec![1.0, f64::INFINITY] };
    let svg = histogram_figure("t", "s", &[panel]).unwrap().svg;
    assert!(svg.contains("up to 0.0 % of ID, 50.0 % of OOD"));
    let svg = one_histogram().svg;
    assert!(svg.contains("48 bins, one axis"));
}

#[test]
fn losses_have_the_labels_asked_for() {
    let curves = [("a".to_owned(), vec![(1.0, 2.0), (2.0, 1.5)])];
    let svg = loss_figure_with("t", "optimiser step", "validation loss", &curves).unwrap().svg;
    assert!(svg.contains("optimiser step") && svg.contains("validation loss") && !svg.contains("epoch"));
    assert_eq!(loss_figure("t", &curves), loss_figure_with("t", "epoch", "loss", &curves));
}

#[test]
fn text_is_drawn_with_the_embedded_font() {
    // Without a font the renderer would leave texts out: the picture would not change with them.
    let chart = |title: &str| {
        let points = vec![LinePoint { x: 1.0, y: 2.0, interval: None }];
        let series = vec![LineSeries { name: "a".into(), points }];
        line_figure(&LineChart { title: title.into(), series, ..LineChart::default() }).unwrap().to_png(1.0).unwrap()
    };
    assert_ne!(chart("one"), chart("two"));
}

#[test]
fn names_cannot_break_the_document() {
    let panel = HistogramPanel { title: "<&\"'>\u{1}\u{0}漢".into(), id: scores(1, 50, 0.0), ood: scores(2, 50, 1.0) };
    histogram_figure("</svg>", "a & b", &[panel]).unwrap().to_png(1.0).unwrap();
}

#[test]
fn extreme_scores_are_drawn() {
    let cases = [
        (vec![0.5; 10], vec![0.5; 7]),
        (vec![0.0], vec![0.0]),
        (vec![1.0, f64::INFINITY, 2.0], vec![f64::NEG_INFINITY, 3.0]),
        (vec![1e-300, 1e-200], vec![1e200, 1e300]),
        (vec![-1e308, 1e308], vec![0.0, 1.0]),
        (vec![1e15, 1e15 + 0.25], vec![1e15 + 0.125]),
    ];
    for (id, ood) in cases {
        let panel = HistogramPanel { title: "set".into(), id: id.clone(), ood: ood.clone() };
        histogram_figure("extreme", "score", &[panel]).unwrap().to_png(1.0).unwrap();
        let series = vec![RocSeries::new("s", &Counts::new(&id, &ood).unwrap())];
        roc_figure("extreme", &[RocPanel { title: "set".into(), series }]).unwrap().to_png(1.0).unwrap();
        let points = id.iter().zip(1..).map(|(&y, x)| (f64::from(x), y)).collect();
        loss_figure("extreme", &[("a".into(), points)]).unwrap().to_png(1.0).unwrap();
    }
}

#[test]
fn a_figure_of_nothing_is_refused() {
    assert!(matches!(roc_figure("t", &[]), Err(FigureError::Empty { .. })));
    assert!(matches!(histogram_figure("t", "s", &[]), Err(FigureError::Empty { .. })));
    let panel = HistogramPanel { title: "set".into(), id: vec![f64::INFINITY], ood: vec![1.0] };
    assert!(matches!(histogram_figure("t", "s", &[panel]), Err(FigureError::Empty { .. })));
    assert!(matches!(line_figure(&LineChart::default()), Err(FigureError::Empty { .. })));
    let message = loss_figure("training loss", &[("a".into(), vec![(1.0, f64::NAN)])]).unwrap_err().to_string();
    assert_eq!(message, "training loss: expected at least one loss curve with finite values, found none");
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e6] {
        assert!(matches!(one_histogram().to_png(scale), Err(FigureError::Scale { .. })));
    }
}
