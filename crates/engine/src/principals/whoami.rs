//! What a caller is told of itself.

use crate::{Database, Error};
use std::collections::BTreeMap;
use tidegate_channels::Access;
use tidegate_types::{Channel, PrincipalName, Seq};

use super::Viewer;

/// Who a caller is, in a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhoAmI {
    /// Its name; none for the guest, and for administrators.
    pub name: Option<PrincipalName>,
    /// Its channels, and since when it has them; `None` for administrators, who need none.
    pub channels: Option<BTreeMap<Channel, Seq>>,
}

impl Database {
    /// Who its caller is.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn who_am_i(&self) -> Result<WhoAmI, Error> {
        let name = match &self.viewer {
            Viewer::Everything => return Ok(WhoAmI::default()),
            Viewer::User(name) => name,
        };
        let known = self.engine.inner.principals.user(&self.store, name).await?;
        let channels = known.map(|known| channels(&known.standing.access)).unwrap_or_default();
        let name = Some(name.clone()).filter(|name| *name != PrincipalName::guest());
        Ok(WhoAmI { name, channels: Some(channels) })
    }
}

/// The channels there are. Everybody has had `!` since the first sequence.
pub(super) fn channels(access: &Access) -> BTreeMap<Channel, Seq> {
    access.current().map(|(channel, since)| (channel.clone(), since.max(Seq::new(1)))).collect()
}
