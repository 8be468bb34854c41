//! The database under torture: how to reach it, and what its indexes say when all is quiet.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::ledger::Revision;
use crate::{
    Error,
    client::{Connection, Request, seq_text},
};

/// Its path.
pub(super) const PATH: &str = "/torture";

/// A row of the changes feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) seq: u64,
    /// As written, winner first.
    pub(super) revisions: Vec<String>,
    pub(super) deleted: bool,
}

impl Row {
    /// Reads `{"seq":…,"id":…,"changes":[…]}`: the document's id, the sequence as text, the row.
    pub(super) fn parse(value: &Value) -> Option<(String, String, Self)> {
        let since = seq_text(value.get("seq")?);
        let changes = value.get("changes")?.as_array()?.iter();
        let revisions = changes.filter_map(|change| change.get("rev")?.as_str().map(str::to_owned)).collect();
        let deleted = value.get("deleted") == Some(&Value::Bool(true));
        let row = Self { seq: seq_number(&since)?, revisions, deleted };
        Some((value.get("id")?.as_str()?.to_owned(), since, row))
    }

    /// The leaves as a set.
    ///
    /// # Errors
    /// In words, if one isn't a revision.
    pub(super) fn leaves(&self) -> Result<BTreeSet<Revision>, String> {
        self.revisions.iter().map(|revision| revision.parse()).collect()
    }
}

/// The number that starts a sequence.
pub(super) fn seq_number(text: &str) -> Option<u64> {
    text.split('-').next()?.parse().ok()
}

/// What the indexes say.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) update_seq: u64,
    pub(super) doc_count: u64,
    /// Some peers don't tell.
    pub(super) doc_del_count: Option<u64>,
    /// The changes feed in its order.
    pub(super) changes: Vec<(String, Row)>,
    pub(super) last_seq: u64,
    /// `_all_docs` in its order, with revisions.
    pub(super) all_docs: Vec<(String, String)>,
    pub(super) total_rows: u64,
}

impl View {
    /// Reads it through the indexes' own requests.
    ///
    /// # Errors
    /// When the server doesn't answer as it should.
    pub(super) async fn load(connection: &mut Connection) -> Result<Self, Error> {
        let information = connection.json(Request::new("GET", PATH)).await?;
        let changes = format!("{PATH}/_changes?style=all_docs");
        let changes = connection.json(Request::new("GET", &changes)).await?;
        let all_docs = format!("{PATH}/_all_docs");
        let all_docs = connection.json(Request::new("GET", &all_docs)).await?;
        Self::parse(&information, &changes, &all_docs)
            .ok_or(Error::Member { request: format!("GET {PATH} and its indexes"), member: "well-formed row" })
    }

    fn parse(information: &Value, changes: &Value, all_docs: &Value) -> Option<Self> {
        let row = |value: &Value| Row::parse(value).map(|(id, _since, row)| (id, row));
        let document = |value: &Value| {
            let revision = value.get("value")?.get("rev")?.as_str()?;
            Some((value.get("id")?.as_str()?.to_owned(), revision.to_owned()))
        };
        Some(Self {
            update_seq: seq_number(&seq_text(information.get("update_seq")?))?,
            doc_count: information.get("doc_count")?.as_u64()?,
            doc_del_count: information.get("doc_del_count").and_then(Value::as_u64),
            changes: changes.get("results")?.as_array()?.iter().map(row).collect::<Option<_>>()?,
            last_seq: seq_number(&seq_text(changes.get("last_seq")?))?,
            all_docs: all_docs.get("rows")?.as_array()?.iter().map(document).collect::<Option<_>>()?,
            total_rows: all_docs.get("total_rows")?.as_u64()?,
        })
    }

    /// Where the indexes contradict one another or themselves.
    pub(super) fn contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut check = |holds: bool, text: &dyn Fn() -> String| {
            if !holds {
                found.push(text())
            }
        };
        let ids: BTreeMap<&str, &Row> = self.changes.iter().map(|(id, row)| (id.as_str(), row)).collect();
        check(ids.len() == self.changes.len(), &|| "a document is twice in _changes".to_owned());
        check(self.changes.is_sorted_by(|a, b| a.1.seq < b.1.seq), &|| "_changes is not in order".to_owned());
        check(self.all_docs.is_sorted_by(|a, b| a.0 < b.0), &|| "_all_docs is not in order".to_owned());
        let newest = self.changes.last().map_or(0, |(_id, row)| row.seq);
        check(newest == self.update_seq && newest == self.last_seq, &|| {
            format!("the newest row is {newest}, last_seq {}, update_seq {}", self.last_seq, self.update_seq)
        });
        let live: BTreeMap<&str, &str> =
            ids.iter().filter(|(_id, row)| !row.deleted).map(|(id, row)| (*id, winner(row))).collect();
        let listed: BTreeMap<&str, &str> = self.all_docs.iter().map(|(id, rev)| (id.as_str(), rev.as_str())).collect();
        for (id, rev) in live.iter().filter(|(id, rev)| listed.get(*id) != Some(*rev)) {
            check(false, &|| format!("{id} is {rev} in _changes and {:?} in _all_docs", listed.get(id)));
        }
        let counts = [self.doc_count, self.total_rows, self.all_docs.len() as u64, live.len() as u64];
        check(counts.iter().all(|count| *count == self.doc_count), &|| {
            format!("doc_count, total_rows, rows of _all_docs, live rows of _changes: {counts:?}")
        });
        let gone = (ids.len() - live.len()) as u64;
        check(self.doc_del_count.is_none_or(|count| count == gone), &|| {
            format!("doc_del_count is {:?}, _changes has {gone} deleted", self.doc_del_count)
        });
        found
    }
}

fn winner(row: &Row) -> &str {
    row.revisions.first().map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        let row = |seq, rev: &str, deleted| Row { seq, revisions: vec![rev.to_owned()], deleted };
        View {
            update_seq: 4,
            doc_count: 2,
            doc_del_count: Some(1),
            changes: vec![
                ("b".to_owned(), row(2, "1-x", false)),
                ("a".to_owned(), row(3, "2-y", false)),
                ("c".to_owned(), row(4, "2-z", true)),
            ],
            last_seq: 4,
            all_docs: vec![("a".to_owned(), "2-y".to_owned()), ("b".to_owned(), "1-x".to_owned())],
            total_rows: 2,
        }
    }

    #[test]
    fn agreeing_indexes_pass_and_each_contradiction_is_seen() {
        assert_eq!(view().contradictions(), Vec::<String>::new());
        let spoil: [fn(&mut View); 9] = [
            |view| view.update_seq = 5,
            |view| view.last_seq = 3,
            |view| view.doc_count = 3,
            |view| view.doc_del_count = Some(0),
            |view| view.total_rows = 1,
            |view| view.changes.swap(0, 1),
            |view| view.changes[1].0 = "b".to_owned(),
            |view| view.all_docs[1].1 = "1-w".to_owned(),
            |view| drop(view.all_docs.pop()),
        ];
        for (index, spoil) in spoil.iter().enumerate() {
            let mut view = view();
            spoil(&mut view);
            assert_ne!(view.contradictions(), Vec::<String>::new(), "case {index}");
        }
    }

    #[test]
    fn rows() {
        let row = serde_json::json!({"seq": "12-ab", "id": "d", "changes": [{"rev": "2-a"}, {"rev": "1-b"}]});
        let (id, since, row) = Row::parse(&row).unwrap();
        assert_eq!((id.as_str(), since.as_str(), row.seq, row.deleted), ("d", "12-ab", 12, false));
        assert_eq!(row.leaves().unwrap().len(), 2);
    }
}
