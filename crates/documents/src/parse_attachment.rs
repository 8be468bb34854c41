//! What a document's text says of its attachments. Source of rules and texts: `couch_att:from_json`.

use crate::{Error, Fault};
use base64::{
    Engine as _, alphabet,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use std::borrow::Cow;
use tidegate_engine::{AttachmentDigest, Encoding};
use tidegate_json::{Limits, Members, read_string};

/// The type of an attachment that comes without one.
pub const DEFAULT_CONTENT_TYPE: &str = "application/octet-stream";

/// Strict but for bits that don't count, as Erlang's decoder.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// One member of `_attachments`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedAttachment {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// In which generation it says that its content changed last.
    pub revpos: Option<u64>,
    /// Where its content is.
    pub content: Content,
}

/// Where its content is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// In the parent revision.
    Stub,
    /// In the text; decoded.
    Inline(Bytes),
    /// In a part of its own behind the text.
    Follows(Follows),
}

/// What is to be expected of content that follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follows {
    /// How it comes.
    pub encoding: Encoding,
    /// Bytes to come, where it was said.
    pub length: Option<u64>,
    /// The MD5 of the bytes to come, where it was said.
    pub digest: Option<AttachmentDigest>,
}

/// The fields of one attachment, raw.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a [u8])>);

/// Reads the value of `_attachments`, an object. Members that aren't objects are left out, as CouchDB does.
///
/// # Errors
/// A name or a field isn't as it must be.
pub(crate) fn parse_attachments(value: &[u8]) -> Result<Vec<ParsedAttachment>, Error> {
    let mut attachments = Vec::new();
    for member in Members::new(value, Limits::default())? {
        let (name, value) = member?;
        check_name(&name)?;
        if value.first() == Some(&b'{') {
            let fields = Fields(Members::new(value, Limits::default())?.collect::<Result<_, _>>()?);
            attachments.push(fields.read(name.into_owned())?);
        }
    }
    Ok(attachments)
}

/// Refuses names that are reserved.
///
/// # Errors
/// The name begins with an underscore.
pub fn check_name(name: &str) -> Result<(), Error> {
    if name.starts_with('_') {
        return Err(Error::bad_request(format!("Attachment name '{name}' starts with prohibited character '_'")));
    }
    Ok(())
}

/// An MD5 in base64, as in `Content-MD5`.
pub fn parse_md5(text: &str) -> Option<AttachmentDigest> {
    let bytes = BASE64.decode(text.trim()).ok()?;
    bytes.try_into().ok().map(AttachmentDigest::new)
}

/// `gzip`, `identity`, or none.
///
/// # Errors
/// It is another one.
pub fn parse_encoding(name: Option<&str>) -> Result<Encoding, Error> {
    match name.map(str::trim) {
        None | Some("") => Ok(Encoding::Identity),
        Some(name) if name.eq_ignore_ascii_case("identity") => Ok(Encoding::Identity),
        Some(name) if name.eq_ignore_ascii_case("gzip") => Ok(Encoding::Gzip),
        Some(_) => Err(Error::refused(Fault::MediaType, "Only gzip and identity content-encodings are supported")),
    }
}

impl Fields<'_> {
    fn read(&self, name: String) -> Result<ParsedAttachment, Error> {
        let content = if self.is_true("stub") {
            Content::Stub
        } else if self.is_true("follows") {
            Content::Follows(self.follows()?)
        } else {
            let invalid = || Error::bad_request(format!("Invalid attachment data for {name}"));
            Content::Inline(self.text("data").and_then(|data| decode(&data)).ok_or_else(invalid)?)
        };
        let content_type = self.text("content_type").map_or(DEFAULT_CONTENT_TYPE.to_owned(), Cow::into_owned);
        Ok(ParsedAttachment { name, content_type, revpos: self.number("revpos"), content })
    }

    fn follows(&self) -> Result<Follows, Error> {
        let encoding = parse_encoding(self.text("encoding").as_deref())?;
        let length = match encoding {
            Encoding::Identity => self.number("length"),
            Encoding::Gzip => self.number("encoded_length").or_else(|| self.number("length")),
        };
        let digest = self.text("digest").and_then(|digest| parse_md5(digest.strip_prefix("md5-")?));
        Ok(Follows { encoding, length, digest })
    }

    fn raw(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| *value)
    }

    fn is_true(&self, name: &str) -> bool {
        self.raw(name) == Some(b"true")
    }

    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.raw(name).and_then(read_string)
    }

    fn number(&self, name: &str) -> Option<u64> {
        str::from_utf8(self.raw(name)?).ok()?.parse().ok()
    }
}

/// Base64, white space allowed.
fn decode(text: &str) -> Option<Bytes> {
    let decoded = if text.contains(|c: char| c.is_ascii_whitespace()) {
        BASE64.decode(text.replace(|c: char| c.is_ascii_whitespace(), ""))
    } else {
        BASE64.decode(text)
    };
    decoded.ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(fields: &str) -> Result<ParsedAttachment, String> {
        let parsed = parse_attachments(format!("{{\"a.txt\":{{{fields}}}}}").as_bytes());
        let mut attachments = parsed.map_err(|error| error.to_string())?;
        Ok(attachments.remove(0))
    }

    #[track_caller]
    fn check(fields: &str, expected: &Content) {
        assert_eq!(&one(fields).unwrap().content, expected, "{fields}");
    }

    fn follows(encoding: Encoding, length: Option<u64>, digest: Option<[u8; 16]>) -> Content {
        Content::Follows(Follows { encoding, length, digest: digest.map(AttachmentDigest::new) })
    }

    #[test]
    fn where_the_content_is() {
        check(r#""stub":true"#, &Content::Stub);
        check(r#""stub":true,"data":"!""#, &Content::Stub);
        check(r#""stub":false,"data":"aGk=""#, &Content::Inline(Bytes::from_static(b"hi")));
        check(r#""data":"""#, &Content::Inline(Bytes::new()));
        check(r#""data":"aG\nk=\r\n""#, &Content::Inline(Bytes::from_static(b"hi")));
        check(r#""data":"aGl=""#, &Content::Inline(Bytes::from_static(b"hi")));
        check(r#""follows":true"#, &follows(Encoding::Identity, None, None));
        check(r#""follows":true,"length":3,"encoded_length":2"#, &follows(Encoding::Identity, Some(3), None));
        check(
            r#""follows":true,"length":3,"encoding":"gzip","encoded_length":2"#,
            &follows(Encoding::Gzip, Some(2), None),
        );
        check(
            r#""follows":true,"digest":"md5-AAAAAAAAAAAAAAAAAAAAAA==""#,
            &follows(Encoding::Identity, None, Some([0; 16])),
        );
        check(r#""follows":true,"digest":"sha1-AAAA""#, &follows(Encoding::Identity, None, None));
    }

    #[test]
    fn the_other_fields() {
        let attachment = one(r#""stub":true,"revpos":3,"content_type":"text/plain; a=\"b\"""#).unwrap();
        assert_eq!((attachment.name.as_str(), attachment.revpos), ("a.txt", Some(3)));
        assert_eq!(attachment.content_type, "text/plain; a=\"b\"");
        let attachment = one(r#""stub":true,"revpos":-1"#).unwrap();
        assert_eq!((attachment.content_type.as_str(), attachment.revpos), (DEFAULT_CONTENT_TYPE, None));
    }

    #[test]
    fn what_is_refused() {
        for bad in ["", r#""data":1"#, r#""data":"notBase64Encoded=""#, r#""data":"!!""#, r#""data":"aGk""#] {
            assert_eq!(one(bad).unwrap_err(), "Invalid attachment data for a.txt", "{bad}");
        }
        let reason = "Only gzip and identity content-encodings are supported";
        assert_eq!(one(r#""follows":true,"encoding":"br""#).unwrap_err(), reason);
        let error = parse_attachments(br#"{"_foo.txt":{"data":""}}"#).unwrap_err();
        assert_eq!(error.to_string(), "Attachment name '_foo.txt' starts with prohibited character '_'");
    }

    #[test]
    fn order_is_kept_and_what_is_no_object_is_left_out() {
        let attachments = parse_attachments(br#"{"b":{"stub":true},"c":1,"a":{"stub":true}}"#).unwrap();
        assert_eq!(attachments.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    }
}
