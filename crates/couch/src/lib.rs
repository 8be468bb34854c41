//! CouchDB's HTTP dialect over the engine: what PouchDB, RxDB, nano and CouchDB's replicator speak.
//!
//! [`Couch`] is the service of one listener. A request becomes a `Route` (which path is meant, and which methods it
//! knows), a handler answers it from the engine, and `error` words every failure as CouchDB does. Texts and statuses
//! follow `spec/couch.md`. Documents go from the wire to the store and back as raw JSON text: nothing here parses a
//! document into values but its `_` members.

mod backup;
mod changes;
mod context;
mod cors;
mod database;
mod document;
mod error;
mod figures;
mod list;
mod local;
mod node;
mod partition;
mod purge;
mod replicator;
mod revisions;
mod route;
mod sequence;
mod server;
mod service;
mod session;
mod uuids;

pub use sequence::{WireSeq, WireSeqError};
pub use service::{Couch, Settings, refusal};
