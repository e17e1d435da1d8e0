//! A small HTTP server that does what a test tells it, and a bar that records.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oodlab_base::{Progress, Task};

/// What a client asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Method and target: `GET /file`.
    pub line: String,
    /// The first byte of `Range: bytes=N-`.
    pub from: Option<usize>,
    /// `If-Range`, in lower case.
    pub if_range: Option<String>,
}

/// A step of an answer.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Waits.
    Wait(Duration),
}

/// A server on a free port of this machine; each connection is answered once and closed.
pub struct Server {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// `answer` gets the number of the request (from 0) and what was asked.
    pub fn start(answer: impl Fn(usize, &Asked) -> Vec<Step> + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("its address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let answer = Arc::new(answer);
        // The thread ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &log, answer.as_ref()));
            }
        });
        Server { address, asked }
    }

    /// The address of a path.
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Everything that was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic while it is held").clone()
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<Asked>>, answer: &(impl Fn(usize, &Asked) -> Vec<Step> + ?Sized)) {
    let next = || {
        let asked = read_request(&stream)?;
        let mut log = log.lock().expect("no panic while it is held");
        log.push(asked.clone());
        Some((log.len() - 1, asked))
    };
    let Some((mut number, mut asked)) = next() else { return };
    if asked.line.starts_with("CONNECT ") {
        // As a proxy: whatever comes through the tunnel is for this server too.
        if (&stream).write_all(b"HTTP/1.1 200 Connected\r\n\r\n").is_err() {
            return;
        }
        let Some(inner) = next() else { return };
        (number, asked) = inner;
    }
    for step in answer(number, &asked) {
        match step {
            // The client may have gone.
            Step::Send(bytes) => drop(stream.write_all(&bytes)),
            Step::Wait(time) => std::thread::sleep(time),
        }
    }
}

fn read_request(stream: &TcpStream) -> Option<Asked> {
    let mut lines = BufReader::new(stream).lines();
    let line = lines.next()?.ok()?;
    let (mut from, mut if_range) = (None, None);
    for header in lines {
        let header = header.ok()?.to_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(range) = header.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().ok();
        }
        if let Some(validator) = header.strip_prefix("if-range: ") {
            if_range = Some(validator.to_owned());
        }
    }
    Some(Asked { line, from, if_range })
}

/// A head of an answer with these header lines.
pub fn head(status: &str, headers: &[String]) -> Step {
    let lines: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    Step::Send(format!("HTTP/1.1 {status}\r\nConnection: close\r\n{lines}\r\n").into_bytes())
}

/// The whole file, whatever was asked.
pub fn whole(bytes: &[u8]) -> Vec<Step> {
    vec![head("200 OK", &[format!("Content-Length: {}", bytes.len())]), Step::Send(bytes.to_vec())]
}

/// The file as a good server sends it: the range that was asked, `cut` bytes of it at most before the connection breaks.
pub fn ranged(bytes: &[u8], asked: &Asked, cut: usize) -> Vec<Step> {
    let total = bytes.len();
    let from = asked.from.unwrap_or(0);
    if from >= total {
        return vec![head("416 Range Not Satisfiable", &[format!("Content-Range: bytes */{total}")])];
    }
    let length = format!("Content-Length: {}", total - from);
    let first = match asked.from {
        None => head("200 OK", &[length]),
        Some(from) => {
            head("206 Partial Content", &[length, format!("Content-Range: bytes {from}-{}/{total}", total - 1)])
        }
    };
    vec![first, Step::Send(bytes[from..total.min(from.saturating_add(cut))].to_vec())]
}

/// Records what bars were told: label, total, done at the beginning; and the units of all together.
#[derive(Default)]
pub struct Recorder {
    pub tasks: Mutex<Vec<(String, u64, u64)>>,
    pub units: Arc<Mutex<u64>>,
}

struct Recorded(Arc<Mutex<u64>>);

impl Progress for Recorder {
    fn task(&self, label: &str, unit: &'static str, total: u64, done: u64) -> Box<dyn Task> {
        assert_eq!(unit, "KiB");
        self.tasks.lock().expect("no panic while it is held").push((label.to_owned(), total, done));
        Box::new(Recorded(Arc::clone(&self.units)))
    }
}

impl Task for Recorded {
    fn advance(&self, units: u64) {
        *self.0.lock().expect("no panic while it is held") += units;
    }

    fn remark(&self, _text: &str) {}
}
