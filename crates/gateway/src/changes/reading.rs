//! A feed being read: the rows that its parameters let through, one batch after the other, and the waits between.

use super::{
    hall::{Company, Shape},
    params::{Deleted, Params, Wait},
    row::{self, Form, Told as Row},
    source::Rows,
};
use crate::error::Error;
use std::time::Duration;
use tidegate_engine::{Caller, Change, Database, Detail, Document, News, Position, Told};
use tidegate_http::feed::Rest;
use tidegate_types::Seq;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Rows read at once.
const PAGE: usize = 500;

/// A feed and how far it has got.
pub(super) struct Reading {
    source: Rows,
    params: Params,
    /// The user who reads, if it is one of the database's.
    user: Option<String>,
    /// How many rows may follow.
    left: usize,
    /// The position to go on from.
    last: Position,
}

/// What a wait came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    Changed,
    /// A sign of life is due.
    Heartbeat,
    Over,
}

impl Reading {
    pub(super) fn new(db: &Database, caller: &Caller, params: Params) -> Result<Self, Error> {
        let source = Rows::new(db, &params)?;
        let (left, last) = (params.limit, params.since);
        let user = caller.database_user().map(ToString::to_string);
        Ok(Self { source, params, user, left, last })
    }

    /// The position to go on from.
    pub(super) fn last(&self) -> Position {
        self.last
    }

    /// As what its rows may be written for others, too; `None` where they tell more than the change, or may end.
    pub(super) fn shape(&self) -> Option<Shape> {
        let is_shared = self.params.docs.is_none() && self.params.limit == usize::MAX;
        is_shared.then(|| Shape { form: self.form(), deleted: self.params.deleted })
    }

    fn form(&self) -> Form {
        Form { style: self.params.style, names: self.params.names }
    }

    /// How it waits together with others, if it may.
    pub(super) fn rest(&mut self, company: &mut Company, quiet_since: Instant) -> Option<Rest> {
        let position = self.last;
        let (vantage, db, news) = self.source.rest()?;
        let place = company.place(vantage, db, news);
        let (Wait::Timeout(quiet_max) | Wait::Heartbeat(quiet_max)) = self.params.wait;
        Some(Rest { place, position: position.seq.get(), quiet_since, quiet_max })
    }

    /// Waits until it has to go on by itself; while it rests.
    pub(super) async fn recalled(&mut self) {
        self.source.recalled().await;
    }

    /// Goes on from a rest: everything up to there was told.
    pub(super) fn resume(&mut self, seq: Seq) {
        self.source.resume(seq);
        self.last = self.source.position();
    }

    /// Whether it has as many rows as were asked for.
    pub(super) fn is_full(&self) -> bool {
        self.left == 0
    }

    /// Whether all was read that was there at the beginning.
    pub(super) fn has_caught_up(&self) -> bool {
        self.source.has_caught_up()
    }

    /// Hands out the next rows, each as JSON; none if there are no more now, or none of those read is let through.
    pub(super) async fn next(&mut self, mut each: impl FnMut(&[u8])) -> Result<(), Error> {
        let mut row = Vec::new();
        for told in self.source.next(PAGE.min(self.left)).await? {
            self.last = told.position;
            row.clear();
            self.write(told, &mut row).await?;
            if !row.is_empty() {
                each(&row);
                self.left -= 1;
            }
        }
        if self.left > 0 {
            self.last = self.source.position();
        }
        Ok(())
    }

    /// Appends what is told as a row, if it is.
    async fn write(&self, told: Told, out: &mut Vec<u8>) -> Result<(), Error> {
        let Told { position, news } = told;
        let (change, left, is_revoked) = match &news {
            News::Changed(change) => (change, &[][..], false),
            News::Left(change, left) => (change, left.as_slice(), false),
            News::Lost(change) => (change, &[][..], true),
            News::Myself => {
                self.user.iter().for_each(|user| row::write_user(position, user, out));
                return Ok(());
            }
        };
        if !self.params.deleted.tells(change) || (self.params.deleted == Deleted::LeftOut && is_revoked) {
            return Ok(());
        }
        // What can't be seen any more is told of without its document.
        let document = if left.is_empty() && !is_revoked { self.document(change).await? } else { None };
        let document = document.as_ref().zip(self.params.docs.as_ref());
        let row = Row { removed: left, is_revoked, ..Row::of(position, change) };
        row::write(self.source.database(), &row, self.form(), document, out);
        Ok(())
    }

    async fn document(&self, change: &Change) -> Result<Option<Document>, Error> {
        if self.params.docs.is_none() {
            return Ok(None);
        }
        Ok(self.source.database().changed_document(change, Detail::Plain).await?)
    }

    /// Waits for a change; since `quiet_since` nothing was sent.
    pub(super) async fn wait(&mut self, quiet_since: Instant, draining: &CancellationToken) -> Waited {
        let (period, over): (Duration, Waited) = match self.params.wait {
            Wait::Timeout(period) => (period, Waited::Over),
            Wait::Heartbeat(period) => (period, Waited::Heartbeat),
        };
        tokio::select! {
            changed = self.source.changed() => changed.map_or(Waited::Over, |()| Waited::Changed),
            () = tokio::time::sleep_until(quiet_since + period) => over,
            () = draining.cancelled() => Waited::Over,
        }
    }
}
