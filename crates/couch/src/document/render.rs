//! A revision as JSON text. Nothing is parsed: what is stored is copied between what is told of it.
//!
//! Source of names and order: `couch_doc:to_json_obj`, `couch_att:to_json`.

use crate::error::Error;
use std::{fmt::Display, io::Write as _};
use tidegate_documents::{Attachments, Form, Pieces, digest_text, sent_above};
use tidegate_engine::{Attachment, Availability, Database, Detail, Document, Encoding};
use tidegate_json::write_string;
use tidegate_types::Rev;

/// What is told of a revision besides its own members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) include: Include,
    pub(crate) attachments: Attachments,
    /// Of which revisions the client has the attachments, where it said so: those stay stubs.
    pub(crate) atts_since: Option<Vec<Rev>>,
}

/// A set of the members that are told only when they are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Include(u8);

impl Include {
    pub(crate) const REVS: Self = Self(1);
    pub(crate) const REVS_INFO: Self = Self(2);
    pub(crate) const CONFLICTS: Self = Self(4);
    pub(crate) const DELETED_CONFLICTS: Self = Self(8);
    pub(crate) const LOCAL_SEQ: Self = Self(16);
    /// `encoding` and `encoded_length` of attachments.
    pub(crate) const ATT_ENCODING_INFO: Self = Self(32);

    /// The set with these, too.
    #[must_use]
    pub(crate) const fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// Whether it has any of these.
    pub(crate) const fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }
}

/// What an answer can't be cached with: it changes while the revision stays. Source: `chttpd_db:send_doc`.
const META: Include =
    Include::REVS_INFO.with(Include::CONFLICTS).with(Include::DELETED_CONFLICTS).with(Include::LOCAL_SEQ);
const OF_TREE: Include =
    Include::REVS.with(Include::REVS_INFO).with(Include::CONFLICTS).with(Include::DELETED_CONFLICTS);

impl Options {
    /// How much has to be read for them.
    pub(crate) fn detail(&self) -> Detail {
        if self.include.has(OF_TREE) || self.atts_since.is_some() { Detail::History } else { Detail::Plain }
    }

    /// Whether the answer stays the same as long as the revision does.
    pub(crate) fn is_cacheable(&self) -> bool {
        !self.include.has(META)
    }

    /// The attachments whose content is sent.
    pub(crate) fn sent<'d>(&self, document: &'d Document) -> impl Iterator<Item = &'d Attachment> + use<'d> {
        let generation = self.sent_above(document);
        document.attachments.iter().filter(move |attachment| generation.is_some_and(|known| attachment.revpos > known))
    }

    /// Above which generation content is sent; `None` where none is.
    fn sent_above(&self, document: &Document) -> Option<u64> {
        sent_above(document, self.attachments, self.atts_since.as_deref())
    }
}

/// The options under which attachments are parts.
pub(super) fn following(options: &Options) -> Options {
    let include = options.include.with(Include::ATT_ENCODING_INFO);
    Options { include, attachments: Attachments::Follows, atts_since: options.atts_since.clone() }
}

/// Appends a revision, its attachments' content included if that is asked for.
///
/// # Errors
/// The storage failed.
pub(crate) async fn render(
    db: &Database,
    document: &Document,
    options: &Options,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    if document.attachments.is_empty() || options.attachments != Attachments::Inline {
        text(document, options, out);
        return Ok(());
    }
    let mut whole = Pieces::default();
    pieces(document, options, &mut whole);
    Ok(whole.read_into(db, out).await?)
}

/// Appends a revision as text alone: content that would be in the text is a stub.
pub(crate) fn text(document: &Document, options: &Options, out: &mut Vec<u8>) {
    write_members(document, options.include, out);
    if !document.attachments.is_empty() {
        let sent_above = options.sent_above(document).filter(|_| options.attachments == Attachments::Follows);
        let mut separator = b",\"_attachments\":{".as_slice();
        for attachment in &document.attachments {
            out.extend_from_slice(std::mem::replace(&mut separator, b","));
            let follows = sent_above.is_some_and(|known| attachment.revpos > known);
            begin_attachment(attachment, out);
            put_member(out, "length", attachment.length);
            out.extend_from_slice(if follows { b",\"follows\":true" } else { b",\"stub\":true" });
            end_attachment(attachment, options.include, out);
        }
        out.push(b'}');
    }
    out.push(b'}');
}

/// Appends a revision, with its attachments' content in the text if that is asked for.
pub(crate) fn pieces(document: &Document, options: &Options, out: &mut Pieces) {
    if document.attachments.is_empty() || options.attachments != Attachments::Inline {
        return text(document, options, out.text());
    }
    write_members(document, options.include, out.text());
    let sent_above = options.sent_above(document);
    let mut separator = b",\"_attachments\":{".as_slice();
    for attachment in &document.attachments {
        out.text().extend_from_slice(std::mem::replace(&mut separator, b","));
        begin_attachment(attachment, out.text());
        if sent_above.is_some_and(|known| attachment.revpos > known) {
            out.text().extend_from_slice(b",\"data\":\"");
            out.content(attachment, Form::Base64);
            out.text().push(b'"');
        } else {
            put_member(out.text(), "length", attachment.length);
            out.text().extend_from_slice(b",\"stub\":true");
        }
        end_attachment(attachment, options.include, out.text());
    }
    out.text().extend_from_slice(b"}}");
}

/// All but the attachments and the closing brace.
fn write_members(document: &Document, include: Include, out: &mut Vec<u8>) {
    out.reserve(document.members.len() + document.id.as_str().len() + 128);
    out.extend_from_slice(b"{\"_id\":");
    write_string(out, document.id.as_str());
    out.extend_from_slice(b",\"_rev\":");
    put_rev(out, &document.rev);
    if !document.members.is_empty() {
        out.push(b',');
        out.extend_from_slice(&document.members);
    }
    if document.deleted {
        out.extend_from_slice(b",\"_deleted\":true");
    }
    if include != Include::default() {
        write_meta(document, include, out);
    }
}

fn write_meta(document: &Document, include: Include, out: &mut Vec<u8>) {
    if include.has(Include::REVS) {
        put_member(out, "_revisions", "{\"start\":");
        put(out, document.rev.generation());
        out.extend_from_slice(b",\"ids\":");
        let ids = document.revisions();
        put_list(out, ids, |out, rev| put(out, format_args!("\"{}\"", rev.digest())));
        out.push(b'}');
    }
    if include.has(Include::REVS_INFO) {
        put_member(out, "_revs_info", "");
        put_list(out, document.revs_info(), |out, (rev, availability)| {
            put(out, format_args!("{{\"rev\":\"{rev}\",\"status\":\"{}\"}}", status(availability)));
        });
    }
    if include.has(Include::CONFLICTS) {
        put_revs(out, "_conflicts", document.conflicts());
    }
    if include.has(Include::DELETED_CONFLICTS) {
        put_revs(out, "_deleted_conflicts", document.deleted_conflicts());
    }
    if include.has(Include::LOCAL_SEQ) {
        put_member(out, "_local_seq", document.seq);
    }
}

fn begin_attachment(attachment: &Attachment, out: &mut Vec<u8>) {
    write_string(out, &attachment.name);
    out.extend_from_slice(b":{\"content_type\":");
    write_string(out, &attachment.content_type);
    put_member(out, "revpos", attachment.revpos);
    put_member(out, "digest", format_args!("\"md5-{}\"", digest_text(&attachment.digest)));
}

fn end_attachment(attachment: &Attachment, include: Include, out: &mut Vec<u8>) {
    if include.has(Include::ATT_ENCODING_INFO) && attachment.encoding == Encoding::Gzip {
        put_member(out, "encoding", "\"gzip\"");
        put_member(out, "encoded_length", attachment.stored_length);
    }
    out.push(b'}');
}

fn status(availability: Availability) -> &'static str {
    match availability {
        Availability::Available => "available",
        Availability::Missing => "missing",
        Availability::Deleted => "deleted",
    }
}

/// A list that is left out where it is empty.
fn put_revs(out: &mut Vec<u8>, name: &str, revs: Vec<&Rev>) {
    if !revs.is_empty() {
        put_member(out, name, "");
        put_list(out, revs, put_rev);
    }
}

fn put_list<T>(out: &mut Vec<u8>, items: Vec<T>, mut put: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put(out, item);
    }
    out.push(b']');
}

/// A revision id in quotes; it never needs an escape.
pub(super) fn put_rev(out: &mut Vec<u8>, rev: &Rev) {
    put(out, format_args!("\"{rev}\""));
}

fn put_member(out: &mut Vec<u8>, name: &str, value: impl Display) {
    put(out, format_args!(",\"{name}\":{value}"));
}

fn put(out: &mut Vec<u8>, value: impl Display) {
    // A `Vec` takes everything.
    drop(write!(out, "{value}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use tidegate_engine::AttachmentDigest;
    use tidegate_types::Seq;

    fn document(members: &'static str) -> Document {
        Document {
            id: "a\"b".parse().unwrap(),
            rev: "2-967a00dff5e02add41819138abb3284d".parse().unwrap(),
            deleted: false,
            seq: Seq::new(7),
            members: Bytes::from_static(members.as_bytes()),
            attachments: Vec::new(),
            history: None,
            shown: tidegate_engine::Shown::Whole,
        }
    }

    fn attachment(name: &str, revpos: u64, encoding: Encoding) -> Attachment {
        let (content_type, digest) = ("text/plain".to_owned(), AttachmentDigest::new([0; 16]));
        let stored_length = if encoding == Encoding::Gzip { 31 } else { 11 };
        Attachment { name: name.to_owned(), content_type, revpos, digest, length: 11, stored_length, encoding }
    }

    fn rendered(document: &Document, options: &Options) -> String {
        let mut out = Vec::new();
        text(document, options, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[track_caller]
    fn check(document: &Document, options: &Options, expected: &str) {
        let head = r#"{"_id":"a\"b","_rev":"2-967a00dff5e02add41819138abb3284d""#;
        assert_eq!(rendered(document, options), format!("{head}{expected}}}"));
    }

    #[test]
    fn the_body_is_copied_verbatim() {
        let plain = Options::default();
        check(&document(""), &plain, "");
        check(&document(r#""z":1.0,"a":1e3,"é":"\u0041""#), &plain, r#","z":1.0,"a":1e3,"é":"\u0041""#);
        check(&Document { deleted: true, ..document("") }, &plain, r#","_deleted":true"#);
        check(&Document { deleted: true, ..document("\"a\":1") }, &plain, r#","a":1,"_deleted":true"#);
    }

    #[test]
    fn what_is_told_comes_behind_the_body_in_couchdbs_order() {
        let include = Include::REVS.with(Include::LOCAL_SEQ).with(Include::CONFLICTS).with(Include::REVS_INFO);
        let options = Options { include, ..Options::default() };
        let document = Document { attachments: vec![attachment("x", 1, Encoding::Identity)], ..document("\"a\":1") };
        let expected = concat!(
            r#","a":1,"_revisions":{"start":2,"ids":["967a00dff5e02add41819138abb3284d"]},"_revs_info":[],"_local_seq":7,"#,
            r#""_attachments":{"x":{"content_type":"text/plain","revpos":1,"digest":"md5-AAAAAAAAAAAAAAAAAAAAAA==","length":11,"#,
            r#""stub":true}}"#,
        );
        check(&document, &options, expected);
    }

    #[test]
    fn attachments_are_stubs_or_follow() {
        let attachments = vec![attachment("g", 1, Encoding::Gzip), attachment("i", 2, Encoding::Identity)];
        let document = Document { attachments, ..document("") };
        let start = r#""content_type":"text/plain","revpos""#;
        let middle = r#""digest":"md5-AAAAAAAAAAAAAAAAAAAAAA==","length":11"#;
        let check_attachments = |options: &Options, g: &str, i: &str| {
            let g = format!(r#""g":{{{start}:1,{middle},{g}}}"#);
            let i = format!(r#""i":{{{start}:2,{middle},{i}}}"#);
            check(&document, options, &format!(r#","_attachments":{{{g},{i}}}"#));
        };
        check_attachments(&Options::default(), "\"stub\":true", "\"stub\":true");
        let follows = Options { attachments: Attachments::Follows, ..Options::default() };
        check_attachments(&follows, "\"follows\":true", "\"follows\":true");
        let since = |revs: &[&str]| {
            let atts_since = Some(revs.iter().map(|rev| rev.parse().unwrap()).collect());
            Options { attachments: Attachments::Follows, atts_since, ..Options::default() }
        };
        let own = document.rev.to_string();
        check_attachments(&since(&[&own, "1-x"]), "\"stub\":true", "\"stub\":true");
        check_attachments(&since(&["1-x"]), "\"follows\":true", "\"follows\":true");
        let encoding = Options { include: Include::ATT_ENCODING_INFO, ..follows };
        check_attachments(&encoding, r#""follows":true,"encoding":"gzip","encoded_length":31"#, "\"follows\":true");
    }

    #[test]
    fn inline_content_has_a_known_length() {
        let document = Document { attachments: vec![attachment("x", 1, Encoding::Gzip)], ..document("") };
        let options = Options { attachments: Attachments::Inline, ..Options::default() };
        let mut whole = Pieces::default();
        pieces(&document, &options, &mut whole);
        let stub = rendered(&document, &Options::default()).len() as u64;
        let [stubbed, inline] =
            [",\"length\":11,\"stub\":true", ",\"data\":\"aGVsbG8gd29ybGQ=\""].map(|text| text.len() as u64);
        assert_eq!(whole.length(), stub - stubbed + inline);
    }

    #[test]
    fn only_what_stays_with_the_revision_is_cacheable() {
        let of = |include| Options { include, ..Options::default() };
        assert!(of(Include::REVS.with(Include::ATT_ENCODING_INFO)).is_cacheable());
        for meta in [Include::REVS_INFO, Include::CONFLICTS, Include::DELETED_CONFLICTS, Include::LOCAL_SEQ] {
            assert!(!of(meta).is_cacheable());
        }
        assert_eq!(of(Include::LOCAL_SEQ).detail(), Detail::Plain);
        assert_eq!(of(Include::REVS).detail(), Detail::History);
    }
}
