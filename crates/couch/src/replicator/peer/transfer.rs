//! Revisions with attachments, from the source to the target as they come: no attachment is ever in memory as a whole.
//!
//! The source answers `multipart/mixed` with a part for each revision. A part that is `multipart/related` is what the
//! target takes as the body of a `PUT`, so it goes on as it is; only its first part, the document, is looked at before.

use super::{
    ANSWER_BYTES_MAX, Answer, Ask, Outgoing, Peer, REFUSAL_BYTES_MAX, copy::DocHead, document_path, parse, unreadable,
};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, header};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use std::collections::VecDeque;
use tidegate_http::{
    media::MediaType,
    multipart::{Boundary, Event, Multipart, MultipartError, Scanner},
    respond,
};
use tidegate_replication::{Doc, Failure, FailureKind, Moved, Transfer, Transferred, WriteFailure};
use tidegate_types::Rev;

/// A URL is no longer than this, in bytes: servers and what stands before them have their limits. Source:
/// `couch_replicator_api_wrap`'s `MAX_URL_LEN`.
const URL_BYTES_MAX: usize = 7_000;
/// Bytes of a document without its attachments.
const DOCUMENT_BYTES_MAX: usize = 64 << 20;
/// Chunks between the two connections.
const CHUNKS_MAX: usize = 4;
const MISSING_STUB: u16 = 412;
const MIXED: HeaderValue = HeaderValue::from_static("multipart/mixed, application/json;q=0.5");

/// What became of one revision.
struct Delivery {
    rev: Rev,
    outcome: Delivered,
}

enum Delivered {
    /// It is there, or waits, or was refused.
    Moved(Transferred<Bytes>),
    /// The target lacks an attachment that it should have: the source was asked for too little.
    MissingStub(String),
}

/// What became of several.
enum Attempt {
    Moved(Vec<Moved<Bytes>>),
    MissingStub(String),
}

/// Where revisions come from, and where they go.
#[derive(Clone, Copy)]
struct Way<'w> {
    source: &'w Peer,
    target: &'w Peer,
    transfer: &'w Transfer,
}

/// Moves revisions of one document.
///
/// # Errors
/// The source or the connection to it failed.
pub(in crate::replicator) async fn transfer(
    source: &Peer,
    target: &Peer,
    transfer: &Transfer,
) -> Result<Vec<Moved<Bytes>>, Failure> {
    let way = Way { source, target, transfer };
    let mut moved = Vec::new();
    for revs in portions(&transfer.revs) {
        moved.extend(way.portion(revs).await?);
    }
    Ok(moved)
}

/// Revisions in groups that fit into a URL.
fn portions(revs: &[Rev]) -> Vec<&[Rev]> {
    let longest = revs.iter().map(|rev| super::encode(&rev.to_string()).len().saturating_add(12)).max().unwrap_or(1);
    revs.chunks((URL_BYTES_MAX / 2).checked_div(longest).unwrap_or(1).max(1)).collect()
}

impl Way<'_> {
    /// Moves some; all attachments of them where the target turns out to lack what it was thought to have.
    async fn portion(self, revs: &[Rev]) -> Result<Vec<Moved<Bytes>>, Failure> {
        let ancestors = portions(&self.transfer.ancestors).first().copied().unwrap_or_default();
        if let Attempt::Moved(moved) = self.attempt(revs, ancestors).await? {
            return Ok(moved);
        }
        match self.attempt(revs, &[]).await? {
            Attempt::Moved(moved) => Ok(moved),
            Attempt::MissingStub(reason) => Err(Failure::new(FailureKind::Refused, reason)),
        }
    }

    async fn attempt(self, revs: &[Rev], ancestors: &[Rev]) -> Result<Attempt, Failure> {
        let answer = self.source.send(self.ask(revs, ancestors).with(header::ACCEPT, MIXED)).await?;
        let is_mixed = MediaType::parse(answer.content_type()).is_some_and(|media| media.is("multipart/mixed"));
        if is_mixed { self.parts(revs, answer).await } else { self.inline(revs, answer).await }
    }

    fn ask(self, revs: &[Rev], ancestors: &[Rev]) -> Ask {
        let list = |revs: &[Rev]| {
            let texts: Vec<String> = revs.iter().map(Rev::to_string).collect();
            Value::from(texts).to_string()
        };
        let ask = Ask::get(document_path(self.transfer.id.as_str())).query("revs", "true").query("latest", "true");
        let ask = ask.query("open_revs", list(revs));
        if ancestors.is_empty() { ask } else { ask.query("atts_since", list(ancestors)) }
    }

    /// The request that writes a revision as it is.
    fn put_request(self) -> Ask {
        Ask::new(Method::PUT, document_path(self.transfer.id.as_str())).query("new_edits", "false")
    }

    async fn parts(self, revs: &[Rev], answer: Answer) -> Result<Attempt, Failure> {
        let boundary = Boundary::from_content_type(answer.content_type()).map_err(|error| broken(&error))?;
        let mut parts = Multipart::new(answer.stream(u64::MAX)?, &boundary);
        let mut matching = Matching::of(revs);
        while let Some(head) = parts.next_part().await.map_err(|error| broken(&error))? {
            let content_type = head.content_type().unwrap_or_default().to_owned();
            let is_related = MediaType::parse(&content_type).is_some_and(|media| media.is("multipart/related"));
            let delivery = if is_related {
                self.related(&mut parts, &content_type).await?
            } else if content_type.contains("error=") {
                None
            } else {
                self.document(whole(&mut parts).await?).await?
            };
            matching.extend(delivery);
        }
        Ok(matching.done())
    }

    /// Sends a part with attachments on.
    async fn related(self, parts: &mut Multipart<Incoming>, content_type: &str) -> Result<Option<Delivery>, Failure> {
        let (mut begun, document) = first_part(parts, content_type).await?;
        let Some(rev) = rev_of(&document) else { return Ok(None) };
        let Ok(content_type) = HeaderValue::try_from(content_type) else { return Ok(None) };
        let (sender, body) = respond::channel(CHUNKS_MAX);
        let ask = self.put_request().with(header::CONTENT_TYPE, content_type).body(Outgoing::stream(body));
        let feeding = async move {
            while let Some(chunk) = begun.pop_front() {
                if sender.send(chunk).await.is_err() {
                    return Ok(()); // The target has answered, or is gone: it says so.
                }
            }
            while let Some(chunk) = parts.chunk().await.map_err(|error| broken(&error))? {
                if sender.send(chunk).await.is_err() {
                    return Ok(());
                }
            }
            let _sent = sender.finish().await; // What the target says counts.
            Ok::<_, Failure>(())
        };
        let (fed, outcome) = tokio::join!(feeding, self.put(&rev, ask));
        fed?; // If the source failed, so did the target, but not through its own fault.
        Ok(Some(Delivery { rev, outcome }))
    }

    /// A document without attachments waits for its batch; one that keeps those it had can't.
    async fn document(self, text: Bytes) -> Result<Option<Delivery>, Failure> {
        let head: DocHead<'_> = serde_json::from_slice(&text).map_err(|error| unreadable(&error))?;
        let (Ok(id), Ok(rev)) = (head.id.parse(), head.rev.parse::<Rev>()) else { return Ok(None) };
        let outcome = if head.has_attachments() {
            self.put(&rev, self.put_request().json(text.clone())).await
        } else {
            let doc = Doc { id, rev: rev.clone(), bytes: text.len(), content: text.clone() };
            Delivered::Moved(Transferred::Loaded(doc))
        };
        Ok(Some(Delivery { rev, outcome }))
    }

    /// Writes a revision to the target.
    async fn put(self, rev: &Rev, ask: Ask) -> Delivered {
        let failure = match self.target.try_send(ask).await {
            Ok(answer) if answer.response.status().is_success() => match check_taken(answer).await {
                Ok(()) => return Delivered::Moved(Transferred::Written),
                Err(failure) => failure,
            },
            Ok(answer) => {
                let is_stub = answer.response.status().as_u16() == MISSING_STUB;
                let failure = answer.refusal().await;
                if is_stub {
                    return Delivered::MissingStub(failure.reason);
                }
                failure
            }
            Err(failure) => failure,
        };
        let Failure { kind, reason, .. } = failure;
        let (id, rev) = (self.transfer.id.clone(), rev.clone());
        Delivered::Moved(Transferred::Refused(WriteFailure { id, rev, kind, reason }))
    }

    /// A source that knows no multipart sends attachments within the document, where it is asked to.
    async fn inline(self, revs: &[Rev], answer: Answer) -> Result<Attempt, Failure> {
        let mut text = answer.whole(ANSWER_BYTES_MAX).await?;
        let has_attachments =
            |document: &Bytes| serde_json::from_slice::<DocHead<'_>>(document).is_ok_and(|head| head.has_attachments());
        if documents(&text)?.iter().any(has_attachments) {
            let ask = self.ask(revs, &[]).query("attachments", "true");
            text = self.source.send(ask).await?.whole(ANSWER_BYTES_MAX).await?;
        }
        let mut matching = Matching::of(revs);
        for document in documents(&text)? {
            matching.extend(self.document(document).await?);
        }
        Ok(matching.done())
    }
}

/// Whether the target says that it took the revision: only who says so has stored it.
async fn check_taken(answer: Answer) -> Result<(), Failure> {
    let said: Value = parse(&answer.whole(REFUSAL_BYTES_MAX).await?)?;
    let doubt = || Failure::new(FailureKind::Transient, "the target does not say that it took the revision");
    if is_yes(&said) { Ok(()) } else { Err(doubt()) }
}

/// PouchDB's servers answer as `_bulk_docs` does: what was refused, which is nothing.
fn is_yes(said: &Value) -> bool {
    said.get("ok") == Some(&Value::Bool(true)) || said.as_array().is_some_and(Vec::is_empty)
}

/// Which answer belongs to which wanted revision. Later leaves come in place of the revisions they follow.
struct Matching {
    wanted: Vec<Rev>,
    found: Vec<(Rev, Transferred<Bytes>)>,
    missing_stub: Option<String>,
}

impl Matching {
    fn of(revs: &[Rev]) -> Self {
        Self { wanted: revs.to_vec(), found: Vec::new(), missing_stub: None }
    }

    fn extend(&mut self, delivery: Option<Delivery>) {
        match delivery {
            Some(Delivery { rev, outcome: Delivered::Moved(outcome) }) => self.found.push((rev, outcome)),
            Some(Delivery { outcome: Delivered::MissingStub(reason), .. }) => self.missing_stub = Some(reason),
            None => {}
        }
    }

    /// Those that were asked for by name are themselves; what is left answers, in order, for what wasn't found.
    fn done(self) -> Attempt {
        let Self { wanted, found, missing_stub } = self;
        if let Some(reason) = missing_stub {
            return Attempt::MissingStub(reason);
        }
        let is_found = |rev: &Rev| found.iter().any(|(found, _)| found == rev);
        let replaced: Vec<Rev> = wanted.iter().filter(|rev| !is_found(rev)).cloned().collect();
        let mut replaced = replaced.into_iter();
        let mut last = None;
        let moved = found.into_iter().filter_map(|(rev, outcome)| {
            if wanted.contains(&rev) {
                return Some(Moved { rev, outcome });
            }
            let rev = replaced.next().or(last.clone()).or(wanted.first().cloned())?;
            last = Some(rev.clone());
            Some(Moved { rev, outcome })
        });
        Attempt::Moved(moved.collect())
    }
}

#[derive(Deserialize)]
struct OpenRev<'a> {
    #[serde(borrow)]
    ok: Option<&'a RawValue>,
}

fn documents(text: &Bytes) -> Result<Vec<Bytes>, Failure> {
    let rows: Vec<OpenRev<'_>> = serde_json::from_slice(text).map_err(|error| unreadable(&error))?;
    Ok(rows.iter().filter_map(|row| Some(text.slice_ref(row.ok?.get().as_bytes()))).collect())
}

fn rev_of(document: &[u8]) -> Option<Rev> {
    let head: DocHead<'_> = serde_json::from_slice(document).ok()?;
    head.rev.parse().ok()
}

/// Reads a multipart part up to the end of the first part within: what was read, and that first part.
async fn first_part(parts: &mut Multipart<Incoming>, content_type: &str) -> Result<(VecDeque<Bytes>, Bytes), Failure> {
    let boundary = Boundary::from_content_type(content_type).map_err(|error| broken(&error))?;
    let mut scanner = Scanner::new(&boundary);
    let (mut begun, mut document) = (VecDeque::new(), BytesMut::new());
    loop {
        match scanner.next_event().map_err(|error| broken(&error))? {
            Event::NeedInput => match parts.chunk().await.map_err(|error| broken(&error))? {
                Some(chunk) => {
                    begun.push_back(chunk.clone());
                    scanner.feed(chunk);
                }
                None => scanner.close(),
            },
            Event::Part(_) => {}
            Event::Data(data) if document.len().saturating_add(data.len()) > DOCUMENT_BYTES_MAX => {
                return Err(Failure::new(FailureKind::Refused, "a document is too large"));
            }
            Event::Data(data) => document.extend_from_slice(&data),
            Event::PartEnd | Event::End => return Ok((begun, document.freeze())),
        }
    }
}

async fn whole(parts: &mut Multipart<Incoming>) -> Result<Bytes, Failure> {
    let mut text = BytesMut::new();
    while let Some(chunk) = parts.chunk().await.map_err(|error| broken(&error))? {
        if text.len().saturating_add(chunk.len()) > DOCUMENT_BYTES_MAX {
            return Err(Failure::new(FailureKind::Refused, "a document is too large"));
        }
        text.extend_from_slice(&chunk);
    }
    Ok(text.freeze())
}

fn broken(error: &MultipartError) -> Failure {
    Failure::new(FailureKind::Transient, super::chain(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `wanted` and `found` are revisions; which wanted one each found one answers.
    #[track_caller]
    fn check(wanted: &str, found: &str, expected: &str) {
        let revs = |text: &str| -> Vec<Rev> { text.split_whitespace().map(|rev| rev.parse().unwrap()).collect() };
        let mut matching = Matching::of(&revs(wanted));
        for rev in revs(found) {
            matching.extend(Some(Delivery { rev, outcome: Delivered::Moved(Transferred::Written) }));
        }
        let Attempt::Moved(moved) = matching.done() else { unreachable!() };
        let answered: Vec<String> = moved.iter().map(|moved| moved.rev.to_string()).collect();
        assert_eq!(answered.join(" "), expected, "{wanted} / {found}");
    }

    #[test]
    fn later_leaves_answer_for_what_they_follow() {
        check("1-a 1-b", "1-a 1-b", "1-a 1-b");
        check("1-a 1-b", "1-b", "1-b");
        check("1-a 1-b", "2-x 1-b", "1-a 1-b");
        check("1-a", "2-x 2-y", "1-a 1-a");
        check("1-a 2-x", "2-x", "2-x");
    }

    #[test]
    fn only_who_says_so_has_taken_a_revision() {
        let check = |said: &str, expected| assert_eq!(is_yes(&serde_json::from_str(said).unwrap()), expected, "{said}");
        check(r#"{"ok":true,"id":"a","rev":"1-a"}"#, true);
        check("[]", true);
        check(r#"[{"id":"a","error":"forbidden"}]"#, false);
        check(r#"{"ok":false}"#, false);
        check("{}", false);
        check("null", false);
    }

    #[test]
    fn what_is_asked_for_fits_into_a_url() {
        let revs: Vec<Rev> = (0..1_000).map(|n| format!("1-{n:032x}").parse().unwrap()).collect();
        let portions = portions(&revs);
        assert_eq!(portions.concat(), revs);
        assert!(portions.iter().all(|portion| portion.len() * 47 < URL_BYTES_MAX), "{}", portions.len());
        assert!(portions.len() < 20);
    }
}
