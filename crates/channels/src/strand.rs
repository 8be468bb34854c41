//! What a walk is plaited of: the rows of one channel that are there for one reason.

use crate::{Access, Entry, Losses, Period, Periods, Position};
use std::collections::VecDeque;
use tidegate_types::{Channel, Seq};

/// Why rows of a channel are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The user has the channel, since this sequence.
    Has(Seq),
    /// The user was given it at this sequence: what was in it before.
    Gained(Seq),
    /// The user had it during this period, which ended.
    Lost(Period),
}

/// Rows of one channel, told for one reason, in order.
#[derive(Debug)]
pub(crate) struct Strand<T> {
    pub(crate) reason: Reason,
    pub(crate) channel: Channel,
    /// Up to where it has been read, and where it ends.
    pub(crate) after: Seq,
    pub(crate) until: Seq,
    /// What was read and isn't told yet.
    pub(crate) rows: VecDeque<Entry<T>>,
}

impl<T> Strand<T> {
    fn new(reason: Reason, channel: &Channel, (after, until): (Seq, Seq)) -> Option<Self> {
        (after < until).then(|| Self { reason, channel: channel.clone(), after, until, rows: VecDeque::new() })
    }

    /// The position of the row after this sequence.
    pub(crate) fn position(&self, seq: Seq) -> Position {
        match self.reason {
            Reason::Has(_) => Position::at(seq),
            Reason::Gained(trigger) => Position::triggered(trigger, seq),
            Reason::Lost(period) => Position::triggered(period.until.unwrap_or(seq), seq),
        }
    }

    /// The position of its next row; a lower bound of it while that hasn't been read. `None` at its end.
    pub(crate) fn next(&self) -> Option<Position> {
        match self.rows.front() {
            Some(row) => Some(self.position(row.seq)),
            None => (self.after < self.until).then(|| self.position(self.after.next())),
        }
    }

    /// Whether such a row is told for this reason.
    fn tells(&self, row: &Entry<T>, has_channel: bool) -> bool {
        match self.reason {
            // By the change that gave the channel, documents may leave it: the user never saw those.
            Reason::Has(since) => !row.removed || row.stays.overlap(Period::open(since)),
            Reason::Gained(_) => !row.removed,
            Reason::Lost(period) => row.stays.overlap(period) && (row.removed || !has_channel),
        }
    }

    /// Takes in the next rows; the last ones if there are no `more`.
    pub(crate) fn take(&mut self, rows: Vec<Entry<T>>, more: bool, has_channel: bool) {
        self.after = match rows.last() {
            Some(last) if more => last.seq,
            Some(_) | None => self.until,
        };
        self.rows = rows.into_iter().filter(|row| self.tells(row, has_channel)).collect();
    }
}

/// What is to be told from a position up to a sequence.
pub(crate) fn strands<T>(access: &Access, from: Position, until: Seq, losses: Losses) -> Vec<Strand<T>> {
    let mut strands = Vec::new();
    for (channel, periods) in access.channels() {
        strands.extend(of_channel(channel, periods, from, until));
        if losses == Losses::Told {
            strands.extend(lost(channel, periods, from, until));
        }
    }
    strands
}

fn of_channel<T>(
    channel: &Channel,
    periods: &Periods,
    from: Position,
    until: Seq,
) -> impl Iterator<Item = Strand<T>> + use<T> {
    let since = periods.current().filter(|since| *since <= until);
    let before = |since: Seq| Seq::new(since.get().saturating_sub(1));
    let gained = since.and_then(|since| {
        let after = resumed(from, since)?;
        Strand::new(Reason::Gained(since), channel, (after, before(since)))
    });
    let has = since.and_then(|since| Strand::new(Reason::Has(since), channel, (from.done().max(before(since)), until)));
    gained.into_iter().chain(has)
}

fn lost<T>(channel: &Channel, periods: &Periods, from: Position, until: Seq) -> Vec<Strand<T>> {
    let strand = |period: &Period| {
        let end = period.until.filter(|end| *end <= until)?;
        Strand::new(Reason::Lost(*period), channel, (resumed(from, end)?, until))
    };
    periods.as_slice().iter().filter_map(strand).collect()
}

/// After which row to go on with what `trigger` caused; `None` if all of it was told.
fn resumed(from: Position, trigger: Seq) -> Option<Seq> {
    match from.trigger {
        Some(at) if at == trigger => Some(from.seq),
        Some(_) | None => (trigger > from.done()).then_some(Seq::ZERO),
    }
}
