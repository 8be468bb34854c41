//! CouchDB's replicator without its transport: what to ask of which side next, how far it is safe to checkpoint, which
//! job runs when.
//!
//! Everything here is a value: events go in through `handle_*`, what is to be done comes out of `poll`, and the time is
//! an argument. There are no sockets, clocks, storage or tasks; a shell performs each [`Request`] over HTTP or by a
//! local call and hands the answer back. What it guarantees:
//! - a checkpoint never passes a revision that is still in flight or failed for a reason that may go away;
//! - answers may come late, out of order, twice or never: nothing is lost but time;
//! - the same job has the same replication id wherever and whenever it is asked for.
//!
//! Source of the rules: `spec/couch.md` 3.8 and CouchDB's `couch_replicator` application.

mod ancestry;
mod backoff;
mod checkpoint;
mod failure;
mod job;
mod result;
mod scheduler;
mod sequence;
mod session;
mod stats;
mod timestamp;

pub use ancestry::{Ancestry, Peers, common_ancestry};
pub use backoff::{crash_wait, preparation_wait, request_wait};
pub use checkpoint::{Checkpoint, HistoryEntry, OneSession};
pub use failure::{Failure, FailureKind};
pub use job::{
    Asked, Basic, Endpoint, Fetch, Filter, Job, JobError, JobId, Remote, Style, Tuning, UserContext, checkpoint_id,
    parse_job, shown,
};
pub use result::Report;
pub use scheduler::{Event, Kind, Limits, Newcomer, Order, Origin, Past, Preparation, Scheduler, State, Summary};
pub use sequence::SourceSeq;
pub use session::{
    Action, ChangesRequest, Doc, Got, Info, Leaves, Missing, Moved, Options, Outcome, Page, Reason, Request, RequestId,
    Response, Row, Session, Side, StoredCheckpoint, Transfer, Transferred, Wait, Wanted, WriteFailure,
};
pub use stats::{Progress, Stats};
pub use timestamp::Timestamp;
