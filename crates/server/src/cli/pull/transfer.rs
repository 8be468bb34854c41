//! Revisions with attachments, one by one: what the source sends as a part of `multipart/mixed` is, byte for byte, what
//! the target takes as `multipart/related`, so it is passed on as it comes. Sources that know no multipart, such as
//! PouchDB's servers, send attachments within the document.

use super::{
    Text,
    perform::{Sides, kind_of, plain},
    wire::Found,
};
use crate::cli::client::{Refusal, read, segment};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures_core::Stream;
use reqwest::{Body, Method, Response};
use serde_json::{json, value::RawValue};
use std::{
    io,
    pin::Pin,
    task::{Context as TaskContext, Poll},
};
use tidegate_http::multipart::{Boundary, Event, Scanner};
use tidegate_replication::{FailureKind, Moved, Transfer, Transferred, WriteFailure};
use tidegate_types::{DocId, Rev};
use tokio::sync::mpsc;

/// Pieces of an attachment under way.
const PIECES_MAX: usize = 4;
/// The longest text of a revision without attachments.
const TEXT_BYTES_MAX: usize = 128 << 20;

/// CouchDB's word for an attachment that is to be known and isn't.
const MISSING_STUB: &str = "missing_stub";

/// What becomes of each revision that is asked for. One that the source hasn't got is left out.
pub(super) async fn transfer(sides: &Sides, asked: &Transfer) -> Result<Vec<Moved<Text>>> {
    let mut moved = Vec::new();
    for rev in &asked.revs {
        for outcome in one(sides, asked, rev).await? {
            moved.push(Moved { rev: rev.clone(), outcome });
        }
    }
    Ok(moved)
}

/// The revision, or the leaves that have come after it.
async fn one(sides: &Sides, asked: &Transfer, rev: &Rev) -> Result<Vec<Transferred<Text>>> {
    let known: Vec<String> = asked.ancestors.iter().map(ToString::to_string).collect();
    let outcomes = one_after(sides, (&asked.id, rev), &known).await?;
    let lacks =
        |outcome: &Transferred<Text>| matches!(outcome, Transferred::Refused(why) if why.reason == MISSING_STUB);
    if known.is_empty() || !outcomes.iter().any(lacks) {
        return Ok(outcomes);
    }
    // The target knows the ancestor and has lost its attachments: all of them, then.
    one_after(sides, (&asked.id, rev), &[]).await
}

/// The same, without the attachments of `known` revisions.
async fn one_after(sides: &Sides, (id, rev): (&DocId, &Rev), known: &[String]) -> Result<Vec<Transferred<Text>>> {
    let open_revs = segment(&json!([rev.to_string()]).to_string());
    let mut path = format!("{}/{}?revs=true&latest=true&open_revs={open_revs}", sides.source.path, id_path(id));
    if !known.is_empty() {
        path = format!("{path}&atts_since={}", segment(&json!(known).to_string()));
    }
    let request = sides.source.client.request(Method::GET, &path).header("accept", "multipart/mixed");
    let response = sides.source.client.send(request).await?;
    let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.starts_with("multipart/mixed") {
        return inline(sides, (id, rev), &path, response).await;
    }
    let scanner = Scanner::new(&Boundary::from_content_type(content_type)?);
    let mut parts = Parts { response, scanner };
    let mut outcomes = Vec::new();
    while let Some(content_type) = parts.next_part().await? {
        if content_type.starts_with("multipart/related") {
            outcomes.push(pass_on(sides, (id, rev), &content_type, &mut parts).await?);
        } else {
            let text = parts.text().await?;
            outcomes.extend(loaded(id, &text).map(Transferred::Loaded));
        }
    }
    Ok(outcomes)
}

/// The same from an answer in JSON, asked for once more if attachments belong to it.
async fn inline(
    sides: &Sides,
    (id, rev): (&DocId, &Rev),
    path: &str,
    answer: Response,
) -> Result<Vec<Transferred<Text>>> {
    let mut text = read(answer).await?;
    if memchr::memmem::find(&text, b"\"_attachments\"").is_some() {
        let request = sides.source.client.request(Method::GET, &format!("{path}&attachments=true"));
        text = read(sides.source.client.send(request.header("accept", "application/json")).await?).await?;
    }
    let rows: Vec<Found<'_>> = serde_json::from_slice(&text).context("the source sends neither multipart nor JSON")?;
    let mut outcomes = Vec::new();
    for document in rows.iter().filter_map(|row| row.ok) {
        outcomes.push(match plain(id, document) {
            Some(document) => Transferred::Loaded(document),
            None => {
                let path = format!("{}/{}?new_edits=false", sides.target.path, id_path(id));
                let request = sides.target.client.request(Method::PUT, &path).header("accept", "application/json");
                let request = request.header("content-type", "application/json").body(document.get().to_owned());
                outcome((id, rev), sides.target.client.send(request).await)?
            }
        });
    }
    Ok(outcomes)
}

/// `_design/name` keeps its slash.
fn id_path(id: &DocId) -> String {
    match id.as_str().split_once('/') {
        Some(("_design", name)) => format!("_design/{}", segment(name)),
        Some(_) | None => segment(id.as_str()),
    }
}

/// `None` for `{"missing":…}`.
fn loaded(id: &DocId, text: &[u8]) -> Option<tidegate_replication::Doc<Text>> {
    let text: &RawValue = serde_json::from_slice(text).ok()?;
    plain(id, text)
}

/// Sends a part on as it comes.
async fn pass_on(
    sides: &Sides,
    (id, rev): (&DocId, &Rev),
    content_type: &str,
    parts: &mut Parts,
) -> Result<Transferred<Text>> {
    let (pieces, received) = mpsc::channel(PIECES_MAX);
    let path = format!("{}/{}?new_edits=false", sides.target.path, id_path(id));
    let request = sides.target.client.request(Method::PUT, &path).header("content-type", content_type);
    let request = request.header("accept", "application/json").body(Body::wrap_stream(Pieces(received)));
    let (pumped, written) = tokio::join!(parts.pump(pieces), sides.target.client.send(request));
    // What the target says of half a revision is of no interest.
    pumped?;
    outcome((id, rev), written)
}

/// What the target made of a revision.
fn outcome((id, rev): (&DocId, &Rev), written: Result<Response>) -> Result<Transferred<Text>> {
    let refusal = match written {
        Ok(_) => return Ok(Transferred::Written),
        Err(error) => error.downcast::<Refusal>()?,
    };
    let kind = match refusal.status {
        408 | 429 | 500.. => FailureKind::Transient,
        401 => bail!(refusal),
        _ => kind_of(&refusal.error),
    };
    let reason = if refusal.error == MISSING_STUB { refusal.error } else { refusal.reason };
    Ok(Transferred::Refused(WriteFailure { id: id.clone(), rev: rev.clone(), kind, reason }))
}

/// The parts of an answer, as they come.
struct Parts {
    response: Response,
    scanner: Scanner,
}

impl Parts {
    /// The media type of the next part; `None` behind the last.
    async fn next_part(&mut self) -> Result<Option<String>> {
        loop {
            match self.event().await? {
                Event::Part(head) => return Ok(Some(head.content_type().unwrap_or_default().to_owned())),
                Event::End => return Ok(None),
                Event::Data(_) | Event::PartEnd | Event::NeedInput => {}
            }
        }
    }

    async fn event(&mut self) -> Result<Event> {
        loop {
            match self.scanner.next_event()? {
                Event::NeedInput => match self.response.chunk().await.context("the source's answer was cut short")? {
                    Some(chunk) => self.scanner.feed(chunk),
                    None => self.scanner.close(),
                },
                event @ (Event::Part(_) | Event::Data(_) | Event::PartEnd | Event::End) => return Ok(event),
            }
        }
    }

    /// The next piece of this part; `None` at its end.
    async fn piece(&mut self) -> Result<Option<Bytes>> {
        match self.event().await? {
            Event::Data(data) => Ok(Some(data)),
            Event::PartEnd => Ok(None),
            Event::NeedInput | Event::Part(_) | Event::End => bail!("the source's parts are out of order"),
        }
    }

    async fn text(&mut self) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        while let Some(piece) = self.piece().await? {
            text.extend_from_slice(&piece);
            if text.len() > TEXT_BYTES_MAX {
                bail!("a revision is larger than {TEXT_BYTES_MAX} bytes");
            }
        }
        Ok(text)
    }

    /// Hands the pieces of this part on. A part that is cut is an error at the other end, too.
    async fn pump(&mut self, pieces: mpsc::Sender<io::Result<Bytes>>) -> Result<()> {
        let mut is_wanted = true;
        loop {
            match self.piece().await {
                Ok(None) => return Ok(()),
                // A target that has answered early reads no more; the rest is skipped.
                Ok(Some(piece)) if is_wanted => is_wanted = pieces.send(Ok(piece)).await.is_ok(),
                Ok(Some(_)) => {}
                Err(error) => {
                    let cut = io::Error::new(io::ErrorKind::UnexpectedEof, "the source's answer was cut short");
                    pieces.send(Err(cut)).await.ok();
                    return Err(error);
                }
            }
        }
    }
}

struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<io::Result<Bytes>>> {
        self.0.poll_recv(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_their_slashes_where_they_have_a_meaning() {
        let path = |id: &str| id_path(&id.parse().unwrap());
        assert_eq!(path("a/b"), "a%2Fb");
        assert_eq!(path("_design/a/b"), "_design/a%2Fb");
    }

    #[test]
    fn what_is_missing_is_left_out() {
        let id = "a".parse().unwrap();
        assert!(loaded(&id, b"{\"missing\":\"1-a\"}").is_none());
        assert_eq!(loaded(&id, b"{\"_rev\":\"1-a\",\"n\":1.0}").unwrap().bytes, 22);
    }
}
