//! What a power cut leaves behind, tried out in great numbers.
//!
//! A workload runs once under a preload library that logs every change it makes below a folder ([`Recording`]). A
//! [`Simulator`] then rebuilds the folder as a cut at any position of that log could have left it: whatever wasn't
//! synced may be there, be missing or be torn, under the rules of a [`Model`]. The engine under test opens the rebuilt
//! folder, and must show everything that was acknowledged and nothing that was never begun.
//!
//! - [`Marks`]: how the workload says what it began and what it was told is durable.
//! - [`cuts`]: positions worth trying.
//! - Nothing here knows the engine; `history`, `workload`, `check` and `campaign` do, for the embedded store, and
//!   `server` for the real binary.
//!
//! Linux only, for the preload library; a C compiler named `cc` must be installed.

mod access;
mod campaign;
mod check;
mod choice;
mod cut;
mod durability;
mod error;
mod history;
mod image;
mod kills;
mod log;
mod mark;
mod names;
mod node;
mod options;
mod places;
mod random;
mod recording;
mod report;
mod server;
pub(crate) mod shim;
mod simulator;
mod tester;
mod workload;

pub use campaign::campaign;
pub use check::Violation;
pub use cut::{ContentStrategy, Cut, Model, NameStrategy};
pub use error::Error;
pub use kills::kills;
pub use mark::Marks;
pub use options::{Options, Subject};
pub use places::{Focus, cuts};
pub use random::Random;
pub use recording::{Recording, Run, scratch};
pub use report::{Failure, Report, Tally};
pub use simulator::{Promise, Simulator};
pub use workload::{Acknowledge, Workload, WorkloadError, store_folder};
