//! A file or folder during a simulation: what of it is durable, and what was written since.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::choice::Choice;
use super::cut::Cut;
use super::image::{Image, PAGE, SECTOR};
use super::log::SyncScope;
use super::names::NodeId;

/// One file or folder.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) is_folder: bool,
    durable: Image,
    pending: Vec<Pending>,
    /// Length as the process sees it.
    len: usize,
    /// Events that changed the inode since the last sync; those which a `fdatasync` commits too are in `sizes`.
    metadata: Vec<usize>,
    sizes: Vec<usize>,
}

/// A change of content that isn't durable yet.
#[derive(Debug)]
struct Pending {
    event: usize,
    change: Change,
}

#[derive(Debug)]
enum Change {
    Write { at: usize, data: Bytes },
    Resize { len: usize },
}

impl Node {
    /// A folder that was there, and durable, when recording began.
    pub(super) fn durable_folder() -> Self {
        Self { is_folder: true, ..Self::default() }
    }

    /// A file that was there, and durable, when recording began.
    pub(super) fn durable(content: Image) -> Self {
        Self { len: content.len(), durable: content, ..Self::default() }
    }

    pub(super) fn new_file(event: usize) -> Self {
        Self { metadata: vec![event], sizes: vec![event], ..Self::default() }
    }

    pub(super) fn new_folder(event: usize) -> Self {
        Self { is_folder: true, ..Self::new_file(event) }
    }

    /// The inode changed, but not its content: it got a name, say.
    pub(super) fn touch(&mut self, event: usize) {
        self.metadata.push(event);
    }

    pub(super) fn write(&mut self, event: usize, at: usize, data: Bytes) {
        let end = at + data.len();
        if end > self.len {
            self.len = end;
            self.note_size(event);
        }
        self.pending.push(Pending { event, change: Change::Write { at, data } });
    }

    pub(super) fn resize(&mut self, event: usize, len: usize) {
        self.len = len;
        self.note_size(event);
        self.pending.push(Pending { event, change: Change::Resize { len } });
    }

    fn note_size(&mut self, event: usize) {
        self.metadata.push(event);
        self.sizes.push(event);
    }

    /// A sync that began at event `begin` has returned: what came before it is durable. Returns the last event whose
    /// metadata a journal has committed for it.
    pub(super) fn sync(&mut self, begin: usize, scope: SyncScope) -> Option<usize> {
        let synced = self.pending.partition_point(|pending| pending.event < begin);
        for Pending { change, .. } in self.pending.drain(..synced) {
            match change {
                Change::Write { at, data } => self.durable.write(at, &data),
                Change::Resize { len } => self.durable.resize(len),
            }
        }
        let committed = match scope {
            SyncScope::All => take_before(&mut self.metadata, begin),
            SyncScope::Data => take_before(&mut self.sizes, begin),
        };
        self.sizes.retain(|event| *event >= begin);
        committed
    }

    /// The content found after `cut`. `journalled` is the last event whose change of size is in the journal; it counts
    /// only for models that have one.
    pub(super) fn content(&self, id: NodeId, cut: &Cut, journalled: usize) -> Image {
        if self.pending.is_empty() {
            return self.durable.clone();
        }
        let choice = Choice::new(self, id, cut);
        let mut image = self.durable.clone();
        let mut len = image.len();
        let limit = if cut.model.journals() { self.growth_limit(&choice, journalled) } else { usize::MAX };
        for (index, pending) in self.pending.iter().enumerate() {
            let size_kept = if cut.model.journals() { pending.event <= journalled } else { index < choice.sizes };
            match &pending.change {
                Change::Resize { len: new } if size_kept => {
                    image.resize(*new);
                    len = *new;
                }
                Change::Resize { .. } => {}
                Change::Write { at, data } => {
                    for (start, piece) in sectors(*at, data) {
                        if index < choice.version(self, start / SECTOR) && start + piece.len() <= limit {
                            image.write(start, piece);
                        }
                    }
                    len = if size_kept { len.max(at + data.len()) } else { len };
                }
            }
        }
        if choice.size_without_data && len > image.len() {
            image.resize(len);
        }
        image
    }

    /// With ordered data, a file doesn't grow past a new page that wasn't written: where the first such page begins.
    fn growth_limit(&self, choice: &Choice, journalled: usize) -> usize {
        let mut allotted = self.durable.len();
        let mut limit = usize::MAX;
        for (index, pending) in self.pending.iter().enumerate() {
            match &pending.change {
                Change::Resize { len } if pending.event <= journalled => allotted = allotted.max(*len),
                Change::Resize { .. } => {}
                Change::Write { at, data } => {
                    for (start, _) in sectors(*at, data) {
                        let sector = start / SECTOR;
                        if (sector + 1) * SECTOR > allotted && choice.version(self, sector) <= index {
                            limit = limit.min((start / PAGE * PAGE).max(allotted));
                        }
                    }
                }
            }
        }
        limit
    }

    /// Numbers of the sectors that pending writes touch.
    pub(super) fn touched(&self) -> Vec<usize> {
        let mut touched = BTreeSet::new();
        for pending in &self.pending {
            match &pending.change {
                Change::Write { at, data } => touched.extend(sectors(*at, data).map(|(start, _)| start / SECTOR)),
                Change::Resize { .. } => {}
            }
        }
        touched.into_iter().collect()
    }

    /// How many changes are pending.
    pub(super) fn changes(&self) -> usize {
        self.pending.len()
    }

    /// Whether writes to the page go to where it already is.
    pub(super) fn is_in_place(&self, page: usize) -> bool {
        self.durable.has_page(page)
    }
}

/// Removes the events before `begin` and returns the last of them.
fn take_before(events: &mut Vec<usize>, begin: usize) -> Option<usize> {
    let last = events.iter().copied().filter(|event| *event < begin).max();
    events.retain(|event| *event >= begin);
    last
}

/// Splits a write at sector borders.
fn sectors(at: usize, data: &Bytes) -> impl Iterator<Item = (usize, &[u8])> {
    let first = (SECTOR - at % SECTOR).min(data.len());
    let (head, tail) = data.split_at(first);
    let rest = tail.chunks(SECTOR).enumerate().map(move |(index, chunk)| (at + first + index * SECTOR, chunk));
    std::iter::once((at, head)).filter(|(_, head)| !head.is_empty()).chain(rest)
}
