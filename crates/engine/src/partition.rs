//! Partitions: databases whose documents' ids begin with the name of a partition and a colon.
//!
//! Source: `couch_partition`.

use crate::Error;
use tidegate_types::{DocId, DocKind};

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
}
