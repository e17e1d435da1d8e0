//! A sandbox for the program: its own store, results and environment.

#![allow(dead_code, reason = "each test file uses its own part of the sandbox")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A small experiment on the embedded sample: a few seconds of work, every stage in it.
pub const SMALL: &str = "\
benchmark: mini
protocols: [native, matched]
encoder: {network: efficientnet-lite0, weights: embedded, resolution: 224, pooling: average}
limit: {train: 288, id_test: 40, ood: 20}
detector:
  kind: dlsr
  network: {width: 64, blocks: 2}
  train: {epochs: 40, batch_size: 32, learning_rate: 1.0e-3}
scores: [mse, likelihood_regret, mfsim, {mfsim: {skip_first: true}}]
";

/// A folder of its own for one test.
pub struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    pub fn new() -> Sandbox {
        Sandbox { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("creates the folder");
        std::fs::write(&path, text).expect("writes the file");
        path
    }

    /// The program with this sandbox's store and results.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_oodlab"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OODLAB")) {
            command.env_remove(name);
        }
        command.current_dir(self.folder.path()).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Runs the program and expects success; returns standard output.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "oodlab {arguments:?} failed with {:?}:\n{errors}", output.status.code());
        String::from_utf8(output.stdout).expect("UTF-8 output")
    }

    /// Runs the program, expects this exit code, and returns standard error.
    pub fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "oodlab {arguments:?}:\n{errors}");
        assert!(!errors.contains("panicked"), "{errors}");
        errors
    }

    /// Every file below a folder of the sandbox, sorted.
    pub fn files(&self, folder: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.path(folder), &mut found);
        found.sort();
        found
    }

    /// Files that a half-finished write would have left behind.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let unfinished = |path: &PathBuf| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            name.ends_with(".part") || name.contains(".tmp") || name.contains("temp")
        };
        self.files("results").into_iter().chain(self.files("store")).filter(unfinished).collect()
    }
}

/// Copies a folder with everything below it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).expect("copied");
        }
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { collect(&path, found) } else { found.push(path) }
    }
}

/// Waits until `ready` or the child ends; false when it ended (or two minutes passed) first.
pub fn wait_until(child: &mut Child, mut ready: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(120) {
        if ready() {
            return true;
        }
        if child.try_wait().expect("a child").is_some() {
            return ready();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}
