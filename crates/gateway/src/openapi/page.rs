//! `/_api/`: the document, and Swagger UI as the page that shows it. Tidegate's own.
//!
//! Everything comes out of the binary, packed as it lies there, and nothing is asked of any other host. On the public
//! port it is open to everybody: it tells what each Tidegate of this version does, and nothing of this one's databases.
//! On the admin port it is behind the door that all is behind there.

use super::{Edition, document};
use crate::{
    context::{Answer, Head},
    error::{Error, internal},
};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use std::sync::OnceLock;
use tidegate_http::{
    Body,
    conditional::{Condition, ETag},
    gzip::{self, Decoder, GzipError},
    negotiate::accepts_gzip,
    respond,
};

/// One file of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageFile {
    Page,
    Document,
    SwaggerUi,
    SwaggerUiStyle,
    Script,
    Style,
}

/// The document of one listener, packed when it is first asked for.
#[derive(Default)]
pub(crate) struct PackedDocument(OnceLock<Bytes>);

/// What browsers may load for the page, and from where: from here alone. Swagger UI's icons are in its style sheet, as
/// `data:`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SWAGGER_UI: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js.gz"));
const SWAGGER_UI_STYLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css.gz"));
const PAGE: &[u8] = include_bytes!("page/index.html");
const SCRIPT: &[u8] = include_bytes!("page/page.js");
const STYLE: &[u8] = include_bytes!("page/page.css");

impl PageFile {
    /// The file that is called so behind `/_api`.
    pub(crate) fn named(rest: &[&str]) -> Option<Self> {
        Some(match rest {
            [] => Self::Page,
            ["openapi.json"] => Self::Document,
            ["swagger-ui-bundle.js"] => Self::SwaggerUi,
            ["swagger-ui.css"] => Self::SwaggerUiStyle,
            ["page.js"] => Self::Script,
            ["page.css"] => Self::Style,
            _ => return None,
        })
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Page => "text/html; charset=utf-8",
            Self::Document => "application/json",
            Self::SwaggerUi | Self::Script => "text/javascript; charset=utf-8",
            Self::SwaggerUiStyle | Self::Style => "text/css; charset=utf-8",
        })
    }
}

impl PackedDocument {
    fn get(&self, edition: Edition) -> Result<Bytes, Error> {
        if let Some(packed) = self.0.get() {
            return Ok(packed.clone());
        }
        let document = document(edition).map_err(|error| internal(&error))?;
        let packed = gzip::pack(document.to_string().as_bytes()).map_err(|error| internal(&error))?;
        Ok(self.0.get_or_init(|| packed).clone())
    }
}

pub(crate) fn answer(request: &Head, file: PageFile, (edition, packed): (Edition, &PackedDocument)) -> Answer {
    let unpacked = |packed| unpacked(request, file, packed).map_err(|error| internal(&error));
    let mut response = match file {
        PageFile::Page => plain(file, PAGE),
        PageFile::Script => plain(file, SCRIPT),
        PageFile::Style => plain(file, STYLE),
        PageFile::SwaggerUi => unpacked(Bytes::from_static(SWAGGER_UI))?,
        PageFile::SwaggerUiStyle => unpacked(Bytes::from_static(SWAGGER_UI_STYLE))?,
        PageFile::Document => unpacked(packed.get(edition)?)?,
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

fn plain(file: PageFile, content: &'static [u8]) -> Response<Body> {
    respond::bytes(StatusCode::OK, file.content_type(), Bytes::from_static(content))
}

/// A gzip stream: as it is, if the client takes that, or nothing if the client has it.
fn unpacked(request: &Head, file: PageFile, packed: Bytes) -> Result<Response<Body>, GzipError> {
    let etag = etag(&packed);
    let is_known = request.header(header::IF_NONE_MATCH).is_some_and(|value| {
        let condition = Condition::parse(value);
        etag.as_ref().is_some_and(|etag| condition.none_match_hits(etag))
    });
    let mut response = if is_known {
        respond::empty(StatusCode::NOT_MODIFIED)
    } else if accepts_gzip(&request.headers) {
        let mut response = respond::bytes(StatusCode::OK, file.content_type(), packed);
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response
    } else {
        respond::bytes(StatusCode::OK, file.content_type(), unpack(packed)?)
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    response.headers_mut().extend(etag.and_then(|etag| etag.to_header()).map(|value| (header::ETAG, value)));
    Ok(response)
}

/// The foot of a gzip stream, which tells its content from others: a checksum and the length. Weak, as the content may go
/// out packed or not.
fn etag(packed: &[u8]) -> Option<ETag<'static>> {
    let foot: String = packed.last_chunk::<8>()?.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(ETag::weak(foot))
}

fn unpack(mut packed: Bytes) -> Result<Bytes, GzipError> {
    let (mut decoder, mut text) = (Decoder::default(), Vec::new());
    while let Some(piece) = decoder.next(&mut packed)? {
        text.extend_from_slice(&piece);
    }
    text.extend_from_slice(&decoder.finish()?);
    Ok(text.into())
}
