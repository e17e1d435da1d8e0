//! Tells the program which commit it was built from.

use std::process::Command;

fn main() {
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
