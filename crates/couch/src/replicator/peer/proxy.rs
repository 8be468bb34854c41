//! A proxy on the way to a peer: one that speaks HTTP, or SOCKS. Source: RFC 9110, 9.3.6.

use super::socks;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use std::io;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The longest answer to a `CONNECT`, in bytes.
const ANSWER_BYTES_MAX: usize = 8 << 10;

/// A proxy.
#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) dialect: Dialect,
}

/// What a proxy speaks.
#[derive(Clone)]
pub(super) enum Dialect {
    /// HTTP.
    Http {
        /// `Proxy-Authorization`.
        authorization: Option<HeaderValue>,
    },
    /// SOCKS 5.
    Socks(Option<Credentials>),
}

/// A name and a password for a proxy.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) username: String,
    pub(super) password: String,
}

const INVALID: &str = "the proxy's URL is invalid";

impl Proxy {
    /// The proxy at a URL such as `http://name:password@host:3128` or `socks5://host`.
    ///
    /// # Errors
    /// Why there is none, without credentials.
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let uri: Uri = url.parse().map_err(|_invalid| INVALID)?;
        let host = uri.host().ok_or(INVALID)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let user_info = uri.authority().and_then(|authority| authority.as_str().rsplit_once('@'));
        let user_info = user_info.map(|(user_info, _)| user_info);
        let (dialect, usual_port) = match uri.scheme_str() {
            Some("http") => (Dialect::Http { authorization: user_info.map(authorization).transpose()? }, 80),
            Some("socks5") => (Dialect::Socks(user_info.map(credentials).transpose()?), 1080),
            Some(_) | None => return Err("only proxies at http:// and socks5:// URLs are supported"),
        };
        Ok(Self { host, port: uri.port_u16().unwrap_or(usual_port), dialect })
    }

    /// `Proxy-Authorization` of requests that this proxy reads.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        match &self.dialect {
            Dialect::Http { authorization } => authorization.as_ref(),
            Dialect::Socks(_) => None,
        }
    }

    /// Makes of a connection to the proxy one on which the host can be spoken to; whether the proxy reads requests.
    pub(super) async fn pass(&self, stream: &mut TcpStream, to: (&str, u16), is_tls: bool) -> io::Result<bool> {
        match &self.dialect {
            Dialect::Socks(credentials) => socks::connect(stream, credentials.as_ref(), to).await.map(|()| false),
            Dialect::Http { authorization } if is_tls => {
                tunnel(stream, to, authorization.as_ref()).await.map(|()| false)
            }
            Dialect::Http { .. } => Ok(true),
        }
    }
}

fn authorization(user_info: &str) -> Result<HeaderValue, &'static str> {
    let plain = percent_decode_str(user_info).collect::<Vec<u8>>();
    HeaderValue::try_from(format!("Basic {}", STANDARD.encode(plain))).map_err(|_invalid| INVALID)
}

fn credentials(user_info: &str) -> Result<Credentials, &'static str> {
    let (username, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let decoded = |text| percent_decode_str(text).decode_utf8().map(String::from).map_err(|_invalid| INVALID);
    Ok(Credentials { username: decoded(username)?, password: decoded(password)? })
}

/// Has the proxy connect to a host, whose bytes come from then on.
async fn tunnel(
    stream: &mut TcpStream,
    (host, port): (&str, u16),
    authorization: Option<&HeaderValue>,
) -> io::Result<()> {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
    if let Some(authorization) = authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= ANSWER_BYTES_MAX {
            return Err(io::Error::other("the proxy's answer is too long"));
        }
        answer.push(stream.read_u8().await?);
    }
    let status = answer.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    if status.starts_with(b"2") {
        return Ok(());
    }
    Err(io::Error::other(format!("the proxy refused with status {}", String::from_utf8_lossy(status))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies() {
        let proxy = Proxy::parse("http://a:b%20c@[::1]:3128").ok().unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("::1", 3128));
        assert_eq!(proxy.authorization().unwrap(), "Basic YTpiIGM=");
        assert_eq!(Proxy::parse("http://proxy").ok().unwrap().port, 80);
        let proxy = Proxy::parse("socks5://a:b%20c@proxy").ok().unwrap();
        let Dialect::Socks(Some(Credentials { username, password })) = &proxy.dialect else { panic!() };
        assert_eq!((proxy.port, &**username, &**password, proxy.authorization()), (1080, "a", "b c", None));
        for bad in ["socks4://host:1080", "https://host", "nonsense", ""] {
            assert!(Proxy::parse(bad).is_err(), "{bad}");
        }
    }
}
