//! What a replication that came to its end answers.

use serde_json::{Map, Value};

use crate::Checkpoint;

/// The answer of `_replicate`.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The last checkpoint of the session.
    Checkpointed(Checkpoint),
    /// There was nothing to do; the checkpoint of an earlier session, if there was one.
    NoChanges(Option<Checkpoint>),
    /// The job asked for no checkpoints.
    WithoutCheckpoints,
}

impl Report {
    /// CouchDB's members, in its order.
    pub fn to_json(&self) -> Value {
        let mut members = Map::new();
        members.insert("ok".to_owned(), Value::Bool(true));
        match self {
            Self::Checkpointed(checkpoint) => members.extend(checkpoint.to_json()),
            Self::NoChanges(last) => {
                members.insert("no_changes".to_owned(), Value::Bool(true));
                members.extend(last.iter().flat_map(Checkpoint::to_json));
            }
            Self::WithoutCheckpoints => {
                members.insert("use_checkpoints".to_owned(), Value::Bool(false));
            }
        }
        Value::Object(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn results_are_couchdbs() {
        let checkpoint = Checkpoint::from_json(&json!({"session_id": "s", "source_last_seq": "4-x", "history": []}));
        let check = |report: Report, json: &str| assert_eq!(report.to_json().to_string(), json);
        let members = r#""session_id":"s","source_last_seq":"4-x","replication_id_version":4,"history":[]}"#;
        check(Report::Checkpointed(checkpoint.clone()), &format!(r#"{{"ok":true,{members}"#));
        check(Report::NoChanges(Some(checkpoint)), &format!(r#"{{"ok":true,"no_changes":true,{members}"#));
        check(Report::NoChanges(None), r#"{"ok":true,"no_changes":true}"#);
        check(Report::WithoutCheckpoints, r#"{"ok":true,"use_checkpoints":false}"#);
    }
}
