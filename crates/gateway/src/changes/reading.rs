//! A feed being read: the rows that its parameters let through, one batch after the other, and the waits between.

use super::{
    params::{Deleted, Filter, Params, Wait},
    position::Position,
    row::{self, Form, Told},
    source::{News, Row, Rows},
};
use crate::error::Error;
use std::time::Duration;
use tidegate_engine::{Database, Detail};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Rows read at once.
const PAGE: usize = 500;

/// A feed and how far it has got.
pub(super) struct Reading {
    source: Rows,
    params: Params,
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
    pub(super) fn new(db: &Database, params: Params) -> Result<Self, Error> {
        if let Filter::Channels(_) = &params.filter {
            return Err(Error::not_implemented());
        }
        let source = Rows::new(db, params.since)?;
        let (left, last) = (params.limit, params.since);
        Ok(Self { source, params, left, last })
    }

    /// The position to go on from.
    pub(super) fn last(&self) -> Position {
        self.last
    }

    /// Whether it has as many rows as were asked for.
    pub(super) fn is_full(&self) -> bool {
        self.left == 0
    }

    /// Whether all was read that was there at the beginning.
    pub(super) fn has_caught_up(&self) -> bool {
        self.source.has_caught_up()
    }

    /// The next rows, each as JSON; none if there are no more now, or none of those that were read is let through.
    pub(super) async fn next(&mut self) -> Result<Vec<Vec<u8>>, Error> {
        let rows = self.source.next(PAGE.min(self.left)).await?;
        let mut written = Vec::with_capacity(rows.len());
        for row in rows {
            self.last = row.position;
            let News::Changed(change) = &row.news;
            if self.params.deleted == Deleted::LeftOut && change.deleted {
                continue;
            }
            written.push(self.write(&row).await?);
            self.left -= 1;
        }
        if self.left > 0 {
            self.last = self.source.position();
        }
        Ok(written)
    }

    async fn write(&self, row: &Row) -> Result<Vec<u8>, Error> {
        let db = self.source.database();
        let News::Changed(change) = &row.news;
        let document = match &self.params.docs {
            Some(options) => {
                let document = db.changed_document(change, Detail::Plain).await?;
                document.map(|document| (document, options))
            }
            None => None,
        };
        let document = document.as_ref().map(|(document, options)| (document, *options));
        let mut out = Vec::with_capacity(96 + change.id.as_str().len());
        row::write(
            db,
            &Told::of(row.position, change),
            Form { style: self.params.style, names: self.params.names },
            document,
            &mut out,
        );
        Ok(out)
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
