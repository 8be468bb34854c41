//! An HTTP proxy on the way to a peer. Source: RFC 9110, 9.3.6.

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

/// A proxy that speaks HTTP.
#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    /// `Proxy-Authorization`.
    pub(super) authorization: Option<HeaderValue>,
}

impl Proxy {
    /// The proxy at a URL such as `http://name:password@host:3128`.
    ///
    /// # Errors
    /// Why there is none, without credentials.
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let uri: Uri = url.parse().map_err(|_invalid| "the proxy's URL is invalid")?;
        if uri.scheme_str() != Some("http") {
            return Err("only proxies at http:// URLs are supported");
        }
        let host = uri.host().ok_or("the proxy's URL is invalid")?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let user_info = uri.authority().and_then(|authority| authority.as_str().rsplit_once('@'));
        let authorization = user_info.map(|(user_info, _)| {
            let plain = percent_decode_str(user_info).collect::<Vec<u8>>();
            HeaderValue::try_from(format!("Basic {}", STANDARD.encode(plain)))
        });
        let authorization = authorization.transpose().map_err(|_invalid| "the proxy's URL is invalid")?;
        Ok(Self { host, port: uri.port_u16().unwrap_or(80), authorization })
    }

    /// Has the proxy connect to a host, whose bytes come from then on.
    pub(super) async fn tunnel(&self, stream: &mut TcpStream, host: &str, port: u16) -> io::Result<()> {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
        if let Some(authorization) = &self.authorization {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies() {
        let proxy = Proxy::parse("http://a:b%20c@[::1]:3128").ok().unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("::1", 3128));
        assert_eq!(proxy.authorization.unwrap(), "Basic YTpiIGM=");
        assert_eq!(Proxy::parse("http://proxy").ok().unwrap().port, 80);
        for bad in ["socks5://host:1080", "https://host", "nonsense", ""] {
            assert!(Proxy::parse(bad).is_err(), "{bad}");
        }
    }
}
