//! Tells the program which commit it was built from, and collects `experiments/presets/SECTION/NAME.yaml` into a table.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    collect_presets();
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| !changes.is_empty());
    let suffix = if changed { "-changed" } else { "" };
    println!("cargo:rustc-env=OODLAB_COMMIT={commit}{suffix}");
    if let Some(folder) = git(&["rev-parse", "--absolute-git-dir"]) {
        // HEAD itself only names the branch; its log grows with every commit.
        println!("cargo:rerun-if-changed={folder}/HEAD");
        println!("cargo:rerun-if-changed={folder}/logs/HEAD");
    }
    for watched in ["build.rs", "../../crates", "../../Cargo.lock"] {
        println!("cargo:rerun-if-changed={watched}");
    }
}

/// Writes `PRESETS`: (section, name, text), so that a new preset needs no code.
fn collect_presets() {
    let root =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo")).join("../../experiments/presets");
    println!("cargo:rerun-if-changed={}", root.display());
    let mut code = "const PRESETS: &[(&str, &str, &str)] = &[\n".to_owned();
    for folder in sorted(&root).into_iter().filter(|path| path.is_dir()) {
        let section = name(&folder);
        println!("cargo:rerun-if-changed={}", folder.display());
        for file in sorted(&folder).into_iter().filter(|path| path.extension().is_some_and(|it| it == "yaml")) {
            println!("cargo:rerun-if-changed={}", file.display());
            let path = file.canonicalize().expect("listed a moment ago");
            writeln!(code, "    ({section:?}, {:?}, include_str!({path:?})),", name(&file))
                .expect("writing to a string");
        }
    }
    code.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo")).join("presets.rs");
    fs::write(out, code).expect("the build folder is writable");
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_stem().expect("listed by its name").to_string_lossy().into_owned()
}
