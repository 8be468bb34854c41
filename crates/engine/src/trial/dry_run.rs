//! What would become of all documents if another sync function decided on them.
//!
//! Documents are asked twice, so that nothing has to be remembered of each: first for what they grant, by which users'
//! channels are known; then for their channels. What is written meanwhile may be counted or not.

use super::access::{Prospect, prospects, sees};
use crate::{Database, Error, sync};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};
use tidegate_revtree::Node;
use tidegate_script::Program;
use tidegate_store::{Assignment, DocumentState, Grant, Granted, Reader};
use tidegate_types::{Channel, DocId, PrincipalName};

/// Documents looked at in one step.
const DOCUMENTS_AT_ONCE: usize = 100;
/// Different grants that documents may come to.
const GRANTS_MAX: usize = 200_000;
/// Channels that are told apart.
const CHANNELS_MAX: usize = 1_000;
/// Moves whose consequences are remembered.
const MOVES_MAX: usize = 1_000;

/// A run of a function over all documents, a step at a time. To be dropped when nobody wants it any more.
pub struct DryRun {
    db: Database,
    program: Program,
    examples_max: usize,
    phase: Phase,
    after: Option<DocId>,
    granted: BTreeSet<Grant>,
    /// How many documents grant roles now, where those of other collections may, too.
    roles_now: BTreeMap<Grant, u64>,
    users: Vec<Prospect>,
    /// Who gains and who loses a document that moves so, by their places in `users`.
    moves: HashMap<Move, Arc<Shift>>,
    report: DryRunReport,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Grants,
    Channels,
    Done,
}

type Move = (Vec<Channel>, Vec<Channel>);

struct Shift {
    gain: Vec<usize>,
    lose: Vec<usize>,
}

/// How far a run has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DryRunProgress {
    /// Documents asked, each counted twice in the end.
    pub done: u64,
    /// How many there will be, as it looks now.
    pub total: u64,
}

/// What would become of documents and users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DryRunReport {
    /// Documents asked; deleted ones included.
    pub processed: u64,
    /// Documents that would be in other channels, or grant something else.
    pub changed: u64,
    /// Documents that the function refuses, or fails on: they would be in no channel.
    pub refused: u64,
    /// The first ones that would change or be refused.
    pub examples: Vec<Moved>,
    /// How many documents would enter and leave channels; of the first thousand channels that were met.
    pub channels: BTreeMap<Channel, Flow>,
    /// Users who would see other live documents, or have other channels.
    pub users: Vec<UserShift>,
    /// Users that weren't looked at, as there are too many.
    pub users_left_out: u64,
}

/// A document that would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Which.
    pub id: DocId,
    /// Its channels now.
    pub from: Vec<Channel>,
    /// Its channels then.
    pub to: Vec<Channel>,
    /// What it would grant, and doesn't now.
    pub grants: Vec<Grant>,
    /// What it grants now, and wouldn't.
    pub withdraws: Vec<Grant>,
    /// Why the function refuses it, if it does.
    pub refused: Option<String>,
}

/// How many documents enter and leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Enter.
    pub entering: u64,
    /// Leave.
    pub leaving: u64,
}

/// What would change for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserShift {
    /// Who.
    pub name: PrincipalName,
    /// Live documents that it would see, and doesn't now.
    pub docs_gained: u64,
    /// Live documents that it sees now, and wouldn't.
    pub docs_lost: u64,
    /// Channels that it would have.
    pub channels_gained: Vec<Channel>,
    /// Channels that it has.
    pub channels_lost: Vec<Channel>,
}

impl Database {
    /// Begins to try a sync function out on all documents; `None` is the database's own. At most so many examples are
    /// kept.
    ///
    /// # Errors
    /// [`Error::Access`], also for a database whose documents aren't in channels; [`Error::Script`] for what is no
    /// function; or the storage failed.
    pub async fn dry_run(&self, source: Option<&str>, examples_max: usize) -> Result<DryRun, Error> {
        let db = self.renewed().await?;
        db.check_admin()?;
        db.check_channels()?;
        let program = db.trial_program(source).await?;
        db.engine.scripts()?.compile(&program).await?;
        Ok(DryRun {
            db,
            program,
            examples_max,
            phase: Phase::Grants,
            after: None,
            granted: BTreeSet::new(),
            roles_now: BTreeMap::new(),
            users: Vec::new(),
            moves: HashMap::new(),
            report: DryRunReport::default(),
        })
    }
}

impl DryRun {
    /// Asks the next documents; how far it has got. `None` if all were asked: the report is whole then.
    ///
    /// # Errors
    /// No function can be run now, documents grant too much to be told apart, the database is gone, or the storage failed.
    pub async fn step(&mut self) -> Result<Option<DryRunProgress>, Error> {
        if self.phase == Phase::Done {
            return Ok(None);
        }
        let reader = self.db.store.reader()?;
        let documents = reader.documents_after(self.after.as_ref(), DOCUMENTS_AT_ONCE).await?;
        let is_last = documents.len() < DOCUMENTS_AT_ONCE;
        self.after = documents.last().map(|(id, _)| id.clone());
        for (id, state) in documents {
            self.ask(&reader, id, &state).await?;
        }
        if is_last {
            self.turn().await?;
        }
        let info = reader.info().await?;
        let half = info.doc_count + info.doc_del_count;
        let done = self.report.processed + if self.phase == Phase::Grants { 0 } else { half };
        Ok((self.phase != Phase::Done).then_some(DryRunProgress { done, total: (2 * half).max(done) }))
    }

    /// What is known so far.
    pub fn report(&self) -> &DryRunReport {
        &self.report
    }

    async fn turn(&mut self) -> Result<(), Error> {
        self.after = None;
        match self.phase {
            Phase::Grants => {
                self.report.processed = 0;
                (self.users, self.report.users_left_out) = prospects(&self.db, &self.granted, &self.roles_now).await?;
                self.report.users = self.users.iter().map(shift_of).collect();
                self.phase = Phase::Channels;
            }
            Phase::Channels | Phase::Done => {
                self.report.users.retain(UserShift::is_any);
                self.phase = Phase::Done;
            }
        }
        Ok(())
    }

    async fn ask(&mut self, reader: &Reader, id: DocId, state: &DocumentState) -> Result<(), Error> {
        self.report.processed += 1;
        let Some(winner) = state.tree.winner() else { return Ok(()) };
        let said = self.db.engine.ask(&self.program, reader, (&id, &state.tree, winner)).await?;
        let (decided, refused) = match said {
            Ok(outcome) => (sync::granted(outcome), None),
            Err(reason) => (Assignment::default(), Some(reason)),
        };
        if self.phase == Phase::Grants {
            self.count_roles(reader, winner).await?;
            self.granted.extend(decided.grants);
            return if self.granted.len() > GRANTS_MAX { Err(too_many_grants()) } else { Ok(()) };
        }
        let was = reader.assigned(winner.body.stored().unwrap_or_default()).await?;
        let (to, to_grant) = decided.in_order();
        if !winner.deleted {
            self.shift((was.channels.clone(), to.clone()));
        }
        self.report.refused += u64::from(refused.is_some());
        let is_same = (&was.channels, &was.grants) == (&to, &to_grant);
        if is_same && refused.is_none() {
            return Ok(());
        }
        self.report.changed += u64::from(!is_same);
        self.flow(&was.channels, &to);
        if self.report.examples.len() < self.examples_max {
            let grants = to_grant.iter().filter(|grant| !was.grants.contains(grant)).cloned().collect();
            let withdraws = was.grants.into_iter().filter(|grant| !to_grant.contains(grant)).collect();
            self.report.examples.push(Moved { id, from: was.channels, to, grants, withdraws, refused });
        }
        Ok(())
    }

    async fn count_roles(&mut self, reader: &Reader, winner: &Node) -> Result<(), Error> {
        let Some(body) = winner.body.stored().filter(|_| self.db.has_other_collections()) else { return Ok(()) };
        let grants = reader.assigned(body).await?.grants.into_iter();
        for grant in grants.filter(|grant| matches!(grant.what, Granted::Role(_))) {
            *self.roles_now.entry(grant).or_default() += 1;
        }
        Ok(())
    }

    fn flow(&mut self, from: &[Channel], to: &[Channel]) {
        let entering = to.iter().filter(|channel| !from.contains(channel)).map(|channel| (channel, true));
        let leaving = from.iter().filter(|channel| !to.contains(channel)).map(|channel| (channel, false));
        for (channel, enters) in entering.chain(leaving) {
            let channels = &mut self.report.channels;
            if channels.len() >= CHANNELS_MAX && !channels.contains_key(channel) {
                continue;
            }
            let flow = channels.entry(channel.clone()).or_default();
            *if enters { &mut flow.entering } else { &mut flow.leaving } += 1;
        }
    }

    /// Counts a live document for the users who gain or lose it.
    fn shift(&mut self, moved: Move) {
        let shift = match self.moves.get(&moved) {
            Some(shift) => Arc::clone(shift),
            None => {
                let shift = Arc::new(self.shifted(&moved));
                if self.moves.len() >= MOVES_MAX {
                    self.moves.clear();
                }
                self.moves.insert(moved, Arc::clone(&shift));
                shift
            }
        };
        for place in &shift.gain {
            self.report.users.get_mut(*place).into_iter().for_each(|user| user.docs_gained += 1);
        }
        for place in &shift.lose {
            self.report.users.get_mut(*place).into_iter().for_each(|user| user.docs_lost += 1);
        }
    }

    fn shifted(&self, (from, to): &Move) -> Shift {
        let mut shift = Shift { gain: Vec::new(), lose: Vec::new() };
        for (place, user) in self.users.iter().enumerate() {
            match (sees(&user.now, from), sees(&user.then, to)) {
                (false, true) => shift.gain.push(place),
                (true, false) => shift.lose.push(place),
                (true, true) | (false, false) => {}
            }
        }
        shift
    }
}

impl UserShift {
    fn is_any(&self) -> bool {
        let has_channels = !self.channels_gained.is_empty() || !self.channels_lost.is_empty();
        has_channels || self.docs_gained + self.docs_lost > 0
    }
}

fn shift_of(user: &Prospect) -> UserShift {
    UserShift {
        name: user.name.clone(),
        docs_gained: 0,
        docs_lost: 0,
        channels_gained: user.then.difference(&user.now).cloned().collect(),
        channels_lost: user.now.difference(&user.then).cloned().collect(),
    }
}

fn too_many_grants() -> Error {
    let reason = format!("Documents would come to more than {GRANTS_MAX} different grants.");
    tidegate_access::Error::BadRequest(reason.into()).into()
}
