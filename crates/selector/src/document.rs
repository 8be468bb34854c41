//! A document as it is stored: members as text, and what isn't part of them.

/// A document to match, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    /// The members whose names begin with `_` (`_id`, `_rev`, `_deleted`, `_attachments` …): names and JSON text. Only those
    /// that the selector [`reads`](crate::Selector::reads) need be there.
    pub special: &'a [(&'a str, &'a [u8])],
    /// All others as JSON text, without the braces around them, as `tidegate_json::Document::members` has them.
    pub members: &'a [u8],
}

impl Document<'_> {
    /// The document as one JSON text, special members first.
    pub(crate) fn to_text(self) -> Vec<u8> {
        let mut text = vec![b'{'];
        for (name, value) in self.special {
            separate(&mut text);
            tidegate_json::write_string(&mut text, name);
            text.push(b':');
            text.extend_from_slice(value);
        }
        if !self.members.trim_ascii().is_empty() {
            separate(&mut text);
            text.extend_from_slice(self.members);
        }
        text.push(b'}');
        text
    }
}

fn separate(text: &mut Vec<u8>) {
    if text.len() > 1 {
        text.push(b',');
    }
}
