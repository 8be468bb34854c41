//! A revision as JSON text: its members in the order of their names. What is stored is copied between what is told of it.
//!
//! Source: `spec/gateway.md` 2.3.

use super::version::version_of;
use crate::{context::Context, service::Profile, session::rfc3339};
use std::{borrow::Cow, io::Write as _};
use tidegate_documents::{Attachments, Form, Pieces, digest_text, sent_above};
use tidegate_engine::{Attachment, Database, Detail, Document, Encoding, Shown};
use tidegate_json::{Reader, write_string};
use tidegate_types::Rev;

/// What is told of a revision besides its own members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) attachments: Attachments,
    /// Of which revisions the client has the attachments, where it said so: those stay stubs.
    pub(crate) atts_since: Option<Vec<Rev>>,
    /// Its history, as far as this.
    pub(crate) history: Option<HistoryWanted>,
    pub(crate) version: Version,
    /// When it expires, in seconds since 1970, if that is told.
    pub(crate) expires_s: Option<u64>,
}

/// How much of a history is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HistoryWanted {
    /// At most so many revisions.
    pub(crate) limit: usize,
    /// No further back than the first of these.
    pub(crate) from: Vec<Rev>,
}

/// Whether the version is told, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Version {
    #[default]
    Untold,
    Told,
}

impl Version {
    /// As this profile does.
    pub(crate) fn of(cx: &Context) -> Self {
        match cx.shared.settings.profile {
            Profile::Two => Self::Untold,
            Profile::Four => Self::Told,
        }
    }

    /// The version of a revision, if it is told.
    pub(crate) fn text(self, db: &Database, rev: &Rev) -> Option<String> {
        match self {
            Self::Untold => None,
            Self::Told => Some(version_of(db, rev)),
        }
    }
}

impl Options {
    /// How much has to be read for them.
    pub(crate) fn detail(&self) -> Detail {
        if self.history.is_some() || self.atts_since.is_some() { Detail::History } else { Detail::Plain }
    }

    /// The attachments whose content is sent.
    pub(crate) fn sent<'d>(&self, document: &'d Document) -> impl Iterator<Item = &'d Attachment> + use<'d> {
        let generation = self.sent_above(document);
        document.attachments.iter().filter(move |attachment| generation.is_some_and(|known| attachment.revpos > known))
    }

    /// The same with attachments as parts.
    pub(crate) fn following(&self) -> Self {
        Self { attachments: Attachments::Follows, ..self.clone() }
    }

    fn sent_above(&self, document: &Document) -> Option<u64> {
        sent_above(document, self.attachments, self.atts_since.as_deref())
    }
}

/// A member by its name, to be sorted.
type Member<'d> = (Cow<'d, [u8]>, Value<'d>);

/// What stands behind a name.
enum Value<'d> {
    /// Name and value as they are stored.
    Stored(&'d [u8]),
    /// A value as it is written.
    Made(String),
    Attachments,
}

/// Appends a revision, with its attachments' content in the text if that is asked for.
pub(crate) fn pieces(db: &Database, document: &Document, options: &Options, out: &mut Pieces) {
    write(document, &members(document, options, options.version.text(db, &document.rev)), options, out);
}

/// Appends a revision as text alone: content that would be in the text is a stub.
pub(crate) fn text(db: &Database, document: &Document, options: &Options, out: &mut Vec<u8>) {
    let stubs = match options.attachments {
        Attachments::Inline => Options { attachments: Attachments::Stubs, ..options.clone() },
        Attachments::Stubs | Attachments::Follows => options.clone(),
    };
    let mut pieces = Pieces::default();
    std::mem::swap(pieces.text(), out);
    write(document, &members(document, &stubs, options.version.text(db, &document.rev)), &stubs, &mut pieces);
    std::mem::swap(pieces.text(), out);
}

fn members<'d>(document: &'d Document, options: &Options, version: Option<String>) -> Vec<Member<'d>> {
    let mut members = stored(&document.members);
    let mut made = |name: &'static str, value: Value<'d>| members.push((Cow::Borrowed(name.as_bytes()), value));
    if !document.attachments.is_empty() {
        made("_attachments", Value::Attachments);
    }
    if let Some(version) = version {
        made("_cv", Value::Made(format!("\"{version}\"")));
    }
    if let Some(expires_s) = options.expires_s {
        made("_exp", Value::Made(format!("\"{}\"", rfc3339(expires_s))));
    }
    if document.deleted {
        made("_deleted", Value::Made("true".to_owned()));
    }
    if document.shown == Shown::Stub {
        made("_removed", Value::Made("true".to_owned()));
    }
    let mut id = Vec::with_capacity(document.id.as_str().len() + 2);
    write_string(&mut id, document.id.as_str());
    made("_id", Value::Made(String::from_utf8_lossy(&id).into_owned()));
    made("_rev", Value::Made(format!("\"{}\"", document.rev)));
    if let Some(wanted) = &options.history {
        made("_revisions", Value::Made(revisions(document, wanted)));
    }
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    members
}

/// The members that are stored, each with its name.
fn stored(members: &[u8]) -> Vec<Member<'_>> {
    let mut found = Vec::with_capacity(16);
    let mut reader = Reader::new(members);
    let mut start = reader;
    while let Some(name) = reader.next_name() {
        reader.skip();
        let raw = reader.since(&start);
        found.push((name.to_bytes(), Value::Stored(raw.strip_prefix(b",").unwrap_or(raw))));
        start = reader;
    }
    found
}

/// `{"ids":[…],"start":…}`.
fn revisions(document: &Document, wanted: &HistoryWanted) -> String {
    let all = document.revisions();
    let known = all.iter().position(|rev| wanted.from.contains(rev)).map_or(all.len(), |place| place + 1);
    let ids: Vec<String> =
        all.iter().take(known.min(wanted.limit)).map(|rev| format!("\"{}\"", rev.digest())).collect();
    format!("{{\"ids\":[{}],\"start\":{}}}", ids.join(","), document.rev.generation())
}

fn write(document: &Document, members: &[Member<'_>], options: &Options, out: &mut Pieces) {
    out.text().reserve(document.members.len() + document.id.as_str().len() + 128);
    let mut separator = b"{".as_slice();
    for (name, value) in members {
        out.text().extend_from_slice(std::mem::replace(&mut separator, b","));
        match value {
            Value::Stored(member) => out.text().extend_from_slice(member),
            Value::Made(_) | Value::Attachments => {
                out.text().push(b'"');
                out.text().extend_from_slice(name);
                out.text().extend_from_slice(b"\":");
            }
        }
        match value {
            Value::Stored(_) => {}
            Value::Made(value) => out.text().extend_from_slice(value.as_bytes()),
            Value::Attachments => attachments(document, options, out),
        }
    }
    out.text().push(b'}');
}

fn attachments(document: &Document, options: &Options, out: &mut Pieces) {
    let sent_above = options.sent_above(document);
    let mut separator = b"{".as_slice();
    let mut sorted: Vec<&Attachment> = document.attachments.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    for attachment in sorted {
        out.text().extend_from_slice(std::mem::replace(&mut separator, b","));
        write_string(out.text(), &attachment.name);
        out.text().push(b':');
        let is_sent = sent_above.is_some_and(|known| attachment.revpos > known);
        match (is_sent, options.attachments) {
            (true, Attachments::Inline) => inline(attachment, out),
            (true, Attachments::Follows) => described(attachment, ("\"follows\":true,", ""), out.text()),
            (_, Attachments::Stubs) | (false, _) => described(attachment, ("", ",\"stub\":true"), out.text()),
        }
    }
    out.text().push(b'}');
}

fn inline(attachment: &Attachment, out: &mut Pieces) {
    out.text().extend_from_slice(b"{\"content_type\":");
    write_string(out.text(), &attachment.content_type);
    out.text().extend_from_slice(b",\"data\":\"");
    out.content(attachment, Form::Base64);
    let digest = digest_text(&attachment.digest);
    let (length, revpos) = (attachment.length, attachment.revpos);
    put(out.text(), format_args!("\",\"digest\":\"md5-{digest}\",\"length\":{length},\"revpos\":{revpos}}}"));
}

/// Appends what is told of an attachment without its content; `follows` and `stub` have their places in it.
pub(super) fn described(attachment: &Attachment, (follows, stub): (&str, &str), out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"content_type\":");
    write_string(out, &attachment.content_type);
    put(out, format_args!(",\"digest\":\"md5-{}\"", digest_text(&attachment.digest)));
    // Packed content is sent as it is stored where it follows: whoever takes it must know.
    if !follows.is_empty() && attachment.encoding == Encoding::Gzip {
        put(out, format_args!(",\"encoded_length\":{},\"encoding\":\"gzip\"", attachment.stored_length));
    }
    put(out, format_args!(",{follows}\"length\":{},\"revpos\":{}{stub}}}", attachment.length, attachment.revpos));
}

fn put(out: &mut Vec<u8>, value: std::fmt::Arguments<'_>) {
    // A `Vec` takes everything.
    drop(out.write_fmt(value));
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
            rev: "2-x".parse().unwrap(),
            deleted: false,
            seq: Seq::new(7),
            members: Bytes::from_static(members.as_bytes()),
            attachments: Vec::new(),
            history: None,
            shown: Shown::Whole,
        }
    }

    fn rendered(document: &Document, options: &Options) -> String {
        let version = (options.version == Version::Told).then(|| "2@s".to_owned());
        let mut out = Pieces::default();
        write(document, &members(document, options, version), options, &mut out);
        String::from_utf8(std::mem::take(out.text())).unwrap()
    }

    #[test]
    fn members_stand_in_the_order_of_their_names() {
        let plain = Options::default();
        assert_eq!(rendered(&document(""), &plain), r#"{"_id":"a\"b","_rev":"2-x"}"#);
        assert_eq!(
            rendered(&document(r#""b":{"z":1,"a":[1.0]},"Z":"}","_foo":1,"a":"x,\"y""#), &plain),
            r#"{"Z":"}","_foo":1,"_id":"a\"b","_rev":"2-x","a":"x,\"y","b":{"z":1,"a":[1.0]}}"#
        );
    }

    #[test]
    fn what_is_told_has_its_place_among_them() {
        let history = Some(HistoryWanted { limit: 9, from: Vec::new() });
        let options = Options { history, version: Version::Told, ..Options::default() };
        let document = Document { deleted: true, ..document("\"a\":1") };
        let expected =
            r#"{"_cv":"2@s","_deleted":true,"_id":"a\"b","_rev":"2-x","_revisions":{"ids":["x"],"start":2},"a":1}"#;
        assert_eq!(rendered(&document, &options), expected);
    }

    #[test]
    fn attachments_are_stubs_or_follow() {
        let attachment = |name: &str, encoding| Attachment {
            name: name.to_owned(),
            content_type: "text/plain".to_owned(),
            revpos: 1,
            digest: AttachmentDigest::new([0; 16]),
            length: 11,
            stored_length: 9,
            encoding,
        };
        let attachments = vec![attachment("z", Encoding::Gzip), attachment("i", Encoding::Identity)];
        let document = Document { attachments, ..document("") };
        let start = r#"{"content_type":"text/plain","digest":"md5-AAAAAAAAAAAAAAAAAAAAAA==""#;
        let expected = format!(
            r#"{{"_attachments":{{"i":{start},"length":11,"revpos":1,"stub":true}},"z":{start},"length":11,"revpos":1,"stub":true}}}},"_id":"a\"b","_rev":"2-x"}}"#
        );
        assert_eq!(rendered(&document, &Options::default()), expected);
        let expected = format!(
            r#"{{"_attachments":{{"i":{start},"follows":true,"length":11,"revpos":1}},"z":{start},"encoded_length":9,"encoding":"gzip","follows":true,"length":11,"revpos":1}}}},"_id":"a\"b","_rev":"2-x"}}"#
        );
        assert_eq!(rendered(&document, &Options::default().following()), expected);
    }
}
