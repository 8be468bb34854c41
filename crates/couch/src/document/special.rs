//! The `_` members of documents that CouchDB knows. Source of names and texts: `couch_doc:from_json_obj`.

use tidegate_documents::{Error, Fault, Use};

/// What is made of a `_` member.
pub(crate) fn rules(name: &str, value: &[u8]) -> Result<Use, Error> {
    let is_object = value.first() == Some(&b'{');
    match name {
        "_id" | "_rev" => Ok(Use::Meaning),
        "_deleted" if matches!(value, b"true" | b"false") => Ok(Use::Meaning),
        "_revisions" | "_attachments" if is_object => Ok(Use::Meaning),
        "_revs_info" | "_local_seq" | "_conflicts" | "_deleted_conflicts" => Ok(Use::Nothing),
        "_access"
        | "_replication_state"
        | "_replication_state_time"
        | "_replication_state_reason"
        | "_replication_id"
        | "_replication_stats" => Ok(Use::Body),
        _ => Err(Error::refused(Fault::Special, format!("Bad special document member: {name}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_couchdb_does_not_know_is_refused() {
        let refusal = |name: &str, value: &str| rules(name, value.as_bytes()).unwrap_err().to_string();
        for (name, value) in
            [("_zing", "4"), ("_", "4"), ("_Id", "4"), ("_deleted", "1"), ("_attachments", "[]"), ("_revisions", "[]")]
        {
            assert_eq!(refusal(name, value), format!("Bad special document member: {name}"));
        }
        assert_eq!(rules("_conflicts", b"[]").unwrap(), Use::Nothing);
        assert_eq!(rules("_replication_state", b"1").unwrap(), Use::Body);
    }
}
