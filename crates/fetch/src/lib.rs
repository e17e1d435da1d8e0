//! Published files over HTTP and HTTPS, for whoever knows a file's addresses and checksum.
//!
//! [`Fetcher::fetch`] tries a file's addresses in turn and goes on where a transfer broke off, in this process or an earlier
//! one. What has arrived lies beside its place under a hidden name; it gets its own name by one rename, after the checksum of
//! all of it was found right. Ctrl-C (a [`Cancel`](oodlab_base::Cancel)) and a crash lose nothing but the last moments.
//!
//! Nothing here knows what is in the files. Variables of the environment are respected: `HTTPS_PROXY`, `HTTP_PROXY`,
//! `ALL_PROXY`, `NO_PROXY`, and `SSL_CERT_FILE` for certificates in place of the built-in ones.

mod checksum;
mod error;
mod fetcher;
mod partial;
mod settings;
mod transfer;

pub use checksum::Checksum;
pub use error::{Failure, FetchError, Reason};
pub use fetcher::{Download, Fetched, Fetcher, Size};
pub use settings::{Proxy, Settings};
