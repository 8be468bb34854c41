//! What a caller may see of a database, at the moment of a snapshot.
//!
//! Whoever reads documents asks for a [`Sight`] first: the snapshot comes with it, and was taken before it was found out
//! what the caller may see. So what the snapshot holds has been judged by rights that are at least as new.

use crate::{Database, Error, principals::Viewer, rules::Rules};
use std::sync::Arc;
use tidegate_channels::Access;
use tidegate_store::{Assigned, Reader, Standing};
use tidegate_types::{Channel, Seq};

/// A snapshot, and what the caller may see of it.
pub(crate) struct Sight {
    pub(crate) reader: Reader,
    pub(crate) access: Visibility,
}

/// What a caller may see.
#[derive(Clone, Debug)]
pub(crate) enum Visibility {
    /// Every document.
    Everything,
    /// The documents of its channels.
    Channels(Arc<crate::principals::Known>),
}

/// Whether a revision with which a document left its reader's channels is told of, without its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stubs {
    /// It is.
    #[default]
    Told,
    /// It isn't, unless it is a tombstone: in the dialect it would look like a document with nothing in it.
    Hidden,
}

/// What is shown of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All of it.
    Whole,
    /// That it is there: its document left with it the channels that the reader has.
    Stub,
}

impl Database {
    /// The database as it is now, and what the caller may see of it.
    pub(crate) async fn sight(&self) -> Result<Sight, Error> {
        let reader = self.store.reader()?;
        let access = match &self.viewer {
            Viewer::Everything => Visibility::Everything,
            Viewer::User(name) => {
                let known = self.engine.inner.principals.user(&self.store, name).await?;
                Visibility::Channels(known.filter(|known| known.settings.is_enabled()).ok_or_else(gone)?)
            }
        };
        Ok(Sight { reader, access })
    }

    /// The database for a dialect that has no word for revisions of which no more may be seen than that they are there:
    /// they can't be seen at all.
    #[must_use]
    pub fn without_stubs(self) -> Self {
        Self { stubs: Stubs::Hidden, ..self }
    }

    /// What is shown of a revision, which may be a tombstone, as the dialect can say it.
    pub(crate) fn sayable(&self, shown: Option<Shown>, is_tombstone: bool) -> Option<Shown> {
        shown.filter(|shown| *shown == Shown::Whole || self.stubs == Stubs::Told || is_tombstone)
    }

    /// Whether users may learn of documents that they may not see.
    pub fn existence(&self) -> Existence {
        self.rules.existence
    }

    /// Sets whether users may learn of documents that they may not see.
    ///
    /// # Errors
    /// [`Error::Access`], the database is gone, or the storage failed.
    pub async fn set_existence(&self, existence: Existence) -> Result<(), Error> {
        self.renewed().await?.check_admin()?;
        Rules::set_existence(&self.store, existence).await
    }

    /// What is told of a document that the caller may not see.
    pub(crate) fn hidden(&self) -> Error {
        match self.rules.existence {
            Existence::Hidden => Error::NotFound(crate::Absence::Missing),
            Existence::Told => tidegate_access::Error::Forbidden("forbidden".into()).into(),
        }
    }
}

/// Whether somebody may learn that there is a document it may not see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existence {
    /// It may: such documents are forbidden, others are missing. As Sync Gateway has it.
    #[default]
    Told,
    /// It may not: all of them are missing.
    Hidden,
}

fn gone() -> Error {
    tidegate_access::Error::Unauthorized("You are not authorized to access this db.".into()).into()
}

impl Visibility {
    /// By which standing it was found; `None` for one who sees everything.
    pub(crate) fn standing(&self) -> Option<&Standing> {
        match self {
            Self::Everything => None,
            Self::Channels(known) => Some(&known.standing),
        }
    }

    /// When it was found out, as a sequence.
    pub(crate) fn at(&self) -> Seq {
        match self {
            Self::Everything => Seq::ZERO,
            Self::Channels(known) => known.standing.at,
        }
    }

    /// The channels that are seen; `None` for one who sees everything anyway.
    pub(crate) fn access(&self) -> Option<&Access> {
        match self {
            Self::Everything => None,
            Self::Channels(known) => Some(&known.standing.access).filter(|access| !access.sees_all()),
        }
    }

    /// What is shown of a revision on which this was decided; `None` if nothing is.
    pub(crate) fn shows(&self, assigned: &Assigned) -> Option<Shown> {
        let Some(access) = self.access() else { return Some(Shown::Whole) };
        if access.sees(&assigned.channels) {
            return Some(Shown::Whole);
        }
        access.sees(&assigned.left).then_some(Shown::Stub)
    }
}

impl Sight {
    /// What is shown of the revision with this body; `None` if nothing is.
    pub(crate) async fn shows(&self, body: Option<Seq>) -> Result<Option<Shown>, Error> {
        if self.access.access().is_none() {
            return Ok(Some(Shown::Whole));
        }
        let Some(body) = body else { return Ok(None) };
        Ok(self.access.shows(&self.reader.assigned(body).await?))
    }

    /// What is shown of the revisions with these bodies, in the order asked for.
    pub(crate) async fn shows_each(&self, bodies: &[Option<Seq>]) -> Result<Vec<Option<Shown>>, Error> {
        if self.access.access().is_none() {
            return Ok(vec![Some(Shown::Whole); bodies.len()]);
        }
        let assigned = self.reader.assigned_many(bodies).await?;
        Ok(assigned.iter().map(|assigned| self.access.shows(assigned)).collect())
    }

    /// The channels by which documents are seen, of those that were asked for; all of them if none were.
    pub(crate) fn access_within(&self, wanted: Option<&[Channel]>) -> Access {
        let all = match &self.access {
            Visibility::Everything => Access::everything(),
            Visibility::Channels(known) => known.standing.access.clone(),
        };
        wanted.map_or_else(|| all.clone(), |wanted| all.within(wanted))
    }
}
