//! A SOCKS proxy on the way to a peer: names are resolved there. Source: RFC 1928, RFC 1929.

use super::proxy::Credentials;
use std::{io, net::IpAddr};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;

/// Has the proxy connect to a host, whose bytes come from then on.
pub(super) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    credentials: Option<&Credentials>,
    (host, port): (&str, u16),
) -> io::Result<()> {
    let method = if credentials.is_some() { PASSWORD } else { NO_LOGIN };
    stream.write_all(&[VERSION, 1, method]).await?;
    match (read::<2, _>(stream).await?, credentials) {
        ([VERSION, PASSWORD], Some(credentials)) => log_in(stream, credentials).await?,
        ([VERSION, NO_LOGIN], None) => {}
        ([VERSION, _], _) => return Err(io::Error::other("the proxy wants another kind of login")),
        _ => return Err(io::Error::other("the proxy doesn't speak SOCKS 5")),
    }
    let mut request = vec![VERSION, 1, 0];
    match host.parse() {
        Ok(IpAddr::V4(address)) => request.extend([1].iter().chain(&address.octets())),
        Ok(IpAddr::V6(address)) => request.extend([4].iter().chain(&address.octets())),
        Err(_) => {
            request.push(3);
            request.extend(sized(host)?);
        }
    }
    request.extend(port.to_be_bytes());
    stream.write_all(&request).await?;
    let [version, reply, _, kind] = read::<4, _>(stream).await?;
    if (version, reply) != (VERSION, 0) {
        return Err(io::Error::other(format!("the proxy could not connect: SOCKS reply {reply}")));
    }
    // The address that the proxy connects from: nobody needs it.
    let length = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await?),
        _ => return Err(io::Error::other("the proxy's answer can't be read")),
    };
    stream.read_exact(&mut vec![0; length + 2]).await?;
    Ok(())
}

async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, credentials: &Credentials) -> io::Result<()> {
    let Credentials { username, password } = credentials;
    stream.write_all(&[vec![1], sized(username)?, sized(password)?].concat()).await?;
    let [_, status] = read::<2, _>(stream).await?;
    if status == 0 { Ok(()) } else { Err(io::Error::other("the proxy refused name and password")) }
}

async fn read<const N: usize, S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// A text with its length before it.
fn sized(text: &str) -> io::Result<Vec<u8>> {
    let length = u8::try_from(text.len()).map_err(|_long| io::Error::other("too long for a SOCKS proxy"))?;
    Ok([&[length], text.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is sent to a proxy that answers `answers`, and whether that connects.
    async fn talk(credentials: Option<&Credentials>, host: &str, answers: &[u8]) -> (Vec<u8>, Result<(), String>) {
        let (mut near, mut far) = tokio::io::duplex(1_024);
        far.write_all(answers).await.unwrap();
        let outcome = connect(&mut near, credentials, (host, 258)).await.map_err(|error| error.to_string());
        drop(near);
        let mut sent = Vec::new();
        far.read_to_end(&mut sent).await.unwrap();
        (sent, outcome)
    }

    #[tokio::test]
    async fn a_proxy_is_told_where_to() {
        let done = [5, 0, 0, 1, 9, 9, 9, 9, 1, 1];
        let (sent, outcome) = talk(None, "couch", &[&[5, 0], done.as_slice()].concat()).await;
        assert_eq!((sent.as_slice(), outcome), (b"\x05\x01\x00\x05\x01\x00\x03\x05couch\x01\x02".as_slice(), Ok(())));
        let (sent, outcome) = talk(None, "10.0.0.7", &[5, 0, 5, 0, 0, 3, 1, b'x', 1, 1]).await;
        assert_eq!(
            (sent.as_slice(), outcome),
            (b"\x05\x01\x00\x05\x01\x00\x01\x0a\0\0\x07\x01\x02".as_slice(), Ok(()))
        );
        let credentials = Credentials { username: "me".to_owned(), password: "pw".to_owned() };
        let (sent, outcome) = talk(Some(&credentials), "c", &[&[5, 2, 1, 0], done.as_slice()].concat()).await;
        let expected = b"\x05\x01\x02\x01\x02me\x02pw\x05\x01\x00\x03\x01c\x01\x02".as_slice();
        assert_eq!((sent.as_slice(), outcome), (expected, Ok(())));
    }

    #[tokio::test]
    async fn a_proxy_may_refuse() {
        let check = async |credentials: Option<&Credentials>, answers: &[u8], expected: &str| {
            let (_, outcome) = talk(credentials, "c", answers).await;
            assert_eq!(outcome.unwrap_err(), expected);
        };
        let credentials = Credentials { username: "me".to_owned(), password: "no".to_owned() };
        check(None, &[5, 255], "the proxy wants another kind of login").await;
        check(None, b"HTTP/1.1 400", "the proxy doesn't speak SOCKS 5").await;
        check(Some(&credentials), &[5, 2, 1, 1], "the proxy refused name and password").await;
        check(None, &[5, 0, 5, 5, 0, 1], "the proxy could not connect: SOCKS reply 5").await;
    }
}
