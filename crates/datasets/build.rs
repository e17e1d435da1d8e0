//! Collects `datasets/*.yaml`, `datasets/*.sha256` and `datasets/benchmarks/*.yaml` into tables, so that adding one needs no
//! code.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo")).join("../../datasets");
    let mut code = String::new();
    let tables = [
        ("MANIFESTS", root.clone(), "yaml"),
        ("SUMS", root.clone(), "sha256"),
        ("BENCHMARKS", root.join("benchmarks"), "yaml"),
    ];
    for (name, folder, ending) in tables {
        println!("cargo::rerun-if-changed={}", folder.display());
        writeln!(code, "pub(crate) const {name}: &[(&str, &str)] = &[").expect("writing to a string");
        for path in files(&folder, ending) {
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

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == ending))
        .collect();
    files.sort();
    files
}
