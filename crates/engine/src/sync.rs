//! The sync function: which channels a document is in, whom it grants what, and whether it may be written at all.
//!
//! Source: Sync Gateway, `spec/gateway.md` 2.8.

use crate::{
    Database, Engine, Error,
    sight::{Sight, Visibility},
    validators::{Ancestry, text_of_new, text_of_old, text_of_parent},
};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use tidegate_revtree::{Node, Tree};
use tidegate_script::{Expiry, Program, Rejection, SyncCaller, SyncInput, SyncOutcome};
use tidegate_store::{Assigned, Assignment, DocRow, Edit, Grant, Granted, Reader};
use tidegate_types::{CollectionName, DocId, DocKind, Principal};

/// The setting that holds the function's text.
pub(crate) const SYNC: &str = "sync";
/// What stands for the function that nobody set.
const DEFAULT: &str = "default";

/// Edits that are decided on by what their caller may see at one moment.
const ASSIGNED_AT_ONCE: usize = 100;

/// What a sync function says of a revision; or why it refuses it, or fails.
pub(crate) type Said = Result<SyncOutcome, String>;

/// The sync function of a collection, as it is set; the default if it isn't.
///
/// Known by a key that another function wouldn't have.
pub(crate) async fn load(store: &tidegate_store::Database) -> Result<Program, Error> {
    let name = Some(store.collection_name()).filter(|name| !name.is_default()).map(CollectionName::name);
    let key = |function: &str| format!("{:016x}/sync@{function}", u64::from_be_bytes(store.uuid()));
    match source(store).await? {
        Some(source) => {
            let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = Sha256::digest(source.as_bytes()).into();
            let digest = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            Ok(Program::sync(key(&format!("{digest:016x}")), source))
        }
        None => {
            // No collection's name has a slash: one may be called as what stands for no name.
            let function = name.map_or_else(|| DEFAULT.to_owned(), |name| format!("{DEFAULT}/{name}"));
            Ok(Program::default_sync(key(&function), name))
        }
    }
}

/// Sets the sync function of a collection.
pub(crate) async fn set(store: &tidegate_store::Database, source: Option<&str>) -> Result<(), Error> {
    Ok(store.put_own_setting(SYNC, source.unwrap_or_default().as_bytes()).await?)
}

pub(crate) async fn source(store: &tidegate_store::Database) -> Result<Option<String>, Error> {
    let text = store.own_setting(SYNC).await?.filter(|text| !text.is_empty());
    Ok(text.map(|text| String::from_utf8_lossy(&text).into_owned()))
}

impl Database {
    /// The text of the sync function; `None` where it is the default.
    ///
    /// # Errors
    /// [`Error::Access`], the database is gone, or the storage failed.
    pub async fn sync_function(&self) -> Result<Option<String>, Error> {
        self.check_admin()?;
        source(&self.store).await
    }

    /// What was decided on the winners of these rows, in their order.
    ///
    /// # Errors
    /// [`Error::Access`] for all but administrators, the database is gone, or the storage failed.
    pub async fn assigned(&self, rows: &[DocRow]) -> Result<Vec<Assigned>, Error> {
        self.check_admin()?;
        let bodies: Vec<_> = rows.iter().map(|row| row.winner.body).collect();
        Ok(self.store.reader()?.assigned_many(&bodies).await?)
    }

    /// Sets the sync function, for edits from now on; `None` is the default. Documents that are there stay in their
    /// channels until they are synced again.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::Script`] for what is no function, the database is gone, or the storage failed.
    pub async fn set_sync_function(&self, source: Option<&str>) -> Result<(), Error> {
        self.renewed().await?.check_admin()?;
        if let Some(source) = source {
            self.check_function(source).await?;
        }
        set(&self.store, source).await
    }

    /// Checks that this is a function.
    pub(crate) async fn check_function(&self, source: &str) -> Result<(), Error> {
        let program = Program::sync(format!("check/{}", rand::random::<u64>()), source);
        Ok(self.engine.scripts()?.compile(&program).await?)
    }

    /// Has the sync function decide on edits, in a database with channels. A refusal is of one alone.
    ///
    /// # Errors
    /// The caller may not use the database any more, or the storage failed.
    pub(crate) async fn assign(&self, edits: &mut [Result<Edit, Error>]) -> Result<(), Error> {
        let Some(program) = self.rules.sync.as_ref() else { return Ok(()) };
        for some in edits.chunks_mut(ASSIGNED_AT_ONCE) {
            self.assign_some(program, some).await?;
        }
        Ok(())
    }

    async fn assign_some(&self, program: &Program, edits: &mut [Result<Edit, Error>]) -> Result<(), Error> {
        let sight = self.sight().await?;
        let ids: Vec<DocId> = edits.iter().flatten().map(|edit| edit.id.clone()).collect();
        let mut trees = sight.reader.documents(&ids).await?.into_iter();
        let (mut asked, mut inputs) = (Vec::new(), Vec::new());
        for place in edits {
            let Ok(edit) = place else { continue };
            let tree = trees.next().flatten().map(|state| state.tree).unwrap_or_default();
            // Until it is judged, an edit has the time at which its document is to expire, and nothing else.
            let wish = edit.assignment.take().and_then(|wish| wish.expires_s).filter(|_| !edit.deleted);
            edit.assignment = Some(Assignment { judged_by: self.rules.version(), ..Assignment::default() });
            match question(&sight, &tree, edit).await {
                Ok(Some(input)) => {
                    inputs.push(input);
                    asked.push((place, wish));
                }
                Ok(None) => {}
                Err(error) => *place = Err(error),
            }
        }
        if inputs.is_empty() {
            return Ok(());
        }
        let outcomes = self.engine.scripts()?.sync_each(program, inputs).await;
        for ((place, wish), outcome) in asked.into_iter().zip(outcomes) {
            let Ok(edit) = place else { continue };
            if let Err(error) = self.settle(edit, wish, outcome) {
                *place = Err(error);
            }
        }
        Ok(())
    }

    /// Gives an edit what was decided on it.
    fn settle(
        &self,
        edit: &mut Edit,
        wished_s: Option<u64>,
        outcome: Result<SyncOutcome, tidegate_script::Error>,
    ) -> Result<(), Error> {
        let outcome = outcome?;
        match outcome.rejection {
            Some(Rejection::Forbidden(reason)) => Err(tidegate_access::Error::Forbidden(reason.into()).into()),
            Some(Rejection::Unauthorized(reason)) => Err(tidegate_access::Error::Unauthorized(reason.into()).into()),
            None => {
                let expires_s = expires_s(outcome.expiry, self.engine.inner.now_s()).unwrap_or(wished_s);
                let expires_s = expires_s.filter(|_| !edit.deleted);
                let judged_by = self.rules.version();
                edit.assignment = Some(Assignment { expires_s, judged_by, ..granted(outcome) });
                Ok(())
            }
        }
    }
}

/// What the sync function is to be asked of an edit; nothing of design documents, and of what is there already.
async fn question(sight: &Sight, tree: &Tree, edit: &Edit) -> Result<Option<SyncInput>, Error> {
    if edit.id.kind() == DocKind::Design {
        return Ok(None);
    }
    let Some(ancestry) = Ancestry::of(tree, edit)? else { return Ok(None) };
    let old_document = match &ancestry.old {
        Some(old) => text_of_old(&sight.reader, &edit.id, (tree, old)).await?,
        None => None,
    };
    let document = text_of_new(edit, &ancestry.path);
    Ok(Some(SyncInput { document, old_document, meta: None, caller: caller(&sight.access) }))
}

impl Engine {
    /// What a sync function says of a revision that is there, asked for nobody in particular. Source: Sync Gateway's
    /// resync, which asks of each leaf.
    ///
    /// # Errors
    /// The storage failed, or no function can be run now.
    pub(crate) async fn ask(
        &self,
        program: &Program,
        reader: &Reader,
        (id, tree, leaf): (&DocId, &Tree, &Node),
    ) -> Result<Said, Error> {
        if id.kind() == DocKind::Design {
            return Ok(Ok(SyncOutcome::default()));
        }
        let Some(document) = text_of_old(reader, id, (tree, &leaf.rev)).await? else {
            return Ok(Err("the document's body is missing".to_owned()));
        };
        let old_document = text_of_parent(reader, id, (tree, &leaf.rev)).await?;
        self.say(program, SyncInput { document, old_document, meta: None, caller: SyncCaller::Unrestricted }).await
    }

    /// What a sync function says.
    ///
    /// # Errors
    /// No function can be run now.
    pub(crate) async fn say(&self, program: &Program, input: SyncInput) -> Result<Said, Error> {
        use tidegate_script::Error as Script;
        match self.scripts()?.sync(program, input).await {
            Ok(mut outcome) => Ok(match outcome.rejection.take() {
                Some(Rejection::Forbidden(reason) | Rejection::Unauthorized(reason)) => Err(reason),
                None => Ok(outcome),
            }),
            Err(
                error @ (Script::Compile { .. }
                | Script::Thrown { .. }
                | Script::Timeout
                | Script::Memory
                | Script::Stack
                | Script::Input),
            ) => Ok(Err(error.to_string())),
            Err(Script::Overloaded) => Err(Error::Overloaded),
            Err(error @ (Script::Stopped | Script::Internal(_))) => Err(error.into()),
        }
    }
}

/// The channels and the grants that a sync function said.
pub(crate) fn granted(outcome: SyncOutcome) -> Assignment {
    let SyncOutcome { channels, access, roles, .. } = outcome;
    let of = |to: &Principal, what: Granted| Grant { to: to.clone(), what };
    let mut grants: Vec<Grant> = Vec::new();
    for (to, channels) in access {
        grants.extend(channels.into_iter().map(|channel| of(&to, Granted::Channel(channel))));
    }
    for (user, roles) in roles {
        let user = Principal::User(user);
        grants.extend(roles.into_iter().map(|role| of(&user, Granted::Role(role))));
    }
    Assignment { channels, grants, ..Assignment::default() }
}

/// When a document expires of which this was said now: at some time, or never; `None` if nothing was said.
pub(crate) fn expires_s(expiry: Option<Expiry>, now_s: u64) -> Option<Option<u64>> {
    expiry.map(|expiry| match expiry {
        Expiry::After(0) => None,
        Expiry::After(seconds) => Some(now_s.saturating_add(seconds.into())),
        Expiry::At(at) => Some(at),
    })
}

/// For whom the function runs.
fn caller(visible: &Visibility) -> SyncCaller {
    match visible {
        Visibility::Everything => SyncCaller::Unrestricted,
        Visibility::Channels(known) => SyncCaller::User(Arc::clone(&known.sync_user)),
    }
}
