//! Connections to a peer: over TCP, over TLS, through a proxy, or within this process.

use super::{pipe::Pipe, proxy::Proxy, tls};
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::OnceCell,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, pki_types::ServerName},
};
use tower_service::Service;

/// How to reach a peer.
#[derive(Clone)]
pub(super) enum Connector {
    /// A database of this server.
    Local(Pipe),
    /// A host.
    Host(Arc<Host>),
}

/// How to reach a host.
pub(super) struct Host {
    pub(super) proxy: Option<Proxy>,
    /// More authorities to trust, as PEM.
    pub(super) trusted_certificates_file: Option<String>,
    pub(super) connect_timeout: Duration,
    /// How to speak TLS, once somebody has asked.
    pub(super) tls: OnceCell<Arc<ClientConfig>>,
}

/// What bytes travel on.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection.
pub(super) struct Link {
    io: TokioIo<Box<dyn Stream>>,
    /// Whether requests name the whole URL, for the proxy to read.
    is_proxied: bool,
}

impl Link {
    pub(super) fn new(stream: impl Stream + 'static) -> Self {
        Self { io: TokioIo::new(Box::new(stream)), is_proxied: false }
    }
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<Link>> + Send>>;

impl Service<Uri> for Connector {
    type Response = Link;
    type Error = io::Error;
    type Future = Connecting;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        match self {
            Self::Local(pipe) => {
                let link = pipe.open();
                Box::pin(std::future::ready(Ok(link)))
            }
            Self::Host(host) => {
                let host = Arc::clone(host);
                Box::pin(async move {
                    let late = || io::Error::new(io::ErrorKind::TimedOut, "the connection could not be made in time");
                    timeout(host.connect_timeout, host.connect(&uri)).await.map_err(|_elapsed| late())?
                })
            }
        }
    }
}

impl Host {
    async fn connect(&self, uri: &Uri) -> io::Result<Link> {
        let is_tls = uri.scheme_str() == Some("https");
        let name = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let (stream, is_proxied) = match &self.proxy {
            Some(proxy) => {
                let mut stream = open(&proxy.host, proxy.port).await?;
                let is_proxied = proxy.pass(&mut stream, (&name, port), is_tls).await?;
                (stream, is_proxied)
            }
            None => (open(&name, port).await?, false),
        };
        if !is_tls {
            return Ok(Link { is_proxied, ..Link::new(stream) });
        }
        let config = Arc::clone(self.tls.get_or_try_init(|| self.load_tls()).await?);
        let server = ServerName::try_from(name).map_err(io::Error::other)?;
        Ok(Link::new(TlsConnector::from(config).connect(server, stream).await?))
    }

    async fn load_tls(&self) -> io::Result<Arc<ClientConfig>> {
        let file = self.trusted_certificates_file.clone();
        let loading = tokio::task::spawn_blocking(move || tls::client_config(file.as_deref()));
        loading.await.map_err(io::Error::other)?
    }
}

async fn open(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.is_proxied)
    }
}

impl Read for Link {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
