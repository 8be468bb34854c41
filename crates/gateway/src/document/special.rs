//! The `_` members of documents that Sync Gateway knows. Source: `spec/gateway.md` 2.3.

use tidegate_documents::{Edits, Error, Fault, Rules, Use};

/// The rules for documents that come this way.
pub(super) fn rules(edits: Edits) -> Rules {
    match edits {
        Edits::Made => made,
        Edits::Replicated => replicated,
    }
}

/// Of an edit made here: what it says of its history is nothing to go by.
fn made(name: &str, value: &[u8]) -> Result<Use, Error> {
    if name == "_revisions" { Ok(Use::Nothing) } else { replicated(name, value) }
}

fn replicated(name: &str, value: &[u8]) -> Result<Use, Error> {
    let is_object = value.first() == Some(&b'{');
    match name {
        // Clients that keep no revision yet say so with the empty one.
        "_rev" if matches!(value, b"\"\"" | b"null") => Ok(Use::Nothing),
        "_id" | "_rev" => Ok(Use::Meaning),
        "_deleted" if matches!(value, b"true" | b"false") => Ok(Use::Meaning),
        "_revisions" | "_attachments" if is_object => Ok(Use::Meaning),
        "_deleted" | "_revisions" | "_attachments" => Err(Error::bad_request(format!("Invalid {name}"))),
        "_cv" | "_exp" if value == b"null" => Ok(Use::Nothing),
        "_cv" | "_exp" => Ok(Use::Told),
        "_purged" => Err(reserved("user defined top-level property '_purged' is not allowed in document body")),
        "_removed" => Err(Error::refused(Fault::Inaccessible, "Document revision is not accessible")),
        _ if name.starts_with("_sync") => {
            Err(reserved(format!("document-top level property '{name}' is a reserved internal property")))
        }
        _ => Ok(Use::Body),
    }
}

fn reserved(reason: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::refused(Fault::Special, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_of_each() {
        let check = |edits, name: &str, value: &str, expected: Use| {
            assert_eq!(rules(edits)(name, value.as_bytes()).unwrap(), expected, "{name}");
        };
        check(Edits::Made, "_rev", "\"\"", Use::Nothing);
        check(Edits::Made, "_rev", "\"1-a\"", Use::Meaning);
        check(Edits::Made, "_revisions", "1", Use::Nothing);
        check(Edits::Replicated, "_revisions", "{}", Use::Meaning);
        check(Edits::Made, "_cv", "\"1@a\"", Use::Told);
        check(Edits::Made, "_foo", "1", Use::Body);
    }

    #[test]
    fn what_is_refused() {
        let check = |name: &str, value: &str, expected: &str| {
            assert_eq!(rules(Edits::Replicated)(name, value.as_bytes()).unwrap_err().to_string(), expected);
        };
        check("_sync", "{}", "document-top level property '_sync' is a reserved internal property");
        check("_purged", "true", "user defined top-level property '_purged' is not allowed in document body");
        check("_removed", "true", "Document revision is not accessible");
        check("_attachments", "[]", "Invalid _attachments");
        check("_revisions", "[]", "Invalid _revisions");
        check("_deleted", "1", "Invalid _deleted");
    }
}
