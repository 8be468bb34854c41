//! `POST _bulk_get`: revisions of many documents. Source: `chttpd_db:bulk_get_docs`, `spec/couch.md` 3.4.
//!
//! Rows are made as they are sent, so that a large answer is never in memory as a whole.

use super::{
    open_revs::ERROR_TYPE,
    read::JSON,
    render::{self, Options, following},
    request,
};
use crate::{
    context::{Answer, Context},
    error::Error,
};
use bytes::Bytes;
use http::HeaderValue;
use hyper::body::Incoming;
use tidegate_documents::{
    Attachments, Error as DocumentsError, Pieces, Related, RowSource, new_boundary, parse_rev, parse_revs, respond_rows,
};
use tidegate_engine::{Absence, Database, Document, OpenRev, OpenRevs};
use tidegate_http::{multipart::Writer, negotiate::Accept, query::Query};
use tidegate_json::{Limits, Members, read_string, write_string};
use tidegate_types::{DocId, Rev};

/// One entry of the request.
struct Wanted {
    /// As it was sent, a JSON text; `null` if it wasn't.
    id: Bytes,
    ask: Result<Ask, Refusal>,
}

struct Ask {
    id: DocId,
    rev: Option<Rev>,
    atts_since: Vec<Rev>,
}

/// Why an entry can't be answered.
struct Refusal {
    /// A JSON text.
    rev: Bytes,
    error: Error,
}

/// The rows that are left to be made.
struct Rows {
    db: Database,
    wanted: std::vec::IntoIter<Wanted>,
    latest: bool,
    options: Options,
    /// `None` for JSON.
    parts: Option<Writer>,
    first: bool,
}

pub(crate) async fn post(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let query = cx.query()?;
    check_query(&query)?;
    let wanted = parse(&cx.read_json(body).await?)?;
    let (parts, content_type) = shape(&Accept::of(&cx.request.headers));
    let options = request::options(&query);
    let options = if parts.is_some() { following(&options) } else { options };
    let (db, latest) = (db.clone(), request::is_true(&query, "latest"));
    let rows = Rows { db, wanted: wanted.into_iter(), latest, options, parts, first: true };
    let mut begun = Pieces::default();
    rows.begin(&mut begun);
    Ok(respond_rows(rows, &cx.delivery(), begun, content_type).await?)
}

fn check_query(query: &Query<'_>) -> Result<(), Error> {
    match query.iter().find(|(name, _)| ["open_revs", "new_edits", "w", "rev", "atts_since"].contains(name)) {
        Some((name, _)) => Err(Error::bad_request(format!("\"{name}\" query parameter is not acceptable"))),
        None => Ok(()),
    }
}

fn shape(accept: &Accept) -> (Option<Writer>, HeaderValue) {
    let subtype = match (accept.accepts("application/json"), accept.accepts("multipart/mixed")) {
        (false, true) => "mixed",
        (false, false) if accept.accepts("multipart/related") => "related",
        (true, _) | (false, false) => return (None, JSON),
    };
    let writer = Writer::new(new_boundary());
    let content_type = HeaderValue::try_from(writer.boundary().content_type(subtype)).unwrap_or(JSON);
    (Some(writer), content_type)
}

fn parse(body: &Bytes) -> Result<Vec<Wanted>, Error> {
    let mut wanted = None;
    let mut members = Members::new(body, Limits::default())?;
    while let Some(name) = members.next_name()? {
        if name == "docs" {
            let mut entries = Vec::new();
            members.elements(|entry| {
                entries.push(parse_entry(entry)?);
                Ok::<_, Error>(())
            })?;
            wanted = Some(entries);
        }
    }
    wanted.ok_or(Error::bad_request("Missing JSON list of 'docs'."))
}

fn parse_entry(entry: &[u8]) -> Result<Wanted, Error> {
    let (mut id, mut rev, mut since) = (None, None, None);
    if entry.first() == Some(&b'{') {
        for member in Members::new(entry, Limits::default())? {
            let (name, value) = member?;
            match &*name {
                "id" => id = Some(value),
                "rev" => rev = Some(value),
                "atts_since" => since = Some(value),
                _ => {}
            }
        }
    }
    let null = || Bytes::from_static(b"null");
    let raw_id = id.map_or_else(null, Bytes::copy_from_slice);
    let raw_rev = rev.map_or_else(null, Bytes::copy_from_slice);
    Ok(Wanted { id: raw_id, ask: parse_ask(id, rev, since).map_err(|error| Refusal { rev: raw_rev, error }) })
}

fn parse_ask(id: Option<&[u8]>, rev: Option<&[u8]>, since: Option<&[u8]>) -> Result<Ask, Error> {
    let id = id.ok_or(Error::bad_request("document id missed"))?;
    let id = read_string(id).ok_or(Error::illegal_docid("Document id must be a string"))?.parse()?;
    let rev = rev.map(parse_rev).transpose()?;
    let atts_since = match since {
        None => Vec::new(),
        Some(list) if list.first() == Some(&b'[') => parse_revs(list)?,
        Some(_) => return Err(Error::bad_request("att_since value must be array of revs.")),
    };
    Ok(Ask { id, rev, atts_since })
}

impl RowSource for Rows {
    fn database(&self) -> &Database {
        &self.db
    }

    async fn next(&mut self, out: &mut Pieces) -> Result<bool, DocumentsError> {
        match self.wanted.next() {
            Some(wanted) => self.row(wanted, out).await.map(|()| true),
            None => {
                self.end(out);
                Ok(false)
            }
        }
    }
}

impl Rows {
    fn begin(&self, out: &mut Pieces) {
        if self.parts.is_none() {
            out.text().extend_from_slice(b"{\"results\":[");
        }
    }

    fn end(&mut self, out: &mut Pieces) {
        match self.parts.take() {
            Some(writer) => out.text().extend_from_slice(&writer.end()),
            None => out.text().extend_from_slice(b"]}\n"),
        }
    }

    async fn row(&mut self, wanted: Wanted, out: &mut Pieces) -> Result<(), DocumentsError> {
        if self.parts.is_none() {
            out.text().extend_from_slice(if self.first { b"{\"id\":" } else { b",{\"id\":" });
            out.text().extend_from_slice(&wanted.id);
            out.text().extend_from_slice(b",\"docs\":[");
            self.first = false;
        }
        match wanted.ask {
            Err(refusal) => self.refusal((&wanted.id, &refusal.rev), &refusal.error, out),
            Ok(ask) => self.found(&wanted.id, ask, out).await?,
        }
        if self.parts.is_none() {
            out.text().extend_from_slice(b"]}");
        }
        Ok(())
    }

    async fn found(&mut self, raw_id: &[u8], ask: Ask, out: &mut Pieces) -> Result<(), DocumentsError> {
        if let Err(error) = self.db.check_doc_id(&ask.id) {
            let rev = ask.rev.map_or_else(|| "null".to_owned(), |rev| format!("\"{rev}\""));
            self.refusal((raw_id, rev.as_bytes()), &error.into(), out);
            return Ok(());
        }
        let which = match ask.rev {
            None => OpenRevs::All,
            Some(rev) if self.latest => OpenRevs::LatestOf(vec![rev]),
            Some(rev) => OpenRevs::These(vec![rev]),
        };
        let revs = match self.db.open_revs(&ask.id, &which).await {
            Err(tidegate_engine::Error::NotFound(Absence::Missing)) => {
                self.refusal((raw_id, b"\"undefined\""), &Error::not_found("missing"), out);
                return Ok(());
            }
            revs => revs?,
        };
        let options = self.options_since(ask.atts_since);
        for (index, rev) in revs.into_iter().enumerate() {
            if index > 0 && self.parts.is_none() {
                out.text().push(b',');
            }
            match rev {
                OpenRev::Found(document) => self.document(&document, &options, out),
                OpenRev::Missing(rev) => {
                    let rev = format!("\"{rev}\"");
                    self.refusal((raw_id, rev.as_bytes()), &Error::not_found("missing"), out);
                }
            }
        }
        Ok(())
    }

    fn options_since(&self, atts_since: Vec<Rev>) -> Options {
        let mut options = self.options.clone();
        if !atts_since.is_empty() {
            options.atts_since = Some(atts_since);
            if options.attachments == Attachments::Stubs {
                options.attachments = Attachments::Inline;
            }
        }
        options
    }

    fn document(&mut self, document: &Document, options: &Options, out: &mut Pieces) {
        let Some(writer) = &mut self.parts else {
            out.text().extend_from_slice(b"{\"ok\":");
            render::pieces(document, options, out);
            out.text().push(b'}');
            return;
        };
        let related = Related::new(options.sent(document));
        let rev = document.rev.to_string();
        let names = [("X-Doc-Id", document.id.as_str()), ("X-Rev-Id", rev.as_str())];
        let head = writer.part(&[&names[..], &[("Content-Type", related.content_type().as_str())]].concat());
        out.text().extend_from_slice(&head);
        related.write(out, |text| render::text(document, options, text));
    }

    fn refusal(&mut self, (id, rev): (&[u8], &[u8]), Error(error): &Error, out: &mut Pieces) {
        if let Some(writer) = &mut self.parts {
            out.text().extend_from_slice(&writer.part(&[("Content-Type", ERROR_TYPE)]));
        } else {
            out.text().extend_from_slice(b"{\"error\":");
        }
        let text = out.text();
        text.extend_from_slice(b"{\"id\":");
        text.extend_from_slice(id);
        text.extend_from_slice(b",\"rev\":");
        text.extend_from_slice(rev);
        text.extend_from_slice(b",\"error\":");
        write_string(text, &error.error);
        text.extend_from_slice(b",\"reason\":");
        write_string(text, &error.reason);
        text.extend_from_slice(if self.parts.is_some() { b"}" } else { b"}}" });
    }
}
