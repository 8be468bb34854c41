//! Reading: tables, and the law that the cuts don't show. Writing: what was written reads back.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use proptest::prelude::*;

use super::*;
use crate::body::{BodyLimits, BodyReader, ContentCoding};

/// Headers and body of one part, as text.
type Part = (Vec<(String, String)>, Vec<u8>);

fn boundary() -> Boundary {
    Boundary::new("XX").unwrap()
}

fn scan(chunks: &[&[u8]]) -> Result<Vec<Part>, MultipartError> {
    let mut scanner = Scanner::new(&boundary());
    let mut chunks = chunks.iter();
    let mut parts: Vec<Part> = Vec::new();
    let mut open = false;
    loop {
        match scanner.next_event()? {
            Event::NeedInput => match chunks.next() {
                Some(chunk) => scanner.feed(Bytes::copy_from_slice(chunk)),
                None => scanner.close(),
            },
            Event::Part(head) => {
                assert!(!std::mem::replace(&mut open, true));
                parts.push((texts(&head), Vec::new()));
            }
            Event::Data(data) => {
                assert!(open && !data.is_empty());
                parts.last_mut().unwrap().1.extend_from_slice(&data);
            }
            Event::PartEnd => assert!(std::mem::replace(&mut open, false)),
            Event::End => return Ok(parts),
        }
    }
}

fn texts(head: &PartHead) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    head.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

fn bodies(input: &str) -> Vec<String> {
    let parts = scan(&[input.as_bytes()]).unwrap();
    parts.into_iter().map(|(_, body)| String::from_utf8(body).unwrap()).collect()
}

#[track_caller]
fn check(input: &str, expected: &[&str]) {
    assert_eq!(bodies(input), expected, "{input:?}");
    check_cuts(input.as_bytes());
}

#[track_caller]
fn check_error(input: &str, expected: &str) {
    let error = scan(&[input.as_bytes()]).unwrap_err();
    assert_eq!(format!("{error:?}"), expected, "{input:?}");
    check_cuts(input.as_bytes());
}

/// One byte at a time, and in two at every place, must read as the whole does.
#[track_caller]
fn check_cuts(input: &[u8]) {
    let outcome = |chunks: &[&[u8]]| scan(chunks).map_err(|error| format!("{error:?}"));
    let whole = outcome(&[input]);
    assert_eq!(outcome(&input.chunks(1).collect::<Vec<_>>()), whole);
    for at in 0..=input.len() {
        let (front, back) = input.split_at(at);
        assert_eq!(outcome(&[front, back]), whole, "cut at {at}");
    }
}

#[test]
fn parts_are_found() {
    check("--XX--", &[]);
    check("--XX\r\n\r\nbody\r\n--XX--", &["body"]);
    check("--XX\r\n\r\n\r\n--XX--", &[""]);
    check("--XX\r\nA: b\r\n\r\none\r\n--XX\r\n\r\n\r\ntwo\r\n\r\n--XX--\r\n", &["one", "\r\ntwo\r\n"]);
    check("--XX \t\r\n\r\na\r\n--XX  \r\n\r\nb\r\n--XX--", &["a", "b"]);
}

#[test]
fn preamble_and_epilogue_are_skipped() {
    check("\r\n--XX\r\n\r\na\r\n--XX--", &["a"]);
    check("hello\r\n--X\r\n--XXX\r\n--XX\r\n\r\na\r\n--XX--bye\r\n--XX\r\n", &["a"]);
    check("hello\n--XX\r\n\r\na\r\n--XX--", &["a"]);
    check("hello--XX\r\n--XX\r\n\r\na\r\n--XX--", &["a"]);
    check("--XXX\r\n--XX\r\n\r\na\r\n--XX--", &["a"]);
    check("hello\r\n--XX--", &[]);
}

#[test]
fn what_only_looks_like_a_delimiter_is_data() {
    check("--XX\r\n\r\na--XX\r\n--X\r\n--XY\r\n--XX\r\n\r\nb\r\n--XX--", &["a--XX\r\n--X\r\n--XY", "b"]);
    check("--XX\r\n\r\na\r\n--XXY\r\n\r\r\n\r\n-\r\n--\r\n--XX--", &["a\r\n--XXY\r\n\r\r\n\r\n-\r\n--"]);
    check("--XX\r\n\r\na\n--XX\r\n\r\n--XX--", &["a\n--XX\r\n"]);
    check("--XX\r\n\r\na\r\n--XX \r\r\n--XX-\r\n--XX--", &["a\r\n--XX \r\r\n--XX-"]);
    let blanks = " ".repeat(300);
    check(&format!("--XX\r\n\r\na\r\n--XX{blanks}\r\n--XX--"), &[&format!("a\r\n--XX{blanks}")]);
}

#[test]
fn an_inner_boundary_may_begin_like_the_outer() {
    check("--XX\r\n\r\n--XXin\r\n\r\na\r\n--XXin--\r\n--XX\r\n\r\nb\r\n--XX--", &["--XXin\r\n\r\na\r\n--XXin--", "b"]);
}

#[test]
fn unclosed_bodies_are_errors() {
    for input in ["", "\r\n", "--", "--XX", "--XX-", "--XX\r\n", "--XX\r\n\r\n", "--XX\r\n\r\nabc", "hello"] {
        check_error(input, "Unclosed");
    }
    check_error("--XX\r\n\r\nabc\r\n--XX\r\n", "Unclosed");
    check_error("--XX\r\n\r\nabc\r\n--XX-", "Unclosed");
    check_error("--XX\r\nA: b\r\n--XX--", "Unclosed");
}

#[test]
fn headers_are_bounded_and_checked() {
    check_error("--XX\r\nbad header\r\n\r\nabc\r\n--XX--", "BadHead");
    let fits = format!("A: {}", "x".repeat(HEAD_BYTES_MAX - 3));
    let parts = scan(&[format!("--XX\r\n{fits}\r\n\r\na\r\n--XX--").as_bytes()]).unwrap();
    assert_eq!(parts[0].0[0].1.len(), HEAD_BYTES_MAX - 3);
    let too_long = format!("--XX\r\n{fits}x\r\n\r\na\r\n--XX--");
    for chunk_bytes in [1, 1000, usize::MAX] {
        let chunks: Vec<&[u8]> = too_long.as_bytes().chunks(chunk_bytes).collect();
        assert!(matches!(scan(&chunks), Err(MultipartError::HeadTooLong)), "{chunk_bytes}");
    }
}

#[test]
fn after_an_error_only_errors_follow() {
    let mut scanner = Scanner::new(&boundary());
    scanner.feed(Bytes::from_static(b"--XX\r\nbad\r\n\r\na\r\n--XX--"));
    assert!(scanner.next_event().is_err());
    assert!(scanner.next_event().is_err());
}

#[test]
fn data_is_not_copied() {
    let chunk = Bytes::from_static(b"--XX\r\n\r\nsome body without a line break");
    let mut scanner = Scanner::new(&boundary());
    scanner.feed(chunk.clone());
    assert!(matches!(scanner.next_event().unwrap(), Event::Part(_)));
    let Event::Data(data) = scanner.next_event().unwrap() else { panic!("no data") };
    assert_eq!(data.as_ptr(), chunk[8..].as_ptr());
    assert_eq!(data.len(), chunk.len() - 8);
}

#[test]
fn a_nested_body_has_the_length_it_says() {
    let inner = Boundary::new("in").unwrap();
    let disposition = disposition("attachment", "a\r\nX: y");
    let head: &[(&str, &str)] = &[("Content-Disposition", &disposition), ("Evil", "a\r\nB: c")];
    let related = Layout::new(inner.clone(), [(&[("Content-Type", "application/json")][..], 2), (head, 3)]);
    let content_type = inner.content_type("related");
    let outer_head: &[(&str, &str)] = &[("Content-Type", &content_type)];
    let mixed = Layout::new(boundary(), [(outer_head, related.content_length)]);
    let whole = [&mixed.heads[0], &related.heads[0], &b"{}"[..], &related.heads[1], b"abc", &related.end, &mixed.end];
    let whole = whole.concat();
    assert_eq!(whole.len() as u64, mixed.content_length);
    assert_eq!(
        String::from_utf8(whole).unwrap(),
        "--XX\r\nContent-Type: multipart/related; boundary=\"in\"\r\n\r\n\
         --in\r\nContent-Type: application/json\r\n\r\n{}\
         \r\n--in\r\nContent-Disposition: attachment; filename=\"a%0D%0AX: y\"\r\nEvil: a  B: c\r\n\r\nabc\
         \r\n--in--\r\n--XX--"
    );
}

/// A body that comes in the given chunks.
struct Chunks(VecDeque<Bytes>);

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|chunk| Ok(Frame::data(chunk))))
    }
}

fn multipart(input: &'static str, chunk_bytes: usize) -> Multipart<Chunks> {
    let chunks = input.as_bytes().chunks(chunk_bytes).map(Bytes::from_static).collect();
    let limits = BodyLimits { bytes_max: 1000, frame_timeout: Duration::from_secs(1), rate_min: 0 };
    Multipart::new(BodyReader::new(Chunks(chunks), ContentCoding::Identity, limits).unwrap(), &boundary())
}

#[tokio::test]
async fn a_request_body_is_read_part_by_part() {
    for chunk_bytes in 1..60 {
        let input = "pre\r\n--XX\r\nN: 1\r\n\r\none\r\n--XX\r\nN: 2\r\n\r\ntwo\r\n--XX\r\nN: 3\r\n\r\n\r\n--XX--post";
        let mut multipart = multipart(input, chunk_bytes);
        assert!(multipart.chunk().await.unwrap().is_none(), "no part yet");
        assert_eq!(multipart.next_part().await.unwrap().unwrap().get("n"), Some("1"));
        // The rest of a part is skipped.
        assert_eq!(multipart.chunk().await.unwrap().unwrap()[0], b'o');
        assert_eq!(multipart.next_part().await.unwrap().unwrap().get("n"), Some("2"));
        let mut two = Vec::new();
        while let Some(chunk) = multipart.chunk().await.unwrap() {
            two.extend_from_slice(&chunk);
        }
        assert_eq!(two, b"two");
        assert!(multipart.chunk().await.unwrap().is_none());
        assert_eq!(multipart.next_part().await.unwrap().unwrap().get("n"), Some("3"));
        assert!(multipart.chunk().await.unwrap().is_none());
        assert!(multipart.next_part().await.unwrap().is_none());
        assert!(multipart.next_part().await.unwrap().is_none());
        assert_eq!(multipart.body().received(), input.len() as u64, "the epilogue was read as well");
    }
}

#[tokio::test]
async fn a_request_body_that_ends_early_is_an_error() {
    let mut multipart = multipart("--XX\r\n\r\none\r\n--X", 5);
    assert!(multipart.next_part().await.unwrap().is_some());
    let error = loop {
        match multipart.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the part has no end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, MultipartError::Unclosed));
    assert!(multipart.next_part().await.is_err());
}

/// Bytes made of what matters to the parser.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"\r"[..],
        b"\n",
        b"\r\n",
        b"-",
        b"--",
        b"X",
        b"XX",
        b"--XX",
        b"\r\n--XX",
        b"\r\n--XX\r\n",
        b" ",
        b"A: b",
        b"\r\n\r\n",
        b"\r\n--XX--",
        b"\0",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn cut<'a>(mut input: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    for size in sizes {
        let (front, back) = input.split_at((*size).min(input.len()));
        chunks.push(front);
        input = back;
    }
    chunks.push(input);
    chunks
}

proptest! {
    #[test]
    fn cuts_do_not_show(input in soup(), sizes in prop::collection::vec(0_usize..9, 0..30)) {
        for input in [input.clone(), [b"--XX\r\n\r\n", &input[..], b"\r\n--XX--"].concat()] {
            let outcome = |chunks: &[&[u8]]| scan(chunks).map_err(|error| format!("{error:?}"));
            let whole = outcome(&[&input]);
            prop_assert_eq!(outcome(&cut(&input, &sizes)), whole.clone());
            prop_assert_eq!(outcome(&input.chunks(1).collect::<Vec<_>>()), whole);
        }
    }

    #[test]
    fn what_is_written_reads_back(bodies in prop::collection::vec(soup(), 0..4), names: [String; 4]) {
        prop_assume!(bodies.iter().all(|body| !body.windows(4).any(|window| window == b"--XX")));
        let mut writer = Writer::new(boundary());
        let mut whole = Vec::new();
        for (body, name) in bodies.iter().zip(&names) {
            whole.extend(writer.part(&[("Content-Disposition", &disposition("attachment", name))]));
            whole.extend(body);
        }
        whole.extend(writer.end());
        let parts = scan(&[&whole]).unwrap();
        prop_assert_eq!(parts.iter().map(|(_, body)| body).collect::<Vec<_>>(), bodies.iter().collect::<Vec<_>>());
    }
}
