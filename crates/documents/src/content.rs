//! An attachment's content as an answer: whole, packed as it is stored, or in ranges.
//!
//! What is stored packed is sent packed to those who take it, and unpacked on the way to the others. Ranges are of the content
//! as it was sent.

use crate::{DEFAULT_CONTENT_TYPE, Delivery, Error, Form, Pieces, new_boundary};
use http::{HeaderValue, Response, StatusCode, header};
use tidegate_engine::{Attachment, Database, Encoding};
use tidegate_http::{
    Body,
    range::{ByteRange, Ranges, byteranges},
};

const OCTETS: HeaderValue = HeaderValue::from_static(DEFAULT_CONTENT_TYPE);

/// How a client takes content that is stored packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Unpacked.
    Plain,
    /// Packed with gzip.
    Gzip,
}

/// The content, or what `range`, the value of the header, asks of it.
///
/// # Errors
/// [`Error::Unsatisfiable`], or the storage failed.
pub async fn serve_content(
    delivery: &Delivery<'_>,
    db: &Database,
    attachment: &Attachment,
    (range, takes): (Option<&str>, Takes),
) -> Result<Response<Body>, Error> {
    match Ranges::parse(range, attachment.length) {
        Ranges::Whole if attachment.encoding == Encoding::Gzip && takes == Takes::Gzip => {
            let mut response = whole(delivery, db, attachment, Form::Stored).await?;
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Ok(response)
        }
        Ranges::Whole => whole(delivery, db, attachment, Form::Unpacked).await,
        Ranges::One(range) => one(delivery, db, attachment, range).await,
        Ranges::Many(ranges) => many(delivery, db, attachment, &ranges).await,
        Ranges::Unsatisfiable => Err(Error::Unsatisfiable { length: attachment.length }),
    }
}

async fn whole(
    delivery: &Delivery<'_>,
    db: &Database,
    attachment: &Attachment,
    form: Form,
) -> Result<Response<Body>, Error> {
    let mut pieces = Pieces::default();
    pieces.content(attachment, form);
    pieces.respond(delivery, db, StatusCode::OK, content_type(attachment)).await
}

async fn one(
    delivery: &Delivery<'_>,
    db: &Database,
    attachment: &Attachment,
    range: ByteRange,
) -> Result<Response<Body>, Error> {
    let mut pieces = Pieces::default();
    pieces.content(attachment, part(range));
    let mut response = pieces.respond(delivery, db, StatusCode::PARTIAL_CONTENT, content_type(attachment)).await?;
    if let Ok(value) = HeaderValue::try_from(range.content_range(attachment.length)) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    Ok(response)
}

async fn many(
    delivery: &Delivery<'_>,
    db: &Database,
    attachment: &Attachment,
    ranges: &[ByteRange],
) -> Result<Response<Body>, Error> {
    let boundary = new_boundary();
    let outer_type = HeaderValue::try_from(boundary.content_type("byteranges")).unwrap_or(OCTETS);
    let layout = byteranges(boundary, &attachment.content_type, ranges, attachment.length);
    let mut pieces = Pieces::default();
    for (head, range) in layout.heads.iter().zip(ranges) {
        pieces.text().extend_from_slice(head);
        pieces.content(attachment, part(*range));
    }
    pieces.text().extend_from_slice(&layout.end);
    pieces.respond(delivery, db, StatusCode::PARTIAL_CONTENT, outer_type).await
}

fn part(range: ByteRange) -> Form {
    Form::UnpackedPart(range.first()..range.last() + 1)
}

/// What was stored may be no header's value.
fn content_type(attachment: &Attachment) -> HeaderValue {
    HeaderValue::from_bytes(attachment.content_type.as_bytes()).unwrap_or(OCTETS)
}
