//! A revision and its attachments as `multipart/related`: the text first, then each attachment's stored bytes.
//!
//! Source: `couch_httpd_multipart:encode_multipart_stream`. Without attachments to send it is the text alone.

use super::{
    pieces::{Form, Pieces},
    render::{self, Attachments, Include, Options},
};
use tidegate_engine::{Attachment, Document, Encoding};
use tidegate_http::multipart::{Boundary, Writer, disposition};

/// How one revision is sent.
pub(super) struct Related {
    /// `None` where there are no parts.
    boundary: Option<Boundary>,
}

/// The options under which attachments are parts.
pub(super) fn following(options: &Options) -> Options {
    let include = options.include.with(Include::ATT_ENCODING_INFO);
    Options { include, attachments: Attachments::Follows, atts_since: options.atts_since.clone() }
}

/// A boundary nobody can have foreseen.
pub(super) fn new_boundary() -> Boundary {
    Boundary::from_random(rand::random())
}

impl Related {
    /// For a revision under [`following`] options.
    pub(super) fn new(document: &Document, options: &Options) -> Self {
        Self { boundary: options.sent(document).next().map(|_| new_boundary()) }
    }

    pub(super) fn content_type(&self) -> String {
        let boundary = self.boundary.as_ref();
        boundary.map_or_else(|| "application/json".to_owned(), |boundary| boundary.content_type("related"))
    }

    /// Appends the body.
    pub(super) fn write(self, document: &Document, options: &Options, out: &mut Pieces) {
        let Some(boundary) = self.boundary else { return render::text(document, options, out.text()) };
        let mut writer = Writer::new(boundary);
        out.text().extend_from_slice(&writer.part(&[("Content-Type", "application/json")]));
        render::text(document, options, out.text());
        for attachment in options.sent(document) {
            begin_part(&mut writer, attachment, out.text());
            out.content(attachment, Form::Stored);
        }
        out.text().extend_from_slice(&writer.end());
    }
}

fn begin_part(writer: &mut Writer, attachment: &Attachment, out: &mut Vec<u8>) {
    let disposition = disposition("attachment", &attachment.name);
    let length = attachment.stored_length.to_string();
    let mut headers = vec![
        ("Content-Disposition", disposition.as_str()),
        ("Content-Type", &attachment.content_type),
        ("Content-Length", &length),
    ];
    if attachment.encoding == Encoding::Gzip {
        headers.push(("Content-Encoding", "gzip"));
    }
    out.extend_from_slice(&writer.part(&headers));
}
