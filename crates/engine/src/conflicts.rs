//! Whether documents may have conflicts.

use crate::{Database, Error};
use tidegate_store::History;

/// The setting, and what it says where they may not.
pub(crate) const CONFLICTS: &str = "conflicts";
const REFUSED: &[u8] = b"refused";

/// What becomes of a revision from elsewhere that doesn't follow the winner of its document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflicts {
    /// It is kept beside the winner, as CouchDB does.
    #[default]
    Kept,
    /// It is refused, as Sync Gateway does since version 4: whoever sends it has to resolve the conflict first.
    Refused,
}

impl Conflicts {
    pub(crate) async fn load(store: &tidegate_store::Database) -> Result<Self, Error> {
        let text = store.setting(CONFLICTS).await?;
        Ok(if text.is_some_and(|text| text == REFUSED) { Self::Refused } else { Self::Kept })
    }

    /// Where a revision may stand then.
    pub(crate) fn placed(self, history: History) -> History {
        match (self, history) {
            (Self::Refused, History::Replicated(path)) => History::Linear(path),
            (Self::Kept | Self::Refused, history) => history,
        }
    }
}

impl Database {
    /// Sets whether documents may have conflicts, from now on: those that are there stay.
    ///
    /// # Errors
    /// [`Error::Access`] for all but administrators, the database is gone, or the storage failed.
    pub async fn set_conflicts(&self, conflicts: Conflicts) -> Result<(), Error> {
        self.renewed().await?.check_admin()?;
        let text = match conflicts {
            Conflicts::Kept => b"".as_slice(),
            Conflicts::Refused => REFUSED,
        };
        Ok(self.store.put_setting(CONFLICTS, text).await?)
    }
}
