//! Files by their addresses and checksum.

use std::path::Path;
use std::time::{Duration, Instant};

use oodlab_base::{Cancel, Cancelled, Progress, Task};
use ureq::Agent;
use ureq::tls::TlsConfig;

use crate::checksum::{Checksum, Hashes};
use crate::error::{Failure, FetchError, Reason};
use crate::partial::{Partial, hashes_of};
use crate::settings::{Settings, proxy, roots_of_environment};
use crate::transfer::{Event, Head, Transfer};

/// A transfer that brought less than this counts as one that brought nothing.
const WORTH_BYTES: u64 = 1 << 20;

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// A file that is wanted.
#[derive(Debug, Clone)]
pub struct Download<'a> {
    /// What messages and the progress bar call it.
    pub label: &'a str,
    /// Where it is published, `http://` or `https://`, the preferred address first.
    pub addresses: &'a [String],
    /// What it must hash to.
    pub checksum: &'a Checksum,
    /// How large it is, or may be.
    pub size: Size,
    /// Its final place; folders are made.
    pub target: &'a Path,
}

/// How large a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// So many bytes.
    Exact(u64),
    /// No more than so many bytes.
    AtMost(u64),
}

impl Size {
    fn most(self) -> u64 {
        let (Size::Exact(bytes) | Size::AtMost(bytes)) = self;
        bytes
    }

    fn exact(self) -> Option<u64> {
        match self {
            Size::Exact(bytes) => Some(bytes),
            Size::AtMost(_) => None,
        }
    }

    fn refuse(self, found: u64) -> Reason {
        Reason::Size { found, most: self.most(), exact: self.exact().is_some() }
    }
}

/// A file that is in its place with the right checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// All 64 digits of its SHA-256, whatever checksum was published.
    pub sha256: String,
    /// The address that gave it; none when it was there already.
    pub address: Option<String>,
    /// Bytes that were there from an earlier attempt.
    pub resumed_bytes: u64,
}

/// Fetches files.
#[derive(Debug, Clone)]
pub struct Fetcher {
    agent: Agent,
    settings: Settings,
}

/// How an attempt ended that neither the file system nor the user stopped.
enum Outcome {
    /// The server says that this is all of it; `packed`: as gzip, though nobody asked for that.
    Whole { packed: bool },
    /// Worth another attempt.
    Broken(Reason),
    /// Not worth another attempt at this address.
    Refused(Reason),
}

impl Fetcher {
    /// A fetcher with the usual patience.
    ///
    /// # Errors
    /// [`FetchError::Environment`] when a variable names a proxy or certificates that cannot be used.
    pub fn new() -> Result<Fetcher, FetchError> {
        Fetcher::with_settings(Settings::default())
    }

    /// A fetcher with other settings.
    ///
    /// # Errors
    /// As [`Fetcher::new`].
    pub fn with_settings(settings: Settings) -> Result<Fetcher, FetchError> {
        let mut tls = TlsConfig::builder();
        if let Some(roots) = roots_of_environment()? {
            tls = tls.root_certs(roots);
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .tls_config(tls.build())
            .proxy(proxy(&settings.proxy)?)
            .user_agent(concat!("oodlab/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(settings.connect))
            .timeout_connect(Some(settings.connect))
            .timeout_recv_response(Some(settings.stall))
            .timeout_per_read(Some(settings.stall))
            .timeout_per_write(Some(settings.stall))
            // A connection is used once: the servers of large files close idle ones, which would look like a failure.
            .max_idle_connections(0)
            .build();
        Ok(Fetcher { agent: config.new_agent(), settings })
    }

    /// Brings a file to its place, unless it is there with the right checksum already. Addresses are tried in turn; what
    /// has arrived is gone on with at the next address, and at the next call; not so where no checksum would tell a file that
    /// was put together from two: then every address and every call begins anew.
    ///
    /// # Errors
    /// [`FetchError::Failed`] with the reason of each address; [`FetchError::Cancelled`], [`FetchError::Full`],
    /// [`FetchError::Busy`] and [`FetchError::Io`] at once. Whatever was at the file's place stays there.
    pub fn fetch(
        &self,
        download: &Download<'_>,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Fetched, FetchError> {
        let (label, checksum) = (download.label, download.checksum);
        checksum.check(label)?;
        let mut partial = loop {
            cancel.check()?;
            let there = hashes_of(download.target, checksum, cancel)?;
            let size = || std::fs::metadata(download.target).map(|data| data.len()).ok();
            let fits = || checksum.proves() || download.size.exact().is_none_or(|exact| size() == Some(exact));
            if let Some(hashes) = there.filter(|hashes| checksum.matches(hashes) && fits()) {
                return Ok(Fetched { sha256: hashes.sha256, address: None, resumed_bytes: 0 });
            }
            if download.addresses.is_empty() {
                return Err(FetchError::NoAddress { label: label.to_owned() });
            }
            if let Some(partial) = Partial::open(label, download.target, checksum, cancel)? {
                break partial;
            }
        };
        if !checksum.proves() {
            partial.clear()?;
        }
        let resumed_bytes = partial.length();
        // An earlier attempt may have ended between the last byte and the renaming.
        let hashes = partial.hashes();
        if resumed_bytes > 0 && checksum.matches(&hashes) {
            partial.finish()?;
            return Ok(Fetched { sha256: hashes.sha256, address: None, resumed_bytes });
        }
        let mut failures = Vec::new();
        for address in download.addresses {
            if !checksum.proves() {
                partial.clear()?;
            }
            match self.try_address(download, address, &mut partial, progress, cancel)? {
                Ok(hashes) => {
                    partial.finish()?;
                    let address = Some(address.clone());
                    return Ok(Fetched { sha256: hashes.sha256, address, resumed_bytes });
                }
                Err(reason) => {
                    tracing::warn!("{label}: {address}: {reason}");
                    failures.push(Failure { address: address.clone(), reason });
                }
            }
        }
        if partial.length() == 0 || !checksum.proves() {
            partial.discard();
        }
        Err(FetchError::Failed { label: label.to_owned(), failures })
    }

    /// All attempts at one address: the hashes of the right file, or the reason for giving the address up.
    fn try_address(
        &self,
        download: &Download<'_>,
        address: &str,
        partial: &mut Partial,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Result<Hashes, Reason>, FetchError> {
        if !address.starts_with("https://") && !address.starts_with("http://") {
            return Ok(Err(Reason::Address));
        }
        let (mut failed, mut furthest, mut pause) = (0, partial.length(), self.settings.pause);
        let mut validator = None;
        loop {
            let resumed = partial.length() > 0;
            match self.attempt(download, address, partial, &mut validator, progress, cancel)? {
                Outcome::Whole { packed } => {
                    let hashes = partial.hashes();
                    let looks_right = download.checksum.matches(&hashes);
                    if looks_right && download.checksum.proves() {
                        return Ok(Ok(hashes));
                    }
                    if partial.is_web_page()? {
                        partial.clear()?;
                        return Ok(Err(Reason::WebPage));
                    }
                    // Some servers call the packing of the file itself one of the transfer: then its own bytes are right.
                    let own_packing = || match download.size.exact() {
                        Some(exact) => partial.length() == exact,
                        None => ["gz", "tgz"]
                            .iter()
                            .any(|ending| download.target.extension().is_some_and(|extension| extension == *ending)),
                    };
                    if looks_right && (!packed || own_packing()) {
                        return Ok(Ok(hashes));
                    }
                    if packed && partial.unpack(download.size.most(), cancel)? {
                        let hashes = partial.hashes();
                        let size = download.size.exact().is_none_or(|exact| exact == partial.length());
                        if size && download.checksum.matches(&hashes) {
                            return Ok(Ok(hashes));
                        }
                    }
                    partial.clear()?;
                    // The part from before may have been the wrong one: a crash can leave zeros at a file's end.
                    if !resumed {
                        let found = download.checksum.found(&hashes).to_owned();
                        return Ok(Err(Reason::Checksum { expected: download.checksum.to_string(), found }));
                    }
                    tracing::info!("{}: what an earlier attempt left was wrong; fetching all of it", download.label);
                }
                Outcome::Refused(reason) => {
                    let page = matches!(reason, Reason::Size { .. }) && partial.is_web_page()?;
                    if matches!(reason, Reason::Size { .. }) {
                        partial.clear()?;
                    }
                    return Ok(Err(if page { Reason::WebPage } else { reason }));
                }
                Outcome::Broken(_) if partial.is_web_page()? => {
                    partial.clear()?;
                    return Ok(Err(Reason::WebPage));
                }
                Outcome::Broken(reason) => {
                    if partial.length() >= furthest + WORTH_BYTES {
                        (failed, pause) = (0, self.settings.pause);
                    }
                    furthest = furthest.max(partial.length());
                    failed += 1;
                    if failed >= self.settings.attempts {
                        return Ok(Err(reason));
                    }
                    tracing::info!("{}: {reason}; trying again in {pause:?}", download.label);
                    wait(pause, cancel)?;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// One request. Where no checksum tells, the validator says whether what has arrived is of the file as it is now.
    fn attempt(
        &self,
        download: &Download<'_>,
        address: &str,
        partial: &mut Partial,
        validator: &mut Option<String>,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Outcome, FetchError> {
        let proves = download.checksum.proves();
        if !proves && validator.is_none() {
            partial.clear()?;
        }
        let transfer = Transfer::start(&self.agent, address, partial.length(), validator.as_deref());
        let head = match transfer.next(cancel)? {
            Event::Head(head) => head,
            Event::Broken(what) => return Ok(Outcome::Broken(Reason::Network(what))),
            Event::Piece(_) | Event::End => return Ok(Outcome::Broken(Reason::Network("no answer".to_owned()))),
        };
        if address.starts_with("https://") && !head.address.starts_with("https://") {
            return Ok(Outcome::Refused(Reason::Insecure { to: head.address }));
        }
        if !proves && head.status == 200 {
            validator.clone_from(&head.validator);
        } else if !proves && head.status == 206 && head.validator.is_some() && head.validator != *validator {
            partial.clear()?;
            return Ok(Outcome::Broken(Reason::Network("the file was changed meanwhile".to_owned())));
        }
        let total = match announced(&head, download.size, proves, partial)? {
            Ok(total) => total,
            Err(outcome) => return Ok(outcome),
        };
        // What does not get smaller gets a little larger by packing.
        let most = download.size.most();
        let most = if head.packed { most.saturating_add(most / 1000 + 1024) } else { most };
        let counter = Counter::new(progress, download.label, total.unwrap_or(0), partial.length());
        loop {
            match transfer.next(cancel)? {
                Event::Piece(piece) => {
                    if partial.length() + piece.len() as u64 > most {
                        let found = partial.length() + piece.len() as u64;
                        return Ok(Outcome::Refused(download.size.refuse(found)));
                    }
                    partial.write(&piece)?;
                    counter.at(partial.length());
                }
                Event::End => {
                    let length = partial.length();
                    return Ok(match total.filter(|&total| length < total) {
                        Some(total) => {
                            Outcome::Broken(Reason::Network(format!("it ended after {length} of {total} bytes")))
                        }
                        None => Outcome::Whole { packed: head.packed },
                    });
                }
                Event::Broken(what) => return Ok(Outcome::Broken(Reason::Network(what))),
                Event::Head(_) => {}
            }
        }
    }
}

/// Prepares what is there for what the server is about to send: the file's size where it is known, or the outcome of an
/// attempt that ends here.
fn announced(
    head: &Head,
    size: Size,
    proves: bool,
    partial: &mut Partial,
) -> Result<Result<Option<u64>, Outcome>, FetchError> {
    let range = head.range.unwrap_or(crate::transfer::ContentRange { begin: None, total: None });
    let wrong = |total: &u64| *total > size.most() || size.exact().is_some_and(|exact| *total != exact);
    let total = match head.status {
        // What has arrived may still be gone on with elsewhere.
        200 | 206 if head.page && (!proves || head.status == 200 && head.length.as_ref().is_some_and(wrong)) => {
            return Ok(Err(Outcome::Refused(Reason::WebPage)));
        }
        200 => {
            // All of it, whatever was asked for.
            if partial.length() > 0 {
                tracing::info!("{} cannot go on where it stopped; fetching all of it", head.address);
                partial.clear()?;
            }
            head.length
        }
        206 if range.begin == Some(partial.length()) => {
            range.total.or_else(|| head.length.and_then(|length| length.checked_add(partial.length())))
        }
        // Nothing beyond what is there: it is whole, or not of this file.
        416 if partial.length() > 0 && range.total == Some(partial.length()) => {
            return Ok(Err(Outcome::Whole { packed: head.packed }));
        }
        206 | 416 if partial.length() > 0 => {
            partial.clear()?;
            let reason = Reason::Network("it does not go on where it was asked to".to_owned());
            return Ok(Err(Outcome::Broken(reason)));
        }
        status @ (408 | 429 | 500..=599) => return Ok(Err(Outcome::Broken(Reason::Status { status }))),
        status => return Ok(Err(Outcome::Refused(Reason::Status { status }))),
    };
    match total.filter(wrong) {
        // The length of what is sent, not of the file.
        _ if head.packed => Ok(Ok(total)),
        Some(total) => Ok(Err(Outcome::Refused(size.refuse(total)))),
        None => Ok(Ok(size.exact().or(total))),
    }
}

/// Tells bytes as KiB.
struct Counter {
    task: Box<dyn Task>,
    told_kib: std::cell::Cell<u64>,
}

impl Counter {
    fn new(progress: &dyn Progress, label: &str, total: u64, done: u64) -> Counter {
        let task = progress.task(label, "KiB", total.div_ceil(1024), done / 1024);
        Counter { task, told_kib: std::cell::Cell::new(done / 1024) }
    }

    fn at(&self, bytes: u64) {
        let kib = bytes / 1024;
        self.task.advance(kib.saturating_sub(self.told_kib.get()));
        self.told_kib.set(kib);
    }
}

/// Sleeps, and wakes when asked to stop.
fn wait(pause: Duration, cancel: &Cancel) -> Result<(), Cancelled> {
    let until = Instant::now() + pause;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        cancel.check()?;
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
    cancel.check()
}
