//! `_all_docs`: the live documents, or those that are named. Source: `spec/gateway.md` 2.3.

use super::revisions::access_json;
use crate::{
    context::{Answer, Context},
    document::render::{self, HistoryWanted, Options, Version},
    error::Error,
    service::Port,
};
use http::{HeaderValue, StatusCode};
use hyper::body::Incoming;
use serde_json::Value;
use std::{collections::VecDeque, ops::Bound};
use tidegate_documents::{Error as DocumentsError, Pieces, RowSource, respond_rows};
use tidegate_engine::{Database, Detail, DocRange, DocRow, Document, DocumentList, FoundRow, Order, Which};
use tidegate_json::write_string;
use tidegate_types::{Channel, DocId, DocKind, Seq};

/// Rows read at once.
const PAGE: usize = 500;

/// What a list is asked for.
#[derive(Debug)]
struct Params {
    include_docs: bool,
    update_seq: bool,
    /// Whether rows tell the channels of their documents, and whom these grant what.
    decided: Decided,
    options: Options,
    limit: usize,
    start: Bound<String>,
    end: Bound<String>,
    keys: Option<Vec<String>>,
}

/// What rows tell of what was decided on their documents. Administrators alone are told.
#[derive(Clone, Copy, Debug, Default)]
struct Decided {
    channels: bool,
    access: bool,
}

/// The rows that are left to be made.
struct Rows {
    db: Database,
    source: Source,
    page: VecDeque<DocRow>,
    params: Params,
    version: Version,
    written: u64,
    last_seq: Seq,
}

enum Source {
    List(Box<DocumentList>),
    Keys(VecDeque<(String, FoundRow)>),
    Ended,
}

pub(crate) async fn get(cx: &Context, db: &Database) -> Answer {
    answer(cx, db, Value::Null).await
}

pub(crate) async fn post(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let text = cx.read_json(body).await?;
    let body = if text.is_empty() { Value::Null } else { serde_json::from_slice(&text)? };
    answer(cx, db, body).await
}

async fn answer(cx: &Context, db: &Database, body: Value) -> Answer {
    if cx.shared.port == Port::Public && db.has_option("disable_public_all_docs").await? {
        return Err(Error::new(StatusCode::FORBIDDEN, "public access to _all_docs is disabled for this database"));
    }
    let params = Params::parse(cx, &body)?;
    let (source, last_seq) = match &params.keys {
        Some(keys) => {
            let ids: Vec<Option<DocId>> = keys.iter().map(|key| key.parse().ok().filter(is_listed)).collect();
            let known: Vec<DocId> = ids.iter().flatten().cloned().collect();
            let (info, found) = db.find_rows(&known).await?;
            let mut found = found.into_iter();
            let mut row_of = |id: Option<DocId>| id.and_then(|_| found.next()).unwrap_or(FoundRow::Missing);
            let rows = keys.iter().zip(ids).map(|(key, id)| (key.clone(), row_of(id)));
            (Source::Keys(rows.collect()), info.update_seq)
        }
        None => {
            let range = DocRange { start: params.start.clone(), end: params.end.clone(), order: Order::Ascending };
            let list = db.list(range).await?;
            let last_seq = list.info().update_seq;
            (Source::List(Box::new(list)), last_seq)
        }
    };
    let version = Version::of(cx);
    let rows = Rows { db: db.clone(), source, page: VecDeque::new(), params, version, written: 0, last_seq };
    let mut begun = Pieces::default();
    begun.text().extend_from_slice(b"{\"rows\":[\n");
    Ok(respond_rows(rows, &cx.delivery(), begun, HeaderValue::from_static("application/json")).await?)
}

/// Design documents have a list of their own.
fn is_listed(id: &DocId) -> bool {
    id.kind() == DocKind::Plain
}

impl Params {
    fn parse(cx: &Context, body: &Value) -> Result<Self, Error> {
        let query = cx.query()?;
        let flag = |name: &str| query.get(name) == Some("true");
        let keys = match body.get("keys") {
            Some(keys) => Some(texts(keys).ok_or(Error::bad_request("keys must be an array of strings"))?),
            None => query.get("keys").map(parse_keys).transpose()?,
        };
        let key = |name: &str| -> Result<Option<String>, Error> {
            let Some(text) = query.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
            // JSON, as CouchDB has it, or bare, as people write it.
            match serde_json::from_str::<Value>(text) {
                Ok(Value::String(key)) => Ok(Some(key)),
                Ok(_) | Err(_) => Ok(Some(text.to_owned())),
            }
        };
        let exact = key("key")?;
        let (start, end) = match exact {
            Some(key) => (Bound::Included(key.clone()), Bound::Included(key)),
            None => (
                key("startkey")?.map_or(Bound::Unbounded, Bound::Included),
                key("endkey")?.map_or(Bound::Unbounded, Bound::Included),
            ),
        };
        let history = flag("revs").then(|| HistoryWanted { limit: usize::MAX, from: Vec::new() });
        Ok(Self {
            include_docs: flag("include_docs"),
            update_seq: flag("update_seq"),
            decided: match cx.shared.port {
                Port::Admin => Decided { channels: flag("channels"), access: flag("access") },
                Port::Public => Decided::default(),
            },
            options: Options { history, version: Version::of(cx), ..Options::default() },
            limit: query.integer("limit")?.filter(|limit| *limit > 0).unwrap_or(usize::MAX),
            start,
            end,
            keys,
        })
    }
}

fn parse_keys(text: &str) -> Result<Vec<String>, Error> {
    let parsed = serde_json::from_str::<Value>(text).ok();
    parsed.as_ref().and_then(texts).ok_or(Error::bad_request("keys must be an array of strings"))
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|key| key.as_str().map(str::to_owned)).collect()
}

impl RowSource for Rows {
    fn database(&self) -> &Database {
        &self.db
    }

    async fn next(&mut self, out: &mut Pieces) -> Result<bool, DocumentsError> {
        if self.params.limit == 0 {
            self.source = Source::Ended;
            self.page.clear();
        }
        match &mut self.source {
            Source::List(list) => {
                while self.page.is_empty() {
                    let rows = list.next(PAGE).await?;
                    if rows.is_empty() {
                        self.end(out);
                        return Ok(false);
                    }
                    self.page.extend(rows.into_iter().filter(|row| is_listed(&row.id)));
                }
                if let Some(row) = self.page.pop_front() {
                    self.row(&row, out).await?;
                }
            }
            Source::Keys(rows) => {
                let Some((key, row)) = rows.pop_front() else {
                    self.end(out);
                    return Ok(false);
                };
                match row {
                    FoundRow::Seen(row) if !row.winner.deleted => self.row(&row, out).await?,
                    FoundRow::Seen(_) | FoundRow::Missing => self.refused(&key, &Error::not_found("missing"), out),
                    FoundRow::Forbidden => {
                        self.refused(&key, &Error::new(StatusCode::FORBIDDEN, "forbidden"), out);
                    }
                }
            }
            Source::Ended => {
                self.end(out);
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Rows {
    async fn row(&mut self, row: &DocRow, out: &mut Pieces) -> Result<(), DocumentsError> {
        let decided = self.decided(row).await?;
        let document = if self.params.include_docs { self.document(row).await? } else { None };
        self.separate(out);
        let text = out.text();
        text.extend_from_slice(b"{\"key\":");
        write_string(text, row.id.as_str());
        text.extend_from_slice(b",\"id\":");
        write_string(text, row.id.as_str());
        text.extend_from_slice(format!(",\"value\":{{\"rev\":\"{}\"", row.winner.rev).as_bytes());
        if let Some(version) = self.version.text(&self.db, &row.winner.rev) {
            text.extend_from_slice(format!(",\"cv\":\"{version}\"").as_bytes());
        }
        text.extend_from_slice(decided.as_bytes());
        text.push(b'}');
        if let Some(document) = document {
            text.extend_from_slice(b",\"doc\":");
            render::text(&self.db, &document, &self.params.options, text);
        }
        if self.params.update_seq {
            text.extend_from_slice(format!(",\"update_seq\":{}", row.winner.seq).as_bytes());
        }
        text.extend_from_slice(b"}\n");
        Ok(())
    }

    /// The members of a row's value that tell what was decided on its document.
    async fn decided(&self, row: &DocRow) -> Result<String, DocumentsError> {
        let Decided { channels, access } = self.params.decided;
        if !channels && !access {
            return Ok(String::new());
        }
        let assigned = self.db.assigned(std::slice::from_ref(row)).await?.pop().unwrap_or_default();
        let mut out = String::new();
        if channels {
            let names: Vec<&str> = assigned.channels.iter().map(Channel::as_str).collect();
            out.push_str(&format!(",\"channels\":{}", Value::from(names)));
        }
        if access {
            out.push_str(&format!(",\"access\":{}", access_json(&assigned, row.winner.seq)));
        }
        Ok(out)
    }

    async fn document(&self, row: &DocRow) -> Result<Option<Document>, DocumentsError> {
        let document = match (&self.source, self.params.options.detail()) {
            (_, detail @ Detail::History) => self.db.get(&row.id, &Which::Rev(row.winner.rev.clone()), detail).await,
            (Source::List(list), Detail::Plain) => list.document(row).await,
            (Source::Keys(_) | Source::Ended, Detail::Plain) => self.db.row_document(row).await,
        };
        match document {
            Ok(document) => Ok(Some(document)),
            // It was changed and compacted between the list and the read, or its reader lost it.
            Err(tidegate_engine::Error::NotFound(_) | tidegate_engine::Error::Access(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn refused(&mut self, key: &str, error: &Error, out: &mut Pieces) {
        self.separate(out);
        let text = out.text();
        text.extend_from_slice(b"{\"key\":");
        write_string(text, key);
        let (word, status) = (error.row_word(), error.status.as_u16());
        text.extend_from_slice(format!(",\"error\":\"{word}\",\"status\":{status}}}\n").as_bytes());
    }

    fn separate(&mut self, out: &mut Pieces) {
        if self.written > 0 {
            out.text().push(b',');
        }
        self.written += 1;
        self.params.limit = self.params.limit.saturating_sub(1);
    }

    fn end(&self, out: &mut Pieces) {
        let end = format!("],\n\"total_rows\":{},\"update_seq\":{}}}", self.written, self.last_seq);
        out.text().extend_from_slice(end.as_bytes());
    }
}
