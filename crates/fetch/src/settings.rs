//! How patient a download is, and what the environment says of proxies and certificates.

use std::time::Duration;

use ureq::tls::{PemItem, RootCerts, parse_pem};

use crate::error::FetchError;

/// Which proxy is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// The first of `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY` (or in lower case), except for hosts of `NO_PROXY`.
    Environment,
    /// None.
    Direct,
    /// This one: `http://host:port`.
    Address(String),
}

/// How patient a [`Fetcher`](crate::Fetcher) is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a connection may take to be made; 30 s.
    pub connect: Duration,
    /// How long nothing may come; 60 s.
    pub stall: Duration,
    /// Attempts in a row at one address that bring next to nothing before the next address is tried; 5.
    pub attempts: u32,
    /// The pause after the first failed attempt, doubled after each further one, 16 s at most; 1 s.
    pub pause: Duration,
    /// The proxy.
    pub proxy: Proxy,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            connect: Duration::from_secs(30),
            stall: Duration::from_secs(60),
            attempts: 5,
            pause: Duration::from_secs(1),
            proxy: Proxy::Environment,
        }
    }
}

/// The proxy of a setting; none where the environment names none.
pub(crate) fn proxy(wanted: &Proxy) -> Result<Option<ureq::Proxy>, FetchError> {
    match wanted {
        Proxy::Direct => Ok(None),
        Proxy::Address(address) => ureq::Proxy::new(address).map(Some).map_err(|error| FetchError::Environment {
            variable: "proxy",
            value: address.clone(),
            reason: error.to_string(),
        }),
        Proxy::Environment => {
            let found = ureq::Proxy::try_from_env();
            let names = ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy", "http_proxy"];
            let set = names.into_iter().find_map(|name| {
                let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
                Some((name, value))
            });
            match (found, set) {
                (None, Some((variable, value))) => {
                    let reason = "no address of a proxy; http://host:port expected".to_owned();
                    Err(FetchError::Environment { variable, value, reason })
                }
                (found, _) => Ok(found),
            }
        }
    }
}

/// The certificates of `SSL_CERT_FILE`, where it is set.
pub(crate) fn roots_of_environment() -> Result<Option<RootCerts>, FetchError> {
    let Some(value) = std::env::var("SSL_CERT_FILE").ok().filter(|value| !value.is_empty()) else { return Ok(None) };
    let wrong = |reason: String| FetchError::Environment { variable: "SSL_CERT_FILE", value: value.clone(), reason };
    let pem = std::fs::read(&value).map_err(|error| wrong(error.to_string()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| wrong(error.to_string()))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(wrong("no certificate in it".to_owned()));
    }
    Ok(Some(RootCerts::from(certificates)))
}
