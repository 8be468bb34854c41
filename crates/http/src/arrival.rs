//! How a request came in.

use std::net::{IpAddr, Ipv4Addr};

/// How a request came in: an extension of the request, put there by the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// From where: the other end of the connection.
    pub peer: IpAddr,
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
    /// How this request came in. Without the extension, from nowhere in particular.
    pub fn of<B>(request: &http::Request<B>) -> Self {
        let unknown = Self { peer: IpAddr::V4(Ipv4Addr::UNSPECIFIED), transport: Transport::Plain };
        request.extensions().get().copied().unwrap_or(unknown)
    }
}
