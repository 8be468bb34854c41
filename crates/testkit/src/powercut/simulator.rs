//! Replays a recording, and rebuilds the folder as a cut at the current position could have left it.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use super::Error;
use super::cut::Cut;
use super::durability::{Journal, JournalEntry, Names};
use super::log::{Event, SyncScope};
use super::mark::Mark;
use super::names::{NameChange, NodeId, Place, Tree};
use super::node::Node;
use super::random::Random;
use super::recording::{Base, Recording};

const ROOT: NodeId = 0;

/// What a workload was promised in one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promise {
    /// All transactions up to this number must be found.
    pub acknowledged: u64,
    /// Transactions after it, up to this number, may be found.
    pub begun: u64,
}

/// The state of the folder at one position of a recording, with all that a cut there may lose.
///
/// Moves forward only. Positions count the recording's events: at position *n*, the first *n* have happened.
#[derive(Debug)]
pub struct Simulator<'a> {
    recording: &'a Recording,
    position: usize,
    nodes: Vec<Node>,
    inodes: HashMap<u64, NodeId>,
    syncs: HashMap<u64, usize>,
    live: Tree,
    strict: Names,
    journal: Journal,
    promises: BTreeMap<u32, Promise>,
    opened: bool,
    unsupported: Vec<String>,
}

impl<'a> Simulator<'a> {
    /// A simulator at the start of the recording.
    #[must_use]
    pub fn new(recording: &'a Recording) -> Self {
        let mut simulator = Self {
            recording,
            position: 0,
            nodes: Vec::new(),
            inodes: HashMap::new(),
            syncs: HashMap::new(),
            live: Tree::default(),
            strict: Names::default(),
            journal: Journal::default(),
            promises: recording.promises.clone(),
            opened: false,
            unsupported: Vec::new(),
        };
        simulator.load(&recording.base);
        simulator
    }

    /// Everything that was there at the start is durable.
    fn load(&mut self, base: &Base) {
        for entry in &base.entries {
            let node = match &entry.content {
                Some(content) => Node::durable(content.clone()),
                None => Node::durable_folder(),
            };
            // A file with two names comes twice.
            let known = self.inodes.get(&entry.inode).copied();
            let id = known.unwrap_or_else(|| self.add_node(entry.inode, node));
            let Some(place) = self.live.place(ROOT, &entry.path) else { continue };
            let change = NameChange::Add { place, node: id };
            for tree in [&mut self.live, &mut self.strict.durable, &mut self.journal.durable] {
                tree.apply(&change);
            }
        }
    }

    fn add_node(&mut self, inode: u64, node: Node) -> NodeId {
        let id = self.nodes.len();
        if node.is_folder {
            for tree in [&mut self.live, &mut self.strict.durable, &mut self.journal.durable] {
                tree.add_folder(id);
            }
        }
        self.nodes.push(node);
        self.inodes.insert(inode, id);
        id
    }

    /// Where it stands.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// What each lane was promised so far.
    #[must_use]
    pub fn promises(&self) -> &BTreeMap<u32, Promise> {
        &self.promises
    }

    /// The transactions of a lane that must be found after a cut here: 1 to this.
    #[must_use]
    pub fn acknowledged(&self, lane: u32) -> u64 {
        self.promises.get(&lane).map_or(0, |promise| promise.acknowledged)
    }

    /// Whether a transaction was begun and not acknowledged.
    #[must_use]
    pub fn in_flight(&self) -> bool {
        self.promises.values().any(|promise| promise.begun > promise.acknowledged)
    }

    /// Whether the latest process has said that its store is open.
    #[must_use]
    pub fn opened(&self) -> bool {
        self.opened
    }

    /// Calls so far that cannot be replayed.
    pub(super) fn unsupported(&self) -> &[String] {
        &self.unsupported
    }

    /// Replays up to `position`.
    ///
    /// # Errors
    /// [`Error::Log`] when the log contradicts itself.
    pub fn advance_to(&mut self, position: usize) -> Result<(), Error> {
        let recording = self.recording;
        while self.position < position {
            let Some(event) = recording.events.get(self.position) else { break };
            self.step(event).map_err(|reason| Error::Log { record: self.position, reason })?;
            self.position += 1;
        }
        Ok(())
    }

    fn step(&mut self, event: &Event) -> Result<(), String> {
        let now = self.position;
        match event {
            Event::Started => self.restart(),
            Event::Create { inode, path } => self.create(*inode, path, Node::new_file(now))?,
            Event::MakeDirectory { inode, path } => self.create(*inode, path, Node::new_folder(now))?,
            Event::Resize { inode, len } => self.resize(*inode, *len),
            Event::Write { inode, at, data } => {
                if let Some(node) = self.node(*inode) {
                    node.write(now, *at, data.clone());
                }
            }
            Event::SyncBegin { id } => drop(self.syncs.insert(*id, now)),
            Event::SyncEnd { inode, id, scope } => self.sync(*inode, *id, *scope)?,
            Event::Rename { from, to } => self.rename(from, to)?,
            Event::Remove { path } => {
                let place = self.place(path)?;
                self.change(NameChange::Remove { place });
            }
            Event::Link { inode, path } => self.link(*inode, path)?,
            Event::Mark(mark) => self.mark(*mark),
            Event::Unsupported { inode, call } => {
                if *inode == 0 || self.inodes.contains_key(inode) {
                    self.unsupported.push(call.clone());
                }
            }
        }
        Ok(())
    }

    /// A process begins. What one before it was asked for and didn't acknowledge stays in flight.
    fn restart(&mut self) {
        self.syncs.clear();
        self.opened = false;
    }

    fn mark(&mut self, mark: Mark) {
        match mark {
            Mark::Begin { lane, number } => {
                let promise = self.promises.entry(lane).or_default();
                promise.begun = promise.begun.max(number);
            }
            Mark::Acknowledge { lane, number } => {
                let promise = self.promises.entry(lane).or_default();
                promise.acknowledged = promise.acknowledged.max(number);
            }
            Mark::Seen { lane, number } => {
                let promise = self.promises.entry(lane).or_default();
                promise.acknowledged = promise.acknowledged.max(number);
                // What was in flight and isn't shown must never come back.
                promise.begun = promise.acknowledged;
            }
            Mark::Opened => self.opened = true,
        }
    }

    fn node(&mut self, inode: u64) -> Option<&mut Node> {
        let id = *self.inodes.get(&inode)?;
        self.nodes.get_mut(id)
    }

    fn place(&self, path: &Path) -> Result<Place, String> {
        self.live.place(ROOT, path).ok_or_else(|| format!("no folder for {}", path.display()))
    }

    fn create(&mut self, inode: u64, path: &Path, node: Node) -> Result<(), String> {
        let place = self.place(path)?;
        let node = self.add_node(inode, node);
        self.change(NameChange::Add { place, node });
        Ok(())
    }

    fn link(&mut self, inode: u64, path: &Path) -> Result<(), String> {
        let (place, now) = (self.place(path)?, self.position);
        let node = *self.inodes.get(&inode).ok_or("link to a file from outside the folder")?;
        self.nodes.get_mut(node).into_iter().for_each(|node| node.touch(now));
        self.change(NameChange::Add { place, node });
        Ok(())
    }

    fn rename(&mut self, from: &Path, to: &Path) -> Result<(), String> {
        let (from, to, now) = (self.place(from)?, self.place(to)?, self.position);
        let node = self.live.get(&from).ok_or("rename of a name that isn't there")?;
        self.nodes.get_mut(node).into_iter().for_each(|node| node.touch(now));
        self.change(NameChange::Move { from, to, node });
        Ok(())
    }

    fn change(&mut self, change: NameChange) {
        self.live.apply(&change);
        self.strict.change(self.position, change.clone());
        self.journal.enter(self.position, JournalEntry::Name(change));
    }

    fn resize(&mut self, inode: u64, len: usize) {
        let now = self.position;
        let Some(node) = self.node(inode) else { return };
        node.resize(now, len);
        self.journal.enter(now, JournalEntry::Resize);
    }

    fn sync(&mut self, inode: u64, id: u64, scope: SyncScope) -> Result<(), String> {
        let begin = *self.syncs.get(&id).ok_or("a sync ends that never began")?;
        let Some(id) = self.inodes.get(&inode).copied() else { return Ok(()) };
        let Some(node) = self.nodes.get_mut(id) else { return Ok(()) };
        let mut committed = node.sync(begin, scope);
        if node.is_folder {
            self.strict.sync(id, begin);
            committed = committed.max(self.journal.last_change_in(id, begin));
        }
        self.journal.commit(committed);
        Ok(())
    }

    /// Rebuilds the folder at `target` as `cut` at this position leaves it. What `target` held is removed.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be written.
    pub fn rebuild(&self, target: &Path, cut: &Cut) -> Result<(), Error> {
        let (tree, journalled) = self.names_after(cut);
        if target.exists() {
            fs::remove_dir_all(target).map_err(Error::io("remove", target))?;
        }
        for (path, id) in tree.walk(ROOT) {
            let (path, Some(node)) = (target.join(path), self.nodes.get(id)) else { continue };
            if node.is_folder {
                fs::create_dir_all(&path).map_err(Error::io("create folder", &path))?;
            } else {
                node.content(id, cut, journalled).save(&path)?;
            }
        }
        Ok(())
    }

    /// Compares `folder` with the state in which nothing is lost.
    ///
    /// # Errors
    /// [`Error::Incomplete`] naming the first difference.
    pub(super) fn compare(&self, folder: &Path) -> Result<(), Error> {
        let mut replayed = BTreeMap::new();
        for (path, id) in self.live.walk(ROOT) {
            let Some(node) = self.nodes.get(id) else { continue };
            let content = (!node.is_folder).then(|| node.content(id, &Cut::nothing_lost(), usize::MAX).to_bytes());
            replayed.insert(path, content);
        }
        let found = Base::scan(folder)?;
        for entry in &found.entries {
            let content = entry.content.as_ref().map(super::image::Image::to_bytes);
            let reason = match replayed.remove(&entry.path) {
                None => "was never created in the log".to_owned(),
                Some(expected) if expected == content => continue,
                Some(expected) => describe_difference(expected.as_deref(), content.as_deref()),
            };
            return Err(Error::Incomplete { path: entry.path.clone(), reason });
        }
        match replayed.pop_first() {
            Some((path, _)) => Err(Error::Incomplete { path, reason: "was never removed in the log".to_owned() }),
            None => Ok(()),
        }
    }

    /// The names found after `cut`, and the last event whose changes of size are found.
    fn names_after(&self, cut: &Cut) -> (Tree, usize) {
        let mut random = Random::of(&[cut.seed, u64::MAX]);
        if cut.model.journals() {
            self.journal.after(cut.names, &mut random)
        } else {
            (self.strict.after(cut.names, &mut random), 0)
        }
    }
}

fn describe_difference(replayed: Option<&[u8]>, found: Option<&[u8]>) -> String {
    let (Some(replayed), Some(found)) = (replayed, found) else {
        return "is a folder on one side and a file on the other".to_owned();
    };
    match replayed.iter().zip(found).position(|(one, other)| one != other) {
        Some(at) => format!("differs at byte {at}"),
        None => format!("has {} bytes, the log gives {}", found.len(), replayed.len()),
    }
}
