//! A document's JSON text as clients send it: which revision it is or edits, what is to be stored, what is to be hashed.
//!
//! Nothing but the `_` members is interpreted; which of them a dialect has, its [`Rules`] say. Source of what is the same
//! in all: `couch_doc:from_json_obj`.

use crate::{Error, Fault, ParsedAttachment, parse_attachment::parse_attachments};
use bytes::Bytes;
use std::borrow::Cow;
use tidegate_engine::Document;
use tidegate_json::{Document as Scanned, Limits, Members, read_string, scan_document, split_array, write_string};
use tidegate_types::{Digest, DocId, DocKind, Rev};

/// What a dialect makes of a `_` member, by its name and its value.
pub type Rules = fn(&str, &[u8]) -> Result<Use, Error>;

/// What a `_` member is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// `_id`, `_rev`, `_revisions`, `_deleted`, `_attachments`: it has its usual meaning.
    Meaning,
    /// It belongs to the body.
    Body,
    /// It is told beside the document: [`ParsedDocument::told`].
    Told,
    /// Nothing.
    Nothing,
}

/// A document taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedDocument {
    /// Its id, if it says one.
    pub id: Option<DocId>,
    /// The revision it names, then as many of its ancestors as it tells; empty if it names none. A text that is to be an
    /// edit names its parent.
    pub revs: Vec<Rev>,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// What is stored: compact, without braces and without the `_` members interpreted here.
    pub members: Bytes,
    /// What the revision id is a hash of.
    pub canonical: Bytes,
    /// What it says of its attachments.
    pub attachments: Vec<ParsedAttachment>,
    /// Members by their names and values that are neither stored nor hashed.
    pub told: Vec<(String, Bytes)>,
}

impl ParsedDocument {
    /// The value of a member that is told beside the document: the text of a string, and what it is otherwise.
    pub fn told(&self, name: &str) -> Option<Cow<'_, str>> {
        let (_, value) = self.told.iter().find(|(told, _)| told == name)?;
        read_string(value).or_else(|| Some(String::from_utf8_lossy(value)))
    }
}

/// What the `_` members say.
#[derive(Default)]
struct Special<'d> {
    id: Option<DocId>,
    rev: Option<Rev>,
    revisions: Vec<Rev>,
    deleted: bool,
    attachments: Vec<ParsedAttachment>,
    /// Those that belong to the body.
    kept: Vec<(&'d str, &'d [u8])>,
    told: Vec<(String, Bytes)>,
}

/// Reads a text that is one document. What it can, it shares with the text.
///
/// # Errors
/// The text isn't a JSON object, or a `_` member isn't as it must be.
pub fn parse(text: &Bytes, rules: Rules) -> Result<ParsedDocument, Error> {
    from_scanned(text, scan_document(text, Limits::default())?, rules)
}

/// Reads a document that was scanned as a part of `text`.
///
/// # Errors
/// A `_` member isn't as it must be.
pub fn from_scanned(text: &Bytes, document: Scanned<'_>, rules: Rules) -> Result<ParsedDocument, Error> {
    let mut special = Special::default();
    for (name, value) in &document.special {
        special.take(name, value, rules(name, value)?)?;
    }
    let canonical = special.canonical(&document)?;
    let Special { id, rev, revisions, deleted, attachments, kept, told } = special;
    let members = if kept.is_empty() { None } else { Some(with_kept(&document.members, &kept)) };
    let members = match (members, document.members) {
        (Some(members), _) | (None, Cow::Owned(members)) => members.into(),
        (None, Cow::Borrowed(members)) => text.slice_ref(members),
    };
    let canonical = canonical.unwrap_or(document.canonical).into();
    let revs = if revisions.is_empty() { rev.into_iter().collect() } else { revisions };
    Ok(ParsedDocument { id, revs, deleted, members, canonical, attachments, told })
}

/// A stored revision as if a client had sent it, without id, history and attachments: for edits of less than all of it.
///
/// # Errors
/// None in practice: what is stored was parsed once.
pub fn from_stored(document: &Document) -> Result<ParsedDocument, Error> {
    let mut text = Vec::with_capacity(document.members.len() + 20);
    text.push(b'{');
    text.extend_from_slice(&document.members);
    if document.deleted {
        text.extend_from_slice(if document.members.is_empty() { b"" } else { b"," });
        text.extend_from_slice(b"\"_deleted\":true");
    }
    text.push(b'}');
    parse(&text.into(), everything)
}

/// The rules of what was parsed before: all of it is kept.
#[expect(clippy::unnecessary_wraps, reason = "it is one of the rules")]
pub(crate) fn everything(name: &str, _value: &[u8]) -> Result<Use, Error> {
    Ok(if name == "_deleted" { Use::Meaning } else { Use::Body })
}

/// The id, if it is a local document's: those have revisions of their own kind.
pub fn local_id(document: &Scanned<'_>) -> Option<DocId> {
    let id = document.special("_id").filter(|id| id.first() == Some(&b'"'))?;
    let id: DocId = read_string(id)?.parse().ok()?;
    (id.kind() == DocKind::Local).then_some(id)
}

/// A JSON array of revision ids.
///
/// # Errors
/// The text isn't one.
pub fn parse_revs(text: &[u8]) -> Result<Vec<Rev>, Error> {
    let mut revs = Vec::new();
    let is_array = text.trim_ascii_start().first() == Some(&b'[');
    if !is_array {
        return Err(Error::bad_request("Invalid list of revisions"));
    }
    split_array(text, Limits::default(), |rev| {
        revs.push(parse_rev(rev)?);
        Ok::<_, Error>(())
    })?;
    Ok(revs)
}

/// A JSON string that is a revision id.
///
/// # Errors
/// It isn't.
pub fn parse_rev(value: &[u8]) -> Result<Rev, Error> {
    let text = read_string(value).ok_or(Error::bad_request("Invalid rev format"))?;
    Ok(text.parse()?)
}

impl<'d> Special<'d> {
    fn take(&mut self, name: &'d str, value: &'d [u8], usage: Use) -> Result<(), Error> {
        match usage {
            Use::Meaning => self.interpret(name, value),
            Use::Body => {
                self.kept.push((name, value));
                Ok(())
            }
            Use::Told => {
                self.told.push((name.to_owned(), Bytes::copy_from_slice(value)));
                Ok(())
            }
            Use::Nothing => Ok(()),
        }
    }

    fn interpret(&mut self, name: &str, value: &'d [u8]) -> Result<(), Error> {
        let is_object = value.first() == Some(&b'{');
        match name {
            "_id" => {
                let id = read_string(value).ok_or(Error::refused(Fault::DocId, "Document id must be a string"))?;
                self.id = Some(id.parse()?);
            }
            "_rev" => self.rev = Some(parse_rev(value)?),
            "_revisions" if is_object => self.revisions = parse_revisions(value)?,
            "_deleted" if value == b"true" => self.deleted = true,
            "_deleted" if value == b"false" => self.deleted = false,
            "_attachments" if is_object => self.attachments = parse_attachments(value)?,
            _ => return Err(Error::refused(Fault::Special, format!("Bad special document member: {name}"))),
        }
        Ok(())
    }

    /// The canonical form, where it isn't the scanned one.
    fn canonical(&self, document: &Scanned<'_>) -> Result<Option<Vec<u8>>, Error> {
        if !self.deleted && self.kept.is_empty() {
            return Ok(None);
        }
        let kept = self.kept.iter().map(|(_, value)| canonical_value(value)).collect::<Result<Vec<_>, _>>()?;
        let names = self.kept.iter().map(|(name, _)| *name);
        let mut extra: Vec<(&str, &[u8])> = names.zip(kept.iter().map(Vec::as_slice)).collect();
        if self.deleted {
            extra.push(("_deleted", b"true"));
        }
        Ok(Some(document.canonical_with(&extra)))
    }
}

/// `{"start":3,"ids":["c","b","a"]}`, newest first.
fn parse_revisions(value: &[u8]) -> Result<Vec<Rev>, Error> {
    let (mut start, mut ids) = (None, None);
    for member in Members::new(value, Limits::default())? {
        let (name, value) = member?;
        match &*name {
            "start" => start = str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok()),
            "ids" => ids = (value.first() == Some(&b'[')).then_some(value),
            _ => {}
        }
    }
    let start = start.ok_or(Error::refused(Fault::Special, "_revisions.start isn't an integer."))?;
    let ids = ids.ok_or(Error::refused(Fault::Special, "_revisions.ids isn't a array."))?;
    let mut revs = Vec::new();
    split_array(ids, Limits::default(), |id| {
        let id = read_string(id).ok_or(Error::refused(Fault::Special, "RevId isn't a string"))?;
        let digest: Digest =
            id.parse().map_err(|_digest_error| Error::refused(Fault::Special, "RevId isn't a valid hexadecimal"))?;
        let generation = start.checked_sub(revs.len() as u64).filter(|generation| *generation > 0);
        let generation =
            generation.ok_or(Error::refused(Fault::Special, "_revisions.ids has more ids than _revisions.start"))?;
        revs.push(Rev::new(generation, digest));
        Ok::<_, Error>(())
    })?;
    Ok(revs)
}

/// The canonical form of any value: that of an object around it, without the object.
fn canonical_value(value: &[u8]) -> Result<Vec<u8>, Error> {
    let (before, after) = (b"{\"v\":", b"}");
    let text = [before, value, after].concat();
    let canonical = scan_document(&text, Limits::default())?.canonical;
    let inner = canonical.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    Ok(inner.unwrap_or(value).to_vec())
}

fn with_kept(members: &[u8], kept: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = members.to_vec();
    for (name, value) in kept {
        if !out.is_empty() {
            out.push(b',');
        }
        write_string(&mut out, name);
        out.push(b':');
        out.extend_from_slice(value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of CouchDB, in small.
    fn rules(name: &str, _value: &[u8]) -> Result<Use, Error> {
        match name {
            "_conflicts" | "_revs_info" | "_local_seq" | "_deleted_conflicts" => Ok(Use::Nothing),
            "_replication_stats" | "_replication_id" => Ok(Use::Body),
            "_exp" => Ok(Use::Told),
            "_never" => Err(Error::refused(Fault::Special, "never")),
            _ => Ok(Use::Meaning),
        }
    }

    fn parsed(text: &str) -> ParsedDocument {
        parse(&Bytes::copy_from_slice(text.as_bytes()), rules).unwrap()
    }

    #[track_caller]
    fn check_stored(text: &str, members: &str, canonical: &str) {
        let document = parsed(text);
        assert_eq!(str::from_utf8(&document.members).unwrap(), members, "{text}");
        assert_eq!(str::from_utf8(&document.canonical).unwrap(), canonical, "{text}");
    }

    #[track_caller]
    fn check_refused(text: &str, expected: Fault, expected_reason: &str) {
        let refused = parse(&Bytes::copy_from_slice(text.as_bytes()), rules).unwrap_err();
        let found = if let Error::Refused { fault, .. } = refused { fault } else { Fault::Request };
        assert_eq!((found, &*refused.to_string()), (expected, expected_reason), "{text}");
    }

    #[track_caller]
    fn check_revs(text: &str, revs: &[&str]) {
        let found: Vec<String> = parsed(text).revs.iter().map(ToString::to_string).collect();
        assert_eq!(found, revs, "{text}");
    }

    #[test]
    fn the_body_is_kept_as_it_was_written() {
        check_stored("{}", "", "{}");
        check_stored(r#"{"_id":"a","b":1,"a":2}"#, r#""b":1,"a":2"#, r#"{"a":2,"b":1}"#);
        check_stored(r#"{ "n" : 1.0, "m":1e3 , "_rev":"1-a"}"#, r#""n":1.0,"m":1e3"#, r#"{"m":1e3,"n":1.0}"#);
        check_stored(
            r#"{"n":12345678901234567890123}"#,
            r#""n":12345678901234567890123"#,
            r#"{"n":12345678901234567890123}"#,
        );
        check_stored(r#"{"é":"\u0041"}"#, r#""é":"\u0041""#, r#"{"é":"A"}"#);
        check_stored(
            r#"{"a":1,"_conflicts":["1-a"],"_revs_info":0,"_local_seq":1,"_deleted_conflicts":[]}"#,
            r#""a":1"#,
            r#"{"a":1}"#,
        );
    }

    #[test]
    fn a_tombstone_says_so_in_what_is_hashed() {
        assert!(parsed(r#"{"_deleted":true}"#).deleted);
        assert!(!parsed(r#"{"_deleted":false}"#).deleted);
        check_stored(r#"{"_deleted":true,"a":1,"Z":1}"#, r#""a":1,"Z":1"#, r#"{"Z":1,"_deleted":true,"a":1}"#);
        check_stored(r#"{"_deleted":false,"a":1}"#, r#""a":1"#, r#"{"a":1}"#);
    }

    #[test]
    fn what_is_told_beside_it_is_neither_stored_nor_hashed() {
        let document = parsed(r#"{"_exp":"a\u0062","n":1}"#);
        assert_eq!((document.told("_exp").as_deref(), document.told("_cv")), (Some("ab"), None));
        assert_eq!(parsed(r#"{"_exp":30}"#).told("_exp").as_deref(), Some("30"));
        check_stored(r#"{"_exp":1,"n":1}"#, r#""n":1"#, r#"{"n":1}"#);
    }

    #[test]
    fn what_the_replicator_notes_belongs_to_the_body() {
        check_stored(
            r#"{"_replication_stats":{"b":1,"a":2},"x":1}"#,
            r#""x":1,"_replication_stats":{"b":1,"a":2}"#,
            r#"{"_replication_stats":{"a":2,"b":1},"x":1}"#,
        );
    }

    #[test]
    fn a_stored_revision_parses_to_itself() {
        let document = Document {
            id: "a".parse().unwrap(),
            rev: "2-b".parse().unwrap(),
            deleted: true,
            seq: tidegate_types::Seq::ZERO,
            members: Bytes::from_static(br#""b":1,"_replication_id":"x""#),
            attachments: Vec::new(),
            history: None,
            shown: tidegate_engine::Shown::Whole,
        };
        let again = from_stored(&document).unwrap();
        assert_eq!((again.deleted, &again.members), (true, &document.members));
        assert_eq!(again.canonical, r#"{"_deleted":true,"_replication_id":"x","b":1}"#);
        let empty = from_stored(&Document { members: Bytes::new(), ..document }).unwrap();
        assert_eq!((empty.members.len(), &*empty.canonical), (0, &br#"{"_deleted":true}"#[..]));
    }

    #[test]
    fn the_revision_it_names_and_its_ancestors() {
        check_revs("{}", &[]);
        check_revs(r#"{"_rev":"3-abc"}"#, &["3-abc"]);
        check_revs(r#"{"_revisions":{"start":3,"ids":["c","b"]}}"#, &["3-c", "2-b"]);
        check_revs(r#"{"_rev":"9-z","_revisions":{"ids":["b","a"],"start":2}}"#, &["2-b", "1-a"]);
        check_revs(r#"{"_revisions":{"start":2,"ids":["b","a"]},"_rev":"9-z"}"#, &["2-b", "1-a"]);
        check_revs(r#"{"_rev":"1-z","_revisions":{"start":0,"ids":[]}}"#, &["1-z"]);
        let revs = parse_revs(br#"["1-a", "2-b"]"#).unwrap();
        assert_eq!(revs.len(), 2);
        assert!(parse_revs(b"[]").unwrap().is_empty());
    }

    #[test]
    fn ids() {
        assert_eq!(parsed(r#"{"_id":"a\u0062"}"#).id.unwrap().as_str(), "ab");
        check_refused(r#"{"_id":1}"#, Fault::DocId, "Document id must be a string");
        let illegal = |text: &str| parse(&Bytes::copy_from_slice(text.as_bytes()), rules).unwrap_err();
        assert!(matches!(illegal(r#"{"_id":""}"#), Error::DocId(_)));
        assert!(matches!(illegal(r#"{"_id":"_x"}"#), Error::DocId(_)));
    }

    #[test]
    fn what_is_refused() {
        for bad in ["[]", "1", "", "{\"a\":}"] {
            assert!(matches!(parse(&Bytes::copy_from_slice(bad.as_bytes()), rules), Err(Error::Json(_))), "{bad}");
        }
        for rev in ["1", "null", "{}"] {
            check_refused(&format!("{{\"_rev\":{rev}}}"), Fault::Request, "Invalid rev format");
        }
        check_refused(r#"{"_never":1}"#, Fault::Special, "never");
        for bad in ["_zing", "_", "_Id"] {
            let text = format!("{{\"{bad}\":4}}");
            check_refused(&text, Fault::Special, &format!("Bad special document member: {bad}"));
        }
        check_refused(r#"{"_deleted":1}"#, Fault::Special, "Bad special document member: _deleted");
        check_refused(r#"{"_attachments":[]}"#, Fault::Special, "Bad special document member: _attachments");
        check_refused(r#"{"_revisions":[]}"#, Fault::Special, "Bad special document member: _revisions");
    }

    #[test]
    fn revisions_have_their_shape() {
        let check =
            |value: &str, reason: &str| check_refused(&format!("{{\"_revisions\":{value}}}"), Fault::Special, reason);
        check("{}", "_revisions.start isn't an integer.");
        check(r#"{"start":"1","ids":["a"]}"#, "_revisions.start isn't an integer.");
        check(r#"{"start":1.0,"ids":["a"]}"#, "_revisions.start isn't an integer.");
        check(r#"{"start":1}"#, "_revisions.ids isn't a array.");
        check(r#"{"start":1,"ids":"a"}"#, "_revisions.ids isn't a array.");
        check(r#"{"start":1,"ids":[1]}"#, "RevId isn't a string");
        check(r#"{"start":1,"ids":["b","a"]}"#, "_revisions.ids has more ids than _revisions.start");
    }
}
