//! Asking identity providers: the addresses that a database's configuration names, and those that the documents found
//! there name. Nothing else in the process asks them, and nobody is asked unless a login needs it.
//!
//! Redirects aren't followed: who may be asked is written down. No cookies, no proxy of the environment.

use crate::tls;
use bytes::{Bytes, BytesMut};
use reqwest::{Client, Response, header, redirect::Policy};
use std::{sync::Arc, time::Duration};
use tidegate_engine::{Fetch, FetchFailure, FetchRequest, Fetched};
use tokio::sync::OnceCell;

/// The longest an answer may take: somebody waits for a login.
const ANSWER: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What keeps an answer from being one, where the connection didn't.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("`{0}` is neither http nor https")]
    Scheme(String),
    #[error("the answer is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
}

/// How identity providers are asked. What it takes is made when the first one is: most servers ask none.
pub(crate) fn fetch() -> Fetch {
    let client = Arc::new(OnceCell::new());
    Arc::new(move |request| {
        let client = Arc::clone(&client);
        Box::pin(async move { ask(client.get_or_try_init(open).await?, request).await })
    })
}

async fn open() -> Result<Client, FetchFailure> {
    let opening = tokio::task::spawn_blocking(|| {
        tls::install_provider();
        Client::builder()
            .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .build()
    });
    let opened = opening.await.map_err(|error| FetchFailure(error.into()))?;
    opened.map_err(|error| FetchFailure(error.into()))
}

async fn ask(client: &Client, FetchRequest { url, form }: FetchRequest) -> Result<Fetched, FetchFailure> {
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(FetchFailure(Refusal::Scheme(url).into()));
    }
    let request = match form {
        None => client.get(&url),
        Some(form) => {
            let request = client.post(&url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            let authorized = form.authorization.iter().fold(request, |r, value| r.header(header::AUTHORIZATION, value));
            authorized.body(form.body)
        }
    };
    let request = request.header(header::ACCEPT, "application/json");
    let response = request.send().await.map_err(|error| FetchFailure(error.into()))?;
    let status = response.status().as_u16();
    Ok(Fetched { status, body: body(response).await? })
}

async fn body(mut response: Response) -> Result<Bytes, FetchFailure> {
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| FetchFailure(error.into()))? {
        if body.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(FetchFailure(Refusal::TooLong.into()));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{error::Error, fmt::Write as _};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    /// What a server's answer comes to, and what it was asked.
    async fn asked(answer: String) -> (Result<Fetched, FetchFailure>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4_096];
            let length = stream.read(&mut request).await.unwrap();
            // It may be cut: an answer can be too long to be read.
            stream.write_all(answer.as_bytes()).await.ok();
            String::from_utf8_lossy(&request[..length]).into_owned()
        };
        let fetch = fetch();
        tokio::join!(fetch(FetchRequest { url, form: None }), serving)
    }

    fn told(failure: &FetchFailure) -> String {
        let mut told = String::new();
        let mut cause: Option<&dyn Error> = failure.source();
        while let Some(error) = cause {
            write!(told, "{error}; ").unwrap();
            cause = error.source();
        }
        told
    }

    #[tokio::test]
    async fn a_document_is_read() {
        let (answer, request) = asked("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_owned()).await;
        let answer = answer.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"{}"[..]));
        assert!(request.starts_with("GET /keys HTTP/1.1\r\n") && request.contains("accept: application/json"));
    }

    #[tokio::test]
    async fn nobody_is_asked_whom_an_answer_sends_to() {
        let elsewhere = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_owned();
        assert_eq!(asked(elsewhere).await.0.unwrap().status, 302);
    }

    #[tokio::test]
    async fn an_answer_has_a_length() {
        let long = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(ANSWER_BYTES_MAX + 1));
        let failure = asked(long).await.0.unwrap_err();
        assert!(told(&failure).contains("longer than 1048576 bytes"), "{}", told(&failure));
    }

    #[tokio::test]
    async fn other_schemes_are_refused() {
        let request = FetchRequest { url: "file:///etc/passwd".to_owned(), form: None };
        let failure = fetch()(request).await.unwrap_err();
        assert!(told(&failure).contains("neither http nor https"));
    }
}
