//! Users' JavaScript on documents, under limits.
//!
//! A [`Program`] is a function of a design document, or a sync function. A [`Machine`] is one JavaScript runtime, with the programs it has
//! compiled; a [`Pool`] is several of them, each on a thread of its own behind one bounded queue. What goes in is JSON
//! text, what comes out are plain values. The crate knows neither what a document means, nor disks, nor HTTP.
//!
//! - **Limits**: a function that loops, eats memory or stack, or backtracks in a regular expression ends in an [`Error`]
//!   of the call that ran it. After a timeout or a lack of memory the runtime is thrown away. A few built-ins can't be
//!   interrupted; a pool answers their caller all the same (see `crew.rs`), a [`Machine`] alone can't.
//! - **Isolation**: each program has a global object and built-ins of its own. Documents, requests and users are made
//!   anew for each call or batch. The design document is frozen, the given globals can't be replaced, and variables that
//!   a function forgot to declare are cleared. What a program keeps in closures and in its modules stays with it, as it
//!   does in CouchDB, until it is compiled again.
//! - **Cost**: a document is not parsed for a function that reads a few members of it. Those members alone are handed
//!   over: as they are, where the text of the function proves that it reads no other (see `proof.rs`); else so that it
//!   can't tell (see `harness.js`). What is told of users is made once, until a function touches it (see `argument.rs`).
//!   A sync function that only names channels and requires what members name is decided without JavaScript (`simple.rs`).
//! - **Language**: ES2023 without modules, files or timers. An `async` function is refused: nobody would wait for it.

mod argument;
mod cache;
mod compiled;
mod crew;
mod environment;
mod error;
mod expiry;
mod fault;
mod limits;
mod log;
mod machine;
mod outcome;
mod pool;
mod program;
mod projection;
mod proof;
mod queue;
mod sandbox;
mod simple;
mod sync;
mod tokens;

pub use error::{Error, Place};
pub use limits::{Limits, PoolLimits};
pub use log::{LogLevel, LogLine};
pub use machine::{Machine, Row, Validation, Verdict};
pub use pool::{OwnedValidation, Pool};
pub use program::Program;
pub use sync::{Expiry, Rejection, SyncCaller, SyncInput, SyncOutcome, SyncUser};
