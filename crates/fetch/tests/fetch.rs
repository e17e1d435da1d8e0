//! Downloads from a server that behaves in every way that servers do.

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oodlab_base::{Cancel, Seed, Silent};
use oodlab_fetch::{Checksum, Download, Failure, FetchError, Fetched, Fetcher, Proxy, Reason, Settings, Size};
use sha2::{Digest, Sha256};
use support::{Recorder, Server, Step, head, ranged, whole};

/// A file that no two parts of are alike.
fn content(size: usize) -> Vec<u8> {
    let stream = Seed(3).stream("download");
    (0..size as u64).map(|index| stream.below(256, index) as u8).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn settings() -> Settings {
    Settings {
        connect: Duration::from_secs(5),
        stall: Duration::from_millis(400),
        attempts: 3,
        pause: Duration::from_millis(5),
        proxy: Proxy::Direct,
    }
}

/// A place for one download of `bytes`.
struct Case {
    folder: tempfile::TempDir,
    bytes: Vec<u8>,
    size: Size,
}

impl Case {
    fn new(size: usize) -> Case {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Case { folder, bytes: content(size), size: Size::AtMost(10 << 20) }
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("below/file.bin")
    }

    fn part(&self) -> PathBuf {
        self.folder.path().join(format!("below/.file.bin.{}.part", &sha256(&self.bytes)[..8]))
    }

    fn fetch_with(&self, addresses: &[String], settings: Settings) -> Result<Fetched, FetchError> {
        let checksum = Checksum::Sha256(sha256(&self.bytes)[..8].to_owned());
        let target = self.target();
        let download = Download { label: "the file", addresses, checksum: &checksum, size: self.size, target: &target };
        let result = Fetcher::with_settings(settings).expect("a fetcher").fetch(&download, &Silent, &Cancel::new());
        if let Ok(fetched) = &result {
            assert_eq!(std::fs::read(&target).expect("the file"), self.bytes);
            assert_eq!(fetched.sha256, sha256(&self.bytes));
            assert_eq!(files(target.parent().expect("a folder")), ["file.bin"]);
        } else {
            assert!(!target.exists());
        }
        result
    }

    fn fetch(&self, addresses: &[String]) -> Result<Fetched, FetchError> {
        self.fetch_with(addresses, settings())
    }
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn failures(result: Result<Fetched, FetchError>) -> Vec<Failure> {
    match result {
        Err(FetchError::Failed { failures, .. }) => failures,
        other => panic!("a failed download expected, found {other:?}"),
    }
}

#[test]
fn a_file_is_fetched_once_with_its_progress() {
    let case = Case::new(300_000);
    let bytes = case.bytes.clone();
    let server = Server::start(move |_, asked| ranged(&bytes, asked, usize::MAX));
    let (address, target) = (server.address("/file"), case.target());
    let checksum = Checksum::Sha256(sha256(&case.bytes));
    let addresses = std::slice::from_ref(&address);
    let download = Download { label: "x", addresses, checksum: &checksum, size: Size::Exact(300_000), target: &target };
    let fetcher = Fetcher::with_settings(settings()).expect("a fetcher");
    let recorder = Recorder::default();
    let fetched = fetcher.fetch(&download, &recorder, &Cancel::new()).expect("a download");
    assert_eq!(fetched, Fetched { sha256: sha256(&case.bytes), address: Some(address.clone()), resumed_bytes: 0 });
    assert_eq!(*recorder.tasks.lock().expect("no panic"), [("x".to_owned(), 293, 0)]);
    assert_eq!(*recorder.units.lock().expect("no panic"), 300_000 / 1024);
    assert_eq!(std::fs::read(&target).expect("the file"), case.bytes);
    // What is there is not asked for again; what is there and wrong is replaced.
    assert_eq!(fetcher.fetch(&download, &recorder, &Cancel::new()).expect("nothing to do").address, None);
    assert_eq!(server.asked().len(), 1);
    std::fs::write(&target, b"something else").expect("writable");
    assert!(fetcher.fetch(&download, &recorder, &Cancel::new()).expect("a download").address.is_some());
    assert_eq!(std::fs::read(&target).expect("the file"), case.bytes);
}

#[test]
fn a_transfer_that_breaks_off_goes_on_where_it_stopped() {
    let case = Case::new(200_000);
    let bytes = case.bytes.clone();
    let server = Server::start(move |_, asked| ranged(&bytes, asked, 90_000));
    case.fetch(&[server.address("/file")]).expect("three transfers");
    let from: Vec<Option<usize>> = server.asked().iter().map(|asked| asked.from).collect();
    assert_eq!(from.len(), 3);
    assert_eq!(from[0], None);
    assert!(from[1..].iter().all(Option::is_some) && from.is_sorted(), "{from:?}");
}

#[test]
fn a_later_call_goes_on_with_what_an_earlier_one_left() {
    let case = Case::new(150_000);
    let bytes = case.bytes.clone();
    let server =
        Server::start(move |number, asked| ranged(&bytes, asked, if number < 1 { 60_000 } else { usize::MAX }));
    let once = Settings { attempts: 1, ..settings() };
    let failed = failures(case.fetch_with(&[server.address("/file")], once.clone()));
    assert!(matches!(&failed[0].reason, Reason::Network(_)), "{failed:?}");
    let left = std::fs::read(case.part()).expect("what has arrived");
    assert!(!left.is_empty() && case.bytes.starts_with(&left));
    let fetched = case.fetch_with(&[server.address("/file")], once).expect("the rest");
    assert_eq!(fetched.resumed_bytes, left.len() as u64);
    assert_eq!(server.asked()[1].from, Some(left.len()));
}

#[test]
fn what_an_earlier_call_left_wrong_is_fetched_anew() {
    let case = Case::new(50_000);
    let bytes = case.bytes.clone();
    let server = Server::start(move |_, asked| ranged(&bytes, asked, usize::MAX));
    // Zeros at the end, as after a crash; more than the whole file; the whole file.
    for (left, requests) in [(vec![0; 20_000], 2), (vec![0; 60_000], 2), (case.bytes.clone(), 0), (vec![0; 50_000], 2)]
    {
        let before = server.asked().len();
        std::fs::create_dir_all(case.part().parent().expect("a folder")).expect("a folder");
        std::fs::write(case.part(), &left).expect("writable");
        case.fetch(&[server.address("/file")]).expect("the right file");
        assert_eq!(server.asked().len() - before, requests, "{} bytes left", left.len());
        std::fs::remove_file(case.target()).expect("removable");
    }
}

#[test]
fn a_server_without_ranges_sends_all_of_it_again() {
    let case = Case::new(100_000);
    let bytes = case.bytes.clone();
    let server = Server::start(move |number, _| {
        let mut steps = whole(&bytes);
        if number == 0 {
            steps[1] = Step::Send(bytes[..30_000].to_vec());
        }
        steps
    });
    case.fetch(&[server.address("/file")]).expect("the second transfer");
    assert_eq!(server.asked().len(), 2);
    assert!(server.asked()[1].from.is_some());
}

#[test]
fn a_server_that_answers_another_range_is_not_believed() {
    let case = Case::new(100_000);
    let bytes = case.bytes.clone();
    let server = Server::start(move |number, asked| match number {
        0 => ranged(&bytes, asked, 30_000),
        1 => {
            let range = "Content-Range: bytes 5-99999/100000".to_owned();
            vec![head("206 Partial Content", &[range]), Step::Send(bytes[5..].to_vec())]
        }
        _ => ranged(&bytes, asked, usize::MAX),
    });
    case.fetch(&[server.address("/file")]).expect("the third transfer");
    assert_eq!(server.asked()[2].from, None);
}

#[test]
fn wrong_bytes_never_get_the_files_name() {
    let case = Case::new(10_000);
    let mut wrong = case.bytes.clone();
    wrong[5000] ^= 1;
    let found = sha256(&wrong);
    let server = Server::start(move |_, asked| ranged(&wrong, asked, usize::MAX));
    let error = case.fetch(&[server.address("/file")]).expect_err("wrong bytes").to_string();
    let expected = &sha256(&case.bytes)[..8];
    assert!(error.contains(&format!("expected SHA-256 {expected}.., found {found}")), "{error}");
    assert_eq!(server.asked().len(), 1, "wrong bytes are not asked for again");
    assert_eq!(files(&case.folder.path().join("below")), Vec::<String>::new());
}

#[test]
fn mirrors_are_tried_in_turn() {
    let case = Case::new(120_000);
    let (bytes, mut wrong) = (case.bytes.clone(), case.bytes.clone());
    wrong[0] ^= 1;
    let server = Server::start(move |_, asked| match asked.line.as_str() {
        "GET /absent HTTP/1.1" => vec![head("404 Not Found", &["Content-Length: 0".to_owned()])],
        "GET /wrong HTTP/1.1" => ranged(&wrong, asked, usize::MAX),
        "GET /broken HTTP/1.1" => vec![head("503 Service Unavailable", &["Content-Length: 0".to_owned()])],
        "GET /half HTTP/1.1" => ranged(&bytes, asked, if asked.from.is_none() { 70_000 } else { 0 }),
        _ => ranged(&bytes, asked, usize::MAX),
    });
    let all = ["/absent", "/wrong", "/broken", "/half", "/good"].map(|path| server.address(path));
    let fetched = case.fetch(&all).expect("the last one");
    assert_eq!(fetched.address, Some(server.address("/good")));
    let good = server.asked().last().cloned().expect("requests");
    assert!(good.from.is_some_and(|from| from > 0), "the last mirror goes on where the one before stopped");
    std::fs::remove_file(case.target()).expect("removable");
    let failed = failures(case.fetch(&["ftp://localhost/file".to_owned(), all[0].clone(), all[2].clone()]));
    let reasons: Vec<Reason> = failed.iter().map(|failure| failure.reason.clone()).collect();
    assert_eq!(reasons, [Reason::Address, Reason::Status { status: 404 }, Reason::Status { status: 503 }]);
    let broken = server.asked().iter().filter(|asked| asked.line.contains("/broken")).count();
    assert_eq!(broken, 6, "a server's own error is worth three attempts, twice");
    let error = FetchError::Failed { label: "x".to_owned(), failures: failed }.to_string();
    assert!(error.contains("/absent: HTTP status 404 (not there); http"), "{error}");
}

#[test]
fn redirections_are_followed_and_loops_are_not() {
    let case = Case::new(5000);
    let bytes = case.bytes.clone();
    let server = Server::start(move |_, asked| match asked.line.as_str() {
        "GET /from HTTP/1.1" => vec![head("302 Found", &["Location: /to".to_owned(), "Content-Length: 0".to_owned()])],
        "GET /loop HTTP/1.1" => {
            vec![head("302 Found", &["Location: /loop".to_owned(), "Content-Length: 0".to_owned()])]
        }
        _ => ranged(&bytes, asked, 3000),
    });
    let failed = failures(case.fetch_with(&[server.address("/loop")], Settings { attempts: 1, ..settings() }));
    assert!(failed[0].reason.to_string().contains("without end"), "{failed:?}");
    case.fetch(&[server.address("/from")]).expect("two transfers, both redirected");
    let last = server.asked().last().cloned().expect("requests");
    assert_eq!((last.line.as_str(), last.from.is_some()), ("GET /to HTTP/1.1", true));
}

#[test]
fn lengths_that_lie_are_noticed() {
    let mut case = Case::new(20_000);
    for (announced, size, sent) in [
        // Announces less than it sends: the checksum tells. More: it never ends.
        (10_000, Size::AtMost(1 << 20), 20_000),
        (30_000, Size::AtMost(1 << 20), 20_000),
        // Both known beforehand.
        (10_000, Size::Exact(20_000), 20_000),
        (1 << 40, Size::AtMost(1 << 20), 20_000),
    ] {
        case.size = size;
        let bytes = case.bytes.clone();
        let server = Server::start(move |_, _| {
            vec![head("200 OK", &[format!("Content-Length: {announced}")]), Step::Send(bytes[..sent].to_vec())]
        });
        let failed = failures(case.fetch(&[server.address("/file")]));
        let right = match (announced, size) {
            (10_000, Size::AtMost(_)) => matches!(failed[0].reason, Reason::Checksum { .. }),
            (30_000, _) => matches!(failed[0].reason, Reason::Network(_)),
            _ => failed[0].reason == Reason::Size { found: announced, most: size_of(size), exact: is_exact(size) },
        };
        assert!(right, "{announced}, {size:?}: {failed:?}");
        drop(std::fs::remove_file(case.part()));
    }
    // Says nothing of its length and does not end where the file does.
    case.size = Size::AtMost(30_000);
    let server = Server::start(|_, _| {
        let endless = (0..100).map(|_| Step::Send(vec![7; 10_000]));
        std::iter::once(head("200 OK", &[])).chain(endless).collect()
    });
    let failed = failures(case.fetch(&[server.address("/file")]));
    assert!(matches!(failed[0].reason, Reason::Size { most: 30_000, exact: false, .. }), "{failed:?}");
    // Says nothing of its length and is right; and chunked.
    for chunked in [false, true] {
        let bytes = case.bytes.clone();
        let server = Server::start(move |_, _| {
            if !chunked {
                return vec![head("200 OK", &[]), Step::Send(bytes.clone())];
            }
            let mut body = Vec::new();
            for chunk in bytes.chunks(777) {
                body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            vec![head("200 OK", &["Transfer-Encoding: chunked".to_owned()]), Step::Send(body)]
        });
        case.fetch(&[server.address("/file")]).expect("a right file");
        std::fs::remove_file(case.target()).expect("removable");
    }
}

fn size_of(size: Size) -> u64 {
    let (Size::Exact(bytes) | Size::AtMost(bytes)) = size;
    bytes
}

fn is_exact(size: Size) -> bool {
    matches!(size, Size::Exact(_))
}

#[test]
fn slow_is_well_and_silence_is_not() {
    let case = Case::new(2000);
    let bytes = case.bytes.clone();
    // Slower than the limit of silence in all, not between two pieces.
    let server = Server::start(move |number, asked| {
        if number == 0 {
            let mut steps = ranged(&bytes, asked, 500);
            steps.push(Step::Wait(Duration::from_secs(5)));
            return steps;
        }
        let from = asked.from.expect("a range");
        let mut steps = ranged(&bytes, asked, 0);
        for piece in bytes[from..].chunks(300) {
            steps.extend([Step::Wait(Duration::from_millis(120)), Step::Send(piece.to_vec())]);
        }
        steps
    });
    let begin = Instant::now();
    case.fetch(&[server.address("/file")]).expect("the second transfer");
    let seconds = begin.elapsed().as_secs_f64();
    assert!((0.9..4.5).contains(&seconds), "{seconds} s");
    assert_eq!(server.asked()[1].from, Some(500));
}

#[test]
fn a_request_to_stop_is_heard_while_nothing_comes_and_what_arrived_is_kept() {
    let case = Case::new(100_000);
    let bytes = case.bytes.clone();
    let server = Server::start(move |_, asked| {
        let mut steps = ranged(&bytes, asked, 40_000);
        steps.push(Step::Wait(Duration::from_secs(20)));
        steps
    });
    let cancel = Cancel::new();
    let (flag, part) = (cancel.clone(), case.part());
    std::thread::spawn(move || {
        while std::fs::metadata(&part).map_or(0, |file| file.len()) < 40_000 {
            std::thread::sleep(Duration::from_millis(5));
        }
        flag.cancel();
    });
    let patient = Settings { stall: Duration::from_secs(60), ..settings() };
    let checksum = Checksum::Sha256(sha256(&case.bytes));
    let (addresses, target) = ([server.address("/file")], case.target());
    let download =
        Download { label: "x", addresses: &addresses, checksum: &checksum, size: case.size, target: &target };
    let begin = Instant::now();
    let error = Fetcher::with_settings(patient).expect("a fetcher").fetch(&download, &Silent, &cancel);
    assert!(matches!(error, Err(FetchError::Cancelled(_))), "{error:?}");
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!(std::fs::metadata(case.part()).expect("what has arrived").len(), 40_000);
    assert!(!target.exists());
}

#[test]
fn no_network_no_place_no_address() {
    let case = Case::new(100);
    // A port that nobody listens at: bound, and let go.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
    let failed = failures(case.fetch(&[format!("http://127.0.0.1:{port}/file")]));
    assert!(failed[0].reason.to_string().contains("no connection"), "{failed:?}");
    assert!(matches!(case.fetch(&[]), Err(FetchError::NoAddress { .. })));
    // A file stands where the folder should be.
    std::fs::remove_dir_all(case.folder.path().join("below")).expect("removable");
    std::fs::write(case.folder.path().join("below"), b"").expect("writable");
    let bytes = case.bytes.clone();
    let server = Server::start(move |_, asked| ranged(&bytes, asked, usize::MAX));
    let error = case.fetch(&[server.address("/file")]).expect_err("no folder");
    assert!(matches!(&error, FetchError::Io { .. }) && error.to_string().contains("below"), "{error}");
}

#[test]
fn two_at_once_do_not_write_the_same_file() {
    let case = Case::new(100_000);
    let bytes = case.bytes.clone();
    let server = Server::start(move |_, asked| {
        let mut steps = ranged(&bytes, asked, usize::MAX);
        steps.insert(1, Step::Wait(Duration::from_millis(300)));
        steps
    });
    std::thread::scope(|scope| {
        let first = scope.spawn(|| case.fetch(&[server.address("/file")]));
        while server.asked().is_empty() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let checksum = Checksum::Sha256(sha256(&case.bytes)[..8].to_owned());
        let (addresses, target) = ([server.address("/file")], case.target());
        let download =
            Download { label: "x", addresses: &addresses, checksum: &checksum, size: case.size, target: &target };
        let second = Fetcher::with_settings(settings()).expect("a fetcher").fetch(&download, &Silent, &Cancel::new());
        assert!(matches!(second, Err(FetchError::Busy { .. })), "{second:?}");
        first.join().expect("no panic").expect("a download");
    });
}

#[test]
fn a_proxy_is_used() {
    let case = Case::new(3000);
    let bytes = case.bytes.clone();
    // The tunnel's request is answered by the server itself; the one in it comes here, whatever host it names.
    let proxy = Server::start(move |_, asked| ranged(&bytes, asked, usize::MAX));
    let through = Settings { proxy: Proxy::Address(proxy.address("")), ..settings() };
    case.fetch_with(&["http://host.invalid/file".to_owned()], through).expect("a download through it");
    let lines: Vec<String> = proxy.asked().into_iter().map(|asked| asked.line).collect();
    assert_eq!(lines, ["CONNECT host.invalid:80 HTTP/1.1", "GET /file HTTP/1.1"]);
    let wrong = Settings { proxy: Proxy::Address("no proxy at all".to_owned()), ..settings() };
    assert!(matches!(Fetcher::with_settings(wrong), Err(FetchError::Environment { .. })));
}

/// What an expired link answers, with status 200.
const PAGE: &[u8] = b"\n<!DOCTYPE html>\n<html><body>This link has expired.</body></html>";

#[test]
fn a_web_page_is_not_the_file_and_what_has_arrived_is_kept_for_the_next_address() {
    for (size, said, length) in [
        (Size::AtMost(1 << 20), "text/html; charset=utf-8", true),
        (Size::AtMost(1 << 20), "application/octet-stream", false),
        (Size::Exact(80_000), "text/html", true),
        (Size::Exact(80_000), "text/html", false),
        (Size::Exact(80_000), "application/x-tar", true),
    ] {
        let mut case = Case::new(80_000);
        case.size = size;
        let server = Server::start(move |_, _| {
            let mut headers = vec![format!("Content-Type: {said}")];
            headers.extend(length.then(|| format!("Content-Length: {}", PAGE.len())));
            vec![head("200 OK", &headers), Step::Send(PAGE.to_vec())]
        });
        let failed = failures(case.fetch(&[server.address("/file")]));
        // A size that is announced wrong is refused before a byte of it is seen.
        let unseen = size == Size::Exact(80_000) && said == "application/x-tar";
        let right =
            if unseen { matches!(failed[0].reason, Reason::Size { .. }) } else { failed[0].reason == Reason::WebPage };
        assert!(right, "{size:?}, {said}: {failed:?}");
        assert_eq!(server.asked().len(), 1, "it is not asked again");
        assert!(failed[0].reason != Reason::WebPage || failed[0].reason.to_string().contains("web page"));
        assert_eq!(files(&case.folder.path().join("below")), Vec::<String>::new());
    }
    // The first address breaks off, the second sends a page: the third goes on where the first stopped.
    let mut case = Case::new(80_000);
    case.size = Size::Exact(80_000);
    let bytes = case.bytes.clone();
    let server = Server::start(move |_, asked| match asked.line.as_str() {
        "GET /half HTTP/1.1" => ranged(&bytes, asked, if asked.from.is_none() { 50_000 } else { 0 }),
        "GET /page HTTP/1.1" => {
            let headers = ["Content-Type: text/html".to_owned(), format!("Content-Length: {}", PAGE.len())];
            vec![head("200 OK", &headers), Step::Send(PAGE.to_vec())]
        }
        _ => ranged(&bytes, asked, usize::MAX),
    });
    case.fetch(&["/half", "/page", "/good"].map(|path| server.address(path))).expect("the last one");
    assert_eq!(server.asked().last().and_then(|asked| asked.from), Some(50_000));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).expect("into memory");
    writer.finish().expect("into memory")
}

#[test]
fn a_transfer_that_is_packed_without_being_asked_is_unpacked() {
    for exact in [false, true] {
        let mut case = Case::new(60_000);
        case.bytes.resize(70_000, 7);
        case.size = if exact { Size::Exact(70_000) } else { Size::AtMost(1 << 20) };
        let packed = gzip(&case.bytes);
        let server = Server::start(move |number, asked| {
            let mut steps = ranged(&packed, asked, if number == 0 { 20_000 } else { usize::MAX });
            let Step::Send(bytes) = &mut steps[0] else { return steps };
            let text = String::from_utf8_lossy(bytes).replacen("\r\n", "\r\nContent-Encoding: gzip\r\n", 1);
            *bytes = text.into_bytes();
            steps
        });
        case.fetch(&[server.address("/file")]).expect("unpacked");
        assert_eq!(server.asked().len(), 2);
    }
    // A packed file whose own packing the server takes for one of the transfer: its bytes are right as they come.
    let mut case = Case::new(1);
    case.bytes = gzip(&content(5000));
    let bytes = case.bytes.clone();
    let server = Server::start(move |_, _| {
        let headers = ["Content-Encoding: gzip".to_owned(), format!("Content-Length: {}", bytes.len())];
        vec![head("200 OK", &headers), Step::Send(bytes.clone())]
    });
    case.fetch(&[server.address("/file")]).expect("as it is");
    // A bomb: so many zeros are never written.
    let mut case = Case::new(1000);
    case.size = Size::AtMost(2000);
    let bomb = gzip(&vec![0; 1_000_000]);
    let server = Server::start(move |_, _| {
        vec![head("200 OK", &["Content-Encoding: gzip".to_owned()]), Step::Send(bomb.clone())]
    });
    let failed = failures(case.fetch(&[server.address("/file")]));
    assert!(matches!(failed[0].reason, Reason::Checksum { .. } | Reason::Size { .. }), "{failed:?}");
    assert_eq!(files(&case.folder.path().join("below")), Vec::<String>::new());
}

#[test]
fn a_file_without_a_published_checksum_must_have_its_size() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let target = folder.path().join("list.bin");
    let bytes = content(50_000);
    let fetch = |address: String, size: Size| {
        let addresses = [address];
        let checksum = Checksum::Unpublished;
        let download = Download { label: "x", addresses: &addresses, checksum: &checksum, size, target: &target };
        Fetcher::with_settings(settings()).expect("a fetcher").fetch(&download, &Silent, &Cancel::new())
    };
    let whole_file = bytes.clone();
    let server =
        Server::start(move |number, asked| ranged(&whole_file, asked, if number == 0 { 20_000 } else { usize::MAX }));
    let short = fetch(server.address("/file"), Size::Exact(49_999));
    assert!(matches!(failures(short)[0].reason, Reason::Size { found: 50_000, most: 49_999, exact: true }));
    let fetched = fetch(server.address("/file"), Size::Exact(50_000)).expect("the right size");
    assert_eq!((fetched.sha256, std::fs::read(&target).expect("the file")), (sha256(&bytes), bytes.clone()));
    // What is there with its size is not asked for again; with another size it is no answer.
    let asked = server.asked().len();
    assert_eq!(fetch(server.address("/file"), Size::Exact(50_000)).expect("there").address, None);
    assert_eq!(server.asked().len(), asked);
    std::fs::write(&target, b"something else").expect("writable");
    assert!(fetch(server.address("/file"), Size::Exact(50_000)).expect("fetched anew").address.is_some());
    assert_eq!(std::fs::read(&target).expect("the file"), bytes);
    // Without a size either, a web page is still refused.
    std::fs::remove_file(&target).expect("removable");
    let server = Server::start(|_, _| whole(PAGE));
    assert_eq!(failures(fetch(server.address("/file"), Size::AtMost(1 << 20)))[0].reason, Reason::WebPage);
    assert!(!target.exists());
}

/// Adds a header line to an answer.
fn with_header(mut steps: Vec<Step>, line: &str) -> Vec<Step> {
    if let Step::Send(bytes) = &mut steps[0] {
        *bytes = String::from_utf8_lossy(bytes).replacen("\r\n", &format!("\r\n{line}\r\n"), 1).into_bytes();
    }
    steps
}

#[test]
fn without_a_checksum_no_file_is_put_together_from_two() {
    let (old, new) = (vec![b'o'; 30_000], vec![b'n'; 30_000]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let target = folder.path().join("list.bin");
    let fetch = |addresses: &[String]| {
        let (checksum, size) = (Checksum::Unpublished, Size::Exact(30_000));
        let download = Download { label: "x", addresses, checksum: &checksum, size, target: &target };
        let result = Fetcher::with_settings(settings()).expect("a fetcher").fetch(&download, &Silent, &Cancel::new());
        let bytes = || std::fs::read(&target).expect("the file");
        let count = |letter: u8| bytes().iter().filter(|&&byte| byte == letter).count();
        result.map(|fetched| (fetched.resumed_bytes, count(b'o'), count(b'n')))
    };
    // Another mirror has another build: it is asked for all of it, as is any address in a later call.
    let (a, b) = (old.clone(), new.clone());
    let server = Server::start(move |_, asked| match asked.line.as_str() {
        "GET /broken HTTP/1.1" => {
            with_header(ranged(&a, asked, if asked.from.is_none() { 10_000 } else { 0 }), "ETag: \"old\"")
        }
        _ => with_header(ranged(&b, asked, usize::MAX), "ETag: \"new\""),
    });
    assert_eq!(fetch(&["/broken", "/good"].map(|path| server.address(path))).expect("the mirror"), (0, 0, 30_000));
    std::fs::remove_file(&target).expect("removable");
    std::fs::write(folder.path().join(".list.bin.unproven.part"), &old[..20_000]).expect("writable");
    assert_eq!(fetch(&[server.address("/good")]).expect("anew"), (0, 0, 30_000));
    std::fs::remove_file(&target).expect("removable");
    std::fs::write(folder.path().join(".list.bin.unproven.part"), &old).expect("writable");
    assert_eq!(fetch(&[server.address("/good")]).expect("anew, though the size is right"), (0, 0, 30_000));
    std::fs::remove_file(&target).expect("removable");
    // One address, which breaks off and has another build then: (what the server says of its state, whether it minds what the
    // client says of it, the first byte of each request).
    let same = "ETag: \"old\"";
    for (before, after, minds, from) in [
        (same, same, true, vec![None, Some(10_000)]),
        ("Last-Modified: x", "Last-Modified: x", true, vec![None, Some(10_000)]),
        (same, "ETag: \"new\"", true, vec![None, Some(10_000)]),
        (same, "ETag: \"new\"", false, vec![None, Some(10_000), None]),
        ("ETag: W/\"weak\"", "ETag: W/\"weak\"", true, vec![None, None]),
        ("X-None: x", "X-None: x", true, vec![None, None]),
    ] {
        let changes = before != after || before.contains("weak") || before.contains("None");
        let (a, b) = (old.clone(), if changes { new.clone() } else { old.clone() });
        let server = Server::start(move |number, asked| {
            if number == 0 {
                return with_header(ranged(&a, asked, 10_000), before);
            }
            let stated = |said: &String| after.to_lowercase().ends_with(said.as_str());
            let goes_on = !minds || asked.if_range.as_ref().is_none_or(stated);
            with_header(if goes_on { ranged(&b, asked, usize::MAX) } else { whole(&b) }, after)
        });
        let expected = if changes { (0, 0, 30_000) } else { (0, 30_000, 0) };
        assert_eq!(fetch(&[server.address("/file")]).expect("in the end"), expected, "{before}, {after}");
        let asked: Vec<Option<usize>> = server.asked().iter().map(|asked| asked.from).collect();
        assert_eq!(asked, from, "{before}, {after}");
        std::fs::remove_file(&target).expect("removable");
    }
    // What is announced as a page is one, whatever it holds; a failure leaves nothing behind.
    let server = Server::start(move |_, _| with_header(whole(&old), "Content-Type: text/html"));
    let Err(FetchError::Failed { failures: page, .. }) = fetch(&[server.address("/file")]) else {
        panic!("a page is expected to be refused")
    };
    assert_eq!(page[0].reason, Reason::WebPage);
    assert_eq!(files(folder.path()), Vec::<String>::new());
}
