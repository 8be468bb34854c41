//! Partitions: databases whose documents' ids begin with the name of a partition and a colon.
//!
//! Source: `couch_partition`.

mod fullness;

pub(crate) use fullness::Measurements;

use crate::{Database, Error, Layout};
use std::ops::Bound;
use tidegate_store::{DocRange, Order, Usage};
use tidegate_types::{DocId, DocKind};

/// The name of a partition of a database that has them: only [`Database::partition`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition(String);

impl Partition {
    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Below the ids of its documents.
    pub fn start(&self) -> String {
        format!("{}:", self.0)
    }

    /// Above the ids of its documents.
    pub fn end(&self) -> String {
        format!("{};", self.0)
    }

    /// Whether a document is in it.
    pub fn holds(&self, id: &DocId) -> bool {
        id.as_str().strip_prefix(self.0.as_str()).is_some_and(|rest| rest.starts_with(':'))
    }
}

impl Database {
    /// Checks that a document of this id can stand in the database.
    ///
    /// # Errors
    /// [`Error::IllegalDocId`], [`Error::IllegalPartition`].
    pub fn check_doc_id(&self, id: &DocId) -> Result<(), Error> {
        match self.layout() {
            Layout::Whole => Ok(()),
            Layout::Partitioned => check_doc_id(id),
        }
    }

    /// The partition of this name; it needn't hold anything.
    ///
    /// # Errors
    /// [`Error::NotPartitioned`], [`Error::IllegalPartition`].
    pub fn partition(&self, name: &str) -> Result<Partition, Error> {
        match self.layout() {
            Layout::Whole => Err(Error::NotPartitioned),
            Layout::Partitioned => check(name).map(|()| Partition(name.to_owned())),
        }
    }

    /// Rows of one list, of a partition or of the whole.
    pub fn query_limit(&self, of: Option<&Partition>) -> u64 {
        let live = self.engine.live();
        if of.is_some() { live.partition_query_limit } else { live.query_limit }
    }

    /// What a partition takes. All of its documents are read.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn partition_usage(&self, partition: &Partition) -> Result<Usage, Error> {
        let (start, end) = (Bound::Included(partition.start()), Bound::Excluded(partition.end()));
        Ok(self.store.reader()?.usage(&DocRange { start, end, order: Order::Ascending }).await?)
    }
}

/// Whether an id may stand in a partitioned database.
pub(crate) fn check_doc_id(id: &DocId) -> Result<(), Error> {
    match id.kind() {
        DocKind::Design | DocKind::Local => Ok(()),
        DocKind::Plain => {
            let (partition, rest) =
                id.as_str().split_once(':').ok_or(Error::IllegalDocId("Doc id must be of form partition:id"))?;
            check(partition)?;
            match rest {
                "" => Err(Error::IllegalDocId("Document id must not be empty")),
                _ if rest.starts_with('_') => {
                    Err(Error::IllegalDocId("Only reserved document ids may start with underscore."))
                }
                _ => Ok(()),
            }
        }
    }
}

/// Whether this can be the name of a partition.
///
/// # Errors
/// [`Error::IllegalPartition`].
pub fn check(partition: &str) -> Result<(), Error> {
    match partition {
        "" => Err(Error::IllegalPartition("Partition must not be empty")),
        _ if partition.starts_with('_') => Err(Error::IllegalPartition("Partition must not start with an underscore")),
        _ if partition.contains(':') => Err(Error::IllegalPartition("Partition must not contain a colon")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(id: &str) -> Option<String> {
        check_doc_id(&id.parse().unwrap()).err().map(|error| error.to_string())
    }

    #[test]
    fn ids_begin_with_their_partition() {
        assert_eq!(refusal("p:a"), None);
        assert_eq!(refusal("p:a:b"), None);
        assert_eq!(refusal("_design/d"), None);
        assert_eq!(refusal("a").unwrap(), "Doc id must be of form partition:id");
        assert_eq!(refusal(":a").unwrap(), "Partition must not be empty");
        assert_eq!(refusal("p:").unwrap(), "Document id must not be empty");
        assert_eq!(refusal("p:_a").unwrap(), "Only reserved document ids may start with underscore.");
        assert!(check("a:b").is_err());
        assert!(check("_a").is_err());
    }

    #[test]
    fn a_partition_holds_what_begins_with_its_name_and_a_colon() {
        let partition = Partition("p".to_owned());
        let holds = |id: &str| {
            let held = partition.holds(&id.parse().unwrap());
            assert_eq!(held, *partition.start() <= *id && *id < *partition.end(), "{id}");
            held
        };
        assert!(holds("p:a") && holds("p:"));
        assert!(!holds("p") && !holds("pp:a") && !holds("p;") && !holds("o:a") && !holds("_design/p:a"));
    }
}
