//! The headers of one part.

use std::borrow::Cow;

use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{CONTROLS, percent_decode_str, utf8_percent_encode};

use super::MultipartError;
use crate::media::find_parameter;

/// The headers of a part, with the ones that matter read out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartHead {
    headers: HeaderMap,
}

/// A `Content-Disposition`, such as `attachment; filename="a.txt"` or `form-data; name="x"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposition<'a> {
    kind: &'a str,
    parameters: &'a str,
}

impl PartHead {
    /// Parses header lines, separated by CRLF, without the empty line. A folded line is refused, as HTTP does.
    pub(super) fn parse(lines: &[u8]) -> Result<Self, MultipartError> {
        let mut headers = HeaderMap::new();
        for line in lines.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            let (name, value) = parse_line(line).ok_or(MultipartError::BadHead)?;
            headers.try_append(name, value).map_err(|_too_many| MultipartError::HeadTooLong)?;
        }
        Ok(Self { headers })
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// A header's text; `None` if it is absent or not UTF-8.
    pub fn get(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        std::str::from_utf8(self.headers.get(name)?.as_bytes()).ok()
    }

    /// The `Content-Type`.
    pub fn content_type(&self) -> Option<&str> {
        self.get(CONTENT_TYPE)
    }

    /// The `Content-Length`: what the sender claims, not what was found.
    pub fn content_length(&self) -> Option<u64> {
        self.get(CONTENT_LENGTH)?.trim().parse().ok()
    }

    /// The `Content-Disposition`.
    pub fn disposition(&self) -> Option<Disposition<'_>> {
        let value = self.get(CONTENT_DISPOSITION)?;
        let (kind, parameters) = value.split_once(';').unwrap_or((value, ""));
        Some(Disposition { kind: kind.trim(), parameters })
    }

    /// The file name of the `Content-Disposition`.
    pub fn filename(&self) -> Option<String> {
        self.disposition()?.filename().map(Cow::into_owned)
    }
}

impl<'a> Disposition<'a> {
    /// `attachment`, `inline`, `form-data`.
    pub fn kind(&self) -> &'a str {
        self.kind
    }

    /// The name of a form's field.
    pub fn name(&self) -> Option<Cow<'a, str>> {
        find_parameter(self.parameters, "name")
    }

    /// The file name: `filename*=UTF-8''…` (RFC 8187) before `filename=…`.
    pub fn filename(&self) -> Option<Cow<'a, str>> {
        let extended = find_parameter(self.parameters, "filename*").and_then(|value| decode_extended(&value));
        extended.map(Cow::Owned).or_else(|| find_parameter(self.parameters, "filename"))
    }
}

/// A `Content-Disposition` naming a file. The name is quoted and stays UTF-8, as CouchDB sends it; control characters,
/// which would break the header, are percent-encoded.
pub fn disposition(kind: &str, filename: &str) -> String {
    let mut value = format!("{kind}; filename=\"");
    for char in filename.chars() {
        match char {
            '"' | '\\' => value.extend(['\\', char]),
            _ if char.is_ascii_control() => value.extend(utf8_percent_encode(char.encode_utf8(&mut [0; 4]), CONTROLS)),
            _ => value.push(char),
        }
    }
    value.push('"');
    value
}

fn parse_line(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = memchr::memchr(b':', line)?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value.trim_ascii()).ok()?))
}

fn decode_extended(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, text) = rest.split_once('\'')?;
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    charset.eq_ignore_ascii_case("utf-8").then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_filename(value: &str, expected: Option<&str>) {
        let head = PartHead::parse(format!("Content-Disposition: {value}").as_bytes()).unwrap();
        assert_eq!(head.filename().as_deref(), expected, "{value}");
    }

    #[test]
    fn headers_are_read() {
        let lines = "content-TYPE: text/plain\r\nContent-Length:12 \r\nX-é: no\r\n";
        assert!(matches!(PartHead::parse(lines.as_bytes()), Err(MultipartError::BadHead)));
        let head = PartHead::parse(b"content-TYPE: text/plain\r\nContent-Length:12 \r\nX: \xff\r\nY:").unwrap();
        assert_eq!(head.content_type(), Some("text/plain"));
        assert_eq!(head.content_length(), Some(12));
        assert_eq!(head.get("x"), None);
        assert_eq!(head.get("y"), Some(""));
        assert_eq!(PartHead::parse(b"").unwrap(), PartHead::default());
        for bad in ["no colon", ": v", "a b: c", "a: b\r\n folded"] {
            assert!(matches!(PartHead::parse(bad.as_bytes()), Err(MultipartError::BadHead)), "{bad}");
        }
    }

    #[test]
    fn file_names() {
        check_filename("attachment", None);
        check_filename("attachment; filename=a.txt", Some("a.txt"));
        check_filename("attachment; filename=\"a \\\"b\\\".txt\"", Some("a \"b\".txt"));
        check_filename("attachment; filename=\"é\"; filename*=UTF-8'de'%C3%B6%20", Some("ö "));
        check_filename("attachment; filename*=latin1''%f6; filename=o", Some("o"));
        let head = PartHead::parse(b"Content-Disposition: form-data; name=\"_attachments\"; filename=\"x\"").unwrap();
        let disposition = head.disposition().unwrap();
        assert_eq!((disposition.kind(), disposition.name().as_deref()), ("form-data", Some("_attachments")));
    }

    #[test]
    fn a_written_file_name_reads_back() {
        for name in ["a.txt", "a \"b\" \\c", "é/ü", "; x=y"] {
            check_filename(&disposition("attachment", name), Some(name));
        }
        assert_eq!(disposition("attachment", "a\r\nb"), "attachment; filename=\"a%0D%0Ab\"");
    }
}
