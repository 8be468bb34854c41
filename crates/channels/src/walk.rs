//! What a feed tells, from a position on.

use crate::{
    Access, Periods, Position,
    strand::{Reason, Strand, strands},
};
use std::{cmp::Reverse, collections::BinaryHeap};
use tidegate_types::{Channel, Seq};

/// Whether a feed tells of documents that are lost with a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Losses {
    /// It does: `revocations=true`.
    Told,
    /// It doesn't.
    Untold,
}

/// A row of a channel's index: what happened to one document in it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    /// The sequence of it.
    pub seq: Seq,
    /// Whether the document left the channel then; else it is in it.
    pub removed: bool,
    /// When the document was in the channel.
    pub stays: Periods,
    /// What is known of the document.
    pub about: T,
}

/// What a walk comes to next.
#[derive(Debug)]
pub enum Step<T> {
    /// Rows have to be read and handed to [`Walk::handle_read`].
    Read(Read),
    /// A row is told.
    Row(Row<T>),
    /// Everything was told.
    Done,
}

/// The next rows of a channel's index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Of which channel; `*` is the index of all documents.
    pub channel: Channel,
    /// After this sequence.
    pub after: Seq,
    /// Up to and including this one.
    pub until: Seq,
    /// Whether it is needed when documents were in the channel; else [`Entry::stays`] is looked at for removals alone.
    pub needs_stays: bool,
    strand: usize,
}

/// A document that has to be told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<T> {
    /// Where the feed is after it.
    pub position: Position,
    /// What is known of the document.
    pub about: T,
    /// What is told.
    pub telling: Telling,
}

/// What is told of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Telling {
    /// It may be seen.
    Seen,
    /// It left these channels. Whether it may still be seen by others is to be looked up; it is told then as they do.
    Left(Vec<Channel>),
    /// It was seen by a channel that is lost. Whether it may still be seen is to be looked up; nothing is told then.
    Lost,
}

/// Plaits the rows of channels into one feed, as they are at one snapshot.
///
/// To be asked by [`Walk::poll`] until it is done, and handed what it wants to have read.
#[derive(Debug)]
pub struct Walk<T> {
    strands: Vec<Strand<T>>,
    /// Whether the channel of each strand is there now.
    has: Vec<bool>,
    order: BinaryHeap<Reverse<Turn>>,
}

/// When it is a strand's turn: those that haven't been read come before those whose row would be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    position: Position,
    is_read: bool,
    strand: usize,
}

impl<T> Walk<T> {
    /// All that there is to tell after `from` for `access`, at a snapshot whose latest sequence is `until`.
    pub fn new(access: &Access, from: Position, until: Seq, losses: Losses) -> Self {
        // Who hasn't been told anything holds nothing that could be lost.
        let losses = if from == Position::START { Losses::Untold } else { losses };
        let strands: Vec<Strand<T>> = strands(access, from, until, losses);
        let has = strands.iter().map(|strand| access.sees([&strand.channel])).collect();
        let mut walk = Self { strands, has, order: BinaryHeap::new() };
        for index in 0..walk.strands.len() {
            walk.queue(index);
        }
        walk
    }

    /// How many channels there may be to read: rows of many are read in small pages.
    pub fn width(&self) -> usize {
        self.order.len()
    }

    /// What comes next.
    pub fn poll(&mut self) -> Step<T> {
        let Some(Reverse(turn)) = self.order.pop() else { return Step::Done };
        if !turn.is_read {
            return self.strands.get(turn.strand).map_or(Step::Done, |strand| {
                let Strand { channel, after, until, .. } = strand;
                let needs_stays = matches!(strand.reason, Reason::Lost(_));
                let (channel, after, until) = (channel.clone(), *after, *until);
                Step::Read(Read { channel, after, until, needs_stays, strand: turn.strand })
            });
        }
        let mut told = self.take(turn.strand);
        while let Some(Reverse(next)) = self.order.peek().copied()
            && next.position == turn.position
        {
            self.order.pop();
            let another = self.take(next.strand);
            told = match (told, another) {
                (Some(one), Some(another)) => Some(merged(one, another)),
                (one, another) => one.or(another),
            };
        }
        told.map_or(Step::Done, |(about, telling)| Step::Row(Row { position: turn.position, about, telling }))
    }

    /// The rows that were wanted, at most as many as fit; whether there may be `more` of them.
    pub fn handle_read(&mut self, read: &Read, rows: Vec<Entry<T>>, more: bool) {
        let has = self.has.get(read.strand).copied().unwrap_or(false);
        if let Some(strand) = self.strands.get_mut(read.strand) {
            strand.take(rows, more, has);
        }
        self.queue(read.strand);
    }

    fn queue(&mut self, index: usize) {
        let Some(strand) = self.strands.get(index) else { return };
        if let Some(position) = strand.next() {
            self.order.push(Reverse(Turn { position, is_read: !strand.rows.is_empty(), strand: index }));
        }
    }

    /// The next row of a strand, and what is told of it.
    fn take(&mut self, index: usize) -> Option<(T, Telling)> {
        let strand = self.strands.get_mut(index)?;
        let row = strand.rows.pop_front()?;
        let telling = match strand.reason {
            Reason::Has(_) if row.removed => Telling::Left(vec![strand.channel.clone()]),
            Reason::Has(_) | Reason::Gained(_) => Telling::Seen,
            Reason::Lost(_) => Telling::Lost,
        };
        self.queue(index);
        Some((row.about, telling))
    }
}

/// Rows of the same document at the same place: to be seen counts for more than to have left, that for more than a loss.
fn merged<T>(one: (T, Telling), another: (T, Telling)) -> (T, Telling) {
    match (one, another) {
        ((about, Telling::Left(mut left)), (_, Telling::Left(also))) => {
            left.extend(also);
            left.sort_unstable();
            (about, Telling::Left(left))
        }
        (seen @ (_, Telling::Seen), _) | (_, seen @ (_, Telling::Seen)) => seen,
        (left @ (_, Telling::Left(_)), _) | (_, left @ (_, Telling::Left(_))) => left,
        (lost, _) => lost,
    }
}
