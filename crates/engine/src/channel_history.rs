//! Which channels a user had, and a document was in, and when.

use crate::{Absence, Database, Error};
use std::collections::BTreeMap;
use tidegate_channels::{Period, Periods};
use tidegate_types::{Channel, DocId, PrincipalName, Seq};

/// Channels, and the sequences during which something was the case with each.
pub type ChannelHistory = BTreeMap<Channel, Periods>;

impl Database {
    /// The channels that a user has or had, by itself or by its roles; `None` if there is no such user.
    ///
    /// # Errors
    /// [`Error::Access`] for all but administrators, the database is gone, or the storage failed.
    pub async fn user_channels(&self, name: &PrincipalName) -> Result<Option<ChannelHistory>, Error> {
        self.check_admin()?;
        let known = self.engine.inner.principals.user(&self.store, name).await?;
        let history = |known: &crate::principals::Known| {
            let channels = known.standing.access.channels();
            channels.map(|(channel, periods)| (channel.clone(), periods.clone())).collect()
        };
        Ok(known.as_deref().map(history))
    }

    /// The channels that a document is or was in, as far back as its revisions are kept, counted from the sequences at
    /// which they were written.
    ///
    /// # Errors
    /// [`Error::Access`] for all but administrators, [`Error::NotFound`], the database is gone, or the storage failed.
    pub async fn document_channels(&self, id: &DocId) -> Result<ChannelHistory, Error> {
        self.check_admin()?;
        let reader = self.store.reader()?;
        let state = reader.document(id).await?.ok_or(Error::NotFound(Absence::Missing))?;
        let winner = state.tree.winner().ok_or(Error::NotFound(Absence::Missing))?.rev.clone();
        let mut bodies: Vec<Seq> = state.tree.path(&winner).iter().filter_map(|node| node.body.stored()).collect();
        bodies.reverse();
        let asked: Vec<Option<Seq>> = bodies.iter().copied().map(Some).collect();
        let assigned = reader.assigned_many(&asked).await?;
        Ok(history(bodies.into_iter().zip(assigned.into_iter().map(|assigned| assigned.channels))))
    }
}

/// What follows from the channels of each revision, oldest first.
fn history(revisions: impl Iterator<Item = (Seq, Vec<Channel>)>) -> ChannelHistory {
    let mut history = ChannelHistory::new();
    for (seq, channels) in revisions {
        for (channel, periods) in &mut history {
            if !channels.contains(channel) {
                periods.close(seq);
            }
        }
        for channel in channels {
            let periods = history.entry(channel).or_default();
            if periods.current().is_none() {
                periods.open(seq);
            }
        }
    }
    history
}

/// Periods as `since-until`, where what goes on ends with zero. Source: Sync Gateway, `auth.GrantHistorySequencePair`.
pub fn spans(periods: &Periods) -> Vec<String> {
    let span = |period: &Period| format!("{}-{}", period.since, period.until.unwrap_or(Seq::ZERO));
    periods.as_slice().iter().map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_comes_and_goes() {
        let revisions = [(1, vec!["a"]), (4, vec!["a", "b"]), (6, vec!["b"]), (9, vec!["a"])];
        let channels = |names: Vec<&str>| names.into_iter().map(|name| name.parse().unwrap()).collect();
        let found = history(revisions.into_iter().map(|(seq, names)| (Seq::new(seq), channels(names))));
        let shown: Vec<_> = found.iter().map(|(channel, periods)| format!("{channel} {:?}", spans(periods))).collect();
        assert_eq!(shown, [r#"a ["1-6", "9-0"]"#, r#"b ["4-9"]"#]);
    }
}
