//! How a request came in.

use http::{HeaderMap, Request};
use std::net::{IpAddr, Ipv4Addr};

/// How a request came in: an extension of the request, put there by the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// From where: the other end of the connection.
    pub peer: IpAddr,
    /// On whose behalf: the address that a proxy tells, else the peer's.
    pub client: IpAddr,
    /// Over what.
    pub transport: Transport,
}

/// What a connection is made over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP alone.
    Plain,
    /// TLS.
    Tls,
}

impl Arrival {
    /// From this end of a connection.
    pub fn new(peer: IpAddr, transport: Transport) -> Self {
        Self { peer, client: peer, transport }
    }

    /// How this request came in. Without the extension, from nowhere in particular. The header, if there is one, in which
    /// the peer tells its client's address, by the peer's own address.
    pub fn of<'h, B>(request: &Request<B>, header: impl FnOnce(IpAddr) -> Option<&'h str>) -> Self {
        let unknown = || Self::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), Transport::Plain);
        let arrival = request.extensions().get().copied().unwrap_or_else(unknown);
        let client = header(arrival.peer).and_then(|name| told(request.headers(), name)).unwrap_or(arrival.peer);
        Self { client, ..arrival }
    }
}

/// The last address of a header: proxies append theirs to what a client sends.
fn told(headers: &HeaderMap, name: &str) -> Option<IpAddr> {
    let last = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_proxy_wrote_itself_is_the_client() {
        let check = |told: &[&str], expected: &str| {
            let mut request = Request::new(());
            request.extensions_mut().insert(Arrival::new([127, 0, 0, 1].into(), Transport::Plain));
            for value in told {
                request.headers_mut().append("x-forwarded-for", value.parse().unwrap());
            }
            let arrival = Arrival::of(&request, |_| Some("x-forwarded-for"));
            assert_eq!((arrival.client.to_string().as_str(), arrival.peer.is_loopback()), (expected, true), "{told:?}");
            assert!(Arrival::of(&request, |_| None).client.is_loopback());
        };
        check(&[], "127.0.0.1");
        check(&["192.0.2.7"], "192.0.2.7");
        check(&["10.0.0.1, 192.0.2.7"], "192.0.2.7");
        check(&["192.0.2.1", "2001:db8::7"], "2001:db8::7");
        check(&["192.0.2.1, unknown"], "127.0.0.1");
    }
}
