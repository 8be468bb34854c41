//! `validate_doc_update`: functions and selectors of design documents that judge each edit before it is written.
//!
//! Source: `couch_db:validate_doc_update`, `prep_and_validate_update`, `prep_and_validate_replicated_updates`; for selectors
//! `mango_native_proc:handle_call`.

use crate::{Caller, Database, Error, auth_design};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::{io::Write as _, ops::Bound};
use tidegate_json::write_string;
use tidegate_revtree::{EditError, Tree};
use tidegate_script::{OwnedValidation, Program, Verdict};
use tidegate_selector::{Document, Limits, Selector};
use tidegate_store::{Attachment, Body, CollectionId, DocRange, Edit, History, NewAttachment, Order, Reader, Revpos};
use tidegate_types::{DocId, DocKind, Rev};

const MEMBER: &str = "validate_doc_update";
/// Design documents read at once.
const PAGE: usize = 100;

/// What judges the edits of a database.
pub(crate) enum Validator {
    /// A function in JavaScript.
    Function(Program),
    /// What the new and the old document must match together, of a design document in the language `query`.
    Selector(Selector),
    /// A selector that came with a replication and is none; why. Nothing can be written until it is mended.
    Unreadable(String),
    /// A function in a language that nothing here runs, which came with a replication. As in CouchDB nothing can be written
    /// until it is gone.
    Unknown(String),
}

/// The validators of a database, in the order of their design documents.
pub(crate) async fn load(store: &tidegate_store::Database) -> Result<Vec<Validator>, Error> {
    let reader = store.reader()?;
    let start = Bound::Included("_design/".to_owned());
    let end = Bound::Excluded("_design0".to_owned());
    let mut list = reader.list(&DocRange { start, end, order: Order::Ascending });
    let mut validators = Vec::new();
    loop {
        let rows = list.next(PAGE).await?;
        if rows.is_empty() {
            return Ok(validators);
        }
        for row in rows {
            let Some(seq) = row.winner.body else { continue };
            let Some(body) = reader.body(seq).await? else { continue };
            validators.extend(validator(store.collection_id(), (&row.id, &row.winner.rev), &body.members));
        }
    }
}

fn validator(collection: CollectionId, (id, rev): (&DocId, &Rev), members: &[u8]) -> Option<Validator> {
    memchr::memmem::find(members, MEMBER.as_bytes())?;
    let text = [b"{", members, b"}"].concat();
    let design: Map<String, Value> = serde_json::from_slice(&text).ok()?;
    if let Some(selector) = selector(&design) {
        return Some(selector.map_or_else(|why| Validator::Unreadable(format!("{id}: {why}")), Validator::Selector));
    }
    let source = design.get(MEMBER)?.as_str().filter(|source| !auth_design::is_own(id, source))?.to_owned();
    if let Some(language) = unknown_language(&design) {
        return Some(Validator::Unknown(language));
    }
    let CollectionId { database, number } = collection;
    let key = format!("{:016x}.{number}/{id}@{rev}/{MEMBER}", u64::from_be_bytes(database));
    Some(Validator::Function(Program::new(key, source, Some(text.into()))))
}

/// The language of a design document's function that judges edits, if nothing here runs it.
pub(crate) fn unknown_language(design: &Map<String, Value>) -> Option<String> {
    design.get(MEMBER).filter(|member| member.is_string())?;
    let language = design.get("language").and_then(Value::as_str)?;
    (!matches!(language, "javascript" | "query")).then(|| language.to_owned())
}

/// The selector by which a design document judges edits, if it does.
pub(crate) fn selector(design: &Map<String, Value>) -> Option<Result<Selector, String>> {
    let is_query = design.get("language").and_then(Value::as_str) == Some("query");
    let object = design.get(MEMBER).filter(|member| is_query && member.is_object())?;
    let selector = Selector::parse(object.to_string().as_bytes(), Limits::default());
    Some(selector.map_err(|error| format!("`{MEMBER}` is no selector: {error}")))
}

impl Database {
    /// Has the database's functions judge an edit. One that can't be made now is a conflict, whatever may be committed
    /// before it is: nothing is written that wasn't judged.
    pub(crate) async fn validate(&self, edit: &Edit) -> Result<(), Error> {
        if self.rules.validators.is_empty() || edit.id.kind() == DocKind::Design {
            return Ok(());
        }
        let reader = self.store.reader()?;
        let tree = reader.document(&edit.id).await?.map(|state| state.tree).unwrap_or_default();
        let Some(ancestry) = Ancestry::of(&tree, edit)? else { return Ok(()) };
        let old_document = match &ancestry.old {
            Some(old) => text_of_old(&reader, &edit.id, (&tree, old)).await?,
            None => None,
        };
        let input = OwnedValidation {
            document: text_of_new(edit, &ancestry.path),
            old_document,
            user: user(&self.caller, self.name().as_str()),
            security: Bytes::copy_from_slice(self.security().as_bytes()),
        };
        for validator in &self.rules.validators {
            match validator {
                Validator::Function(program) => self.judge(program, &input).await?,
                Validator::Selector(selector) if matches(selector, &input) => {}
                Validator::Selector(_) => {
                    return Err(tidegate_access::Error::Forbidden("document is not valid".into()).into());
                }
                Validator::Unreadable(why) => return Err(Error::InvalidDesign(why.clone())),
                Validator::Unknown(language) => return Err(Error::UnknownLanguage(language.clone())),
            }
        }
        Ok(())
    }

    async fn judge(&self, program: &Program, input: &OwnedValidation) -> Result<(), Error> {
        match self.engine.scripts()?.validate(program, input.clone()).await? {
            Verdict::Accepted => Ok(()),
            Verdict::Forbidden(reason) => Err(tidegate_access::Error::Forbidden(reason.into()).into()),
            Verdict::Unauthorized(reason) => Err(tidegate_access::Error::Unauthorized(reason.into()).into()),
        }
    }
}

fn user(caller: &Caller, database: &str) -> Bytes {
    caller.context().userctx_json(database).into()
}

fn matches(selector: &Selector, input: &OwnedValidation) -> bool {
    let old = input.old_document.as_deref().unwrap_or(b"null");
    let special = [("newDoc", input.document.as_ref()), ("oldDoc", old)];
    selector.matches(&Document { special: &special, members: b"" })
}

/// Where an edit stands: the revisions that its text tells, newest first, and the one it replaces.
pub(crate) struct Ancestry {
    pub(crate) path: Vec<Rev>,
    pub(crate) old: Option<Rev>,
}

impl Ancestry {
    /// `None` for one that changes nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`].
    pub(crate) fn of(tree: &Tree, edit: &Edit) -> Result<Option<Self>, Error> {
        match &edit.history {
            History::Edit { parent, .. } => {
                tree.edit_parent(parent.as_ref()).map_err(|EditError::Conflict| Error::Conflict)?;
                let path = parent.as_ref().map(|rev| tree.path(rev)).unwrap_or_default();
                let path = path.into_iter().map(|node| node.rev.clone()).collect();
                Ok(Some(Self { path, old: parent.clone() }))
            }
            History::Replicated(path) | History::Linear(path) => {
                let Some((_, ancestors)) = path.split_first().filter(|(rev, _)| tree.get(rev).is_none()) else {
                    return Ok(None);
                };
                let known = ancestors.iter().find(|rev| tree.get(rev).is_some_and(|node| node.body.stored().is_some()));
                Ok(Some(Self { path: path.clone(), old: known.cloned() }))
            }
        }
    }
}

pub(crate) async fn text_of_old(
    reader: &Reader,
    id: &DocId,
    (tree, rev): (&Tree, &Rev),
) -> Result<Option<Bytes>, Error> {
    let Some(node) = tree.get(rev) else { return Ok(None) };
    let Some(seq) = node.body.stored() else { return Ok(None) };
    let Some(Body { members, attachments }) = reader.body(seq).await? else { return Ok(None) };
    let path: Vec<Rev> = tree.path(rev).into_iter().map(|node| node.rev.clone()).collect();
    let mut out = head(id, &path, node.deleted);
    let stubs = attachments.iter().map(Stub::of);
    finish(&mut out, stubs, &members);
    Ok(Some(out.into()))
}

/// The nearest ancestor of a revision that can be read.
pub(crate) async fn text_of_parent(
    reader: &Reader,
    id: &DocId,
    (tree, rev): (&Tree, &Rev),
) -> Result<Option<Bytes>, Error> {
    let parent = tree.path(rev).into_iter().skip(1).find(|node| node.body.stored().is_some());
    match parent {
        Some(parent) => text_of_old(reader, id, (tree, &parent.rev)).await,
        None => Ok(None),
    }
}

pub(crate) fn text_of_new(edit: &Edit, path: &[Rev]) -> Bytes {
    let mut out = head(&edit.id, path, edit.deleted);
    let generation = match &edit.history {
        History::Edit { parent, .. } => parent.as_ref().map_or(0, Rev::generation).saturating_add(1),
        History::Replicated(_) | History::Linear(_) => path.first().map_or(1, Rev::generation),
    };
    let stubs = edit.attachments.iter().map(|attachment| Stub::of_new(attachment, generation));
    finish(&mut out, stubs, &edit.members);
    out.into()
}

/// `{"_id":…,"_rev":…,"_revisions":{…},"_deleted":true`, as far as there is something to tell.
fn head(id: &DocId, path: &[Rev], deleted: bool) -> Vec<u8> {
    let mut out = b"{\"_id\":".to_vec();
    write_string(&mut out, id.as_str());
    if let Some(first) = path.first() {
        out.extend_from_slice(b",\"_rev\":");
        write_string(&mut out, &first.to_string());
        // A `Vec` takes everything.
        drop(write!(out, ",\"_revisions\":{{\"start\":{},\"ids\":[", first.generation()));
        for (index, rev) in path.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_string(&mut out, &rev.digest().to_string());
        }
        out.extend_from_slice(b"]}");
    }
    if deleted {
        out.extend_from_slice(b",\"_deleted\":true");
    }
    out
}

/// What is told of an attachment.
struct Stub<'a> {
    name: &'a str,
    content_type: &'a str,
    revpos: u64,
    digest: &'a [u8; 16],
    length: u64,
}

impl<'a> Stub<'a> {
    fn of(attachment: &'a Attachment) -> Self {
        let Attachment { name, content_type, revpos, digest, length, .. } = attachment;
        Self { name, content_type, revpos: *revpos, digest: digest.as_bytes(), length: *length }
    }

    fn of_new(attachment: &'a NewAttachment, generation: u64) -> Self {
        let NewAttachment { name, content_type, revpos, digest, length, .. } = attachment;
        let revpos = match revpos {
            Revpos::New => generation,
            Revpos::At(generation) => *generation,
        };
        Self { name, content_type, revpos, digest: digest.as_bytes(), length: *length }
    }
}

/// Appends attachments, members and the closing brace.
fn finish<'a>(out: &mut Vec<u8>, stubs: impl Iterator<Item = Stub<'a>>, members: &[u8]) {
    let mut open = b",\"_attachments\":{".as_slice();
    for Stub { name, content_type, revpos, digest, length } in stubs {
        out.extend_from_slice(open);
        open = b",";
        write_string(out, name);
        out.extend_from_slice(b":{\"content_type\":");
        write_string(out, content_type);
        let digest = BASE64_STANDARD.encode(digest);
        drop(write!(out, ",\"revpos\":{revpos},\"digest\":\"md5-{digest}\",\"length\":{length},\"stub\":true}}"));
    }
    if open == b"," {
        out.push(b'}');
    }
    if !members.is_empty() {
        out.push(b',');
        out.extend_from_slice(members);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_found_where_there_is_one() {
        let named = |members: &str| {
            let (id, rev) = ("_design/d".parse().unwrap(), "1-a".parse().unwrap());
            match validator(CollectionId { database: [0; 8], number: 0 }, (&id, &rev), members.as_bytes())? {
                Validator::Function(program) => Some(program.key().to_owned()),
                Validator::Selector(_) => Some("selector".to_owned()),
                Validator::Unreadable(why) => Some(why),
                Validator::Unknown(language) => Some(language),
            }
        };
        let key = "0000000000000000.0/_design/d@1-a/validate_doc_update";
        assert_eq!(named(r#""validate_doc_update":"function() {}""#).as_deref(), Some(key));
        assert_eq!(named(r#""views":{"validate_doc_update":"x"}"#), None);
        assert_eq!(named(r#""validate_doc_update":1"#), None);
        assert_eq!(named(r#""validate_doc_update":{}"#), None);
        assert_eq!(named(r#""language":"query","validate_doc_update":{}"#).as_deref(), Some("selector"));
        assert_eq!(named(r#""language":"erlang","validate_doc_update":"fun() -> ok end.""#).as_deref(), Some("erlang"));
        assert_eq!(named(r#""language":"javascript","validate_doc_update":"function() {}""#).as_deref(), Some(key));
        let broken = named(r#""language":"query","validate_doc_update":{"$no":1}"#).unwrap();
        assert!(broken.starts_with("_design/d: `validate_doc_update` is no selector: "), "{broken}");
    }

    #[test]
    fn selectors_see_the_new_and_the_old_document() {
        let check = |old: Option<&'static str>, selector: &str, expected: bool| {
            let selector = Selector::parse(selector.as_bytes(), Limits::default()).unwrap();
            let input = OwnedValidation {
                document: Bytes::from_static(br#"{"_id":"d","type":"film","year":1994}"#),
                old_document: old.map(|text| Bytes::from_static(text.as_bytes())),
                user: Bytes::new(),
                security: Bytes::new(),
            };
            assert_eq!(matches(&selector, &input), expected);
        };
        check(None, r#"{"newDoc":{"type":"film","year":{"$lt":2000}}}"#, true);
        check(None, r#"{"newDoc":{"title":{"$exists":true}}}"#, false);
        check(None, r#"{"oldDoc":null}"#, true);
        check(None, r#"{"oldDoc.type":"film"}"#, false);
        check(Some(r#"{"type":"film"}"#), r#"{"oldDoc.type":"film"}"#, true);
        check(Some(r#"{"type":"book"}"#), r#"{"$or":[{"oldDoc":null},{"oldDoc.type":"film"}]}"#, false);
    }

    #[test]
    fn documents_are_told_whole() {
        let stub = Stub { name: "a", content_type: "text/plain", revpos: 2, digest: &[0; 16], length: 3 };
        let mut out = head(&"d".parse().unwrap(), &["2-b".parse().unwrap(), "1-a".parse().unwrap()], true);
        finish(&mut out, [stub].into_iter(), b"\"x\":1");
        let expected = concat!(
            r#"{"_id":"d","_rev":"2-b","_revisions":{"start":2,"ids":["b","a"]},"_deleted":true,"#,
            r#""_attachments":{"a":{"content_type":"text/plain","revpos":2,"digest":"md5-AAAAAAAAAAAAAAAAAAAAAA==","#,
            r#""length":3,"stub":true}},"x":1}"#
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let mut out = head(&"d".parse().unwrap(), &[], false);
        finish(&mut out, [].into_iter(), b"");
        assert_eq!(out, br#"{"_id":"d"}"#);
    }
}
