//! The kit on a real hyper connection: what a client that breaks off, or a server that gives up, looks like.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tidegate_http::body::{BodyError, BodyLimits, read_whole};
use tidegate_http::{Body, respond};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const LIMITS: BodyLimits = BodyLimits { bytes_max: 10, frame_timeout: Duration::from_secs(5), rate_min: 0 };

/// Sends `request`, closes the client's sending half and returns all that the server sent.
async fn exchange<F>(request: &str, serve: impl Fn(Request<Incoming>) -> F) -> io::Result<String>
where
    F: Future<Output = Response<Body>>,
{
    let (client, server) = tokio::io::duplex(4096);
    let service = service_fn(async |request| Ok::<_, Infallible>(serve(request).await));
    let connection =
        hyper::server::conn::http1::Builder::new().half_close(true).serve_connection(TokioIo::new(server), service);
    let (answer, _) = tokio::join!(talk(client, request), connection);
    answer
}

async fn talk(mut client: DuplexStream, request: &str) -> io::Result<String> {
    client.write_all(request.as_bytes()).await?;
    client.shutdown().await?;
    let mut answer = String::new();
    client.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Reads the body and answers with it, or with the variant of the error.
async fn echo(request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let text = match read_whole(&head.headers, body, LIMITS).await {
        Ok(whole) => whole,
        Err(BodyError::Truncated) => Bytes::from_static(b"truncated"),
        Err(BodyError::TooLarge { .. }) => Bytes::from_static(b"too large"),
        Err(error) => Bytes::from(format!("{error:?}")),
    };
    respond::bytes(StatusCode::OK, HeaderValue::from_static("text/plain"), text)
}

#[track_caller]
fn check_end(answer: &str, end: &str) {
    assert!(answer.ends_with(end), "{answer:?}");
}

#[tokio::test]
async fn a_body_is_read_and_answered() {
    let answer = exchange("PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", echo).await.unwrap();
    check_end(&answer, "\r\n\r\nhello");
    assert!(answer.contains("content-length: 5\r\n"), "{answer:?}");
    let answer = exchange("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n", echo)
        .await
        .unwrap();
    check_end(&answer, "\r\n\r\nabcde");
}

#[tokio::test]
async fn a_client_that_breaks_off_is_noticed() {
    let truncated = [
        "PUT / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc",
        "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nab",
        "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ];
    for request in truncated {
        check_end(&exchange(request, echo).await.unwrap(), "\r\n\r\ntruncated");
    }
}

#[tokio::test]
async fn a_body_too_large_is_refused_from_its_length() {
    check_end(&exchange("PUT / HTTP/1.1\r\nContent-Length: 11\r\n\r\n", echo).await.unwrap(), "\r\n\r\ntoo large");
}

#[tokio::test]
async fn a_stream_given_up_is_cut_and_a_finished_one_is_not() {
    let serve = |finish: &'static str| {
        move |_: Request<Incoming>| async move {
            let (sender, body) = respond::channel(4);
            sender.send(Bytes::from_static(b"hello")).await.unwrap();
            match finish {
                "finish" => sender.finish().await.unwrap(),
                _ => sender.abort(),
            }
            respond::stream(StatusCode::OK, HeaderValue::from_static("application/json"), body)
        }
    };
    let request = "GET / HTTP/1.1\r\n\r\n";
    check_end(&exchange(request, serve("finish")).await.unwrap(), "5\r\nhello\r\n0\r\n\r\n");
    let cut = exchange(request, serve("abort")).await.unwrap();
    assert!(!cut.ends_with("0\r\n\r\n"), "{cut:?}");
}
