//! What torture writes: bodies and attachments made from a number, so that a document read later can be checked whole.

use base64::{Engine, engine::general_purpose::STANDARD};
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};

use crate::document::mix;

/// Types that no server compresses, so that digests are of these very bytes.
pub(super) const ATTACHMENT_TYPE: &str = "application/octet-stream";

/// The members of the document body `marker`; some hundred bytes to some kilobytes.
pub(super) fn body(marker: u64) -> Map<String, Value> {
    let random = mix(marker);
    let words: Vec<Value> = (0..random % 150).map(|word| Value::String(format!("{:x}", mix(random ^ word)))).collect();
    let body = json!({ "marker": marker, "words": words, "nested": { "ünïcode\n": [null, true, 1.50, -7] } });
    match body {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// An attachment made from its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attachment {
    number: u64,
    /// Its length in bytes.
    pub(super) length: usize,
}

impl Attachment {
    /// Up to 128 KB, more often short than long.
    pub(super) fn new(number: u64) -> Self {
        let bits = 6 + mix(number) % 12;
        Self { number, length: usize::try_from(mix(number ^ 1) % (1 << bits)).unwrap_or_default() }
    }

    /// Its bytes.
    pub(super) fn bytes(self) -> Vec<u8> {
        let words = (0..self.length.div_ceil(8) as u64).flat_map(|word| mix(self.number ^ (word << 20)).to_le_bytes());
        words.take(self.length).collect()
    }

    /// Its bytes as they stand in a document's JSON.
    pub(super) fn inline(self) -> Value {
        json!({ "content_type": ATTACHMENT_TYPE, "data": STANDARD.encode(self.bytes()) })
    }

    /// What stands for it in the JSON of a document that has it already.
    pub(super) fn stub(self) -> Value {
        json!({ "content_type": ATTACHMENT_TYPE, "digest": self.digest(), "length": self.length, "stub": true })
    }

    /// Its digest as CouchDB writes it.
    pub(super) fn digest(self) -> String {
        format!("md5-{}", STANDARD.encode(Md5::digest(self.bytes())))
    }
}

/// Escapes a document id or attachment name for a path.
pub(super) fn escape(name: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    name.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_follow_from_their_number() {
        assert_eq!(body(7), body(7));
        assert_ne!(body(7), body(8));
        for number in 0..200 {
            let attachment = Attachment::new(number);
            assert_eq!(attachment.bytes().len(), attachment.length);
            assert!(attachment.length < 128 * 1024);
        }
        assert_eq!(Attachment { number: 1, length: 0 }.digest(), "md5-1B2M2Y8AsgTpgAmY7PhCfg==");
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(escape("a/ü +1"), "a%2F%C3%BC%20%2B1");
    }
}
