//! `oodlab data`: fetched through a kill, imported, listed, shown.

#[allow(dead_code, reason = "the bar is of the downloads' own tests")]
#[path = "../../fetch/tests/support/mod.rs"]
mod server;
mod support;

use std::time::{Duration, Instant};

use oodlab_datasets::RgbImage;
use server::{Asked, Server, Step, ranged};
use support::Sandbox;

/// 30 pictures in a folder, as a tar file: three colours, in turn.
fn archive() -> Vec<u8> {
    let mut tar = Vec::new();
    for number in 0..30u8 {
        let image = RgbImage::filled(8, 6, [10 * (number % 3), 100, 200]).expect("well formed");
        let bytes = image.to_png().expect("into memory");
        let mut header = [0u8; 512];
        let name = format!("pictures/test/{number:02}.png");
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", bytes.len()).as_bytes());
        header[136..148].copy_from_slice(b"00000000000\0");
        header[148..156].fill(b' ');
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend_from_slice(&header);
        tar.extend_from_slice(&bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// A set whose archive the server has, and a benchmark with it and a set that nobody can download.
fn describe(sandbox: &Sandbox, bytes: &[u8], address: &str) {
    let size = bytes.len();
    let manifest = |name: &str, more: &str| {
        format!(
            "name: {name}
title: Pictures
licence: for everybody
citation: none
format: {{kind: image-folder, classes: none}}
splits: {{test: {{images: 30, folders: [test]}}}}
{more}
"
        )
    };
    let archive = format!(
        "archives: [{{path: pictures.tar, root: pictures, size: {size}, md5: {}, mirrors: [{address:?}]}}]",
        md5(bytes)
    );
    sandbox.write("datasets/pictures.yaml", &manifest("pictures", &archive));
    sandbox.write("datasets/secret.yaml", &manifest("secret", "access: sign the form of the author"));
    sandbox.write(
        "datasets/benchmarks/both.yaml",
        "name: both
title: Both
id: {set: cifar10-mini, train_split: train, test_split: test}
groups: {far: [pictures, secret]}
",
    );
}

/// The MD5 of the archive, by the system's own program where there is one.
fn md5(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("file");
    std::fs::write(&path, bytes).expect("writable");
    let output = std::process::Command::new("md5sum").arg(&path).output().expect("md5sum is there");
    String::from_utf8_lossy(&output.stdout)[..32].to_owned()
}

fn sandbox_command(sandbox: &Sandbox, arguments: &[&str]) -> std::process::Command {
    let mut command = sandbox.command(arguments);
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command
}

#[test]
fn a_fetch_that_is_killed_goes_on_where_it_was() {
    let bytes = archive();
    let half = bytes.len() / 2;
    let served = bytes.clone();
    let server = Server::start(move |number, asked: &Asked| {
        let mut steps = ranged(&served, asked, if number == 0 { half } else { usize::MAX });
        if number == 0 {
            steps.push(Step::Wait(Duration::from_secs(30)));
        }
        steps
    });
    let sandbox = Sandbox::new();
    describe(&sandbox, &bytes, &server.address("/pictures.tar"));
    let mut child = sandbox_command(&sandbox, &["data", "fetch", "pictures", "--quiet"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the program starts");
    let folder = sandbox.path(".oodlab/data/.downloads/pictures");
    let arrived = || {
        let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        files.filter_map(|entry| entry.metadata().ok()).map(|data| data.len()).max().unwrap_or(0)
    };
    let begin = Instant::now();
    while arrived() < half as u64 {
        assert!(begin.elapsed() < Duration::from_secs(60), "half of it arrives");
        std::thread::sleep(Duration::from_millis(10));
    }
    // SIGKILL: nothing of the program runs after it.
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(!sandbox.path(".oodlab/data/pictures").exists(), "nothing is unpacked before all of it was proven");

    let output = sandbox_command(&sandbox, &["data", "fetch", "pictures", "--quiet"]).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for part in ["pictures.tar", "licence: for everybody", "md5 right", "pictures: present; test 30"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(server.asked().last().and_then(|asked| asked.from), Some(half));
    assert!(!sandbox.path(".oodlab/data/.downloads").exists(), "what was imported is removed");
    let again = sandbox.ok(&["data", "fetch", "pictures", "--quiet"]);
    assert!(again.contains("nothing to download"), "{again}");
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn what_is_missing_is_listed_with_the_way_to_get_it() {
    let bytes = archive();
    let sandbox = Sandbox::new();
    describe(&sandbox, &bytes, "http://127.0.0.1:9/pictures.tar");
    let text = sandbox.ok(&["data", "list", "--benchmark", "both"]);
    for part in [
        "cifar10-mini",
        "in-distribution, to learn from: split train",
        "far, scored: split test, 0 images: missing",
        "oodlab data fetch pictures",
        "sign the form of the author; then run: oodlab data import secret --from DIR",
        "2 of 3 sets are missing",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let lines: serde_json::Value = serde_json::from_str(&sandbox.ok(&["data", "list", "--json"])).expect("JSON");
    let line = |name: &str| lines.as_array().and_then(|all| all.iter().find(|line| line["name"] == name).cloned());
    let pictures = line("pictures").expect("listed");
    assert_eq!((&pictures["fetchable"], &pictures["fetch_bytes"]), (&true.into(), &(bytes.len() as u64).into()));
    assert_eq!((&pictures["state"], &line("secret").expect("listed")["fetchable"]), (&"absent".into(), &false.into()));
    assert!(line("cifar10-mini").expect("listed")["how_to_get"].is_null());

    // Nothing to download, one that fails, and a name that nobody knows.
    let errors = sandbox.fails(1, &["data", "fetch", "secret"]);
    assert!(errors.contains("1 of 1 sets are not all there"), "{errors}");
    assert!(sandbox.fails(1, &["data", "fetch", "pictures", "secrets"]).contains("nearest: \"secret\""));

    // The archive by hand.
    std::fs::write(sandbox.path("pictures.tar"), &bytes).expect("writable");
    let text = sandbox.ok(&["data", "import", "pictures", "--from", "pictures.tar", "--link", "--quiet"]);
    assert!(text.contains("pictures: present; test 30") && text.contains("30 files unpacked"), "{text}");
    let text = sandbox.ok(&["data", "show", "pictures", "--quiet", "--all"]);
    for part in ["pictures test: 30 images", "channels over all: mean 0.0392, 0.3922, 0.7843", "width 8; height 6"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let shown: serde_json::Value =
        serde_json::from_str(&sandbox.ok(&["data", "show", "cifar10-mini", "--count", "20", "--json"])).expect("JSON");
    assert_eq!((&shown["statistics"]["measured"], &shown["statistics"]["images"]), (&20.into(), &300.into()));
    assert_eq!(shown["statistics"]["classes"].as_object().map(|classes| classes.len()), Some(10));
    assert!(sandbox.ok(&["data", "verify", "--quiet"]).contains("pictures: good, 30 files, 30 images"));
}
