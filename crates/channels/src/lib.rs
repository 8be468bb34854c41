//! Channels over sequences: who has which channel since when, and what a feed has to tell of it.
//!
//! A document is in channels; a user has channels, of its own and by its roles. Both change, and every change has a
//! sequence. [`Periods`] are the sequences during which something held. [`Access`] is what a user may see. A [`Walk`] is
//! what a feed tells from a [`Position`] on: rows of the channels that the user has, back-fill of those it was given,
//! and what it lost with those it has no more. Whoever follows a feed from any position that it was ever told, and
//! obeys what it is told, holds in the end what it may see, and nothing else.
//!
//! Values only: no storage, no clock. A walk says what it needs read, and is handed it.

mod access;
mod periods;
mod position;
mod strand;
mod walk;

pub use access::{Access, Grants};
pub use periods::{Period, Periods};
pub use position::{Position, PositionError};
pub use walk::{Entry, Losses, Read, Row, Step, Telling, Walk};
