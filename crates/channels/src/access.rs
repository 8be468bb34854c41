//! What a user may see.

use crate::Periods;
use std::collections::BTreeMap;
use tidegate_types::{Channel, Seq};

/// Which channels somebody was given, and when.
pub type Grants = BTreeMap<Channel, Periods>;

/// The channels that somebody has and had: its own, those of its roles, and `!`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    channels: Grants,
    sees_all: bool,
}

impl Access {
    /// Access to every document.
    pub fn everything() -> Self {
        Self::of([(Channel::all(), Periods::open_since(Seq::ZERO))].into())
    }

    /// Access by these channels, and no others.
    pub fn of(channels: Grants) -> Self {
        let sees_all = channels.get("*").is_some_and(|periods| periods.current().is_some());
        Self { channels, sees_all }
    }

    /// Of a user: by its own channels, by those of its roles during the periods in which it has them, and by `!`.
    pub fn of_user(own: Grants, roles: impl IntoIterator<Item = (Periods, Grants)>) -> Self {
        let mut channels = own;
        channels.insert(Channel::public(), Periods::open_since(Seq::ZERO));
        for (held, grants) in roles {
            for (channel, periods) in grants {
                let periods = periods.intersection(&held);
                if periods.as_slice().is_empty() {
                    continue;
                }
                let known = channels.entry(channel).or_default();
                *known = known.union(&periods);
            }
        }
        Self::of(channels)
    }

    /// Access by some of the channels alone: of those that it has, or that `*` stands for.
    #[must_use]
    pub fn within(&self, wanted: &[Channel]) -> Self {
        if wanted.iter().any(Channel::is_all) {
            return self.clone();
        }
        let all = self.channels.get("*").cloned().unwrap_or_default();
        let of = |channel: &Channel| self.channels.get(channel).map_or_else(|| all.clone(), |own| own.union(&all));
        let channels = wanted.iter().map(|channel| (channel.clone(), of(channel)));
        Self::of(channels.filter(|(_, periods)| !periods.as_slice().is_empty()).collect())
    }

    /// Whether every document may be seen.
    pub fn sees_all(&self) -> bool {
        self.sees_all
    }

    /// Whether a document in these channels may be seen.
    pub fn sees<'c>(&self, channels: impl IntoIterator<Item = &'c Channel>) -> bool {
        self.sees_all || channels.into_iter().any(|channel| self.since(channel).is_some())
    }

    /// Since when a channel is there, if it is.
    pub fn since(&self, channel: &Channel) -> Option<Seq> {
        self.channels.get(channel)?.current()
    }

    /// The channels there are, in their order, and since when.
    pub fn current(&self) -> impl Iterator<Item = (&Channel, Seq)> {
        self.channels.iter().filter_map(|(channel, periods)| Some((channel, periods.current()?)))
    }

    /// All channels there are or were.
    pub fn channels(&self) -> impl Iterator<Item = (&Channel, &Periods)> {
        self.channels.iter()
    }
}
