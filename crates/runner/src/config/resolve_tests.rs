//! Cells as they are read fast, against cells as figment reads them; and rubbish of every kind.

use std::path::{Path, PathBuf};

use oodlab_base::Seed;
use tempfile::TempDir;

use super::super::Source;
use super::*;
use crate::failure::{SETTINGS, describe, exit_code};

const BASE: &str = "\
benchmark: mini
encoder: {network: efficientnet-lite0, weights: embedded}
limit: {train: 288, id_test: 40, ood: 20}
detector:
  kind: dlsr
  network: {width: 64, blocks: 2}
  train: {epochs: 40, batch_size: 32, learning_rate: 1.0e-3}
scores: [mse, mfsim, {mfsim: {skip_first: true}}]
controls: [mean-distance, {kind: pca, variance: 0.5}]
tables: [{name: t, rows: [score], caption: \"${limit.ood} images\"}]
figures: [{kind: roc, bands: true}]
";

struct Files {
    folder: TempDir,
}

impl Files {
    fn new(text: &str) -> Files {
        let files = Files { folder: tempfile::tempdir().expect("a folder") };
        files.write("x.yaml", text);
        files
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs_err::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs_err::write(&path, text).expect("a file");
        path
    }

    fn open(&self, words: &[&str], sweep: bool, smoke: bool) -> Result<Source> {
        let overrides = words.iter().map(|word| (*word).to_owned()).collect();
        let files = vec![self.folder.path().join("x.yaml")];
        Source::open(&Request { files, overrides, environment: Environment::Ignore, sweep, smoke })
    }
}

fn names(source: &Source) -> Vec<String> {
    source.cells().map_err(|error| describe(&error)).expect("cells").into_iter().map(|(cell, _)| cell.name).collect()
}

/// What a sweep says of the base's own width, whatever it sweeps.
const SWEEPS: [&str; 9] = [
    "",
    "sweep: {grid: {detector.network.width: [8, 16], limit.ood: [3, 4]}}",
    "sweep: {grid: {detector: [pca, dlsr-small, {kind: vae, beta: 2.0}]}}",
    "sweep: {grid: {detector.kind: [autoencoder, dlsr]}, zip: {limit.ood: [1, 2], limit.train: [5, 6]}}",
    "sweep: {grid: {encoder: [lite0, {imported: mine}, efficientnet-b4], features.layers: [[1], [1, 2]]}}",
    "sweep: {list: [{detector: pca, detector.variance: 0.25}, {limit: {ood: 9}}, {seeds: [1, 2]}, {}]}",
    "sweep: {random: {count: 5, keys: {detector.train.learning_rate: {log: [1e-5, 1e-2]}, limit.ood: {integer: [1, 50]}}}}",
    "sweep: {grid: {limit.ood: [5, 7], limit.train: [5, 7]}, drop: [{limit.ood: 5, limit.train: '> 5'}]}",
    "sweep: {grid: {limit.ood: ['${limit.train}', 7]}, keep: [{detector.network.blocks: 2}]}",
];

#[test]
fn cells_are_what_figment_reads_too() {
    for sweep in SWEEPS {
        for smoke in [false, true] {
            let files = Files::new(&format!("{BASE}{sweep}\n"));
            let source = files.open(&["detector.network.width=32"], false, smoke).expect("valid");
            let resolver = source.resolver();
            let cells = resolver.cells().map_err(|error| describe(&error)).expect(sweep);
            assert!(!cells.is_empty());
            for (cell, fast) in cells {
                let layers = resolver.layers_of(&cell.overrides).expect("layers");
                let merged = resolver.tree_of(&cell.overrides).expect("a tree");
                let mut slow = explain::extract(&settled(layers, &merged)).expect("valid");
                slow.sweep = Default::default();
                assert_eq!(fast, slow, "{sweep}: {}", cell.name);
                let (again, alone) = source.cell(&cell.overrides).expect("valid");
                assert_eq!((again, alone), (cell, fast), "{sweep}");
            }
        }
    }
}

#[test]
fn swept_presets_kinds_and_references_arrive() {
    let files = Files::new(&format!("{BASE}{}\n", SWEEPS[5]));
    let source = files.open(&[], false, false).expect("valid");
    let cells = source.cells().expect("valid");
    assert_eq!(cells[0].0.name, "detector=pca,detector.variance=0.25");
    assert_eq!(cells[0].1.detector["variance"], 0.25);
    assert!(!cells[0].1.detector.contains_key("network"));
    let caption = |experiment: &Experiment| experiment.tables[0].caption.clone();
    let files = Files::new(&format!("{BASE}{}\n", SWEEPS[1]));
    let cells = files.open(&[], false, false).expect("valid").cells().expect("valid");
    assert_eq!((caption(&cells[2].1), caption(&cells[3].1)), ("3 images".to_owned(), "4 images".to_owned()));
}

#[test]
fn what_is_typed_goes_over_the_sweep_of_the_file() {
    let text =
        format!("{BASE}sweep: {{grid: {{limit.ood: [3, 4]}}, zip: {{seeds: [[1], [2]], limit.train: [8, 9]}}}}\n");
    let open = |words: &[&str], sweep: bool| Files::new(&text).open(words, sweep, false).map(|source| names(&source));
    assert_eq!(open(&["limit.ood=5"], false).expect("valid"), ["limit.train=8,seeds=[1]", "limit.train=9,seeds=[2]"]);
    let swept = open(&["limit.ood=1,2,5", "~limit.train", "~sweep.zip"], true).expect("valid");
    assert_eq!(swept, ["limit.ood=1", "limit.ood=2", "limit.ood=5"]);
    let ranged = open(&["~sweep", "limit.train=range(2,9,3)", "detector=choice(pca,vae)"], true).expect("valid");
    assert_eq!(ranged[..2], ["detector=pca,limit.train=2", "detector=pca,limit.train=5"]);
    assert_eq!(ranged.len(), 6);
    let seeds = Files::new(BASE).open(&["seeds=range(3)"], true, false).expect("valid");
    assert_eq!(seeds.base().expect("valid").seeds, [0, 1, 2]);
}

#[test]
fn words_that_cannot_be_meant_are_refused() {
    for (words, told) in [
        (&["limit.ood=1,2"][..], "add --sweep (or -m)"),
        (&["limit.ood=range(3)"], "add --sweep"),
        (&["+limit.ood=3"], "is set already, by"),
        (&["~limit.odd"], "did you mean \"limit.ood\""),
        (&["~limit.ood=21"], "limit.ood is 20"),
        (&["nonsense"], "expected key=value"),
        (&["a..b=1"], "names joined by dots"),
        (&["=3"], "names joined by dots"),
        (&["~"], "names joined by dots"),
        (&["limit.ood=1,,2"], "a value is missing"),
        (&["limit=[1"], "not a valid YAML value"),
        (&["detector=dslr"], "did you mean \"dlsr\""),
        (&["limit=few"], "no preset is called \"few\""),
        (&["limit.ood=${limit.odd}"], "limit.odd is not set"),
        (&["sweep.gird={a: [1]}"], "unknown key \"gird\""),
        (&["sweep.grid={limit.odd: [1]}"], "unknown key \"odd\""),
        (&["sweep={list: [{limit.ood: 1}, {limit.ood: 1}]}"], "comes twice"),
        (&["sweep={grid: {limit.ood: [1]}, drop: [{limit.ood: 1}]}"], "no cell is left"),
        (&["sweep={grid: {limit.ood: [1]}, drop: [{limit.odd: 1}]}"], "neither swept nor set"),
        (&["sweep={grid: {detector: [nothing]}}"], "no preset is called \"nothing\""),
    ] {
        let error = Files::new(BASE).open(words, false, false).and_then(|source| source.cells()).map(|_| ());
        let error = error.expect_err(words[0]);
        assert!(describe(&error).contains(told), "{words:?}: {}", describe(&error));
        assert_eq!(exit_code(&error), SETTINGS, "{words:?}");
    }
    assert!(Files::new(BASE).open(&["+limit.train=3", "~limit.train", "++limit.ood=3"], false, false).is_ok());
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_line() {
    for (text, told) in [
        ("sweep:\n  grid:\n    limit.ood: 3\n", "x.yaml:14: sweep.grid.limit.ood: "),
        (
            "sweep:\n  list:\n    - {limit.ood: 1}\n    - zip: {limit.ood: [1], limit.train: []}\n",
            "x.yaml:15: sweep.list.1.zip",
        ),
        ("sweep:\n  grid: {limit.ood: [1]}\n  random:\n    count: 0\n", "x.yaml:15: sweep.random"),
        ("comparisons: ${nothing.at.all}\n", "x.yaml:12: comparisons: "),
        ("defaults: [{detectr: pca}]\n", "x.yaml:12: defaults: "),
        ("intervals: bootstrap\n", "x.yaml:12: intervals: "),
    ] {
        let error = Files::new(&format!("{BASE}{text}")).open(&[], false, false).and_then(|source| source.cells());
        let error = describe(&error.map(|_| ()).expect_err(text));
        assert!(error.contains(told), "{text}: {error}");
    }
}

#[test]
fn several_files_are_one_experiment_that_the_last_names() {
    let files = Files::new(BASE);
    let more = files.write("experiments/y.yaml", "# More.\nlimit: {ood: 7}\n");
    let base = files.folder.path().join("x.yaml");
    let request = Request { files: vec![base, more], ..Request::of_file(Path::new("x"), Environment::Ignore) };
    let source = Source::open(&request).expect("valid");
    let limit = source.base().expect("valid").limit;
    assert_eq!((source.name.as_str(), limit.ood, limit.train), ("y", Some(7), Some(288)));
    assert_eq!(source.heading(), ["More."]);
}

#[test]
fn a_shrunk_experiment_has_a_name_of_its_own_and_its_cells_stay_apart() {
    let sweep = "sweep: {grid: {detector.network.width: [128, 256, 512], limit.ood: [1, 2, 3, 4]}}";
    let files = Files::new(&format!("{BASE}{sweep}\n"));
    let source = files.open(&[], false, true).expect("valid");
    assert_eq!(source.name, "x-smoke");
    let widths = ["32", "64"].map(|width| [1, 4].map(|ood| format!("detector.network.width={width},limit.ood={ood}")));
    assert_eq!(names(&source), widths.concat());
    let origins = source.describe(&Cell::new(BTreeMap::new())).expect("valid");
    let origin = |key: &str| origins.iter().find(|it| it.key == key).map(|it| it.origin.clone()).expect(key);
    assert_eq!((origin("limit.train"), origin("intervals.seed")), ("smoke".to_owned(), "default".to_owned()));
    assert!(origin("detector.kind").ends_with("x.yaml:5"));
}

/// A preset is of use only if its section is valid.
#[test]
fn every_preset_kind_and_network_makes_a_valid_experiment() {
    for section in super::super::layers::SECTIONS {
        for name in Presets::built_in().names(section) {
            let word = format!("{section}={name}");
            let source = Files::new(BASE).open(&[&word, "scores=[]"], false, false).expect(&word);
            source.base().and_then(|base| base.resolved()).map_err(|error| describe(&error)).expect(&word);
        }
    }
}

/// Whatever a file or a word holds, it is read or refused, never a crash; and what is refused is a wrong setting.
#[test]
fn rubbish_is_refused_and_never_a_crash() {
    let stream = Seed(5).stream("rubbish");
    let signs: Vec<char> = "{}[]():,.=~+$'\"\\ \n-#&*!|>%@0a9é".chars().collect();
    let words = [
        "detector.sample.start=1,2,4",
        "~limit.ood",
        "+new.key='a,b'",
        "limit.ood=range(1,10,2)",
        "detector=choice(pca,vae)",
        "a.b=${limit.${env:HOME,ood}}",
        "sweep.grid.limit.ood=[1,2]",
        "seeds=[0,1]",
    ];
    let mut position = 0;
    let mut below = |bound: usize| {
        position += 1;
        stream.below(bound as u64, position) as usize
    };
    let mut accepted = 0;
    for round in 0..600 {
        let mut mutate = |text: &str, times: usize| {
            let mut letters: Vec<char> = text.chars().collect();
            for _ in 0..times {
                let at = below(letters.len() + 1);
                match below(3) {
                    0 => letters.insert(at, signs[below(signs.len())]),
                    1 if at < letters.len() => _ = letters.remove(at),
                    _ if at < letters.len() => letters[at] = signs[below(signs.len())],
                    _ => {}
                }
            }
            letters.into_iter().collect::<String>()
        };
        let text = mutate(&format!("{BASE}{}\n", SWEEPS[round % SWEEPS.len()]), round % 4);
        let word = mutate(words[round % words.len()], round % 3);
        let files = Files::new(&text);
        match files.open(&[&word], round % 2 == 0, round % 5 == 0).and_then(|source| source.cells()) {
            Ok(_) => accepted += 1,
            Err(error) => assert_eq!(exit_code(&error), SETTINGS, "{word}: {}\n{text}", describe(&error)),
        }
    }
    assert!((20..580).contains(&accepted), "{accepted} of 600 were accepted");
}
