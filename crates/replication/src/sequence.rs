//! The source's sequences, which only the source understands.

use std::{fmt, sync::Arc};

use serde_json::Value;

/// A place in the source's feed: any JSON value, given back as it came.
///
/// A text of CouchDB 2 and later, a number of CouchDB 1, an array of BigCouch. Two of them have no order: what comes
/// after what is known from the feed alone. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SourceSeq(Arc<str>);

impl SourceSeq {
    /// Before every change.
    pub fn zero() -> Self {
        Self("0".into())
    }

    /// The sequence that `value` is.
    pub fn from_json(value: &Value) -> Self {
        Self(value.to_string().into())
    }

    /// The sequence as JSON, as it came.
    pub fn to_json(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or(Value::Null)
    }

    /// The text to send in `since`: a string without its quotes, all else as JSON.
    pub fn to_since(&self) -> String {
        match self.to_json() {
            Value::String(text) => text,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                self.0.as_ref().to_owned()
            }
        }
    }

    /// Whether it lies before every change.
    pub fn is_zero(&self) -> bool {
        matches!(self.0.as_ref(), "0" | "\"0\"" | "null")
    }

    /// The number, where the sequence is nothing but a number. The number in front of CouchDB's opaque texts is a sum
    /// over shards and says little.
    pub(crate) fn as_number(&self) -> Option<u64> {
        self.0.parse().ok()
    }
}

impl fmt::Debug for SourceSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, since: &str) {
        let value: Value = serde_json::from_str(json).unwrap();
        let seq = SourceSeq::from_json(&value);
        assert_eq!(seq.to_json(), value);
        assert_eq!(seq.to_since(), since);
    }

    #[test]
    fn a_sequence_goes_back_as_it_came() {
        check("12", "12");
        check("\"12-g1AA\"", "12-g1AA");
        check("[12,\"x\"]", "[12,\"x\"]");
        check("123456789012345678901234567890", "123456789012345678901234567890");
    }
}
