//! Collects `datasets/*.yaml` and `datasets/benchmarks/*.yaml` into a table, so that adding one needs no code.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo")).join("../../datasets");
    let mut code = String::new();
    for (name, folder) in [("MANIFESTS", root.clone()), ("BENCHMARKS", root.join("benchmarks"))] {
        println!("cargo::rerun-if-changed={}", folder.display());
        writeln!(code, "pub(crate) const {name}: &[(&str, &str)] = &[").expect("writing to a string");
        for path in yaml_files(&folder) {
            println!("cargo::rerun-if-changed={}", path.display());
            let stem = path.file_stem().expect("listed by its name").to_string_lossy().into_owned();
            let path = path.canonicalize().expect("listed a moment ago");
            writeln!(code, "    ({stem:?}, include_str!({path:?})),").expect("writing to a string");
        }
        code.push_str("];\n");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo")).join("builtin.rs");
    fs::write(out, code).expect("the build folder is writable");
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}
