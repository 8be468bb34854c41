//! The command line, against the real binary and real servers.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod backup;
mod channels;
mod doctor;
mod documents;
mod fixture;
mod gate;
mod import;
mod pages;
mod people;
