//! What docs/configuration.md says: its examples are read, its commands run.

mod support;

use support::{SMALL, Sandbox};

const DOCUMENT: &str = include_str!("../../../docs/configuration.md");

/// The blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    DOCUMENT.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("x.yaml", SMALL);
    sandbox.write("base.yaml", SMALL);
    sandbox
}

#[test]
fn the_examples_are_read() {
    let examples = blocks("yaml");
    assert!(examples.len() >= 7);
    for example in examples {
        let sandbox = sandbox();
        sandbox.write("example.yaml", &example);
        let cells = sandbox.ok(&["config", "x.yaml", "example.yaml", "--cells", "--json"]);
        let cells: serde_json::Value = serde_json::from_str(&cells).expect("JSON");
        assert!(cells.as_array().is_some_and(|cells| !cells.is_empty()), "{example}");
    }
}

#[test]
fn the_commands_run() {
    let sandbox = sandbox();
    let commands: Vec<String> = blocks("sh").iter().flat_map(|block| block.lines()).map(str::to_owned).collect();
    assert!(commands.len() >= 5);
    for command in commands {
        let words: Vec<&str> = command.split(' ').map(|word| word.trim_matches('\'')).collect();
        assert_eq!(words[0], "oodlab", "{command}");
        sandbox.ok(&words[1..]);
    }
}

/// The example of every way to nest: 1 + 3 + 3 cells, of which the draws do not depend on their number.
#[test]
fn a_nested_sweep_has_the_cells_that_it_says() {
    let nested = blocks("yaml").into_iter().find(|block| block.contains("count: 3")).expect("the example");
    let cells = |text: &str| {
        let sandbox = sandbox();
        sandbox.write("example.yaml", text);
        sandbox.ok(&["config", "x.yaml", "example.yaml", "--cells"]).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (three, thirty) = (cells(&nested), cells(&nested.replace("count: 3", "count: 9")));
    assert_eq!((three.len(), thirty.len()), (7, 13));
    let name = |line: &String| line.trim_start().split_once("  ").map(|(_, name)| name.to_owned());
    assert_eq!(three.iter().map(name).collect::<Vec<_>>(), thirty[..7].iter().map(name).collect::<Vec<_>>());
}

#[test]
fn origins_are_told_by_line_preset_environment_and_word() {
    let sandbox = sandbox();
    let output = sandbox
        .command(&["config", "x.yaml", "detector=dlsr-small", "detector.network.width=8", "--smoke", "--json"])
        .env("OODLAB__SEEDS", "[4]")
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let settings: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let origin = |key: &str| {
        let found = settings.iter().find(|setting| setting["key"] == key);
        found.and_then(|setting| setting["origin"].as_str()).unwrap_or_default().to_owned()
    };
    assert_eq!(origin("protocols"), "x.yaml:2");
    assert!(
        origin("detector.sample.eta").starts_with("preset detector/dlsr-small:"),
        "{}",
        origin("detector.sample.eta")
    );
    assert_eq!((origin("seeds"), origin("limit.ood")), ("environment".to_owned(), "smoke".to_owned()));
    assert_eq!((origin("controls"), origin("preprocess.filter")), ("default".to_owned(), "default".to_owned()));
}

#[test]
fn one_cell_is_shown_by_number_and_by_name() {
    let sandbox = sandbox();
    let sweep = ["config", "x.yaml", "limit.ood=3,5,7", "-m"];
    let shown = |cell: &str| sandbox.ok(&[&sweep[..], &["--cell", cell]].concat());
    assert_eq!(shown("2"), shown("limit.ood=5"));
    assert!(shown("2").lines().any(|line| line.starts_with("limit.ood: 5 ") && line.ends_with("# sweep")));
    let errors = sandbox.fails(2, &[&sweep[..], &["--cell", "4"]].concat());
    assert!(errors.contains("cells 1 to 3"), "{errors}");
    let errors = sandbox.fails(2, &[&sweep[..], &["--cell", "limit.odd=5"]].concat());
    assert!(errors.contains("did you mean \"limit.ood=5\""), "{errors}");
}

#[test]
fn completions_and_schema_are_printed() {
    let sandbox = sandbox();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = sandbox.ok(&["completions", shell]);
        assert!(script.contains("oodlab") && script.contains("multirun"), "{shell}");
    }
    let schema: serde_json::Value = serde_json::from_str(&sandbox.ok(&["schema"])).expect("JSON");
    assert_eq!(schema["properties"]["sweep"]["description"], "Cells to run.");
}
