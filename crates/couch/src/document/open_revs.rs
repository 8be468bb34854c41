//! `GET` of several revisions of one document. Source: `chttpd_db:db_doc_req`, `send_docs_multipart`.

use super::{
    read::JSON,
    render::{self, Options, following, put_rev},
};
use crate::context::{Answer, Context};
use http::{HeaderValue, StatusCode};
use tidegate_documents::{Pieces, Related, new_boundary};
use tidegate_engine::{Database, OpenRev, OpenRevs};
use tidegate_http::{multipart::Writer, negotiate::Accept};
use tidegate_types::{DocId, Rev};

/// The type of a part that says what is missing.
pub(super) const ERROR_TYPE: &str = "application/json; error=\"true\"";

pub(super) async fn get(cx: &Context, db: &Database, id: &DocId, (which, options): (&OpenRevs, &Options)) -> Answer {
    let revs = db.open_revs(id, which).await?;
    let mut pieces = Pieces::default();
    if Accept::of(&cx.request.headers).accepts("multipart/mixed") {
        let content_type = write_mixed(&revs, &following(options), &mut pieces);
        let content_type = HeaderValue::try_from(content_type).unwrap_or(JSON);
        Ok(pieces.respond(&cx.delivery(), db, StatusCode::OK, content_type).await?)
    } else {
        write_json(&revs, options, &mut pieces);
        Ok(pieces.respond(&cx.delivery(), db, StatusCode::OK, JSON).await?)
    }
}

fn write_json(revs: &[OpenRev], options: &Options, out: &mut Pieces) {
    out.text().push(b'[');
    for (index, rev) in revs.iter().enumerate() {
        if index > 0 {
            out.text().push(b',');
        }
        match rev {
            OpenRev::Found(document) => {
                out.text().extend_from_slice(b"{\"ok\":");
                render::pieces(document, options, out);
                out.text().push(b'}');
            }
            OpenRev::Missing(rev) => write_missing(rev, out.text()),
        }
    }
    out.text().extend_from_slice(b"]\n");
}

/// Appends the body; its type.
fn write_mixed(revs: &[OpenRev], options: &Options, out: &mut Pieces) -> String {
    let mut writer = Writer::new(new_boundary());
    let content_type = writer.boundary().content_type("mixed");
    for rev in revs {
        match rev {
            OpenRev::Found(document) => {
                let related = Related::new(options.sent(document));
                let head = writer.part(&[("Content-Type", &related.content_type())]);
                out.text().extend_from_slice(&head);
                related.write(out, |text| render::text(document, options, text));
            }
            OpenRev::Missing(rev) => {
                out.text().extend_from_slice(&writer.part(&[("Content-Type", ERROR_TYPE)]));
                write_missing(rev, out.text());
            }
        }
    }
    out.text().extend_from_slice(&writer.end());
    content_type
}

fn write_missing(rev: &Rev, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"missing\":");
    put_rev(out, rev);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use tidegate_engine::{Attachment, AttachmentDigest, Document, Encoding};
    use tidegate_types::Seq;

    fn revs(attachments: Vec<Attachment>) -> Vec<OpenRev> {
        let document = Document {
            id: "a".parse().unwrap(),
            rev: "1-x".parse().unwrap(),
            deleted: false,
            seq: Seq::ZERO,
            members: Bytes::from_static(b"\"v\":1"),
            attachments,
            history: None,
            shown: tidegate_engine::Shown::Whole,
        };
        vec![OpenRev::Found(Box::new(document)), OpenRev::Missing("2-y".parse().unwrap())]
    }

    fn text(mut pieces: Pieces) -> String {
        String::from_utf8(std::mem::take(pieces.text())).unwrap()
    }

    #[test]
    fn as_json() {
        let mut out = Pieces::default();
        write_json(&revs(Vec::new()), &Options::default(), &mut out);
        assert_eq!(text(out), "[{\"ok\":{\"_id\":\"a\",\"_rev\":\"1-x\",\"v\":1}},{\"missing\":\"2-y\"}]\n");
    }

    #[test]
    fn as_parts() {
        let mut out = Pieces::default();
        let content_type = write_mixed(&revs(Vec::new()), &following(&Options::default()), &mut out);
        let boundary = content_type.split('"').nth(1).unwrap();
        let expected = format!(
            "--{boundary}\r\nContent-Type: application/json\r\n\r\n{{\"_id\":\"a\",\"_rev\":\"1-x\",\"v\":1}}\r\n\
             --{boundary}\r\nContent-Type: application/json; error=\"true\"\r\n\r\n{{\"missing\":\"2-y\"}}\r\n--{boundary}--"
        );
        assert_eq!(text(out), expected);
    }

    #[test]
    fn content_counts_into_the_length() {
        let digest = AttachmentDigest::new([0; 16]);
        let (name, content_type) = ("x".to_owned(), "text/plain".to_owned());
        let attachment = |stored_length| {
            let (name, content_type) = (name.clone(), content_type.clone());
            Attachment { name, content_type, revpos: 1, digest, length: 9, stored_length, encoding: Encoding::Gzip }
        };
        let length = |attachment| {
            let mut out = Pieces::default();
            write_mixed(&revs(vec![attachment]), &following(&Options::default()), &mut out);
            out.length()
        };
        // The content, and its length's digits in the text and in the part's head.
        assert_eq!(length(attachment(1_000)) - length(attachment(1)), 999 + 3 + 3);
    }
}
