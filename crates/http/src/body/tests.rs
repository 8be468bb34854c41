//! Bodies made of given frames, with and without declared lengths.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::HeaderValue;
use http_body::{Frame, SizeHint};

use super::*;
use crate::gzip::Encoder;

const LIMITS: BodyLimits = BodyLimits { bytes_max: 10, frame_timeout: Duration::from_secs(5), rate_min: 2 };

/// A body that sends `frames`, then ends, fails or hangs.
struct Script {
    frames: VecDeque<Bytes>,
    declared: Option<u64>,
    last: Last,
}

enum Last {
    End,
    Hang,
    Fail(io::ErrorKind),
}

fn script(frames: &[&[u8]], last: Last) -> Script {
    Script { frames: frames.iter().map(|frame| Bytes::copy_from_slice(frame)).collect(), declared: None, last }
}

fn declared(mut script: Script, bytes: u64) -> Script {
    script.declared = Some(bytes);
    script
}

impl http_body::Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(frame) = self.frames.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(frame))));
        }
        match self.last {
            Last::End => Poll::Ready(None),
            Last::Hang => Poll::Pending,
            Last::Fail(kind) => {
                self.last = Last::End;
                Poll::Ready(Some(Err(kind.into())))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.declared.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn encoding(name: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(name))])
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    let mut encoded = encoder.push(text).unwrap().to_vec();
    encoded.extend(encoder.finish().unwrap());
    encoded
}

async fn read(body: Script) -> Result<Bytes, BodyError> {
    read_whole(&HeaderMap::new(), body, LIMITS).await
}

#[tokio::test]
async fn frames_are_put_together() {
    assert_eq!(read(script(&[], Last::End)).await.unwrap(), "");
    assert_eq!(read(script(&[b"", b"abc"], Last::End)).await.unwrap(), "abc");
    assert_eq!(read(script(&[b"abc", b"", b"de", b"f"], Last::End)).await.unwrap(), "abcdef");
    assert_eq!(read(declared(script(&[b"01234", b"56789"], Last::End), 10)).await.unwrap(), "0123456789");
}

#[tokio::test]
async fn a_declared_length_is_refused_unread() {
    // The script would hang if anything was read.
    let error = read(declared(script(&[], Last::Hang), 11)).await.unwrap_err();
    assert!(matches!(error, BodyError::TooLarge { bytes_max: 10 }), "{error:?}");
}

#[tokio::test]
async fn an_undeclared_length_is_refused_while_reading() {
    let error = read(script(&[b"0123456789", b"x"], Last::Hang)).await.unwrap_err();
    assert!(matches!(error, BodyError::TooLarge { bytes_max: 10 }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_runs_into_the_deadline() {
    let error = read(script(&[b"a"], Last::Hang)).await.unwrap_err();
    assert!(matches!(error, BodyError::Timeout { .. }), "{error:?}");
    assert_eq!(error.to_string(), "no data for 5 seconds");
}

/// A body of a byte each so often.
struct Drip {
    ticks: tokio::time::Interval,
    left: u32,
}

impl http_body::Body for Drip {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        std::task::ready!(self.ticks.poll_tick(cx));
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
    }
}

async fn drip(every_ms: u64, count: u32) -> Result<Bytes, BodyError> {
    let every = Duration::from_millis(every_ms);
    let ticks = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    let body = Drip { ticks, left: count };
    read_whole(&HeaderMap::new(), body, BodyLimits { bytes_max: 1_000, ..LIMITS }).await
}

#[tokio::test(start_paused = true)]
async fn a_dripping_client_runs_out_of_time() {
    assert_eq!(drip(490, 100).await.unwrap().len(), 100);
    // Within the first five seconds any rate will do.
    assert_eq!(drip(1_200, 3).await.unwrap().len(), 3);
    let error = drip(1_200, 100).await.unwrap_err();
    assert!(matches!(error, BodyError::TooSlow { rate_min: 2 }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn our_own_time_is_not_the_clients() {
    let mut reader = BodyReader::new(script(&[b"a", b"b", b"c"], Last::End), ContentCoding::Identity, LIMITS).unwrap();
    for _ in 0..3 {
        assert!(reader.chunk().await.unwrap().is_some());
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    assert!(reader.chunk().await.unwrap().is_none());
}

#[tokio::test]
async fn a_client_that_goes_away_is_told_from_other_failures() {
    let error = read(script(&[b"a"], Last::Fail(io::ErrorKind::UnexpectedEof))).await.unwrap_err();
    assert!(matches!(error, BodyError::Truncated), "{error:?}");
    let error = read(declared(script(&[b"a"], Last::End), 2)).await.unwrap_err();
    assert!(matches!(error, BodyError::Truncated), "{error:?}");
    let error = read(script(&[b"a"], Last::Fail(io::ErrorKind::InvalidData))).await.unwrap_err();
    assert!(matches!(error, BodyError::Transport(_)), "{error:?}");
}

#[tokio::test]
async fn gzip_is_decoded_under_the_limit() {
    let limits = BodyLimits { bytes_max: 1 << 20, ..LIMITS };
    let text = vec![b'a'; 1 << 20];
    let encoded = gzip(&text);
    let frames: Vec<&[u8]> = encoded.chunks(100).collect();
    let whole = read_whole(&encoding("GZIP"), script(&frames, Last::End), limits).await.unwrap();
    assert_eq!(whole, text);
    let whole = read_whole(&encoding("x-gzip"), script(&[], Last::End), limits).await.unwrap();
    assert_eq!(whole, "");

    // One byte too many is noticed at the end, a bomb long before.
    for (bytes, last) in [((1 << 20) + 1, Last::End), (64 << 20, Last::Hang)] {
        let bomb = gzip(&vec![0; bytes]);
        let error = read_whole(&encoding("gzip"), script(&[&bomb], last), limits).await.unwrap_err();
        assert!(matches!(error, BodyError::TooLarge { .. }), "{bytes}: {error:?}");
    }
    for end in 1..20 {
        let cut = script(&[&encoded[..end]], Last::End);
        let error = read_whole(&encoding("gzip"), cut, limits).await.unwrap_err();
        assert!(matches!(error, BodyError::BadEncoding(_)), "{error:?}");
    }
}

#[tokio::test]
async fn other_encodings_are_refused() {
    for name in ["br", "gzip, gzip", "deflate"] {
        let error = read_whole(&encoding(name), script(&[], Last::Hang), LIMITS).await.unwrap_err();
        assert!(matches!(error, BodyError::UnknownEncoding { name: found } if found == name), "{name}");
    }
    assert_eq!(read_whole(&encoding("identity"), script(&[b"a"], Last::End), LIMITS).await.unwrap(), "a");
}

#[tokio::test]
async fn a_failed_reader_stays_failed_and_an_ended_one_ended() {
    let failing = script(&[b"a"], Last::Fail(io::ErrorKind::InvalidData));
    let mut reader = BodyReader::new(failing, ContentCoding::Identity, LIMITS).unwrap();
    assert_eq!(reader.chunk().await.unwrap().unwrap(), "a");
    assert!(reader.chunk().await.is_err());
    assert!(reader.chunk().await.is_err());

    let mut reader = BodyReader::new(script(&[b"a"], Last::End), ContentCoding::Identity, LIMITS).unwrap();
    assert_eq!(reader.chunk().await.unwrap().unwrap(), "a");
    assert!(reader.chunk().await.unwrap().is_none());
    assert!(reader.chunk().await.unwrap().is_none());
    assert_eq!(reader.received(), 1);
}

#[tokio::test]
async fn trailers_are_kept() {
    let trailers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("x"))]);
    let frames = [Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"a"))), Ok(Frame::trailers(trailers))];
    let body = http_body_util::StreamBody::new(Frames(frames.into_iter().collect()));
    let mut reader = BodyReader::new(body, ContentCoding::Identity, LIMITS).unwrap();
    while reader.chunk().await.unwrap().is_some() {}
    assert_eq!(reader.trailers().unwrap()["content-encoding"], "x");
}

struct Frames<T>(VecDeque<T>);

impl<T: Unpin> futures_core::Stream for Frames<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready(self.0.pop_front())
    }
}
