//! `data fetch` from a server that behaves in the ways that servers do.

mod common;
#[allow(dead_code, reason = "the bar is of the downloads' own tests")]
#[path = "../../fetch/tests/support/mod.rs"]
mod server;

use std::io::Write;
use std::time::Duration;

use common::{Bench, png, sha256};
use oodlab_base::{Cancel, Silent};
use oodlab_datasets::{DatasetError, FetchOptions, FetchReport, State};
use oodlab_fetch::{Fetcher, Proxy, Settings};
use server::{Asked, Server, Step, head, ranged, whole};

const PAGE: &[u8] = b"<!doctype html><html><body>This link has expired</body></html>";

fn fetcher() -> Fetcher {
    let settings = Settings {
        connect: Duration::from_secs(5),
        stall: Duration::from_millis(500),
        attempts: 2,
        pause: Duration::from_millis(5),
        proxy: Proxy::Direct,
    };
    Fetcher::with_settings(settings).expect("a fetcher")
}

fn fetch(bench: &Bench, options: &FetchOptions) -> Result<FetchReport, DatasetError> {
    bench.library.fetch("pictures", options, &fetcher(), &Silent, &Cancel::new())
}

/// A packed folder of pictures: `pictures/test/<n>.png`, `pictures/train/<n>.png`.
fn archive(split: &str, count: u8) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for number in 0..count {
        let bytes = png(9, 7, number);
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, format!("pictures/{split}/{number:03}.png"), bytes.as_slice())
            .expect("into memory");
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    gzip.write_all(&tar.into_inner().expect("into memory")).expect("into memory");
    gzip.finish().expect("into memory")
}

/// A set in two archives; `proof` makes what is published of each.
fn manifest(test: &str, train: &str) -> String {
    format!(
        "name: pictures
title: Pictures
licence: for everybody
citation: none
format: {{kind: image-folder, classes: none}}
access: write to the author
archives:
  - {{path: test.tar.gz, root: pictures, splits: [test], {test}}}
  - {{path: train.tar.gz, root: pictures, splits: [train], {train}}}
splits:
  test: {{images: 40, folders: [test]}}
  train: {{images: 50, folders: [train]}}
"
    )
}

fn published(bytes: &[u8], addresses: &[String]) -> String {
    format!("size: {}, sha256: {}, mirrors: [{}]", bytes.len(), sha256(bytes), quoted(addresses))
}

fn quoted(addresses: &[String]) -> String {
    addresses.iter().map(|address| format!("{address:?}")).collect::<Vec<_>>().join(", ")
}

fn downloads(bench: &Bench) -> Vec<String> {
    let folder = bench.library.root().join(".downloads");
    let all = std::fs::read_dir(folder.join("pictures")).into_iter().flatten();
    let mut names: Vec<String> = all.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_set_is_downloaded_proven_unpacked_and_imported_from_the_one_good_mirror() {
    let (test, train) = (archive("test", 40), archive("train", 50));
    let (test_bytes, train_bytes) = (test.clone(), train.clone());
    let mut wrong = test.clone();
    wrong[3000] ^= 1;
    let server = Server::start(move |_, asked: &Asked| match asked.line.as_str() {
        "GET /gone/test HTTP/1.1" => vec![head("404 Not Found", &["Content-Length: 0".to_owned()])],
        "GET /page/test HTTP/1.1" => whole(PAGE),
        "GET /wrong/test HTTP/1.1" => ranged(&wrong, asked, usize::MAX),
        // Led on, and cut at every 15 kB.
        "GET /good/test HTTP/1.1" => {
            vec![head("302 Found", &["Location: /real/test".to_owned(), "Content-Length: 0".to_owned()])]
        }
        "GET /real/test HTTP/1.1" => ranged(&test_bytes, asked, 15_000),
        "GET /train HTTP/1.1" => ranged(&train_bytes, asked, usize::MAX),
        other => panic!("{other} was not expected"),
    });
    let mirrors = ["/gone/test", "/page/test", "/wrong/test", "/good/test"].map(|path| server.address(path));
    let bench = Bench::new(&[(
        "pictures",
        manifest(&published(&test, &mirrors), &published(&train, &[server.address("/train")])),
    )]);
    let settings = Settings { attempts: 50, pause: Duration::from_millis(1), ..Settings::default() };
    let patient = Fetcher::with_settings(Settings { proxy: Proxy::Direct, ..settings }).expect("a fetcher");
    let options = FetchOptions { splits: vec!["test".into()], ..FetchOptions::default() };
    let plan = bench.library.fetch_plan("pictures", &options).expect("known");
    assert_eq!((plan.bytes, plan.wanted.len(), plan.complete), (test.len() as u64, 1, false));
    let report =
        bench.library.fetch("pictures", &options, &patient, &Silent, &Cancel::new()).expect("the last mirror is good");
    assert_eq!(report.downloaded[0].address, Some(mirrors[3].clone()));
    assert_eq!((report.downloaded[0].proven_by, report.warnings.len(), report.complete), (Some("sha256"), 0, true));
    assert_eq!((report.status.state, report.status.splits["test"].found), (State::Partial, 40));
    assert!(downloads(&bench).is_empty() && !bench.library.root().join(".downloads").exists());
    assert!(!server.asked().iter().any(|asked| asked.line.contains("train")), "only what was asked for");
    // The other split; then there is nothing to do.
    let report = fetch(&bench, &FetchOptions::default()).expect("the other archive");
    assert_eq!((report.downloaded.len(), report.status.state), (1, State::Present));
    let requests = server.asked().len();
    let report = fetch(&bench, &FetchOptions::default()).expect("nothing to do");
    assert_eq!((report.complete, report.downloaded.len(), server.asked().len()), (true, 0, requests));
    assert!(bench.library.open_set("pictures", "train", None).expect("usable").read(49).is_ok());
}

#[test]
fn wrong_bytes_are_never_unpacked_and_the_error_says_what_came() {
    let test = archive("test", 40);
    let mut wrong = test.clone();
    let end = wrong.len() - 3;
    wrong[end] ^= 1;
    let found = sha256(&wrong);
    let length = test.len();
    let server = Server::start(move |_, asked: &Asked| match asked.line.as_str() {
        "GET /page HTTP/1.1" => whole(PAGE),
        // The page has the right length.
        "GET /long-page HTTP/1.1" => {
            let mut page = PAGE.to_vec();
            page.resize(length, b' ');
            whole(&page)
        }
        _ => whole(&wrong),
    });
    let mirrors = ["/page", "/long-page", "/wrong"].map(|path| server.address(path));
    let bench = Bench::new(&[("pictures", manifest(&published(&test, &mirrors), "size: 1"))]);
    let options = FetchOptions { splits: vec!["test".into()], ..FetchOptions::default() };
    let message = fetch(&bench, &options).expect_err("no good mirror").to_string();
    for part in ["/page: it sends", "/long-page: it sends a web page", "wrong checksum", &sha256(&test), &found] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert!(!bench.library.folder("pictures").exists() && downloads(&bench).is_empty());
}

#[test]
fn what_nobody_vouches_for_is_said_and_what_has_no_address_too() {
    let test = archive("test", 40);
    let (bytes, size) = (test.clone(), test.len());
    let server = Server::start(move |_, asked: &Asked| match asked.line.as_str() {
        "GET /page HTTP/1.1" => whole(PAGE),
        "GET /rubbish HTTP/1.1" => whole(b"no archive at all"),
        _ => ranged(&bytes, asked, usize::MAX),
    });
    let only = |path: &str, size: Option<usize>| {
        let size = size.map_or(String::new(), |size| format!("size: {size}, "));
        let published = format!("{size}mirrors: [{:?}]", server.address(path));
        Bench::new(&[("pictures", manifest(&published, "size: 1"))])
    };
    let options = FetchOptions { splits: vec!["test".into()], ..FetchOptions::default() };
    for size in [Some(size), None] {
        let bench = only("/good", size);
        let report = fetch(&bench, &options).expect("downloaded");
        assert_eq!(report.downloaded[0].proven_by, size.map(|_| "size"));
        assert!(
            report.warnings[0].contains("nobody published a checksum") && report.warnings[0].contains(&sha256(&test))
        );
        assert_eq!(report.status.splits["test"].found, 40);
        // The rest has no address: said, with the way that the manifest knows.
        let report = fetch(&bench, &FetchOptions::default()).expect("nothing can be downloaded");
        assert_eq!((report.complete, report.downloaded.len()), (false, 0));
        assert_eq!(
            (report.unavailable, report.access),
            (vec!["train.tar.gz".to_owned()], Some("write to the author".into()))
        );
    }
    assert!(fetch(&only("/page", None), &options).expect_err("a page").to_string().contains("web page"));
    // Rubbish is not kept as if it were finished.
    let bench = only("/rubbish", None);
    assert!(fetch(&bench, &options).expect_err("rubbish").to_string().contains("test.tar.gz"));
    assert!(downloads(&bench).is_empty() && !bench.library.folder("pictures").exists());
    let unknown = FetchOptions { splits: vec!["extra".into()], ..FetchOptions::default() };
    assert!(matches!(fetch(&bench, &unknown), Err(DatasetError::UnknownSplit { .. })));
}

#[test]
fn an_interrupted_fetch_goes_on_and_downloads_can_be_kept() {
    let test = archive("test", 40);
    let bytes = test.clone();
    // Stops in the middle of the first transfer.
    let server = Server::start(move |number, asked: &Asked| {
        let mut steps = ranged(&bytes, asked, if number == 0 { 20_000 } else { usize::MAX });
        if number == 0 {
            steps.push(Step::Wait(Duration::from_secs(20)));
        }
        steps
    });
    let bench = Bench::new(&[("pictures", manifest(&published(&test, &[server.address("/test")]), "size: 1"))]);
    let options = FetchOptions { splits: vec!["test".into()], keep_archives: true, ..FetchOptions::default() };
    let cancel = Cancel::new();
    let (flag, folder) = (cancel.clone(), bench.library.root().join(".downloads/pictures"));
    std::thread::spawn(move || {
        let arrived = || {
            let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            files.filter_map(|entry| entry.metadata().ok()).map(|data| data.len()).max().unwrap_or(0)
        };
        while arrived() < 20_000 {
            std::thread::sleep(Duration::from_millis(5));
        }
        flag.cancel();
    });
    let patient = Fetcher::with_settings(Settings { proxy: Proxy::Direct, ..Settings::default() }).expect("a fetcher");
    let stopped = bench.library.fetch("pictures", &options, &patient, &Silent, &cancel);
    let is_stopped = |error: &DatasetError| error.to_string().contains("stopped on request");
    assert!(stopped.as_ref().is_err_and(is_stopped), "{stopped:?}");
    assert_eq!(downloads(&bench).len(), 1, "what has arrived is kept");
    let report = fetch(&bench, &options).expect("the rest");
    assert_eq!(server.asked().last().and_then(|asked| asked.from), Some(20_000));
    assert_eq!(report.status.splits["test"].found, 40);
    assert_eq!(downloads(&bench), ["test.tar.gz"], "kept on wish");
    // A kept download is used again.
    std::fs::remove_dir_all(bench.library.folder("pictures")).expect("removed");
    let requests = server.asked().len();
    let report = fetch(&bench, &FetchOptions { keep_archives: false, ..options }).expect("from the kept download");
    assert_eq!((report.downloaded[0].address.as_ref(), server.asked().len()), (None, requests));
    assert!(downloads(&bench).is_empty());
}

#[test]
fn an_archive_that_lacks_pictures_is_not_downloaded_over_and_over() {
    let test = archive("test", 39);
    let served = test.clone();
    let server = Server::start(move |_, asked: &Asked| ranged(&served, asked, usize::MAX));
    let bench = Bench::new(&[("pictures", manifest(&published(&test, &[server.address("/test")]), "size: 1"))]);
    let options = FetchOptions { splits: vec!["test".into()], ..FetchOptions::default() };
    for _ in 0..2 {
        let report = fetch(&bench, &options).expect("downloaded once");
        assert_eq!((report.complete, report.status.splits["test"].found), (false, 39));
        assert_eq!(server.asked().len(), 1);
    }
    let plan = bench.library.fetch_plan("pictures", &options).expect("known");
    assert_eq!(plan.unavailable, ["images of split test that the published archives lack"]);
    // Where the set was removed, it is fetched anew.
    std::fs::remove_dir_all(bench.library.folder("pictures")).expect("removed");
    fetch(&bench, &options).expect("downloaded again");
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn single_files_come_from_their_own_addresses_or_from_a_mirror_of_ones_own() {
    let (one, two) = (common::records(0, 3), common::records(100, 2));
    let manifest = |address: &str| {
        common::tiny_manifest([&one, &two, &one])
            .replace("path: one.bin, split: train,", &format!("path: one.bin, split: train, mirrors: [{address:?}],"))
    };
    let files = [one.clone(), two.clone()];
    let server = Server::start(move |_, asked: &Asked| match asked.line.as_str() {
        "GET /published HTTP/1.1" | "GET /mine/tiny/one.bin HTTP/1.1" => whole(&files[0]),
        "GET /mine/two.bin HTTP/1.1" => whole(&files[1]),
        _ => vec![head("404 Not Found", &["Content-Length: 0".to_owned()])],
    });
    let bench = Bench::new(&[("tiny", manifest(&server.address("/published")))]);
    let fetch = |bench: &Bench, mirror: Option<String>| {
        let options = FetchOptions { splits: vec!["train".into()], mirror, ..FetchOptions::default() };
        bench.library.fetch("tiny", &options, &fetcher(), &Silent, &Cancel::new())
    };
    let report = fetch(&bench, None).expect("the one that has an address");
    assert_eq!((report.downloaded.len(), report.unavailable.as_slice()), (1, ["two.bin".to_owned()].as_slice()));
    assert_eq!((report.complete, report.status.splits["train"].found), (false, 3));
    let report = fetch(&bench, Some(server.address("/mine/"))).expect("the other one");
    assert_eq!(report.downloaded[0].address, Some(server.address("/mine/two.bin")));
    assert_eq!((report.downloaded.len(), report.complete, report.status.splits["train"].found), (1, true, 5));
    let other = Bench::new(&[("tiny", manifest(&server.address("/published")))]);
    let report = fetch(&other, Some(server.address("/mine"))).expect("both");
    assert_eq!(report.downloaded[0].address, Some(server.address("/mine/tiny/one.bin")));
}
