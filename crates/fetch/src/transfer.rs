//! One request, read by a thread of its own, so that whoever waits can stop at any moment.

use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use oodlab_base::{Cancel, Cancelled};
use ureq::{Agent, ResponseExt};

/// Bytes that are handed over at once.
const PIECE_BYTES: usize = 1 << 16;

/// Pieces that may wait.
const PIECES: usize = 8;

/// How often a waiting caller looks whether it should stop.
const LOOK: Duration = Duration::from_millis(50);

/// What comes from the other side, in this order: a head, pieces, an end; or broken at any point.
pub(crate) enum Event {
    Head(Head),
    Piece(Vec<u8>),
    End,
    Broken(String),
}

/// The answer without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) length: Option<u64>,
    pub(crate) range: Option<ContentRange>,
    /// Where redirections led.
    pub(crate) address: String,
    /// It says that what it sends is HTML.
    pub(crate) page: bool,
    /// It packs what it sends, though not asked to.
    pub(crate) packed: bool,
    /// What tells this state of the file from any other: a strong `ETag`, or else `Last-Modified`.
    pub(crate) validator: Option<String>,
}

/// `Content-Range: bytes BEGIN-END/TOTAL`, or `bytes */TOTAL` when nothing of the file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentRange {
    pub(crate) begin: Option<u64>,
    pub(crate) total: Option<u64>,
}

impl ContentRange {
    fn parse(text: &str) -> Option<ContentRange> {
        let (range, total) = text.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
        let begin = range.split_once('-').and_then(|(begin, _)| begin.trim().parse().ok());
        Some(ContentRange { begin, total: total.trim().parse().ok() })
    }
}

/// A request under way.
pub(crate) struct Transfer {
    events: Receiver<Event>,
}

impl Transfer {
    /// Asks for the file from a byte on; with a validator, for all of it if it is in another state by now.
    pub(crate) fn start(agent: &Agent, address: &str, from: u64, validator: Option<&str>) -> Transfer {
        let (sender, events) = sync_channel(PIECES);
        let (agent, address, validator) = (agent.clone(), address.to_owned(), validator.map(str::to_owned));
        // The thread ends when nobody listens any more, or at the latest when its own time limits pass.
        std::thread::spawn(move || {
            if let Err(broken) = request(&agent, &address, from, validator.as_deref(), &sender) {
                let _ = sender.send(Event::Broken(broken));
            }
        });
        Transfer { events }
    }

    /// Waits for the next event.
    pub(crate) fn next(&self, cancel: &Cancel) -> Result<Event, Cancelled> {
        loop {
            cancel.check()?;
            match self.events.recv_timeout(LOOK) {
                Ok(event) => return Ok(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Ok(Event::Broken("the transfer ended without an answer".to_owned()));
                }
            }
        }
    }
}

fn request(
    agent: &Agent,
    address: &str,
    from: u64,
    validator: Option<&str>,
    sender: &SyncSender<Event>,
) -> Result<(), String> {
    // The file's own bytes are what is wanted, not a packed form of them.
    let mut request = agent.get(address).header("Accept-Encoding", "identity");
    if from > 0 {
        request = request.header("Range", format!("bytes={from}-"));
        if let Some(validator) = validator {
            request = request.header("If-Range", validator);
        }
    }
    let response = request.call().map_err(explain)?;
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let head = Head {
        status: response.status().as_u16(),
        length: header("content-length").and_then(|length| length.trim().parse().ok()),
        range: header("content-range").and_then(ContentRange::parse),
        address: response.get_uri().to_string(),
        page: header("content-type").is_some_and(|kind| kind.trim().to_ascii_lowercase().starts_with("text/html")),
        packed: header("content-encoding").is_some_and(|kind| kind.to_ascii_lowercase().contains("gzip")),
        validator: header("etag")
            .filter(|tag| tag.starts_with('"'))
            .or_else(|| header("last-modified"))
            .map(str::to_owned),
    };
    if sender.send(Event::Head(head)).is_err() {
        return Ok(());
    }
    let mut reader = response.into_body().into_with_config().limit(u64::MAX).reader();
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let count = reader.read(&mut piece).map_err(|error| format!("the connection broke ({error})"))?;
        piece.truncate(count);
        let event = if count == 0 { Event::End } else { Event::Piece(piece) };
        if sender.send(event).is_err() || count == 0 {
            return Ok(());
        }
    }
}

/// An error of the HTTP library in the user's terms.
fn explain(error: ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "the host was not found (no network?)".to_owned(),
        ureq::Error::Io(error) => format!("no connection ({error})"),
        ureq::Error::ConnectionFailed => "no connection".to_owned(),
        ureq::Error::Timeout(what) => format!("no answer in time ({what})"),
        ureq::Error::TooManyRedirects => "it leads from address to address without end".to_owned(),
        ureq::Error::ConnectProxyFailed(what) => format!("the proxy refused ({what})"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let parse = |text| ContentRange::parse(text).map(|range| (range.begin, range.total));
        assert_eq!(parse("bytes 5-9/10"), Some((Some(5), Some(10))));
        assert_eq!(parse("bytes 5-9/*"), Some((Some(5), None)));
        assert_eq!(parse("bytes */10"), Some((None, Some(10))));
        assert_eq!(parse("pages 1-2/3"), None);
        assert_eq!(parse("bytes"), None);
    }
}
