//! A revision and its attachments as `multipart/related`: the text first, then each attachment's stored bytes.
//!
//! Source: `couch_httpd_multipart:encode_multipart_stream`. Without attachments to send it is the text alone.

use crate::{Form, Pieces};
use tidegate_engine::{Attachment, Encoding};
use tidegate_http::multipart::{Boundary, Writer, disposition};

/// How one revision is sent: with these of its attachments.
pub struct Related<'d> {
    sent: Vec<&'d Attachment>,
    /// `None` where there are no parts.
    boundary: Option<Boundary>,
}

/// A boundary nobody can have foreseen.
pub fn new_boundary() -> Boundary {
    Boundary::from_random(rand::random())
}

impl<'d> Related<'d> {
    /// With these attachments.
    pub fn new(sent: impl Iterator<Item = &'d Attachment>) -> Self {
        let sent: Vec<_> = sent.collect();
        Self { boundary: (!sent.is_empty()).then(new_boundary), sent }
    }

    /// The media type of the whole.
    pub fn content_type(&self) -> String {
        let boundary = self.boundary.as_ref();
        boundary.map_or_else(|| "application/json".to_owned(), |boundary| boundary.content_type("related"))
    }

    /// Appends the body, the document's text as `text` writes it.
    pub fn write(self, out: &mut Pieces, text: impl FnOnce(&mut Vec<u8>)) {
        let Some(boundary) = self.boundary else { return text(out.text()) };
        let mut writer = Writer::new(boundary);
        out.text().extend_from_slice(&writer.part(&[("Content-Type", "application/json")]));
        text(out.text());
        for attachment in self.sent {
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
